//go:build linux

package bench

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// clerk is a system that takes every second start and refuses the others.
type clerk struct {
	at    string
	asked *atomic.Int64
}

func (c clerk) name() string           { return "clerk" }
func (c clerk) target() target         { return dialproofTarget{at: c.at, auth: "Bearer x"} }
func (c clerk) cost() (usage, error)   { return usage{}, nil }
func (c clerk) stop() error            { return nil }
func (c clerk) refuses(n int64) bool   { return n%2 == 0 }
func (c clerk) retryAfter() (s string) { return "1" }

func newClerk(t *testing.T, retry bool) clerk {
	t.Helper()
	c := clerk{asked: &atomic.Int64{}}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if c.refuses(c.asked.Add(1)) {
			if retry {
				w.Header().Set("Retry-After", c.retryAfter())
			}
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write([]byte(`{"id":"vrf_1"}`))
	}))
	t.Cleanup(s.Close)
	c.at = strings.TrimPrefix(s.URL, "http://")
	return c
}

// TestOpenLoad: every operation that is due is asked, and each is counted as what it was.
func TestOpenLoad(t *testing.T) {
	t.Parallel()
	c := newClerk(t, true)
	out, accepted, err := offer{rate: 1000, connections: 8, callers: 8,
		lasts: 200 * time.Millisecond}.starts(t.Context(), c, &numbers{})
	if err != nil {
		t.Fatal(err)
	}
	if c.asked.Load() != 200 || len(accepted) != 100 {
		t.Errorf("%d asked and %d accepted, want 200 and 100", c.asked.Load(), len(accepted))
	}
	if out.accepted <= 0 || out.refused <= 0 || out.p99 < out.p50 || out.refusal99 <= 0 {
		t.Errorf("outcome %+v", out)
	}
	for _, a := range accepted {
		if a.number == "" {
			t.Fatal("an accepted start has no number")
		}
	}
}

// TestOpenLoadWantsRetryAfter: a refusal that does not say when to come again ends the measurement.
func TestOpenLoadWantsRetryAfter(t *testing.T) {
	t.Parallel()
	_, _, err := offer{rate: 1000, connections: 2, callers: 2,
		lasts: 50 * time.Millisecond}.starts(context.WithoutCancel(t.Context()), newClerk(t, false), &numbers{})
	if err == nil || !strings.Contains(err.Error(), "when to come again") {
		t.Errorf("error %v", err)
	}
}

// TestWaitingLoad: callers that wait use all connections, and never more than one at a time.
func TestWaitingLoad(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	under, most, seen := 0, 0, map[string]bool{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		under++
		most = max(most, under)
		seen[r.RemoteAddr] = true
		mu.Unlock()
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write([]byte(`{"id":"vrf_1"}`))
		mu.Lock()
		under--
		mu.Unlock()
	}))
	t.Cleanup(s.Close)
	c := clerk{at: strings.TrimPrefix(s.URL, "http://")}
	out, accepted, err := offer{connections: 8, callers: 2, lasts: 200 * time.Millisecond}.starts(t.Context(), c,
		&numbers{})
	if err != nil {
		t.Fatal(err)
	}
	if len(accepted) == 0 || out.accepted <= 0 || most > 2 {
		t.Errorf("%d accepted, up to %d at once", len(accepted), most)
	}
	if want := min(8, len(accepted)); len(seen) < want-2 {
		t.Errorf("%d connections used", len(seen))
	}
}

// TestJudge: the first tenth is not counted; a start counts from when it was due, and a refusal from when it was sent.
func TestJudge(t *testing.T) {
	t.Parallel()
	var all []shot
	for i := range 100 {
		due := time.Duration(i) * 100 * time.Millisecond
		s := shot{due: due, sent: due + time.Millisecond, done: due + 3*time.Millisecond, number: "+1"}
		if i < 10 {
			s.done = due + 50*time.Millisecond
		}
		if i >= 70 {
			s.number = ""
		}
		all = append(all, s)
	}
	o := judge(all, 10*time.Second)
	if o.p99 != 3*time.Millisecond || o.sent99 != 2*time.Millisecond || o.refusal99 != 2*time.Millisecond ||
		o.lag99 != time.Millisecond {
		t.Errorf("outcome %+v", o)
	}
	if o.offered != 10 || o.accepted < 6.6 || o.accepted > 6.7 || o.refused < 3.3 || o.refused > 3.4 {
		t.Errorf("outcome %+v", o)
	}
}

// TestCores: server and load share no core, and leave none out.
func TestCores(t *testing.T) {
	t.Parallel()
	c := splitCores()
	if !c.apart {
		if c.why == "" {
			t.Error("nobody is told why all share the cores")
		}
		return
	}
	var all unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		t.Fatal(err)
	}
	for core := range len(all) * 64 {
		if n := btoi(c.server.IsSet(core)) + btoi(c.load.IsSet(core)); n != btoi(all.IsSet(core)) {
			t.Errorf("core %d is given away %d times", core, n)
		}
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// TestMetric: figures of a Prometheus text.
func TestMetric(t *testing.T) {
	t.Parallel()
	text := []byte("# HELP x\nx_total 3\ny 1e+06\n")
	if metric(text, "x_total") != 3 || metric(text, "y") != 1_000_000 || metric(text, "z") != 0 {
		t.Error("a figure of the metrics is read wrongly")
	}
}
