package verify

import (
	"context"
	"time"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/queue"
)

// ResendRequest asks for one more message.
type ResendRequest struct {
	ID      id.ID
	Channel channel.Kind // empty: the same again
	Replay  *Replay
}

// Resend sends one more message of a pending verification. The code is the same while it lives, unless the
// application asked for fresh codes: then the old one is dead when Resend returns.
func (s *Service) Resend(ctx context.Context, c application.Caller, r ResendRequest) (*Verification, error) {
	if r.Channel != "" && !r.Channel.Valid() {
		return nil, invalid([]Field{field("channel", "invalid_value", "is not a channel")})
	}
	if !s.Dispatch.Admit() {
		return nil, busy(s.Now())
	}
	needs := Needs{Verification: r.ID}
	if r.Replay != nil {
		needs.Replay = r.Replay.Key
	}
	var v *Verification
	err := s.dispatched(func(held bool) (_ *queue.Job, _ *Made, err error) {
		var job queue.Job
		if v, job, err = s.doResend(ctx, c, r, needs, held); err != nil {
			return nil, nil, err
		}
		made := &Made{}
		made.fill(v)
		return &job, made, nil
	})
	if err != nil {
		return nil, s.refused(err)
	}
	return v, nil
}

// doResend does the transactional part of Resend.
func (s *Service) doResend(ctx context.Context, c application.Caller, r ResendRequest, needs Needs,
	held bool) (v *Verification, job queue.Job, err error) {
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
func (s *Service) again(tx Tx, v *Verification, n *Number, p *Private, kind channel.Kind,
	held bool) (queue.Job, error) {
	now := s.Now().UTC().Truncate(time.Millisecond)
	if st := v.At(now); st != Pending {
		return queue.Job{}, notPending(st)
	}
	if v.ResendsLeft() == 0 {
		return queue.Job{},
			fail(CodeResendsUsed, "all %d sends of this verification are used up: start a new one", v.Spec.MaxSends)
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
