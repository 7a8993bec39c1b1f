package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/pgtest"
)

// begin starts the program and waits for nothing.
func begin(t *testing.T, listen string, args ...string) *process {
	t.Helper()
	p := &process{
		cmd:  exec.Command(binary, args...),
		url:  "http://" + listen,
		log:  &syncBuffer{},
		done: make(chan error, 1),
	}
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.cmd.Env = append(os.Environ(), "DIALPROOF_DRAIN=2s")
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.done <- p.cmd.Wait() }()
	t.Cleanup(p.kill)
	return p
}

// entries returns the lines of a log, all of which must be JSON.
func entries(t *testing.T, p *process) (out []map[string]any) {
	t.Helper()
	for line := range strings.Lines(p.log.String()) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Errorf("a line of the log is no JSON: %q", line)
		}
		out = append(out, m)
	}
	return out
}

// saying returns the lines that say something, by what they begin with.
func saying(log []map[string]any, what string) (out []map[string]any) {
	for _, m := range log {
		if text, _ := m["msg"].(string); strings.HasPrefix(text, what) {
			out = append(out, m)
		}
	}
	return out
}

// TestServeWaitsForItsDatabase starts the program while its database is down, and takes the database away later. All
// the time it answers, and its log has a line for each thing that happens, not one for each request.
func TestServeWaitsForItsDatabase(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	s := newSink(t)
	d := deploy(t, s.URL, "store: {driver: postgres, dsn: '"+server.Fresh()+"'}\n")
	server.Kill()
	p := begin(t, d.listen, "serve", "--config", d.config)
	c := newClient(t, p, d.key)
	status := func(path string) int {
		a, err := c.try(http.MethodGet, path, nil)
		if err != nil {
			return 0
		}
		return a.status
	}
	waitFor(t, 20*time.Second, "the program listens", func() bool { return status("/healthz") == http.StatusNoContent })
	waitFor(t, 20*time.Second, "it says what it waits for", func() bool {
		a := c.call(t, http.StatusServiceUnavailable, http.MethodGet, "/readyz", nil)
		return strings.Contains(string(a.body), "the database server cannot be reached")
	})
	for _, path := range []string{"/readyz", "/v1/verifications"} {
		a := c.call(t, http.StatusServiceUnavailable, http.MethodGet, path, nil)
		if field(a, "code") != "store_unavailable" || a.header.Get("Retry-After") == "" ||
			a.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s before there is a database: %v %s", path, a.header, a.body)
		}
	}
	server.Run()
	waitFor(t, 30*time.Second, "it is ready once the database is there",
		func() bool { return status("/readyz") == http.StatusOK })
	c.call(t, http.StatusCreated, http.MethodPost, "/v1/verifications", map[string]any{"to": drama(1)})

	server.Kill()
	waitFor(t, 20*time.Second, "it is not ready without its database",
		func() bool { return status("/readyz") == http.StatusServiceUnavailable })
	for i := range 5 {
		if a, err := c.try(http.MethodPost, "/v1/verifications", map[string]any{"to": drama(10 + i)}); err != nil ||
			a.status != http.StatusServiceUnavailable {
			t.Errorf("a start without the database: %d, %v", a.status, err)
		}
	}
	server.Run()
	waitFor(t, 30*time.Second, "it is ready again", func() bool { return status("/readyz") == http.StatusOK })
	waitFor(t, 30*time.Second, "it says so",
		func() bool { return len(saying(entries(t, p), "the store works again")) > 0 })

	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	waitFor(t, 10*time.Second, "it says that it stops", func() bool {
		a, err := c.try(http.MethodGet, "/readyz", nil)
		return err == nil && a.status == http.StatusServiceUnavailable && field(a, "code") == "stopping"
	})
	if err := <-p.done; err != nil {
		t.Errorf("the program ended with %v\n%s", err, p.log)
	}
	p.done <- nil
	log := entries(t, p)
	for what, level := range map[string]string{
		"starting": "INFO", "the store cannot be used yet": "WARN", "the store can be used": "INFO", "store opened": "INFO",
		"ready":                   "INFO",
		"the store does not work": "ERROR", "the store works again": "WARN", "stopping": "INFO", "stopped": "INFO",
	} {
		if got := saying(log, what); len(got) != 1 || got[0]["level"] != level {
			t.Errorf("lines about %q: %v", what, got)
		}
	}
	if len(log) > 12 {
		t.Errorf("the log has %d lines:\n%s", len(log), p.log)
	}
	if got := saying(log, "the store works again"); len(got) == 1 {
		failures, _ := got[0]["failures"].(map[string]any)
		if n, _ := failures["a request failed"].(float64); n < 5 {
			t.Errorf("5 starts failed, and the log counts %v", got[0])
		}
	}
}

// TestServeEndsForWhatDoesNotPass: what waiting does not mend ends the program at once, in words.
func TestServeEndsForWhatDoesNotPass(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	newer := server.Fresh()
	_, schema, _ := strings.Cut(newer, "search_path=")
	server.Exec(
		"CREATE TABLE " + schema + ".dialproof_schema (version bigint PRIMARY KEY, name text NOT NULL, at timestamptz " +
			"NOT NULL DEFAULT now())")
	server.Exec("INSERT INTO " + schema + ".dialproof_schema (version, name) VALUES (99, 'of tomorrow')")
	for name, dsn := range map[string]string{"does not exist": server.DSN("nowhere"), "newer Dialproof": newer} {
		d := configure(t, "http://127.0.0.1:1", "store: {driver: postgres, dsn: '"+dsn+"'}\n")
		p := begin(t, d.listen, "serve", "--config", d.config)
		select {
		case err := <-p.done:
			p.done <- nil
			if err == nil {
				t.Errorf("%s: the program ended well", name)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%s: the program waits\n%s", name, p.log)
		}
		if got := saying(entries(t, p), "ended by an error"); len(got) != 1 || !strings.Contains(p.log.String(), name) {
			t.Errorf("%s: %s", name, p.log)
		}
	}
}
