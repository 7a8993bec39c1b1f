package deliver

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/queue"
)

// maxLine bounds the jobs that wait on this node for room on one route. With the usual 64 calls at once, of 300 ms
// each, the last one waits for 5 s. More are put off in the store.
const maxLine = 1024

// lines are the jobs that wait for room on a route, because it makes as many calls as it may and no other route would
// have them: by the route's name, so that they outlive a change of the configuration, first come, first served. A job
// costs nothing while it waits, but the renewal of its lease now and then.
type lines struct {
	mu sync.Mutex
	of map[string]*line
}

type line struct {
	jobs    []queue.Held[Work]
	armed   bool      // a time is running after which the next one is called
	renewed time.Time // when leases were last looked at
}

// turn is what a job has whose turn it is on a route: others have to let it pass. When it does not take its place, it
// passes the turn on.
type turn struct {
	route string
	taken bool
}

// join adds a job, at the end unless its turn has come already, and reports whether there was room. What is known of it
// may no longer be so when its turn comes.
func (l *lines) join(route string, j queue.Job, work Work) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of == nil {
		l.of = map[string]*line{}
	}
	if l.of[route] == nil {
		l.of[route] = &line{}
	}
	w := l.of[route]
	h := queue.Held[Work]{Job: j, Carry: Work{written: work.written}}
	if work.turn != nil {
		w.jobs = slices.Insert(w.jobs, 0, h)
		return true
	}
	if len(w.jobs) >= maxLine {
		return false
	}
	w.jobs = append(w.jobs, h)
	return true
}

// next takes the first up to n jobs. Those whose lease is over are somebody else's by now, and leave the line.
func (l *lines) next(route string, n int, now time.Time) (out []queue.Held[Work]) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.of[route]
	if w == nil {
		return nil
	}
	taken := 0
	for ; taken < len(w.jobs) && len(out) < n; taken++ {
		if h := w.jobs[taken]; now.Before(h.Due) {
			h.Carry.turn = &turn{route: route}
			out = append(out, h)
		}
	}
	w.jobs = slices.Delete(w.jobs, 0, taken)
	return out
}

// ending returns the jobs whose lease ends before the time given, which still wait.
func (l *lines) ending(route string, now, until time.Time) (out []queue.Job) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.of[route]
	if w == nil || now.Sub(w.renewed) < lookEvery {
		return nil
	}
	w.renewed = now
	for _, h := range w.jobs {
		if h.Due.Before(until) {
			out = append(out, h.Job)
		}
	}
	return out
}

// renewed notes a longer lease of a job that still waits, or with the zero time that it is somebody else's.
func (l *lines) renewed(route string, j queue.Job, until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.of[route]
	i := slices.IndexFunc(w.jobs, func(h queue.Held[Work]) bool { return h.ID == j.ID && h.Attempt == j.Attempt })
	switch {
	case i < 0:
	case until.IsZero():
		w.jobs = slices.Delete(w.jobs, i, i+1)
	default:
		w.jobs[i].Hold(until)
	}
}

// waiting reports whether anybody does.
func (l *lines) waiting(route string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.of[route]
	return w != nil && len(w.jobs) > 0
}

// arm reports whether a time has to be set: there is none, and somebody waits.
func (l *lines) arm(route string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.of[route]
	if w == nil || w.armed || len(w.jobs) == 0 {
		return false
	}
	w.armed = true
	return true
}

// disarm notes that the time is over.
func (l *lines) disarm(route string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.of[route].armed = false
}

// Waiting returns how many messages wait on this node for room on each route, by its name.
func (h *Handler) Waiting() map[string]int {
	out := map[string]int{}
	for _, r := range h.Routes.All() {
		out[r.Name] = 0
	}
	h.lines.mu.Lock()
	defer h.lines.mu.Unlock()
	for name, w := range h.lines.of {
		if len(w.jobs) > 0 {
			out[name] = len(w.jobs)
		}
	}
	return out
}

// Unwell returns why each route is not well, by its name; empty for one that is.
func (h *Handler) Unwell() map[string]string {
	out := map[string]string{}
	for _, r := range h.Routes.All() {
		h.notice(r)
		if out[r.Name] = r.Health.Unwell(); out[r.Name] == "" {
			out[r.Name] = h.Routes.Conversions.trouble(r.Name)
		}
	}
	return out
}

// Kept returns the jobs that wait for room, and forgets them.
func (h *Handler) Kept() (out []queue.Held[Work]) {
	h.lines.mu.Lock()
	defer h.lines.mu.Unlock()
	for _, w := range h.lines.of {
		out = append(out, w.jobs...)
		w.jobs = nil
	}
	return out
}

func busy(r *Route) *channel.Error {
	return &channel.Error{Kind: channel.Throttled, Provider: r.Provider, Code: codeBusy, RetryAfter: time.Second}
}

// enter takes a place on a route. Who has one calls leave.
func (h *Handler) enter(r *Route) *channel.Error {
	select {
	case r.Slots <- struct{}{}:
	default:
		return busy(r)
	}
	if r.Rate != nil && !r.Rate.AllowN(h.Now(), 1) {
		<-r.Slots
		return &channel.Error{Kind: channel.Throttled, Provider: r.Provider, Code: codeRate, RetryAfter: time.Second}
	}
	return nil
}

// leave gives the place to the first who waits for it. When the configuration has changed meanwhile, all the places of
// the new route may be free.
func (h *Handler) leave(r *Route) {
	<-r.Slots
	if !h.lines.waiting(r.Name) {
		return
	}
	n := 1
	if now := h.Routes.Named(r.Name); now != nil && now != r {
		n = cap(now.Slots)
	}
	h.pass(r.Name, n)
}

// pass lets the next who wait for a route run, if it would have them. Where there is no such route any more, all of
// them look for another one.
func (h *Handler) pass(route string, n int) {
	r := h.Routes.Named(route)
	switch {
	case r == nil || r.Quiet:
		n = maxLine
	case r.Rate != nil && r.Rate.TokensAt(h.Now()) < 1: // its time will come
		return
	default:
		n = min(n, cap(r.Slots)-len(r.Slots))
	}
	h.resume(route, n)
}

// resume lets the next jobs that wait for a route run.
func (h *Handler) resume(route string, n int) {
	for _, j := range h.lines.next(route, n, h.Now()) {
		h.Again(j.Job, j.Carry)
	}
}

// missed reports whether a job has waited in line until it was time for another channel to go on.
func (t *try) missed() bool {
	return t.w.turn != nil && t.parcel != nil && t.parcel.Timer == t.j.ID &&
		!t.h.now().Before(t.j.ID.Time().Add(t.parcel.Wait))
}

// wait keeps a job until its route has room, and reports whether it does: not where another route would have it, nor
// when too many wait.
func (t *try) wait(e *channel.Error) bool {
	h, r := t.h, t.route
	if h.Again == nil || (e.Code != codeBusy && e.Code != codeRate) || t.others() || !h.lines.join(r.Name, t.j, t.w) {
		return false
	}
	h.arm(r)
	h.pass(r.Name, 1) // room may have been made just before the job had joined
	return true
}

// others reports whether another route that is well would have the job, and has not been tried in this round.
func (t *try) others() bool {
	return slices.ContainsFunc(t.h.Routes.candidates(t.query()), func(o candidate) bool {
		return o.sick == "" && o.Name != t.route.Name && !slices.Contains(t.w.tried, o.Name)
	})
}

// lookEvery is how often a line is looked at in which nobody was called, in case that a turn was lost: the lease of a
// job may end just when it is called.
const lookEvery = time.Second

// arm lets those who wait for a route run when its rate allows, or when nobody has called them.
func (h *Handler) arm(r *Route) {
	if !h.lines.arm(r.Name) {
		return
	}
	d := lookEvery
	if r.Rate != nil {
		now := h.Now()
		next := r.Rate.ReserveN(now, 1)
		d = min(max(next.DelayFrom(now), time.Millisecond), d)
		next.CancelAt(now)
	}
	h.later(d, func() {
		h.lines.disarm(r.Name)
		h.renewLine(r.Name)
		n := cap(r.Slots) - len(r.Slots)
		if r.Rate != nil {
			n = min(n, max(int(r.Rate.TokensAt(h.Now())), 1))
		}
		h.resume(r.Name, n)
		h.arm(r)
	})
}

// renewLine renews the leases of those who wait for a route before they end. Where that fails it is tried again until
// they do; then their rows are due.
func (h *Handler) renewLine(route string) {
	now := h.now()
	jobs := h.lines.ending(route, now, now.Add(h.Lease/2))
	most := h.Writers
	if most == 0 {
		most = 32
	}
	queue.Share(most, len(jobs), func(i int) {
		j := jobs[i]
		j.Hold(now.Add(h.Lease))
		//nolint:forbidigo // no request asked for it; the store bounds a commit
		err := h.Store.Update(context.Background(), j.Ref, j.ID, func(tx Tx) error { return renew(tx, j) })
		switch {
		case err == nil:
			h.lines.renewed(route, j, j.Due)
		case errors.Is(err, errSettled):
			h.lines.renewed(route, j, time.Time{})
		default:
			h.Log.Error("the lease of a message that waits cannot be renewed", "route", route, "error", err)
		}
	})
}
