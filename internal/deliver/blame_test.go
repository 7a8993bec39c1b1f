package deliver_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/deliver"
	"github.com/dialproof/dialproof/internal/deliver/delivertest"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/phone"
	"github.com/dialproof/dialproof/internal/queue"
)

// crowd is many people: it knows whom each verification is for, by which brand.
type crowd struct {
	mu    sync.Mutex
	to    map[id.ID]phone.Number
	brand map[id.ID]string
}

func (c *crowd) Compose(_ context.Context, ref id.ID, d channel.Delivery) (deliver.Composed, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return deliver.Composed{
		Message: channel.Message{Channel: d.Channel, To: c.to[ref], Brand: c.brand[ref]},
		Open:    true,
	}, nil
}

func (c *crowd) Number(_ context.Context, ref id.ID) (phone.Number, error) { return c.to[ref], nil }

// picky is a provider that refuses some messages, and takes 20 ms for each.
type picky struct {
	mu      sync.Mutex
	refuses func(channel.Message) *channel.Error
	calls   map[string]int // by number
	taken   map[string]time.Time
}

func newPicky(refuses func(channel.Message) *channel.Error) *picky {
	return &picky{refuses: refuses, calls: map[string]int{}, taken: map[string]time.Time{}}
}

func (*picky) Channels() []channel.Kind { return []channel.Kind{channel.SMS} }

func (p *picky) Send(_ context.Context, m channel.Message) (channel.Accepted, error) {
	time.Sleep(20 * time.Millisecond)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls[m.To.E164()]++
	if e := p.refuses(m); e != nil {
		return channel.Accepted{}, e
	}
	p.taken[m.To.E164()] = time.Now()
	return channel.Accepted{ID: "p"}, nil
}

// town is a node with people and providers.
type town struct {
	*post
	crowd  *crowd
	routes []*deliver.Route
	log    *bytes.Buffer
	born   map[string]time.Time
	refs   map[string]id.ID
}

func newTown(t *testing.T, providers ...channel.Sender) *town {
	t.Helper()
	w := &town{
		crowd: &crowd{to: map[id.ID]phone.Number{}, brand: map[id.ID]string{}},
		log:   &bytes.Buffer{},
		born:  map[string]time.Time{},
		refs:  map[string]id.ID{},
	}
	for i, p := range providers {
		w.routes = append(w.routes, &deliver.Route{
			Name:     string(rune('a' + i)),
			Sender:   p,
			Priority: i,
			Timeout:  10 * time.Second,
			Slots:    make(chan struct{}, 64),
			Health:   deliver.NewHealth(time.Now),
		})
	}
	shelf := delivertest.NewShelf()
	w.post = newPost(t, shelf, 64, w.routes...)
	w.Handler.Composer = w.crowd
	w.Handler.Log = slog.New(slog.NewTextHandler(w.log, nil))
	return w
}

// send starts a message to a number by the route that is planned.
func (w *town) send(t *testing.T, to, brand string) {
	t.Helper()
	n, err := phone.Parse(to, "")
	if err != nil {
		t.Fatal(err)
	}
	route, reason, _ := w.Routes.Plan(n, channel.SMS, false, "")
	now := time.Now()
	ref := w.IDs.New(now)
	d := channel.Delivery{
		ID:      w.IDs.New(now),
		Channel: channel.SMS,
		Route:   route,
		Reason:  reason,
		Status:  channel.Queued,
		Created: now,
		Updated: now,
	}
	j := queue.Job{ID: d.ID, Kind: "deliver", Ref: ref, Due: now}
	if w.runner.Reserve("deliver") {
		d.Status, d.Attempt, j.Attempt = channel.Sending, 1, 1
		j.Hold(now.Add(30 * time.Second))
	}
	w.crowd.mu.Lock()
	w.crowd.to[ref], w.crowd.brand[ref] = n, brand
	w.crowd.mu.Unlock()
	w.shelf.Lock()
	w.shelf.Parcels[ref] = deliver.Parcel{
		Ref:        ref,
		Open:       true,
		Expires:    now.Add(5 * time.Minute),
		Country:    n.Country(),
		Deliveries: []channel.Delivery{d},
	}
	w.shelf.Jobs[j.ID] = j
	w.shelf.Unlock()
	w.born[n.E164()], w.refs[n.E164()] = now, ref
	w.runner.Dispatch(j, deliver.Fresh(&deliver.Made{Delivery: d}))
}

func (w *town) stop(t *testing.T) {
	t.Helper()
	synctest.Wait()
	if err := w.runner.Stop(time.Minute); err != nil {
		t.Error(err)
	}
}

// last returns the newest delivery to a number.
func (w *town) last(to string) channel.Delivery {
	w.shelf.Lock()
	defer w.shelf.Unlock()
	all := w.shelf.Parcels[w.refs[to]].Deliveries
	return all[len(all)-1]
}

// british and french are numbers by turns.
func british(i int) string { return fmt.Sprintf("+4477%08d", 10_000_000+i) }
func french(i int) string  { return fmt.Sprintf("+336%08d", 39_980_000+i) }

// shapes are refusals as providers make them.
func shapes() map[string]channel.Error {
	return map[string]channel.Error{
		"HTTP, the country":       {Kind: channel.Refused, Code: "21408", About: channel.OfDestination},
		"HTTP, nobody knows what": {Kind: channel.Refused, Code: "HTTP 400"},
		"SMPP, submit failed":     {Kind: channel.Unavailable, Code: "ESME_RSUBMITFAIL", About: channel.OfDestination},
		"SMPP, the carrier's own": {Kind: channel.Refused, Code: "0x000400"},
		"SIP, moved":              {Kind: channel.Refused, Code: "302"},
		"rejected":                {Kind: channel.Rejected, Code: "21211"},
	}
}

// TestAPoisonedRoute: destinations that a provider refuses, a few or nearly all, in a country of their own or among the
// healthy ones, do not hold healthy messages up, open no circuit, and cost one call for each route.
func TestAPoisonedRoute(t *testing.T) {
	t.Parallel()
	type row struct {
		refused int
		share   int // of refused ones among all, in percent
		routes  int
		same    bool // country
	}
	var rows []row
	for _, routes := range []int{1, 2} {
		for _, same := range []bool{false, true} {
			for _, share := range []int{10, 50, 90, 100} {
				rows = append(rows, row{40, share, routes, same}, row{400, share, routes, same}) // and 4,000
			}
		}
	}
	rows = append(rows, row{4000, 80, 1, false}, row{4000, 90, 2, true})
	for name, shape := range shapes() {
		for _, c := range rows {
			// Each shape with few, and two of them with many.
			if (c.refused == 400 && (c.share != 50 || name[0] == 'r')) ||
				(c.refused == 4000 && (name != "HTTP, the country" || c.routes != 1) &&
					(name != "SMPP, submit failed" || c.routes != 2)) {
				continue
			}
			t.Run(fmt.Sprintf("%s/%d refused, %d %%, %d routes, same country %t", name, c.refused, c.share, c.routes, c.same),
				func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) { poison(t, shape, c.refused, c.share, c.routes, c.same) })
				})
		}
	}
}

func poison(t *testing.T, shape channel.Error, refused, share, routes int, same bool) {
	t.Helper()
	bad := func(i int) string {
		if same {
			return british(50_000 + i)
		}
		return french(i)
	}
	poisoned := map[string]bool{}
	for i := range refused {
		poisoned[bad(i)] = true
	}
	var providers []*picky
	var senders []channel.Sender
	for range routes {
		p := newPicky(func(m channel.Message) *channel.Error {
			if !poisoned[m.To.E164()] {
				return nil
			}
			e := shape
			return &e
		})
		providers, senders = append(providers, p), append(senders, p)
	}
	w := newTown(t, senders...)
	healthy := refused*100/share - refused
	total := refused + healthy
	for i, b := 0, 0; i < total; i++ { // evenly mixed, 200 a second
		if b*total <= i*refused && b < refused {
			w.send(t, bad(b), "Shop")
			b++
		} else {
			w.send(t, british(i), "Shop")
		}
		time.Sleep(5 * time.Millisecond)
	}
	time.Sleep(time.Minute) // many rounds, if there were any
	w.stop(t)
	sent, late := w.judge(t, providers)
	if sent != healthy || late > 60*time.Millisecond {
		t.Errorf("%d of %d healthy messages left, the latest after %v", sent, healthy, late)
	}
	if len(w.shelf.Jobs) != 0 || strings.Contains(w.log.String(), "route unhealthy") || w.Unwell()["a"] != "" {
		t.Errorf("%d jobs are left; the routes are %v", len(w.shelf.Jobs), w.Unwell())
	}
	for to := range poisoned {
		d := w.last(to)
		everywhere := d.Kind == channel.Refused && strings.HasPrefix(d.Reason, "refused by every route")
		if d.Status != channel.Failed || d.Code != shape.Code || shape.Kind != channel.Rejected && !everywhere {
			t.Fatalf("a refused one is %+v", d)
		}
	}
}

// judge returns how many messages providers took, and how long after its start the latest of them; it holds that none
// was offered to one provider twice.
func (w *town) judge(t *testing.T, providers []*picky) (sent int, late time.Duration) {
	t.Helper()
	for _, p := range providers {
		for to, at := range p.taken {
			sent++
			late = max(late, at.Sub(w.born[to]))
		}
		for to, n := range p.calls {
			if n > 1 {
				t.Errorf("%s cost %d calls of one route", to, n)
			}
		}
	}
	return sent, late
}

// TestARefusalIsRemembered: a route that has refused a message is not called again for it while the other one is down.
func TestARefusalIsRemembered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		a := newPicky(func(channel.Message) *channel.Error {
			return &channel.Error{Kind: channel.Refused, Code: "21408", About: channel.OfDestination}
		})
		b := newPicky(func(channel.Message) *channel.Error {
			if time.Since(begin) < 30*time.Second {
				return &channel.Error{Kind: channel.Unavailable, Code: "HTTP 500"}
			}
			return nil
		})
		w := newTown(t, a, b)
		w.send(t, british(1), "")
		time.Sleep(time.Minute)
		w.stop(t)
		if n, d := a.calls[british(1)], w.last(british(1)); n != 1 || d.Route != "b" || d.Status != channel.Taken {
			t.Errorf("%d calls of the route that refuses it; %+v", n, d)
		}
	})
}

// TestABurstOfOneSender: one application's sender or text, refused again and again, leaves other applications' messages
// where they are, and its own go by the other route.
func TestABurstOfOneSender(t *testing.T) {
	t.Parallel()
	for _, about := range []channel.Subject{channel.OfSender, channel.OfTemplate, channel.OfMessage} {
		t.Run(string(about), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a := newPicky(func(m channel.Message) *channel.Error {
					if m.Brand == "Bad" {
						return &channel.Error{Kind: channel.Refused, Code: "30034", About: about}
					}
					return nil
				})
				b := newPicky(func(channel.Message) *channel.Error { return nil })
				w := newTown(t, a, b)
				for i := range 200 {
					w.send(t, british(i), "Bad")
					w.send(t, british(10_000+i), "Good")
					time.Sleep(50 * time.Millisecond)
				}
				w.stop(t)
				good := 0
				for i := range 200 {
					if _, ok := a.taken[british(10_000+i)]; ok && w.last(british(10_000+i)).Reason == "priority" {
						good++
					}
				}
				if good != 200 || len(b.taken) != 200 || strings.Contains(w.log.String(), "route unhealthy") {
					t.Errorf("%d of 200 of the other application went by the first route, %d by the second; %v", good, len(b.taken),
						w.Unwell())
				}
			})
		})
	}
}

// TestARefusedCountry: a route that refuses a country comes last for it, and first for all others; after a while it is
// tried again.
func TestARefusedCountry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var open atomic.Bool
		a := newPicky(func(m channel.Message) *channel.Error {
			if m.To.Country() == "FR" && !open.Load() {
				return &channel.Error{Kind: channel.Refused, Code: "21408", About: channel.OfDestination}
			}
			return nil
		})
		b := newPicky(func(channel.Message) *channel.Error { return nil })
		w := newTown(t, a, b)
		for i := range 100 {
			w.send(t, french(i), "")
			w.send(t, british(i), "")
			time.Sleep(100 * time.Millisecond)
		}
		synctest.Wait()
		if len(a.calls) != 105 || len(b.taken) != 100 {
			t.Errorf("the first route was called for %d numbers, want the 100 healthy ones and 5", len(a.calls))
		}
		if d := w.last(french(99)); d.Reason != "priority, instead of a: refuses FR" {
			t.Errorf("the stand-in says %q", d.Reason)
		}
		open.Store(true)
		time.Sleep(time.Minute)
		w.send(t, french(1000), "")
		time.Sleep(time.Second)
		synctest.Wait()
		if _, ok := a.taken[french(1000)]; !ok {
			t.Error("the country is not tried again")
		}
		w.stop(t)
	})
}

// TestADeadAccount: what is about the account is about everybody: the circuit opens, it is told once, and messages go
// on at once, by the other route or with the reason.
func TestADeadAccount(t *testing.T) {
	t.Parallel()
	for _, routes := range []int{1, 2} {
		synctest.Test(t, func(t *testing.T) {
			var dead atomic.Bool
			dead.Store(true)
			a := newPicky(func(channel.Message) *channel.Error {
				if dead.Load() {
					return &channel.Error{Kind: channel.Refused, Code: "20003", About: channel.OfAccount}
				}
				return nil
			})
			b := newPicky(func(channel.Message) *channel.Error { return nil })
			w := newTown(t, []channel.Sender{a, b}[:routes]...)
			for i := range 40 {
				w.send(t, british(i), "")
				time.Sleep(50 * time.Millisecond)
			}
			synctest.Wait()
			if len(a.calls) != 5 || w.Unwell()["a"] != "circuit open" {
				t.Errorf("%d calls, and the route is %q", len(a.calls), w.Unwell()["a"])
			}
			d := w.last(british(39))
			if routes == 1 && (d.Status != channel.Failed || !strings.Contains(d.Reason, "does not accept the account")) {
				t.Errorf("with one route: %+v", d)
			}
			if routes == 2 && (d.Status != channel.Taken || d.Reason != "priority, instead of a: circuit open") {
				t.Errorf("with two routes: %+v", d)
			}
			dead.Store(false)
			time.Sleep(5 * time.Second)
			w.send(t, british(100), "")
			w.stop(t)
			if _, ok := a.taken[british(100)]; !ok || w.Unwell()["a"] != "" {
				t.Errorf("after it was mended the route is %q", w.Unwell()["a"])
			}
			if left, back := strings.Count(w.log.String(), "route unhealthy"), strings.Count(w.log.String(),
				"route healthy"); left != 1 || back != 1 {
				t.Errorf("told %d times that it left, %d times that it returned", left, back)
			}
		})
	}
}

// TestTrialsGoToNewMessages: after an outage, the trial goes to one that has not failed yet, although others that
// always fail come again and again; and to one of those when there is no other.
func TestTrialsGoToNewMessages(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		down.Store(true)
		a := newPicky(func(m channel.Message) *channel.Error {
			if down.Load() || strings.HasPrefix(m.To.E164(), "+33") {
				return &channel.Error{Kind: channel.Unavailable, Code: "HTTP 500"}
			}
			return nil
		})
		w := newTown(t, a)
		for i := range 40 { // they always fail, and nobody can tell them from an outage
			w.send(t, french(i), "")
		}
		time.Sleep(2 * time.Second)
		for i := range 6 {
			w.send(t, british(i), "")
		}
		down.Store(false)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		late := time.Duration(0)
		for to, at := range a.taken {
			late = max(late, at.Sub(w.born[to]))
		}
		if len(a.taken) != 6 || late > 11*time.Second {
			t.Errorf("%d of 6 healthy messages left, the latest after %v", len(a.taken), late)
		}
		w.stop(t)
	})
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		a := newPicky(func(channel.Message) *channel.Error {
			if time.Since(begin) < 20*time.Second {
				return &channel.Error{Kind: channel.Unavailable, Code: "HTTP 500"}
			}
			return nil
		})
		w := newTown(t, a)
		w.send(t, british(1), "")
		time.Sleep(40 * time.Second)
		w.stop(t)
		if at, ok := a.taken[british(1)]; !ok || at.Sub(begin) > 33*time.Second {
			t.Errorf("one message alone: %t, after %v", ok, at.Sub(begin))
		}
	})
}

// counted is metrics that count failures by kind.
type counted struct {
	uncounted

	mu     sync.Mutex
	failed map[channel.ErrorKind]int
}

func (c *counted) Failed(_ string, kind channel.ErrorKind) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed[kind]++
}

// TestOurOwnLimitsAreNobodysFailure: what waits because of our limits is neither counted nor logged as a failure of the
// provider.
func TestOurOwnLimitsAreNobodysFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newPicky(func(channel.Message) *channel.Error { return nil })
		w := newTown(t, a)
		w.routes[0].Slots = make(chan struct{}, 1)
		w.Handler.Again = nil // what finds no room is put off
		m := &counted{failed: map[channel.ErrorKind]int{}}
		w.Handler.Metrics = m
		for i := range 10 {
			w.send(t, british(i), "")
		}
		time.Sleep(2 * time.Minute)
		w.stop(t)
		if len(a.taken) != 10 || len(m.failed) != 0 || w.log.Len() > 0 {
			t.Errorf("%d were taken; failures %v; log %q", len(a.taken), slices.Collect(maps.Keys(m.failed)), w.log.String())
		}
	})
}

// TestAnAnswerWithoutAnID is no failing route.
func TestAnAnswerWithoutAnID(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newPicky(func(channel.Message) *channel.Error { return &channel.Error{Kind: channel.MaybeSent, Code: "answer"} })
		w := newTown(t, a)
		for i := range 20 {
			w.send(t, british(i), "")
			time.Sleep(50 * time.Millisecond)
		}
		w.stop(t)
		if len(a.calls) != 20 || w.Unwell()["a"] != "" {
			t.Errorf("%d of 20 calls, and the route is %q", len(a.calls), w.Unwell()["a"])
		}
	})
}

// TestALoneHangGivesWay: one message alone, on a route that answers nobody, is given up after a second when another
// channel can go on; the others go first then. A route that is only slow is waited for longer the next time.
func TestALoneHangGivesWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.Now, b.now = time.Now, time.Now()
		slow := &patient{takes: 10 * time.Minute, sent: map[string]int{}}
		route := *b.Routes.All()[0]
		route.Sender, route.Health, route.Timeout = slow, deliver.NewHealth(time.Now), 20*time.Second
		b.Routes.Replace([]*deliver.Route{&route, b.Routes.All()[1]}, deliver.Priority)
		run := func() time.Duration {
			b.now = time.Now()
			b.renew("a")
			b.order()
			began := time.Now()
			if _, err := b.Run(context.Background(), b.job,
				deliver.Fresh(&deliver.Made{Delivery: b.newest(), Wait: 25 * time.Second})); err != nil {
				t.Error(err)
			}
			return time.Since(began)
		}
		if took := run(); took != time.Second || b.newest().Code != "no_answer" {
			t.Errorf("given up after %v, %+v", took, b.newest())
		}
		if name, _, _ := b.Routes.Plan(person(t), channel.SMS, false, ""); name != "b" {
			t.Errorf("then %q is planned", name)
		}
		time.Sleep(5 * time.Second)
		if name, _, _ := b.Routes.Plan(person(t), channel.SMS, false, ""); name != "a" {
			t.Errorf("and after a rest %q", name)
		}
		slow.takes = 1500 * time.Millisecond
		if took := run(); took != slow.takes || b.newest().Status != channel.Taken {
			t.Errorf("a slow route was waited for %v, %+v", took, b.newest())
		}
	})
}
