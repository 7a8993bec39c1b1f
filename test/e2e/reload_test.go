package e2e

import (
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestReload replaces the routes of a running server by HUP, several times and under load: no message is lost, what is
// new takes over, and a file that cannot be used changes nothing.
func TestReload(t *testing.T) {
	t.Parallel()
	first, second := newSink(t), newSink(t)
	d := deploy(t, first.URL, "")
	p := d.serve(t)
	c := newClient(t, p, d.key)
	before, err := os.ReadFile(d.config)
	if err != nil {
		t.Fatal(err)
	}
	reloads := 0
	hup := func(text, word string) {
		t.Helper()
		if err := os.WriteFile(d.config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		seen := strings.Count(p.log.String(), word)
		if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		waitFor(t, 10*time.Second, word, func() bool { return strings.Count(p.log.String(), word) > seen })
		reloads++
	}
	other := strings.ReplaceAll(string(before), first.URL, second.URL)
	stop, starts := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		for ; ; n++ {
			select {
			case <-stop:
				starts <- n
				return
			default:
				if a, err := c.try(http.MethodPost, "/v1/verifications",
					map[string]any{"to": drama(n % 9000), "purpose": "login"}); err != nil || a.status != http.StatusCreated {
					t.Errorf("start %d: %d, %v", n, a.status, err)
				}
			}
		}
	}()
	for range 3 {
		hup(other, "routes reloaded")
		hup(string(before), "routes reloaded")
	}
	hup(other, "routes reloaded")
	hup(other+"rout: 1\n", "was not reloaded")
	hup(strings.ReplaceAll(other, "provider: webhook", "provider: pigeon"), "were not reloaded")
	close(stop)
	n := <-starts
	waitFor(t, 10*time.Second, "every message", func() bool { return len(first.got())+len(second.got()) >= n })
	if got := len(first.got()) + len(second.got()); got != n || len(second.got()) == 0 {
		t.Errorf("%d messages for %d starts, %d at the second", got, n, len(second.got()))
	}
	c.call(t, http.StatusCreated, http.MethodPost, "/v1/verifications",
		map[string]any{"to": drama(9500), "purpose": "login"})
	waitFor(t, 10*time.Second, "the message at the new route", func() bool { return second.codeFor(drama(9500)) != "" })
	if !strings.Contains(p.log.String(), `"rest_needs_restart":false`) ||
		strings.Contains(p.log.String(), `"rest_needs_restart":true`) {
		t.Error("the log does not say rightly whether a restart is needed")
	}
	t.Logf("%d reloads, %d starts", reloads, n)
}
