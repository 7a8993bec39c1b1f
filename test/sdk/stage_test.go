// Package sdk plays one file of scenarios through every SDK against the real server, follows every quick start from an
// empty folder, and clicks through every example.
package sdk

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/testport"
)

// binary is the program under test, built once; root is the repository; python is the one of scripts/setup-test.sh.
var binary, root, python string

func TestMain(m *testing.M) {
	os.Exit(build(m))
}

func build(m *testing.M) int {
	dir, err := os.MkdirTemp("", "dialproof-sdk-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	if root, err = filepath.Abs("../.."); err != nil {
		panic(err)
	}
	binary, python = filepath.Join(dir, "dialproof"), filepath.Join(root, ".cache/python/bin/python")
	for _, args := range [][]string{{root, "go", "build", "-o", binary, "./cmd/dialproof"},
		{filepath.Join(root, "sdk/typescript"), "npm", "run", "--silent", "build"}} {
		cmd := exec.Command(args[1], args[2:]...)
		cmd.Dir = args[0]
		if out, err := cmd.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "%v: %v (scripts/setup-test.sh brings what is missing)\n%s\n", args[1:], err, out)
			return 1
		}
	}
	return m.Run()
}

// command returns a command of a test, with the program and without the world's settings.
func command(t *testing.T, dir, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "DIALPROOF_BIN="+binary, "DIALPROOF_KEY=", "NO_COLOR=1", "PYTHONDONTWRITEBYTECODE=1")
	return cmd
}

// stage is a server in its production form for all SDKs, with a provider's side that keeps what it got.
type stage struct {
	url, config string
	mu          sync.Mutex
	hooks       map[string][]hook // number → newest last
}

// hook is a message as the provider's side got it: a signed webhook.
type hook struct {
	ID        string    `json:"id"`
	Timestamp string    `json:"timestamp"`
	Signature string    `json:"signature"`
	Body      string    `json:"body"`
	to, text  string    // of a message
	channel   string    // of a message
	about     string    // of an event: its type and the verification's id
	at        time.Time // when it came
}

func newHook(r *http.Request) hook {
	body, _ := io.ReadAll(r.Body)
	h := hook{
		ID:        r.Header.Get("Webhook-Id"),
		Timestamp: r.Header.Get("Webhook-Timestamp"),
		Signature: r.Header.Get("Webhook-Signature"),
		Body:      string(body),
		at:        time.Now(),
	}
	var m struct {
		Type string
		Data struct{ ID, To, Text, Channel string }
	}
	_ = json.Unmarshal(body, &m)
	h.to, h.text, h.channel, h.about = m.Data.To, m.Data.Text, m.Data.Channel, m.Type+" "+m.Data.ID
	return h
}

const secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

// newStage starts it. Its limits are short, so that nobody waits half a minute for a resend.
func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{hooks: map[string][]hook{}}
	sink := httptest.NewServer(http.HandlerFunc(s.take))
	t.Cleanup(sink.Close)
	listen := fmt.Sprintf("127.0.0.1:%d", testport.Free(t))
	s.url, s.config = "http://"+listen, filepath.Join(t.TempDir(), "dialproof.yaml")
	text := fmt.Sprintf(`listen: %s
public_url: http://%[1]s
data: %s
keys: [{id: 1, secret: MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=}]
routes: [{name: sink, provider: webhook, test: true, settings: {url: %s, secret: %s}}]
limits: {number_gaps: [4s, 60s]}
webhooks: {allow_private: true}
`, listen, t.TempDir(), sink.URL, secret)
	if err := os.WriteFile(s.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

// find runs a command of the operator and answers what it printed in the given form.
func (s *stage) find(t *testing.T, pattern string, args ...string) string {
	t.Helper()
	out, err := command(t, "", binary, append(args, "--config", s.config)...).CombinedOutput()
	if err != nil {
		t.Fatalf("dialproof %v: %v\n%s", args, err, out)
	}
	return regexp.MustCompile(pattern).FindString(string(out))
}

// application makes an application for an SDK and answers its id and a key.
func (s *stage) application(t *testing.T, name string) (id, key string) {
	t.Helper()
	id = s.find(t, `app_[0-9a-z]{26}`, "app", "create", "--name", name, "--brand", "Shop")
	return id,
		s.find(t, `dp_test_[a-z0-9]{32}`, "key", "create", "--app", name, "--name", "tests", "--mode", "test", "--scope",
			"verify,read")
}

// subscribe has the events of an application sent to a door, and answers the secret that signs them.
func (s *stage) subscribe(t *testing.T, admin, application, door string) string {
	t.Helper()
	body, _ := json.Marshal(map[string]any{"application": application, "mode": "test", "url": door + "/stage/event"})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/v1/webhooks", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+admin)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var made struct{ Secret string }
	if err := json.NewDecoder(resp.Body).Decode(&made); err != nil || made.Secret == "" {
		t.Fatalf("no webhook: %s, %v", resp.Status, err)
	}
	return made.Secret
}

func (s *stage) serve(t *testing.T) {
	t.Helper()
	log := &bytes.Buffer{}
	cmd := command(t, "", binary, "serve", "--config", s.config)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("the server said:\n%s", log)
		}
	})
	ready(t, s.url+"/readyz")
}

// ready waits until an address answers 200.
func ready(t *testing.T, url string) {
	t.Helper()
	deadline, tick := time.After(20*time.Second), time.NewTicker(10*time.Millisecond)
	defer tick.Stop()
	for {
		if resp, err := http.Get(url); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-deadline:
			t.Fatalf("%s is not ready after 20 s", url)
		case <-tick.C:
		}
	}
}

// take is the provider's side.
func (s *stage) take(_ http.ResponseWriter, r *http.Request) {
	h := newHook(r)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hooks[h.to] = append(s.hooks[h.to], h)
}

// door stands before the server for one SDK. It makes faults, and it is the handset.
type door struct {
	*httptest.Server
	stage *stage
	proxy *httputil.ReverseProxy

	mu    sync.Mutex
	fault struct {
		Kind       string `json:"kind"`
		Times      int    `json:"times"`
		RetryAfter int    `json:"retry_after"`
	}
	events      map[string]hook // type and verification → the event
	tries       int
	keys        map[string]bool
	first, last time.Time
}

func (s *stage) door(t *testing.T) *door {
	t.Helper()
	target, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	d := &door{
		stage:  s,
		proxy:  httputil.NewSingleHostReverseProxy(target),
		keys:   map[string]bool{},
		events: map[string]hook{},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /stage/fault", d.setFault)
	mux.HandleFunc("GET /stage/seen", d.seen)
	mux.HandleFunc("GET /stage/hook", d.hook)
	mux.HandleFunc("POST /stage/event", d.takeEvent)
	mux.HandleFunc("GET /stage/event", d.event)
	mux.HandleFunc("GET /dev/messages", d.messages)
	mux.HandleFunc("/v1/", d.pass)
	mux.Handle("/", d.proxy)
	d.Server = httptest.NewServer(mux)
	t.Cleanup(d.Close)
	return d
}

func (d *door) setFault(_ http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault.Kind, d.fault.Times, d.fault.RetryAfter = "", 0, 0
	_ = json.NewDecoder(r.Body).Decode(&d.fault)
	d.tries, d.keys, d.first = 0, map[string]bool{}, time.Time{}
}

func (d *door) seen(w http.ResponseWriter, _ *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	answer(w, map[string]any{"tries": d.tries, "keys": len(d.keys), "waited": d.last.Sub(d.first).Seconds()})
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}

// count notes a request and answers the fault that it meets.
func (d *door) count(r *http.Request) (kind, retry string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.last = time.Now(); d.tries == 0 {
		d.first = d.last
	}
	d.tries++
	if key := r.Header.Get("Idempotency-Key"); key != "" {
		d.keys[key] = true
	}
	if d.fault.Times == 0 {
		return "", ""
	}
	d.fault.Times--
	if d.fault.RetryAfter > 0 {
		retry = strconv.Itoa(d.fault.RetryAfter)
	}
	return d.fault.Kind, retry
}

// pass lets a request through, or not quite.
func (d *door) pass(w http.ResponseWriter, r *http.Request) {
	kind, retry := d.count(r)
	switch kind {
	case "busy":
		w.Header().Set("Content-Type", "application/problem+json")
		if retry != "" {
			w.Header().Set("Retry-After", retry)
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		io.WriteString(w,
			`{"code":"busy","status":503,"title":"Busy","detail":"too much is waiting","instance":"req_1","type":"about:blank"}`)
	case "page":
		io.WriteString(w, "<html>a proxy's page</html>")
	case "redirect":
		http.Redirect(w, r, d.URL+"/stage/seen", http.StatusFound)
	case "hang":
		_, _ = io.Copy(io.Discard, r.Body) // only then does the server notice that the other side is gone
		<-r.Context().Done()
	case "lost":
		panic(http.ErrAbortHandler)
	case "cut":
		// The server does its work, and the answer is lost.
		d.proxy.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	default:
		d.proxy.ServeHTTP(w, r)
	}
}

// messages is GET /dev/messages of the contract.
func (d *door) messages(w http.ResponseWriter, r *http.Request) {
	d.stage.mu.Lock()
	defer d.stage.mu.Unlock()
	all := []map[string]any{}
	for _, h := range d.stage.hooks[r.URL.Query().Get("to")] {
		m := map[string]any{"to": h.to, "from": "", "channel": h.channel, "text": h.text, "at": h.at.UTC()}
		all = append([]map[string]any{m}, all...)
	}
	answer(w, all)
}

// hook answers the newest webhook to a number, once there is one.
func (d *door) hook(w http.ResponseWriter, r *http.Request) {
	d.await(w, r, func() (hook, bool) {
		d.stage.mu.Lock()
		defer d.stage.mu.Unlock()
		all := d.stage.hooks[r.URL.Query().Get("to")]
		return newest(all), len(all) > 0
	})
}

func newest(all []hook) (h hook) {
	if len(all) > 0 {
		h = all[len(all)-1]
	}
	return h
}

// takeEvent is the application's endpoint.
func (d *door) takeEvent(_ http.ResponseWriter, r *http.Request) {
	h := newHook(r)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.events[h.about] = h
}

// event answers the event of a type about a verification, once there is one.
func (d *door) event(w http.ResponseWriter, r *http.Request) {
	d.await(w, r, func() (hook, bool) {
		d.mu.Lock()
		defer d.mu.Unlock()
		h, ok := d.events[r.URL.Query().Get("type")+" "+r.URL.Query().Get("id")]
		return h, ok
	})
}

// await answers what there is, once there is something.
func (d *door) await(w http.ResponseWriter, r *http.Request, look func() (hook, bool)) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if h, ok := look(); ok {
			answer(w, h)
			return
		}
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		}
	}
}

// report turns a runner's lines, "ok NAME" and "not ok NAME: why", into tests.
func report(t *testing.T, out string, names []string) {
	t.Helper()
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			for line := range strings.Lines(out) {
				line = strings.TrimSpace(line)
				if line == "ok "+name {
					return
				}
				if why, bad := strings.CutPrefix(line, "not ok "+name+": "); bad {
					t.Fatal(why)
				}
			}
			t.Fatalf("it was not played:\n%s", out)
		})
	}
}
