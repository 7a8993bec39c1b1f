package store

import (
	"context"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/ncruces/go-sqlite3"

	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/verify"
)

// purgeStep is how many rows one piece of purging work touches, so that starts and checks never wait long for it.
const purgeStep = 200

// Forget takes what is personal out of the verifications that began before a time, from the one after the given id on. It
// answers the last one that it has seen, to go on from at the next call, and how many it changed.
func (db *DB) Forget(ctx context.Context, after id.ID, before time.Time) (last id.ID, n int, err error) {
	last, end := after, id.At(before).Seq()
	for {
		batch, err := db.remembered(ctx, last.Seq(), end)
		if err != nil || len(batch) == 0 {
			return last, n, err
		}
		err = db.do(ctx, verify.Needs{}, func(t *tx) error {
			for _, v := range batch {
				t.put(func(c *conn) error { return forgetVerification(c, v) })
			}
			return nil
		})
		if err != nil {
			return last, n, err
		}
		last, n = batch[len(batch)-1].ID, n+len(batch)
	}
}

// remembered answers the oldest verifications of a span that still hold something personal.
func (db *DB) remembered(ctx context.Context, after, end int64) (out []*verify.Verification, err error) {
	err = db.engine.read(func(c *conn) error {
		return c.query(sqlRemembered, func(s *sqlite3.Stmt) error {
			v, err := scanVerification(s)
			if err == nil {
				err = ctx.Err()
			}
			out = append(out, v)
			return err
		}, after, end, purgeStep)
	})
	return out, readError(err)
}

func forgetVerification(c *conn, v *verify.Verification) error {
	v.Forget()
	spec, err := json.Marshal(v.Spec)
	if err != nil {
		return err
	}
	state, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return c.exec(sqlForget, string(spec), string(state), v.ID.Seq())
}

// stale are the tables whose rows end by themselves, each with what tells that one has.
func stale() map[string]string {
	return map[string]string{
		"replays": "until < ?1",
		"sent":    "until < ?1",
		"limits":  "tat < ?1",
		"numbers": "touched < ?2",
	}
}

// Purge drops the rows that no longer tell anything: answers to repeat, ids of providers and limits that are over, and
// numbers that nobody has verified since a time. It answers how many it dropped.
func (db *DB) Purge(ctx context.Context, now, untouched time.Time) (n int, err error) {
	for table, over := range stale() {
		for {
			keys, err := db.staleKeys(table, over, now, untouched)
			if err != nil {
				return n, err
			}
			if len(keys) == 0 {
				break
			}
			err = db.do(ctx, verify.Needs{}, func(t *tx) error {
				for _, key := range keys {
					// The row may have come back to life since it was read.
					t.put(func(c *conn) error {
						return c.exec("DELETE FROM "+table+" WHERE "+over+" AND key = ?3", now.UnixMilli(), untouched.UnixMilli(), key)
					})
				}
				return nil
			})
			if err != nil {
				return n, err
			}
			n += len(keys)
		}
	}
	return n, nil
}

func (db *DB) staleKeys(table, over string, now, untouched time.Time) (keys [][]byte, err error) {
	err = db.engine.read(func(c *conn) error {
		return c.query("SELECT key FROM "+table+" WHERE "+over+" AND ?2 IS NOT NULL LIMIT ?3", func(s *sqlite3.Stmt) error {
			keys = append(keys, s.ColumnBlob(0, nil))
			return nil
		}, now.UnixMilli(), untouched.UnixMilli(), purgeStep)
	})
	return keys, readError(err)
}
