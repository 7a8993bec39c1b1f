package sim

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/deliver"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/keyring"
	"github.com/dialproof/dialproof/internal/limit"
	"github.com/dialproof/dialproof/internal/queue"
	"github.com/dialproof/dialproof/internal/store/memstore"
	"github.com/dialproof/dialproof/internal/verify"
)

// Times of the simulated deployment.
const (
	lease      = 30 * time.Second
	callLimit  = 10 * time.Second // of one call to a carrier
	pollEach   = 500 * time.Millisecond
	rpcTimeout = 25 * time.Second
)

// weather is how bad a run is. Every number but the counts is a chance.
type weather struct {
	nodes, numbers int
	brisk          bool          // loose limits, so that much happens
	minutes        int           // of bad weather
	think          time.Duration // how long people think at most
	skew           time.Duration // how far the clocks of nodes differ at most, each way
	failBefore     float64       // a store operation fails and has done nothing
	failAfter      float64       // a store operation fails and has been done
	twice          float64       // the store runs a piece of work twice, as after a serialization failure
	slow           time.Duration // how long a store operation takes at most
	outage         float64       // the store is away for a while, per minute
	crash, freeze  float64       // per minute and node
	drainChance    float64       // a node is stopped in good order, per minute and node
	lostAnswer     float64       // of an API request
	carrier        trouble
	plant          plant
}

// forecast draws the weather of a seed: calm ones too, so that each kind of fault is seen alone.
func forecast(r *rand.Rand) weather {
	maybe := func(top float64) float64 {
		if r.IntN(3) == 0 {
			return 0
		}
		return top * r.Float64()
	}
	w := weather{
		nodes: 1 + r.IntN(3), numbers: 2 + r.IntN(5), minutes: 6 + r.IntN(12),
		think:      []time.Duration{3 * time.Second, 20 * time.Second, 2 * time.Minute}[r.IntN(3)],
		failBefore: maybe(0.05), failAfter: maybe(0.05), twice: maybe(0.2), outage: maybe(0.2),
		crash: maybe(0.5), freeze: maybe(0.3), drainChance: maybe(0.3), lostAnswer: maybe(0.05),
		slow: time.Duration(maybe(2) * float64(time.Second)), skew: time.Duration(maybe(2) * float64(time.Second)),
	}
	w.carrier = trouble{
		unavailable: maybe(0.3),
		throttled:   maybe(0.2),
		refused:     maybe(0.1),
		rejected:    maybe(0.05),
		lost:        maybe(0.2),
		panics:      maybe(0.03),
		slow:        time.Duration(maybe(14) * float64(time.Second)),
		receipts:    r.Float64(),
		late:        time.Duration(maybe(60) * float64(time.Second)),
	}
	w.brisk = r.IntN(2) == 0
	if w.think > time.Minute && r.IntN(2) == 0 {
		w.think, w.minutes = 2*time.Hour, 60*30 // more than a day, for the limits of a day
	}
	return w
}

// world is a deployment, its carriers, and the people and applications around it.
type world struct {
	*sched
	weather
	data     *memstore.Data
	ring     *keyring.Ring
	apps     []application.Application
	nodes    []*node
	carriers []*carrier
	people   []*person
	judge    *judge
	limits   verify.Limits
	stormy   bool // faults happen
	away     time.Time
	fault    func(op string) fault // chooses the fault of each store operation
}

func newWorld(seed uint64, w weather) *world {
	ring, err := keyring.New([]keyring.Key{{ID: 1, Secret: []byte("0123456789abcdef0123456789abcdef")}})
	if err != nil {
		panic(err)
	}
	u := &world{sched: newSched(seed), weather: w, data: memstore.NewData(), ring: ring, stormy: true}
	u.fault = u.chance
	if u.limits = verify.DefaultLimits(); w.brisk {
		u.limits.Sends.Gaps = []time.Duration{3 * time.Second, 5 * time.Second}
		u.limits.Sends.Windows = []limit.Window{{Name: "number_hour", Max: 60, Span: time.Hour}}
	}
	u.judge = newJudge(u)
	ids := id.NewSource(id.ID{})
	u.apps = []application.Application{
		{ID: ids.New(time.Now()), Name: "shop", Brand: "Shop"},
		{ID: ids.New(time.Now()), Name: "bank", Brand: "Bank", Policy: application.Policy{FreshCodes: true, MaxAttempts: 3}},
		{ID: ids.New(time.Now()), Name: "club", Brand: "Club", Policy: application.Policy{
			Fallback: []application.Step{
				{Channel: channel.SMS, Wait: 15},
				{Channel: channel.SMS, Wait: 20},
				{Channel: channel.Voice},
			},
		}},
	}
	u.carriers = []*carrier{{u: u, name: "alpha"}, {u: u, name: "beta", byID: true}}
	for i := range w.nodes {
		u.nodes = append(u.nodes, &node{u: u, name: fmt.Sprintf("n%d", i), skew: u.between(-w.skew, w.skew)})
	}
	return u
}

// Application implements the directory of the composer.
func (u *world) Application(app id.ID) (application.Application, error) {
	for _, a := range u.apps {
		if a.ID == app {
			return a, nil
		}
	}
	return application.Application{}, application.ErrNotFound
}

// caller returns an application's own key.
func (u *world) caller(app int) application.Caller {
	a := u.apps[app]
	return application.Caller{
		App: &a,
		Key: &application.Key{App: a.ID, Mode: application.Live, Scopes: []application.Scope{application.Verify}},
	}
}

// node is a Dialproof: the real core, on the store of the world.
type node struct {
	u      *world
	name   string
	skew   time.Duration
	up     bool
	frozen time.Time // until then it does not run, as under SIGSTOP or a long collection of garbage

	full    map[string]time.Time // when it last had no room for a kind of job
	core    *verify.Service
	handler *deliver.Handler
	runner  *queue.Runner[deliver.Work]
}

// now is the node's clock.
func (n *node) now() time.Time { return time.Now().Add(n.skew) }

// boot starts the node again, with nothing in its memory.
func (n *node) boot() {
	u := n.u
	u.note("%s starts", n.name)
	u.judge.trouble()
	n.up, n.full = true, map[string]time.Time{}
	s := newNodeStore(u, n)
	last, err := s.db.Last(context.Background())
	if err != nil {
		panic(err)
	}
	ids := id.NewSource(last)
	routes := deliver.NewRoutes(nil)
	routes.Conversions = deliver.NewConversions(n.now, 7)
	var out []*deliver.Route
	for i, c := range u.carriers {
		out = append(out, &deliver.Route{
			Name:     c.name,
			Provider: "sim",
			Sender:   c.sender(n),
			Priority: i,
			Timeout:  callLimit,
			Slots:    make(chan struct{}, 2),
			Health:   deliver.NewHealth(n.now),
		})
	}
	routes.Replace(out, deliver.Priority)
	log := slog.New(slog.DiscardHandler)
	n.handler = &deliver.Handler{
		Store:     s,
		Routes:    routes,
		IDs:       ids,
		Now:       n.now,
		Log:       log,
		Metrics:   uncounted{},
		Lease:     lease,
		Next:      verify.NextKind,
		Retry:     deliver.RetryKind,
		Callbacks: &deliver.Callbacks{Ring: u.ring, PublicURL: "https://sim.example"},
		After:     func(d time.Duration, f func()) { n.later(d, f) },
		Writers:   1,
		Pause:     func(_ context.Context, d time.Duration) { u.pause(d) },
	}
	n.runner = queue.NewRunner(queue.Options[deliver.Work]{
		Store: s, Log: log, Now: n.now, Lease: lease, MaxOpen: 1000, Writers: 1,
		Kinds: []queue.Kind[deliver.Work]{
			{Name: verify.JobKind, Workers: 3, Run: n.watched(n.handler.Run), Yield: n.handler.Yield, Kept: n.handler.Kept},
			{Name: deliver.RetryKind, Workers: 3, Run: n.watched(n.handler.Run), Yield: n.handler.Yield},
			{
				Name:    verify.NextKind,
				Workers: 2,
				Run: n.watched(func(ctx context.Context, j queue.Job, _ deliver.Work) (bool, error) {
					return verify.Fallback{Service: n.core}.Run(ctx, j)
				}),
			},
		},
	})
	n.handler.Again = n.runner.Again
	n.core = verify.New(verify.Options{
		Store:        s,
		Router:       routes,
		Dispatch:     dispatcher{n.runner},
		Ring:         u.ring,
		IDs:          ids,
		Now:          n.now,
		Lease:        lease,
		AllowFiction: true,
		Limits:       u.limits,
		Metrics:      uncounted{},
		Approved:     n.handler.Approved,
	})
	n.handler.Composer = composer{verify.Composer{Service: n.core, Apps: u}}
	for i, kind := range []string{verify.JobKind, verify.JobKind, verify.JobKind, deliver.RetryKind, deliver.RetryKind,
		deliver.RetryKind, verify.NextKind, verify.NextKind} {
		n.spawn(fmt.Sprintf("worker%d", i), func() {
			for {
				u.until(0, func() bool { return n.runner.Ready(kind) > 0 })
				n.runner.Step(context.Background(), kind)
			}
		})
	}
	n.spawn("poll", func() {
		for turn := 0; ; turn++ {
			u.current.busy = true
			if n.up {
				n.runner.Poll(context.Background(), turn%4 == 0)
			}
			u.current.busy = false
			u.pause(pollEach)
			u.park(time.Time{}, nil, n.nextDue) // nothing is due: nothing would happen
		}
	})
}

// looksForRoom notes for which kinds of jobs the node has no room just now.
func (n *node) looksForRoom() {
	for _, kind := range []string{verify.JobKind, deliver.RetryKind, verify.NextKind} {
		if n.up && n.runner.Room(kind) == 0 {
			n.full[kind] = time.Now()
		}
	}
}

// nextDue returns when polling has an effect.
func (n *node) nextDue() (out time.Time) {
	for _, j := range n.u.data.Jobs() {
		if out.IsZero() || j.Due.Before(out) {
			out = j.Due
		}
	}
	if out.IsZero() {
		return out
	}
	return out.Add(-n.skew)
}

func (n *node) spawn(name string, f func()) *task { return n.u.spawn(n.name+" "+name, n, f) }

// later runs f on the node once d is over, if it lives that long.
func (n *node) later(d time.Duration, f func()) {
	n.spawn("later", func() { n.u.pause(d); f() })
}

// crash ends the node as kill -9 does.
func (n *node) crash() {
	n.u.note("%s is killed", n.name)
	n.u.judge.trouble()
	n.up = false
	n.frozen = time.Time{}
	n.u.judge.disturbed(n, "the node was killed")
	n.u.kill(n)
}

// drain stops the node in good order: running jobs end, leases go back, and then it is gone.
func (n *node) drain() {
	n.u.note("%s is stopped", n.name)
	n.u.judge.trouble()
	n.up = false
	n.u.spawn(n.name+" stop", n, func() {
		n.u.until(2*callLimit, func() bool { return !n.busy() })
		if err := n.runner.Stop(0); err != nil {
			n.u.note("leases were not given back: %v", err)
		}
		n.u.spawn("reaper", nil, func() {
			n.u.judge.disturbed(n, "the node was stopped and could not finish in time")
			n.u.kill(n)
			n.u.note("%s has stopped", n.name)
		})
		n.u.until(0, func() bool { return false })
	})
}

// busy reports whether a request, a worker or a claim is under way.
func (n *node) busy() bool {
	for _, t := range n.u.tasks {
		if t.node == n && (t.job != nil || t.busy) {
			return true
		}
	}
	return false
}

// composer hands deliver the messages that verify makes, as app does.
type composer struct{ verify.Composer }

func (c composer) Compose(ctx context.Context, ref id.ID, d channel.Delivery) (deliver.Composed, error) {
	m, test, open, err := c.Composer.Compose(ctx, ref, d)
	return deliver.Composed{Message: m, Test: test, Open: open}, err
}

var _ deliver.Composer = composer{}

// attempt is a job in somebody's hands.
type attempt struct{ queue.Job }

// watched notes which job a worker has in its hands.
func (n *node) watched(run func(context.Context, queue.Job, deliver.Work) (bool, error)) func(context.Context,
	queue.Job, deliver.Work) (bool, error) {
	return func(ctx context.Context, j queue.Job, w deliver.Work) (bool, error) {
		t := n.u.current
		t.job, t.call = &attempt{j}, nil
		done, err := run(ctx, j, w)
		if err != nil {
			n.u.note("job %s: %v", n.u.judge.name(j.ID), err)
		}
		if there := n.u.data.Job(j.ID) != nil; done && there {
			n.u.judge.fault("job %s is said to be done, and its row is there", n.u.judge.name(j.ID))
		}
		t.job, t.call = nil, nil
		return done, err
	}
}

// dispatcher hands the jobs that verify makes to what runs them, as app does.
type dispatcher struct{ *queue.Runner[deliver.Work] }

func (d dispatcher) Reserve() bool { return d.Runner.Reserve(verify.JobKind) }
func (d dispatcher) Release()      { d.Runner.Release(verify.JobKind) }
func (d dispatcher) Dispatch(j queue.Job, m *verify.Made) {
	d.Runner.Dispatch(j, deliver.Fresh((*deliver.Made)(m)))
}

// uncounted is metrics that count nothing.
type uncounted struct{}

func (uncounted) Started(*application.Application, channel.Kind, string) {}
func (uncounted) Checked(*application.Application, verify.Result)        {}
func (uncounted) Limited(string)                                         {}
func (uncounted) Delivery(string, channel.Kind, channel.Status)          {}
func (uncounted) Accepted(string, channel.Kind, time.Duration)           {}
func (uncounted) Failed(string, channel.ErrorKind)                       {}

// number returns the n-th number of the range that Ofcom keeps for drama.
func number(n int) string { return fmt.Sprintf("+447700900%03d", 100+n) }
