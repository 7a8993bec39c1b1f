package store

import (
	"context"
	"errors"
	"time"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/deliver"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/queue"
	"github.com/dialproof/dialproof/internal/verify"
	"github.com/dialproof/dialproof/internal/webhook"
)

// Engine is a database under a DB. The DB does not know which one it is; what some engines can do besides is in the
// interfaces Claimer, Compacter, Changer and Describer.
type Engine interface {
	Reader
	// Writers returns how many batches may be committed at once, at most.
	Writers() int
	// Commit runs a batch in one transaction, for each writer (0, 1, …) one at a time. Each piece's own error stays in the
	// batch; the error returned is a failure that undid them all. The work may run more than once.
	Commit(ctx context.Context, writer int, b *Batch) error
	// Now returns the time that all nodes agree on.
	Now() time.Time
	Close() error
}

// Tx is one transaction of an engine. A batch asks it for rows that no piece of work before has read or changed. What
// is read stays as it is until the transaction ends: its row is locked, or nobody else writes.
type Tx interface {
	// Number, Verification and Job return nil for none.
	Number(k verify.NumberKey) (*verify.Number, error)
	Verification(v id.ID) (*verify.Verification, error)
	Job(j id.ID) (*queue.Job, error)
	Limit(k [16]byte) (tat int64, ok bool, err error)
	Replay(k [32]byte) (r Replay, ok bool, err error)
	// Due returns up to n jobs of a kind that were due before the batch, oldest due first. Only engines that are no
	// Claimer are asked.
	Due(kind string, now time.Time, n int) ([]queue.Job, error)
	Tables
}

// Tables is what a transaction changes by statements of its own, beside the rows of its batch.
type Tables interface {
	PutApplication(application.Application) error
	PutKey(application.Key) error
	TouchKeys(used map[id.ID]time.Time) error
	PutWebhook(webhook.Endpoint) error
	DropWebhook(endpoint id.ID) error

	ClaimEvents(now time.Time, shares []webhook.Share, lease time.Duration) ([]webhook.Event, error)
	// FinishEvent and DropEvent report whether the event was still at the attempt given.
	FinishEvent(webhook.Event) (bool, error)
	DropEvent(webhook.Event) (bool, error)
	// ReplayEvents, DropEvents and PurgeEvents change a bounded number of rows and return how many; 0 at the end.
	ReplayEvents(endpoint, event id.ID, since, now time.Time) (int, error)
	DropEvents(endpoint id.ID) (int, error)
	PurgeEvents(delivered, rest time.Time) (int, error)

	// Turn reports whether the caller is the first within a period to ask for recurring work.
	Turn(name string, node id.ID, now time.Time, period time.Duration) (bool, error)
	SetMark(name string, n int64) error
	// Purge removes up to PurgeStep rows of a kind that ended before a time, oldest end first, and returns how many; 0 at
	// the end. from is 0 at first, and then what the step before has returned as next: an engine whose removed rows stay
	// in its way may begin there.
	Purge(kind Purged, from int64, before time.Time) (n int, next int64, err error)
	// Upkeep removes what dead nodes have left.
	Upkeep(now time.Time) error
}

// Reader is what is read beside the writers, without locks. Its methods are those of verify.Store, deliver.Store,
// queue.Store, application.Store and webhook.Store, and see everything that was durable when they were called.
type Reader interface {
	Find(ctx context.Context, v id.ID) (*verify.Verification, error)
	NumberRow(ctx context.Context, k verify.NumberKey) (*verify.Number, error)
	Scan(ctx context.Context, app, before id.ID, yield func(*verify.Verification) bool) error
	FindSent(ctx context.Context, key [16]byte) (s deliver.Sent, ok bool, err error)
	Depth(ctx context.Context, now time.Time) (queue.Depth, error)
	// AnyDue reports whether a job of a kind may be claimed.
	AnyDue(ctx context.Context, kind string, now time.Time) (bool, error)

	Applications(ctx context.Context) ([]application.Application, error)
	Keys(ctx context.Context) ([]application.Key, error)
	Version(ctx context.Context) (int64, error)
	Webhooks(ctx context.Context) ([]webhook.Endpoint, error)
	Lanes(ctx context.Context) ([]webhook.Lane, error)
	Backlogs(ctx context.Context) ([]webhook.Backlog, error)
	Events(ctx context.Context, endpoint id.ID, p webhook.Page) ([]webhook.Event, error)

	// Remembered returns up to PurgeStep of the verifications made in a span of time that still hold something personal,
	// oldest first.
	Remembered(ctx context.Context, after, end id.ID) ([]*verify.Verification, error)
	// Mark returns how far recurring work has come, as SetMark kept it; 0 at first.
	Mark(ctx context.Context, name string) (int64, error)
	// Last returns the newest id in the store, so that new ids come after it.
	Last(ctx context.Context) (id.ID, error)
}

// Claimer is an engine that claims in statements of its own, beside the writers.
type Claimer interface {
	Claim(ctx context.Context, now time.Time, kind string, n int, lease time.Duration) ([]queue.Job, error)
	ClaimEvents(ctx context.Context, now time.Time, shares []webhook.Share, lease time.Duration) ([]webhook.Event, error)
}

// Compacter is an engine that puts writes off. It compacts with a batch that Compacting reports true of, which the DB
// makes when nobody has asked for anything for a while.
type Compacter interface {
	// Behind reports whether there is something to compact.
	Behind() bool
}

// Changer is an engine that hears from other nodes that tenants have changed.
type Changer interface {
	Changed() <-chan struct{}
}

// Describer is an engine that can say how it is set up.
type Describer interface {
	Describe(ctx context.Context) (Facts, error)
}

// Healther is an engine that knows whether it takes writes.
type Healther interface {
	// Health returns nil, or why writes are refused now. It does not write.
	Health(ctx context.Context) error
}

// Explainer is an engine that can say in words why it does not work.
type Explainer interface {
	// Explain returns what a caller may read of an error of this engine, such as "the disk is full"; empty when it does
	// not know.
	Explain(err error) string
}

// Replay is a kept answer to a request with an Idempotency-Key.
type Replay struct {
	Fingerprint [32]byte
	Sealed      []byte
	Until       int64 // Unix milliseconds
}

// Facts is what an operator should know of a store.
type Facts struct {
	// Summary names it in a line.
	Summary string
	// Engine is its name and version, and Schema which step its schema has reached.
	Engine string
	Schema int
	// Wrong is what endangers what was acknowledged, Notes what is only worth knowing, a sentence each.
	Wrong, Notes []string
}

// Purged names rows that end by themselves.
type Purged string

// The rows that Purge removes.
const (
	PurgeNumbers Purged = "numbers" // since nobody verified them
	PurgeLimits  Purged = "limits"
	PurgeReplays Purged = "replays"
	PurgeSent    Purged = "sent"
)

// PurgeStep is how many rows one step of upkeep touches, at most, so that starts and checks never wait long for it.
const PurgeStep = 200

// Unavailable returns the error for a caller of a store that cannot be used now, with its cause for the log.
func Unavailable(detail string, cause error) error {
	if _, ok := errors.AsType[*verify.Error](cause); ok {
		return cause
	}
	return &storeError{unavailable(detail), cause}
}

// storeError is what the caller may see, and what happened.
type storeError struct {
	public *verify.Error
	cause  error
}

// Error is for the log.
func (e *storeError) Error() string { return e.public.Error() + ": " + e.cause.Error() }

// Unwrap returns both.
func (e *storeError) Unwrap() []error { return []error{e.public, e.cause} }

func unavailable(detail string) *verify.Error {
	return &verify.Error{Code: verify.CodeUnavailable, Detail: detail}
}
