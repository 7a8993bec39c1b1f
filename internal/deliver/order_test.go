package deliver_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/deliver"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/queue"
)

// order gives the bench's parcel an order that goes on after 25 s.
func (b *bench) order() {
	b.Next = "next"
	b.shelf.Lock()
	defer b.shelf.Unlock()
	p := b.shelf.Parcels[b.job.Ref]
	p.Timer, p.Wait = b.job.ID, 25*time.Second
	b.shelf.Parcels[b.job.Ref] = p
}

// timer returns what became of the bench's job: "dropped", or its kind and when it is due after the beginning.
func (b *bench) timer(began time.Time) string {
	b.shelf.Lock()
	defer b.shelf.Unlock()
	j, ok := b.shelf.Jobs[b.job.ID]
	if !ok {
		return "dropped"
	}
	return j.Kind + " " + j.Due.Sub(began).String()
}

// hear sends one of a delivery to the bench.
func (b *bench) hear(t *testing.T, d channel.Delivery, status channel.Status) {
	t.Helper()
	r := channel.Callback{Method: http.MethodPost, Body: []byte(status), Header: http.Header{}}
	if code, _, _ := b.Callback(t.Context(), d.Route, b.Callbacks.Token(d.Route, b.job.Ref, d.ID),
		r); code != http.StatusNoContent {
		t.Fatalf("the receipt is answered with %d", code)
	}
}

func (b *bench) newest() channel.Delivery {
	b.shelf.Lock()
	defer b.shelf.Unlock()
	all := b.shelf.Parcels[b.job.Ref].Deliveries
	return all[len(all)-1]
}

// TestTheOrderGoesOn is the table of what each end of a message means for an order of channels.
func TestTheOrderGoesOn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		script   []error // of the first route
		all      bool    // the others do the same
		status   channel.Status
		receipts []channel.Status
		want     string
	}{
		{name: "taken, and nothing more is heard", want: "next 25s"},
		{name: "arrived", receipts: []channel.Status{channel.Sent, channel.Delivered}, want: "dropped"},
		{name: "arrived as the answer says", status: channel.Delivered, want: "dropped"},
		{name: "with the carrier", receipts: []channel.Status{channel.Sent}, want: "next 25s"},
		{name: "did not arrive", receipts: []channel.Status{channel.Undelivered}, want: "next 1s"},
		{name: "did not arrive, twice, and late news",
			receipts: []channel.Status{channel.Undelivered, channel.Undelivered, channel.Delivered}, want: "next 1s"},
		{name: "did not arrive as the answer says", status: channel.Undelivered, want: "next 0s"},
		{name: "the number does not work", script: []error{fault(channel.Rejected)}, want: "next 0s"},
		{name: "may have left: nobody doubles it before the time", script: []error{fault(channel.MaybeSent)},
			want: "next 25s"},
		{name: "refused, and the next route takes it", script: []error{fault(channel.Refused)}, want: "next 25s"},
		{name: "every route is down", script: []error{fault(channel.Unavailable)}, all: true, want: "deliver 500ms"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.order()
			began := b.now
			b.carriers["a"].script, b.carriers["a"].status = c.script, c.status
			if c.all {
				b.carriers["b"].script, b.carriers["c"].script = c.script, c.script
			}
			if _, err := b.Run(t.Context(), b.job, deliver.Work{}); err != nil {
				t.Fatal(err)
			}
			b.now = b.now.Add(time.Second)
			for _, status := range c.receipts {
				b.hear(t, b.newest(), status)
			}
			if got := b.timer(began); got != c.want {
				t.Errorf("the job is %q, want %q (%v)", got, c.want, b.deliveries())
			}
		})
	}
}

// TestTheOrderEnds: what is over, or in other hands, does not go on.
func TestTheOrderEnds(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*deliver.Parcel){
		"over":                func(p *deliver.Parcel) { p.Open = false },
		"past its deadline":   func(p *deliver.Parcel) { p.Expires = p.Deliveries[0].Created },
		"the person resent":   func(p *deliver.Parcel) { p.Timer = id.ID{1} },
		"ended by the person": func(p *deliver.Parcel) { p.Timer = id.ID{} },
		"an earlier message arrived": func(p *deliver.Parcel) {
			p.Deliveries = append([]channel.Delivery{{ID: id.ID{2}, Status: channel.Delivered}}, p.Deliveries...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.order()
			b.carriers["a"].during = func() { // while the call is under way
				b.shelf.Lock()
				defer b.shelf.Unlock()
				p := b.shelf.Parcels[b.job.Ref]
				change(&p)
				b.shelf.Parcels[b.job.Ref] = p
			}
			if _, err := b.Run(t.Context(), b.job, deliver.Work{}); err != nil {
				t.Fatal(err)
			}
			if got := b.timer(b.now); got != "dropped" {
				t.Errorf("the job is %q", got)
			}
		})
	}
}

// TestADeadChannelGivesWay: when no route of a channel takes the message within its time, the next channel has its
// turn.
func TestADeadChannelGivesWay(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.order()
	began := b.now
	for _, c := range b.carriers {
		c.script = make([]error, 100)
		for i := range c.script {
			c.script[i] = fault(channel.Unavailable)
		}
	}
	for rounds := 0; ; rounds++ {
		b.shelf.Lock()
		j := b.shelf.Jobs[b.job.ID]
		b.shelf.Unlock()
		if j.Kind == "next" || rounds > 20 {
			break
		}
		if rounds > 0 {
			b.now = j.Due
			j.Attempt++
			b.shelf.Lock()
			b.shelf.Jobs[j.ID] = j
			b.shelf.Unlock()
		}
		if _, err := b.Run(t.Context(), j, deliver.Work{}); err != nil {
			t.Fatal(err)
		}
	}
	if got := b.timer(began); got != "next 25s" || b.newest().Status != channel.Failed {
		t.Errorf("the job is %q, the deliveries %v", got, b.deliveries())
	}
}

// TestAReceiptOfAnOlderMessage does not move the order on: the newest one may still arrive.
func TestAReceiptOfAnOlderMessage(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.order()
	b.carriers["a"].script = []error{fault(channel.Refused)}
	began := b.now
	if _, err := b.Run(t.Context(), b.job, deliver.Work{}); err != nil {
		t.Fatal(err)
	}
	older := channel.Delivery{ID: id.ID{3}, Route: "a", Channel: channel.SMS, Status: channel.Taken}
	b.shelf.Lock()
	p := b.shelf.Parcels[b.job.Ref]
	p.Deliveries = append([]channel.Delivery{older}, p.Deliveries...)
	b.shelf.Parcels[b.job.Ref] = p
	b.shelf.Unlock()
	b.hear(t, older, channel.Undelivered)
	if got := b.timer(began); got != "next 25s" {
		t.Errorf("the job is %q", got)
	}
}

// TestAHangGivesWay: on a route that answers nobody, a call is given up after a second when another channel can go on,
// and is waited for to its end when none can.
func TestAHangGivesWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.Now = time.Now
		b.now = time.Now()
		route := *b.Routes.All()[0]
		route.Sender, route.Health, route.Timeout = &outage{hangs: true}, deliver.NewHealth(time.Now), 10*time.Second
		b.Routes.Replace([]*deliver.Route{&route}, deliver.Priority)
		began := time.Now()
		ended := make(chan time.Duration, 4)
		run := func(order bool) queue.Job {
			b.renew("a")
			if order {
				b.order()
			}
			job := b.job
			var w deliver.Work
			if order {
				w = deliver.Fresh(&deliver.Made{Delivery: b.newest(), Wait: 25 * time.Second})
			}
			go func() {
				if _, err := b.Run(context.Background(), job, w); err != nil {
					t.Error(err)
				}
				ended <- time.Since(began)
			}()
			return job
		}
		first := run(true)
		run(false)
		run(false)
		if took := <-ended; took != time.Second {
			t.Errorf("the call was given up after %s", took)
		}
		b.job = first
		if got := b.timer(began); got != "next 1s" || !strings.HasSuffix(b.deliveries()[0], "unknown") ||
			b.newest().Code != "no_answer" {
			t.Errorf("the job is %q, the deliveries %v", got, b.deliveries())
		}
		for range 2 {
			if took := <-ended; took != 10*time.Second {
				t.Errorf("a call without an order ended after %s", took)
			}
		}
	})
}
