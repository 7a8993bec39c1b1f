package deliver_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/deliver"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/queue"
)

// slow is a sender that takes a while for each message.
type slow struct {
	mu        sync.Mutex
	now, most int
	sent      []string // deliveries
}

func (*slow) Channels() []channel.Kind { return []channel.Kind{channel.SMS} }

func (s *slow) Send(_ context.Context, m channel.Message) (channel.Accepted, error) {
	s.mu.Lock()
	s.now++
	s.most = max(s.most, s.now)
	s.sent = append(s.sent, m.Delivery)
	s.mu.Unlock()
	time.Sleep(100 * time.Millisecond)
	s.mu.Lock()
	s.now--
	s.mu.Unlock()
	return channel.Accepted{ID: "p"}, nil
}

// counter is where jobs come to be run, one after the other as long as they do not wait.
type counter struct {
	*bench
	all sync.WaitGroup
}

// newCounter is a handler with some routes, in the clock of the bubble.
func newCounter(t *testing.T, routes ...*deliver.Route) *counter {
	t.Helper()
	c := &counter{bench: newBench(t)}
	for _, r := range routes {
		r.Provider, r.Timeout = "fake", time.Second
	}
	// ids tell the time too
	c.Handler.Routes, c.Handler.Now, c.Handler.IDs = deliver.NewRoutes(routes), time.Now, id.NewSource(id.ID{})
	c.Handler.Again = func(j queue.Job, w deliver.Work) { c.run(t, j, w) }
	return c
}

func (c *counter) run(t *testing.T, j queue.Job, w deliver.Work) {
	c.all.Go(func() {
		if _, err := c.Run(t.Context(), j, w); err != nil {
			t.Error(err)
		}
	})
}

// come lets n new jobs for a route come in, and answers the ids of their deliveries.
func (c *counter) come(t *testing.T, n int, route string) (out []string) {
	t.Helper()
	for range n {
		c.now = time.Now()
		c.renew(route)
		out = append(out, c.job.ID.Text("dlv_"))
		c.run(t, c.job, deliver.Work{})
		synctest.Wait()
	}
	return out
}

// statuses counts the deliveries by their status.
func (c *counter) statuses() map[channel.Status]int {
	c.shelf.Lock()
	defer c.shelf.Unlock()
	out := map[channel.Status]int{}
	for _, p := range c.shelf.Parcels {
		for _, d := range p.Deliveries {
			out[d.Status]++
		}
	}
	return out
}

// inOrder holds that nobody was overtaken by more than a few: those who are called together run side by side.
func inOrder(t *testing.T, got, want []string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d were sent, want %d", len(got), len(want))
	}
	for i, w := range want {
		if at := slices.Index(got, w); at < i-4 || at > i+4 {
			t.Errorf("number %d was sent as number %d", i, at)
		}
	}
}

// TestLine: messages for which a route has no room leave one after the other as soon as it has, in the order in which
// they came, and none is put off.
func TestLine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &slow{}
		c := newCounter(t, &deliver.Route{Name: "a", Sender: s, Slots: make(chan struct{}, 2)})
		begin := time.Now()
		want := c.come(t, 50, "a")
		if n := c.Waiting()["a"]; n != 48 {
			t.Errorf("%d wait", n)
		}
		c.all.Wait()
		if took := time.Since(begin); took != 25*100*time.Millisecond {
			t.Errorf("50 messages of 100 ms, two at once, took %v", took)
		}
		inOrder(t, s.sent, want)
		if got := c.statuses(); s.most != 2 || got[channel.Taken] != 50 {
			t.Errorf("up to %d at once; statuses %v", s.most, got)
		}
	})
}

// TestLineLetsNobodyPass: who comes while others wait goes behind them, also when a place has just become free.
func TestLineLetsNobodyPass(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &slow{}
		c := newCounter(t, &deliver.Route{Name: "a", Sender: s, Slots: make(chan struct{}, 1)})
		want := c.come(t, 20, "a")
		for range 10 {
			time.Sleep(100 * time.Millisecond)
			want = append(want, c.come(t, 1, "a")...)
		}
		c.all.Wait()
		inOrder(t, s.sent, want)
	})
}

// TestLineByRate: messages beyond a route's rate leave as soon as it allows.
func TestLineByRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &slow{}
		r := &deliver.Route{Name: "a", Sender: s, Slots: make(chan struct{}, 4), Rate: rate.NewLimiter(20, 1)}
		c := newCounter(t, r)
		begin := time.Now()
		want := c.come(t, 40, "a")
		c.all.Wait()
		if took := time.Since(begin); took < 2*time.Second || took > 2200*time.Millisecond {
			t.Errorf("40 messages, 20 a second, took %v", took)
		}
		if len(r.Slots) != 0 {
			t.Errorf("%d places are taken by nobody", len(r.Slots))
		}
		inOrder(t, s.sent, want)
	})
}

// TestLineIsForTheLastRoute: while another route would have a message, it does not wait.
func TestLineIsForTheLastRoute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b := &slow{}, &slow{}
		c := newCounter(t,
			&deliver.Route{Name: "a", Sender: a, Slots: make(chan struct{}, 1)},
			&deliver.Route{Name: "b", Sender: b, Priority: 1, Slots: make(chan struct{}, 1)})
		begin := time.Now()
		c.come(t, 3, "a")
		c.all.Wait()
		if took := time.Since(begin); took != 200*time.Millisecond || len(a.sent) != 1 || len(b.sent) != 2 {
			t.Errorf("%d by a and %d by b, in %v", len(a.sent), len(b.sent), took)
		}
	})
}

// TestLineDoesNotHoldTheOrderUp: whose turn comes when another channel should go on is not sent any more, and the order
// goes on.
func TestLineDoesNotHoldTheOrderUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &slow{}
		c := newCounter(t, &deliver.Route{Name: "a", Sender: s, Slots: make(chan struct{}, 1)})
		c.Handler.Next = "next"
		begin := time.Now()
		for range 5 {
			c.now = time.Now()
			c.renew("a")
			c.shelf.Lock()
			p := c.shelf.Parcels[c.job.Ref]
			p.Timer, p.Wait = c.job.ID, 150*time.Millisecond
			c.shelf.Parcels[c.job.Ref] = p
			c.shelf.Unlock()
			c.run(t, c.job, deliver.Work{})
			synctest.Wait()
		}
		c.all.Wait()
		if took := time.Since(begin); took != 200*time.Millisecond {
			t.Errorf("it took %v: who did not take its place has not passed it on", took)
		}
		next := 0
		for _, j := range c.shelf.Jobs {
			if j.Kind == "next" && !j.Due.After(time.Now()) {
				next++
			}
		}
		if got := c.statuses(); len(s.sent) != 2 || got[channel.Failed] != 3 || next != 5 {
			t.Errorf("%d were sent, %d go on by another channel; statuses %v", len(s.sent), next, got)
		}
	})
}

// TestLineForgetsWhatIsOver: a job whose lease ends while it waits is somebody else's, and is passed over.
func TestLineForgetsWhatIsOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &slow{}
		c := newCounter(t, &deliver.Route{Name: "a", Sender: s, Slots: make(chan struct{}, 1)})
		c.come(t, 2, "a")
		c.now = time.Now()
		c.renew("a")
		c.job.Due = c.now.Add(50 * time.Millisecond)
		c.shelf.Jobs[c.job.ID] = c.job
		over := c.job.ID.Text("dlv_")
		c.run(t, c.job, deliver.Work{})
		synctest.Wait()
		c.come(t, 1, "a")
		c.all.Wait()
		if len(s.sent) != 3 || slices.Contains(s.sent, over) {
			t.Errorf("sent %v, of which %s was over", s.sent, over)
		}
	})
}

// TestLineDoesNotTrustTheSick: a route that is unwell is no reason not to wait.
func TestLineDoesNotTrustTheSick(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b := &slow{}, &carrier{}
		for range 20 {
			b.script = append(b.script, fault(channel.Unavailable))
		}
		c := newCounter(t, &deliver.Route{Name: "a", Sender: a, Slots: make(chan struct{}, 1)}, &deliver.Route{
			Name:     "b",
			Sender:   b,
			Priority: 1,
			Slots:    make(chan struct{}, 1),
			Health:   deliver.NewHealth(time.Now),
		})
		for range 10 { // each of them goes on by a
			c.come(t, 1, "b")
			c.all.Wait()
		}
		before := len(b.calls)
		c.come(t, 3, "a")
		c.all.Wait()
		if got := c.statuses(); len(b.calls) != before || got[channel.Queued] != 0 || len(a.sent) != 13 {
			t.Errorf("b was called %d times more, a sent %d; statuses %v", len(b.calls)-before, len(a.sent), got)
		}
	})
}

// TestLineFindsALostTurn: when the one who was called never comes, the next one is called a second later.
func TestLineFindsALostTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &slow{}
		c := newCounter(t, &deliver.Route{Name: "a", Sender: s, Slots: make(chan struct{}, 1)})
		var lost atomic.Bool
		c.Handler.Again = func(j queue.Job, w deliver.Work) {
			if lost.Swap(true) {
				c.run(t, j, w)
			}
		}
		c.come(t, 3, "a")
		time.Sleep(1200 * time.Millisecond)
		c.all.Wait()
		if len(s.sent) != 2 {
			t.Errorf("%d were sent of 3, of which one was lost", len(s.sent))
		}
	})
}

// TestWithoutALine: where nobody runs jobs again, they are put off in the store.
func TestWithoutALine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &slow{}
		c := newCounter(t, &deliver.Route{Name: "a", Sender: s, Slots: make(chan struct{}, 1)})
		c.Handler.Again = nil
		c.come(t, 2, "a")
		c.all.Wait()
		if got := c.statuses(); len(s.sent) != 1 || got[channel.Queued] != 1 {
			t.Errorf("%d were sent; statuses %v", len(s.sent), got)
		}
	})
}

// TestLineIsBounded: what finds no room in the line is put off in the store.
func TestLineIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const line, slots, more = 1024, 4, 6
		s := &slow{}
		c := newCounter(t, &deliver.Route{Name: "a", Sender: s, Slots: make(chan struct{}, slots)})
		for range line + slots + more {
			c.now = time.Now()
			c.renew("a")
			c.run(t, c.job, deliver.Work{})
		}
		synctest.Wait()
		if got := c.statuses(); got[channel.Queued] != more {
			t.Errorf("statuses %v, want %d queued", got, more)
		}
		kept := c.Kept()
		if len(kept) != line || len(c.Kept()) != 0 {
			t.Errorf("%d are kept", len(kept))
		}
		c.all.Wait()
		if len(s.sent) != slots {
			t.Errorf("%d were sent, of which %d had been given away", len(s.sent), len(s.sent)-slots)
		}
	})
}

// TestLineOutlivesItsRoute: jobs that wait for a route that is taken away or replaced meanwhile go on with what there
// is.
func TestLineOutlivesItsRoute(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a", "b"} {
		t.Run(fmt.Sprint("now there is ", name), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				before, after := &slow{}, &slow{}
				c := newCounter(t, &deliver.Route{Name: "a", Sender: before, Slots: make(chan struct{}, 1)})
				c.come(t, 10, "a")
				c.Routes.Replace([]*deliver.Route{{Name: name, Provider: "fake", Sender: after, Slots: make(chan struct{}, 3),
					Timeout: time.Second}}, deliver.Priority)
				c.all.Wait()
				if len(before.sent) != 1 || len(after.sent) != 9 || (name == "a" && after.most != 3) {
					t.Errorf("%d by the route before and %d by the new one; statuses %v", len(before.sent), len(after.sent),
						c.statuses())
				}
			})
		})
	}
}
