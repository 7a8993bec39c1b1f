// Package pgtest starts real PostgreSQL servers for tests: one of a test's own, replicas of it, and a pooler before it.
//
// It is for tests alone. Servers listen on loopback, keep their files in a temporary folder, and end with the test.
// They can be killed, paused and promoted, which is what tests of failure want.
package pgtest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dialproof/dialproof/internal/testport"
)

// startTime bounds how long a server may take to answer, recovery from a crash included.
const startTime = 60 * time.Second

// Server is a running PostgreSQL. Its methods fail the test when they cannot do what they say.
type Server struct {
	// Port is on 127.0.0.1 and stays the same over restarts.
	Port int

	t       testing.TB
	bin     string
	folder  string // data and log
	owner   *syscall.Credential
	options []string
	cmd     *exec.Cmd
	ended   chan struct{}
	names   atomic.Int64
}

// Durable returns the settings with which a server syncs its files as in production: for tests that say what survives.
func Durable() []string {
	return []string{"fsync=on", "full_page_writes=on", "synchronous_commit=on"}
}

// Start starts a fresh server that stops with the test. options are settings of PostgreSQL, as name=value. Unless they
// are Durable, files are not synced to disk: the machine must stay up, but the server may be killed.
func Start(t testing.TB, options ...string) *Server {
	t.Helper()
	s := newServer(t, options)
	s.tool("initdb", "-D", s.data(), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync",
		"--no-instructions")
	s.Run()
	return s
}

// newServer prepares a folder and a port.
func newServer(t testing.TB, options []string) *Server {
	t.Helper()
	s := &Server{t: t, options: options, bin: binaries(t), owner: owner(t), Port: testport.Free(t)}
	//nolint:usetesting // a path of t.TempDir is closed to other users and too long for a socket
	folder, err := os.MkdirTemp("", "pg")
	if err != nil {
		t.Fatal(err)
	}
	s.folder = folder
	t.Cleanup(func() {
		s.Stop()
		if err := os.RemoveAll(folder); err != nil {
			t.Error(err)
		}
	})
	if s.owner != nil {
		if err := os.Chown(folder, int(s.owner.Uid), int(s.owner.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func (s *Server) data() string { return filepath.Join(s.folder, "data") }

// binaries returns the folder of the newest PostgreSQL that is installed.
func binaries(t testing.TB) string {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	slices.SortFunc(found, func(a, b string) int { return version(a) - version(b) })
	if len(found) > 0 {
		return filepath.Dir(found[len(found)-1])
	}
	path, err := exec.LookPath("postgres")
	if err != nil {
		t.Fatal("PostgreSQL is not installed: run scripts/setup-test.sh")
	}
	return filepath.Dir(path)
}

func version(path string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
	return n
}

// owner returns as whom the server runs: PostgreSQL refuses to run as root.
func owner(t testing.TB) *syscall.Credential {
	t.Helper()
	if os.Getuid() != 0 {
		return nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			uid, _ := strconv.Atoi(u.Uid)
			gid, _ := strconv.Atoi(u.Gid)
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid), NoSetGroups: true}
		}
	}
	t.Fatal("there is no user as whom PostgreSQL could run")
	return nil
}

// command returns a command of PostgreSQL that runs as the server's owner and does not outlive the test's process.
func (s *Server) command(name string, args ...string) *exec.Cmd {
	//nolint:noctx,gosec // the server ends by Stop, tools by themselves; the names are ours
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.Dir = s.folder
	cmd.Env = append(os.Environ(), "LC_ALL=C", "PGCONNECT_TIMEOUT=10")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.owner, Pdeathsig: syscall.SIGKILL}
	return cmd
}

// tool runs a command of PostgreSQL to its end.
func (s *Server) tool(name string, args ...string) {
	s.t.Helper()
	if out, err := s.command(name, args...).CombinedOutput(); err != nil {
		s.t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// Run starts the server again after Stop or Kill, and waits until it answers.
func (s *Server) Run() {
	s.t.Helper()
	settings := append([]string{
		"listen_addresses=127.0.0.1", "port=" + strconv.Itoa(s.Port), "unix_socket_directories=" + s.folder,
		"fsync=off", "full_page_writes=off", "max_connections=300", "shared_buffers=64MB", "max_wal_size=256MB",
		"wal_level=replica", "max_wal_senders=4", "hot_standby=on", "deadlock_timeout=100ms", "log_min_messages=warning",
	}, s.options...)
	args := []string{"-D", s.data()}
	for _, o := range settings {
		args = append(args, "-c", o)
	}
	log, err := os.OpenFile(filepath.Join(s.folder, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close() //nolint:errcheck // the server has its own handle
	cmd := s.command("postgres", args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	s.cmd, s.ended = cmd, ended
	s.wait()
}

// wait waits until the server answers.
func (s *Server) wait() {
	s.t.Helper()
	//nolint:forbidigo // also after the test's context has ended
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	for {
		err := s.try(ctx)
		if err == nil {
			return
		}
		select {
		case <-s.ended:
			s.t.Fatalf("PostgreSQL ended: %s", s.Log())
		case <-ctx.Done():
			s.t.Fatalf("PostgreSQL does not answer: %v\n%s", err, s.Log())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (s *Server) try(ctx context.Context) error {
	c, err := pgx.Connect(ctx, s.DSN("postgres"))
	if err != nil {
		return err
	}
	return c.Close(ctx)
}

// CPU returns what the server and its processes have used since it was started; of processes that have ended, too.
func (s *Server) CPU() (sum time.Duration) {
	s.t.Helper()
	pid := s.cmd.Process.Pid
	sum = s.used(pid, 15) // with the children that have ended
	kids, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		s.t.Fatal(err)
	}
	for kid := range strings.FieldsSeq(string(kids)) {
		n, _ := strconv.Atoi(kid)
		sum += s.used(n, 13)
	}
	return sum
}

// used adds the CPU times in /proc/PID/stat up to a field, counted from 0 (proc(5)); 0 for a process that has ended.
func (s *Server) used(pid, last int) (sum time.Duration) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	after := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:])) // fields 0 and 1 are before
	for _, f := range after[11 : last-1] {
		n, _ := strconv.Atoi(f)
		sum += time.Duration(n) * 10 * time.Millisecond // USER_HZ is 100 on every Linux
	}
	return sum
}

// Log returns the end of the server's log.
func (s *Server) Log() string {
	text, _ := os.ReadFile(filepath.Join(s.folder, "log"))
	return string(bytes.TrimSpace(text[max(0, len(text)-4000):]))
}

// DSN returns the connection string of a database of the server.
func (s *Server) DSN(database string) string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s?sslmode=disable&connect_timeout=5", s.Port, database)
}

// Fresh returns the connection string of an empty schema of its own. It costs a few milliseconds, so that tests can
// share one server.
func (s *Server) Fresh() string {
	s.t.Helper()
	name := "t" + strconv.FormatInt(s.names.Add(1), 10)
	s.Exec("CREATE SCHEMA " + name)
	return s.DSN("postgres") + "&search_path=" + name
}

// Database makes a database of that name and answers its connection string.
func (s *Server) Database(name string) string {
	s.t.Helper()
	s.Exec("CREATE DATABASE " + name)
	return s.DSN(name)
}

// Name makes a database of a new name and answers the name.
func (s *Server) Name() string {
	s.t.Helper()
	name := "d" + strconv.FormatInt(s.names.Add(1), 10)
	s.Exec("CREATE DATABASE " + name)
	return name
}

// Exec runs one statement in the database postgres.
func (s *Server) Exec(sql string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second) //nolint:forbidigo // also in a cleanup
	defer cancel()
	c, err := pgx.Connect(ctx, s.DSN("postgres"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close(ctx) //nolint:errcheck // the statement has been judged
	if _, err := c.Exec(ctx, sql); err != nil {
		s.t.Fatalf("%s: %v", sql, err)
	}
}

// Stop stops the server in good order ("fast": sessions are ended, nothing is lost). It does nothing when it does not
// run.
func (s *Server) Stop() { s.end(syscall.SIGINT) }

// Kill ends every process of the server with signal 9.
func (s *Server) Kill() {
	if s.cmd == nil {
		return
	}
	// Its children would live on for a moment and finish what they are at.
	signalled := append([]int{s.cmd.Process.Pid}, children(s.cmd.Process.Pid)...)
	for _, pid := range signalled {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	s.end(syscall.SIGKILL)
	for _, pid := range signalled[1:] {
		for deadline := time.Now().Add(10 * time.Second); syscall.Kill(pid, 0) == nil && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
	}
}

// Pause stops the server's processes with SIGSTOP; connections stay open and nobody answers. Resume goes on.
func (s *Server) Pause() { s.signalAll(syscall.SIGSTOP) }

// Resume ends a Pause.
func (s *Server) Resume() { s.signalAll(syscall.SIGCONT) }

func (s *Server) signalAll(sig syscall.Signal) {
	for _, pid := range append([]int{s.cmd.Process.Pid}, children(s.cmd.Process.Pid)...) {
		_ = syscall.Kill(pid, sig)
	}
}

func (s *Server) end(sig syscall.Signal) {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(sig)
	select {
	case <-s.ended:
	case <-time.After(20 * time.Second):
		_ = s.cmd.Process.Kill()
		<-s.ended
	}
	s.cmd = nil
}

// children returns the processes that a process has started.
func children(pid int) (out []int) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for field := range strings.FieldsSeq(string(text)) {
		if n, err := strconv.Atoi(field); err == nil {
			out = append(out, n)
		}
	}
	return out
}
