package deliver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/queue"
)

// Handler runs the jobs that bring messages to people.
type Handler struct {
	Store    Store
	Composer Composer
	Routes   *Routes
	IDs      *id.Source
	Now      func() time.Time
	Log      *slog.Logger
	Metrics  Metrics
	// Callbacks makes and reads the addresses for receipts.
	Callbacks *Callbacks
	// Lease is how long a renewed job is this node's own.
	Lease time.Duration
	// Next is the kind of job that goes on to another channel, when a parcel has a Timer.
	Next string
	// After runs a function once a time is over; nil: time.AfterFunc.
	After func(time.Duration, func())
	// Pause returns when a time is over or ctx ends; nil: by a timer.
	Pause func(context.Context, time.Duration)
	// Again has a job run that was kept back until its route had room; nil: jobs are put off in the store instead.
	Again func(queue.Job)

	lines lines

	reports atomic.Int64 // conversions that are being reported to providers
	late    atomic.Int64 // receipts that wait for what they are about to be written down
}

// errSettled says that another attempt has settled the job: there is nothing to record.
var errSettled = errors.New("deliver: settled by another attempt")

// Run sends the message of a job, over as many routes as it takes. Each attempt is written down before its
// call: the first by whoever made the job, the others here.
func (h *Handler) Run(ctx context.Context, j queue.Job) error {
	if turn, ok := j.Carry.(*called); ok {
		defer func() {
			if !turn.taken {
				h.pass(turn.route, 1)
			}
		}()
	}
	for {
		next, err := h.attempt(ctx, j)
		if errors.Is(err, errSettled) {
			return nil
		}
		if err != nil || next == nil {
			return err
		}
		j = *next
	}
}

// current answers the delivery that the job is trying now.
func current(j queue.Job) id.ID {
	if len(j.Payload) == len(id.ID{}) {
		return id.ID(j.Payload)
	}
	return j.ID
}

// attempt makes one call and records it. It answers the job to go on with at once, or nil.
func (h *Handler) attempt(ctx context.Context, j queue.Job) (*queue.Job, error) {
	parcel, d, ok, err := h.look(ctx, j)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, h.record(ctx, j, func(Tx, *Parcel, *channel.Delivery) (bool, error) { return true, nil })
	}
	c, err := h.Composer.Compose(ctx, j, d)
	if err != nil {
		return nil, h.giveUpLater(ctx, j, parcel, err)
	}
	if !c.Open {
		return nil, h.giveUp(ctx, j)
	}
	route := h.Routes.Named(d.Route)
	if route == nil || route.Quiet {
		return h.fail(ctx, j, c, &channel.Error{Kind: channel.Unavailable, Provider: d.Route, Code: "route_gone"})
	}
	if h.missed(j, parcel) {
		return h.fail(ctx, j, c, busy(route))
	}
	if h.crowded(route, j) && h.wait(route, j, c, busy(route)) {
		return nil, nil
	}
	if j, err = h.prolong(ctx, j, route.Timeout); err != nil {
		return nil, err
	}
	taken, err := h.call(ctx, route, j.Ref, d.ID, c.Message, hold(j, parcel))
	if turn, ok := j.Carry.(*called); ok {
		turn.taken = err == nil || !ours(channel.AsError(route.Provider, err))
	}
	if err != nil {
		e := channel.AsError(route.Provider, err)
		if h.wait(route, j, c, e) {
			return nil, nil
		}
		return h.fail(ctx, j, c, e)
	}
	if h.Routes.Conversions != nil && !c.Test {
		h.Routes.Conversions.Sent(j.Ref, route.Name, c.Message.To)
	}
	return nil, h.accept(ctx, j, route, d.Channel, taken)
}

// look answers what the job is about; ok is false when nothing is left to send. The node that made the job knows without reading.
func (h *Handler) look(ctx context.Context, j queue.Job) (p *Parcel, d channel.Delivery, ok bool, err error) {
	if c, made := j.Carry.(interface{ Delivery() channel.Delivery }); made && j.Attempt == 1 && len(j.Payload) == 0 {
		return nil, c.Delivery(), true, nil
	}
	p, waiting, err := h.claim(ctx, j)
	if err != nil || waiting == nil {
		return p, channel.Delivery{}, false, err
	}
	return p, *waiting, true, nil
}

// claim reads the delivery that a job is trying now, and writes the attempt down; none when there is nothing left to send.
func (h *Handler) claim(ctx context.Context, j queue.Job) (p *Parcel, d *channel.Delivery, err error) {
	var before *channel.Delivery // as the first try saw it
	err = h.insist(ctx, j, func(tx Tx) error {
		p, d = nil, nil
		kept, err := tx.Job(j.ID)
		if err != nil {
			return err
		}
		if kept == nil || kept.Attempt != j.Attempt {
			return errSettled
		}
		if p, err = tx.Parcel(j.Ref); err != nil || p == nil {
			return err
		}
		d = p.delivery(current(j))
		if d == nil {
			return nil
		}
		if d.Status != channel.Queued && d.Status != channel.Sending {
			// A receipt has come although the answer never did: the message left, and is not sent again.
			d = nil
			return nil
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
	return p, d, err
}

func (h *Handler) now() time.Time { return h.Now().UTC().Truncate(time.Millisecond) }

// call hands the message to a route's provider, within the route's bounds. wait is how long it may take before another channel
// goes on; 0 when none does.
func (h *Handler) call(ctx context.Context, r *Route, ref, d id.ID, m channel.Message, wait time.Duration) (accepted channel.Accepted, err error) {
	if err := r.lint(&m); err != nil {
		return channel.Accepted{}, err
	}
	if err := h.Routes.understood(r, &m); err != nil {
		return channel.Accepted{}, err
	}
	made, ok := r.Health.begin()
	if !ok {
		return channel.Accepted{}, &channel.Error{Kind: channel.Unavailable, Provider: r.Provider, Code: codeOpen, Detail: "the route has failed several times in a row and rests"}
	}
	defer func() {
		if p := recover(); p != nil {
			// Nobody knows how far it came: to run it again could send the message again.
			h.Log.Error("a provider's code panicked", "route", r.Name, "panic", fmt.Sprintf("%v\n%s", p, debug.Stack()))
			accepted, err = channel.Accepted{}, &channel.Error{Kind: channel.MaybeSent, Provider: r.Provider, Code: "panic"}
		}
		made.end(err)
	}()
	if wait <= 0 {
		return h.bounded(ctx, r, ref, d, m)
	}
	ctx, release := r.Health.impatient(ctx, wait)
	defer release()
	accepted, err = h.bounded(ctx, r, ref, d, m)
	if err != nil && errors.Is(context.Cause(ctx), errSilent) {
		if e := channel.AsError(r.Provider, err); e.Kind == channel.MaybeSent {
			err = &channel.Error{Kind: channel.MaybeSent, Provider: r.Provider, Code: codeSilent, Detail: "the provider left the call without an answer, and the order goes on"}
		}
	}
	return accepted, err
}

// The codes of our own refusals.
const (
	codeRate = "route_rate"
	codeBusy = "route_busy"
	codeOpen = "circuit_open"
)

// ours tells whether an error comes from ourselves: the provider was not called.
func ours(e *channel.Error) bool {
	return e.Code == codeRate || e.Code == codeBusy || e.Code == codeOpen
}

// bounded makes the call when the route has room for it.
func (h *Handler) bounded(ctx context.Context, r *Route, ref, d id.ID, m channel.Message) (channel.Accepted, error) {
	if err := h.enter(r); err != nil {
		return channel.Accepted{}, err
	}
	defer h.leave(r)
	ctx, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	return r.Sender.Send(ctx, h.addressed(r, ref, d, m))
}

// addressed answers the message with what the route and the delivery add to it.
func (h *Handler) addressed(r *Route, ref, d id.ID, m channel.Message) channel.Message {
	m.From = r.sender(m.To.Country())
	m.Regulatory = r.regulatory(&m)
	m.Delivery = d.Text(id.Delivery)
	m.Token = h.Callbacks.Token(r.Name, ref, d)
	m.Callback = h.Callbacks.Address(r.Name, m.Token)
	return m
}

// accept records that the provider took the message.
func (h *Handler) accept(ctx context.Context, j queue.Job, r *Route, kind channel.Kind, a channel.Accepted) error {
	status := a.Status
	if !status.Valid() {
		status = channel.Taken
	}
	byID := correlates(r.Sender)
	err := h.record(ctx, j, func(tx Tx, p *Parcel, d *channel.Delivery) (bool, error) {
		if byID && a.ID != "" {
			tx.PutSent(sentKey(r.Name, a.ID), Sent{Ref: p.Ref, Delivery: d.ID, Until: p.Expires.Add(keepSent)})
		}
		// A receipt may have come before the answer: it is not taken back.
		if next, changed := d.Status.Advance(status); changed {
			d.Status, d.Kind, d.Code = next, "", ""
		}
		d.ProviderID = cut(a.ID, 128)
		if a.Parts > 0 {
			d.Parts = a.Parts
		}
		if a.Price != "" {
			d.Price, d.Currency = cut(a.Price, 32), cut(a.Currency, 8)
		} else if listed := r.price(p.Country); d.Price == "" && listed != unpriced {
			d.Price = decimal(listed * int64(max(d.Parts, 1)))
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	h.Metrics.Delivery(r.Name, kind, status)
	h.Metrics.Accepted(r.Name, kind, h.Now().Sub(j.ID.Time()))
	return nil
}

// giveUp records that a message is not sent any more: what it was for has ended, or the deadline is past. Then the record keeps why
// it could not be sent before.
func (h *Handler) giveUp(ctx context.Context, j queue.Job) error {
	return h.record(ctx, j, func(_ Tx, p *Parcel, d *channel.Delivery) (bool, error) {
		switch {
		case d.Status != channel.Sending && d.Status != channel.Queued:
			return true, nil // a receipt has come: it left after all
		case d.Kind == channel.MaybeSent:
		case h.Now().Before(p.Expires):
			d.Kind, d.Code = "", "not_needed"
		default:
			d.Reason = "given up at the deadline"
			if d.Code == "" {
				d.Code = "deadline"
			}
		}
		undone(d)
		return true, nil
	})
}

// end ends a delivery that is not sent, without a call.
func (h *Handler) end(ctx context.Context, j queue.Job, code string) error {
	return h.record(ctx, j, func(_ Tx, _ *Parcel, d *channel.Delivery) (bool, error) {
		if d.Status != channel.Sending && d.Status != channel.Queued {
			return true, nil // a receipt has come: it left after all
		}
		if d.Kind != channel.MaybeSent {
			d.Kind, d.Code = "", code
		}
		undone(d)
		return true, nil
	})
}

// giveUpLater puts a job off whose message cannot be made now, until its deadline is past.
func (h *Handler) giveUpLater(ctx context.Context, j queue.Job, p *Parcel, cause error) error {
	h.Log.Error("a message cannot be made", "delivery", current(j).Text(id.Delivery), "error", cause)
	if p != nil && h.Now().After(p.Expires) {
		return h.end(ctx, j, "internal")
	}
	return h.putOff(ctx, j, backoff(j.Attempt))
}

// putOff gives the lease back and lets the job come again later.
func (h *Handler) putOff(ctx context.Context, j queue.Job, wait time.Duration) error {
	return h.record(ctx, j, func(tx Tx, _ *Parcel, d *channel.Delivery) (bool, error) {
		if left, err := settled(d); left || err != nil {
			return left, err
		}
		d.Status = channel.Queued
		j.Due = h.now().Add(wait)
		tx.PutJob(j)
		return false, nil
	})
}

// backoff is how long a job waits when no route would have it: at first a moment, then 5 s, so that messages
// leave within seconds of the routes' healing.
func backoff(attempt int) time.Duration {
	return min(250*time.Millisecond<<min(attempt, 5), 5*time.Second)
}

// fail records a failed call and decides what follows, by the closed set of kinds.
func (h *Handler) fail(ctx context.Context, j queue.Job, c Composed, e *channel.Error) (*queue.Job, error) {
	var next *queue.Job
	var route string
	var kind channel.Kind
	var status channel.Status
	err := h.record(ctx, j, func(tx Tx, p *Parcel, d *channel.Delivery) (bool, error) {
		left, err := settled(d)
		if err != nil {
			return false, err
		}
		if route, kind, next, status = d.Route, d.Channel, nil, d.Status; left {
			return true, nil
		}
		switch doubted := d.Kind == channel.MaybeSent; e.Kind {
		case channel.MaybeSent, channel.Rejected:
			d.Kind, d.Code, d.Status = e.Kind, cut(e.Code, 64), channel.Failed
			if doubted || e.Kind == channel.MaybeSent {
				d.Status = channel.Unknown
			}
			status = d.Status
			return true, nil
		case channel.Refused, channel.Unavailable, channel.Throttled:
			if !doubted {
				d.Kind, d.Code = e.Kind, cut(e.Code, 64)
			}
		}
		next = h.elsewhere(tx, j, c, p, d, e)
		status = d.Status
		return next == nil && d.Status != channel.Queued, nil
	})
	if err != nil {
		return nil, err
	}
	h.Metrics.Failed(route, e.Kind)
	h.Metrics.Delivery(route, kind, status)
	level := slog.LevelWarn
	if e.Kind == channel.Refused {
		level = slog.LevelError
	}
	h.Log.Log(ctx, level, "a message was not accepted", "route", route, "kind", string(e.Kind), "code", e.Code, "detail", e.Detail, "delivery", current(j).Text(id.Delivery))
	return next, nil
}

// tried remembers, within one round, the routes that would not have the message.
type tried []string

// maxDeliveries bounds the deliveries that one verification lists; later calls reuse the newest one.
const maxDeliveries = 32

// elsewhere moves the job to the next route that has not been tried in this round, at once; without one,
// it puts the job off, and the next round may try them all.
func (h *Handler) elsewhere(tx Tx, j queue.Job, c Composed, p *Parcel, d *channel.Delivery, e *channel.Error) *queue.Job {
	now := h.now()
	before, _ := j.Carry.(tried)
	done := append(slices.Clone(before), d.Route)
	routes := h.Routes.candidates(c.Message.To, d.Channel, c.Test)
	for _, r := range routes {
		if slices.Contains(done, r.Name) {
			continue
		}
		reason := fmt.Sprintf("failover: %s was %s", d.Route, e.Kind)
		j.Payload = h.moved(p, d, r.Name, reason, j.Attempt > 1)
		j.Due, j.Carry = now.Add(h.Lease), done
		tx.PutJob(j)
		return &j
	}
	due := now.Add(max(backoff(j.Attempt), min(e.RetryAfter, 30*time.Second)))
	if p.Timer == j.ID {
		next := j.ID.Time().Add(p.Wait)
		if !now.Before(next) { // the time of this channel is over
			undone(d)
			return nil
		}
		if due.After(next) {
			due = next
		}
	}
	d.Status, d.Reason = channel.Queued, "waiting: every route has failed"
	if len(routes) > 0 {
		d.Route = routes[0].Name
	}
	j.Due, j.Carry = due, nil
	tx.PutJob(j)
	return nil
}

// moved answers the id of the delivery that goes on: a new one in the first round, so that each route's part
// can be seen, and the same one in later rounds, so that a long outage does not fill the record.
func (h *Handler) moved(p *Parcel, d *channel.Delivery, route, reason string, again bool) []byte {
	now := h.now()
	if again || len(p.Deliveries) >= maxDeliveries {
		d.Route, d.Reason, d.Status = route, reason, channel.Queued
		return slices.Clone(d.ID[:])
	}
	undone(d)
	d.Updated = now
	n := channel.Delivery{ID: h.IDs.New(now), Channel: d.Channel, Route: route, Status: channel.Queued, Created: now, Updated: now, Reason: reason}
	p.Deliveries = append(p.Deliveries, n)
	return n.ID[:]
}

func cut(s string, n int) string { return s[:min(len(s), n)] }
