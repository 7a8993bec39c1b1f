package store

import (
	"context"
	"time"

	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/queue"
	"github.com/dialproof/dialproof/internal/verify"
	"github.com/dialproof/dialproof/internal/webhook"
)

var _ queue.Store = (*DB)(nil)

// Claim implements queue.Store.
func (db *DB) Claim(ctx context.Context, now time.Time, kind string, n int,
	lease time.Duration) (out []queue.Job, err error) {
	if c, ok := db.engine.(Claimer); ok {
		out, err = c.Claim(ctx, now, kind, n, lease)
		if err != nil && ctx.Err() == nil {
			db.health.doubt()
			err = db.unwritable(err)
		}
		return out, err
	}
	// An idle node is spared the write transaction of a claim.
	if due, err := db.AnyDue(ctx, kind, now); err != nil || !due {
		return nil, err
	}
	err = db.do(ctx, verify.Needs{}, nil, func(t *tx) error {
		out = nil
		due, err := t.b.in.Due(kind, now, n)
		if err != nil {
			return t.check(err)
		}
		for i := range due {
			// Work before this one in the batch may have finished the job or put it off.
			r, err := t.b.job(due[i].ID)
			if err != nil {
				return t.check(err)
			}
			if !r.There || r.Value.Due.After(now) {
				continue
			}
			j := *r.Value
			j.Attempt++
			j.Hold(now.Add(lease))
			t.PutJob(j)
			out = append(out, j)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Return implements queue.Store.
func (db *DB) Return(ctx context.Context, now time.Time, jobs []queue.Job) error {
	ids := make([]id.ID, len(jobs))
	for i := range jobs {
		ids[i] = jobs[i].ID
	}
	return db.do(ctx, verify.Needs{}, ids, func(t *tx) error {
		for i := range jobs {
			kept, err := t.Job(jobs[i].ID)
			if err != nil {
				return err
			}
			if kept != nil && kept.Attempt == jobs[i].Attempt {
				kept.PutOff(now)
				t.PutJob(*kept)
			}
		}
		return nil
	})
}

// ClaimEvents implements webhook.Store.
func (db *DB) ClaimEvents(ctx context.Context, now time.Time, shares []webhook.Share,
	lease time.Duration) (out []webhook.Event, err error) {
	if c, ok := db.engine.(Claimer); ok {
		out, err = c.ClaimEvents(ctx, now, shares, lease)
		if err != nil && ctx.Err() == nil {
			db.health.doubt()
			err = db.unwritable(err)
		}
		return out, err
	}
	if err = db.tables(ctx,
		func(t Tables) (err error) { out, err = t.ClaimEvents(now, shares, lease); return err }); err != nil {
		return nil, err // those that were claimed were not, after all
	}
	return out, nil
}
