// Package store keeps everything that must survive: verifications, numbers, jobs, applications and keys.
//
// The rules of verifications are the core's. It hands the store pieces of work, and the store runs many of them in one
// transaction (group commit), so that the cost of a durable write is divided by the load, and answers each when
// the transaction is durable. A piece of work that fails leaves no trace and does not disturb the others.
package store

import (
	"context"
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
	// Uncommitted tells that a commit failed, which was to make so many pieces of work durable.
	Uncommitted(batch int, err error)
	// Retried tells that a batch is run again: another node was in its way, or the connection was lost.
	Retried()
}

// DB is an open store. Its methods are safe for many goroutines.
type DB struct {
	Reader
	engine  Engine
	observe Observer
	watcher atomic.Pointer[Watcher]
	work    chan *op
	// turn is held by the writer that gathers the next batch; see writer.
	turn  chan struct{}
	quit  chan struct{}
	done  chan struct{}
	close sync.Once
	spare sync.Pool   // of *op
	calm  *time.Timer // of the writer that has the turn; see idle
	// direct stores have no writers; see Direct.
	direct bool
	health health
}

// op is one piece of work on its way through a commit.
type op struct {
	needs verify.Needs
	jobs  []id.ID // that will be read
	run   func(*tx) error
	// patient is set when no person waits for it; see linger.
	patient bool
	// idle is set when it only gives the engine a chance to compact.
	idle bool
	// watch returns the events of a change; nil: nobody asks. tells is set when there are some.
	watch Watcher
	tells bool
	err   error
	done  chan error
}

// New returns a store on an engine, and sets its writers going. observe may be nil.
func New(e Engine, observe Observer) *DB {
	if observe == nil {
		observe = unobserved{}
	}
	db := &DB{
		Reader:  e,
		engine:  e,
		observe: observe,
		work:    make(chan *op, maxWaiting),
		turn:    make(chan struct{}, 1),
		quit:    make(chan struct{}),
		done:    make(chan struct{}),
		calm:    time.NewTimer(calm),
	}
	db.turn <- struct{}{}
	var writers sync.WaitGroup
	for w := range e.Writers() {
		writers.Go(func() { db.writer(w) })
	}
	go func() { writers.Wait(); close(db.done) }()
	return db
}

// Direct returns a store that runs each piece of work at once, in the goroutine that asks, and commits it alone: for a
// simulation, which decides what happens when. Only one piece of work may run at a time.
func Direct(e Engine) *DB {
	db := &DB{
		Reader:  e,
		engine:  e,
		observe: unobserved{},
		quit:    make(chan struct{}),
		done:    make(chan struct{}),
		direct:  true,
	}
	close(db.done)
	return db
}

type unobserved struct{}

func (unobserved) Committed(int, time.Duration) {}
func (unobserved) Uncommitted(int, error)       {}
func (unobserved) Retried()                     {}

// Close finishes the work that was taken and closes the store.
func (db *DB) Close() error {
	db.close.Do(func() { close(db.quit) })
	<-db.done
	return db.engine.Close()
}

// Changed is sent to when another node has changed tenants; nil where there are no other nodes or they cannot be heard.
// Whoever is told nothing must look now and then all the same.
func (db *DB) Changed() <-chan struct{} {
	if e, ok := db.engine.(Changer); ok {
		return e.Changed()
	}
	return nil
}

// Describe looks at the store. It costs a few reads.
func (db *DB) Describe(ctx context.Context) (Facts, error) {
	if e, ok := db.engine.(Describer); ok {
		return e.Describe(ctx)
	}
	return Facts{}, nil
}

// Now returns the time. With PostgreSQL it is the database's, so that nodes whose clocks differ agree on leases and
// deadlines.
func (db *DB) Now() time.Time { return db.engine.Now() }

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

// op returns a piece of work to fill in. submit takes it back.
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
	if db.direct {
		b := &Batch{ops: []*op{o}}
		db.commit(0, b)
		return <-o.done
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

// patience is how long a commit may take before another lane begins the next one beside it. A server that is near
// commits in less: then the lanes take turns, and a batch is as large as it can be, which is what makes a write cheap.
// One that is far away, waits for a replica, or holds a batch up by a lock keeps only one lane.
const patience = 10 * time.Millisecond

// writer is one goroutine that writes. A request that comes alone is committed at once; those that come while a commit
// is under way share the next one.
func (db *DB) writer(w int) {
	pass := func() { db.turn <- struct{}{} }
	timer := time.AfterFunc(time.Hour, pass)
	timer.Stop()
	batch := &Batch{ops: make([]*op, 0, maxBatch)}
	for {
		<-db.turn
		o := db.next()
		if o == nil {
			pass()
			return
		}
		batch.ops = db.gather(append(batch.ops[:0], o))
		timer.Reset(patience)
		db.commit(w, batch)
		if timer.Stop() {
			pass()
		}
	}
}

// calm is how long nobody asks for anything before what was put off is done.
const calm = time.Second

// next waits for work. It returns nil when the store is closing and nothing is left.
func (db *DB) next() *op {
	select {
	case o := <-db.work:
		return o
	case <-db.quit:
	case <-db.rest():
		o := db.op()
		o.idle, o.run = true, func(*tx) error { return nil }
		return o // nobody waits for its answer, which its channel has room for
	}
	select {
	case o := <-db.work:
		return o
	default:
		return nil
	}
}

// rest returns what is sent to when it has been calm; nil when nothing was put off.
func (db *DB) rest() <-chan time.Time {
	if e, ok := db.engine.(Compacter); !ok || !e.Behind() {
		return nil
	}
	db.calm.Reset(calm)
	return db.calm.C
}

// lull is how long work that nobody waits for lingers for other work to share its commit. What becomes of a delivery is
// such: written alone, it would stand in the way of the next start or check, and cost as much as that.
const lull = 2 * time.Millisecond

// linger returns the work with what has come by the time that somebody waits for its commit, at the latest after the
// lull.
func (db *DB) linger(ops []*op) []*op {
	over := time.NewTimer(lull)
	defer over.Stop()
	for len(ops) < maxBatch {
		select {
		case o := <-db.work:
			if ops = append(ops, o); !o.patient {
				return ops
			}
		case <-over.C:
			return ops
		case <-db.quit:
			return ops
		}
	}
	return ops
}

// rounds is how often a batch lets other goroutines run before it is committed, as long as that brings more work: those
// that are about to ask share the commit. When nobody is, a round takes no time, so work that comes alone does not
// wait. gatherTime ends it: where very many goroutines want to run, each round is long, and everybody waits for this
// one.
const (
	rounds     = 8
	gatherTime = time.Millisecond
)

// gather returns the work with what is there now.
func (db *DB) gather(ops []*op) []*op {
	if ops[0].patient {
		ops = db.linger(ops)
	}
	begin := time.Now()
	for range rounds {
		before := len(ops)
		for len(ops) < maxBatch && len(db.work) > 0 {
			ops = append(ops, <-db.work)
		}
		if len(ops) == before && before > 1 || len(ops) == maxBatch || time.Since(begin) > gatherTime {
			break
		}
		runtime.Gosched()
	}
	return ops
}

// commit runs a batch in one transaction and answers everybody.
func (db *DB) commit(w int, b *Batch) {
	begin := time.Now()
	b.Reset()
	err := db.engine.Commit(context.Background(), w, b) //nolint:forbidigo // what was taken is done, whoever goes away
	if err != nil {
		err = db.unwritable(err)
		db.health.ended(err)
		db.observe.Uncommitted(len(b.ops), err)
	} else {
		db.health.ended(nil)
		db.observe.Committed(len(b.ops), time.Since(begin))
	}
	for _, o := range b.ops {
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
