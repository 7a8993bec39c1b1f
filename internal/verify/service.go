package verify

import (
	"context"
	"time"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/keyring"
	"github.com/dialproof/dialproof/internal/phone"
	"github.com/dialproof/dialproof/internal/queue"
)

// Tx is one atomic piece of work on a Store. What is read is current; what is put becomes durable together,
// or not at all. The function that uses it may be run again when the store retries: it must be pure but
// for its Tx and the variables that it sets.
type Tx interface {
	// Number returns the row of a number, a new one if there is none. It locks the number: two pieces of
	// work on one number never overlap.
	Number(NumberKey) (*Number, error)
	// Verification returns a copy of a row, which the work may change and put, or nil.
	Verification(id.ID) (*Verification, error)
	// Limit returns the kept state of a GCRA limit, 0 if there is none.
	Limit(key [16]byte) (int64, error)
	// Replay returns the fingerprint and sealed answer kept under an idempotency key until after now; ok is false for
	// none.
	Replay(key [32]byte, now time.Time) (fingerprint [32]byte, sealed []byte, ok bool, err error)

	PutNumber(*Number)
	// PutVerification writes a new row or what changes of an old one.
	PutVerification(v *Verification, isNew bool)
	PutLimit(key [16]byte, tat int64)
	PutReplay(key, fingerprint [32]byte, sealed []byte, until time.Time)
	PutJob(queue.Job)
	// Job returns a job as it is kept, or nil when it is finished.
	Job(job id.ID) (*queue.Job, error)
	DropJob(job id.ID)
}

// Needs tells a Store what a piece of work will read, so that it can read for many at once. A need that is
// not told is read all the same.
type Needs struct {
	Number NumberKey
	// Verification is read when its number is locked already, so that it does not change any more.
	Verification id.ID
	Limits       [][16]byte
	Replay       [32]byte
	Job          id.ID
}

// Store keeps verifications. Errors of the work itself come back as they are; errors of the store are
// *Error with CodeBusy or CodeUnavailable.
type Store interface {
	// Do runs work and returns when its effect is durable.
	Do(ctx context.Context, n Needs, work func(Tx) error) error
	// Find returns one verification, or nil.
	Find(ctx context.Context, v id.ID) (*Verification, error)
	// NumberRow returns the row of a number, or nil.
	NumberRow(ctx context.Context, k NumberKey) (*Number, error)
	// Scan calls yield with the verifications of an application, newest first, from before the id given
	// (zero: from the newest), until it returns false or there are no more.
	Scan(ctx context.Context, app, before id.ID, yield func(*Verification) bool) error
}

// Router returns what deliver would do, without doing it.
type Router interface {
	// Plan returns the route that a message to the number would take, with the reason for the choice. avoid names
	// a route that is taken only when there is no other; empty for none. ok is false when no route serves the
	// number. test asks for routes that reach nobody.
	Plan(to phone.Number, kind channel.Kind, test bool, avoid string) (route, reason string, ok bool)
}

// Dispatcher runs the jobs that bring codes to people.
type Dispatcher interface {
	// Admit reports whether the queue has room for one more job; when it has not, nothing is written.
	Admit() bool
	// Reserve keeps room on this node for a job that is about to be written, and reports whether there was any. Without,
	// the job is written as due at once, and whoever has room claims it. Each success is followed by one Dispatch or one
	// Release.
	Reserve() bool
	// Release gives a reservation up.
	Release()
	// Dispatch is told of a job that has been written: a leased one, for which room was reserved, is run here. It never
	// blocks.
	Dispatch(queue.Job, *Made)
}

// Made spares the node that wrote a job from reading and unsealing what it just wrote.
type Made struct {
	Delivery channel.Delivery
	// Message is what a start has rendered at the door; the zero message after a resend and a fallback.
	Message channel.Message
	// Test messages go to test routes only.
	Test bool
	// Wait is how long the message may take before the order goes on; 0 when nothing follows.
	Wait time.Duration
}

// fill takes over what is known of the newest delivery of a verification.
func (m *Made) fill(v *Verification) {
	m.Delivery, m.Test, m.Wait = v.Deliveries[len(v.Deliveries)-1], v.Spec.Test, v.Wait()
}

// dispatched runs work, which writes a job, with room for it if there is any. What work returns is dispatched: it is
// durable.
func (s *Service) dispatched(work func(held bool) (*queue.Job, *Made, error)) error {
	held := s.Dispatch.Reserve()
	dispatched := false
	defer func() {
		if held && !dispatched {
			s.Dispatch.Release()
		}
	}()
	j, m, err := work(held)
	if err == nil && j != nil {
		s.Dispatch.Dispatch(*j, m)
		dispatched = true
	}
	return err
}

// Options is what a Service needs.
type Options struct {
	Store    Store
	Router   Router
	Dispatch Dispatcher
	Ring     *keyring.Ring
	IDs      *id.Source
	Now      func() time.Time
	// Lease is how long a new job is this node's own; 30 s if zero.
	Lease time.Duration
	// Host is the host of the deployment's own page, to which every application may bind codes; empty for none.
	Host string
	// AllowFiction accepts reserved numbers from live keys too: development only.
	AllowFiction bool
	Limits       Limits
	Metrics      Metrics
	// Approved is told of each verification that was approved, once it is durable; nil: nobody asks. It must not block.
	Approved func(v id.ID)
}

// Metrics is told what happens. Methods must not block.
type Metrics interface {
	Started(app *application.Application, kind channel.Kind, country string)
	Checked(app *application.Application, r Result)
	Limited(name string)
}

// Service is the core at work. Its methods are safe for many goroutines.
type Service struct {
	Options
}

// New returns a Service.
func New(o Options) *Service {
	if o.Lease == 0 {
		o.Lease = 30 * time.Second
	}
	return &Service{Options: o}
}
