package deliver

import (
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/dialproof/dialproof/internal/channel"
)

// When a route counts as sick.
const (
	// tripAfter is how many calls in a row may fail before the circuit opens.
	tripAfter = 5
	// restFor is how long an open circuit rests before one message tries the route again.
	restFor = 5 * time.Second
	// silence is how long a route may leave all its calls without an answer, and silentCalls how many those must be. A route that
	// is known to answer faster has four times as long as it takes on average, but silenceLeast; one that has never answered, silenceUnmet.
	silence      = 500 * time.Millisecond
	silenceUnmet = 250 * time.Millisecond
	silenceLeast = 100 * time.Millisecond
	silentCalls  = 3
)

// Health watches the calls of one route. A route that fails or falls silent is tried after the healthy ones; one whose
// circuit is open is not called, but for a trial now and then.
type Health struct {
	now     func() time.Time
	breaker *gobreaker.TwoStepCircuitBreaker[struct{}]

	mu       sync.Mutex
	calls    map[*call]struct{}
	answered time.Time     // the newest answer
	mean     time.Duration // how long answers take, the newer the more
	paused   time.Time     // until when the provider has asked to be left alone
}

// call is a call that is under way.
type call struct{ began time.Time }

// NewHealth answers the health of a route that is well.
func NewHealth(now func() time.Time) *Health {
	return &Health{now: now, calls: map[*call]struct{}{}, breaker: gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		MaxRequests: 1, Timeout: restFor,
		ReadyToTrip:  func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= tripAfter },
		IsSuccessful: healthy,
		IsExcluded:   func(err error) bool { return err != nil && channel.AsError("", err).Kind == channel.Throttled },
	})}
}

// healthy tells whether a call's end says that the route works: a number that cannot be reached is no fault of its own.
func healthy(err error) bool {
	return err == nil || channel.AsError("", err).Kind == channel.Rejected
}

// begin asks whether a call may be made, and answers how to report its end.
func (h *Health) begin() (done func(error), ok bool) {
	if h == nil {
		return func(error) {}, true
	}
	if h.silent(h.slowest()) {
		return nil, false
	}
	report, err := h.breaker.Allow()
	if err != nil {
		return nil, false
	}
	c := &call{h.now()}
	h.mu.Lock()
	h.calls[c] = struct{}{}
	h.mu.Unlock()
	return func(err error) {
		h.mu.Lock()
		if err != nil {
			if pause := asked(channel.AsError("", err)); pause > 0 {
				h.paused = h.now().Add(pause)
			}
		}
		delete(h.calls, c)
		if err == nil || channel.AsError("", err).Kind != channel.MaybeSent {
			h.answered = h.now()
			took := h.answered.Sub(c.began)
			if h.mean == 0 {
				h.mean = took
			}
			h.mean += (took - h.mean) / 8
		}
		h.mu.Unlock()
		report(err)
	}, true
}

// sick answers why the route is not well; empty when it is, or when it is time to try it again.
func (h *Health) sick() string {
	if h == nil {
		return ""
	}
	switch h.breaker.State() {
	case gobreaker.StateOpen:
		return "circuit open"
	case gobreaker.StateHalfOpen:
		if h.breaker.Counts().Requests > 0 {
			return "on trial"
		}
		return ""
	case gobreaker.StateClosed:
	}
	if h.silent(h.patience()) {
		return "not answering"
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.now().Before(h.paused) {
		return "asked for a pause"
	}
	return ""
}

// maxPause bounds how long a provider's wish to be left alone is kept.
const maxPause = time.Minute

// asked answers how long a provider wants to be left alone; 0 when it said nothing of it, or when it was our own limit that held
// the call back.
func asked(e *channel.Error) time.Duration {
	if e.Kind != channel.Throttled || e.Code == codeRate || e.Code == codeBusy {
		return 0
	}
	return min(e.RetryAfter, maxPause)
}

// patience is how long the calls of the route may wait before others go first.
func (h *Health) patience() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.mean == 0 {
		return silenceUnmet
	}
	return min(max(4*h.mean, silenceLeast), silence)
}

// slowest is how long they may wait before the route counts as hanging: it is not called any more then, and a call that has an
// order of channels behind it is given up.
func (h *Health) slowest() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return max(hangs, 3*h.mean)
}

// silent tells whether so many calls have waited for longer, and nobody has been answered since.
func (h *Health) silent(patience time.Duration) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	quiet, since := 0, h.now().Add(-patience)
	for c := range h.calls {
		if c.began.Before(since) && c.began.After(h.answered) {
			quiet++
		}
	}
	return quiet >= silentCalls
}
