package webhook

import (
	"context"
	"sync"
	"time"

	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/queue"
)

// How many calls to one endpoint this node has under way at once: perEndpoint while all is well, one while it fails, so
// that endpoints that hang take few workers from the others.
const (
	perEndpoint = 8
	// deadlines is the same for the deadlines that come due.
	deadlines = 32
	// sick is how many failures in a row make an endpoint a failing one.
	sick = 3
	// measureEvery is how often the backlog is counted.
	measureEvery = 5 * time.Second
)

// jobKind is the kind of the jobs that lanes hand out.
const jobKind = "event"

// Lanes is the queue of events, one lane for each endpoint: it implements queue.Store for a runner of its own.
type Lanes struct {
	Directory *Directory
	// Workers is how many workers the runner has. No more is claimed than they can begin at once.
	Workers int

	wake func() // looks for due events now

	mu       sync.Mutex
	lanes    map[id.ID]*lane
	claimed  map[id.ID]*Event // by row, until their jobs begin
	turn     int
	measured time.Time
	depth    queue.Depth
}

// lane is what this node knows of an endpoint's calls.
type lane struct {
	held   map[id.ID]time.Time // rows that are under way, each until its lease ends
	streak int                 // failures in a row
	paused time.Time           // until when the endpoint wants to be left alone
}

// at returns the lane of an endpoint. The lock is held.
func (l *Lanes) at(endpoint id.ID) *lane {
	if l.lanes == nil {
		l.lanes = map[id.ID]*lane{}
	}
	a := l.lanes[endpoint]
	if a == nil {
		a = &lane{held: map[id.ID]time.Time{}}
		l.lanes[endpoint] = a
	}
	return a
}

// room returns how many more calls a lane may have. Rows whose lease has ended are somebody else's by now.
func (a *lane) room(endpoint id.ID, now time.Time) int {
	for row, until := range a.held {
		if !now.Before(until) {
			delete(a.held, row)
		}
	}
	most := perEndpoint
	switch {
	case now.Before(a.paused):
		return 0
	case endpoint.IsZero():
		most = deadlines
	case a.streak >= sick:
		most = 1
	}
	return max(most-len(a.held), 0)
}

// Claim implements queue.Store.
func (l *Lanes) Claim(ctx context.Context, now time.Time, _ string, n int, lease time.Duration) ([]queue.Job, error) {
	waiting, err := l.Directory.Store.Lanes(ctx)
	if err != nil {
		return nil, err
	}
	shares := l.shares(waiting, now, n)
	if len(shares) == 0 {
		return nil, nil
	}
	events, err := l.Directory.Store.ClaimEvents(ctx, now, shares, lease)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	jobs := make([]queue.Job, len(events))
	for i := range events {
		e := &events[i]
		l.at(e.Endpoint).held[e.ID] = e.Due
		if l.claimed == nil {
			l.claimed = map[id.ID]*Event{}
		}
		l.claimed[e.ID] = e
		jobs[i] = queue.Job{ID: e.ID, Kind: jobKind, Due: e.Due, Leased: true, Attempt: e.Claims, Ref: e.Endpoint}
	}
	return jobs, nil
}

// take takes the event of a job that begins, or nil.
func (l *Lanes) take(row id.ID) *Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.claimed[row]
	delete(l.claimed, row)
	return e
}

// shares divides n claims among the lanes, beginning at another one each time, so that none waits for ever.
func (l *Lanes) shares(waiting []Lane, now time.Time, n int) (out []Share) {
	l.mu.Lock()
	defer l.mu.Unlock()
	busy := 0
	for _, a := range l.lanes {
		busy += len(a.held)
	}
	n = min(n, l.Workers-busy)
	l.turn++
	for i := range waiting {
		w := waiting[(i+l.turn)%len(waiting)]
		if n <= 0 || now.Before(w.First) || !l.Directory.sends(w.Endpoint) {
			continue
		}
		if most := min(l.at(w.Endpoint).room(w.Endpoint, now), n); most > 0 {
			out = append(out, Share{w.Endpoint, most})
			n -= most
		}
	}
	return out
}

// sends reports whether the rows of a lane are to be run. Those of an endpoint that is disabled wait, and those of one
// that is gone end with the retention.
func (d *Directory) sends(endpoint id.ID) bool {
	if endpoint.IsZero() {
		return true
	}
	e, ok := d.snapshot.Load().all[endpoint]
	return ok && e.Enabled()
}

// Return implements queue.Store: the leases of what has not begun end by themselves, soon, because no more is claimed
// than the workers begin at once.
func (l *Lanes) Return(_ context.Context, _ time.Time, jobs []queue.Job) error {
	for i := range jobs {
		l.take(jobs[i].ID)
	}
	return nil
}

// Depth implements queue.Store. What waits for endpoints that are disabled does not count.
func (l *Lanes) Depth(ctx context.Context, now time.Time) (queue.Depth, error) {
	l.mu.Lock()
	depth := l.depth
	fresh := !l.measured.IsZero() && now.Sub(l.measured) < measureEvery
	l.mu.Unlock()
	if fresh {
		return depth, nil
	}
	all, err := l.Directory.Store.Backlogs(ctx)
	if err != nil {
		return depth, err
	}
	depth = queue.Depth{}
	for _, b := range all {
		if !b.Endpoint.IsZero() && l.Directory.sends(b.Endpoint) {
			depth.Open += b.Open
			depth.Overdue = max(depth.Overdue, now.Sub(b.First))
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.measured, l.depth = now, depth
	return depth, nil
}

// ended takes a row out of its lane, with what its endpoint made of it, and lets the next one in.
func (l *Lanes) ended(e *Event, o outcome, now time.Time) {
	l.note(e, o, now)
	l.wake()
}

func (l *Lanes) note(e *Event, o outcome, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.at(e.Endpoint)
	delete(a.held, e.ID)
	switch {
	case o.result == "" || o.result == taken:
		a.streak = 0
	default:
		a.streak++
	}
	if o.result == throttled {
		a.paused = now.Add(max(o.retry, throttleFor))
	}
}

// throttleFor is how long an endpoint that cannot keep up is left alone at least.
const throttleFor = 5 * time.Second
