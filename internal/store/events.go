package store

import (
	"context"
	"time"

	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/verify"
	"github.com/dialproof/dialproof/internal/webhook"
)

// Watcher is asked what a change of a verification is to be told, and told when that is durable.
type Watcher interface {
	// Changed returns the events of a change; before is nil for a new verification. It is called within the transaction,
	// may be called again when that is run again, and may change nothing but after's count of events.
	Changed(before, after *verify.Verification) []webhook.Event
	// Written is called when events are durable. It must not block.
	Written()
}

var _ webhook.Store = (*DB)(nil)

// Watch sets who is asked. Call it before there is work.
func (db *DB) Watch(w Watcher) { db.watcher.Store(&w) }

// PutWebhook implements webhook.Store.
func (db *DB) PutWebhook(ctx context.Context, e webhook.Endpoint) error {
	return db.tables(ctx, func(t Tables) error { return t.PutWebhook(e) })
}

// DropWebhook implements webhook.Store. Its events go in steps, so that nobody waits for them.
func (db *DB) DropWebhook(ctx context.Context, endpoint id.ID) error {
	if err := db.tables(ctx, func(t Tables) error { return t.DropWebhook(endpoint) }); err != nil {
		return err
	}
	_, err := db.steps(ctx, func(t Tables) (int, error) { return t.DropEvents(endpoint) })
	return err
}

// AddEvents implements webhook.Store.
func (db *DB) AddEvents(ctx context.Context, events []webhook.Event) error {
	return db.do(ctx, verify.Needs{}, nil, func(t *tx) error {
		t.events = append(t.events, events...)
		return nil
	})
}

// FinishEvent implements webhook.Store.
func (db *DB) FinishEvent(ctx context.Context, e webhook.Event) error {
	return db.fenced(ctx, func(t Tables) (bool, error) { return t.FinishEvent(e) })
}

// DropEvent implements webhook.Store.
func (db *DB) DropEvent(ctx context.Context, e webhook.Event) error {
	return db.fenced(ctx, func(t Tables) (bool, error) { return t.DropEvent(e) })
}

// fenced changes a row that must still be at the caller's attempt.
func (db *DB) fenced(ctx context.Context, change func(Tables) (bool, error)) error {
	var ok bool
	err := db.tables(ctx, func(t Tables) (err error) { ok, err = change(t); return err })
	if err == nil && !ok {
		err = webhook.ErrFenced
	}
	return err
}

// Replay implements webhook.Store.
func (db *DB) Replay(ctx context.Context, endpoint, event id.ID, since, now time.Time) (int, error) {
	return db.steps(ctx, func(t Tables) (int, error) { return t.ReplayEvents(endpoint, event, since, now) })
}

// PurgeEvents implements webhook.Store.
func (db *DB) PurgeEvents(ctx context.Context, delivered, rest time.Time) (int, error) {
	return db.steps(ctx, func(t Tables) (int, error) { return t.PurgeEvents(delivered, rest) })
}

// steps repeats work that changes a bounded number of rows until it changes none, each step in a commit of its own.
func (db *DB) steps(ctx context.Context, step func(Tables) (int, error)) (total int, err error) {
	for n := 1; n > 0 && err == nil; total += n {
		n = 0
		if err = db.tables(ctx, func(t Tables) (err error) { n, err = step(t); return err }); err != nil {
			n = 0 // the step was undone
		}
	}
	return total, err
}

// tables runs work on what is in no batch.
func (db *DB) tables(ctx context.Context, work func(Tables) error) error {
	return db.do(ctx, verify.Needs{}, nil, func(t *tx) error { return t.check(work(t.b.in)) })
}
