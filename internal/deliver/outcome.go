package deliver

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/queue"
)

// taken records that the provider took the message.
func (t *try) taken(ctx context.Context) (verdict, error) {
	h, r, a := t.h, t.route, t.accepted
	status := a.Status
	if !status.Valid() {
		status = channel.Taken
	}
	byID := correlates(r.Sender)
	gone, err := h.record(ctx, t.j, func(tx Tx, p *Parcel, d *channel.Delivery) (bool, error) {
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
		return parked, err
	}
	h.Metrics.Delivery(r.Name, t.d.Channel, status)
	h.Metrics.Accepted(r.Name, t.d.Channel, h.Now().Sub(t.j.ID.Time()))
	return finished(gone), nil
}

// giveUp records that a message is not sent any more: what it was for has ended, or the deadline is past. Then the
// record keeps why it could not be sent before.
func (h *Handler) giveUp(ctx context.Context, j queue.Job) (gone bool, err error) {
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
func (h *Handler) end(ctx context.Context, j queue.Job, code string) (gone bool, err error) {
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
func (h *Handler) giveUpLater(ctx context.Context, j queue.Job, p *Parcel, cause error) (gone bool, err error) {
	h.Log.Error("a message cannot be made", "delivery", current(j).Text(id.Delivery), "error", cause)
	if p != nil && h.Now().After(p.Expires) {
		return h.end(ctx, j, "internal")
	}
	return h.putOff(ctx, j, backoff(j.Attempt))
}

// putOff gives the lease back and lets the job come again later.
func (h *Handler) putOff(ctx context.Context, j queue.Job, wait time.Duration) (gone bool, err error) {
	return h.record(ctx, j, func(tx Tx, _ *Parcel, d *channel.Delivery) (bool, error) {
		if left, err := settled(d); left || err != nil {
			return left, err
		}
		d.Status = channel.Queued
		h.park(&j, h.now().Add(wait))
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
func (t *try) fail(ctx context.Context, e *channel.Error) (verdict, error) {
	h := t.h
	var next *queue.Job
	var route string
	var kind channel.Kind
	var status channel.Status
	gone, err := h.record(ctx, t.j, func(tx Tx, p *Parcel, d *channel.Delivery) (bool, error) {
		left, err := settled(d)
		if err != nil {
			return false, err
		}
		if route, kind, next, status = d.Route, d.Channel, nil, d.Status; left {
			return true, nil
		}
		t.blame(d, e)
		if e.Kind == channel.MaybeSent || e.Kind == channel.Rejected {
			status = d.Status
			return true, nil
		}
		var waits bool
		next, waits = t.elsewhere(tx, p, d, e)
		status = d.Status
		return next == nil && !waits, nil
	})
	if err != nil {
		return parked, err
	}
	t.tell(ctx, route, e)
	h.Metrics.Delivery(route, kind, status)
	if next != nil {
		t.j, t.w = *next, Work{tried: append(slices.Clone(t.w.tried), route), failed: t.w.failed || !ours(e)}
		return again, nil
	}
	return finished(gone), nil
}

// blame writes down why a call failed. What may have left before stays in doubt, and what a provider has said is not
// taken back by a refusal of our own.
func (t *try) blame(d *channel.Delivery, e *channel.Error) {
	doubted := d.Kind == channel.MaybeSent
	switch {
	case e.Kind == channel.MaybeSent, e.Kind == channel.Rejected:
		d.Kind, d.Code, d.Status = e.Kind, cut(e.Code, 64), channel.Failed
		if doubted || e.Kind == channel.MaybeSent {
			d.Status = channel.Unknown
		}
	case doubted, ours(e) && e.Kind != channel.Refused && d.Code != "" && !own(d.Code):
	default:
		d.Kind, d.Code = e.Kind, cut(e.Code, 64)
		if e.Lasting() {
			d.Kind = channel.Refused // a second call would be in vain
		}
	}
}

// tell counts and logs a failed call. What our own limits hold back is no failure of a provider.
func (t *try) tell(ctx context.Context, route string, e *channel.Error) {
	level := slog.LevelWarn
	switch {
	case e.Code == codeBusy, e.Code == codeRate, e.Code == codeOpen:
		level = slog.LevelDebug
	case e.Kind == channel.Refused:
		level = slog.LevelError
	}
	if !ours(e) {
		t.h.Metrics.Failed(route, e.Kind)
	}
	t.h.Log.Log(ctx, level, "a message was not accepted", "route", route, "kind", string(e.Kind),
		"about", string(e.Subject()), "code", e.Code, "detail", e.Detail, "delivery", current(t.j).Text(id.Delivery))
}

// notice logs that a route has left or returned.
func (h *Handler) notice(r *Route) {
	switch why, unwell, changed := r.Health.news(); {
	case !changed:
	case why != "":
		h.Log.Warn("route unhealthy", "route", r.Name, "reason", why)
	default:
		h.Log.Info("route healthy", "route", r.Name, "unhealthy_for", unwell.Round(time.Millisecond).String())
	}
}

// maxDeliveries bounds the deliveries that one verification lists; later calls reuse the newest one.
const maxDeliveries = 32

// elsewhere moves the job to the next route that has not been tried in this round, at once; without one, it puts the
// job off, and the next round may try them again. A route that has refused the message is not tried again, and when all
// have, the delivery has failed.
func (t *try) elsewhere(tx Tx, p *Parcel, d *channel.Delivery, e *channel.Error) (next *queue.Job, waits bool) {
	h, j, now := t.h, t.j, t.h.now()
	all := h.Routes.candidates(t.query())
	left := t.open(all, p, d, e)
	if len(left) == 0 && (len(all) > 0 || e.Lasting()) {
		d.Reason = advice(e)
		undone(d)
		return nil, false
	}
	reuse := j.Attempt > 1 && !e.Lasting()
	for _, r := range left {
		if r.Name == d.Route || slices.Contains(t.w.tried, r.Name) {
			continue
		}
		reason := fmt.Sprintf("failover: %s was %s", d.Route, e.Kind)
		j.Payload = h.moved(p, d, r.Name, reason, reuse)
		j.Hold(now.Add(h.Lease))
		tx.PutJob(j)
		return &j, false
	}
	due, ok := t.comesAgain(p, e, now)
	if !ok {
		undone(d)
		return nil, false
	}
	route := d.Route
	if len(left) > 0 {
		route = left[0].Name
	}
	j.Payload = h.moved(p, d, route, "waiting: every route has failed", !e.Lasting())
	h.park(&j, due)
	tx.PutJob(j)
	return nil, true
}

// open returns the routes that have not refused the message.
func (t *try) open(all []candidate, p *Parcel, d *channel.Delivery, e *channel.Error) (left []candidate) {
	before := p.since(t.j.ID)
	for _, r := range all {
		refused := e.Lasting() && r.Name == d.Route
		for i := range before {
			refused = refused ||
				(before[i].Route == r.Name && before[i].Channel == d.Channel && before[i].Kind == channel.Refused &&
					before[i].ID != d.ID)
		}
		if !refused {
			left = append(left, r)
		}
	}
	return left
}

// comesAgain returns when a message that no route would have is tried again; ok is false when the time of its channel
// is over.
func (t *try) comesAgain(p *Parcel, e *channel.Error, now time.Time) (due time.Time, ok bool) {
	due = now.Add(max(backoff(t.j.Attempt), min(e.RetryAfter, 30*time.Second)))
	if p.Timer != t.j.ID {
		return due, true
	}
	next := t.j.ID.Time().Add(p.Wait)
	if due.After(next) {
		due = next
	}
	return due, now.Before(next)
}

// park puts a job off. It comes again among those that do, so that new ones do not wait behind it.
func (h *Handler) park(j *queue.Job, due time.Time) {
	if h.Retry != "" {
		j.Kind = h.Retry
	}
	j.PutOff(due)
}

// advice says what the application can do about a message that every route has refused.
func advice(e *channel.Error) string {
	switch e.Subject() {
	case channel.OfDestination:
		return "refused by every route: this number cannot be reached on this channel, another channel or number may be"
	case channel.OfSender:
		return "refused by every route: the sender ID is not accepted, the operator has to change it; another channel " +
			"may work"
	case channel.OfTemplate:
		return "refused by every route: the text is not accepted, change the template or have it registered; another " +
			"channel may work"
	case channel.OfAccount:
		return "refused by every route: the provider does not accept the account, the operator has to mend it; another " +
			"channel may work"
	case channel.OfMessage, channel.OfRoute:
	}
	return "refused by every route: try another channel, and see the error code"
}

// moved returns the id of the delivery that goes on: a new one in the first round, so that each route's part
// can be seen, and the same one in later rounds, so that a long outage does not fill the record.
func (h *Handler) moved(p *Parcel, d *channel.Delivery, route, reason string, again bool) []byte {
	now := h.now()
	if again || len(p.Deliveries) >= maxDeliveries {
		d.Route, d.Reason, d.Status = route, reason, channel.Queued
		return slices.Clone(d.ID[:])
	}
	undone(d)
	d.Updated = now
	n := channel.Delivery{
		ID:      h.IDs.New(now),
		Channel: d.Channel,
		Route:   route,
		Status:  channel.Queued,
		Created: now,
		Updated: now,
		Reason:  reason,
	}
	p.Deliveries = append(p.Deliveries, n)
	return n.ID[:]
}

func cut(s string, n int) string { return s[:min(len(s), n)] }
