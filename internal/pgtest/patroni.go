package pgtest

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dialproof/dialproof/internal/testport"
)

// Patroni is a cluster of servers that Patroni runs, with an etcd that says which of them leads, as docs/operations.md
// describes it. Commits are synchronous, and times are short.
type Patroni struct {
	Servers []*Server
	t       testing.TB
	agents  []*exec.Cmd
	rest    []int // the ports of the agents
}

const patroniConfig = `scope: dialproof
name: n%[1]d
restapi: {listen: "127.0.0.1:%[2]d", connect_address: "127.0.0.1:%[2]d"}
etcd3: {host: "127.0.0.1:%[3]d"}
bootstrap:
  dcs:
    ttl: 8
    loop_wait: 1
    retry_timeout: 3
    synchronous_mode: true
    synchronous_mode_strict: true
    postgresql:
      use_pg_rewind: true
      parameters: {max_connections: 100, shared_buffers: 64MB, wal_keep_size: 256MB}
  initdb: [{encoding: UTF8}, {locale: C}, data-checksums]
postgresql:
  listen: "127.0.0.1:%[4]d"
  connect_address: "127.0.0.1:%[4]d"
  data_dir: %[5]s
  bin_dir: %[6]s
  pgpass: %[7]s/pgpass
  parameters: {unix_socket_directories: %[7]s}
  pg_hba: ["local all all trust", "host all all 127.0.0.1/32 trust", "host replication all 127.0.0.1/32 trust"]
  authentication:
    superuser: {username: postgres, password: unused}
    replication: {username: replicator, password: unused}
`

// StartPatroni starts n servers and waits until one leads and another has every commit. They end with the test.
func StartPatroni(t testing.TB, n int) *Patroni {
	t.Helper()
	for _, name := range []string{"patroni", "etcd"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Fatalf("%s is not installed: run scripts/setup-test.sh", name)
		}
	}
	p := &Patroni{t: t}
	etcd := p.etcd()
	for i := range n {
		s := newServer(t, nil)
		p.rest = append(p.rest, testport.Free(t))
		text := fmt.Sprintf(patroniConfig, i, p.rest[i], etcd, s.Port, s.data(), s.bin, s.folder)
		//nolint:gosec // another user reads it, and it holds no secret
		if err := os.WriteFile(filepath.Join(s.folder, "patroni.yml"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		p.Servers = append(p.Servers, s)
		p.agents = append(p.agents, nil)
		t.Cleanup(func() { p.end(i) })
		p.Run(i)
		if i == 0 {
			p.await(s, "SELECT NOT pg_is_in_recovery()")
		}
	}
	for i := 1; i < n; i++ {
		p.Follows(i)
	}
	return p
}

// etcd starts the store of the cluster's state and returns its port.
func (p *Patroni) etcd() (port int) {
	p.t.Helper()
	port = testport.Free(p.t)
	folder := p.t.TempDir()
	client, peer := fmt.Sprintf("http://127.0.0.1:%d", port), fmt.Sprintf("http://127.0.0.1:%d", testport.Free(p.t))
	//nolint:noctx,gosec // the cleanup ends it; the arguments are ours
	cmd := exec.Command("etcd", "--name", "e", "--data-dir", filepath.Join(folder, "etcd"), "--log-level", "error",
		"--listen-client-urls", client, "--advertise-client-urls", client,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "e="+peer)
	p.begin(cmd, filepath.Join(folder, "log"))
	p.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return port
}

// begin starts a command that does not outlive the test's process.
func (p *Patroni) begin(cmd *exec.Cmd, log string) {
	p.t.Helper()
	f, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		p.t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // the process has its own handle
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	cmd.Stdout, cmd.Stderr = f, f
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
}

// Run starts the agent of a server, which starts the server.
func (p *Patroni) Run(i int) {
	p.t.Helper()
	s := p.Servers[i]
	//nolint:noctx,gosec // Kill ends it; the path is ours
	cmd := exec.Command("patroni", filepath.Join(s.folder, "patroni.yml"))
	cmd.Dir, cmd.Env = s.folder, append(os.Environ(), "HOME="+s.folder, "LC_ALL=C.UTF-8")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.owner}
	p.begin(cmd, filepath.Join(s.folder, "log"))
	p.agents[i] = cmd
}

// Signal signals the agent of a server and all processes of the server, as if their machine stood still or died.
func (p *Patroni) Signal(i int, sig syscall.Signal) {
	if p.agents[i] != nil {
		_ = p.agents[i].Process.Signal(sig)
	}
	if pid := p.postmaster(i); pid > 0 {
		for _, one := range append([]int{pid}, children(pid)...) {
			_ = syscall.Kill(one, sig)
		}
	}
}

// postmaster returns the process of a server; 0 when it does not run.
func (p *Patroni) postmaster(i int) int {
	text, _ := os.ReadFile(filepath.Join(p.Servers[i].data(), "postmaster.pid"))
	line, _, _ := strings.Cut(string(text), "\n")
	pid, _ := strconv.Atoi(line)
	return pid
}

// end ends a server and its agent.
func (p *Patroni) end(i int) {
	pid := p.postmaster(i)
	p.Signal(i, syscall.SIGKILL)
	if p.agents[i] != nil {
		_ = p.agents[i].Wait()
	}
	for deadline := time.Now().Add(10 * time.Second); pid > 0 && syscall.Kill(pid, 0) == nil &&
		time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
}

// Leader waits until a server writes that is none of those, and returns which.
func (p *Patroni) Leader(but ...int) int {
	p.t.Helper()
	for deadline := time.Now().Add(startTime); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		for i, s := range p.Servers {
			other := true
			for _, b := range but {
				other = other && b != i
			}
			if other && p.yes(s, "SELECT NOT pg_is_in_recovery()") {
				return i
			}
		}
	}
	p.t.Fatalf("no server leads\n%s", p.Servers[0].Log())
	return 0
}

// Follows waits until a server is a standby that has every commit, and may take over.
func (p *Patroni) Follows(i int) {
	p.t.Helper()
	agent := http.Client{Timeout: 5 * time.Second}
	for deadline := time.Now().Add(startTime); ; time.Sleep(100 * time.Millisecond) {
		//nolint:noctx // the agent is on this machine, and the deadline bounds the tries
		resp, err := agent.Get(fmt.Sprintf("http://127.0.0.1:%d/sync", p.rest[i]))
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("server %d is no synchronous standby\n%s", i, p.Servers[i].Log())
		}
	}
}

// await waits until a server can be reached and a query yields true.
func (p *Patroni) await(s *Server, sql string) {
	p.t.Helper()
	for deadline := time.Now().Add(startTime); !p.yes(s, sql); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("not within %s: %s\n%s", startTime, sql, s.Log())
		}
	}
}

// yes reports whether a server says yes to a query now.
func (p *Patroni) yes(s *Server, sql string) (yes bool) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second) //nolint:forbidigo // also in a cleanup
	defer cancel()
	c, err := pgx.Connect(ctx, s.DSN("postgres"))
	if err != nil {
		return false
	}
	defer c.Close(ctx) //nolint:errcheck // it only asked
	return c.QueryRow(ctx, sql).Scan(&yes) == nil && yes
}
