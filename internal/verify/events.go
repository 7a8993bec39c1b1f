package verify

import (
	"context"
	"log/slog"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/webhook"
)

// Teller says which events a change of a verification is to be told by. A store asks it within the transaction that
// makes the change, so that no change goes untold and nothing is told that did not happen. Where nobody listens it
// costs a look into a map.
type Teller struct {
	Webhooks *webhook.Directory
	// Render returns a verification as the API does: a JSON object with no code and no whole number.
	Render func(v *Verification, now time.Time) ([]byte, error)
	Now    func() time.Time
	Log    *slog.Logger
	// Wake is called when events are durable; it must not block.
	Wake func()
}

// Written tells that events are durable.
func (t *Teller) Written() { t.Wake() }

// Changed returns the events of a change and counts them in after. before is nil for a new verification.
func (t *Teller) Changed(before, after *Verification) []webhook.Event {
	to := t.Webhooks.Audience(after.App, after.Spec.Test)
	if len(to) == 0 {
		return nil
	}
	var out []webhook.Event
	for _, n := range happened(before, after) {
		if !wanted(to, n.Kind) {
			continue
		}
		after.Events++
		n.Ref, n.Sequence = after.ID, after.Events
		rows, err := t.write(to, n, after)
		if err != nil {
			// What the person waits for does not fail because somebody cannot be told.
			t.Log.Error("an event could not be written", "kind", string(n.Kind), "verification", after.ID.Text(id.Verification),
				"error", err)
			continue
		}
		out = append(out, rows...)
	}
	if before == nil && wanted(to, webhook.Expired) {
		out = append(out, t.Webhooks.Deadline(after.ID, after.Expires))
	}
	return out
}

// envelope is what a body holds beside the verification, in bytes, at most.
const envelope = 512

// write renders the verification into an event. One with very many deliveries leaves out the oldest.
func (t *Teller) write(to []*webhook.Endpoint, n webhook.News, v *Verification) (_ []webhook.Event, err error) {
	for {
		if n.Data, err = t.Render(v, t.Now()); err != nil {
			return nil, err
		}
		if len(n.Data) < webhook.MaxBody-envelope || len(v.Deliveries) == 0 {
			return t.Webhooks.Write(to, n)
		}
		short := *v
		short.Deliveries = v.Deliveries[(len(v.Deliveries)+1)/2:]
		v = &short
	}
}

func wanted(to []*webhook.Endpoint, k webhook.Kind) bool {
	for _, e := range to {
		if e.Wants(k) {
			return true
		}
	}
	return false
}

// happened returns what is to be told of a change, in order: what became of deliveries, then the verification's end.
func happened(before, after *Verification) (out []webhook.News) {
	was := map[id.ID]channel.Status{}
	status := Pending
	if before == nil {
		out = append(out, webhook.News{Kind: webhook.Started})
	} else {
		status = before.Status
		for i := range before.Deliveries {
			was[before.Deliveries[i].ID] = before.Deliveries[i].Status
		}
	}
	for i := range after.Deliveries {
		d := &after.Deliveries[i]
		if d.Status != was[d.ID] && told(d.Status) {
			out = append(out, webhook.News{Kind: webhook.DeliveryUpdated, Delivery: d.ID.Text(id.Delivery)})
		}
	}
	if kind, final := endings()[after.Status]; final && status == Pending {
		out = append(out, webhook.News{Kind: kind})
	}
	return out
}

// told reports whether a delivery that reaches a status is worth an event: it has left our hands, or will not.
func told(s channel.Status) bool { return s != channel.Queued && s != channel.Sending }

func endings() map[Status]webhook.Kind {
	return map[Status]webhook.Kind{
		Approved: webhook.Approved,
		Failed:   webhook.Failed,
		Expired:  webhook.Expired,
		Canceled: webhook.Canceled,
	}
}

// Expire writes down that a verification has expired, if it has. Nothing needs that but those who are told of it: the
// status is a function of the row and the clock.
func (s *Service) Expire(ctx context.Context, ref id.ID) error {
	v, err := s.Store.Find(ctx, ref)
	if err != nil || v == nil || v.Status != Pending || v.At(s.Now()) != Expired || len(v.Sealed) == 0 {
		return err
	}
	return s.Store.Do(ctx, Needs{Verification: ref}, func(tx Tx) error {
		v, err := tx.Verification(ref)
		if err != nil || v == nil {
			return err
		}
		if _, err := tx.Number(v.Spec.Number); err != nil {
			return err
		}
		if v, err = tx.Verification(ref); err != nil || v == nil || v.Status != Pending || v.At(s.Now()) != Expired {
			return err
		}
		v = v.clone()
		v.end(Expired, s.Now())
		halt(tx, v)
		tx.PutVerification(v, false)
		return nil
	})
}
