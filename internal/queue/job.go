// Package queue is durable work: jobs that are claimed under a lease, fenced, put off and finished.
//
// It knows nothing of messages. A job says which kind of work it is and what it is about; the handler of that kind
// does it and writes down what becomes of the job. A job is run at least once: who cannot bear a second run
// must look before acting. Jobs are rows of a Store, from their birth to their end; writing a new one is part of
// whatever transaction makes the work. What a Runner has in memory is a cache of the rows that it may run.
package queue

import (
	"context"
	"errors"
	"time"

	"github.com/dialproof/dialproof/internal/id"
)

// Job is one piece of work, as it is kept.
type Job struct {
	ID   id.ID
	Kind string
	// Due is when the job may be claimed: for a waiting job its time, for a leased one the end of its lease.
	Due time.Time
	// Leased reports whether Due is the end of a lease: somebody has the job in hand until then. A job that is put off,
	// given back or written without a lease is not. Claim and whoever makes or renews a lease set it; the store keeps it.
	Leased bool
	// Attempt counts the leases. It is the fence: a finish with an older attempt is refused. A job that its maker holds
	// from birth begins with 1, one that is free to be claimed with 0.
	Attempt int
	// Ref names what the job is about; Payload is the handler's own, at most 4 KiB.
	Ref     id.ID
	Payload []byte
}

// Hold gives the job a lease until the time given.
func (j *Job) Hold(until time.Time) { j.Due, j.Leased = until, true }

// PutOff ends the lease: the job may be claimed from the time given on.
func (j *Job) PutOff(until time.Time) { j.Due, j.Leased = until, false }

// ErrFenced is the answer to a finish or a renewal that comes from an older attempt.
var ErrFenced = errors.New("queue: the lease has passed to another attempt")

// Store keeps jobs.
type Store interface {
	// Claim gives the caller up to n due jobs of a kind, oldest due first, each with Attempt raised and Due set to
	// now+lease. No job is given to two callers.
	Claim(ctx context.Context, now time.Time, kind string, n int, lease time.Duration) ([]Job, error)
	// Return gives leases back: the jobs are due at once. Attempts that are not current are passed over.
	Return(ctx context.Context, now time.Time, jobs []Job) error
	// Depth returns how full the queue is.
	Depth(ctx context.Context, now time.Time) (Depth, error)
}

// Depth is how full a queue is.
type Depth struct {
	// Open is how many jobs there are.
	Open int
	// Overdue is how long the job that has been due for longest has been due; 0 for none.
	Overdue time.Duration
	// Oldest is, by kind, how long ago the oldest job was made, by the time of its id.
	Oldest map[string]time.Duration
}
