package store

import (
	"context"
	"errors"
	"time"

	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/verify"
)

// Turn gives work that recurs to one node: of all that ask within a period, the first is told true. node is noted for
// whoever looks.
func (db *DB) Turn(ctx context.Context, name string, node id.ID, now time.Time,
	period time.Duration) (mine bool, err error) {
	err = db.tables(ctx, func(t Tables) (err error) { mine, err = t.Turn(name, node, now, period); return err })
	return mine && err == nil, err
}

// SetMark keeps how far recurring work has come.
func (db *DB) SetMark(ctx context.Context, name string, n int64) error {
	return db.tables(ctx, func(t Tables) error { return t.SetMark(name, n) })
}

// Upkeep removes what dead nodes have left.
func (db *DB) Upkeep(ctx context.Context, now time.Time) error {
	return db.tables(ctx, func(t Tables) error { return t.Upkeep(now) })
}

// Forget takes what is personal out of the verifications that began before a time, from the one after the given id on.
// It returns the last one that it has seen, to go on from at the next call, and how many it changed.
func (db *DB) Forget(ctx context.Context, after id.ID, before time.Time) (last id.ID, n int, err error) {
	last, end := after, id.At(before)
	for {
		found, err := db.Remembered(ctx, last, end)
		if err != nil || len(found) == 0 {
			return last, n, err
		}
		if err := db.forget(ctx, found); err != nil {
			return last, n, err
		}
		last, n = found[len(found)-1].ID, n+len(found)
	}
}

// forget works under the lock of each number, which its needs name, like everything that changes a verification.
func (db *DB) forget(ctx context.Context, all []*verify.Verification) error {
	errs := make(chan error, len(all))
	for _, v := range all {
		needs := verify.Needs{Verification: v.ID, Number: v.Spec.Number}
		go func() {
			errs <- db.do(ctx, needs, nil, func(t *tx) error {
				kept, err := t.Verification(needs.Verification)
				if err == nil && kept != nil {
					kept.Forget()
					t.PutVerification(kept, false)
				}
				return err
			})
		}()
	}
	var err error
	for range all {
		err = errors.Join(err, <-errs)
	}
	return err
}

// Purge removes rows of one kind that ended before a time, in steps: each is a commit of its own, so that it can be
// ended at any time and goes on at the next call. For numbers the time is when they were last verified; they stay up to
// a day longer. It returns how many it removed.
func (db *DB) Purge(ctx context.Context, kind Purged, before time.Time) (total int, err error) {
	for from := int64(0); ; {
		var n int
		var next int64
		if err := db.tables(ctx,
			func(t Tables) (err error) { n, next, err = t.Purge(kind, from, before); return err }); err != nil {
			return total, err
		}
		if n == 0 {
			return total, nil
		}
		total, from = total+n, next
	}
}
