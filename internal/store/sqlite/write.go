package sqlite

import (
	"fmt"
	"time"

	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/queue"
	"github.com/dialproof/dialproof/internal/store"
	"github.com/dialproof/dialproof/internal/store/row"
	"github.com/dialproof/dialproof/internal/store/sqlite/journal"
	"github.com/dialproof/dialproof/internal/store/tables"
	"github.com/dialproof/dialproof/internal/verify"
)

// The writes of SQLite, one row a statement: in the same process a statement costs no round trip.
const (
	sqlAddSegment   = `INSERT INTO segments (seq, segment) VALUES ($1, $2)`
	sqlDropSegments = `DELETE FROM segments WHERE seq <= $1`

	sqlPutVerification = `INSERT INTO verifications (seq, id, app, spec, sealed, status, attempts, expires, state) ` +
		`VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (seq) DO UPDATE ` +
		`SET spec = excluded.spec, sealed = excluded.sealed, status = excluded.status, attempts = excluded.attempts, ` +
		`expires = excluded.expires, state = excluded.state WHERE id = excluded.id`
	sqlPutNumber = `INSERT INTO numbers (key, data, touched) VALUES ($1, $2, $3) ON CONFLICT (key) DO UPDATE ` +
		`SET data = excluded.data, touched = excluded.touched`
	sqlPutLimit = `INSERT INTO limits (key, tat) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET tat = excluded.tat`
	sqlPutJob   = `INSERT INTO jobs (seq, id, kind, due, attempt, ref, payload, leased) ` +
		`VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (seq) DO UPDATE ` +
		`SET kind = excluded.kind, due = excluded.due, attempt = excluded.attempt, payload = excluded.payload, ` +
		`leased = excluded.leased WHERE id = excluded.id`
	sqlDropNumber = `DELETE FROM numbers WHERE key = $1`
	sqlDropLimit  = `DELETE FROM limits WHERE key = $1`
	sqlDropJob    = `DELETE FROM jobs WHERE seq = $1`
	sqlPutReplay  = `INSERT INTO replays (key, fingerprint, sealed, until) VALUES ($1, $2, $3, $4) ` +
		`ON CONFLICT (key) DO UPDATE SET fingerprint = excluded.fingerprint, sealed = excluded.sealed, ` +
		`until = excluded.until`
	sqlPutSent = `INSERT INTO sent (key, ref, delivery, until) VALUES ($1, $2, $3, $4) ON CONFLICT (key) DO UPDATE ` +
		`SET ref = excluded.ref, delivery = excluded.delivery, until = excluded.until`
)

// usualRows is about what a verification, its number and its job take in a segment, in bytes.
const usualRows = 600

// writing is the transaction of a batch.
type writing struct {
	tables.Tables
	e *Engine
}

var _ store.Tx = (*writing)(nil)

// Number implements store.Tx.
func (t *writing) Number(k verify.NumberKey) (*verify.Number, error) {
	return t.e.number(t.Dialect, k)
}

// Verification implements store.Tx.
func (t *writing) Verification(v id.ID) (*verify.Verification, error) {
	return t.e.verification(t.Dialect, v)
}

// Job implements store.Tx.
func (t *writing) Job(j id.ID) (*queue.Job, error) { return t.e.jobs.get(j), nil }

// Due implements store.Tx.
func (t *writing) Due(kind string, now time.Time, n int) ([]queue.Job, error) {
	return t.e.jobs.oldestDue(kind, now, n), nil
}

// Limit implements store.Tx.
func (t *writing) Limit(k [16]byte) (tat int64, ok bool, err error) { return t.e.limit(t.Dialect, k) }

// Replay implements store.Tx.
func (t *writing) Replay(k [32]byte) (store.Replay, bool, error) { return t.Dialect.Replay(t.Conn, k) }

// write writes what a batch has changed.
func (e *Engine) write(b *store.Batch) error {
	if e.plan = e.j.Due(len(b.Verifications.Changed) * usualRows); b.Idle() {
		e.plan = e.j.Idle()
	}
	var err error
	if e.segment, err = e.compact(e.plan, e.segment); err != nil {
		return err
	}
	e.appendRows(b)
	if !journal.Empty(e.segment) {
		journal.Seal(e.segment)
		if err := e.w.run(sqlAddSegment, num(e.j.Next()), raw(e.segment)); err != nil {
			return err
		}
	}
	return e.writeOthers(b)
}

// appendRows appends what the batch has changed to the segment.
func (e *Engine) appendRows(b *store.Batch) {
	s, begin := e.segment, 0
	for _, k := range b.Verifications.Changed {
		s, begin = journal.BeginRow(s, verificationKey(k))
		s = journal.EndRow(row.AppendVerification(s, b.Verifications.Get(k).Value), begin)
	}
	for _, k := range b.Numbers.Changed {
		s, begin = journal.BeginRow(s, numberKey(k))
		s = journal.EndRow(row.AppendNumberRow(s, b.Numbers.Get(k).Value), begin)
	}
	for _, k := range b.Limits.Changed {
		s, begin = journal.BeginRow(s, limitKey(k))
		s = journal.EndRow(row.AppendLimit(s, b.Limits.Get(k).Value), begin)
	}
	for _, k := range b.Jobs.Changed {
		r := b.Jobs.Get(k)
		switch {
		case r.There:
			s, begin = journal.BeginRow(s, jobKey(k))
			s = journal.EndRow(row.AppendJob(s, r.Value), begin)
		case e.jobs.get(k) != nil: // one that was made and dropped in this batch was never there
			s = journal.AppendGone(s, jobKey(k))
		}
	}
	e.segment = s
}

// writeOthers writes what has no place in the journal.
func (e *Engine) writeOthers(b *store.Batch) error {
	for _, k := range b.Verifications.Changed {
		if r := b.Verifications.Get(k); r.Kept && row.Forgotten(r.Value) {
			if err := e.w.run(tables.ForgetEvents, raw(k[:])); err != nil {
				return err
			}
		}
	}
	for _, k := range b.Replays.Changed {
		r := b.Replays.Get(k).Value
		if err := e.w.run(sqlPutReplay, raw(k[:]), raw(r.Fingerprint[:]), raw(r.Sealed), num(r.Until)); err != nil {
			return err
		}
	}
	for _, k := range b.Sent.Changed {
		s := b.Sent.Get(k).Value
		if err := e.w.run(sqlPutSent, raw(k[:]), raw(s.Ref[:]), raw(s.Delivery[:]), num(s.Until.UnixMilli())); err != nil {
			return err
		}
	}
	for i := range b.Events {
		if err := tables.AddEvent(e.w, &b.Events[i]); err != nil {
			return err
		}
	}
	return nil
}

// compact writes the rows of a plan into their tables, and appends to segment what is carried over.
func (e *Engine) compact(p journal.Plan, segment []byte) ([]byte, error) {
	if p.None() {
		return segment, nil
	}
	segment, err := e.j.Compact(p, segment, e.toTable)
	if err != nil {
		return segment, err
	}
	return segment, e.w.run(sqlDropSegments, num(p.Last()))
}

// toTable writes a row of the journal into its table.
func (e *Engine) toTable(k journal.Key, b []byte, dropped bool) error {
	switch k.Kind {
	case verificationKind:
		return putVerification(e.w, k.ID, b)
	case numberKind:
		if dropped {
			return e.w.run(sqlDropNumber, raw(k.ID[:]))
		}
		last, data, err := row.SplitNumber(b)
		if err != nil {
			return err
		}
		return e.w.run(sqlPutNumber, raw(k.ID[:]), raw(data), num(last))
	case limitKind:
		if dropped {
			return e.w.run(sqlDropLimit, raw(k.ID[:]))
		}
		tat, err := row.ReadLimit(b)
		if err != nil {
			return err
		}
		return e.w.run(sqlPutLimit, raw(k.ID[:]), num(tat))
	case jobKind:
		return e.jobToTable(k.ID, b, dropped)
	}
	return fmt.Errorf("%w: a row of kind %d", journal.ErrDamaged, k.Kind)
}

// jobToTable writes a job that has outlived its segment, or drops one that had.
func (e *Engine) jobToTable(k id.ID, b []byte, dropped bool) error {
	if dropped {
		if !e.jobs.tabled[k] {
			return nil
		}
		e.dropped = append(e.dropped, k)
		return e.w.run(sqlDropJob, num(k.Seq()))
	}
	j, err := row.ReadJob(k, b)
	if err != nil {
		return err
	}
	e.tabled = append(e.tabled, k)
	_, err = e.w.Exec(sqlPutJob, k.Seq(), k[:], j.Kind, j.Due.UnixMilli(), int64(j.Attempt), j.Ref[:], j.Payload,
		leased(j))
	return err
}

func leased(j *queue.Job) int64 {
	if j.Leased {
		return 1
	}
	return 0
}

// putVerification writes what row.AppendVerification has appended.
func putVerification(w *conn, v id.ID, b []byte) error {
	c, err := row.Split(b)
	if err != nil {
		return fmt.Errorf("verification %s: %w", v.Text(id.Verification), err)
	}
	return w.run(sqlPutVerification, num(v.Seq()), raw(v[:]), raw(c.App[:]), raw(c.Spec), raw(c.Sealed),
		num(int64(c.Status)), num(int64(c.Attempts)), num(c.Expires.UnixMilli()), raw(c.State))
}
