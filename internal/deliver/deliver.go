// Package deliver brings messages to people: it chooses a route, sends, fails over, records what became of
// it, and takes the receipts that providers send later.
//
// It runs as the handler of durable jobs, so every step may happen again after a crash. It does not know what
// a verification is: it sees parcels, the part of a verification's row that tells its deliveries, and asks a
// Composer for the message only at the moment of sending.
package deliver

import (
	"context"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/phone"
	"github.com/dialproof/dialproof/internal/queue"
)

// Parcel is what deliver sees of a verification: where its messages have gone, and until when it matters.
type Parcel struct {
	Ref id.ID
	// Open is false once the verification is final.
	Open       bool
	Expires    time.Time
	Country    string
	Prefix     string
	Deliveries []channel.Delivery
	// Timer is the job that goes on to another channel or route when this one has not brought the message; zero for none.
	// It begins as the job of a delivery, and goes on Wait after its birth.
	Timer id.ID
	Wait  time.Duration
}

// delivery returns the delivery of that id, or nil.
func (p *Parcel) delivery(d id.ID) *channel.Delivery {
	for i := range p.Deliveries {
		if p.Deliveries[i].ID == d {
			return &p.Deliveries[i]
		}
	}
	return nil
}

// since returns the deliveries of a job: the one that it was made for, and those that came of it.
func (p *Parcel) since(job id.ID) []channel.Delivery {
	for i := range p.Deliveries {
		if p.Deliveries[i].ID == job {
			return p.Deliveries[i:]
		}
	}
	return p.Deliveries
}

// Tx is one atomic piece of work, under the lock of the parcel's number.
type Tx interface {
	// Parcel returns the parcel, or nil.
	Parcel(ref id.ID) (*Parcel, error)
	// Job returns a job as it is kept, or nil when it is finished.
	Job(job id.ID) (*queue.Job, error)
	PutParcel(*Parcel)
	// PutJob writes a new job or what changed of an old one.
	PutJob(queue.Job)
	DropJob(job id.ID)
	// PutSent keeps which delivery the provider's id on a route names, until the receipts are in.
	PutSent(key [16]byte, s Sent)
}

// Sent is what is kept of a message whose receipts will name it by the provider's id.
type Sent struct {
	Ref      id.ID
	Delivery id.ID
	Until    time.Time
}

// Store keeps parcels.
type Store interface {
	// Update runs work and answers when its effect is durable. ref and job (zero for none) tell what it will read, so that
	// a store can read for many at once. Work may be run again when the store retries: it must be pure but for its Tx and
	// the variables that it sets, each of them again.
	Update(ctx context.Context, ref, job id.ID, work func(Tx) error) error
	// FindSent returns what was kept under a key.
	FindSent(ctx context.Context, key [16]byte) (s Sent, ok bool, err error)
}

// Composed is a message that is ready to go.
type Composed struct {
	Message channel.Message
	// Test messages go to test routes only.
	Test bool
	// Open is false when there is nothing left to send for.
	Open bool
}

// Composer makes messages.
type Composer interface {
	// Compose returns the message that a delivery of a parcel carries.
	Compose(ctx context.Context, ref id.ID, d channel.Delivery) (Composed, error)
	// Number returns whom a parcel is for; the zero number when that is forgotten.
	Number(ctx context.Context, ref id.ID) (phone.Number, error)
}

// Metrics is told what happens. Methods must not block.
type Metrics interface {
	// Delivery counts a delivery that reached a status.
	Delivery(route string, kind channel.Kind, status channel.Status)
	// Accepted observes how long a message took from its job's birth to the provider's answer.
	Accepted(route string, kind channel.Kind, took time.Duration)
	// Failed counts a call that a provider failed, by its kind.
	Failed(route string, kind channel.ErrorKind)
}
