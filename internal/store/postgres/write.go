package postgres

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/queue"
	"github.com/dialproof/dialproof/internal/store"
	"github.com/dialproof/dialproof/internal/store/row"
	"github.com/dialproof/dialproof/internal/store/tables"
	"github.com/dialproof/dialproof/internal/verify"
)

// The kinds of rows that a batch writes, in the order in which their statements run.
const (
	pgNewNumbers = iota
	pgSetNumbers
	pgNewLimits
	pgSetLimits
	pgNewVerifications
	pgSetVerifications
	pgForgetVerifications
	pgForgetEvents
	pgPutJobs
	pgDropJobs
	pgNewReplays
	pgSetReplays
	pgPutSent
	pgNewEvents
	pgKinds
)

// pgWrites are the writes of PostgreSQL: one statement for all rows of a kind, and what its columns are. New rows are
// inserted without ON CONFLICT where the work relied on their not being there: if somebody made one meanwhile, the
// insert fails, and the batch runs again and sees it.
var pgWrites = [pgKinds]struct{ columns, sql string }{
	pgNewNumbers: {"bbi",
		`INSERT INTO numbers (key, data, touched) SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bigint[])`},
	pgSetNumbers: {"bbi",
		`UPDATE numbers AS t SET data = u.data, touched = u.touched ` +
			`FROM unnest($1::bytea[], $2::bytea[], $3::bigint[]) AS u (key, data, touched) WHERE t.key = u.key`},
	pgNewLimits: {"bii",
		`INSERT INTO limits (key, tat, hour) SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::bigint[])`},
	pgSetLimits: {"bii",
		`UPDATE limits AS t SET tat = u.tat, hour = u.hour ` +
			`FROM unnest($1::bytea[], $2::bigint[], $3::bigint[]) AS u (key, tat, hour) WHERE t.key = u.key`},
	pgNewVerifications: {"biiibbbbb",
		`INSERT INTO verifications (id, status, attempts, expires, state, app, number, spec, sealed) SELECT * ` +
			`FROM unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bytea[], $6::bytea[], $7::bytea[], ` +
			`$8::bytea[], $9::bytea[])`},
	pgSetVerifications: {"biiib",
		`UPDATE verifications AS t SET status = u.status, attempts = u.attempts, expires = u.expires, state = u.state ` +
			`FROM unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bytea[]) AS u (id, status, attempts, ` +
			`expires, state) WHERE t.id = u.id`},
	pgForgetVerifications: {"bbb",
		`UPDATE verifications AS t SET number = NULL, sealed = NULL, spec = u.spec, state = u.state ` +
			`FROM unnest($1::bytea[], $2::bytea[], $3::bytea[]) AS u (id, spec, state) WHERE t.id = u.id`},
	pgForgetEvents: {"b", `DELETE FROM events WHERE ref = ANY($1::bytea[])`},
	pgPutJobs: {"btiibbi",
		`INSERT INTO jobs (id, kind, due, attempt, ref, payload, leased) SELECT * ` +
			`FROM unnest($1::bytea[], $2::text[], $3::bigint[], $4::bigint[], $5::bytea[], $6::bytea[], $7::bigint[]) ` +
			`ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, due = excluded.due, attempt = excluded.attempt, ` +
			`payload = excluded.payload, leased = excluded.leased`,
	},
	pgDropJobs: {"b", `DELETE FROM jobs WHERE id = ANY($1::bytea[])`},
	pgNewReplays: {"bbbi",
		`INSERT INTO replays (key, fingerprint, sealed, until) SELECT * ` +
			`FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::bigint[])`},
	pgSetReplays: {"bbbi",
		`INSERT INTO replays (key, fingerprint, sealed, until) SELECT * ` +
			`FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::bigint[]) ON CONFLICT (key) DO UPDATE ` +
			`SET fingerprint = excluded.fingerprint, sealed = excluded.sealed, until = excluded.until`},
	pgPutSent: {"bbbi",
		`INSERT INTO sent (key, ref, delivery, until) SELECT * ` +
			`FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::bigint[]) ON CONFLICT (key) DO UPDATE ` +
			`SET ref = excluded.ref, delivery = excluded.delivery, until = excluded.until`},
	pgNewEvents: {"bbbbtbi", pgAddEvents},
}

const pgClaim = `WITH due AS (SELECT id, due FROM jobs WHERE kind = $1 AND due <= $2 ` +
	`ORDER BY due LIMIT $3 FOR UPDATE SKIP LOCKED) UPDATE jobs AS t SET attempt = t.attempt + 1, due = $4, leased = 1 ` +
	`FROM due WHERE t.id = due.id RETURNING t.id, t.kind, t.due, t.attempt, t.ref, t.payload, t.leased, due.due`

// limitHour is what a limit's end is rounded down to in the column by which it is found, in milliseconds: most changes
// of a limit leave the index as it is.
const limitHour = 60 * 60 * 1000

func leased(j *queue.Job) int64 {
	if j.Leased {
		return 1
	}
	return 0
}

// columns gathers the values of rows, column by column.
type columns []column

// column is the values of one column, all of one kind.
type column struct {
	kind  byte
	bytes blobArray
	texts []string
	ints  []int64
}

// blobs, texts and ints add a value to a column.
func (c columns) blobs(i int, v []byte) { c[i].bytes = append(c[i].bytes, v) }
func (c columns) texts(i int, v string) { c[i].texts = append(c[i].texts, v) }
func (c columns) ints(i int, v int64)   { c[i].ints = append(c[i].ints, v) }

// newColumns makes empty columns: b for bytes, t for text, i for integers.
func newColumns(kinds string) columns {
	out := make(columns, len(kinds))
	for i := range out {
		out[i].kind = kinds[i]
	}
	return out
}

// reset empties the columns, and lets go of what they point to.
func (c columns) reset() {
	for i := range c {
		c[i].bytes, c[i].texts, c[i].ints = empty(c[i].bytes), empty(c[i].texts), c[i].ints[:0]
	}
}

// args returns the columns as arguments of a statement.
func (c columns) args() []any {
	out := make([]any, len(c))
	for i := range c {
		switch c[i].kind {
		case 'b':
			out[i] = &c[i].bytes
		case 't':
			out[i] = c[i].texts
		default:
			out[i] = c[i].ints
		}
	}
	return out
}

// empty returns the slice without its elements, and lets go of what they point to.
func empty[S ~[]E, E any](s S) S {
	clear(s)
	return s[:0]
}

// add appends the statement unless it has no rows. The first column is bytes.
func add(steps []pgStep, sql string, c columns) []pgStep {
	if len(c[0].bytes) == 0 {
		return steps
	}
	return append(steps, pgStep{sql: sql, args: c.args()})
}

// written is what a batch writes. Its memory is used again by the next batch of the lane.
type written struct {
	of [pgKinds]columns
	// codec is the bytes of rows, which the columns point to.
	codec []byte
}

// reset begins a batch.
func (w *written) reset() {
	for i := range w.of {
		if w.of[i] == nil {
			w.of[i] = newColumns(pgWrites[i].columns)
		}
		w.of[i].reset()
	}
	w.codec = w.codec[:0]
}

// since returns the bytes that were appended after there were so many.
func (w *written) since(begin int) []byte { return w.codec[begin:len(w.codec):len(w.codec)] }

// which returns the columns of rows that the table has, or of those that are new to it.
func (w *written) which(kept bool, there, fresh int) columns {
	if kept {
		return w.of[there]
	}
	return w.of[fresh]
}

// ordered returns the rows to write in the order of their keys, in which every transaction takes its locks.
func ordered[K ~[16]byte, V any](t *store.Rows[K, V]) []K {
	slices.SortFunc(t.Changed, func(a, b K) int { return bytes.Compare(a[:], b[:]) })
	return t.Changed
}

// writes returns the statements that write what the batch has changed. They are good until the next batch.
func (t *pgTx) writes() (steps []pgStep) {
	b, w := t.b, &t.l.rows
	w.reset()
	w.numbers(b)
	w.limits(b)
	w.verifications(b)
	w.jobs(b)
	w.others(b)
	w.events(b)
	for i := range w.of {
		steps = add(steps, pgWrites[i].sql, w.of[i])
	}
	return steps
}

func (w *written) numbers(b *store.Batch) {
	for _, k := range ordered(&b.Numbers) {
		e := b.Numbers.Get(k)
		begin := len(w.codec)
		w.codec = row.AppendNumber(w.codec, e.Value)
		c := w.which(e.Kept, pgSetNumbers, pgNewNumbers)
		c.blobs(0, e.Value.Key[:])
		c.blobs(1, w.since(begin))
		c.ints(2, row.LastVerified(e.Value))
	}
}

func (w *written) limits(b *store.Batch) {
	keys := ordered(&b.Limits)
	for i := range keys {
		e := b.Limits.Get(keys[i])
		c := w.which(e.Kept, pgSetLimits, pgNewLimits)
		c.blobs(0, keys[i][:])
		c.ints(1, e.Value)
		c.ints(2, e.Value/limitHour)
	}
}

func (w *written) verifications(b *store.Batch) {
	for _, k := range ordered(&b.Verifications) {
		e := b.Verifications.Get(k)
		v := e.Value
		if e.Kept && row.Forgotten(v) {
			c := w.of[pgForgetVerifications]
			c.blobs(0, v.ID[:])
			c.blobs(1, w.spec(v))
			c.blobs(2, w.state(v))
			w.of[pgForgetEvents].blobs(0, v.ID[:])
			continue
		}
		c := w.which(e.Kept, pgSetVerifications, pgNewVerifications)
		c.blobs(0, v.ID[:])
		c.ints(1, row.StatusNumber(v.Status))
		c.ints(2, int64(v.Attempts))
		c.ints(3, v.Expires.UnixMilli())
		c.blobs(4, w.state(v))
		if !e.Kept {
			c.blobs(5, v.App[:])
			c.blobs(6, v.Spec.Number[:])
			c.blobs(7, w.spec(v))
			c.blobs(8, v.Sealed)
		}
	}
}

func (w *written) spec(v *verify.Verification) []byte {
	begin := len(w.codec)
	w.codec = row.AppendSpec(w.codec, &v.Spec)
	return w.since(begin)
}

func (w *written) state(v *verify.Verification) []byte {
	begin := len(w.codec)
	w.codec = row.AppendState(w.codec, v)
	return w.since(begin)
}

func (w *written) jobs(b *store.Batch) {
	keys := ordered(&b.Jobs)
	put := w.of[pgPutJobs]
	for i := range keys {
		e := b.Jobs.Get(keys[i])
		if !e.There {
			w.of[pgDropJobs].blobs(0, keys[i][:])
			continue
		}
		j := e.Value
		put.blobs(0, j.ID[:])
		put.texts(1, j.Kind)
		put.ints(2, j.Due.UnixMilli())
		put.ints(3, int64(j.Attempt))
		put.blobs(4, j.Ref[:])
		put.blobs(5, j.Payload)
		put.ints(6, leased(j))
	}
}

// others are the kept answers and the ids of providers.
func (w *written) others(b *store.Batch) {
	sent := w.of[pgPutSent]
	for i, k := range b.Replays.Changed {
		kept := b.Replays.Get(k)
		r, replays := &kept.Value, w.which(kept.Kept, pgSetReplays, pgNewReplays)
		replays.blobs(0, b.Replays.Changed[i][:])
		replays.blobs(1, r.Fingerprint[:])
		replays.blobs(2, r.Sealed)
		replays.ints(3, r.Until)
	}
	for i, k := range ordered(&b.Sent) {
		s := &b.Sent.Get(k).Value
		sent.blobs(0, b.Sent.Changed[i][:])
		sent.blobs(1, s.Ref[:])
		sent.blobs(2, s.Delivery[:])
		sent.ints(3, s.Until.UnixMilli())
	}
}

// Claim implements store.Claimer. Rows that another node is claiming are passed over. When the answer is lost, the jobs
// come back at the end of their lease.
func (e *Engine) Claim(ctx context.Context, now time.Time, kind string, n int,
	lease time.Duration) (out []queue.Job, err error) {
	ctx, cancel := context.WithTimeout(ctx, e.o.Timeout)
	defer cancel()
	was := map[id.ID]int64{}
	err = pgConn{ctx, e.pool}.Query(pgClaim, func(r tables.Row) error {
		j := tables.ScanJob(r)
		out, was[j.ID] = append(out, j), r.Int(7)
		return nil
	}, kind, now.UnixMilli(), int64(n), now.Add(lease).UnixMilli())
	if err != nil {
		if faultOf(err) == faultDown {
			e.pool.Reset()
		}
		return nil, err
	}
	slices.SortFunc(out, func(a, b queue.Job) int { return cmp.Compare(was[a.ID], was[b.ID]) })
	return out, nil
}
