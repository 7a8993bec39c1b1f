package e2e

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// limitFiles lets no file of the process grow beyond so many bytes, as a full disk does; 0 takes the limit away.
func limitFiles(t testing.TB, p *process, size uint64) {
	t.Helper()
	limit := syscall.Rlimit{Cur: size, Max: ^uint64(0)}
	if size == 0 {
		limit.Cur = limit.Max
	}
	const fsize = 1 // RLIMIT_FSIZE
	if _, _, e := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(p.cmd.Process.Pid), fsize,
		uintptr(unsafe.Pointer(&limit)), 0, 0, 0); e != 0 {
		t.Fatal(e)
	}
}

// countRefused starts n verifications without space and returns how many were refused for it.
func countRefused(t *testing.T, n int, start func() int) (refused int) {
	t.Helper()
	for range n {
		switch status := start(); status {
		case http.StatusCreated:
		case http.StatusServiceUnavailable:
			refused++
		default:
			t.Errorf("without space: %d", status)
		}
	}
	return refused
}

// TestDiskFull takes the space from the running program and gives it back. Meanwhile it answers 503 and stays up;
// afterwards it works again, without a restart and with one, and what was acknowledged is there.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	s := newSink(t)
	d := deploy(t, s.URL, "")
	p := d.serve(t)
	c := newClient(t, p, d.key)
	started := map[string]string{} // number → verification
	next := 0
	start := func() int {
		next++
		a, err := c.try(http.MethodPost, "/v1/verifications", map[string]any{"to": drama(next)})
		if err != nil {
			t.Fatalf("the program is gone: %v\n%s", err, p.log)
		}
		if a.status == http.StatusCreated {
			started[drama(next)] = field(a, "id")
		}
		if a.status == http.StatusServiceUnavailable && !strings.Contains(field(a, "detail"), "the disk is full") {
			t.Errorf("a start without space: %s", a.body)
		}
		return a.status
	}
	for range 20 {
		if status := start(); status != http.StatusCreated {
			t.Fatalf("with space: %d", status)
		}
	}
	wal := filepath.Join(d.dir, "data", "dialproof.db-wal")
	for round := range 3 {
		log, err := os.ReadFile(wal)
		if err != nil {
			t.Fatal(err)
		}
		used := len(bytes.TrimRight(log, "\x00"))         // behind it is room that is not used yet
		limitFiles(t, p, uint64(used)+uint64(round)*4096) // the middle of a page, of a frame, of a transaction
		// Few are: a log that is full is copied into the file and starts over, as long as that has room.
		if countRefused(t, 40, start) == 0 {
			t.Errorf("round %d: no start was refused, so the limit was none", round)
		}
		for _, v := range started { // reading needs no space
			c.call(t, http.StatusOK, http.MethodGet, "/v1/verifications/"+v, nil)
			break
		}
		limitFiles(t, p, 0)
		waitFor(t, 10*time.Second, "the program takes work again", func() bool { return start() == http.StatusCreated })
	}
	checkAll := func(c *client) {
		waitFor(t, 90*time.Second, "every acknowledged start has its message", func() bool {
			there := distinct(s)
			for to := range started {
				if !there[to] {
					return false
				}
			}
			return true
		})
		for _, v := range started {
			c.call(t, http.StatusOK, http.MethodGet, "/v1/verifications/"+v, nil)
		}
	}
	checkAll(c)
	if n := len(saying(entries(t, p), "the store does not work")); n < 1 || n > 3 {
		t.Errorf("three outages are told %d times\n%s", n, p.log)
	}
	p.kill()
	p = d.serve(t)
	c = newClient(t, p, d.key)
	checkAll(c)
	for to, v := range started {
		if a := c.call(t, http.StatusOK, http.MethodPost, "/v1/verifications/"+v+"/check",
			map[string]any{"code": s.codeFor(to)}); field(a, "result") != "approved" {
			t.Errorf("the right code of %s: %s", v, field(a, "result"))
		}
	}
	t.Logf("%d starts acknowledged, %d messages", len(started), len(s.got()))
}
