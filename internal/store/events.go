package store

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/verify"
	"github.com/dialproof/dialproof/internal/webhook"
)

// Watcher is asked what a change of a verification is to be told, and told when that is durable.
type Watcher interface {
	// Changed answers the events of a change; before is nil for a new verification. It is called within the transaction, may be
	// called again when that is run again, and may change nothing but after's count of events.
	Changed(before, after *verify.Verification) []webhook.Event
	// Written is called when events are durable. It must not block.
	Written()
}

// Watch sets who is asked. Call it before there is work.
func (db *DB) Watch(w Watcher) { db.watcher.Store(&w) }

const (
	eventColumns = `id, event, endpoint, ref, kind, sealed, state, due, claims, tries, log`

	sqlWebhooks    = `SELECT data FROM webhooks ORDER BY id`
	sqlPutWebhook  = `INSERT INTO webhooks (id, data) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET data = excluded.data`
	sqlDropWebhook = `DELETE FROM webhooks WHERE id = $1` //nolint:gosec // a statement and no secret

	sqlAddEvent   = `INSERT INTO events (` + eventColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`
	sqlForgetting = `DELETE FROM events WHERE ref = $1`

	// The endpoints with pending events, found by leaps along the index, so that a long queue costs no more than a short one.
	sqlLanes = `WITH RECURSIVE lanes (endpoint) AS (
  SELECT (SELECT endpoint FROM events WHERE due > 0 ORDER BY endpoint LIMIT 1)
  UNION ALL
  SELECT (SELECT e.endpoint FROM events e WHERE e.due > 0 AND e.endpoint > lanes.endpoint ORDER BY e.endpoint LIMIT 1) FROM lanes WHERE lanes.endpoint IS NOT NULL
) SELECT endpoint, (SELECT e.due FROM events e WHERE e.endpoint = lanes.endpoint AND e.due > 0 ORDER BY e.due LIMIT 1) FROM lanes WHERE endpoint IS NOT NULL`
	sqlBacklogs = `SELECT endpoint, min(due), count(*) FROM events WHERE due > 0 GROUP BY endpoint`

	sqlClaimEvents = `UPDATE events SET claims = claims + 1, due = $1 WHERE id IN (SELECT id FROM events WHERE endpoint = $2 AND due > 0 AND due <= $3 ORDER BY due LIMIT $4) RETURNING ` + eventColumns
	sqlFinishEvent = `UPDATE events SET state = $1, due = $2, tries = $3, log = $4 WHERE id = $5 AND claims = $6`
	sqlDropEvent   = `DELETE FROM events WHERE id = $1 AND claims = $2`

	sqlEvents      = `SELECT ` + eventColumns + ` FROM events WHERE endpoint = $1 AND id < $2 ORDER BY id DESC LIMIT $3`
	sqlStateEvents = `SELECT ` + eventColumns + ` FROM events WHERE endpoint = $1 AND id < $2 AND state = $3 ORDER BY id DESC LIMIT $4`

	sqlReplayOne = `UPDATE events SET state = 0, due = $1, tries = 0, claims = claims + 1 WHERE endpoint = $2 AND event = $3 AND state <> 0`
	sqlReplay    = `UPDATE events SET state = 0, due = $1, tries = 0, claims = claims + 1 WHERE id IN (SELECT id FROM events WHERE endpoint = $2 AND id >= $3 AND state = 2 LIMIT 1000)`

	sqlDropEvents  = `DELETE FROM events WHERE id IN (SELECT id FROM events WHERE endpoint = $1 LIMIT 1000)`
	sqlPurgeEvents = `DELETE FROM events WHERE id IN (SELECT id FROM events WHERE id < $1 LIMIT 200)`
	sqlPurgeDone   = `DELETE FROM events WHERE id IN (SELECT id FROM events WHERE id < $1 AND state = 1 LIMIT 200)`
)

var _ webhook.Store = (*DB)(nil)

// Webhooks implements webhook.Store.
func (db *DB) Webhooks(ctx context.Context) (out []webhook.Endpoint, err error) {
	err = db.read(ctx, func(c conn) error {
		out = nil
		return c.query(sqlWebhooks, func(r row) error {
			var e webhook.Endpoint
			err := json.Unmarshal(r.Raw(0), &e)
			out = append(out, e)
			return err
		})
	})
	return out, err
}

// PutWebhook implements webhook.Store.
func (db *DB) PutWebhook(ctx context.Context, e webhook.Endpoint) error {
	return db.putTenant(ctx, sqlPutWebhook, e.ID, e)
}

// DropWebhook implements webhook.Store. Its events go in steps, so that nobody waits for them.
func (db *DB) DropWebhook(ctx context.Context, endpoint id.ID) error {
	if err := db.newTenants(ctx, sqlDropWebhook, endpoint[:]); err != nil {
		return err
	}
	_, err := db.steps(ctx, sqlDropEvents, endpoint[:])
	return err
}

// steps runs a statement that changes a bounded number of rows until it changes none.
func (db *DB) steps(ctx context.Context, sql string, args ...any) (total int, err error) {
	for n := int64(1); n > 0 && err == nil; total += int(n) {
		n = 0
		err = db.do(ctx, verify.Needs{}, nil, func(t *tx) error {
			t.put(func(c conn) (err error) { n, err = c.exec(sql, args...); return err })
			return nil
		})
	}
	return total, err
}

// AddEvents implements webhook.Store.
func (db *DB) AddEvents(ctx context.Context, events []webhook.Event) error {
	return db.do(ctx, verify.Needs{}, nil, func(t *tx) error {
		t.events = append(t.events, events...)
		return nil
	})
}

func addEvent(c conn, e *webhook.Event) error {
	_, err := c.exec(sqlAddEvent, e.ID[:], e.Event[:], e.Endpoint[:], e.Ref[:], string(e.Kind), e.Sealed, int64(e.State), dueOf(e), int64(e.Claims), int64(e.Tries), "[]")
	return err
}

// dueOf answers when an event is due as its row says it: 0 once it is over.
func dueOf(e *webhook.Event) int64 {
	if e.Due.IsZero() {
		return 0
	}
	return e.Due.UnixMilli()
}

func scanEvent(r row) (webhook.Event, error) {
	e := webhook.Event{Kind: webhook.Kind(r.Raw(4)), Sealed: blob(r, 5), State: webhook.State(r.Int(6)), Claims: int(r.Int(8)), Tries: int(r.Int(9))}
	copy(e.ID[:], r.Raw(0))
	copy(e.Event[:], r.Raw(1))
	copy(e.Endpoint[:], r.Raw(2))
	copy(e.Ref[:], r.Raw(3))
	if due := r.Int(7); due != 0 {
		e.Due = milli(due)
	}
	if err := json.Unmarshal(r.Raw(10), &e.Log); err != nil {
		return e, fmt.Errorf("event %s: log: %w", e.Event.Text(id.Event), err)
	}
	return e, nil
}

// Lanes implements webhook.Store.
func (db *DB) Lanes(ctx context.Context) (out []webhook.Lane, err error) {
	err = db.read(ctx, func(c conn) error {
		out = nil
		return c.query(sqlLanes, func(r row) error { out = append(out, scanLane(r)); return nil })
	})
	return out, err
}

func scanLane(r row) (l webhook.Lane) {
	copy(l.Endpoint[:], r.Raw(0))
	l.First = milli(r.Int(1))
	return l
}

// Backlogs implements webhook.Store.
func (db *DB) Backlogs(ctx context.Context) (out []webhook.Backlog, err error) {
	err = db.read(ctx, func(c conn) error {
		out = nil
		return c.query(sqlBacklogs, func(r row) error {
			out = append(out, webhook.Backlog{Lane: scanLane(r), Open: int(r.Int(2))})
			return nil
		})
	})
	return out, err
}

// eventClaimer is an engine that claims events in a statement of its own, beside the lanes of its writers.
type eventClaimer interface {
	claimEvents(ctx context.Context, now time.Time, shares []webhook.Share, lease time.Duration) ([]webhook.Event, error)
}

// ClaimEvents implements webhook.Store.
func (db *DB) ClaimEvents(ctx context.Context, now time.Time, shares []webhook.Share, lease time.Duration) (out []webhook.Event, err error) {
	if c, ok := db.engine.(eventClaimer); ok {
		out, err = c.claimEvents(ctx, now, shares, lease)
		if err != nil && ctx.Err() == nil {
			err = &storeError{unavailable("the store cannot be written"), err}
		}
		return out, err
	}
	err = db.do(ctx, verify.Needs{}, nil, func(t *tx) error {
		out = nil
		for _, s := range shares {
			// Events are in no table of the batch, so the statement may run at once, and the next claim in the batch sees it.
			err := t.b.c.query(sqlClaimEvents, func(r row) error {
				e, err := scanEvent(r)
				out = append(out, e)
				return err
			}, now.Add(lease).UnixMilli(), s.Endpoint[:], now.UnixMilli(), int64(s.Most))
			if err != nil {
				return t.check(err)
			}
		}
		return nil
	})
	return out, err
}

// FinishEvent implements webhook.Store.
func (db *DB) FinishEvent(ctx context.Context, e webhook.Event) error {
	log, err := json.Marshal(e.Log)
	if err != nil {
		return err
	}
	return db.fenced(ctx, sqlFinishEvent, int64(e.State), dueOf(&e), int64(e.Tries), string(log), e.ID[:], int64(e.Claims))
}

// DropEvent implements webhook.Store.
func (db *DB) DropEvent(ctx context.Context, e webhook.Event) error {
	return db.fenced(ctx, sqlDropEvent, e.ID[:], int64(e.Claims))
}

// fenced runs a statement that must change a row.
func (db *DB) fenced(ctx context.Context, sql string, args ...any) error {
	var n int64
	err := db.do(ctx, verify.Needs{}, nil, func(t *tx) error {
		t.put(func(c conn) (err error) { n, err = c.exec(sql, args...); return err })
		return nil
	})
	if err == nil && n == 0 {
		err = webhook.ErrFenced
	}
	return err
}

// Events implements webhook.Store.
func (db *DB) Events(ctx context.Context, endpoint id.ID, p webhook.Page) (out []webhook.Event, err error) {
	before := p.Before
	if before.IsZero() {
		before = id.ID(bytes.Repeat([]byte{0xff}, len(before)))
	}
	sql, args := sqlEvents, []any{endpoint[:], before[:], int64(p.Limit)}
	if p.State != nil {
		sql, args = sqlStateEvents, []any{endpoint[:], before[:], int64(*p.State), int64(p.Limit)}
	}
	err = db.read(ctx, func(c conn) error {
		out = nil
		return c.query(sql, func(r row) error {
			e, err := scanEvent(r)
			out = append(out, e)
			return err
		}, args...)
	})
	return out, err
}

// Replay implements webhook.Store.
func (db *DB) Replay(ctx context.Context, endpoint, event id.ID, since, now time.Time) (int, error) {
	if event.IsZero() {
		from := id.At(since)
		return db.steps(ctx, sqlReplay, now.UnixMilli(), endpoint[:], from[:])
	}
	return db.steps(ctx, sqlReplayOne, now.UnixMilli(), endpoint[:], event[:])
}

// PurgeEvents implements webhook.Store.
func (db *DB) PurgeEvents(ctx context.Context, delivered, rest time.Time) (n int, err error) {
	d, r := id.At(delivered), id.At(rest)
	if n, err = db.steps(ctx, sqlPurgeDone, d[:]); err != nil {
		return n, err
	}
	m, err := db.steps(ctx, sqlPurgeEvents, r[:])
	return n + m, err
}
