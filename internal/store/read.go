package store

import (
	"context"
	"math"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/ncruces/go-sqlite3"

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

// Find implements verify.Store.
func (db *DB) Find(_ context.Context, v id.ID) (out *verify.Verification, err error) {
	err = db.engine.read(func(c *conn) error { out, err = readVerification(c, v); return err })
	return out, readError(err)
}

// NumberRow implements verify.Store.
func (db *DB) NumberRow(_ context.Context, k verify.NumberKey) (out *verify.Number, err error) {
	err = db.engine.read(func(c *conn) error { out, err = readNumber(c, k); return err })
	return out, readError(err)
}

// FindSent implements deliver.Store.
func (db *DB) FindSent(_ context.Context, key [16]byte) (s deliver.Sent, ok bool, err error) {
	err = db.engine.read(func(c *conn) error { s, ok, err = readSent(c, key); return err })
	return s, ok, readError(err)
}

// errStop ends a scan early.
type errStop struct{}

func (errStop) Error() string { return "stop" }

// Scan implements verify.Store.
func (db *DB) Scan(ctx context.Context, app, before id.ID, yield func(*verify.Verification) bool) error {
	from := int64(math.MaxInt64)
	if !before.IsZero() {
		from = before.Seq()
	}
	err := db.engine.read(func(c *conn) error {
		return c.query(sqlScan, func(s *sqlite3.Stmt) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			v, err := scanVerification(s)
			if err == nil && !yield(v) {
				return errStop{}
			}
			return err
		}, app[:], from)
	})
	if err == (errStop{}) { //nolint:errorlint // our own value, never wrapped
		return nil
	}
	return readError(err)
}

func readError(err error) error {
	if err == nil {
		return nil
	}
	return &storeError{unavailable("the store cannot be read"), err}
}

// Claim implements queue.Store.
func (db *DB) Claim(ctx context.Context, now time.Time, n int, lease time.Duration) (out []queue.Job, err error) {
	if due, err := db.anyDue(now); err != nil || !due {
		return nil, err
	}
	err = db.do(ctx, verify.Needs{}, func(t *tx) error {
		out = nil
		err := t.engine.w.query(`SELECT id, kind, due, attempt, ref, payload FROM jobs WHERE due <= ? ORDER BY due LIMIT ?`, func(s *sqlite3.Stmt) error {
			out = append(out, scanJob(s))
			return nil
		}, now.UnixMilli(), n)
		for i := range out {
			out[i].Attempt++
			out[i].Due = now.Add(lease)
			t.PutJob(out[i])
		}
		return t.check(err)
	})
	return out, err
}

// anyDue spares an idle node the write transaction of a claim.
func (db *DB) anyDue(now time.Time) (due bool, err error) {
	err = db.engine.read(func(c *conn) error {
		return c.query(`SELECT 1 FROM jobs WHERE due <= ? LIMIT 1`, func(*sqlite3.Stmt) error { due = true; return nil }, now.UnixMilli())
	})
	return due, readError(err)
}

// Return implements queue.Store.
func (db *DB) Return(ctx context.Context, now time.Time, jobs []queue.Job) error {
	return db.do(ctx, verify.Needs{}, func(t *tx) error {
		for _, j := range jobs {
			kept, err := t.Job(j.ID)
			if err != nil {
				return err
			}
			if kept != nil && kept.Attempt == j.Attempt {
				kept.Due = now
				t.PutJob(*kept)
			}
		}
		return nil
	})
}

// Depth implements queue.Store.
func (db *DB) Depth(_ context.Context, now time.Time) (open int, oldest time.Duration, err error) {
	err = db.engine.read(func(c *conn) error {
		return c.query(`SELECT (SELECT count(*) FROM jobs), (SELECT min(due) FROM jobs)`, func(s *sqlite3.Stmt) error {
			open = s.ColumnInt(0)
			if open > 0 {
				oldest = max(now.Sub(milli(s.ColumnInt64(1))), 0)
			}
			return nil
		})
	})
	return open, oldest, readError(err)
}

// Last answers the newest id that the store's time-ordered tables hold, so that new ids come after it.
func (db *DB) Last(context.Context) (last id.ID, err error) {
	for _, sql := range []string{`SELECT id FROM verifications ORDER BY seq DESC LIMIT 1`, `SELECT id FROM jobs ORDER BY seq DESC LIMIT 1`} {
		err := db.engine.read(func(c *conn) error {
			return c.query(sql, func(s *sqlite3.Stmt) error {
				var found id.ID
				if copy(found[:], s.ColumnRawBlob(0)); found.Seq() > last.Seq() {
					last = found
				}
				return nil
			})
		})
		if err != nil {
			return last, readError(err)
		}
	}
	return last, nil
}

// Applications implements application.Store.
func (db *DB) Applications(context.Context) (out []application.Application, err error) {
	err = db.engine.read(func(c *conn) error {
		return c.query(`SELECT data FROM applications ORDER BY id`, func(s *sqlite3.Stmt) error {
			var a application.Application
			err := json.Unmarshal(s.ColumnRawText(0), &a)
			out = append(out, a)
			return err
		})
	})
	return out, readError(err)
}

// Keys implements application.Store.
func (db *DB) Keys(context.Context) (out []application.Key, err error) {
	err = db.engine.read(func(c *conn) error {
		return c.query(`SELECT data, used FROM api_keys ORDER BY id`, func(s *sqlite3.Stmt) error {
			var k application.Key
			err := json.Unmarshal(s.ColumnRawText(0), &k)
			if used := s.ColumnInt64(1); used > 0 {
				k.LastUsed = milli(used)
			}
			out = append(out, k)
			return err
		})
	})
	return out, readError(err)
}

// PutApplication implements application.Store.
func (db *DB) PutApplication(ctx context.Context, a application.Application) error {
	return db.putTenant(ctx, `INSERT INTO applications (id, data) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET data = excluded.data`, a.ID, a)
}

// PutKey implements application.Store.
func (db *DB) PutKey(ctx context.Context, k application.Key) error {
	return db.putTenant(ctx, `INSERT INTO api_keys (id, data) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET data = excluded.data`, k.ID, k)
}

func (db *DB) putTenant(ctx context.Context, sql string, key id.ID, row any) error {
	data, err := json.Marshal(row)
	if err != nil {
		return err
	}
	return db.do(ctx, verify.Needs{}, func(t *tx) error {
		t.put(func(c *conn) error {
			if err := c.exec(sql, key[:], string(data)); err != nil {
				return err
			}
			return c.exec(`UPDATE versions SET n = n + 1 WHERE name = 'tenants'`)
		})
		return nil
	})
}

// TouchKeys implements application.Store.
func (db *DB) TouchKeys(ctx context.Context, used map[id.ID]time.Time) error {
	return db.do(ctx, verify.Needs{}, func(t *tx) error {
		for k, at := range used {
			t.put(func(c *conn) error {
				return c.exec(`UPDATE api_keys SET used = max(used, ?) WHERE id = ?`, at.UnixMilli(), k[:])
			})
		}
		return nil
	})
}

// Version implements application.Store.
func (db *DB) Version(context.Context) (n int64, err error) {
	err = db.engine.read(func(c *conn) error {
		return c.query(`SELECT n FROM versions WHERE name = 'tenants'`, func(s *sqlite3.Stmt) error { n = s.ColumnInt64(0); return nil })
	})
	return n, readError(err)
}
