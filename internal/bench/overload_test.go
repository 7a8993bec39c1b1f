package bench

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
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
	out, accepted, err := open{rate: 1000, connections: 8, lasts: 200 * time.Millisecond}.starts(t.Context(), c, &numbers{})
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
	_, _, err := open{rate: 1000, connections: 2, lasts: 50 * time.Millisecond}.starts(context.WithoutCancel(t.Context()), newClerk(t, false), &numbers{})
	if err == nil || !strings.Contains(err.Error(), "when to come again") {
		t.Errorf("error %v", err)
	}
}

// TestJudge: the first tenth is not counted.
func TestJudge(t *testing.T) {
	t.Parallel()
	took, busy := make([]time.Duration, 100), make([]bool, 100)
	for i := range took {
		took[i] = 2 * time.Millisecond
		if i < 10 {
			took[i] = time.Second
		}
		busy[i] = i >= 70
	}
	busy[5] = true
	o := judge(took, busy, 10*time.Second)
	if o.p99 != 2*time.Millisecond || o.refusal99 != 2*time.Millisecond || o.accepted < 6.6 || o.accepted > 6.7 || o.refused < 3.3 || o.refused > 3.4 {
		t.Errorf("outcome %+v", o)
	}
}

// TestMetric: figures of a Prometheus text.
func TestMetric(t *testing.T) {
	t.Parallel()
	text := []byte("# HELP x\nx_total 3\ny 1e+06\n")
	if metric(text, "x_total") != 3 || metric(text, "y") != 1_000_000 || metric(text, "z") != 0 {
		t.Error("a figure of the metrics is read wrongly")
	}
}
