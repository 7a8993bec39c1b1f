// Package storetest is the suite that every store passes: what the core promises, held against a real store
// with many callers at once.
//
// It is not a test of the rules alone (those of pure functions stand beside them); it is where rules,
// transactions and concurrency meet.
package storetest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/deliver"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/keyring"
	"github.com/dialproof/dialproof/internal/phone"
	"github.com/dialproof/dialproof/internal/queue"
	"github.com/dialproof/dialproof/internal/store"
	"github.com/dialproof/dialproof/internal/verify"
	"github.com/dialproof/dialproof/internal/webhook"
)

// Store is all that a store does.
type Store interface {
	verify.Store
	deliver.Store
	queue.Store
	application.Store
	Forget(ctx context.Context, after id.ID, before time.Time) (last id.ID, n int, err error)
	Purge(ctx context.Context, kind store.Purged, before time.Time) (n int, err error)
}

// EventStore is a store that tells of its changes.
type EventStore interface {
	Store
	webhook.Store
	// Watch sets who is asked which events a change makes.
	Watch(w store.Watcher)
}

// OpenEvents answers a fresh, empty store that is closed when the test ends.
type OpenEvents func(t *testing.T) EventStore

// RunEvents runs the suite of events.
func RunEvents(t *testing.T, open OpenEvents) {
	for name, test := range eventTests() {
		t.Run(name, func(t *testing.T) { t.Parallel(); test(t, open) })
	}
}

// Open answers a fresh, empty store that is closed when the test ends.
type Open func(t *testing.T) Store

// Run runs the suite.
func Run(t *testing.T, open Open) {
	for _, group := range []map[string]func(*testing.T, Open){coreTests(), orderTests(), queueTests(), tenantTests()} {
		for name, test := range group {
			t.Run(name, func(t *testing.T) { t.Parallel(); test(t, open) })
		}
	}
}

// clock is a clock that a test moves.
type clock struct{ ns atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.ns.Store(time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC).UnixNano())
	return c
}

func (c *clock) Now() time.Time          { return time.Unix(0, c.ns.Load()).UTC() }
func (c *clock) Advance(d time.Duration) { c.ns.Add(int64(d)) }

// bench is a core on a store, with a clock in its hands and a dispatcher that only gathers.
type bench struct {
	*verify.Service
	store  Store
	clock  *clock
	apps   map[id.ID]application.Application
	live   application.Caller
	test   application.Caller
	mu     sync.Mutex
	jobs   []queue.Job
	denied atomic.Bool
}

func newBench(t *testing.T, open Open, change ...func(*application.Policy)) *bench {
	t.Helper()
	ring, err := keyring.New([]keyring.Key{{ID: 1, Secret: []byte("0123456789abcdef0123456789abcdef")}})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{store: open(t), clock: newClock(), apps: map[id.ID]application.Application{}}
	ids := id.NewSource(id.ID{})
	b.Service = verify.New(verify.Options{
		Store: b.store, Router: anyRoute{}, Dispatch: b, Ring: ring, IDs: ids, Now: b.clock.Now,
		Limits: verify.DefaultLimits(), Metrics: uncounted{}, AllowFiction: true,
	})
	app := application.Application{ID: ids.New(b.clock.Now()), Name: "shop", Brand: "Shop"}
	for _, f := range change {
		f(&app.Policy)
	}
	b.apps[app.ID] = app
	b.live = application.Caller{
		App: &app,
		Key: &application.Key{App: app.ID, Mode: application.Live, Scopes: []application.Scope{application.Verify}},
	}
	b.test = application.Caller{
		App: &app,
		Key: &application.Key{App: app.ID, Mode: application.Test, Scopes: b.live.Key.Scopes},
	}
	return b
}

// Application implements the directory of the composer.
func (b *bench) Application(app id.ID) (application.Application, error) { return b.apps[app], nil }

// Admit implements verify.Dispatcher.
func (b *bench) Admit() bool { return !b.denied.Load() }

// Reserve implements verify.Dispatcher.
func (b *bench) Reserve() bool { return true }

// Release implements verify.Dispatcher.
func (b *bench) Release() {}

// Dispatch implements verify.Dispatcher.
func (b *bench) Dispatch(j queue.Job, _ *verify.Made) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.jobs = append(b.jobs, j)
}

// sent returns how many messages have been handed over.
func (b *bench) sent() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.jobs)
}

// code returns the code of the newest message of a verification, as its person would read it.
func (b *bench) code(t *testing.T, v *verify.Verification) string {
	t.Helper()
	now, err := b.store.Find(t.Context(), v.ID)
	if err != nil {
		t.Fatal(err)
	}
	last := now.Deliveries[len(now.Deliveries)-1]
	m, _, _, err := verify.Composer{Service: b.Service, Apps: b}.Compose(t.Context(), v.ID, last)
	if err != nil {
		t.Fatal(err)
	}
	return m.Code.Reveal()
}

func (b *bench) start(t *testing.T, r verify.StartRequest) *verify.Verification {
	t.Helper()
	v, err := b.Start(t.Context(), b.live, r)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (b *bench) check(t *testing.T, v *verify.Verification, code string) verify.Result {
	t.Helper()
	a, err := b.Check(t.Context(), b.live, verify.CheckRequest{ID: v.ID, Code: code})
	if err != nil {
		t.Fatal(err)
	}
	return a.Result
}

// wrong returns a code that is not the right one.
func wrong(right string) string {
	if right[0] == '0' {
		return "1" + right[1:]
	}
	return "0" + right[1:]
}

// drama returns the n-th number of the range that Ofcom keeps for drama.
func drama(n int) string { return fmt.Sprintf("+447700900%03d", n) }

// anyRoute is a router with one route that serves everything.
type anyRoute struct{}

func (anyRoute) Plan(phone.Number, channel.Kind, bool, string) (route, reason string, ok bool) {
	return "any", "priority", true
}

// uncounted is metrics that count nothing.
type uncounted struct{}

func (uncounted) Started(*application.Application, channel.Kind, string) {}
func (uncounted) Checked(*application.Application, verify.Result)        {}
func (uncounted) Limited(string)                                         {}

// together runs f n times at once and waits for all.
func together(n int, f func(i int)) {
	var all sync.WaitGroup
	begin := make(chan struct{})
	for i := range n {
		all.Go(func() { <-begin; f(i) })
	}
	close(begin)
	all.Wait()
}

// tally counts outcomes.
type tally struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *tally) add(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[string]int{}
	}
	c.n[what]++
}

func (c *tally) want(t *testing.T, want map[string]int) {
	t.Helper()
	if fmt.Sprint(c.n) != fmt.Sprint(want) {
		t.Errorf("outcomes %v, want %v", c.n, want)
	}
}
