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

// giveUp records that a message is not sent any more: what it was for has ended, or the deadline is past. Then the record keeps why
// it could not be sent before.
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
		j.PutOff(h.now().Add(wait))
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
		next = t.elsewhere(tx, p, d, e)
		status = d.Status
		return next == nil && d.Status != channel.Queued, nil
	})
	if err != nil {
		return parked, err
	}
	h.Metrics.Failed(route, e.Kind)
	h.Metrics.Delivery(route, kind, status)
	level := slog.LevelWarn
	if e.Kind == channel.Refused {
		level = slog.LevelError
	}
	h.Log.Log(ctx, level, "a message was not accepted", "route", route, "kind", string(e.Kind), "code", e.Code, "detail", e.Detail, "delivery", current(t.j).Text(id.Delivery))
	if next != nil {
		t.j, t.w = *next, Work{tried: append(slices.Clone(t.w.tried), route)}
		return again, nil
	}
	return finished(gone), nil
}

// maxDeliveries bounds the deliveries that one verification lists; later calls reuse the newest one.
const maxDeliveries = 32

// elsewhere moves the job to the next route that has not been tried in this round, at once; without one,
// it puts the job off, and the next round may try them all.
func (t *try) elsewhere(tx Tx, p *Parcel, d *channel.Delivery, e *channel.Error) *queue.Job {
	h, j, now := t.h, t.j, t.h.now()
	routes := h.Routes.candidates(t.c.Message.To, d.Channel, t.c.Test)
	for _, r := range routes {
		if r.Name == d.Route || slices.Contains(t.w.tried, r.Name) {
			continue
		}
		reason := fmt.Sprintf("failover: %s was %s", d.Route, e.Kind)
		j.Payload = h.moved(p, d, r.Name, reason, j.Attempt > 1)
		j.Hold(now.Add(h.Lease))
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
	j.PutOff(due)
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
