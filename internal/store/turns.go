package store

import (
	"context"
	"time"

	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/verify"
)

const (
	sqlTurn    = `INSERT INTO leases (name, holder, until) VALUES ($1, $2, $3) ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until WHERE leases.until <= $4`
	sqlMark    = `SELECT n FROM versions WHERE name = $1`
	sqlSetMark = `INSERT INTO versions (name, n) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET n = excluded.n`
	sqlOldLane = `DELETE FROM lanes WHERE seen < $1`
)

// Turn gives work that recurs to one node: of all that ask within a period, the first is answered true. node is noted for
// whoever looks.
func (db *DB) Turn(ctx context.Context, name string, node id.ID, now time.Time, period time.Duration) (mine bool, err error) {
	err = db.do(ctx, verify.Needs{}, nil, func(t *tx) error {
		t.put(func(c conn) error {
			n, err := c.exec(sqlTurn, name, node[:], now.Add(period).UnixMilli(), now.UnixMilli())
			mine = n > 0
			return err
		})
		return nil
	})
	return mine && err == nil, err
}

// Mark answers how far recurring work has come, as SetMark kept it; 0 at first.
func (db *DB) Mark(ctx context.Context, name string) (n int64, err error) {
	err = db.read(ctx, func(c conn) error {
		return c.query(sqlMark, func(r row) error { n = r.Int(0); return nil }, "mark "+name)
	})
	return n, err
}

// SetMark keeps how far recurring work has come.
func (db *DB) SetMark(ctx context.Context, name string, n int64) error {
	return db.do(ctx, verify.Needs{}, nil, func(t *tx) error {
		t.put(func(c conn) error { _, err := c.exec(sqlSetMark, "mark "+name, n); return err })
		return nil
	})
}

// laneDays is how long the row of a lane is kept that nobody counts in any more.
const laneDays = 7 * 24 * time.Hour

// Upkeep removes what dead nodes have left.
func (db *DB) Upkeep(ctx context.Context, now time.Time) error {
	if db.d.lock == "" {
		return nil
	}
	return db.do(ctx, verify.Needs{}, nil, func(t *tx) error {
		t.put(func(c conn) error { _, err := c.exec(sqlOldLane, now.Add(-laneDays).UnixMilli()); return err })
		return nil
	})
}
