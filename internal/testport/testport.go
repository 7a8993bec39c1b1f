// Package testport gives tests ports for programs that cannot choose one by themselves.
//
// It is for tests alone. A port that was found free by listening on port 0 is soon taken again by somebody's outgoing
// connection: these lie below the range from which the kernel takes those, and are lent to one test of one process at a
// time.
package testport

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// The ports, none of which a well-known service has by default on the machines that run tests.
const (
	first = 20_000
	last  = 32_000 // Linux takes those of outgoing connections from 32768 on
)

// stale is when a loan counts as forgotten by a test that was killed.
const stale = 30 * time.Minute

// Free lends a port of 127.0.0.1, free for TCP and UDP, until the test ends.
func Free(t testing.TB) int {
	t.Helper()
	dir := filepath.Join(os.TempDir(), "dialproof-test-ports")
	if err := os.MkdirAll(dir, 0o777); err != nil { //nolint:gosec // tests of all users share it
		t.Fatal(err)
	}
	for range 1000 {
		port := first + rand.IntN(last-first) //nolint:gosec // no secret
		loan := filepath.Join(dir, strconv.Itoa(port))
		if !borrow(loan) {
			continue
		}
		t.Cleanup(func() { _ = os.Remove(loan) })
		if free(t, port) {
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

// borrow takes a loan that nobody else has.
func borrow(loan string) bool {
	f, err := os.OpenFile(loan, os.O_CREATE|os.O_EXCL, 0o666) //nolint:gosec // likewise
	if errors.Is(err, fs.ErrExist) {
		if old, err := os.Stat(loan); err == nil && time.Since(old.ModTime()) > stale {
			_ = os.Remove(loan)
		}
		return false
	}
	return err == nil && f.Close() == nil
}

func free(t testing.TB, port int) bool {
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
	if err != nil {
		return false
	}
	defer l.Close() //nolint:errcheck // it only looked
	u, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", address)
	return err == nil && u.Close() == nil
}
