package verify

import (
	"context"
	"time"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/message"
	"github.com/dialproof/dialproof/internal/phone"
	"github.com/dialproof/dialproof/internal/queue"
)

// JobKind is the kind of the jobs that bring codes to people.
const JobKind = "deliver"

// StartRequest is what an application asks for. Zero fields take the application's policy.
type StartRequest struct {
	To, Region  string
	Email       string // for the channel Email
	Channel     channel.Kind
	Purpose     string
	Locale      string
	CodeLength  int
	Alphabet    string
	Code        message.Code // supplied by the application; zero: Dialproof makes one
	ExpiresIn   int          // seconds
	MaxAttempts int
	Transaction *message.Transaction
	Autofill    message.Trailer
	Client      *Client
	Metadata    map[string]string
	Link        id.ID // that it comes from; zero for none
	Replay      *Replay
}

// Start begins a verification. When it returns without an error, the verification and the job that sends its
// message are durable. A start that a limit refuses costs nothing.
func (s *Service) Start(ctx context.Context, c application.Caller, r StartRequest) (*Verification, error) {
	p, err := s.plan(c, r)
	if err != nil {
		return nil, err
	}
	if !s.Dispatch.Admit() {
		return nil, busy(s.Now())
	}
	needs := Needs{Number: p.Verification.Spec.Number, Limits: p.limitKeys()}
	if p.replay != nil {
		needs.Replay = p.replay.Key
	}
	err = s.dispatched(func(held bool) (*queue.Job, *Made, error) {
		if err := s.Store.Do(ctx, needs, func(tx Tx) error { return s.begin(tx, p, held) }); err != nil {
			return nil, nil, err
		}
		p.made.fill(p.Verification)
		return &p.job, &p.made, nil
	})
	if err != nil {
		return nil, s.refused(err)
	}
	s.Metrics.Started(c.App, p.Verification.Channel, p.Verification.Spec.Country)
	return p.Verification, nil
}

// startPlan is a start that has been thought through and not yet written.
type startPlan struct {
	Verification *Verification

	made   Made // with the message
	limits []keyedRate
	route  string
	reason string
	replay *Replay
	job    queue.Job // once it is written
}

func (p *startPlan) limitKeys() [][16]byte {
	if len(p.limits) == 0 {
		return nil
	}
	keys := make([][16]byte, len(p.limits))
	for i, l := range p.limits {
		keys[i] = l.key
	}
	return keys
}

// plan checks everything that needs no store.
func (s *Service) plan(c application.Caller, r StartRequest) (*startPlan, error) {
	to, err := number(r.To, r.Region)
	if err != nil {
		return nil, err
	}
	test := c.Key.Mode == application.Test
	if to.Fiction() && !test && !s.AllowFiction {
		return nil, fail(CodeFiction, "this number is reserved for fiction: use a test key with it")
	}
	magic := MagicNone
	if test {
		magic = magicNumbers[to.E164()]
	}
	now := s.Now()
	if err := magic.refuse(now); err != nil {
		return nil, err
	}
	v := &Verification{ID: s.IDs.New(now), App: c.App.ID, Status: Pending, Sends: 1}
	email, _ := ParseEmail(r.Email) // spec refuses what is none
	life, err := s.spec(c, r, to, email, now, &v.Spec)
	if err != nil {
		return nil, err
	}
	v.Spec.Magic = magic
	kind := r.Channel
	if kind == "" {
		kind = c.App.Policy.First()
	}
	if err := needsEmail(kind, email); err != nil {
		return nil, err
	}
	route, reason, ok := s.Router.Plan(to, kind, test, "")
	if !ok {
		return nil, fail(CodeNoRoute, "no route of this deployment serves %s numbers by %s", to.Country(), kind)
	}
	v.Channel, v.Step, v.Expires = kind, v.stepOf(kind, 0), v.Spec.Created.Add(life)
	if magic == MagicExpired {
		v.Expires = v.Spec.Created
	}
	private := &Private{
		To:          to.E164(),
		Email:       email,
		Supplied:    r.Code.Reveal(),
		Transaction: r.Transaction,
		Client:      r.Client,
	}
	if v.Sealed, err = s.seal(v, private); err != nil {
		return nil, err
	}
	p := &startPlan{Verification: v, route: route, reason: reason, replay: r.Replay}
	// Rendered at the door, a text that cannot be made is the caller's error and not a delivery that fails later.
	if p.made.Message, err = s.message(v, private, to, c.App, kind, now); err != nil {
		return nil, invalid([]Field{messageField("message", err)})
	}
	p.limits = append(append(s.linkLimits(r.Link), s.rates(c, r.Client)...), s.emailLimits(c, email)...)
	return p, nil
}

// spec fills in the policy and checks every bound. It returns how long the verification lives. email is the address of
// the request as ParseEmail returned it.
func (s *Service) spec(c application.Caller, r StartRequest, to phone.Number, email string, now time.Time,
	spec *Spec) (time.Duration, error) {
	p := c.App.Policy.Filled()
	*spec = Spec{
		Test:        c.Key.Mode == application.Test,
		Number:      s.numberKey(c.App.ID, to),
		Masked:      to.Mask(),
		Country:     to.Country(),
		Prefix:      to.Prefix(),
		Email:       maskEmail(email),
		Purpose:     r.Purpose,
		Locale:      r.Locale,
		Created:     now.UTC().Truncate(time.Millisecond),
		Nonce:       newNonce(),
		Key:         s.Ring.Current(),
		CodeLength:  r.CodeLength,
		Alphabet:    r.Alphabet,
		MaxAttempts: r.MaxAttempts,
		MaxSends:    p.MaxSends,
		Fresh:       p.FreshCodes,
		Fallback:    p.Fallback,
		Trailer:     r.Autofill,
		Metadata:    r.Metadata,
		Link:        r.Link,
	}
	fill(&spec.Purpose, Login)
	fill(&spec.Locale, p.Locale)
	fill(&spec.Alphabet, p.Alphabet)
	fill(&spec.CodeLength, p.CodeLength)
	fill(&spec.MaxAttempts, p.MaxAttempts)
	life := r.ExpiresIn
	fill(&life, p.ExpiresIn)
	if !r.Code.IsZero() {
		spec.CodeLength = len(r.Code.Reveal())
		spec.Fresh = false
	}
	return time.Duration(life) * time.Second, invalid(s.checkStart(c, r, spec, life))
}

func fill[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// begin does the transactional part of a start. When the store runs it again, all that it sets is set again.
func (s *Service) begin(tx Tx, p *startPlan, held bool) error {
	if err := s.replayed(tx, p.replay); err != nil {
		return err
	}
	v := p.Verification
	now := v.Spec.Created
	n, err := tx.Number(v.Spec.Number)
	if err != nil {
		return err
	}
	if r := s.locked(n, now); r != nil {
		return limited(CodeLocked, r)
	}
	taken, err := take(tx, p.limits, now)
	if err != nil {
		return err
	}
	if err := forgive(tx, n); err != nil {
		return err
	}
	log, refusal := s.Limits.Sends.Take(n.Sends, now)
	if refusal != nil {
		return limited(CodeLimited, refusal)
	}
	n.Sends = log
	if err := s.supersede(tx, n, v.Spec.Purpose, now); err != nil {
		return err
	}
	v.Spec.Previous = n.Head
	n.remember(v.Spec.Purpose, v.ID)
	v.Deliveries = nil
	p.job = s.send(v, n, nextStep{kind: v.Channel, route: p.route, reason: p.reason}, now, held)
	tx.PutNumber(n)
	tx.PutVerification(v, true)
	for _, t := range taken {
		tx.PutLimit(t.key, t.tat)
	}
	tx.PutJob(p.job)
	s.keepReplay(tx, p.replay, CheckAnswer{Verification: v})
	return nil
}

// send adds a delivery to v and returns its job. A node that has room holds the job from birth: the attempt is
// written before the call, in the transaction of the start itself. Without room the job is due at once.
func (s *Service) send(v *Verification, n *Number, to nextStep, now time.Time, held bool) queue.Job {
	d := channel.Delivery{
		ID:      s.IDs.New(now),
		Channel: to.kind,
		Route:   to.route,
		Reason:  to.reason,
		Status:  channel.Queued,
		Created: now,
		Updated: now,
	}
	job := queue.Job{ID: d.ID, Kind: JobKind, Due: now, Ref: v.ID}
	if held {
		d.Status, d.Attempt, job.Attempt = channel.Sending, 1, 1
		job.Hold(now.Add(s.Lease))
	}
	v.Deliveries = append(v.Deliveries, d)
	next, _ := s.Limits.Sends.Next(n.Sends, now)
	v.ResendAt = time.Time{}
	if v.ResendsLeft() > 0 && next.Before(v.Expires) {
		v.ResendAt = next
	}
	v.Timer = id.ID{}
	if v.Step+1 < len(v.Spec.Fallback) {
		v.Timer = d.ID
	}
	return job
}

// supersede cancels the pending verification of the same purpose, if there is one.
func (s *Service) supersede(tx Tx, n *Number, purpose string, now time.Time) error {
	old := n.latest(purpose)
	if old.IsZero() {
		return nil
	}
	v, err := tx.Verification(old)
	if err != nil || v == nil || v.Status != Pending {
		return err
	}
	v = v.clone()
	v.end(v.At(now), now)
	if v.Status == Pending {
		v.end(Canceled, now)
	}
	halt(tx, v)
	tx.PutVerification(v, false)
	return nil
}
