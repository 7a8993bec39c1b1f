// Package queue is durable work: jobs that are claimed under a lease, fenced, put off and finished.
//
// It knows nothing of messages. A job says which kind of handler runs it and what it is about; the
// handler's answer says what becomes of it. A job is run at least once: who cannot bear a second run
// must look before acting. Jobs are kept by a Store; writing a new job is part of whatever transaction
// makes the work.
package queue

import (
	"context"
	"errors"
	"time"

	"github.com/dialproof/dialproof/internal/id"
)

// Job is one piece of work.
type Job struct {
	ID   id.ID
	Kind string
	// Due is when the job may be claimed: for a waiting job its time, for a running one the end of its lease.
	Due time.Time
	// Leased reports whether Due is the end of a lease, and not a time that the job was put off to.
	Leased bool
	// Attempt counts the claims, the birth of a job that its maker holds included. It is the fence: a finish
	// with an older attempt is refused.
	Attempt int
	// Ref names what the job is about; Payload is the handler's own, at most 4 KiB.
	Ref     id.ID
	Payload []byte
	// Carry saves a reader on the node that made the job from loading it again. It is not kept.
	Carry any
}

// ErrFenced is the answer to a finish or a renewal that comes from an older attempt.
var ErrFenced = errors.New("queue: the lease has passed to another attempt")

// Store keeps jobs.
type Store interface {
	// Claim gives the caller up to n due jobs of a kind, oldest due first, each with Attempt raised and Due set to now+lease.
	// No job is given to two callers.
	Claim(ctx context.Context, now time.Time, kind string, n int, lease time.Duration) ([]Job, error)
	// Return gives leases back: the jobs are due at once. Attempts that are not current are passed over.
	Return(ctx context.Context, now time.Time, jobs []Job) error
	// Depth returns how full the queue is.
	Depth(ctx context.Context, now time.Time) (Depth, error)
}

// Depth is how full a queue is.
type Depth struct {
	Open    int                      // jobs that there are
	Overdue time.Duration            // for how long the job that has been due for longest has been due; 0 for none
	Oldest  map[string]time.Duration // by kind: how long ago the oldest job was made
}

// Handler runs one job. When it returns, the job is finished or put off in the store: the handler does
// that itself, in the transaction that records the result. An error means that neither happened, and the
// job comes again when its lease ends.
type Handler interface {
	Run(ctx context.Context, j Job) error
}
