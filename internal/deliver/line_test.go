package deliver_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/deliver"
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

	mu     sync.Mutex
	closed bool // those who are called wait
	called []queue.Job
}

func (c *counter) again(t *testing.T, j queue.Job) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		c.called = append(c.called, j)
		return
	}
	c.run(t, j)
}

// open lets those who are called run, and answers how many have been.
func (c *counter) open(t *testing.T) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, j := range c.called {
		c.run(t, j)
	}
	c.closed = false
	return len(c.called)
}

// newCounter is a handler with some routes, in the clock of the bubble.
func newCounter(t *testing.T, routes ...*deliver.Route) *counter {
	t.Helper()
	c := &counter{bench: newBench(t)}
	for _, r := range routes {
		r.Provider, r.Timeout = "fake", time.Second
	}
	c.Handler.Routes, c.Handler.Now = deliver.NewRoutes(routes), time.Now
	c.Handler.Again = func(j queue.Job) { c.again(t, j) }
	return c
}

func (c *counter) run(t *testing.T, j queue.Job) {
	c.all.Go(func() {
		if err := c.Run(t.Context(), j); err != nil {
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
		c.run(t, c.job)
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

// TestLine: messages for which a route has no room leave one after the other as soon as it has, in the order in which they came,
// and none is put off.
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

// TestLineLetsNobodyPass: who comes while others wait goes behind them, although a place is free just then.
func TestLineLetsNobodyPass(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &slow{}
		c := newCounter(t, &deliver.Route{Name: "a", Sender: s, Slots: make(chan struct{}, 1)})
		c.closed = true
		first := c.come(t, 5, "a")
		time.Sleep(150 * time.Millisecond) // the first is done; the second has been called, but does not run yet
		late := c.come(t, 3, "a")
		if n := c.open(t); n == 0 {
			t.Fatal("nobody was called")
		}
		c.all.Wait()
		for i, d := range append(first, late...) {
			if i != 1 && i < 5 && slices.Index(s.sent, d) > slices.Index(s.sent, late[0]) { // the second came late to its call
				t.Errorf("number %d was sent behind one that came after it", i)
			}
		}
	})
}

// TestLineByRate: messages beyond a route's rate leave as soon as it allows.
func TestLineByRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &slow{}
		c := newCounter(t, &deliver.Route{Name: "a", Sender: s, Slots: make(chan struct{}, 64), Rate: rate.NewLimiter(20, 1)})
		begin := time.Now()
		want := c.come(t, 40, "a")
		c.all.Wait()
		if took := time.Since(begin); took < 2*time.Second || took > 2200*time.Millisecond {
			t.Errorf("40 messages, 20 a second, took %v", took)
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
			c.run(t, c.job)
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

// TestLineOutlivesItsRoute: jobs that wait for a route that is taken away or replaced meanwhile go on with what there is.
func TestLineOutlivesItsRoute(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a", "b"} {
		t.Run(fmt.Sprint("now there is ", name), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				before, after := &slow{}, &slow{}
				c := newCounter(t, &deliver.Route{Name: "a", Sender: before, Slots: make(chan struct{}, 1)})
				c.come(t, 10, "a")
				c.Routes.Replace([]*deliver.Route{{Name: name, Provider: "fake", Sender: after, Slots: make(chan struct{}, 3), Timeout: time.Second}}, deliver.Priority)
				c.all.Wait()
				if len(before.sent) != 1 || len(after.sent) != 9 || (name == "a" && after.most != 3) {
					t.Errorf("%d by the route before and %d by the new one; statuses %v", len(before.sent), len(after.sent), c.statuses())
				}
			})
		})
	}
}
