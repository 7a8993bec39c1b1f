package store

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/queue"
	"github.com/dialproof/dialproof/internal/verify"
)

// The writes of PostgreSQL: one statement for all rows of a kind. New rows are inserted without ON CONFLICT where the work
// relied on their not being there: if somebody made one meanwhile, the insert fails, and the batch runs again and sees it.
const (
	pgNewNumbers       = `INSERT INTO numbers (key, data, touched) SELECT * FROM unnest($1::bytea[], $2::text[], $3::bigint[])`
	pgSetNumbers       = `UPDATE numbers AS t SET data = u.data, touched = u.touched FROM unnest($1::bytea[], $2::text[], $3::bigint[]) AS u (key, data, touched) WHERE t.key = u.key`
	pgNewVerifications = `INSERT INTO verifications (id, app, number, spec, sealed, status, attempts, expires, state) SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::text[], $5::bytea[], $6::bigint[], $7::bigint[], $8::bigint[], $9::text[])`
	pgSetVerifications = `UPDATE verifications AS t SET status = u.status, attempts = u.attempts, expires = u.expires, state = u.state FROM unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[]) AS u (id, status, attempts, expires, state) WHERE t.id = u.id`
	pgForget           = `UPDATE verifications AS t SET number = NULL, sealed = NULL, spec = u.spec, state = u.state FROM unnest($1::bytea[], $2::text[], $3::text[]) AS u (id, spec, state) WHERE t.id = u.id`
	pgNewLimits        = `INSERT INTO limits (key, tat) SELECT * FROM unnest($1::bytea[], $2::bigint[])`
	pgSetLimits        = `UPDATE limits AS t SET tat = u.tat FROM unnest($1::bytea[], $2::bigint[]) AS u (key, tat) WHERE t.key = u.key`
	pgNewReplays       = `INSERT INTO replays (key, fingerprint, sealed, until) SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::bigint[])`
	pgPutJobs          = `INSERT INTO jobs (id, kind, due, attempt, ref, payload) SELECT * FROM unnest($1::bytea[], $2::text[], $3::bigint[], $4::bigint[], $5::bytea[], $6::bytea[]) ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, due = excluded.due, attempt = excluded.attempt, payload = excluded.payload`
	pgDropJobs         = `DELETE FROM jobs WHERE id = ANY($1::bytea[])`
	pgPutSent          = `INSERT INTO sent (key, ref, delivery, until) SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::bigint[]) ON CONFLICT (key) DO UPDATE SET ref = excluded.ref, delivery = excluded.delivery, until = excluded.until`
	pgClaim            = `WITH due AS (SELECT id, due FROM jobs WHERE due <= $1 ORDER BY due LIMIT $2 FOR UPDATE SKIP LOCKED) UPDATE jobs AS t SET attempt = t.attempt + 1, due = $3 FROM due WHERE t.id = due.id RETURNING t.id, t.kind, t.due, t.attempt, t.ref, t.payload, due.due`
)

// columns gathers the values of rows, column by column.
type columns []any

// blobs, texts and ints add a value to a column.
func (c columns) blobs(i int, v []byte) { c[i] = append(c[i].([][]byte), v) } //nolint:forcetypeassert // made so
func (c columns) texts(i int, v string) { c[i] = append(c[i].([]string), v) } //nolint:forcetypeassert // made so
func (c columns) ints(i int, v int64)   { c[i] = append(c[i].([]int64), v) }  //nolint:forcetypeassert // made so

// newColumns makes empty columns: b for bytes, t for text, i for integers.
func newColumns(kinds string) columns {
	out := make(columns, len(kinds))
	for i, k := range kinds {
		switch k {
		case 'b':
			out[i] = [][]byte{}
		case 't':
			out[i] = []string{}
		default:
			out[i] = []int64{}
		}
	}
	return out
}

// add appends the statement unless it has no rows.
func add(steps []pgStep, sql string, c columns) []pgStep {
	if keys, ok := c[0].([][]byte); !ok || len(keys) == 0 {
		return steps
	}
	return append(steps, pgStep{sql: sql, args: c})
}

// ordered answers the rows to write in the order of their keys, in which every transaction takes its locks.
func ordered[K ~[16]byte, V any](t *table[K, V]) []K {
	keys := slices.Clone(t.dirty)
	slices.SortFunc(keys, func(a, b K) int { return bytes.Compare(a[:], b[:]) })
	return keys
}

// writes answers the statements that write what the batch has changed.
func (t *pgTx) writes() (steps []pgStep, err error) {
	b := &t.l.b
	if steps, err = numberWrites(steps, b); err != nil {
		return nil, err
	}
	steps = limitWrites(steps, b)
	if steps, err = verificationWrites(steps, b); err != nil {
		return nil, err
	}
	return eventWrites(jobWrites(steps, b), b), nil
}

func numberWrites(steps []pgStep, b *batch) ([]pgStep, error) {
	fresh, old := newColumns("bti"), newColumns("bti")
	for _, k := range ordered(&b.numbers) {
		e := b.numbers.rows[k]
		data, err := json.Marshal(e.value)
		if err != nil {
			return nil, err
		}
		c := fresh
		if e.kept {
			c = old
		}
		c.blobs(0, e.value.Key[:])
		c.texts(1, string(data))
		c.ints(2, e.value.Head.Time().UnixMilli())
	}
	return add(add(steps, pgNewNumbers, fresh), pgSetNumbers, old), nil
}

func limitWrites(steps []pgStep, b *batch) []pgStep {
	fresh, old := newColumns("bi"), newColumns("bi")
	for _, k := range ordered(&b.limits) {
		e := b.limits.rows[k]
		c := fresh
		if e.kept {
			c = old
		}
		c.blobs(0, bytes.Clone(k[:]))
		c.ints(1, e.value)
	}
	return add(add(steps, pgNewLimits, fresh), pgSetLimits, old)
}

func verificationWrites(steps []pgStep, b *batch) ([]pgStep, error) {
	var texts bytes.Buffer
	fresh, old, over := newColumns("bbbtbiiit"), newColumns("biiit"), newColumns("btt")
	for _, k := range ordered(&b.verifications) {
		e := b.verifications.rows[k]
		v := e.value
		gone := e.kept && forgotten(v)
		texts.Reset()
		state, spec, err := verificationTexts(&texts, v, !e.kept || gone)
		if err != nil {
			return nil, err
		}
		switch {
		case gone:
			over.blobs(0, v.ID[:])
			over.texts(1, string(spec))
			over.texts(2, string(state))
		case e.kept:
			old.blobs(0, v.ID[:])
			changing(old, 1, v, string(state))
		default:
			fresh.blobs(0, v.ID[:])
			fresh.blobs(1, v.App[:])
			fresh.blobs(2, v.Spec.Number[:])
			fresh.texts(3, string(spec))
			fresh.blobs(4, v.Sealed)
			changing(fresh, 5, v, string(state))
		}
	}
	steps = add(add(add(steps, pgNewVerifications, fresh), pgSetVerifications, old), pgForget, over)
	return add(steps, pgForgetEvents, over[:1]), nil
}

// changing adds the columns of a verification that change, from the i-th on.
func changing(c columns, i int, v *verify.Verification, state string) {
	c.ints(i, statusNumber(v.Status))
	c.ints(i+1, int64(v.Attempts))
	c.ints(i+2, v.Expires.UnixMilli())
	c.texts(i+3, state)
}

func jobWrites(steps []pgStep, b *batch) []pgStep {
	put, drop, replays, sent := newColumns("btiibb"), newColumns("b"), newColumns("bbbi"), newColumns("bbbi")
	for _, k := range ordered(&b.jobs) {
		e := b.jobs.rows[k]
		if !e.there {
			drop.blobs(0, bytes.Clone(k[:]))
			continue
		}
		j := e.value
		put.blobs(0, j.ID[:])
		put.texts(1, j.Kind)
		put.ints(2, j.Due.UnixMilli())
		put.ints(3, int64(j.Attempt))
		put.blobs(4, j.Ref[:])
		put.blobs(5, j.Payload)
	}
	for _, k := range b.replays.dirty {
		r := b.replays.rows[k].value
		replays.blobs(0, bytes.Clone(k[:]))
		replays.blobs(1, bytes.Clone(r.fingerprint[:]))
		replays.blobs(2, r.sealed)
		replays.ints(3, r.until)
	}
	for _, k := range ordered(&b.sent) {
		s := b.sent.rows[k].value
		sent.blobs(0, bytes.Clone(k[:]))
		sent.blobs(1, bytes.Clone(s.Ref[:]))
		sent.blobs(2, bytes.Clone(s.Delivery[:]))
		sent.ints(3, s.Until.UnixMilli())
	}
	steps = add(add(steps, pgPutJobs, put), pgDropJobs, drop)
	return add(add(steps, pgNewReplays, replays), pgPutSent, sent)
}

// claim implements claimer. Rows that another node is claiming are passed over. When the answer is lost, the jobs come back
// at the end of their lease.
func (e *postgres) claim(ctx context.Context, now time.Time, n int, lease time.Duration) (out []queue.Job, err error) {
	ctx, cancel := context.WithTimeout(ctx, e.o.Timeout)
	defer cancel()
	was := map[id.ID]int64{}
	err = pgConn{ctx, e.pool}.query(pgClaim, func(r row) error {
		j := scanJob(r)
		out, was[j.ID] = append(out, j), r.Int(6)
		return nil
	}, now.UnixMilli(), int64(n), now.Add(lease).UnixMilli())
	if err != nil {
		if faultOf(err) == faultDown {
			e.pool.Reset()
		}
		return nil, err
	}
	slices.SortFunc(out, func(a, b queue.Job) int { return cmp.Compare(was[a.ID], was[b.ID]) })
	return out, nil
}

// verificationTexts appends the two texts of a verification's row to buf: what changes, and, where whole, what does not.
func verificationTexts(buf *bytes.Buffer, v *verify.Verification, whole bool) (state, spec []byte, err error) {
	begin := buf.Len()
	if err := json.MarshalWrite(buf, v); err != nil {
		return nil, nil, err
	}
	middle := buf.Len()
	if whole {
		err = json.MarshalWrite(buf, &v.Spec)
	}
	all := buf.Bytes()
	return all[begin:middle:middle], all[middle:], err
}
