package e2e

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestKilledInABacklog kills the program while it has far more messages than its few workers and a slow carrier can
// take. Each start that was acknowledged has its message once the program runs again.
func TestKilledInABacklog(t *testing.T) {
	t.Parallel()
	load := 5 * time.Second
	if soak() {
		load = 150 * time.Second
	}
	s := newSink(t)
	to, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	var slow atomic.Int64
	slow.Store(int64(900 * time.Millisecond))
	carrier := &httputil.ReverseProxy{
		Rewrite:  func(r *httputil.ProxyRequest) { r.SetURL(to); r.Out.Host = r.In.Host },
		ErrorLog: log.New(io.Discard, "", 0),
	}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		<-time.After(time.Duration(slow.Load()))
		carrier.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	d := deploy(
		t,
		front.URL,
		`limits: {number_gaps: [], number_hour: 0, number_day: 0, wrong_day: 0, wrong_streak: 0, client_hour: 0,
    client_day: 0}
queue: {workers: 16}
log: {level: warn}
`,
	)
	p := d.serve(t)
	c := newClient(t, p, d.key)
	var mu sync.Mutex
	var acknowledged []string
	var all sync.WaitGroup
	tick := time.NewTicker(time.Second / 60)
	defer tick.Stop()
	for i := range int(load.Seconds()) * 60 {
		<-tick.C
		all.Go(func() {
			a, err := c.try(http.MethodPost, "/v1/verifications", map[string]any{"to": drama(i)})
			if err == nil && a.status == http.StatusCreated {
				mu.Lock()
				acknowledged = append(acknowledged, drama(i))
				mu.Unlock()
			}
		})
	}
	all.Wait()
	p.kill()
	missing := func() (n int) {
		for _, to := range acknowledged {
			if s.codeFor(to) == "" {
				n++
			}
		}
		return n
	}
	before := missing()
	slow.Store(0)
	again := time.Now()
	d.serve(t)
	waitFor(t, 60*time.Second, "every message arrives", func() bool { return missing() == 0 })
	t.Logf("%d starts acknowledged, %d not sent when the program was killed, all of them %s after it ran again",
		len(acknowledged), before, time.Since(again).Round(100*time.Millisecond))
	if before < len(acknowledged)/4 {
		t.Errorf("only %d of %d were not sent: no backlog", before, len(acknowledged))
	}
}
