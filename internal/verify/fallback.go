package verify

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/limit"
	"github.com/dialproof/dialproof/internal/queue"
)

// NextKind is the kind of the jobs that go on to the next step of an order of channels. It is the job of the step's
// message, which deliver puts off instead of finishing it: an order costs no row of its own.
const NextKind = "fallback"

// Fallback runs the jobs of NextKind.
type Fallback struct{ Service *Service }

// Run goes on to the next step that can be taken. done reports that its job is finished.
func (f Fallback) Run(ctx context.Context, j queue.Job) (done bool, err error) {
	err = f.Service.dispatched(func(held bool) (next *queue.Job, made *Made, err error) {
		next, made, done, err = f.next(ctx, j, held)
		return next, made, err
	})
	return done && err == nil, err
}

// next is one transaction: the fence, the limits, the new delivery and its job; nil when the order has ended.
func (f Fallback) next(ctx context.Context, j queue.Job,
	held bool) (next *queue.Job, made *Made, done bool, err error) {
	s := f.Service
	err = s.Store.Do(ctx, Needs{Verification: j.Ref, Job: j.ID}, func(tx Tx) error {
		next, done = nil, false
		v, n, gone, err := f.look(tx, j)
		done = gone
		if err != nil || v == nil {
			return err
		}
		now := s.Now().UTC().Truncate(time.Millisecond)
		tx.DropJob(j.ID)
		done, v.Timer = true, id.ID{}
		step, err := s.step(v, n, now)
		if err != nil {
			return err
		}
		if step != nil {
			n.Sends = step.log
			v.Sends++
			v.Channel, v.Step = step.kind, step.index
			job := s.send(v, n, *step, now, held)
			next = &job
			tx.PutNumber(n)
			tx.PutJob(job)
			made = &Made{}
			made.fill(v)
		}
		tx.PutVerification(v, false)
		return nil
	})
	return next, made, done, err
}

// look returns the verification that the job is about, with its number locked; nil when another attempt or another job
// has gone on, or there is nothing left to do. gone reports that the job was dropped.
func (f Fallback) look(tx Tx, j queue.Job) (v *Verification, n *Number, gone bool, err error) {
	if v, err = tx.Verification(j.Ref); err != nil || v == nil {
		tx.DropJob(j.ID)
		return nil, nil, true, err
	}
	if n, err = tx.Number(v.Spec.Number); err != nil {
		return nil, nil, false, err
	}
	kept, err := tx.Job(j.ID)
	if err != nil || kept == nil || kept.Attempt != j.Attempt {
		return nil, nil, false, err
	}
	if v, err = tx.Verification(j.Ref); err != nil {
		return nil, nil, false, err
	}
	if v == nil || v.Timer != j.ID || v.At(f.Service.Now()) != Pending || len(v.Sealed) == 0 {
		tx.DropJob(j.ID)
		return nil, nil, true, nil
	}
	return v.clone(), n, false, nil
}

// nextStep is a step that can be taken.
type nextStep struct {
	index         int
	kind          channel.Kind
	route, reason string
	log           limit.Log
}

// step returns the next step of the order that a route serves, or nil when the order ends: after its last step, when
// the sends are used up, or when a limit of the number says so. The gaps between the person's own resends do not hold
// it; it counts as a send in all other respects.
func (s *Service) step(v *Verification, n *Number, now time.Time) (*nextStep, error) {
	if v.ResendsLeft() == 0 || s.locked(n, now) != nil {
		return nil, nil
	}
	p, err := s.unseal(v)
	if err != nil {
		return nil, err
	}
	to, err := p.number()
	if err != nil {
		return nil, err
	}
	for i := v.Step + 1; i < len(v.Spec.Fallback); i++ {
		kind := v.Spec.Fallback[i].Channel
		if v.rejected(kind) || needsEmail(kind, p.Email) != nil {
			continue
		}
		route, reason, ok := s.Router.Plan(to, kind, v.Spec.Test, v.lastRoute(kind))
		if !ok {
			continue
		}
		log, refusal := s.Limits.Sends.TakeSoon(n.Sends, now)
		if refusal != nil {
			s.Metrics.Limited(refusal.Name)
			return nil, nil
		}
		reason = fmt.Sprintf("fallback %d of %d: %s", i+1, len(v.Spec.Fallback), reason)
		return &nextStep{i, kind, route, reason, log}, nil
	}
	return nil, nil
}

// rejected reports whether the number has turned out not to work on a channel.
func (v *Verification) rejected(kind channel.Kind) bool {
	return slices.ContainsFunc(v.Deliveries,
		func(d channel.Delivery) bool { return d.Channel == kind && d.Kind == channel.Rejected })
}

// stepOf returns the first step of a channel from one on; past the last when there is none.
func (v *Verification) stepOf(kind channel.Kind, from int) int {
	for i := from; i < len(v.Spec.Fallback); i++ {
		if v.Spec.Fallback[i].Channel == kind {
			return i
		}
	}
	return len(v.Spec.Fallback)
}

// Next returns the channel that the order goes on with and when, unless a message arrives before; ok is false when
// nothing follows.
func (v *Verification) Next() (kind channel.Kind, at time.Time, ok bool) {
	if v.Timer.IsZero() || v.Step+1 >= len(v.Spec.Fallback) {
		return "", time.Time{}, false
	}
	return v.Spec.Fallback[v.Step+1].Channel, v.Timer.Time().Add(v.Wait()).UTC(), true
}

// Wait returns how long the present step waits for the next one; 0 when nothing follows.
func (v *Verification) Wait() time.Duration {
	if v.Timer.IsZero() || v.Step >= len(v.Spec.Fallback) {
		return 0
	}
	return time.Duration(v.Spec.Fallback[v.Step].Wait) * time.Second
}

// halt ends the order. Its job goes at once, unless it is bringing a message just now: then it ends by itself.
func halt(tx Tx, v *Verification) {
	if v.Timer.IsZero() {
		return
	}
	busy := func(d channel.Delivery) bool { return d.Status == channel.Queued || d.Status == channel.Sending }
	if !slices.ContainsFunc(v.Deliveries, busy) {
		tx.DropJob(v.Timer)
	}
	v.Timer = id.ID{}
}
