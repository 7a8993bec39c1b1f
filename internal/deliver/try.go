package deliver

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/queue"
)

// try is one try of a job over one route. Its stages fill it in from top to bottom.
type try struct {
	h *Handler
	j queue.Job
	w Work

	parcel *Parcel          // nil: the node that made the job knows without reading
	d      channel.Delivery // that is being sent
	c      Composed
	route  *Route

	called   bool // the provider was
	accepted channel.Accepted
}

// query is what a route is looked for.
func (t *try) query() query {
	m := &t.c.Message
	return query{to: m.To, kind: t.d.Channel, test: t.c.Test, sender: m.Brand, stale: t.stale()}
}

// stale reports whether a provider has failed to take the message before.
func (t *try) stale() bool {
	if t.w.failed || t.parcel == nil {
		return t.w.failed
	}
	return slices.ContainsFunc(t.parcel.since(t.j.ID), func(d channel.Delivery) bool {
		return d.Kind != "" && d.Kind != channel.MaybeSent && !own(d.Code)
	})
}

// verdict is what follows a stage.
type verdict int

const (
	onward verdict = iota // the next stage
	again                 // another try, over another route
	parked                // the job waits, here or in the store
	over                  // the job is finished
)

// stage is one step on the way of a message. One that does not say onward has written down what becomes of the job, or
// keeps it.
type stage struct {
	name string
	run  func(*try, context.Context) (verdict, error)
}

// stages are the way of a message.
func stages() [7]stage {
	return [...]stage{
		{"look", (*try).look},       // what is to be sent, and that it is being sent
		{"compose", (*try).compose}, // the message, unless there is nothing left to send for
		{"route", (*try).find},      // the route that was chosen, if it is still there
		{"turn", (*try).queueUp},    // behind those who came before
		{"lease", (*try).prolong},   // that outlasts the call
		{"call", (*try).send},       // the provider
		{"record", (*try).taken},    // that it was taken
	}
}

// run goes through the stages.
func (t *try) run(ctx context.Context) (verdict, error) {
	for _, s := range stages() {
		v, err := s.run(t, ctx)
		if err != nil {
			return v, fmt.Errorf("deliver: %s: %w", s.name, err)
		}
		if v != onward {
			return v, nil
		}
	}
	return over, nil
}

// finished returns over for a job whose row is gone, else parked.
func finished(gone bool) verdict {
	if gone {
		return over
	}
	return parked
}

// look finds what the job is about. The node that made the job knows without reading.
func (t *try) look(ctx context.Context) (verdict, error) {
	if m := t.w.made; m != nil && t.j.Attempt == 1 && len(t.j.Payload) == 0 {
		t.d = m.Delivery
		return onward, nil
	}
	d, err := t.claim(ctx)
	if err != nil {
		return parked, err
	}
	if d == nil { // nothing is left to send
		gone, err := t.h.record(ctx, t.j, func(Tx, *Parcel, *channel.Delivery) (bool, error) { return true, nil })
		return finished(gone), err
	}
	t.d, t.w.written = *d, true
	return onward, nil
}

// claim reads the delivery that a job is trying now, and writes the attempt down; nil when there is nothing left to
// send.
func (t *try) claim(ctx context.Context) (d *channel.Delivery, err error) {
	h, j := t.h, t.j
	var before *channel.Delivery // as the first try saw it
	err = h.insist(ctx, j, func(tx Tx) error {
		t.parcel, d = nil, nil
		row, err := tx.Job(j.ID)
		if err != nil {
			return err
		}
		if row == nil || row.Attempt != j.Attempt {
			return errSettled
		}
		p, err := tx.Parcel(j.Ref)
		if err != nil || p == nil {
			return err
		}
		t.parcel, d = p, p.delivery(current(j))
		if d == nil {
			return nil
		}
		if d.Status != channel.Queued && d.Status != channel.Sending {
			// A receipt has come although the answer never did: the message left, and is not sent again.
			d = nil
			return nil
		}
		if d.Status == channel.Sending && t.w.written {
			return nil // by this attempt, before it waited for its turn
		}
		if before == nil {
			seen := *d
			before = &seen
		}
		if j.Attempt > 1 && before.Status == channel.Sending && before.Attempt > 0 {
			doubt(d)
		}
		d.Attempt++
		d.Status, d.Updated = channel.Sending, h.now()
		tx.PutParcel(p)
		return nil
	})
	return d, err
}

// compose makes the message.
func (t *try) compose(ctx context.Context) (verdict, error) {
	h := t.h
	var err error
	if m := t.w.made; m != nil && !m.Message.To.IsZero() && m.Message.Channel == t.d.Channel {
		t.c = Composed{Message: m.Message, Test: m.Test, Open: h.Now().Before(m.Message.ExpiresAt)}
	} else if t.c, err = h.Composer.Compose(ctx, t.j.Ref, t.d); err != nil {
		gone, err := h.giveUpLater(ctx, t.j, t.parcel, err)
		return finished(gone), err
	}
	if !t.c.Open {
		gone, err := h.giveUp(ctx, t.j)
		return finished(gone), err
	}
	return onward, nil
}

// find finds the route.
func (t *try) find(ctx context.Context) (verdict, error) {
	t.route = t.h.Routes.Named(t.d.Route)
	if t.route == nil || t.route.Quiet {
		return t.fail(ctx, &channel.Error{Kind: channel.Unavailable, Provider: t.d.Route, Code: codeGone})
	}
	return onward, nil
}

// queueUp lets those pass who came before.
func (t *try) queueUp(ctx context.Context) (verdict, error) {
	if t.missed() {
		return t.fail(ctx, busy(t.route))
	}
	if t.w.turn == nil && t.h.lines.waiting(t.route.Name) && t.wait(busy(t.route)) {
		return parked, nil
	}
	return onward, nil
}

// prolong makes the lease longer when it could end during the call: another node would send the same message.
func (t *try) prolong(ctx context.Context) (v verdict, err error) {
	now := t.h.now()
	if !now.Add(t.route.Timeout + leaseSpare).After(t.j.Due) {
		return onward, nil
	}
	t.j.Hold(now.Add(t.route.Timeout + max(t.h.Lease, leaseSpare)))
	return onward, t.h.insist(ctx, t.j, func(tx Tx) error { return renew(tx, t.j) })
}

// send makes the call. What was not taken goes on from here.
func (t *try) send(ctx context.Context) (verdict, error) {
	h, turn := t.h, t.w.turn
	taken, err := t.call(ctx)
	if t.called = err == nil || !ours(err); t.called {
		t.w.written = false
	}
	if turn != nil {
		turn.taken = t.called
	}
	if err != nil {
		if t.wait(err) {
			return parked, nil
		}
		return t.fail(ctx, err)
	}
	if h.Routes.Conversions != nil && !t.c.Test {
		h.Routes.Conversions.Sent(t.j.Ref, t.route.Name, t.c.Message.To)
	}
	t.accepted = taken
	return onward, nil
}

// call hands the message to the route's provider, within the route's bounds.
func (t *try) call(ctx context.Context) (accepted channel.Accepted, fault *channel.Error) {
	h, r := t.h, t.route
	if err := r.lint(&t.c.Message); err != nil {
		return channel.Accepted{}, err
	}
	if err := h.Routes.understood(r, &t.c.Message); err != nil {
		return channel.Accepted{}, err
	}
	made, refusal := r.Health.begin(r.asked(t.query()))
	if refusal != nil {
		refusal.Provider = r.Provider
		h.notice(r)
		return channel.Accepted{}, refusal
	}
	defer func() {
		if p := recover(); p != nil {
			// Nobody knows how far it came: to run it again could send the message again.
			h.Log.Error("a provider's code panicked", "route", r.Name, "panic", fmt.Sprintf("%v\n%s", p, debug.Stack()))
			accepted, fault = channel.Accepted{}, &channel.Error{Kind: channel.MaybeSent, Provider: r.Provider, Code: "panic"}
		}
		made.end(fault)
		h.notice(r)
	}()
	wait := t.patience()
	if wait > 0 {
		var release func()
		ctx, release = r.Health.impatient(ctx, wait)
		defer release()
	}
	if accepted, fault = t.bounded(ctx); fault == nil {
		return accepted, nil
	}
	if fault.Kind == channel.MaybeSent && errors.Is(context.Cause(ctx), errSilent) {
		fault = &channel.Error{
			Kind:     channel.MaybeSent,
			Provider: r.Provider,
			Code:     codeSilent,
			Detail:   "the provider left the call without an answer, and the order goes on",
		}
	}
	return channel.Accepted{}, fault
}

// The codes of our own refusals.
const (
	codeRate = "route_rate"
	codeBusy = "route_busy"
	codeOpen = "circuit_open"
	codeGone = "route_gone"
)

// ours reports whether an error comes from ourselves: the provider was not called.
func ours(e *channel.Error) bool { return own(e.Code) }

func own(code string) bool {
	return code == codeRate || code == codeBusy || code == codeOpen || code == codeGone || code == codeTemplate
}

// bounded makes the call when the route has room for it.
func (t *try) bounded(ctx context.Context) (channel.Accepted, *channel.Error) {
	h, r := t.h, t.route
	if err := h.enter(r); err != nil {
		return channel.Accepted{}, err
	}
	defer h.leave(r)
	ctx, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	a, err := r.Sender.Send(ctx, h.addressed(r, t.j.Ref, t.d.ID, t.c.Message))
	if err != nil {
		return channel.Accepted{}, channel.AsError(r.Provider, err)
	}
	return a, nil
}

// addressed returns the message with what the route and the delivery add to it.
func (h *Handler) addressed(r *Route, ref, d id.ID, m channel.Message) channel.Message {
	m.From = r.sender(m.To.Country())
	m.Regulatory = r.regulatory(&m)
	m.Delivery = d.Text(id.Delivery)
	m.Token = h.Callbacks.Token(r.Name, ref, d)
	m.Callback = h.Callbacks.Address(r.Name, m.Token)
	return m
}
