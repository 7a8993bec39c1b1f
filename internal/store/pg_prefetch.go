package store

import (
	"bytes"
	"maps"
	"slices"

	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/verify"
)

// The statements that begin a transaction. Locks are taken in the order of the keys, so that transactions wait for each
// other in one direction. Each statement sees what was committed before it began (READ COMMITTED), and those that follow
// the locks of the numbers see everything that happened to these numbers.
const (
	sqlBegin        = `BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE`
	sqlCountLane    = `UPDATE lanes SET n = n + 1, seen = (extract(epoch FROM clock_timestamp()) * 1000)::bigint WHERE id = $1 RETURNING n`
	sqlLockNumbers  = `SELECT key, data FROM numbers WHERE key IN (SELECT unnest($1::bytea[]) UNION SELECT number FROM verifications WHERE id = ANY($2::bytea[])) ORDER BY key FOR UPDATE OF numbers`
	sqlSomeVerifs   = `SELECT ` + verificationColumns + ` FROM verifications WHERE id = ANY($1::bytea[])`
	sqlLockLimits   = `SELECT key, tat FROM limits WHERE key = ANY($1::bytea[]) ORDER BY key FOR UPDATE`
	sqlSomeReplays  = `SELECT key, fingerprint, sealed FROM replays WHERE key = ANY($1::bytea[])`
	sqlLockJobs     = `SELECT ` + jobColumns + ` FROM jobs WHERE id = ANY($1::bytea[]) ORDER BY id FOR UPDATE`
	foreseenLatest  = 2 // how many purposes of a number are read ahead; others are read when they are asked for
	maxForeseenKeys = 4 * maxBatch
)

// wanted is what the pieces of work of a batch will read.
type wanted struct {
	numbers, limits map[[16]byte]bool
	verifications   map[id.ID]bool
	replays         map[[32]byte]bool
	jobs            map[id.ID]bool
}

func wants(ops []*op) wanted {
	w := wanted{map[[16]byte]bool{}, map[[16]byte]bool{}, map[id.ID]bool{}, map[[32]byte]bool{}, map[id.ID]bool{}}
	for _, o := range ops {
		if o.needs.Number != (verify.NumberKey{}) {
			w.numbers[o.needs.Number] = true
		}
		if !o.needs.Verification.IsZero() {
			w.verifications[o.needs.Verification] = true
		}
		for _, l := range o.needs.Limits {
			w.limits[l] = true
		}
		if o.needs.Replay != ([32]byte{}) {
			w.replays[o.needs.Replay] = true
		}
		if !o.needs.Job.IsZero() {
			w.jobs[o.needs.Job] = true
		}
		for _, j := range o.jobs {
			w.jobs[j] = true
		}
	}
	return w
}

// sorted answers keys as PostgreSQL takes and orders them.
func sorted16[K ~[16]byte](keys map[K]bool) [][]byte {
	out := make([][]byte, 0, len(keys))
	for k := range keys {
		out = append(out, bytes.Clone(k[:]))
	}
	slices.SortFunc(out, bytes.Compare)
	return out
}

// prefetch begins the transaction, takes its locks and reads what the work will ask for, in one round trip, or two when
// numbers have verifications that only their rows name.
func (t *pgTx) prefetch(ops []*op) error {
	w, b := wants(ops), &t.l.b
	steps := []pgStep{{sql: sqlBegin}}
	if t.e.o.Pooler {
		steps = append(steps, settingsStep(t.e.o))
	}
	t.n = 0
	steps = append(steps, pgStep{sql: sqlCountLane, args: []any{t.l.id[:]}, each: func(r row) error { t.n = r.Int(0); return nil }})
	if len(w.numbers)+len(w.verifications) > 0 {
		steps = append(steps, pgStep{sql: sqlLockNumbers, args: []any{sorted16(w.numbers), sorted16(w.verifications)}, each: func(r row) error {
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
	if t.n == 0 {
		if err := t.e.newLane(t.ctx, t.l); err != nil {
			return err
		}
		return errNewLane
	}
	t.missing(w)
	return t.recent(w)
}

func (t *pgTx) readVerifications(ids map[id.ID]bool) []pgStep {
	if len(ids) == 0 {
		return nil
	}
	return []pgStep{{sql: sqlSomeVerifs, args: []any{sorted16(ids)}, each: func(r row) error {
		v, err := scanVerification(r)
		if err == nil {
			t.l.b.verifications.know(v.ID, v, true)
		}
		return err
	}}}
}

// readOthers reads limits, replays and jobs. Replays come after the locks: a repetition waits for the first to end.
func (t *pgTx) readOthers(w wanted) (steps []pgStep) {
	b := &t.l.b
	if len(w.limits) > 0 {
		steps = append(steps, pgStep{sql: sqlLockLimits, args: []any{sorted16(w.limits)}, each: func(r row) error {
			b.limits.know([16]byte(r.Raw(0)), r.Int(1), true)
			return nil
		}})
	}
	if len(w.replays) > 0 {
		keys := make([][]byte, 0, len(w.replays))
		for k := range w.replays {
			keys = append(keys, bytes.Clone(k[:]))
		}
		steps = append(steps, pgStep{sql: sqlSomeReplays, args: []any{keys}, each: func(r row) error {
			b.replays.know([32]byte(r.Raw(0)), scanReplay(r), true)
			return nil
		}})
	}
	if len(w.jobs) > 0 {
		steps = append(steps, pgStep{sql: sqlLockJobs, args: []any{sorted16(w.jobs)}, each: func(r row) error {
			j := scanJob(r)
			b.jobs.know(j.ID, &j, true)
			return nil
		}})
	}
	return steps
}

// missing notes which rows are not there.
func (t *pgTx) missing(w wanted) {
	b := &t.l.b
	for v := range w.verifications {
		if e := b.verifications.rows[v]; e == nil {
			b.verifications.know(v, nil, false)
		} else if n := e.value.Spec.Number; n != (verify.NumberKey{}) {
			w.numbers[n] = true
		}
	}
	absent(&b.numbers, maps.Keys(w.numbers), func(k [16]byte) verify.NumberKey { return k })
	absent(&b.limits, maps.Keys(w.limits), func(k [16]byte) [16]byte { return k })
	absent(&b.replays, maps.Keys(w.replays), func(k [32]byte) [32]byte { return k })
	absent(&b.jobs, maps.Keys(w.jobs), func(k id.ID) id.ID { return k })
}

func absent[Q any, K comparable, V any](t *table[K, V], keys func(func(Q) bool), key func(Q) K) {
	for q := range keys {
		if k := key(q); t.rows[k] == nil {
			var zero V
			t.know(k, zero, false)
		}
	}
}

// recent reads the verifications that a start looks back at: the newest of its number.
func (t *pgTx) recent(w wanted) error {
	ids := map[id.ID]bool{}
	for k := range w.numbers {
		e := t.l.b.numbers.rows[k]
		if !e.there || len(ids) >= maxForeseenKeys {
			continue
		}
		for i, l := range e.value.Latest {
			if i < foreseenLatest && t.l.b.verifications.rows[l.ID] == nil {
				ids[l.ID] = true
			}
		}
	}
	if len(ids) == 0 {
		return nil
	}
	if err := t.pipeline(t.readVerifications(ids)); err != nil {
		return err
	}
	absent(&t.l.b.verifications, maps.Keys(ids), func(k id.ID) id.ID { return k })
	return nil
}
