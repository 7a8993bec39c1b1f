package store

import (
	"bytes"
	"context"
	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/deliver"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/queue"
	"github.com/dialproof/dialproof/internal/verify"
)

var (
	_ verify.Store      = (*DB)(nil)
	_ queue.Store       = (*DB)(nil)
	_ application.Store = (*DB)(nil)
)

// read runs reads that need no lock. f may be run again.
func (db *DB) read(ctx context.Context, f func(conn) error) error {
	err := db.engine.read(ctx, f)
	if err == nil || ctx.Err() != nil {
		return err
	}
	return &storeError{unavailable("the store cannot be read"), err}
}

// recent answers the bytes of a row whose table is behind; nil for none.
func (db *DB) recent(ctx context.Context, k rowKey) ([]byte, error) {
	e, ok := db.engine.(*sqlite)
	if !ok {
		return nil, nil
	}
	row, err := e.recent(ctx, k)
	if err != nil {
		err = &storeError{unavailable("the store cannot be read"), err}
	}
	return row, err
}

// level brings the tables up to what was durable when it was called, for who looks through them.
func (db *DB) level(ctx context.Context) error {
	e, ok := db.engine.(*sqlite)
	if !ok || !e.behind() {
		return nil
	}
	o := db.op()
	o.folds, o.run = foldAll, func(*tx) error { return nil }
	return db.submit(ctx, o)
}

// Find implements verify.Store.
func (db *DB) Find(ctx context.Context, v id.ID) (out *verify.Verification, err error) {
	row, err := db.recent(ctx, rowKey{verificationRow, v})
	switch {
	case err != nil:
		return nil, err
	case row != nil:
		return readVerificationRow(v, row)
	}
	err = db.read(ctx, func(c conn) error { out, err = db.d.readVerification(c, v); return err })
	return out, err
}

// NumberRow implements verify.Store.
func (db *DB) NumberRow(ctx context.Context, k verify.NumberKey) (out *verify.Number, err error) {
	row, err := db.recent(ctx, rowKey{numberRow, k})
	switch {
	case err != nil:
		return nil, err
	case len(row) >= touchedHead:
		return readNumberRow(k, row[touchedHead:])
	}
	err = db.read(ctx, func(c conn) error { out, err = readNumber(c, "", k); return err })
	return out, err
}

// FindSent implements deliver.Store.
func (db *DB) FindSent(ctx context.Context, key [16]byte) (s deliver.Sent, ok bool, err error) {
	err = db.read(ctx, func(c conn) error { s, ok, err = readSent(c, key); return err })
	return s, ok, err
}

// scanStep is how many rows one read of a scan answers.
const scanStep = 256

// Scan implements verify.Store.
func (db *DB) Scan(ctx context.Context, app, before id.ID, yield func(*verify.Verification) bool) error {
	if err := db.level(ctx); err != nil {
		return err
	}
	from := before
	if from.IsZero() {
		from = id.ID(bytes.Repeat([]byte{0xff}, len(from)))
	}
	for {
		page := make([]*verify.Verification, 0, scanStep)
		err := db.read(ctx, func(c conn) error {
			page = page[:0]
			return c.query(db.d.scan, func(r row) error {
				v, err := scanVerification(r)
				page = append(page, v)
				return err
			}, app[:], db.d.keyOf(from), int64(scanStep))
		})
		if err != nil {
			return err
		}
		for _, v := range page {
			if !yield(v) {
				return nil
			}
			from = v.ID
		}
		if len(page) < scanStep {
			return nil
		}
	}
}

// Last answers the newest id that the store's time-ordered tables hold, so that new ids come after it. It is for who has just opened the
// store: later, the tables of SQLite may be behind.
func (db *DB) Last(ctx context.Context) (last id.ID, err error) {
	for _, table := range []string{"verifications", "jobs"} {
		err := db.read(ctx, func(c conn) error {
			return c.query("SELECT id FROM "+table+" ORDER BY "+db.d.key+" DESC LIMIT 1", func(r row) error {
				var found id.ID
				if copy(found[:], r.Raw(0)); bytes.Compare(found[:], last[:]) > 0 {
					last = found
				}
				return nil
			})
		})
		if err != nil {
			return last, err
		}
	}
	return last, nil
}
