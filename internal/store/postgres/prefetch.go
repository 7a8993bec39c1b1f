package postgres

import (
	"bytes"
	"slices"
	"time"

	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/queue"
	"github.com/dialproof/dialproof/internal/store"
	"github.com/dialproof/dialproof/internal/store/tables"
	"github.com/dialproof/dialproof/internal/verify"
)

// The statements that begin a transaction. Locks are taken in the order of the keys, so that transactions wait for each
// other in one direction. Each statement sees what was committed before it began (READ COMMITTED), and those that
// follow the locks of the numbers see everything that happened to these numbers.
const (
	sqlBegin     = `BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE`
	sqlCountLane = `UPDATE lanes SET n = n + 1, seen = (extract(epoch FROM clock_timestamp()) * 1000)::bigint, ` +
		`token = $2 WHERE id = $1 AND token = $3 RETURNING `
	sqlPosition    = `pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint`
	sqlLockNumbers = `SELECT key, data FROM numbers WHERE key IN (SELECT unnest($1::bytea[]) UNION SELECT number ` +
		`FROM verifications WHERE id = ANY($2::bytea[])) ORDER BY key FOR UPDATE OF numbers`
	sqlSomeVerifs   = `SELECT ` + tables.VerificationColumns + ` FROM verifications WHERE id = ANY($1::bytea[])`
	sqlLockLimits   = `SELECT key, tat FROM limits WHERE key = ANY($1::bytea[]) ORDER BY key FOR UPDATE`
	sqlSomeReplays  = `SELECT key, fingerprint, sealed, until FROM replays WHERE key = ANY($1::bytea[])`
	sqlLockJobs     = `SELECT ` + tables.JobColumns + ` FROM jobs WHERE id = ANY($1::bytea[]) ORDER BY id FOR UPDATE`
	foreseenLatest  = 2 // how many purposes of a number are read ahead; others are read when they are asked for
	maxForeseenKeys = 1024
)

// distinct returns each key once, in the order that PostgreSQL has.
func distinct[K ~[16]byte](keys []K) []K {
	slices.SortFunc(keys, func(a, b K) int { return bytes.Compare(a[:], b[:]) })
	return slices.Compact(keys)
}

// keys returns keys as PostgreSQL takes them; they stay where they are.
func keys[K ~[16]byte](of []K) *blobArray {
	out := make(blobArray, len(of))
	for i := range of {
		out[i] = of[i][:]
	}
	return &out
}

// prefetch begins the transaction, takes its locks and reads what the work will ask for, in one round trip, or two when
// numbers have verifications that only their rows name.
func (t *pgTx) prefetch() error {
	w, b := &t.l.want, t.b
	b.Wanted(w)
	w.Numbers, w.Limits, w.Verifications, w.Jobs = distinct(
		w.Numbers,
	), distinct(
		w.Limits,
	), distinct(
		w.Verifications,
	), distinct(
		w.Jobs,
	)
	steps := []pgStep{{sql: sqlBegin}}
	if t.e.o.Pooler {
		steps = append(steps, settingsStep(t.e.o))
	}
	steps = append(steps, t.takeLane()...)
	if len(w.Numbers)+len(w.Verifications) > 0 {
		steps = append(steps,
			pgStep{sql: sqlLockNumbers, args: []any{keys(w.Numbers), keys(w.Verifications)}, each: func(r tables.Row) error {
				n, err := tables.ScanNumber(r)
				if err == nil {
					b.Numbers.Know(n.Key, n, true)
				}
				return err
			}})
	}
	steps = append(steps, t.readVerifications(w.Verifications)...)
	steps = append(steps, t.readOthers(w)...)
	if err := t.pipeline(steps); err != nil {
		return err
	}
	if !t.held {
		return t.noLane()
	}
	t.missing(w)
	return t.recent(w)
}

func (t *pgTx) readVerifications(ids []id.ID) []pgStep {
	if len(ids) == 0 {
		return nil
	}
	return []pgStep{{sql: sqlSomeVerifs, args: []any{keys(ids)}, each: func(r tables.Row) error {
		v, err := tables.ScanVerification(r)
		if err == nil {
			t.b.Verifications.Know(v.ID, v, true)
		}
		return err
	}}}
}

// readOthers reads limits, replays and jobs. Replays come after the locks: a repetition waits for the first to end.
func (t *pgTx) readOthers(w *store.Wanted) (steps []pgStep) {
	b := t.b
	if len(w.Limits) > 0 {
		steps = append(steps, pgStep{sql: sqlLockLimits, args: []any{keys(w.Limits)}, each: func(r tables.Row) error {
			b.Limits.Know([16]byte(r.Raw(0)), r.Int(1), true)
			return nil
		}})
	}
	if len(w.Replays) > 0 {
		named := make(blobArray, len(w.Replays))
		for i := range w.Replays {
			named[i] = w.Replays[i][:]
		}
		steps = append(steps, pgStep{sql: sqlSomeReplays, args: []any{&named}, each: func(r tables.Row) error {
			b.Replays.Know([32]byte(r.Raw(0)), tables.ScanReplay(r), true)
			return nil
		}})
	}
	if len(w.Jobs) > 0 {
		steps = append(steps, pgStep{sql: sqlLockJobs, args: []any{keys(w.Jobs)}, each: func(r tables.Row) error {
			j := tables.ScanJob(r)
			b.Jobs.Know(j.ID, &j, true)
			return nil
		}})
	}
	return steps
}

// missing notes which rows are not there.
func (t *pgTx) missing(w *store.Wanted) {
	b := t.b
	for _, v := range w.Verifications {
		if e := b.Verifications.Get(v); e == nil {
			b.Verifications.Know(v, nil, false)
		} else if n := e.Value.Spec.Number; n != (verify.NumberKey{}) {
			w.Numbers = append(w.Numbers, n)
		}
	}
	w.Numbers = distinct(w.Numbers)
	absent(&b.Numbers, w.Numbers)
	absent(&b.Limits, w.Limits)
	absent(&b.Replays, w.Replays)
	absent(&b.Jobs, w.Jobs)
}

func absent[K comparable, V any](r *store.Rows[K, V], keys []K) {
	for _, k := range keys {
		if r.Get(k) == nil {
			var zero V
			r.Know(k, zero, false)
		}
	}
}

// recent reads the verifications that a start looks back at: the newest of its number.
func (t *pgTx) recent(w *store.Wanted) error {
	var ids []id.ID
	for _, k := range w.Numbers {
		e := t.b.Numbers.Get(k)
		if !e.There || len(ids) >= maxForeseenKeys {
			continue
		}
		for i, l := range e.Value.Latest {
			if i < foreseenLatest && t.b.Verifications.Get(l.ID) == nil {
				ids = append(ids, l.ID)
			}
		}
	}
	if len(ids) == 0 {
		return nil
	}
	ids = distinct(ids)
	if err := t.pipeline(t.readVerifications(ids)); err != nil {
		return err
	}
	absent(&t.b.Verifications, ids)
	return nil
}

// Number implements store.Tx. What nobody foresaw is read alone.
func (t *pgTx) Number(k verify.NumberKey) (*verify.Number, error) { return t.Dialect.Number(t.Conn, k) }

// Verification implements store.Tx.
func (t *pgTx) Verification(v id.ID) (*verify.Verification, error) {
	return t.Dialect.Verification(t.Conn, v)
}

// Job implements store.Tx.
func (t *pgTx) Job(j id.ID) (*queue.Job, error) { return t.Dialect.Job(t.Conn, j) }

// Limit implements store.Tx.
func (t *pgTx) Limit(k [16]byte) (tat int64, ok bool, err error) { return t.Dialect.Limit(t.Conn, k) }

// Replay implements store.Tx.
func (t *pgTx) Replay(k [32]byte) (store.Replay, bool, error) { return t.Dialect.Replay(t.Conn, k) }

// Due implements store.Tx. The engine claims in statements of its own.
func (*pgTx) Due(string, time.Time, int) ([]queue.Job, error) { return nil, nil }
