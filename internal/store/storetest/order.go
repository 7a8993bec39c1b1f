package storetest

import (
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/deliver"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/queue"
	"github.com/dialproof/dialproof/internal/verify"
)

func orderTests() map[string]func(*testing.T, Open) {
	return map[string]func(*testing.T, Open){
		"an order of channels goes on":         orderGoesOn,
		"an order is one step for many nodes":  orderOnce,
		"an order follows one job":             orderOfAnother,
		"an order ends with its verification":  orderHalts,
		"an order keeps the number's limits":   orderLimited,
		"an order skips what is rejected":      orderSkips,
		"an order keeps fresh codes":           orderKeepsTheCode,
		"an order goes on from the resend":     orderAndResend,
		"an order outlives nothing it may not": orderIsBounded,
	}
}

// inTurn is the policy of the tests.
func inTurn(p *application.Policy) {
	p.Fallback = []application.Step{
		{Channel: channel.SMS, Wait: 25},
		{Channel: channel.SMS, Wait: 25},
		{Channel: channel.Voice},
	}
}

// took does what deliver does when a provider has taken the newest message; change may say more of it.
func (b *bench) took(t *testing.T, v *verify.Verification, change func(*channel.Delivery)) {
	t.Helper()
	err := b.store.Update(t.Context(), v.ID, id.ID{}, func(tx deliver.Tx) error {
		p, err := tx.Parcel(v.ID)
		if err != nil {
			return err
		}
		d := &p.Deliveries[len(p.Deliveries)-1]
		d.Status = channel.Taken
		if change != nil {
			change(d)
		}
		tx.PutParcel(p)
		j, err := tx.Job(d.ID)
		if err != nil || j == nil {
			return err
		}
		if p.Timer != j.ID {
			tx.DropJob(j.ID)
			return nil
		}
		j.Kind, j.Due = verify.NextKind, b.clock.Now().Add(p.Wait)
		tx.PutJob(*j)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// due claims what is due and runs it; it answers how many jobs that were.
func (b *bench) due(t *testing.T) int {
	t.Helper()
	jobs, err := b.store.Claim(t.Context(), b.clock.Now(), verify.NextKind, 10, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for _, j := range jobs {
		b.next(t, j)
	}
	return len(jobs)
}

func (b *bench) next(t *testing.T, j queue.Job) {
	t.Helper()
	if j.Kind != verify.NextKind {
		t.Fatalf("a job of kind %q is due", j.Kind)
	}
	if _, err := (verify.Fallback{Service: b.Service}).Run(t.Context(), j); err != nil {
		t.Fatal(err)
	}
}

func (b *bench) find(t *testing.T, v *verify.Verification) *verify.Verification {
	t.Helper()
	found, err := b.store.Find(t.Context(), v.ID)
	if err != nil || found == nil {
		t.Fatalf("%v, %v", found, err)
	}
	return found
}

// open returns how many jobs there are.
func (b *bench) open(t *testing.T) int {
	t.Helper()
	depth, err := b.store.Depth(t.Context(), b.clock.Now())
	n := depth.Open
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func orderGoesOn(t *testing.T, open Open) {
	b := newBench(t, open, inTurn)
	v := b.start(t, verify.StartRequest{To: drama(100)})
	code := b.code(t, v)
	for i, want := range []channel.Kind{channel.SMS, channel.SMS, channel.Voice} {
		now := b.find(t, v)
		kind, at, follows := now.Next()
		if now.Channel != want || len(now.Deliveries) != i+1 || now.Sends != i+1 || follows != (i < 2) {
			t.Fatalf("step %d: %s, %d deliveries, %d sends, next %s (%t)", i, now.Channel, len(now.Deliveries), now.Sends, kind,
				follows)
		}
		if follows && !at.Equal(b.clock.Now().Add(25*time.Second)) {
			t.Errorf("step %d: the next one at %s", i, at)
		}
		if got := b.code(t, v); got != code {
			t.Errorf("step %d has another code", i)
		}
		b.took(t, v, nil)
		b.clock.Advance(25*time.Second - time.Millisecond)
		if n := b.due(t); n != 0 {
			t.Errorf("step %d: %d jobs are due before the wait is over", i, n)
		}
		b.clock.Advance(time.Millisecond)
		b.due(t)
	}
	if n := b.open(t); n != 0 || b.sent() != 3 {
		t.Errorf("%d jobs are left after %d messages", n, b.sent())
	}
}

func orderOnce(t *testing.T, open Open) {
	b := newBench(t, open, inTurn)
	v := b.start(t, verify.StartRequest{To: drama(100)})
	b.took(t, v, nil)
	b.clock.Advance(25 * time.Second)
	first, err := b.store.Claim(t.Context(), b.clock.Now(), verify.NextKind, 10, time.Second)
	if err != nil || len(first) != 1 {
		t.Fatalf("%v, %v", first, err)
	}
	b.clock.Advance(time.Second) // the first node hangs, and another one claims
	second, err := b.store.Claim(t.Context(), b.clock.Now(), verify.NextKind, 10, time.Second)
	if err != nil || len(second) != 1 {
		t.Fatalf("%v, %v", second, err)
	}
	b.next(t, first[0]) // its lease has passed to the other
	if now := b.find(t, v); len(now.Deliveries) != 1 || b.open(t) != 1 {
		t.Errorf("an older attempt has gone on: %d deliveries, %d jobs", len(now.Deliveries), b.open(t))
	}
	together(8, func(i int) { b.next(t, []queue.Job{first[0], second[0]}[i%2]) })
	if now := b.find(t, v); len(now.Deliveries) != 2 || b.sent() != 2 {
		t.Errorf("%d deliveries, %d messages", len(now.Deliveries), b.sent())
	}
}

// orderOfAnother lets a job be due that is not the one that drives the order any more.
func orderOfAnother(t *testing.T, open Open) {
	b := newBench(t, open, inTurn)
	v := b.start(t, verify.StartRequest{To: drama(100)})
	b.took(t, v, nil)
	err := b.store.Update(t.Context(), v.ID, id.ID{}, func(tx deliver.Tx) error {
		p, err := tx.Parcel(v.ID)
		if err == nil {
			p.Timer = id.ID{1}
			tx.PutParcel(p)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	b.clock.Advance(25 * time.Second)
	b.due(t)
	if now := b.find(t, v); len(now.Deliveries) != 1 || b.open(t) != 0 {
		t.Errorf("%d deliveries, %d jobs", len(now.Deliveries), b.open(t))
	}
}

func orderHalts(t *testing.T, open Open) {
	for name, end := range map[string]func(*bench, *verify.Verification){
		"approved": func(b *bench, v *verify.Verification) { b.check(t, v, b.code(t, v)) },
		"canceled": func(b *bench, v *verify.Verification) {
			if _, err := b.Cancel(t.Context(), b.live, v.ID, nil); err != nil {
				t.Error(err)
			}
		},
		"failed": func(b *bench, v *verify.Verification) {
			for range 5 {
				b.check(t, v, wrong(b.code(t, v)))
			}
		},
	} {
		b := newBench(t, open, inTurn)
		v := b.start(t, verify.StartRequest{To: drama(100)})
		b.took(t, v, nil)
		end(b, v)
		if n := b.open(t); n != 0 {
			t.Errorf("%s: %d jobs are left", name, n)
		}
		if _, _, ok := b.find(t, v).Next(); ok {
			t.Errorf("%s: something follows", name)
		}
		// While the message is under way its job stays, so that what becomes of it is recorded.
		v = b.start(t, verify.StartRequest{To: drama(101)})
		end(b, v)
		if n := b.open(t); n != 1 {
			t.Errorf("%s: %d jobs while the call is under way", name, n)
		}
		b.took(t, v, nil)
		if n := b.open(t); n != 0 {
			t.Errorf("%s: %d jobs are left when it has ended", name, n)
		}
	}
}

func orderLimited(t *testing.T, open Open) {
	b := newBench(t, open, inTurn)
	b.Limits.Sends.Windows[0].Max = 2
	v := b.start(t, verify.StartRequest{To: drama(100)})
	for range 3 {
		b.took(t, v, nil)
		b.clock.Advance(25 * time.Second)
		b.due(t)
	}
	if now := b.find(t, v); len(now.Deliveries) != 2 || b.open(t) != 0 {
		t.Errorf("%d deliveries with two an hour, %d jobs", len(now.Deliveries), b.open(t))
	}
	// The gap counts from the newest message, also from one that nobody asked for.
	b = newBench(t, open, inTurn)
	v = b.start(t, verify.StartRequest{To: drama(100)})
	b.took(t, v, nil)
	b.clock.Advance(25 * time.Second)
	b.due(t)
	b.clock.Advance(10 * time.Second)
	_, err := b.Resend(t.Context(), b.live, verify.ResendRequest{ID: v.ID})
	want(t, err, "rate_limited number_gap")
}

func orderSkips(t *testing.T, open Open) {
	b := newBench(t, open, inTurn)
	v := b.start(t, verify.StartRequest{To: drama(100)})
	b.took(t, v, func(d *channel.Delivery) { d.Status, d.Kind = channel.Failed, channel.Rejected })
	b.clock.Advance(25 * time.Second)
	b.due(t)
	if now := b.find(t, v); now.Channel != channel.Voice || len(now.Deliveries) != 2 {
		t.Errorf("after a rejection: %s, %d deliveries", now.Channel, len(now.Deliveries))
	}
}

func orderKeepsTheCode(t *testing.T, open Open) {
	b := newBench(t, open, inTurn, func(p *application.Policy) { p.FreshCodes = true })
	v := b.start(t, verify.StartRequest{To: drama(100)})
	code := b.code(t, v)
	b.took(t, v, nil)
	b.clock.Advance(25 * time.Second)
	b.due(t)
	if r := b.check(t, v, code); r != verify.ResultApproved {
		t.Errorf("the code of the first message is %s: the person did not ask for another", r)
	}
}

func orderAndResend(t *testing.T, open Open) {
	b := newBench(t, open, inTurn)
	v := b.start(t, verify.StartRequest{To: drama(100)})
	b.took(t, v, nil)
	b.clock.Advance(30 * time.Second) // the timer is late
	if _, err := b.Resend(t.Context(), b.live, verify.ResendRequest{ID: v.ID}); err != nil {
		t.Fatal(err)
	}
	if b.due(t) != 0 || b.open(t) != 1 {
		t.Errorf("%d jobs after the resend", b.open(t))
	}
	b.took(t, v, nil)
	if kind, _, ok := b.find(t, v).Next(); !ok || kind != channel.SMS {
		t.Errorf("after a resend %q follows (%t)", kind, ok)
	}
	b.clock.Advance(90 * time.Second)
	if _, err := b.Resend(t.Context(), b.live, verify.ResendRequest{ID: v.ID, Channel: channel.Voice}); err != nil {
		t.Fatal(err)
	}
	if _, _, ok := b.find(t, v).Next(); ok {
		t.Error("something follows the last step")
	}
}

func orderIsBounded(t *testing.T, open Open) {
	b := newBench(t, open, inTurn)
	v := b.start(t, verify.StartRequest{To: drama(100), ExpiresIn: 60})
	b.took(t, v, nil)
	b.clock.Advance(time.Minute)
	b.due(t)
	if now := b.find(t, v); len(now.Deliveries) != 1 || b.open(t) != 0 {
		t.Errorf("after the deadline: %d deliveries, %d jobs", len(now.Deliveries), b.open(t))
	}
	b = newBench(t, open)
	b.start(t, verify.StartRequest{To: drama(100)})
	if _, _, ok := b.find(t, b.start(t, verify.StartRequest{To: drama(101), Channel: channel.Voice})).Next(); ok {
		t.Error("something follows although there is no order")
	}
}
