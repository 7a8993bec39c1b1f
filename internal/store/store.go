// Package store keeps everything that must survive: verifications, numbers, jobs, applications and keys.
//
// It holds no rule of the product. The core hands it pieces of work; it runs many of them in one
// transaction (group commit), so that the cost of a durable write is divided by the load, and answers each when
// the transaction is durable. A piece of work that fails leaves no trace and does not disturb the others.
package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dialproof/dialproof/internal/deliver"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/verify"
)

// maxBatch is how many pieces of work share a commit.
const maxBatch = 256

// maxWaiting is how many may wait for theirs; more are refused as busy.
const maxWaiting = 4096

// Observer is told about commits. Methods must not block.
type Observer interface {
	// Committed tells how many pieces of work shared a commit and how long it took.
	Committed(batch int, took time.Duration)
	// Retried tells that a batch is run again: another node was in its way, or the connection was lost.
	Retried()
}

// engine is one dialect at work.
type engine interface {
	// dialect answers how its statements are written.
	dialect() *dialect
	// lanes answers how many batches may be committed at once, at most.
	lanes() int
	// commit runs a batch in one transaction, for one lane at a time. It leaves each op's own error in it; what it answers
	// itself is a failure that undid them all.
	commit(ctx context.Context, lane int, ops []*op) error
	// read runs reads that need no lock; f may be run again.
	read(ctx context.Context, f func(conn) error) error
	// now answers the time that all nodes agree on.
	now() time.Time
	close() error
}

// DB is an open store. Its methods are safe for many goroutines.
type DB struct {
	engine  engine
	d       *dialect
	observe Observer
	watcher atomic.Pointer[Watcher]
	work    chan *op
	// turn is held by the lane that gathers the next batch; see writer.
	turn  chan struct{}
	quit  chan struct{}
	done  chan struct{}
	close sync.Once
	spare sync.Pool   // of *op
	calm  *time.Timer // of the writer; see rest
}

// op is one piece of work on its way through a commit.
type op struct {
	needs verify.Needs
	jobs  []id.ID // that will be read
	// claims is set when the work looks for jobs that are due then. It is alone in its batch, so that all rows are written.
	claims time.Time
	run    func(*tx) error
	// patient tells that no person waits for it; see linger.
	patient bool
	// folds is how much of its journal SQLite folds with it.
	folds folds
	// watch answers the events of a change; nil: nobody asks. tells is set when there are some.
	watch Watcher
	tells bool
	err   error
	done  chan error
}

// folds is how much of a journal is folded into the tables.
type folds int

const (
	foldSome folds = iota + 1 // a step
	foldAll                   // all that was durable before
)

// Options says which store to open: with a DSN PostgreSQL, else SQLite. Zero values take the defaults.
type Options struct {
	// Path is the file of SQLite; its folder must exist.
	Path string

	// DSN is the connection string of PostgreSQL. What it says wins over what follows.
	DSN string
	// Connections bounds the connections of this node: one for each lane, the others read.
	Connections int
	// Lanes is how many transactions this node commits at once, at most: another begins when one takes long.
	Lanes int
	// Timeout bounds one statement.
	Timeout time.Duration
	// Pooler tells that the DSN leads to a pooler in transaction mode (PgBouncer): no prepared statements and no settings
	// are left on a connection.
	Pooler bool
	// ListenDSN leads to the server itself, for news from other nodes; empty: DSN, and with Pooler none.
	ListenDSN string
	// Now is this machine's clock; the store measures how far it is from the database's. Nil: time.Now.
	Now func() time.Time
	Log *slog.Logger

	Observe Observer
	// Guest opens a file that another process may be serving: to look, or to change tenants. Jobs are the owner's.
	Guest bool
}

// Open opens the store and brings its schema up to date.
func Open(ctx context.Context, o Options) (*DB, error) {
	o = o.defaults()
	if o.DSN != "" {
		e, err := openPostgres(ctx, o)
		if err != nil {
			return nil, fmt.Errorf("store: %w", err)
		}
		return newDB(e, o.Observe), nil
	}
	e, err := openSQLite(o.Path, o.Guest)
	if err == nil {
		e.halt.log.Store(o.Log)
		err = e.usable()
	}
	if err != nil {
		return nil, fmt.Errorf("store %s: %w", o.Path, err)
	}
	return newDB(e, o.Observe), nil
}

// newDB sets the lanes of an engine going.
func newDB(e engine, observe Observer) *DB {
	db := &DB{
		engine: e, d: e.dialect(), observe: observe, work: make(chan *op, maxWaiting), turn: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{}),
		calm: time.NewTimer(calm),
	}
	db.turn <- struct{}{}
	var writers sync.WaitGroup
	for lane := range e.lanes() {
		writers.Go(func() { db.writer(lane) })
	}
	go func() { writers.Wait(); close(db.done) }()
	return db
}

type unobserved struct{}

func (unobserved) Committed(int, time.Duration) {}
func (unobserved) Retried()                     {}

// Close finishes the work that was taken and closes the store.
func (db *DB) Close() error {
	db.close.Do(func() { close(db.quit) })
	<-db.done
	return db.engine.close()
}

// Changed tells when another node has changed tenants; nil where there are no other nodes or they cannot be heard. Who is
// told nothing must look now and then all the same.
func (db *DB) Changed() <-chan struct{} {
	if e, ok := db.engine.(*postgres); ok {
		return e.changed
	}
	return nil
}

// Now answers the time. With PostgreSQL it is the database's, so that nodes whose clocks differ agree on leases and
// deadlines.
func (db *DB) Now() time.Time { return db.engine.now() }

// Do implements verify.Store.
func (db *DB) Do(ctx context.Context, n verify.Needs, work func(verify.Tx) error) error {
	return db.do(ctx, n, nil, func(t *tx) error { return work(t) })
}

// Update implements deliver.Store.
func (db *DB) Update(ctx context.Context, ref, job id.ID, work func(deliver.Tx) error) error {
	o := db.op()
	o.needs, o.run, o.patient = verify.Needs{Verification: ref, Job: job}, func(t *tx) error { return work(t) }, true
	return db.submit(ctx, o)
}

// do queues work and waits for its commit. Once taken, work is not given up when ctx ends: whoever asked is
// answered, but what is durable is durable.
func (db *DB) do(ctx context.Context, n verify.Needs, jobs []id.ID, run func(*tx) error) error {
	o := db.op()
	o.needs, o.jobs, o.run = n, jobs, run
	return db.submit(ctx, o)
}

// op answers a piece of work to fill in. submit takes it back.
func (db *DB) op() *op {
	if o, ok := db.spare.Get().(*op); ok {
		return o
	}
	return &op{done: make(chan error, 1)}
}

// recycle keeps an op, with its channel, for another piece of work. Nobody else may hold it any more.
func (db *DB) recycle(o *op) {
	*o = op{done: o.done}
	db.spare.Put(o)
}

func (db *DB) submit(ctx context.Context, o *op) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if w := db.watcher.Load(); w != nil {
		o.watch = *w
	}
	select {
	case <-db.quit:
		return unavailable("the store is closing")
	default:
	}
	select {
	case db.work <- o:
	default:
		return &verify.Error{Code: verify.CodeBusy, Detail: "too many writes are waiting: try again"}
	}
	select {
	case err := <-o.done:
		db.recycle(o)
		return err
	case <-db.done:
		select {
		case err := <-o.done:
			return err
		default:
			return unavailable("the store is closed")
		}
	}
}

func unavailable(detail string) *verify.Error {
	return &verify.Error{Code: verify.CodeUnavailable, Detail: detail}
}

// patience is how long a commit may take before another lane begins the next one beside it. A server that is near commits in
// less: then the lanes take turns, and a batch is as large as it can be, which is what makes a write cheap. One that is far
// away, waits for a replica, or holds a batch up by a lock keeps only one lane.
const patience = 10 * time.Millisecond

// writer is one goroutine that writes. A request that comes alone is committed at once; those that come while a commit is
// under way share the next one.
func (db *DB) writer(lane int) {
	pass := func() { db.turn <- struct{}{} }
	timer := time.AfterFunc(time.Hour, pass)
	timer.Stop()
	batch := make([]*op, 0, maxBatch)
	for {
		<-db.turn
		o := db.next()
		if o == nil {
			pass()
			return
		}
		batch = db.gather(lane, append(batch[:0], o))
		timer.Reset(patience)
		db.commit(lane, batch)
		if timer.Stop() {
			pass()
		}
	}
}

// calm is how long nobody asks for anything before what was put off is done.
const calm = time.Second

// next waits for work. It answers nil when the store is closing and nothing is left.
func (db *DB) next() *op {
	select {
	case o := <-db.work:
		return o
	case <-db.quit:
	case <-db.rest():
		o := db.op()
		o.folds, o.run = foldSome, func(*tx) error { return nil }
		return o // nobody waits for its answer, which its channel has room for
	}
	select {
	case o := <-db.work:
		return o
	default:
		return nil
	}
}

// rest answers what tells that it has been calm; nil when nothing was put off.
func (db *DB) rest() <-chan time.Time {
	if e, ok := db.engine.(*sqlite); !ok || e.journal == nil || e.journal.empty() {
		return nil
	}
	db.calm.Reset(calm)
	return db.calm.C
}

// lull is how long work that nobody waits for lingers for other work to share its commit. What becomes of a delivery is such:
// written alone, it would stand in the way of the next start or check, and cost as much as that.
const lull = 2 * time.Millisecond

// linger answers the batch with what has come by the time that somebody waits for its commit, at the latest after the lull.
func (db *DB) linger(lane int, batch []*op) []*op {
	over := time.NewTimer(lull)
	defer over.Stop()
	for len(batch) < maxBatch {
		select {
		case o := <-db.work:
			if batch = db.add(lane, batch, o); !o.patient {
				return batch
			}
		case <-over.C:
			return batch
		case <-db.quit:
			return batch
		}
	}
	return batch
}

// rounds is how often a batch lets other goroutines run before it is committed, as long as that brings more work: those that
// are about to ask share the commit. When nobody is, a round takes no time, so work that comes alone does not wait. gatherTime
// ends it: where very many goroutines want to run, each round is long, and everybody waits for this one.
const (
	rounds     = 8
	gatherTime = time.Millisecond
)

// add puts work into a batch. Work that claims is alone in its batch: the one before is committed first.
func (db *DB) add(lane int, batch []*op, o *op) []*op {
	if !o.claims.IsZero() {
		db.commit(lane, batch)
		batch = batch[:0]
	}
	return append(batch, o)
}

// gather answers the batch with the work that is there now.
func (db *DB) gather(lane int, batch []*op) []*op {
	if batch[0].patient {
		batch = db.linger(lane, batch)
	}
	begin := time.Now()
	for range rounds {
		before := len(batch)
		for len(batch) < maxBatch && batch[0].claims.IsZero() && len(db.work) > 0 {
			batch = db.add(lane, batch, <-db.work)
		}
		if len(batch) == before && before > 1 || len(batch) == maxBatch || time.Since(begin) > gatherTime {
			break
		}
		runtime.Gosched()
	}
	return batch
}

// commit runs a batch in one transaction and answers everybody.
func (db *DB) commit(lane int, batch []*op) {
	begin := time.Now()
	err := db.engine.commit(context.Background(), lane, batch) //nolint:forbidigo // what was taken is done, whoever goes away
	if err != nil {
		err = &storeError{unavailable(detail(err)), err}
	} else {
		db.observe.Committed(len(batch), time.Since(begin))
	}
	for _, o := range batch {
		if err != nil {
			o.done <- err
			continue
		}
		if o.tells && o.err == nil && o.watch != nil {
			o.watch.Written()
		}
		o.done <- o.err
	}
}

// detail returns what a caller may know of why a commit failed.
func detail(err error) string {
	if errors.Is(err, ErrSyncFailed) {
		return "the store takes no more writes until the server has been started again, because a sync of its file has failed"
	}
	return "the store cannot be written"
}

// Failed returns why the store takes no more writes until it is opened again; nil when nothing has stopped it. It is a *verify.Error
// with CodeUnavailable, and costs nothing to ask.
func (db *DB) Failed() error {
	if e, ok := db.engine.(interface{ failed() error }); ok {
		if err := e.failed(); err != nil {
			return &storeError{unavailable(detail(err)), err}
		}
	}
	return nil
}

// storeError is what the caller may see, and what happened.
type storeError struct {
	public *verify.Error
	cause  error
}

// Error is for the log.
func (e *storeError) Error() string { return e.public.Error() + ": " + e.cause.Error() }

// Unwrap answers both.
func (e *storeError) Unwrap() []error { return []error{e.public, e.cause} }

// errClosed is the answer of a closed engine.
var errClosed = errors.New("store: closed")
