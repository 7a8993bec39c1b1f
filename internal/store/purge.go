package store

import (
	"context"
	"errors"
	"time"

	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/verify"
)

// purgeStep is how many rows one piece of purging work touches, so that starts and checks never wait long for it.
const purgeStep = 200

// Forget takes what is personal out of the verifications that began before a time, from the one after the given id on. It
// answers the last one that it has seen, to go on from at the next call, and how many it changed.
func (db *DB) Forget(ctx context.Context, after id.ID, before time.Time) (last id.ID, n int, err error) {
	if err := db.level(ctx); err != nil {
		return after, 0, err
	}
	last, end := after, id.At(before)
	for {
		batch, err := db.remembered(ctx, last, end)
		if err != nil || len(batch) == 0 {
			return last, n, err
		}
		if err := db.forget(ctx, batch); err != nil {
			return last, n, err
		}
		last, n = batch[len(batch)-1].ID, n+len(batch)
	}
}

// remembered answers the oldest verifications of a span that still hold something personal.
func (db *DB) remembered(ctx context.Context, after, end id.ID) (out []*verify.Verification, err error) {
	err = db.read(ctx, func(c conn) error {
		out = nil
		return c.query(db.d.remembered, func(r row) error {
			v, err := scanVerification(r)
			out = append(out, v)
			return err
		}, db.d.keyOf(after), db.d.keyOf(end), int64(purgeStep))
	})
	return out, err
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

// forgotten tells whether what is personal has been taken out of a verification.
func forgotten(v *verify.Verification) bool {
	return len(v.Sealed) == 0 && v.Spec.Number == (verify.NumberKey{})
}

// stale are the tables whose rows end by themselves, each with the column that tells when.
func stale() map[string]string {
	return map[string]string{"replays": "until", "sent": "until", "limits": "tat", "numbers": "touched"}
}

// Purge drops the rows that no longer tell anything: answers to repeat, ids of providers and limits that are over, and
// numbers that nobody has verified since a time. It answers how many it dropped.
func (db *DB) Purge(ctx context.Context, now, untouched time.Time) (n int, err error) {
	if err := db.level(ctx); err != nil {
		return 0, err
	}
	for table, ends := range stale() {
		before := now.UnixMilli()
		if table == "numbers" {
			before = untouched.UnixMilli()
		}
		for after := []byte{}; after != nil; {
			var dropped int
			dropped, after, err = db.purge(ctx, table, ends, before, after)
			n += dropped
			if err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// purge drops one step's worth of a table, in the order of its key, and answers the key to go on after; nil at the end.
func (db *DB) purge(ctx context.Context, table, ends string, before int64, after []byte) (n int, last []byte, err error) {
	var keys [][]byte
	err = db.read(ctx, func(c conn) error {
		keys = nil
		return c.query("SELECT key FROM "+table+" WHERE key > $1 AND "+ends+" < $2 ORDER BY key LIMIT $3", func(r row) error {
			keys = append(keys, blob(r, 0))
			return nil
		}, after, before, int64(purgeStep))
	})
	if err != nil || len(keys) == 0 {
		return 0, nil, err
	}
	err = db.do(ctx, verify.Needs{}, nil, func(t *tx) error {
		for _, key := range keys {
			// The row may have come back to life since it was read.
			t.put(func(c conn) error {
				_, err := c.exec("DELETE FROM "+table+" WHERE "+ends+" < $1 AND key = $2", before, key)
				return err
			})
		}
		return nil
	})
	return len(keys), keys[len(keys)-1], err
}
