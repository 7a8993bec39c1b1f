package store

import (
	"context"
	"time"

	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/queue"
	"github.com/dialproof/dialproof/internal/verify"
)

const (
	sqlDue   = `SELECT ` + jobColumns + ` FROM jobs WHERE due <= $1 AND kind = $2 ORDER BY due LIMIT $3`
	sqlDepth = `SELECT id, due, kind FROM jobs ORDER BY id`
)

// claimer is an engine that claims jobs in a statement of its own, beside the lanes.
type claimer interface {
	claim(ctx context.Context, now time.Time, kind string, n int, lease time.Duration) ([]queue.Job, error)
}

// Claim implements queue.Store.
func (db *DB) Claim(ctx context.Context, now time.Time, kind string, n int, lease time.Duration) (out []queue.Job, err error) {
	if c, ok := db.engine.(claimer); ok {
		out, err = c.claim(ctx, now, kind, n, lease)
		if err != nil && ctx.Err() == nil {
			err = &storeError{unavailable("the store cannot be written"), err}
		}
		return out, err
	}
	if due, err := db.anyDue(ctx, now, kind); err != nil || !due {
		return nil, err
	}
	o := db.op()
	o.claims, o.run = now, func(t *tx) error {
		out = nil
		err := t.b.c.query(sqlDue, func(r row) error {
			out = append(out, scanJob(r))
			return nil
		}, now.UnixMilli(), kind, int64(n))
		for i := range out {
			out[i].Attempt++
			out[i].Hold(now.Add(lease))
			t.PutJob(out[i])
		}
		return t.check(err)
	}
	err = db.submit(ctx, o)
	return out, err
}

// youthful is an engine that leaves young jobs without a row.
type youthful interface{ youth() *youth }

// anyDue spares an idle node the write transaction of a claim.
func (db *DB) anyDue(ctx context.Context, now time.Time, kind string) (due bool, err error) {
	if e, ok := db.engine.(youthful); ok && e.youth().due(now) {
		return true, nil // they get their rows with the claim
	}
	err = db.read(ctx, func(c conn) error {
		return c.query(sqlDue, func(row) error { due = true; return nil }, now.UnixMilli(), kind, int64(1))
	})
	return due, err
}

// Return implements queue.Store.
func (db *DB) Return(ctx context.Context, now time.Time, jobs []queue.Job) error {
	ids := make([]id.ID, len(jobs))
	for i, j := range jobs {
		ids[i] = j.ID
	}
	return db.do(ctx, verify.Needs{}, ids, func(t *tx) error {
		for _, j := range jobs {
			kept, err := t.Job(j.ID)
			if err != nil {
				return err
			}
			if kept != nil && kept.Attempt == j.Attempt {
				kept.PutOff(now)
				t.PutJob(*kept)
			}
		}
		return nil
	})
}

// Depth implements queue.Store.
func (db *DB) Depth(ctx context.Context, now time.Time) (out queue.Depth, err error) {
	out.Oldest = map[string]time.Duration{}
	err = db.read(ctx, func(c conn) error {
		return c.query(sqlDepth, func(r row) error {
			var job id.ID
			copy(job[:], r.Raw(0))
			out.Open++
			out.Overdue = max(out.Overdue, now.Sub(milli(r.Int(1))))
			if kind := string(r.Raw(2)); out.Oldest[kind] == 0 {
				out.Oldest[kind] = now.Sub(job.Time())
			}
			return nil
		})
	})
	if e, ok := db.engine.(youthful); ok {
		out.Open += e.youth().count()
	}
	return out, err
}
