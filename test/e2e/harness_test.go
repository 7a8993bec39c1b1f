// Package e2e runs the real program as its users do: as a process, over HTTP, with a browser, and killed at the
// wrong moment. It is not the place for what a unit test can show.
package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/api/apitest"
	"github.com/dialproof/dialproof/internal/testport"
)

// binary is the program under test, built once.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "dialproof-e2e-")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "dialproof")
	build := exec.Command("go", "build", "-o", binary, "./cmd/dialproof")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%s\n", out)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// soak reports whether the long proofs are wanted.
func soak() bool { return os.Getenv("DIALPROOF_SOAK") != "" }

// process is a running dialproof.
type process struct {
	cmd  *exec.Cmd
	url  string
	log  *syncBuffer
	done chan error
}

// syncBuffer gathers output from two goroutines.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// freePort returns an address that is free.
func freePort(t testing.TB) string {
	t.Helper()
	return fmt.Sprintf("127.0.0.1:%d", testport.Free(t))
}

// launch starts the program and waits until it is ready.
func launch(t testing.TB, listen string, args ...string) *process {
	t.Helper()
	return launchIn(t, nil, listen, args...)
}

// launchIn is launch with more of an environment.
func launchIn(t testing.TB, env []string, listen string, args ...string) *process {
	t.Helper()
	p := &process{
		cmd:  exec.Command(binary, args...),
		url:  "http://" + listen,
		log:  &syncBuffer{},
		done: make(chan error, 1),
	}
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.cmd.Env = append(os.Environ(), "DIALPROOF_KEY=", "NO_COLOR=1", "DIALPROOF_DRAIN=0s")
	p.cmd.Env = append(p.cmd.Env, env...)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.done <- p.cmd.Wait() }()
	t.Cleanup(func() { p.kill() })
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/readyz", nil)
		if resp, err := http.DefaultClient.Do(req); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return p
			}
		}
		select {
		case err := <-p.done:
			t.Fatalf("dialproof %s ended: %v\n%s", strings.Join(args, " "), err, p.log)
		case <-ctx.Done():
			t.Fatalf("dialproof %s is not ready after 20 s\n%s", strings.Join(args, " "), p.log)
		case <-tick.C:
		}
	}
}

// kill ends the process as a power cut would.
func (p *process) kill() {
	_ = p.cmd.Process.Signal(syscall.SIGKILL)
	select {
	case <-p.done:
		p.done <- nil
	case <-time.After(10 * time.Second):
	}
}

// stop asks the process to end and answers how it did.
func (p *process) stop(t testing.TB) {
	t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-p.done:
		if err != nil {
			t.Errorf("the program ended with %v\n%s", err, p.log)
		}
		p.done <- nil
	case <-time.After(30 * time.Second):
		t.Fatalf("the program does not end\n%s", p.log)
	}
}

// dev starts a development server in a fresh folder and answers it with its key.
func dev(t testing.TB) (p *process, key, data string) {
	t.Helper()
	data = t.TempDir()
	listen := freePort(t)
	p = launch(t, listen, "dev", "--listen", listen, "--data", data)
	text, err := os.ReadFile(filepath.Join(data, "dev.key"))
	if err != nil {
		t.Fatal(err)
	}
	return p, strings.TrimSpace(string(text)), data
}

// answer is an HTTP answer, read whole.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) json(t testing.TB) (m map[string]any) {
	t.Helper()
	if err := json.Unmarshal(a.body, &m); err != nil {
		t.Fatalf("no JSON: %v\n%s", err, a.body)
	}
	return m
}

// into reads the body into a value.
func (a answer) into(t testing.TB, v any) {
	t.Helper()
	if err := json.Unmarshal(a.body, v); err != nil {
		t.Fatalf("no JSON: %v\n%s", err, a.body)
	}
}

// client calls the API.
type client struct {
	url, key string
	http     *http.Client
}

// newClient returns a client that holds every exchange against the contract.
func newClient(t testing.TB, p *process, key string) *client {
	t.Helper()
	c, err := apitest.Load()
	if err != nil {
		t.Fatal(err)
	}
	judged := apitest.Transport{
		Base:     &http.Transport{MaxIdleConnsPerHost: 128},
		Contract: c,
		Fail:     func(err error) { t.Error(err) },
	}
	return &client{url: p.url, key: key, http: &http.Client{Timeout: 20 * time.Second, Transport: judged}}
}

// try makes a request and answers an error when the server cannot be reached.
func (c *client) try(method, path string, body any) (answer, error) {
	var in io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return answer{}, err
		}
		in = bytes.NewReader(text)
	}
	req, err := http.NewRequest(method, c.url+path, in)
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Authorization", "Bearer "+c.key)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, text}, err
}

// call makes a request that must be answered with the status.
func (c *client) call(t testing.TB, status int, method, path string, body any) answer {
	t.Helper()
	a, err := c.try(method, path, body)
	if err != nil {
		t.Fatal(err)
	}
	if a.status != status {
		t.Fatalf("%s %s: %d, want %d\n%s", method, path, a.status, status, a.body)
	}
	return a
}

// sink is a provider's side: it takes messages from the webhook provider.
type sink struct {
	*httptest.Server
	mu       sync.Mutex
	messages []sunk
	answer   func(n int) int // status for the n-th message; nil: 200
}

// sunk is a message that arrived.
type sunk struct {
	Delivery string `json:"delivery"`
	To       string `json:"to"`
	Text     string `json:"text"`
	Code     string `json:"code"`
	Callback string `json:"callback"`

	Regulatory map[string]string `json:"regulatory"`

	at time.Time // when it arrived
}

func newSink(t testing.TB) *sink {
	s := &sink{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var m struct {
			Data sunk `json:"data"`
		}
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		m.Data.at = time.Now()
		s.mu.Lock()
		s.messages = append(s.messages, m.Data)
		n, judge := len(s.messages), s.answer
		s.mu.Unlock()
		if judge != nil {
			w.WriteHeader(judge(n))
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// got returns the messages so far.
func (s *sink) got() []sunk {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]sunk(nil), s.messages...)
}

// waitFor polls until ok, for at most as long as given: the other side is another process, so there is no
// event to wait on.
func waitFor(t testing.TB, within time.Duration, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline.C:
			t.Fatalf("not within %s: %s", within, what)
		case <-tick.C:
		}
	}
}

// deployment is a configuration for serve, with one webhook route that test keys use.
type deployment struct {
	dir, listen, config string
	key, admin          string
}

const sinkSecret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

func deploy(t testing.TB, sinkURL string, extra string) *deployment {
	t.Helper()
	d := configure(t, sinkURL, extra)
	d.run(t, "migrate", "--config", d.config)
	d.run(t, "app", "create", "--config", d.config, "--name", "shop", "--brand", "Shop")
	d.key = secretIn(t,
		d.run(t, "key", "create", "--config", d.config, "--app", "shop", "--name", "tests", "--mode", "test", "--scope",
			"verify,read"))
	d.admin = secretIn(t, d.run(t, "key", "create", "--config", d.config, "--name", "operator", "--scope", "admin"))
	return d
}

// configure writes a configuration and nothing else.
func configure(t testing.TB, sinkURL string, extra string) *deployment {
	t.Helper()
	d := &deployment{dir: t.TempDir(), listen: freePort(t)}
	d.config = filepath.Join(d.dir, "dialproof.yaml")
	text := fmt.Sprintf(`listen: %s
public_url: http://%[1]s
data: %s
keys:
  - id: 1
    secret: MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=
routes:
  - name: sink
    provider: webhook
    test: true
    settings:
      url: %s
      secret: %s
%s`, d.listen, filepath.Join(d.dir, "data"), sinkURL, sinkSecret, extra)
	if err := os.WriteFile(d.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return d
}

// secretIn finds the API key in a command's output.
func secretIn(t testing.TB, out string) string {
	t.Helper()
	key := regexp.MustCompile(`dp_(live|test)_[a-z0-9]{32}`).FindString(out)
	if key == "" {
		t.Fatalf("no key in\n%s", out)
	}
	return key
}

// run runs a command to its end.
func (d *deployment) run(t testing.TB, args ...string) string {
	t.Helper()
	out, err := exec.Command(binary, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("dialproof %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (d *deployment) serve(t testing.TB) *process {
	t.Helper()
	return launch(t, d.listen, "serve", "--config", d.config)
}

// drama returns the n-th of many numbers that are reserved for fiction in North America.
func drama(n int) string {
	areas := []int{201, 202, 203, 205, 206, 207, 208, 209, 210, 212, 213, 214, 215, 216, 217, 218, 219, 224, 225, 228, 229,
		231, 234, 239, 240, 248, 251, 252, 253, 254, 256, 260, 262, 267, 269, 270, 276, 281, 301, 302, 303, 304, 305, 307,
		308, 309, 310, 312, 313, 314, 315, 316, 317, 318, 319, 320, 321, 323, 325, 330, 331, 334, 336, 337, 339, 347, 351,
		352, 360, 361, 386, 401, 402, 404, 405, 406, 407, 408, 409, 410, 412, 413, 414, 415, 417, 419, 423, 424, 425, 430,
		432, 434, 435, 440, 443, 469, 478, 479, 480, 484}
	return fmt.Sprintf("+1%d55501%02d", areas[n/100%len(areas)], n%100)
}

// lines returns the JSON lines of a log.
func lines(text string) (out []map[string]any) {
	for scan := bufio.NewScanner(strings.NewReader(text)); scan.Scan(); {
		var m map[string]any
		if json.Unmarshal(scan.Bytes(), &m) == nil {
			out = append(out, m)
		}
	}
	return out
}
