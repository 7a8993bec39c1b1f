package verify_test

import (
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/limit"
	"github.com/dialproof/dialproof/internal/phone"
	"github.com/dialproof/dialproof/internal/queue"
	"github.com/dialproof/dialproof/internal/store/memstore"
	"github.com/dialproof/dialproof/internal/verify"
)

// inTurn is the order of these tests.
func inTurn(p *application.Policy) {
	p.Fallback = []application.Step{
		{Channel: channel.SMS, Wait: 25},
		{Channel: channel.SMS, Wait: 25},
		{Channel: channel.Voice},
	}
}

// took does what deliver does when a provider has taken the newest message; change may say more of it. It returns the
// job that goes on, or nil when none is left.
func (w *world) took(t *testing.T, v *verify.Verification, change func(*channel.Delivery)) (next *queue.Job) {
	t.Helper()
	err := w.db.Do(t.Context(), verify.Needs{Verification: v.ID}, func(tx verify.Tx) error {
		kept, err := tx.Verification(v.ID)
		if err != nil {
			return err
		}
		d := &kept.Deliveries[len(kept.Deliveries)-1]
		d.Status = channel.Taken
		if change != nil {
			change(d)
		}
		tx.PutVerification(kept, false)
		j, err := tx.Job(d.ID)
		if err != nil || j == nil {
			return err
		}
		if kept.Timer != j.ID {
			tx.DropJob(j.ID)
			return nil
		}
		j.Kind = verify.NextKind
		j.PutOff(w.Clock().Add(kept.Wait()))
		tx.PutJob(*j)
		next = j
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return next
}

// due claims the timers that are due and runs them. It returns how many that were.
func (w *world) due(t *testing.T) int {
	t.Helper()
	jobs, err := w.db.Claim(t.Context(), w.Clock(), verify.NextKind, 10, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for _, j := range jobs {
		if done, err := (verify.Fallback{Service: w.Service}).Run(t.Context(), j); err != nil || !done {
			t.Fatalf("done %t, %v", done, err)
		}
	}
	return len(jobs)
}

// TestOrder: each step begins when the wait of the one before it is over, with the same code, and the last one ends the
// order.
func TestOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t, inTurn, func(p *application.Policy) { p.FreshCodes = true })
	v := w.start(t, verify.StartRequest{To: drama(100)})
	code := w.code(t, v)
	for i, kind := range []channel.Kind{channel.SMS, channel.SMS, channel.Voice} {
		now := w.kept(t, v)
		want(t, "channel", now.Channel, kind)
		want(t, "step", now.Step, i)
		want(t, "sends", now.Sends, i+1)
		want(t, "deliveries", len(now.Deliveries), i+1)
		want(t, "sends of the number", len(w.number(t, v).Sends.Sends), i+1)
		want(t, "the code", w.code(t, v), code)
		wait := []time.Duration{25 * time.Second, 25 * time.Second, 0}[i]
		want(t, "wait", now.Wait(), wait)
		want(t, "made wait", w.made[i].Wait, wait)
		next, at, follows := now.Next()
		want(t, "follows", follows, i < 2)
		if follows && (next != []channel.Kind{channel.SMS, channel.Voice}[i] || !at.Equal(w.Clock().Add(wait))) {
			t.Errorf("step %d: %s follows at %s", i, next, at)
		}
		w.took(t, v, nil)
		w.advance(25*time.Second - time.Millisecond)
		want(t, "due before the wait is over", w.due(t), 0)
		w.advance(time.Millisecond)
		w.due(t)
	}
	want(t, "jobs", w.open(t), 0)
	want(t, "messages", len(w.jobs), 3)
	want(t, "the second avoids the first route", w.asked[1], plan{channel.SMS, false, "by-sms"})
	want(t, "reason", w.kept(t, v).Deliveries[1].Reason, "fallback 2 of 3: priority")
	want(t, "reservations", w.reserved, 0)
	want(t, "the code", w.check(t, v, code), "approved")
}

// TestOrderHasAFence: an older attempt, a job that is gone and a job that does not drive the order any more do nothing.
func TestOrderHasAFence(t *testing.T) {
	t.Parallel()
	w := newWorld(t, inTurn)
	v := w.start(t, verify.StartRequest{To: drama(100)})
	first := *w.took(t, v, nil)
	w.advance(25 * time.Second)
	claimed, err := w.db.Claim(t.Context(), w.Clock(), verify.NextKind, 10, time.Second)
	if err != nil || len(claimed) != 1 {
		t.Fatalf("%v, %v", claimed, err)
	}
	f := verify.Fallback{Service: w.Service}
	run := func(j queue.Job) bool {
		done, err := f.Run(t.Context(), j)
		if err != nil {
			t.Fatal(err)
		}
		return done
	}
	want(t, "an older attempt", run(first), false)
	want(t, "deliveries", len(w.kept(t, v).Deliveries), 1)
	want(t, "the current attempt", run(claimed[0]), true)
	want(t, "deliveries", len(w.kept(t, v).Deliveries), 2)
	want(t, "the same again", run(claimed[0]), false)
	want(t, "deliveries", len(w.kept(t, v).Deliveries), 2)
	want(t, "of nothing", run(queue.Job{ID: id.ID{1}, Ref: id.ID{2}, Kind: verify.NextKind}), true)

	second := *w.took(t, v, nil)
	err = w.db.Do(t.Context(), verify.Needs{Verification: v.ID}, func(tx verify.Tx) error {
		kept, err := tx.Verification(v.ID)
		if err == nil {
			kept.Timer = id.ID{1}
			tx.PutVerification(kept, false)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	want(t, "a job that drives nothing", run(second), true)
	want(t, "deliveries", len(w.kept(t, v).Deliveries), 2)
	want(t, "jobs", w.open(t), 0)
}

// TestOrderEnds: what ends a verification ends its order. While a message is under way its job stays, so that its
// answer is recorded.
func TestOrderEnds(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*testing.T, *world, *verify.Verification){
		"approved": func(t *testing.T, w *world, v *verify.Verification) { w.check(t, v, w.code(t, v)) },
		"canceled": func(t *testing.T, w *world, v *verify.Verification) { w.cancel(t, v) },
		"failed":   func(t *testing.T, w *world, v *verify.Verification) { w.exhaust(t, v) },
		"expired": func(t *testing.T, w *world, v *verify.Verification) {
			w.advance(5 * time.Minute)
			w.check(t, v, "000000")
		},
		"written":    func(t *testing.T, w *world, v *verify.Verification) { w.advance(5 * time.Minute); w.expire(t, v) },
		"superseded": func(t *testing.T, w *world, v *verify.Verification) { w.supersede(t, v) },
	} {
		for _, underway := range []bool{false, true} {
			w := newWorld(t, inTurn)
			w.unlimited()
			v := w.start(t, verify.StartRequest{To: drama(100)})
			timer := w.kept(t, v).Timer
			if timer.IsZero() {
				t.Fatal("there is no order")
			}
			if !underway {
				w.took(t, v, nil)
			}
			end(t, w, v)
			want(t, name+": its job is there", w.job(t, timer) != nil, underway)
			kept := w.kept(t, v)
			want(t, name+": timer", kept.Timer.IsZero(), true)
			if _, _, follows := kept.Next(); follows || kept.Wait() != 0 {
				t.Errorf("%s: something follows", name)
			}
			w.took(t, v, nil)
			want(t, name+": its job is there in the end", w.job(t, timer) != nil, false)
		}
	}
}

func (w *world) expire(t *testing.T, v *verify.Verification) {
	t.Helper()
	if err := w.Expire(t.Context(), v.ID); err != nil {
		t.Error(err)
	}
}

// supersede starts another verification of the same number, without an order.
func (w *world) supersede(t *testing.T, _ *verify.Verification) {
	t.Helper()
	w.start(t, verify.StartRequest{To: drama(100), Channel: channel.WhatsApp})
}

// TestOrderKeepsTheLimits: a step is a send. It keeps the windows and the number of sends, and the gap counts from it.
func TestOrderKeepsTheLimits(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*world)
		policy func(*application.Policy)
		steps  int
	}{
		"all":         {func(*world) {}, inTurn, 3},
		"two an hour": {func(w *world) { w.Limits.Sends.Windows[0].Max = 2 }, inTurn, 2},
		"two sends":   {func(*world) {}, func(p *application.Policy) { inTurn(p); p.MaxSends = 2 }, 2},
		"no voice":    {func(w *world) { w.noRoute[channel.Voice] = true }, inTurn, 2},
		"long gaps":   {func(w *world) { w.Limits.Sends.Gaps = []time.Duration{time.Hour} }, inTurn, 3},
		"mail unknown": {func(*world) {}, func(p *application.Policy) { inTurn(p); p.Fallback[1].Channel = channel.Email },
			2},
		"locked number": {func(w *world) { w.Limits.MaxStreak = 1 }, inTurn, 1},
	} {
		w := newWorld(t, c.policy)
		c.change(w)
		v := w.start(t, verify.StartRequest{To: drama(100)})
		if name == "locked number" {
			w.check(t, v, wrong(w.code(t, v)))
		}
		for range 3 {
			w.took(t, v, nil)
			w.advance(25 * time.Second)
			w.due(t)
		}
		want(t, name+": deliveries", len(w.kept(t, v).Deliveries), c.steps)
		want(t, name+": jobs", w.open(t), 0)
		want(t, name+": timer", w.kept(t, v).Timer.IsZero(), true)
		want(t, name+": counted", w.counts["limited number_hour"] == 1, name == "two an hour")
	}
	w := newWorld(t, inTurn)
	v := w.start(t, verify.StartRequest{To: drama(100)})
	w.took(t, v, nil)
	w.advance(25 * time.Second)
	w.due(t)
	w.advance(59 * time.Second)
	want(t, "a resend in the gap of a step", w.tryResend(t, v, ""), "rate_limited number_gap")
	w.advance(time.Second)
	want(t, "after it", w.tryResend(t, v, ""), "ok")
}

// TestOrderSkips: a channel on which the number turned out not to work is passed over.
func TestOrderSkips(t *testing.T) {
	t.Parallel()
	w := newWorld(t, inTurn)
	v := w.start(t, verify.StartRequest{To: drama(100)})
	w.took(t, v, func(d *channel.Delivery) { d.Status, d.Kind = channel.Failed, channel.Rejected })
	w.advance(25 * time.Second)
	w.due(t)
	now := w.kept(t, v)
	want(t, "channel", now.Channel, channel.Voice)
	want(t, "deliveries", len(now.Deliveries), 2)
	want(t, "step", now.Step, 2)
}

// TestOrderAndResend: a resend ends the running wait. The order goes on after the step that the person asked for, and
// ends with a channel that is not in it.
func TestOrderAndResend(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind    channel.Kind
		follows channel.Kind
	}{{"", channel.SMS}, {channel.SMS, channel.SMS}, {channel.Voice, ""}, {channel.WhatsApp, ""}} {
		w := newWorld(t, inTurn)
		v := w.start(t, verify.StartRequest{To: drama(100)})
		timer := w.took(t, v, nil).ID
		w.advance(30 * time.Second) // the timer is late
		want(t, "resend", w.tryResend(t, v, c.kind), "ok")
		want(t, "the old timer is there", w.job(t, timer) != nil, false)
		want(t, "due", w.due(t), 0)
		next, _, follows := w.kept(t, v).Next()
		want(t, "follows", follows, c.follows != "")
		want(t, "what follows", next, c.follows)
		want(t, "an order goes on", w.took(t, v, nil) != nil, follows)
	}
	w := newWorld(t)
	if v := w.start(t, verify.StartRequest{To: drama(100)}); !v.Timer.IsZero() || v.Wait() != 0 {
		t.Error("something follows although there is no order")
	}
}

// TestOrderIsBounded: nothing follows a deadline, and what was forgotten has no next step.
func TestOrderIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, inTurn)
	v := w.start(t, verify.StartRequest{To: drama(100), ExpiresIn: 60})
	w.took(t, v, nil)
	w.advance(time.Minute)
	want(t, "due", w.due(t), 1)
	want(t, "deliveries", len(w.kept(t, v).Deliveries), 1)
	want(t, "jobs", w.open(t), 0)
	w = newWorld(t, inTurn)
	v = w.start(t, verify.StartRequest{To: drama(100)})
	w.took(t, v, nil)
	w.advance(25 * time.Second)
	w.fault = memstore.Fault{Before: true}
	if done, err := (verify.Fallback{Service: w.Service}).Run(t.Context(), queue.Job{ID: v.Timer, Ref: v.ID}); done ||
		outcome(err) != "store_unavailable" {
		t.Errorf("done %t, %v", done, err)
	}
	w.fault = memstore.Fault{}
	want(t, "reservations", w.reserved, 0)
	want(t, "due", w.due(t), 1)
	want(t, "deliveries", len(w.kept(t, v).Deliveries), 2)
}

// TestStoredNumbersStayReadable: the metadata changes after a start, so that the number could not be started any more.
// Its message goes out, the order and a resend go on, and the code is accepted.
func TestStoredNumbersStayReadable(t *testing.T) {
	t.Parallel()
	const number = "+298211234" // of the Faroe Islands, which no other test of this package uses
	w := newWorld(t, inTurn)
	w.Limits.Sends = limit.Schedule{}
	v := w.start(t, verify.StartRequest{To: number})
	restore := phone.Retire(298)
	defer restore()
	want(t, "a start", w.tryStart(t, verify.StartRequest{To: number}) != "ok", true)
	m, _, open, err := w.composer().Compose(t.Context(), v.ID, v.Deliveries[0])
	if err != nil || !open || m.To.E164() != number {
		t.Errorf("the message goes to %q, open %t, %v", m.To.E164(), open, err)
	}
	if to, err := w.composer().Number(t.Context(), v.ID); err != nil || to.E164() != number {
		t.Errorf("the number is %q, %v", to.E164(), err)
	}
	w.took(t, v, nil)
	w.advance(25 * time.Second)
	want(t, "due", w.due(t), 1)
	want(t, "a resend", w.tryResend(t, v, channel.SMS), "ok")
	want(t, "deliveries", len(w.kept(t, v).Deliveries), 3)
	want(t, "the code", w.check(t, v, m.Code.Reveal()), "approved")
}
