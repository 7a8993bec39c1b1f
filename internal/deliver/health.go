package deliver

import (
	"sync"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/phone"
)

// When a route counts as sick.
const (
	// tripAfter is how many calls in a row may fail before the circuit opens.
	tripAfter = 5
	// restFor is how long an open circuit rests before one message tries the route again. staleFor is how much longer it
	// rests for a message that has failed before, so that one that always fails does not take every trial.
	restFor  = 5 * time.Second
	staleFor = time.Second
	// partRest is how long the others go first for messages of a country or a sender that a route has refused so often.
	partRest = time.Minute
	// maxParts bounds the countries and senders of a route that are remembered.
	maxParts = 4096
	// silence is how long a route may leave all its calls without an answer, and silentCalls how many those must be. A
	// route that is known to answer faster has four times as long as it takes on average, but silenceLeast; one that has
	// never answered, silenceUnmet.
	silence      = 500 * time.Millisecond
	silenceUnmet = 250 * time.Millisecond
	silenceLeast = 100 * time.Millisecond
	silentCalls  = 3
)

// Health watches the calls of one route. A route that fails or falls silent is tried after the healthy ones; one whose
// circuit is open is not called, but for a trial now and then. What fails because of a message is counted against
// others of its kind alone: the route comes last for them, and is as well as before for all others.
type Health struct {
	now func() time.Time

	mu       sync.Mutex
	line     circuit // what is about the account or the line, and so about everybody
	parts    map[part]*circuit
	calls    map[*call]struct{}
	answered time.Time     // the newest answer
	mean     time.Duration // how long answers take, the newer the more
	paused   time.Time     // until when the provider has asked to be left alone
	hung     time.Time     // when a call was last given up
	told     string        // why the route was last said to be unwell
	since    time.Time     // when that was
}

// part is a part of the messages of a route: those to a country, of a sender, or both.
type part struct {
	about channel.Subject
	name  string
}

// circuit counts failures in a row. After too many it is open, and rests.
type circuit struct {
	failures int
	open     bool
	blame    *channel.Error // the failure that opened it
	// fresh and stale are the trials by messages that have not failed before, and by those that have. The second ones wait
	// a little longer, and their failures, which are nothing new, keep nobody else from a trial.
	fresh, stale trials
}

// trials are how an open circuit is tried.
type trials struct {
	rested time.Time // since when it rests
	run    bool      // a call is under way that decides
}

// of returns the trials that a message may take.
func (c *circuit) of(stale bool) *trials {
	if stale {
		return &c.stale
	}
	return &c.fresh
}

func (c *circuit) bad(now time.Time, e *channel.Error) {
	c.failures++
	if c.failures >= tripAfter && !c.open {
		c.open, c.blame = true, e
		c.fresh.rested, c.stale.rested = now, now.Add(staleFor)
	}
}

func (c *circuit) good() { c.failures, c.open, c.blame = 0, false, nil }

// query is what a route is looked for.
type query struct {
	to   phone.Number
	kind channel.Kind
	test bool
	// sender is the sender of the messages within the application; empty: not known yet.
	sender string
	// stale messages have failed before.
	stale bool
}

// call is a call that is under way; nil for a route without a Health.
type call struct {
	health *Health
	began  time.Time
	query  query
	trial  bool
}

// NewHealth returns the health of a route that is well.
func NewHealth(now func() time.Time) *Health {
	return &Health{now: now, calls: map[*call]struct{}{}, parts: map[part]*circuit{}}
}

// begin asks whether a call may be made. Who makes it tells the call its end.
func (h *Health) begin(q query) (c *call, refusal *channel.Error) {
	if h == nil {
		return nil, nil
	}
	c = &call{health: h, began: h.now(), query: q}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.silent(c.began, h.slowest()) {
		return nil, resting(nil)
	}
	if h.line.open {
		if why := h.line.rests(c.began, q.stale); why != "" {
			return nil, resting(h.line.blame)
		}
		c.trial, h.line.of(q.stale).run = true, true
	}
	h.calls[c] = struct{}{}
	return c, nil
}

// resting is the answer while a route is not called. A refused account is refused to everybody.
func resting(blame *channel.Error) *channel.Error {
	e := &channel.Error{
		Kind:   channel.Unavailable,
		Code:   codeOpen,
		Detail: "the route has failed several times in a row and rests",
	}
	if blame != nil && blame.Kind == channel.Refused {
		e.Kind, e.About, e.Detail = channel.Refused, blame.Subject(), "the provider has refused the account several "+
			"times in a row ("+blame.Code+"), and the route rests"
	}
	return e
}

// rests returns why an open circuit is not tried now; empty when it is time for a trial.
func (c *circuit) rests(now time.Time, stale bool) string {
	switch t := c.of(stale); {
	case t.run:
		return "on trial"
	case now.Before(t.rested.Add(restFor)):
		return "circuit open"
	}
	return ""
}

// end says what became of the call; nil: the message was taken.
func (c *call) end(e *channel.Error) {
	if c == nil {
		return
	}
	h, now := c.health, c.health.now()
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.calls, c)
	trials := h.line.of(c.query.stale)
	if c.trial {
		trials.run = false
	}
	h.learn(c, e, now)
	if e != nil && (ours(e) || e.Kind == channel.Throttled) {
		return // says nothing of the route
	}
	if e != nil && (e.Subject() == channel.OfRoute || e.Subject() == channel.OfAccount) {
		if !c.query.stale { // the failure of one that has failed before is nothing new
			h.line.bad(now, e)
		}
		if c.trial {
			trials.rested, h.line.blame = now, e
		}
		return
	}
	h.line.good()
	h.judge(c.query, e, now)
}

// learn takes notes of the time that an answer took. The caller must hold h.mu.
func (h *Health) learn(c *call, e *channel.Error, now time.Time) {
	took := now.Sub(c.began)
	switch {
	case e != nil && ours(e):
		return
	case e != nil && e.Kind == channel.MaybeSent && e.Subject() == channel.OfRoute:
		if e.Code == codeSilent { // the next one has a little longer, should the route be slow
			h.hung, h.mean = now, max(h.mean, min(took, hangs))
		}
		return
	case e != nil && e.Kind == channel.Throttled:
		if pause := min(e.RetryAfter, maxPause); pause > 0 {
			h.paused = now.Add(pause)
		}
	}
	h.answered = now
	if h.mean == 0 {
		h.mean = took
	}
	h.mean += (took - h.mean) / 8
}

// judge counts what an answer says of messages like this one. The caller must hold h.mu.
func (h *Health) judge(q query, e *channel.Error, now time.Time) {
	if e != nil && e.Kind == channel.Rejected {
		return // a number that does not work says nothing of other numbers
	}
	for _, p := range q.parts() {
		c := h.parts[p]
		switch {
		case e == nil && c != nil:
			delete(h.parts, p)
		case e != nil && e.Subject() == p.about:
			if c == nil {
				if len(h.parts) >= maxParts {
					clear(h.parts) // bounded: what matters is learned again
				}
				c = &circuit{}
				h.parts[p] = c
			}
			if c.bad(now, e); c.open {
				c.fresh.rested = now
			}
		}
	}
}

// parts are the parts that a message belongs to.
func (q query) parts() []part {
	to := part{channel.OfDestination, q.to.Country()}
	if q.sender == "" {
		return []part{to}
	}
	return []part{
		to,
		{channel.OfSender, q.sender},
		{channel.OfTemplate, q.sender},
		{channel.OfMessage, q.to.Country() + "\x00" + q.sender},
	}
}

// sick returns why others go first for a message; empty when the route is well, or when it is time to try it again.
func (h *Health) sick(q query) string {
	if h == nil {
		return ""
	}
	now := h.now()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.line.open {
		return h.line.rests(now, q.stale)
	}
	if why := h.quiet(now); why != "" || len(h.parts) == 0 {
		return why
	}
	for _, p := range q.parts() {
		if c := h.parts[p]; c != nil && c.open && now.Before(c.fresh.rested.Add(partRest)) {
			if p.about == channel.OfDestination {
				return "refuses " + p.name
			}
			return "refuses the " + string(p.about)
		}
	}
	return ""
}

// quiet returns why the route is left alone although its circuit is closed. The caller must hold h.mu.
func (h *Health) quiet(now time.Time) string {
	switch {
	case h.silent(now, h.patience()), h.answered.Before(h.hung) && now.Before(h.hung.Add(restFor)):
		return "not answering"
	case now.Before(h.paused):
		return "asked for a pause"
	}
	return ""
}

// Unwell returns why the route is not well for everybody; empty when it is. Unlike the choice of routes it does not
// call a route well because it is time for a trial.
func (h *Health) Unwell() string {
	if h == nil {
		return ""
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.unwell(h.now())
}

func (h *Health) unwell(now time.Time) string {
	if h.line.open {
		return "circuit open"
	}
	return h.quiet(now)
}

// news reports that the route has left or returned since it was last asked: why it is unwell now, empty when it is well
// again, and then for how long it was not.
func (h *Health) news() (why string, unwell time.Duration, changed bool) {
	if h == nil {
		return "", 0, false
	}
	now := h.now()
	h.mu.Lock()
	defer h.mu.Unlock()
	why = h.unwell(now)
	changed = (why == "") != (h.told == "")
	if changed {
		unwell, h.told, h.since = now.Sub(h.since), why, now
	}
	return why, unwell, changed
}

// maxPause bounds how long a provider's wish to be left alone is kept.
const maxPause = time.Minute

// patience is how long the calls of the route may wait before others go first. The caller must hold h.mu.
func (h *Health) patience() time.Duration {
	if h.mean == 0 {
		return silenceUnmet
	}
	return min(max(4*h.mean, silenceLeast), silence)
}

// slowest is how long they may wait before the route counts as hanging: it is not called any more then, and a call that
// has an order of channels behind it is given up. The caller must hold h.mu.
func (h *Health) slowest() time.Duration { return max(hangs, 3*h.mean) }

// silent reports whether so many calls have waited for longer, and nobody has been answered since. The caller must hold
// h.mu.
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

// unheard reports whether nobody has been answered since a call began.
func (h *Health) unheard(began time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.answered.After(began)
}
