package verify

import (
	"context"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/limit"
	"github.com/dialproof/dialproof/internal/message"
)

// maxTyped bounds a submitted code, in characters: a person may have pasted the whole message.
const maxTyped = 1000

// CheckRequest is one submission of a code, for a verification by ID or by To and Purpose.
type CheckRequest struct {
	ID          id.ID
	To, Region  string
	Purpose     string
	Code        string
	Transaction *message.Transaction
	Replay      *Replay
}

// CheckAnswer is what became of a check.
type CheckAnswer struct {
	Verification *Verification
	Result       Result
	// Counted reports whether a code was compared, which takes an attempt.
	Counted bool
	// Proven is what the approval proves; nil for every other result.
	Proven *Proven
}

// Proven is what an approval proves, in full: it is for a proof and never for a log.
type Proven struct {
	To          string // E.164
	Transaction *message.Transaction
}

// Check submits a code. A wrong code is an answer, not an error. Checks of one number never overlap: of any
// number of right codes one is approved, of any number of wrong ones as many are compared as attempts are left.
func (s *Service) Check(ctx context.Context, c application.Caller, r CheckRequest) (CheckAnswer, error) {
	fields := checkTransaction(r.Transaction)
	if n := utf8.RuneCountInString(r.Code); n == 0 || n > maxTyped || !typable(r.Code) {
		fields = append(fields, field("code", "invalid_value", "must be 1 to %d characters of text", maxTyped))
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

// typable reports whether a person can have typed or pasted s: it is text without control characters but line ends and
// tabs.
func typable(s string) bool {
	return utf8.ValidString(s) &&
		!strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) && !unicode.IsSpace(r) })
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
	if err := s.compare(tx, &k.answer, n, &k.CheckRequest, s.Now()); err != nil {
		return err
	}
	s.keepReplay(tx, k.Replay, k.answer)
	return nil
}

// target returns what a check is about.
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

// load locks the number of a verification, which the work has told as its need, and returns both, as copies that may be
// changed.
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

// settled returns the result of any check of a verification that is final.
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

// compare judges one code, puts what changes, and fills the answer, which has the verification.
func (s *Service) compare(tx Tx, a *CheckAnswer, n *Number, r *CheckRequest, now time.Time) error {
	v := a.Verification
	if result, done := settled(v.At(now)); done {
		if v.Status == Pending {
			v.end(Expired, now)
			halt(tx, v)
			tx.PutVerification(v, false)
		}
		a.Result = result
		return nil
	}
	if r := s.locked(n, now); r != nil {
		return limited(CodeLocked, r)
	}
	p, err := s.unseal(v)
	if err != nil {
		return err
	}
	if !samePayment(p.Transaction, r.Transaction) {
		return mismatch(p.Transaction)
	}
	typed, ok := readCode(v, p, r.Code)
	if !ok {
		a.Result = ResultIncorrect
		return misread(tx, v, now)
	}
	want, err := s.code(v, p)
	if err != nil {
		return err
	}
	// The attempt is counted first: whatever happens below, it was one.
	v.Attempts++
	a.Counted = true
	if sameCode(want, typed) {
		return s.approve(tx, a, n, p, now)
	}
	n.Wrong, _, _ = s.Limits.Wrong.Take(n.Wrong, now)
	n.Streak++
	n.Last = now.UnixMilli()
	a.Result = ResultIncorrect
	if v.AttemptsLeft() == 0 {
		v.end(Failed, now)
		halt(tx, v)
		a.Result = ResultExhausted
	}
	tx.PutNumber(n)
	tx.PutVerification(v, false)
	return nil
}

// approve ends a verification whose code was right.
func (s *Service) approve(tx Tx, a *CheckAnswer, n *Number, p *Private, now time.Time) error {
	v := a.Verification
	if spent, err := s.spent(tx, v.Spec.Link, now); err != nil || spent {
		a.Result = s.outrun(tx, v, now)
		return err
	}
	s.spend(tx, v.Spec.Link, now)
	v.end(Approved, now)
	halt(tx, v)
	if n.Streak > 0 {
		n.Streak = 0
		tx.PutNumber(n)
	}
	tx.PutVerification(v, false)
	a.Result, a.Proven = ResultApproved, &Proven{To: p.To, Transaction: p.Transaction}
	return nil
}

// maxMisread is how many submissions of a verification that cannot be its code are answered in a minute.
const maxMisread = 20

// misread records a submission that was not compared. They take no attempt, so there is a limit of their own.
func misread(tx Tx, v *Verification, now time.Time) error {
	window := limit.Schedule{Windows: []limit.Window{{Name: "verification_misread", Max: maxMisread, Span: time.Minute}}}
	log, refusal := window.TakeSoon(limit.Log{Sends: v.Misread}, now)
	if refusal != nil {
		return limited(CodeLimited, refusal)
	}
	v.Misread = log.Sends
	tx.PutVerification(v, false)
	return nil
}
