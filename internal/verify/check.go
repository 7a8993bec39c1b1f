package verify

import (
	"context"
	"crypto/subtle"
	"time"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/limit"
	"github.com/dialproof/dialproof/internal/queue"
)

// maxTyped bounds a submitted code, in bytes: the longest code with spaces between its full-width digits.
const maxTyped = 64

// Check submits a code. A wrong code is an answer, not an error. Checks of one number never overlap: of any
// number of right codes one is approved, of any number of wrong ones as many are compared as attempts are left.
func (s *Service) Check(ctx context.Context, c application.Caller, r CheckRequest) (CheckAnswer, error) {
	fields := checkTransaction(r.Transaction)
	if len(r.Code) > maxTyped || !plainText(r.Code, 1, maxTyped) {
		fields = append(fields, field("code", "invalid_value", "must be 1 to %d characters", maxTyped))
	}
	if fields != nil {
		return CheckAnswer{}, invalid(fields)
	}
	needs, err := s.target(ctx, c, &r)
	if err != nil {
		return CheckAnswer{}, err
	}
	k := &check{CheckRequest: r, caller: c, verification: needs.Verification}
	if err := s.Store.Do(ctx, needs, func(tx Tx) error { return s.judge(tx, k) }); err != nil {
		return CheckAnswer{}, s.refused(err)
	}
	s.Metrics.Checked(c.App, k.answer.Result)
	if k.answer.Result == ResultApproved && s.Approved != nil {
		s.Approved(k.answer.Verification.ID)
	}
	return k.answer, nil
}

// check is a check under way.
type check struct {
	CheckRequest
	caller       application.Caller
	verification id.ID
	answer       CheckAnswer
}

// judge does the transactional part of a check.
func (s *Service) judge(tx Tx, k *check) error {
	if err := s.replayed(tx, k.Replay); err != nil {
		return err
	}
	v, n, err := s.load(tx, k.caller, k.verification)
	if err != nil {
		return err
	}
	k.answer = CheckAnswer{Verification: v}
	k.answer.Result, k.answer.Proven, err = s.compare(tx, v, n, &k.CheckRequest, s.Now())
	if err != nil {
		return err
	}
	s.keepReplay(tx, k.Replay, k.answer)
	return nil
}

// target answers what a check is about.
func (s *Service) target(ctx context.Context, c application.Caller, r *CheckRequest) (n Needs, err error) {
	if r.Replay != nil {
		n.Replay = r.Replay.Key
	}
	if !r.ID.IsZero() {
		n.Verification = r.ID
		return n, nil
	}
	to, err := number(r.To, r.Region)
	if err != nil {
		return Needs{}, err
	}
	purpose := r.Purpose
	fill(&purpose, Login)
	key := s.numberKey(c.App.ID, to)
	row, err := s.Store.NumberRow(ctx, key)
	if err != nil {
		return Needs{}, err
	}
	if row == nil || row.latest(purpose).IsZero() {
		return Needs{}, notFound()
	}
	n.Number, n.Verification = key, row.latest(purpose)
	return n, nil
}

func notFound() *Error { return fail(CodeNotFound, "there is no such verification") }

// load locks the number of a verification, which the work has told as its need, and answers both, as copies that may be changed.
func (s *Service) load(tx Tx, c application.Caller, one id.ID) (*Verification, *Number, error) {
	v, err := tx.Verification(one)
	if err != nil {
		return nil, nil, err
	}
	if v == nil || v.App != c.App.ID || v.Spec.Test != (c.Key.Mode == application.Test) {
		return nil, nil, notFound()
	}
	n, err := tx.Number(v.Spec.Number)
	return v, n, err
}

// settled answers the result of any check of a verification that is final.
func settled(st Status) (Result, bool) {
	switch st {
	case Approved:
		return ResultUsed, true
	case Failed:
		return ResultExhausted, true
	case Expired:
		return ResultExpired, true
	case Canceled:
		return ResultCanceled, true
	case Pending:
	}
	return "", false
}

// compare judges one code, puts what changes, and answers what an approval proves.
func (s *Service) compare(tx Tx, v *Verification, n *Number, r *CheckRequest, now time.Time) (Result, *Proven, error) {
	if result, done := settled(v.At(now)); done {
		if v.Status == Pending {
			v.end(Expired, now)
			halt(tx, v)
			tx.PutVerification(v, false)
		}
		return result, nil, nil
	}
	if r := s.locked(n, now); r != nil {
		return "", nil, limited(CodeLocked, r)
	}
	p, err := s.unseal(v)
	if err != nil {
		return "", nil, err
	}
	right, err := s.right(v, p, r)
	if err != nil {
		return "", nil, err
	}
	// The attempt is counted first: whatever happens below, it was one.
	v.Attempts++
	if right {
		if spent, err := s.spent(tx, v.Spec.Link, now); err != nil || spent {
			return s.outrun(tx, v, now), nil, err
		}
		s.spend(tx, v.Spec.Link, now)
		v.end(Approved, now)
		halt(tx, v)
		if n.Streak > 0 {
			n.Streak = 0
			tx.PutNumber(n)
		}
		tx.PutVerification(v, false)
		return ResultApproved, &Proven{To: p.To, Transaction: p.Transaction}, nil
	}
	n.Wrong, _, _ = s.Limits.Wrong.Take(n.Wrong, now)
	n.Streak++
	n.Last = now.UnixMilli()
	result := ResultIncorrect
	if v.AttemptsLeft() == 0 {
		v.end(Failed, now)
		halt(tx, v)
		result = ResultExhausted
	}
	tx.PutNumber(n)
	tx.PutVerification(v, false)
	return result, nil, nil
}

// right tells whether the code is the one that is valid now, for the payment that it was made for.
func (s *Service) right(v *Verification, p *Private, r *CheckRequest) (bool, error) {
	want, err := s.code(v, p)
	if err != nil {
		return false, err
	}
	same := sameCode(want, r.Code)
	return subtle.ConstantTimeCompare(linked(p.Transaction), linked(r.Transaction)) == 1 && same, nil
}

// locked answers why no code of this number may be compared, or nil.
func (s *Service) locked(n *Number, now time.Time) *limit.Refusal {
	if _, retry, ok := s.Limits.Wrong.Take(n.Wrong, now); !ok {
		return &limit.Refusal{Name: s.Limits.Wrong.Name, Limit: s.Limits.Wrong.Burst, Window: s.Limits.Wrong.Period, Retry: retry}
	}
	until := time.UnixMilli(n.Last).Add(s.Limits.LockFor).UTC()
	if s.Limits.MaxStreak > 0 && n.Streak >= s.Limits.MaxStreak && now.Before(until) {
		return &limit.Refusal{Name: "number_wrong_streak", Limit: s.Limits.MaxStreak, Window: s.Limits.LockFor, Retry: until}
	}
	return nil
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

// Cancel ends a pending verification.
func (s *Service) Cancel(ctx context.Context, c application.Caller, v id.ID, replay *Replay) (*Verification, error) {
	needs := Needs{Verification: v}
	if replay != nil {
		needs.Replay = replay.Key
	}
	var out *Verification
	err := s.Store.Do(ctx, needs, func(tx Tx) error {
		if err := s.replayed(tx, replay); err != nil {
			return err
		}
		v, _, err := s.load(tx, c, needs.Verification)
		if err != nil {
			return err
		}
		out = v
		if st := v.At(s.Now()); st != Pending {
			if st == Canceled {
				return nil // canceled before: the same answer again
			}
			return notPending(st)
		}
		v.end(Canceled, s.Now())
		halt(tx, v)
		tx.PutVerification(v, false)
		s.keepReplay(tx, replay, CheckAnswer{Verification: v})
		return nil
	})
	return out, err
}

func notPending(st Status) *Error {
	e := fail(CodeNotPending, "the verification is %s", st)
	e.Status = st
	return e
}
