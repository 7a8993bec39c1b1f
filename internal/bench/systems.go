//go:build linux

package bench

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// target is how a system is asked.
type target interface {
	address() string
	start(l *lane, number string) (id string, err error)
	check(l *lane, id, code string) error
}

// server is a system that runs as a process of ours.
type server struct {
	title  string
	cmd    *exec.Cmd
	stats  string // the address of its metrics
	beside []int  // other processes that work for it, with their children: a database
	close  func() error
	how    target
}

var _ system = (*server)(nil)

func (s *server) name() string { return s.title }

// cost implements system.
func (s *server) target() target { return s.how }

// cost implements system.
func (s *server) cost() (u usage, err error) {
	u, err = processUsage(s.cmd.Process.Pid, false)
	for _, pid := range s.beside {
		if err != nil {
			return u, err
		}
		var v usage
		v, err = processUsage(pid, true)
		u = u.plus(v)
	}
	if err != nil {
		return u, err
	}
	return u, s.said(&u)
}

// said adds what the server counts itself.
func (s *server) said(u *usage) error {
	if s.stats == "" {
		return nil
	}
	resp, err := (&http.Client{Timeout: callTimeout}).Get(s.stats) //nolint:noctx // loopback, between two phases
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	u.allocs, u.syncs = metric(text, "go_memstats_mallocs_total"), metric(text, "dialproof_store_commit_batch_count")
	return err
}

// metric returns an unlabelled figure of a Prometheus text.
func metric(text []byte, name string) int64 {
	_, rest, _ := bytes.Cut(text, []byte("\n"+name+" "))
	if bytes.HasPrefix(text, []byte(name+" ")) {
		rest = text[len(name)+1:]
	}
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	f, _ := strconv.ParseFloat(string(line), 64)
	return int64(f)
}

// stop implements system.
func (s *server) stop() error {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	err := s.cmd.Wait()
	if e := (*exec.ExitError)(nil); errors.As(err, &e) && e.ExitCode() <= 0 {
		err = nil // it ended by our signal
	}
	if s.close != nil {
		err = errors.Join(err, s.close())
	}
	return err
}

// command returns the program in a role. It ends with its parent.
func command(ctx context.Context, program string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, program, args...) //nolint:gosec // our own binary
	c.Stderr = os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return c
}

func startFloor(ctx context.Context, program, dir, provider string) (*server, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	c := command(ctx, program, "bench-floor", "--data", dir, "--provider", provider)
	out, err := c.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the floor did not start: %w", err), c.Process.Kill())
	}
	address := strings.TrimSpace(line)
	return &server{title: "floor", cmd: c, stats: "http://" + address + "/stats", how: floorTarget(address)}, nil
}

type floorTarget string

func (t floorTarget) address() string { return string(t) }

func (t floorTarget) start(l *lane, number string) (string, error) {
	status, body, err := l.post(string(t), "/start", "", []byte(`{"to":"`+number+`","purpose":"login"}`))
	return answered(status, body, err, http.StatusOK)
}

func (t floorTarget) check(l *lane, id, code string) error {
	status, body, err := l.post(string(t), "/check", "", []byte(`{"id":"`+id+`","code":"`+code+`"}`))
	_, err = answered(status, body, err, http.StatusOK)
	return err
}

// errBusy is the refusal of a system that has too much to do.
var errBusy = errors.New("answer 503: the system has too much to do")

// answered judges an answer and picks the id out of it.
func answered(status int, body []byte, err error, want int) (string, error) {
	if err != nil {
		return "", err
	}
	if status == http.StatusServiceUnavailable {
		return "", errBusy
	}
	if status != want {
		return "", fmt.Errorf("answer %d: %.300s", status, body)
	}
	return field(body, "id")
}

// settings is the configuration that Dialproof is measured with: what an operator would write, and no limit or sample
// turned off to look faster.
const settings = `listen: %[1]s
data: %[2]s
keys:
  - {id: 1, secret: %[3]s}
metrics: {listen: %[4]s}
log: {level: warn}
store: %[5]s
routes:
  - name: sink
    provider: webhook
    concurrency: 1024
    settings: {url: %[6]s, secret: whsec_%[3]s}
`

func startDialproof(ctx context.Context, program, dir, provider, store string) (*server, error) {
	title := "dialproof sqlite"
	if store == "" {
		store = "{driver: sqlite}"
	} else {
		title = "dialproof postgres"
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	listen, metrics := freeAddress(ctx), freeAddress(ctx)
	key := make([]byte, 32)
	_, _ = rand.Read(key) // it never fails
	file := filepath.Join(dir, "dialproof.yaml")
	text := fmt.Sprintf(settings, listen, filepath.Join(dir, "data"), base64.StdEncoding.EncodeToString(key), metrics,
		store, provider)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	token, err := tenant(ctx, program, file)
	if err != nil {
		return nil, err
	}
	c := command(ctx, program, "serve", "--config", file)
	if err := c.Start(); err != nil {
		return nil, err
	}
	s := &server{
		title: title,
		cmd:   c,
		stats: "http://" + metrics + "/metrics",
		how:   dialproofTarget{listen, "Bearer " + token},
	}
	if err := ready(ctx, "http://"+listen+"/readyz"); err != nil {
		return nil, errors.Join(err, c.Process.Kill())
	}
	return s, nil
}

// startOnPostgres starts Dialproof on a running PostgreSQL.
func startOnPostgres(ctx context.Context, o Options, dir, provider string) (*server, error) {
	store := fmt.Sprintf("{driver: postgres, dsn: %q}", o.Postgres)
	s, err := startDialproof(ctx, o.Program, filepath.Join(dir, "postgres"), provider, store)
	if err == nil && o.PostgresPID > 0 {
		s.beside = []int{o.PostgresPID}
	}
	return s, err
}

// tenant makes an application and a live key, as an operator would.
func tenant(ctx context.Context, program, file string) (key string, err error) {
	if out, err := command(ctx, program, "migrate", "--config", file).Output(); err != nil {
		return "", fmt.Errorf("migrate: %w: %s", err, out)
	}
	if out, err := command(ctx, program, "app", "create", "--config", file, "--name", "bench", "--brand",
		"Bench").Output(); err != nil {
		return "", fmt.Errorf("app create: %w: %s", err, out)
	}
	out, err := command(ctx, program, "key", "create", "--config", file, "--app", "bench", "--name", "bench", "--mode",
		"live", "--scope", "verify").Output()
	if err != nil {
		return "", fmt.Errorf("key create: %w", err)
	}
	for word := range strings.FieldsSeq(string(out)) {
		if strings.HasPrefix(word, "dp_live_") {
			return word, nil
		}
	}
	return "", errors.New("key create printed no key")
}

// ready waits until the server takes requests.
func ready(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 30*time.Second, errors.New("the server did not become ready"))
	defer cancel()
	for ctx.Err() == nil {
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if resp, err := http.DefaultTransport.RoundTrip(req); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode < 300 {
				return nil
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
	return context.Cause(ctx)
}

// freeAddress returns a loopback address that nobody listens on.
func freeAddress(ctx context.Context) string {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "127.0.0.1:0"
	}
	defer l.Close() //nolint:errcheck // it was never used
	return l.Addr().String()
}

type dialproofTarget struct{ at, auth string }

func (t dialproofTarget) address() string { return t.at }

func (t dialproofTarget) start(l *lane, number string) (string, error) {
	status, body, err := l.post(t.at, "/v1/verifications", t.auth, []byte(`{"to":"`+number+`","purpose":"login"}`))
	return answered(status, body, err, http.StatusCreated)
}

func (t dialproofTarget) check(l *lane, id, code string) error {
	status, body, err := l.post(t.at, "/v1/verifications/"+id+"/check", t.auth, []byte(`{"code":"`+code+`"}`))
	if _, err = answered(status, body, err, http.StatusOK); err != nil {
		return err
	}
	if !bytes.Contains(body, []byte(`"result":"approved"`)) {
		return fmt.Errorf("the right code was not approved: %s", body)
	}
	return nil
}
