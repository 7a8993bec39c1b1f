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
	"runtime/debug"
	"sync"
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
}

// DB is an open store. Its methods are safe for many goroutines.
type DB struct {
	engine  *sqlite
	observe Observer
	work    chan *op
	quit    chan struct{}
	done    chan struct{}
	close   sync.Once
}

// op is one piece of work on its way through a commit.
type op struct {
	needs verify.Needs
	run   func(*tx) error
	err   error
	done  chan error
}

// Options says which store to open.
type Options struct {
	// Path is the database file; its folder must exist.
	Path    string
	Observe Observer
}

// Open opens the store and brings its schema up to date.
func Open(_ context.Context, o Options) (*DB, error) {
	engine, err := openSQLite(o.Path)
	if err != nil {
		return nil, fmt.Errorf("store %s: %w", o.Path, err)
	}
	if o.Observe == nil {
		o.Observe = unobserved{}
	}
	db := &DB{engine: engine, observe: o.Observe, work: make(chan *op, maxWaiting), quit: make(chan struct{}), done: make(chan struct{})}
	go db.writer()
	return db, nil
}

type unobserved struct{}

func (unobserved) Committed(int, time.Duration) {}

// Close finishes the work that was taken and closes the store.
func (db *DB) Close() error {
	db.close.Do(func() { close(db.quit) })
	<-db.done
	return db.engine.close()
}

// Do implements verify.Store.
func (db *DB) Do(ctx context.Context, n verify.Needs, work func(verify.Tx) error) error {
	return db.do(ctx, n, func(t *tx) error { return work(t) })
}

// Update implements deliver.Store.
func (db *DB) Update(ctx context.Context, ref id.ID, work func(deliver.Tx) error) error {
	return db.do(ctx, verify.Needs{Verification: ref}, func(t *tx) error { return work(t) })
}

// do queues work and waits for its commit. Once taken, work is not given up when ctx ends: whoever asked is
// answered, but what is durable is durable.
func (db *DB) do(ctx context.Context, n verify.Needs, run func(*tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	o := &op{needs: n, run: run, done: make(chan error, 1)}
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

// writer is the one goroutine that writes. A request that comes alone is committed at once; those that come
// while a commit is under way share the next one.
func (db *DB) writer() {
	defer close(db.done)
	batch := make([]*op, 0, maxBatch)
	for {
		select {
		case o := <-db.work:
			batch = append(batch[:0], o)
		case <-db.quit:
			select {
			case o := <-db.work:
				batch = append(batch[:0], o)
			default:
				return
			}
		}
		for len(batch) < maxBatch {
			select {
			case o := <-db.work:
				batch = append(batch, o)
				continue
			default:
			}
			break
		}
		db.commit(batch)
	}
}

// commit runs a batch in one transaction and answers everybody.
func (db *DB) commit(batch []*op) {
	begin := time.Now()
	err := db.engine.transact(func() error {
		for _, o := range batch {
			if err := db.apply(o); err != nil {
				return err
			}
		}
		return nil
	})
	took := time.Since(begin)
	if err != nil {
		err = &storeError{unavailable("the store cannot be written"), err}
	} else {
		db.observe.Committed(len(batch), took)
	}
	for _, o := range batch {
		if err != nil {
			o.done <- err
			continue
		}
		o.done <- o.err
	}
}

// apply runs one piece of work and writes what it put. Its own failure is its own; an answer other than nil
// is a failure of the store, which takes the whole batch down.
func (db *DB) apply(o *op) (fatal error) {
	t := &tx{engine: db.engine}
	o.err = run(o.run, t)
	if t.fatal != nil {
		return t.fatal
	}
	if o.err != nil {
		return nil
	}
	return t.flush()
}

// run keeps a panic in one piece of work from taking the writer down.
func run(work func(*tx) error, t *tx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("store: work panicked: %v\n%s", p, debug.Stack())
		}
	}()
	return work(t)
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
