package store

import (
	"bytes"
	"slices"

	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/verify"
)

// The statements that begin a transaction. Locks are taken in the order of the keys, so that transactions wait for each
// other in one direction. Each statement sees what was committed before it began (READ COMMITTED), and those that follow
// the locks of the numbers see everything that happened to these numbers.
const (
	sqlBegin        = `BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE`
	sqlCountLane    = `UPDATE lanes SET n = n + 1, seen = (extract(epoch FROM clock_timestamp()) * 1000)::bigint, token = $2 WHERE id = $1 AND token = $3 RETURNING `
	sqlPosition     = `pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint`
	sqlLockNumbers  = `SELECT key, data FROM numbers WHERE key IN (SELECT unnest($1::bytea[]) UNION SELECT number FROM verifications WHERE id = ANY($2::bytea[])) ORDER BY key FOR UPDATE OF numbers`
	sqlSomeVerifs   = `SELECT ` + verificationColumns + ` FROM verifications WHERE id = ANY($1::bytea[])`
	sqlLockLimits   = `SELECT key, tat FROM limits WHERE key = ANY($1::bytea[]) ORDER BY key FOR UPDATE`
	sqlSomeReplays  = `SELECT key, fingerprint, sealed FROM replays WHERE key = ANY($1::bytea[])`
	sqlLockJobs     = `SELECT ` + jobColumns + ` FROM jobs WHERE id = ANY($1::bytea[]) ORDER BY id FOR UPDATE`
	foreseenLatest  = 2 // how many purposes of a number are read ahead; others are read when they are asked for
	maxForeseenKeys = 4 * maxBatch
)

// wanted is what the pieces of work of a batch will read: keys, each once, in their order.
type wanted struct {
	numbers       []verify.NumberKey
	limits        [][16]byte
	verifications []id.ID
	jobs          []id.ID
	replays       [][32]byte
}

// gather takes what the work names, in the memory of the batch before.
func (w *wanted) gather(ops []*op) {
	*w = wanted{w.numbers[:0], w.limits[:0], w.verifications[:0], w.jobs[:0], w.replays[:0]}
	for _, o := range ops {
		if o.needs.Number != (verify.NumberKey{}) {
			w.numbers = append(w.numbers, o.needs.Number)
		}
		if !o.needs.Verification.IsZero() {
			w.verifications = append(w.verifications, o.needs.Verification)
		}
		w.limits = append(w.limits, o.needs.Limits...)
		if o.needs.Replay != ([32]byte{}) {
			w.replays = append(w.replays, o.needs.Replay)
		}
		if !o.needs.Job.IsZero() {
			w.jobs = append(w.jobs, o.needs.Job)
		}
		w.jobs = append(w.jobs, o.jobs...)
	}
	w.numbers, w.limits, w.verifications, w.jobs = distinct(w.numbers), distinct(w.limits), distinct(w.verifications), distinct(w.jobs)
}

// distinct answers each key once, in the order that PostgreSQL has.
func distinct[K ~[16]byte](keys []K) []K {
	slices.SortFunc(keys, func(a, b K) int { return bytes.Compare(a[:], b[:]) })
	return slices.Compact(keys)
}

// keys answers keys as PostgreSQL takes them; they stay where they are.
func keys[K ~[16]byte](of []K) *blobArray {
	out := make(blobArray, len(of))
	for i := range of {
		out[i] = of[i][:]
	}
	return &out
}

// prefetch begins the transaction, takes its locks and reads what the work will ask for, in one round trip, or two when
// numbers have verifications that only their rows name.
func (t *pgTx) prefetch(ops []*op) error {
	w, b := &t.l.want, &t.l.b
	w.gather(ops)
	steps := []pgStep{{sql: sqlBegin}}
	if t.e.o.Pooler {
		steps = append(steps, settingsStep(t.e.o))
	}
	steps = append(steps, t.takeLane()...)
	if len(w.numbers)+len(w.verifications) > 0 {
		steps = append(steps, pgStep{sql: sqlLockNumbers, args: []any{keys(w.numbers), keys(w.verifications)}, each: func(r row) error {
			n, err := scanNumber(r)
			if err == nil {
				b.numbers.know(n.Key, n, true)
			}
			return err
		}})
	}
	steps = append(steps, t.readVerifications(w.verifications)...)
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
	return []pgStep{{sql: sqlSomeVerifs, args: []any{keys(ids)}, each: func(r row) error {
		v, err := scanVerification(r)
		if err == nil {
			t.l.b.verifications.know(v.ID, v, true)
		}
		return err
	}}}
}

// readOthers reads limits, replays and jobs. Replays come after the locks: a repetition waits for the first to end.
func (t *pgTx) readOthers(w *wanted) (steps []pgStep) {
	b := &t.l.b
	if len(w.limits) > 0 {
		steps = append(steps, pgStep{sql: sqlLockLimits, args: []any{keys(w.limits)}, each: func(r row) error {
			b.limits.know([16]byte(r.Raw(0)), r.Int(1), true)
			return nil
		}})
	}
	if len(w.replays) > 0 {
		named := make(blobArray, len(w.replays))
		for i := range w.replays {
			named[i] = w.replays[i][:]
		}
		steps = append(steps, pgStep{sql: sqlSomeReplays, args: []any{&named}, each: func(r row) error {
			b.replays.know([32]byte(r.Raw(0)), scanReplay(r), true)
			return nil
		}})
	}
	if len(w.jobs) > 0 {
		steps = append(steps, pgStep{sql: sqlLockJobs, args: []any{keys(w.jobs)}, each: func(r row) error {
			j := scanJob(r)
			b.jobs.know(j.ID, &j, true)
			return nil
		}})
	}
	return steps
}

// missing notes which rows are not there.
func (t *pgTx) missing(w *wanted) {
	b := &t.l.b
	for _, v := range w.verifications {
		if e := b.verifications.rows[v]; e == nil {
			b.verifications.know(v, nil, false)
		} else if n := e.value.Spec.Number; n != (verify.NumberKey{}) {
			w.numbers = append(w.numbers, n)
		}
	}
	w.numbers = distinct(w.numbers)
	absent(&b.numbers, w.numbers)
	absent(&b.limits, w.limits)
	absent(&b.replays, w.replays)
	absent(&b.jobs, w.jobs)
}

func absent[K comparable, V any](t *table[K, V], keys []K) {
	for _, k := range keys {
		if t.rows[k] == nil {
			var zero V
			t.know(k, zero, false)
		}
	}
}

// recent reads the verifications that a start looks back at: the newest of its number.
func (t *pgTx) recent(w *wanted) error {
	var ids []id.ID
	for _, k := range w.numbers {
		e := t.l.b.numbers.rows[k]
		if !e.there || len(ids) >= maxForeseenKeys {
			continue
		}
		for i, l := range e.value.Latest {
			if i < foreseenLatest && t.l.b.verifications.rows[l.ID] == nil {
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
	absent(&t.l.b.verifications, ids)
	return nil
}
