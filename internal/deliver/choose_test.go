package deliver_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/deliver"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/phone"
)

func person(t *testing.T) phone.Number {
	t.Helper()
	to, err := phone.Parse("+447700900123", "")
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// TestConverting runs the policy against routes whose codes are typed 70 % and 30 % of the time: from the 500th send
// on, over 90 % take the better; and when the two swap, it follows.
func TestConverting(t *testing.T) {
	t.Parallel()
	to := person(t)
	for seed := range uint64(20) {
		now := time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)
		routes := deliver.NewRoutes(nil)
		routes.Conversions = deliver.NewConversions(func() time.Time { return now }, seed)
		routes.Replace([]*deliver.Route{{Name: "bad", Sender: &carrier{}}, {Name: "good", Sender: &carrier{}}},
			deliver.Converting)
		people := rand.New(rand.NewPCG(seed, 1))
		ids := id.NewSource(id.ID{})
		chances := map[string]float64{"good": 0.7, "bad": 0.3}
		run := func(n int) (better int) {
			for range n {
				now = now.Add(time.Second)
				route, reason, ok := routes.Plan(to, channel.SMS, false, "")
				if !ok || !strings.HasPrefix(reason, "converting: ") || !strings.Contains(reason, " on +447700") {
					t.Fatalf("route %q, because %q", route, reason)
				}
				v := ids.New(now)
				routes.Conversions.Sent(v, route, to)
				if people.Float64() < chances[route] {
					routes.Conversions.Typed(v)
				}
				if chances[route] == 0.7 {
					better++
				}
			}
			return better
		}
		run(500)
		if got := run(1000); got < 900 {
			t.Errorf("seed %d: %d of 1000 took the better route", seed, got)
		}
		chances["good"], chances["bad"] = chances["bad"], chances["good"]
		run(700)
		if got := run(1000); got < 900 {
			t.Errorf("seed %d: after the swap %d of 1000 took the better route", seed, got)
		}
	}
}

// TestConvertingIsRepeatable: the same seed and events choose the same routes.
func TestConvertingIsRepeatable(t *testing.T) {
	t.Parallel()
	to := person(t)
	choices := func(seed uint64) (out string) {
		routes := deliver.NewRoutes(nil)
		routes.Conversions = deliver.NewConversions(func() time.Time { return time.Unix(0, 0) }, seed)
		routes.Replace([]*deliver.Route{{Name: "a", Sender: &carrier{}}, {Name: "b", Sender: &carrier{}}}, deliver.Converting)
		for range 100 {
			name, _, _ := routes.Plan(to, channel.SMS, false, "")
			out += name
		}
		return out
	}
	if first, again := choices(7), choices(7); first != again {
		t.Error("one seed chose twice differently")
	}
	if choices(7) == choices(8) {
		t.Error("two seeds chose the same 100 times")
	}
}

// TestConvertingLearnsFromResends: who asks again has not got the first one; and when two routes are equal the price
// decides.
func TestConvertingLearnsFromResends(t *testing.T) {
	t.Parallel()
	to := person(t)
	now := time.Unix(1_800_000_000, 0)
	routes := deliver.NewRoutes(nil)
	routes.Conversions = deliver.NewConversions(func() time.Time { return now }, 1)
	routes.Replace([]*deliver.Route{
		{Name: "a", Sender: &carrier{}, Price: map[string]int64{"*": 2}},
		{Name: "b", Sender: &carrier{}, Price: map[string]int64{"GB": 1}},
	}, deliver.Converting)
	ids := id.NewSource(id.ID{})
	for range 200 {
		v := ids.New(now)
		routes.Conversions.Sent(v, "a", to)
		routes.Conversions.Sent(v, "b", to)
		routes.Conversions.Typed(v)
	}
	for range 50 {
		if name, _, _ := routes.Plan(to, channel.SMS, false, ""); name != "b" {
			t.Fatalf("took %q, which lost 200 of 200", name)
		}
	}
}

// TestAFallOfConversion lets the best route take messages and deliver none: it loses its place, is tried now and then,
// and gets it back when codes are typed again.
func TestAFallOfConversion(t *testing.T) {
	t.Parallel()
	to := person(t)
	now := time.Unix(1_800_000_000, 0)
	routes := deliver.NewRoutes(nil)
	routes.Conversions = deliver.NewConversions(func() time.Time { return now }, 1)
	routes.Replace([]*deliver.Route{{Name: "a", Sender: &carrier{}}, {Name: "b", Sender: &carrier{}, Priority: 1}},
		deliver.Priority)
	ids := id.NewSource(id.ID{})
	works := map[string]bool{"a": true, "b": true}
	run := func(n int) (a int) {
		for i := range n {
			now = now.Add(time.Second)
			route, _, _ := routes.Plan(to, channel.SMS, false, "")
			v := ids.New(now)
			routes.Conversions.Sent(v, route, to)
			if works[route] && i%4 != 0 {
				routes.Conversions.Typed(v)
			}
			if route == "a" {
				a++
			}
		}
		return a
	}
	if got := run(300); got != 300 {
		t.Errorf("%d of 300 by the route that works", got)
	}
	works["a"] = false
	run(200) // 45 s pass before a code counts as not typed
	if got := run(300); got < 10 || got > 40 {
		t.Errorf("%d of 300 by the route that delivers nothing, want about one trial each ten seconds", got)
	}
	works["a"] = true
	run(300)
	if got := run(300); got != 300 {
		t.Errorf("%d of 300 by the route that works again", got)
	}
}

func TestCheapest(t *testing.T) {
	t.Parallel()
	to := person(t)
	dear := &deliver.Route{Name: "dear", Sender: &carrier{}, Priority: 0, Price: map[string]int64{"GB": 9, "*": 1}}
	cheap := &deliver.Route{Name: "cheap", Sender: &carrier{}, Priority: 9, Price: map[string]int64{"*": 8}}
	silent := &deliver.Route{Name: "silent", Sender: &carrier{}, Priority: -9}
	for _, c := range []struct {
		routes []*deliver.Route
		want   string
	}{
		{[]*deliver.Route{dear, cheap, silent}, "cheap"},
		{[]*deliver.Route{dear, silent}, "dear"},
		{[]*deliver.Route{silent}, "silent"},
	} {
		s := deliver.NewRoutes(nil)
		s.Replace(c.routes, deliver.Cheapest)
		if got, reason, _ := s.Plan(to, channel.SMS, false, ""); got != c.want || reason != "cheapest" {
			t.Errorf("took %q because %q, want %q", got, reason, c.want)
		}
	}
}

// TestPricesAreWritten: where the provider does not say what a message cost, the route's list does, by part.
func TestPricesAreWritten(t *testing.T) {
	t.Parallel()
	for list, want := range map[int64]string{3_500_000: "0.035", 100_000_000: "1", 1: "0.00000001", 0: "0"} {
		b := newBench(t)
		best := *b.Routes.All()[0]
		best.Price = map[string]int64{"*": list}
		b.Routes.Replace([]*deliver.Route{&best}, deliver.Priority)
		if _, err := b.Run(t.Context(), b.job, deliver.Work{}); err != nil {
			t.Fatal(err)
		}
		if d := b.shelf.Parcels[b.job.Ref].Deliveries[0]; d.Price != want || d.Currency != "" {
			t.Errorf("%d became %q %q, want %q", list, d.Price, d.Currency, want)
		}
	}
}

// TestResendsTakeAnother: who asks again gets it another way, when there is one that is well.
func TestResendsTakeAnother(t *testing.T) {
	t.Parallel()
	to := person(t)
	s := deliver.NewRoutes([]*deliver.Route{{Name: "a", Sender: &carrier{}}, {Name: "b", Sender: &carrier{}, Priority: 1}})
	for avoid, want := range map[string][2]string{"": {"a", "priority"}, "a": {"b", "priority, other than a"},
		"b": {"a", "priority"}, "gone": {"a", "priority"}} {
		if got, reason, _ := s.Plan(to, channel.SMS, false, avoid); got != want[0] || reason != want[1] {
			t.Errorf("other than %q: %q because %q, want %q", avoid, got, reason, want)
		}
	}
	alone := deliver.NewRoutes([]*deliver.Route{{Name: "a", Sender: &carrier{}}})
	if got, _, ok := alone.Plan(to, channel.SMS, false, "a"); got != "a" || !ok {
		t.Errorf("the only route is not taken again: %q", got)
	}
}

// learner is a sender whose provider takes conversions.
type learner struct {
	carrier

	told chan string
}

func (l *learner) Converted(_ context.Context, providerID string, to phone.Number, ok bool) error {
	l.told <- fmt.Sprint(providerID, " ", to.E164(), " ", ok)
	panic("planted")
}

// TestProvidersAreTold: the provider whose message was typed is told so, once and in the background.
func TestProvidersAreTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		l := &learner{told: make(chan string, 8)}
		b.Routes.Replace([]*deliver.Route{{Name: "a", Provider: "fake", Sender: l, Timeout: time.Second,
			Slots: make(chan struct{}, 1)}}, deliver.Priority)
		b.Approved(b.job.Ref) // before anything was accepted there is nothing to tell
		synctest.Wait()
		if _, err := b.Run(t.Context(), b.job, deliver.Work{}); err != nil {
			t.Fatal(err)
		}
		b.Approved(b.job.Ref)
		synctest.Wait()
		if len(l.told) != 1 {
			t.Fatalf("told %d times", len(l.told))
		}
		if got := <-l.told; got != "p-1 +447700900123 true" {
			t.Errorf("told %q", got)
		}
	})
}

// outage is a sender that can be down, or silent.
type outage struct {
	carrier

	down, hangs bool
	calls       atomic.Int64
}

func (o *outage) Send(ctx context.Context, _ channel.Message) (channel.Accepted, error) {
	o.calls.Add(1)
	switch {
	case o.down:
		return channel.Accepted{}, fault(channel.Unavailable)
	case o.hangs:
		<-ctx.Done()
		return channel.Accepted{}, fault(channel.MaybeSent)
	}
	return channel.Accepted{ID: "x"}, nil
}

// TestCircuit lets the best route fail: after five failures it is not called, but for one trial each five seconds, and
// when it works again it is the best again.
func TestCircuit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		first := &outage{down: true}
		routes := b.Routes.All()
		best := *routes[0]
		best.Sender, best.Health = first, deliver.NewHealth(time.Now)
		b.Routes.Replace([]*deliver.Route{&best, routes[1]}, deliver.Priority)
		plan := func() string {
			name, _, _ := b.Routes.Plan(person(t), channel.SMS, false, "")
			return name
		}
		send := func() {
			t.Helper()
			b.renew(plan())
			if _, err := b.Run(t.Context(), b.job, deliver.Work{}); err != nil {
				t.Fatal(err)
			}
		}
		for range 20 {
			send()
		}
		if first.calls.Load() != 5 || plan() != "b" {
			t.Errorf("%d calls of a route that is down, and then %q is planned", first.calls.Load(), plan())
		}
		for range 3 {
			time.Sleep(5*time.Second + time.Millisecond)
			send()
			send()
		}
		if first.calls.Load() != 8 {
			t.Errorf("%d calls after three rests, want one trial each", first.calls.Load())
		}
		first.down = false
		time.Sleep(5*time.Second + time.Millisecond)
		send()
		if plan() != "a" {
			t.Errorf("after it works again, %q is planned", plan())
		}
	})
}

// TestPause lets the best route ask for half a minute: the next one is taken for as long, and not when it was our own
// limit.
func TestPause(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  *channel.Error
		want string
	}{
		{&channel.Error{Kind: channel.Throttled, Provider: "fake", Code: "429", RetryAfter: 30 * time.Second}, "bbba"},
		{&channel.Error{Kind: channel.Throttled, Provider: "fake", Code: "429", RetryAfter: time.Hour}, "bbbb"},
		{&channel.Error{Kind: channel.Throttled, Provider: "fake", Code: "429"}, "aaaa"},
		{&channel.Error{Kind: channel.Throttled, Provider: "fake", Code: "route_busy", RetryAfter: 30 * time.Second}, "aaaa"},
	} {
		b := newBench(t)
		routes := b.Routes.All()
		best := *routes[0]
		best.Health = deliver.NewHealth(func() time.Time { return b.now })
		b.carriers["a"].script = []error{c.err}
		b.Routes.Replace([]*deliver.Route{&best, routes[1]}, deliver.Priority)
		if _, err := b.Run(t.Context(), b.job, deliver.Work{}); err != nil {
			t.Fatal(err)
		}
		got := ""
		for range 4 {
			name, _, _ := b.Routes.Plan(person(t), channel.SMS, false, "")
			got += name
			b.now = b.now.Add(10*time.Second + time.Millisecond)
		}
		if got != c.want {
			t.Errorf("after %+v the routes are %q, want %q", c.err, got, c.want)
		}
	}
}

// TestSilence lets the best route hang: long before its calls time out, the next one is taken.
func TestSilence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		routes := b.Routes.All()
		best := *routes[0]
		best.Sender, best.Health, best.Timeout = &outage{hangs: true}, deliver.NewHealth(time.Now), 10*time.Second
		b.Routes.Replace([]*deliver.Route{&best, routes[1]}, deliver.Priority)
		for range 3 {
			b.renew("a")
			job := b.job
			go func() {
				if _, err := b.Run(context.Background(), job, deliver.Work{}); err != nil && !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			}()
			synctest.Wait()
		}
		if name, _, _ := b.Routes.Plan(person(t), channel.SMS, false, ""); name != "a" {
			t.Errorf("at once %q is planned", name)
		}
		time.Sleep(501 * time.Millisecond)
		if name, _, _ := b.Routes.Plan(person(t), channel.SMS, false, ""); name != "b" {
			t.Errorf("after half a second of silence %q is planned", name)
		}
		time.Sleep(time.Second)
		b.renew("a") // another one is not given to it: it goes elsewhere at once
		if _, err := b.Run(t.Context(), b.job, deliver.Work{}); err != nil ||
			!slices.Equal(b.deliveries(), []string{"a failed", "b accepted"}) {
			t.Errorf("%v, %v", b.deliveries(), err)
		}
		time.Sleep(20 * time.Second) // the calls end
		synctest.Wait()
		if name, _, _ := b.Routes.Plan(person(t), channel.SMS, false, ""); name != "a" {
			t.Errorf("after the silence %q is planned", name)
		}
	})
}
