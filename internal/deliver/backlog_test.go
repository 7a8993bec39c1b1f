package deliver_test

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/deliver"
	"github.com/dialproof/dialproof/internal/deliver/delivertest"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/queue"
)

// patient is a carrier whose calls take a while, and which knows what it took.
type patient struct {
	mu    sync.Mutex
	takes time.Duration
	sent  map[string]int // by delivery
	down  bool
}

func (*patient) Channels() []channel.Kind { return []channel.Kind{channel.SMS} }

func (p *patient) Send(ctx context.Context, m channel.Message) (channel.Accepted, error) {
	p.mu.Lock()
	takes, down := p.takes, p.down
	p.mu.Unlock()
	select {
	case <-time.After(takes):
	case <-ctx.Done():
		return channel.Accepted{}, fault(channel.MaybeSent)
	}
	if down {
		return channel.Accepted{}, fault(channel.Unavailable)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent[m.Delivery]++
	return channel.Accepted{ID: "p"}, nil
}

// post is a node: a runner and a handler on a shelf.
type post struct {
	*bench
	runner *queue.Runner[deliver.Work]
	dead   context.Context
	die    context.CancelFunc
}

// mortal is a store that a dead node does not reach.
type mortal struct {
	*delivertest.Shelf
	dead context.Context
}

func (m mortal) Update(ctx context.Context, ref, job id.ID, work func(deliver.Tx) error) error {
	if m.dead.Err() != nil {
		return m.dead.Err()
	}
	return m.Shelf.Update(ctx, ref, job, work)
}

func newPost(t *testing.T, shelf *delivertest.Shelf, workers int, routes ...*deliver.Route) *post {
	t.Helper()
	p := &post{bench: newBench(t)}
	p.dead, p.die = context.WithCancel(context.Background())
	for _, r := range routes {
		r.Provider = "fake"
	}
	p.shelf = shelf
	p.Handler.Store, p.Handler.Routes, p.Handler.Now = mortal{shelf, p.dead}, deliver.NewRoutes(routes), time.Now
	p.Handler.IDs = id.NewSource(id.ID{})
	p.runner = queue.NewRunner(queue.Options[deliver.Work]{
		Store: shelf, Log: slog.New(slog.DiscardHandler), Now: time.Now,
		Kinds: []queue.Kind[deliver.Work]{
			{Name: "deliver", Workers: workers, Run: p.Handler.Run, Yield: p.Handler.Yield, Kept: p.Handler.Kept},
			{Name: deliver.RetryKind, Workers: workers, Run: p.Handler.Run, Yield: p.Handler.Yield},
		},
	})
	p.Handler.Again, p.Handler.Retry = p.runner.Again, deliver.RetryKind
	p.runner.Start()
	return p
}

// start writes a message down as a start does: held, when there is room, else due.
func (p *post) start(route string) {
	now := time.Now()
	ref := p.IDs.New(now)
	d := channel.Delivery{
		ID:      p.IDs.New(now),
		Channel: channel.SMS,
		Route:   route,
		Status:  channel.Queued,
		Created: now,
		Updated: now,
	}
	j := queue.Job{ID: d.ID, Kind: "deliver", Ref: ref, Due: now}
	if p.runner.Reserve("deliver") {
		d.Status, d.Attempt, j.Attempt = channel.Sending, 1, 1
		j.Hold(now.Add(30 * time.Second))
	}
	p.shelf.Lock()
	p.shelf.Parcels[ref] = deliver.Parcel{Ref: ref, Open: true, Expires: now.Add(time.Hour),
		Deliveries: []channel.Delivery{d}}
	p.shelf.Jobs[j.ID] = j
	p.shelf.Unlock()
	p.runner.Dispatch(j, deliver.Fresh(&deliver.Made{Delivery: d}))
}

// kill ends the node as kill -9 does: nothing that it had in hand is written any more.
func (p *post) kill(t *testing.T) {
	t.Helper()
	p.die()
	p.shelf.Lock()
	jobs, parcels := maps.Clone(p.shelf.Jobs), maps.Clone(p.shelf.Parcels)
	p.shelf.Unlock()
	_ = p.runner.Stop(0)
	p.shelf.Lock()
	p.shelf.Jobs, p.shelf.Parcels = jobs, parcels
	p.shelf.Unlock()
}

// sum counts the deliveries by status, and those that are marked as maybe sent.
func sum(s *delivertest.Shelf) (by map[channel.Status]int, doubted int) {
	s.Lock()
	defer s.Unlock()
	by = map[channel.Status]int{}
	for _, p := range s.Parcels {
		for _, d := range p.Deliveries {
			by[d.Status]++
			if d.Kind == channel.MaybeSent {
				doubted++
			}
		}
	}
	return by, doubted
}

// TestACrashUnderASustainedBacklog: more starts than a slow carrier takes, and then the node is killed. The next one,
// whose carrier is well, sends all that was not sent; twice only what was being called.
func TestACrashUnderASustainedBacklog(t *testing.T) {
	t.Parallel()
	for _, takes := range []time.Duration{500 * time.Millisecond, 900 * time.Millisecond, 2 * time.Second,
		9 * time.Second} {
		t.Run(takes.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				const workers, rate, seconds = 16, 60, 20
				shelf := delivertest.NewShelf()
				c := &patient{takes: takes, sent: map[string]int{}}
				route := func() *deliver.Route {
					return &deliver.Route{Name: "a", Sender: c, Timeout: 10 * time.Second, Slots: make(chan struct{}, 64)}
				}
				first := newPost(t, shelf, workers, route())
				for range rate * seconds {
					first.start("a")
					time.Sleep(time.Second / rate)
				}
				first.kill(t)
				before := len(c.sent)
				c.takes = 5 * time.Millisecond
				second := newPost(t, shelf, workers, route())
				time.Sleep(45 * time.Second)
				synctest.Wait()
				if err := second.runner.Stop(time.Minute); err != nil {
					t.Error(err)
				}
				twice := 0
				for _, n := range c.sent {
					twice += n - 1
				}
				by, _ := sum(shelf)
				if len(c.sent) != rate*seconds || len(shelf.Jobs) != 0 || by[channel.Taken] != rate*seconds {
					t.Errorf("%d of %d were sent, %d before the crash; %d jobs are left; %v", len(c.sent), rate*seconds, before,
						len(shelf.Jobs), by)
				}
				if twice > 2*workers {
					t.Errorf("%d were sent twice", twice)
				}
			})
		})
	}
}

// TestNobodyDoubtsWhatWasNotCalled: jobs whose leases would end while they wait, in memory or in a route's line, keep
// them or give them back. Each message is sent once, and none is taken for sent before.
func TestNobodyDoubtsWhatWasNotCalled(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		workers, slots, many int
		takes                time.Duration
	}{
		"in memory":       {workers: 2, slots: 64, many: 12, takes: 40 * time.Second},
		"in line":         {workers: 64, slots: 1, many: 60, takes: 3 * time.Second},
		"in both":         {workers: 4, slots: 2, many: 60, takes: 8 * time.Second},
		"line and memory": {workers: 8, slots: 1, many: 40, takes: 35 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				shelf := delivertest.NewShelf()
				carrier := &patient{takes: c.takes, sent: map[string]int{}}
				p := newPost(t, shelf, c.workers,
					&deliver.Route{Name: "a", Sender: carrier, Timeout: time.Minute, Slots: make(chan struct{}, c.slots)})
				for range c.many {
					p.start("a")
				}
				room := min(c.workers, c.slots)
				for range c.many/room + 3 {
					time.Sleep(c.takes)
					if _, doubted := sum(shelf); doubted > 0 {
						t.Fatalf("%d messages are taken for sent", doubted)
					}
				}
				synctest.Wait()
				for d, n := range carrier.sent {
					if n != 1 {
						t.Errorf("%s was sent %d times", d, n)
					}
				}
				if by, _ := sum(shelf); len(carrier.sent) != c.many || by[channel.Taken] != c.many || len(shelf.Jobs) != 0 ||
					p.runner.Open() != 0 {
					t.Errorf("%d of %d were sent; %v; %d jobs are left, %d are open", len(carrier.sent), c.many, by, len(shelf.Jobs),
						p.runner.Open())
				}
				if err := p.runner.Stop(time.Minute); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestAStopHandsOver: a node that stops gives back all that it has not called, from memory and from lines, and the next
// one sends it once, without a doubt.
func TestAStopHandsOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const many = 50
		shelf := delivertest.NewShelf()
		carrier := &patient{takes: time.Second, sent: map[string]int{}}
		route := func(slots int) *deliver.Route {
			return &deliver.Route{Name: "a", Sender: carrier, Timeout: 10 * time.Second, Slots: make(chan struct{}, slots)}
		}
		first := newPost(t, shelf, 16, route(2))
		for range many {
			first.start("a")
		}
		synctest.Wait()
		if err := first.runner.Stop(5 * time.Second); err != nil {
			t.Error(err)
		}
		by, doubted := sum(shelf)
		if by[channel.Taken] != 2 || by[channel.Queued] != many-2 || doubted > 0 {
			t.Errorf("after the stop: %v, %d in doubt", by, doubted)
		}
		for _, j := range shelf.Jobs {
			if j.Leased || j.Due.After(time.Now()) {
				t.Errorf("a job is due in %v", time.Until(j.Due))
			}
		}
		second := newPost(t, shelf, 64, route(64))
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if by, doubted := sum(shelf); by[channel.Taken] != many || doubted > 0 || len(carrier.sent) != many {
			t.Errorf("in the end: %v, %d in doubt, %d sent", by, doubted, len(carrier.sent))
		}
		if err := second.runner.Stop(time.Second); err != nil {
			t.Error(err)
		}
	})
}

// TestRetriesDoNotStarveNewMessages: while many messages come again and again, each for two seconds of a worker, a new
// one leaves at once.
func TestRetriesDoNotStarveNewMessages(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		old := &patient{takes: 2 * time.Second, sent: map[string]int{}, down: true}
		well := &patient{takes: 10 * time.Millisecond, sent: map[string]int{}}
		p := newPost(t, delivertest.NewShelf(), 4, &deliver.Route{
			Name:      "old",
			Sender:    old,
			Countries: []string{"GB"},
			Timeout:   10 * time.Second,
			Slots:     make(chan struct{}, 64),
		}, &deliver.Route{
			Name:      "new",
			Sender:    well,
			Countries: []string{"FR"},
			Timeout:   10 * time.Second,
			Slots:     make(chan struct{}, 64),
		})
		for range 100 {
			p.start("old")
		}
		time.Sleep(time.Minute + time.Second)
		before := time.Now()
		for len(well.sent) < 20 {
			p.start("new")
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
		}
		if took := time.Since(before); took > 2500*time.Millisecond {
			t.Errorf("20 new messages took %v", took)
		}
		if err := p.runner.Stop(time.Minute); err != nil {
			t.Error(err)
		}
	})
}

// TestOneJobForOneMessage: however often a message moves on, it has one job, which names its newest delivery.
func TestOneJobForOneMessage(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, c := range b.carriers {
		c.script = []error{fault(channel.Unavailable)}
		c.during = func() {
			b.shelf.Lock()
			defer b.shelf.Unlock()
			newest := b.shelf.Parcels[b.job.Ref].Deliveries
			named := b.shelf.Jobs[b.job.ID].Payload
			if len(b.shelf.Jobs) != 1 || (len(newest) > 1 && id.ID(named) != newest[len(newest)-1].ID) {
				t.Errorf("%d jobs for %d deliveries", len(b.shelf.Jobs), len(newest))
			}
		}
	}
	if done, err := b.Run(t.Context(), b.job, deliver.Work{}); err != nil || done || len(b.shelf.Jobs) != 1 {
		t.Errorf("%t, %v, %d jobs", done, err, len(b.shelf.Jobs))
	}
}
