package tables

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/webhook"
)

const (
	EventColumns = `id, event, endpoint, ref, kind, sealed, state, due, claims, tries, log`

	sqlPutWebhook  = `INSERT INTO webhooks (id, data) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET data = excluded.data`
	sqlDropWebhook = `DELETE FROM webhooks WHERE id = $1` //nolint:gosec // a statement and no secret

	sqlAddEvent  = `INSERT INTO events (` + EventColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`
	ForgetEvents = `DELETE FROM events WHERE ref = $1`

	// The endpoints with pending events, found by leaps along the index, so that a long queue costs no more than a short
	// one.
	sqlLanes = `WITH RECURSIVE lanes (endpoint) AS (
  SELECT (SELECT endpoint FROM events WHERE due > 0 ORDER BY endpoint LIMIT 1)
  UNION ALL
  SELECT (SELECT e.endpoint FROM events e WHERE e.due > 0 AND e.endpoint > lanes.endpoint ORDER BY e.endpoint LIMIT
    1) FROM lanes WHERE lanes.endpoint IS NOT NULL
) SELECT endpoint, (SELECT e.due FROM events e WHERE e.endpoint = lanes.endpoint AND e.due > 0 ORDER BY e.due LIMIT
  1) FROM lanes WHERE endpoint IS NOT NULL`
	sqlBacklogs = `SELECT endpoint, min(due), count(*) FROM events WHERE due > 0 GROUP BY endpoint`

	sqlClaimEvents = `UPDATE events SET claims = claims + 1, due = $1 ` +
		`WHERE id IN (SELECT id FROM events WHERE endpoint = $2 AND due > 0 AND due <= $3 ORDER BY due LIMIT $4) ` +
		`RETURNING ` + EventColumns
	sqlFinishEvent = `UPDATE events SET state = $1, due = $2, tries = $3, log = $4 WHERE id = $5 AND claims = $6`
	sqlDropEvent   = `DELETE FROM events WHERE id = $1 AND claims = $2`

	sqlEvents      = `SELECT ` + EventColumns + ` FROM events WHERE endpoint = $1 AND id < $2 ORDER BY id DESC LIMIT $3`
	sqlStateEvents = `SELECT ` + EventColumns + ` FROM events WHERE endpoint = $1 AND id < $2 AND state = $3 ` +
		`ORDER BY id DESC LIMIT $4`

	sqlReplayOne = `UPDATE events SET state = 0, due = $1, tries = 0, claims = claims + 1 ` +
		`WHERE endpoint = $2 AND event = $3 AND state <> 0`
	sqlReplay = `UPDATE events SET state = 0, due = $1, tries = 0, claims = claims + 1 ` +
		`WHERE id IN (SELECT id FROM events WHERE endpoint = $2 AND id >= $3 AND state = 2 LIMIT 1000)`

	sqlDropEvents  = `DELETE FROM events WHERE id IN (SELECT id FROM events WHERE endpoint = $1 LIMIT 1000)`
	sqlPurgeEvents = `DELETE FROM events WHERE id IN (SELECT id FROM events WHERE id < $1 LIMIT 200)`
	sqlPurgeDone   = `DELETE FROM events WHERE id IN (SELECT id FROM events WHERE id < $1 AND state = 1 LIMIT 200)`
)

// AddEvent inserts a new event.
func AddEvent(c Conn, e *webhook.Event) error {
	_, err := c.Exec(sqlAddEvent, e.ID[:], e.Event[:], e.Endpoint[:], e.Ref[:], string(e.Kind), e.Sealed, int64(e.State),
		dueOf(e), int64(e.Claims), int64(e.Tries), "[]")
	return err
}

// dueOf returns when an event is due as its row says it: 0 once it is over.
func dueOf(e *webhook.Event) int64 {
	if e.Due.IsZero() {
		return 0
	}
	return e.Due.UnixMilli()
}

// ScanEvent reads EventColumns.
func ScanEvent(r Row) (webhook.Event, error) {
	e := webhook.Event{
		Kind:   webhook.Kind(r.Raw(4)),
		Sealed: Blob(r, 5),
		State:  webhook.State(r.Int(6)),
		Claims: int(r.Int(8)),
		Tries:  int(r.Int(9)),
	}
	copy(e.ID[:], r.Raw(0))
	copy(e.Event[:], r.Raw(1))
	copy(e.Endpoint[:], r.Raw(2))
	copy(e.Ref[:], r.Raw(3))
	if due := r.Int(7); due != 0 {
		e.Due = Milli(due)
	}
	if err := json.Unmarshal(r.Raw(10), &e.Log); err != nil {
		return e, fmt.Errorf("event %s: log: %w", e.Event.Text(id.Event), err)
	}
	return e, nil
}

// Lanes implements webhook.Store.
func (d Reader) Lanes(ctx context.Context) (out []webhook.Lane, err error) {
	err = d.Read(ctx, func(c Conn) error {
		out = nil
		return c.Query(sqlLanes, func(r Row) error { out = append(out, scanLane(r)); return nil })
	})
	return out, err
}

func scanLane(r Row) (l webhook.Lane) {
	copy(l.Endpoint[:], r.Raw(0))
	l.First = Milli(r.Int(1))
	return l
}

// Backlogs implements webhook.Store.
func (d Reader) Backlogs(ctx context.Context) (out []webhook.Backlog, err error) {
	err = d.Read(ctx, func(c Conn) error {
		out = nil
		return c.Query(sqlBacklogs, func(r Row) error {
			out = append(out, webhook.Backlog{Lane: scanLane(r), Open: int(r.Int(2))})
			return nil
		})
	})
	return out, err
}

// Events implements webhook.Store.
func (d Reader) Events(ctx context.Context, endpoint id.ID, p webhook.Page) (out []webhook.Event, err error) {
	before := p.Before
	if before.IsZero() {
		before = id.ID(bytes.Repeat([]byte{0xff}, len(before)))
	}
	sql, args := sqlEvents, []any{endpoint[:], before[:], int64(p.Limit)}
	if p.State != nil {
		sql, args = sqlStateEvents, []any{endpoint[:], before[:], int64(*p.State), int64(p.Limit)}
	}
	err = d.Read(ctx, func(c Conn) error {
		out = nil
		return c.Query(sql, func(r Row) error {
			e, err := ScanEvent(r)
			out = append(out, e)
			return err
		}, args...)
	})
	return out, err
}

// ClaimEvents implements store.Tables.
func (t Tables) ClaimEvents(now time.Time, shares []webhook.Share,
	lease time.Duration) (out []webhook.Event, err error) {
	for _, s := range shares {
		err := t.Conn.Query(sqlClaimEvents, func(r Row) error {
			e, err := ScanEvent(r)
			out = append(out, e)
			return err
		}, now.Add(lease).UnixMilli(), s.Endpoint[:], now.UnixMilli(), int64(s.Most))
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// FinishEvent implements store.Tables.
func (t Tables) FinishEvent(e webhook.Event) (bool, error) {
	log, err := json.Marshal(e.Log)
	if err != nil {
		return false, err
	}
	n, err := t.Conn.Exec(sqlFinishEvent, int64(e.State), dueOf(&e), int64(e.Tries), string(log), e.ID[:], int64(e.Claims))
	return n > 0, err
}

// DropEvent implements store.Tables.
func (t Tables) DropEvent(e webhook.Event) (bool, error) {
	n, err := t.Conn.Exec(sqlDropEvent, e.ID[:], int64(e.Claims))
	return n > 0, err
}

// ReplayEvents implements store.Tables.
func (t Tables) ReplayEvents(endpoint, event id.ID, since, now time.Time) (int, error) {
	if event.IsZero() {
		from := id.At(since)
		return t.exec(sqlReplay, now.UnixMilli(), endpoint[:], from[:])
	}
	return t.exec(sqlReplayOne, now.UnixMilli(), endpoint[:], event[:])
}

// DropEvents implements store.Tables.
func (t Tables) DropEvents(endpoint id.ID) (int, error) { return t.exec(sqlDropEvents, endpoint[:]) }

// PurgeEvents implements store.Tables.
func (t Tables) PurgeEvents(delivered, rest time.Time) (int, error) {
	d, r := id.At(delivered), id.At(rest)
	n, err := t.exec(sqlPurgeDone, d[:])
	if err != nil || n > 0 {
		return n, err
	}
	return t.exec(sqlPurgeEvents, r[:])
}

func (t Tables) exec(sql string, args ...any) (int, error) {
	n, err := t.Conn.Exec(sql, args...)
	return int(n), err
}
