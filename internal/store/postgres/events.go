package postgres

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/dialproof/dialproof/internal/store"
	"github.com/dialproof/dialproof/internal/store/tables"
	"github.com/dialproof/dialproof/internal/webhook"
)

const (
	pgAddEvents = `INSERT INTO events (` + tables.EventColumns + `) SELECT id, event, endpoint, ref, kind, sealed, ` +
		`0, due, 0, 0, '[]' FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::bytea[], $5::text[], $6::bytea[], ` +
		`$7::bigint[]) AS u (id, event, endpoint, ref, kind, sealed, due)`
	pgClaimEvents = `WITH shares AS (SELECT * FROM unnest($1::bytea[], $2::bigint[]) AS s (endpoint, most)), ` +
		`mine AS (SELECT d.id FROM shares s CROSS JOIN LATERAL (SELECT e.id FROM events e ` +
		`WHERE e.endpoint = s.endpoint AND e.due > 0 AND e.due <= $3 ` +
		`ORDER BY e.due LIMIT s.most FOR UPDATE SKIP LOCKED) d) UPDATE events AS t SET claims = t.claims + 1, due = $4 ` +
		`FROM mine WHERE t.id = mine.id RETURNING t.id, t.event, t.endpoint, t.ref, t.kind, t.sealed, t.state, t.due, ` +
		`t.claims, t.tries, t.log`
)

// events are the new ones.
func (w *written) events(b *store.Batch) {
	c := w.of[pgNewEvents]
	for i := range b.Events {
		e := &b.Events[i]
		c.blobs(0, e.ID[:])
		c.blobs(1, e.Event[:])
		c.blobs(2, e.Endpoint[:])
		c.blobs(3, e.Ref[:])
		c.texts(4, string(e.Kind))
		c.blobs(5, e.Sealed)
		c.ints(6, e.Due.UnixMilli())
	}
}

// ClaimEvents implements store.Claimer. Rows that another node is claiming are passed over.
func (e *Engine) ClaimEvents(ctx context.Context, now time.Time, shares []webhook.Share,
	lease time.Duration) (out []webhook.Event, err error) {
	ctx, cancel := context.WithTimeout(ctx, e.o.Timeout)
	defer cancel()
	c := newColumns("bi")
	for i := range shares {
		c.blobs(0, shares[i].Endpoint[:])
		c.ints(1, int64(shares[i].Most))
	}
	err = pgConn{ctx, e.pool}.Query(pgClaimEvents, func(r tables.Row) error {
		found, err := tables.ScanEvent(r)
		out = append(out, found)
		return err
	}, &c[0].bytes, c[1].ints, now.UnixMilli(), now.Add(lease).UnixMilli())
	if err != nil {
		if faultOf(err) == faultDown {
			e.pool.Reset()
		}
		return nil, err
	}
	slices.SortFunc(out, func(a, b webhook.Event) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return out, nil
}
