package verify

import (
	"context"
	"crypto/subtle"
	"time"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/queue"
)

// replayFor is how long an idempotency key is remembered.
const replayFor = 24 * time.Hour

// doResend does the transactional part of Resend.
func (s *Service) doResend(ctx context.Context, c application.Caller, r ResendRequest, needs Needs, held bool) (v *Verification, job queue.Job, err error) {
	err = s.Store.Do(ctx, needs, func(tx Tx) error {
		if err := s.replayed(tx, r.Replay); err != nil {
			return err
		}
		var n *Number
		var err error
		if v, n, err = s.load(tx, c, needs.Verification); err != nil {
			return err
		}
		p, err := s.unseal(v)
		if err != nil {
			return err
		}
		job, err = s.again(tx, v, n, p, r.Channel, held)
		if err != nil {
			return err
		}
		s.keepReplay(tx, r.Replay, CheckAnswer{Verification: v})
		return nil
	})
	return v, job, err
}

// again takes the limits and adds one more delivery.
func (s *Service) again(tx Tx, v *Verification, n *Number, p *Private, kind channel.Kind, held bool) (queue.Job, error) {
	now := s.Now().UTC().Truncate(time.Millisecond)
	if st := v.At(now); st != Pending {
		return queue.Job{}, notPending(st)
	}
	if v.ResendsLeft() == 0 {
		return queue.Job{}, fail(CodeResendsUsed, "all %d sends of this verification are used up: start a new one", v.Spec.MaxSends)
	}
	if r := s.locked(n, now); r != nil {
		return queue.Job{}, limited(CodeLocked, r)
	}
	log, refusal := s.Limits.Sends.Take(n.Sends, now)
	if refusal != nil {
		return queue.Job{}, limited(CodeLimited, refusal)
	}
	n.Sends = log
	fill(&kind, v.Channel)
	if err := needsEmail(kind, p.Email); err != nil {
		return queue.Job{}, err
	}
	to, err := p.number()
	if err != nil {
		return queue.Job{}, err
	}
	route, reason, ok := s.Router.Plan(to, kind, v.Spec.Test, v.lastRoute(kind))
	if !ok {
		return queue.Job{}, fail(CodeNoRoute, "no route of this deployment serves %s numbers by %s", to.Country(), kind)
	}
	v.Sends++
	v.Channel = kind
	// The order goes on from the step that the person asks for; a channel beside it ends it.
	halt(tx, v)
	v.Step = v.stepOf(kind, v.Step)
	if v.Spec.Fresh {
		v.Generation++
	}
	job := s.send(v, n, nextStep{kind: kind, route: route, reason: reason}, now, held)
	tx.PutNumber(n)
	tx.PutVerification(v, false)
	tx.PutJob(job)
	return job, nil
}

// replayed answers the first answer of a repeated request as an error, or nil when it is the first.
func (s *Service) replayed(tx Tx, r *Replay) error {
	if r == nil {
		return nil
	}
	fingerprint, sealed, ok, err := tx.Replay(r.Key, s.Now())
	if err != nil || !ok {
		return err
	}
	if subtle.ConstantTimeCompare(fingerprint[:], r.Fingerprint[:]) != 1 {
		return fail(CodeReused, "this Idempotency-Key came before with another request: use a new one")
	}
	body, err := s.Ring.Open(sealed, r.Key[:])
	if err != nil {
		return err
	}
	return &Replayed{Body: body}
}

// keepReplay keeps the answer for a repetition. It is sealed: answers hold what the application put in.
func (s *Service) keepReplay(tx Tx, r *Replay, a CheckAnswer) {
	if r != nil {
		tx.PutReplay(r.Key, r.Fingerprint, s.Ring.Seal(r.Render(a), r.Key[:]), s.Now().Add(replayFor))
	}
}
