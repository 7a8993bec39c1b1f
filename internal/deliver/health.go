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

// call is a call that is under way; nil for a route without a Health.
type call struct {
	health *Health
	began  time.Time
	report func(error) // to the breaker
}

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

// begin asks whether a call may be made. Who makes it tells the call its end.
func (h *Health) begin() (c *call, ok bool) {
	if h == nil {
		return nil, true
	}
	c = &call{health: h, began: h.now()}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.silent(c.began, h.slowest()) {
		return nil, false
	}
	var err error
	if c.report, err = h.breaker.Allow(); err != nil {
		return nil, false
	}
	h.calls[c] = struct{}{}
	return c, true
}

// end says what became of the call.
func (c *call) end(fault *channel.Error) {
	if c == nil {
		return
	}
	var err error // not an interface around nil
	if fault != nil {
		err = fault
	}
	c.health.ended(c, err)
	c.report(err)
}

// ended learns from the end of a call.
func (h *Health) ended(c *call, err error) {
	now := h.now()
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.calls, c)
	if err != nil {
		e := channel.AsError("", err)
		if pause := asked(e); pause > 0 {
			h.paused = now.Add(pause)
		}
		if e.Kind == channel.MaybeSent {
			return
		}
	}
	h.answered = now
	took := now.Sub(c.began)
	if h.mean == 0 {
		h.mean = took
	}
	h.mean += (took - h.mean) / 8
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
	now := h.now()
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.silent(now, h.patience()):
		return "not answering"
	case now.Before(h.paused):
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

// patience is how long the calls of the route may wait before others go first. Who asks holds the lock.
func (h *Health) patience() time.Duration {
	if h.mean == 0 {
		return silenceUnmet
	}
	return min(max(4*h.mean, silenceLeast), silence)
}

// slowest is how long they may wait before the route counts as hanging: it is not called any more then, and a call that has an
// order of channels behind it is given up. Who asks holds the lock.
func (h *Health) slowest() time.Duration { return max(hangs, 3*h.mean) }

// silent tells whether so many calls have waited for longer, and nobody has been answered since. Who asks holds the lock.
func (h *Health) silent(now time.Time, patience time.Duration) bool {
	since := now.Add(-patience)
	if h.answered.After(since) {
		return false // as nearly always: the calls need not be looked through
	}
	quiet := 0
	for c := range h.calls {
		if c.began.Before(since) && c.began.After(h.answered) {
			quiet++
		}
	}
	return quiet >= silentCalls
}
