package store

import (
	"encoding/binary"
	"fmt"
	"runtime/debug"
	"slices"

	"github.com/dialproof/dialproof/internal/deliver"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/queue"
	"github.com/dialproof/dialproof/internal/verify"
	"github.com/dialproof/dialproof/internal/webhook"
)

// batch is the rows that the pieces of work of one transaction have seen, and what they make of them. Work runs on rows in
// memory, one piece after the other; what changed is written once at the end, however many pieces changed it.
type batch struct {
	c conn
	d *dialect

	numbers       table[verify.NumberKey, *verify.Number]
	verifications table[id.ID, *verify.Verification]
	limits        table[[16]byte, int64]
	replays       table[[32]byte, replay]
	jobs          table[id.ID, *queue.Job]
	sent          table[[16]byte, deliver.Sent]
	hot           int // how many numbers and verifications are kept as values, at least
	// young are jobs that have no row of their own; see youth. Nil for an engine that writes every job.
	young  *youth
	tx     tx              // of the piece of work that runs
	events []webhook.Event // new ones
	others []func(conn) error
}

// replay is a kept answer to a request with an Idempotency-Key.
type replay struct {
	fingerprint [32]byte
	sealed      []byte
	until       int64 // Unix milliseconds
}

// table is the rows of one kind.
type table[K comparable, V any] struct {
	rows map[K]*entry[V]
	// past are rows of batches before, as they were committed. An engine that is alone with its rows keeps them, so that what
	// was just written is not read again; the other never settles a batch, and has none.
	past map[K]*entry[V]
	// recent answers the bytes of a row whose table is behind; nil: none is.
	recent func(K) []byte
	// attic has those that are in none of these any more; nil: they are read again.
	attic *attic[K]
	codec codec[K, V] // of recent and the attic
	dirty []K         // those to write, in the order in which they became so
}

// codec makes bytes of a row and a row of bytes.
type codec[K comparable, V any] struct {
	appends func([]byte, V) []byte
	read    func(K, []byte) (V, error)
	// again tells whether a row is likely to be asked for again; another one has no place in the attic.
	again func(V) bool
}

// entry is one row.
type entry[V any] struct {
	value V
	// there tells whether the row exists as the work sees it; kept, whether it did when it was read.
	there, kept bool
	dirty       bool
	// stowed tells that the attic or recent had it as it is when it was found.
	stowed bool
	// rowless tells that a job was left without a row; see youth.
	rowless bool
}

// know notes what was read.
func (t *table[K, V]) know(k K, v V, kept bool) *entry[V] {
	if t.rows == nil {
		t.rows = map[K]*entry[V]{}
	}
	e := &entry[V]{value: v, there: kept, kept: kept}
	t.rows[k] = e
	return e
}

// find answers a row that is known, or nil.
func (t *table[K, V]) find(k K) *entry[V] {
	if e := t.rows[k]; e != nil {
		return e
	}
	if e := t.past[k]; e != nil {
		t.rows[k] = e
		return e
	}
	raw := t.bytes(k)
	if raw == nil {
		return nil
	}
	v, err := t.codec.read(k, raw)
	if err != nil {
		return nil // the row in the store is what counts
	}
	e := t.know(k, v, true)
	e.stowed = true
	return e
}

// bytes answers the bytes of a row that is remembered in bytes, or nil.
func (t *table[K, V]) bytes(k K) []byte {
	if t.recent != nil {
		if raw := t.recent(k); raw != nil {
			return raw
		}
	}
	if t.attic == nil {
		return nil
	}
	return t.attic.get(k)
}

// touch answers a row that will be written; one that was never read counts as not kept.
func (t *table[K, V]) touch(k K) *entry[V] {
	e := t.find(k)
	if e == nil {
		var zero V
		e = t.know(k, zero, false)
	}
	if !e.dirty {
		e.dirty, e.stowed = true, false
		t.dirty = append(t.dirty, k)
	}
	return e
}

func (t *table[K, V]) put(k K, v V) {
	e := t.touch(k)
	e.value, e.there = v, true
}

// begin is put for a row that is new: it is in no memory but that of this batch.
func (t *table[K, V]) begin(k K, v V) {
	if t.rows[k] != nil {
		t.put(k, v)
		return
	}
	e := t.know(k, v, false)
	e.there, e.dirty = true, true
	t.dirty = append(t.dirty, k)
}

func (t *table[K, V]) drop(k K) { t.touch(k).there = false }

func (t *table[K, V]) reset() {
	clear(t.rows)
	clear(t.past)
	if t.attic != nil {
		t.attic.reset()
	}
	t.dirty = t.dirty[:0]
}

// settle keeps what a commit has made true for the batches to come: at least the last most rows, at most twice as many.
func (t *table[K, V]) settle(most int) {
	for _, k := range t.dirty {
		e := t.rows[k]
		if e.dirty, e.kept = false, e.there; !e.there {
			delete(t.rows, k)
			delete(t.past, k)
			if t.attic != nil {
				t.attic.drop(k)
			}
		}
	}
	t.dirty = t.dirty[:0]
	if len(t.rows) < most {
		return
	}
	if t.attic != nil {
		t.stow()
	}
	clear(t.past)
	if t.past == nil {
		t.past = make(map[K]*entry[V], most)
	}
	t.past, t.rows = t.rows, t.past
}

// stow puts the rows into the attic that are about to be forgotten.
func (t *table[K, V]) stow() {
	for k, e := range t.past {
		switch {
		case e.stowed || t.rows[k] != nil:
		case t.recent != nil && t.recent(k) != nil: // it comes here when its change is folded
		case e.there && t.codec.again(e.value):
			t.attic.put(k, func(b []byte) []byte { return t.codec.appends(b, e.value) })
		default:
			t.attic.drop(k)
		}
	}
}

// The rows that are kept in memory between batches. The delivery of a verification is written within milliseconds; its check
// comes after seconds, and finds the rows in the attic. Rows outside of it are looked through at each collection of
// garbage: 8,192 made a cycle a tenth dearer.
const (
	keptHot    = 512 // verifications and numbers
	keptOthers = 2_048

	// atticVerifications and atticNumbers are half of what the attics take, in bytes: at least 10,000 rows each.
	atticVerifications = 4 << 20
	atticNumbers       = 1 << 20
)

// keep makes a batch keep rows after its commits. It is for an engine that is alone with them. j is its journal; nil for a guest.
func (b *batch) keep(j *journal) {
	b.hot = keptHot
	b.numbers.attic, b.numbers.codec = newAttic[verify.NumberKey](atticNumbers), codec[verify.NumberKey, *verify.Number]{appendNumber, readNumberRow, func(*verify.Number) bool { return true }}
	b.verifications.attic, b.verifications.codec = newAttic[id.ID](atticVerifications), codec[id.ID, *verify.Verification]{appendVerification, readVerificationRow, pending}
	if j != nil {
		b.numbers.recent, b.verifications.recent = j.number, j.verification
	}
}

// stow puts a row into the attic that the journal has no more.
func (b *batch) stow(k rowKey, row []byte) {
	same := func(b []byte) []byte { return append(b, row...) }
	switch {
	case k.kind == numberRow:
		row = row[touchedHead:]
		b.numbers.attic.put(k.key, same)
	case pendingRow(row):
		b.verifications.attic.put(k.key, same)
	default:
		b.verifications.attic.drop(k.key)
	}
}

func pending(v *verify.Verification) bool { return v.Status == verify.Pending }

func pendingRow(row []byte) bool {
	r := reader{all: string(row[:min(len(row), 1+len(id.ID{})+binary.MaxVarintLen64)]), at: 1 + len(id.ID{})}
	return int64(r.int()) == statusNumber(verify.Pending)
}

// settle keeps the rows of a batch that was committed.
func (b *batch) settle() {
	b.numbers.settle(b.hot)
	b.verifications.settle(b.hot)
	b.limits.settle(keptOthers)
	b.replays.settle(keptOthers)
	b.young.settle(b)
	b.jobs.settle(keptOthers)
	b.sent.reset() // written here, read elsewhere
	b.events, b.others = b.events[:0], b.others[:0]
}

// reset forgets everything.
func (b *batch) reset() {
	b.numbers.reset()
	b.verifications.reset()
	b.limits.reset()
	b.replays.reset()
	b.jobs.reset()
	b.sent.reset()
	b.events, b.others = b.events[:0], b.others[:0]
}

func (b *batch) number(k verify.NumberKey) (*entry[*verify.Number], error) {
	if e := b.numbers.find(k); e != nil {
		return e, nil
	}
	n, err := readNumber(b.c, b.d.lock, k)
	if err != nil {
		return nil, err
	}
	return b.numbers.know(k, n, n != nil), nil
}

func (b *batch) verification(v id.ID) (*entry[*verify.Verification], error) {
	if e := b.verifications.find(v); e != nil {
		return e, nil
	}
	found, err := b.d.readVerification(b.c, v)
	if err != nil {
		return nil, err
	}
	return b.verifications.know(v, found, found != nil), nil
}

func (b *batch) limit(k [16]byte) (*entry[int64], error) {
	if e := b.limits.find(k); e != nil {
		return e, nil
	}
	tat, ok, err := readLimit(b.c, b.d.lock, k)
	if err != nil {
		return nil, err
	}
	return b.limits.know(k, tat, ok), nil
}

func (b *batch) replay(k [32]byte) (*entry[replay], error) {
	if e := b.replays.find(k); e != nil {
		return e, nil
	}
	r, ok, err := readReplay(b.c, k)
	if err != nil {
		return nil, err
	}
	return b.replays.know(k, r, ok), nil
}

func (b *batch) job(j id.ID) (*entry[*queue.Job], error) {
	if e := b.jobs.find(j); e != nil {
		return e, nil
	}
	if y := b.young.job(j); y != nil {
		e := b.jobs.know(j, y, false)
		e.there = true
		return e, nil
	}
	found, err := b.d.readJob(b.c, j)
	if err != nil {
		return nil, err
	}
	return b.jobs.know(j, found, found != nil), nil
}

// run runs one piece of work and takes what it put. Its own failure is its own; an answer other than nil is a failure of
// the store, which takes the whole batch down.
func (b *batch) run(o *op) (fatal error) {
	t := &b.tx
	t.reset(b, o.watch)
	o.err = safely(o.run, t)
	if t.fatal != nil {
		return t.fatal
	}
	if o.err == nil {
		t.apply()
		o.tells = len(t.events) > 0
	}
	return nil
}

// safely keeps a panic in one piece of work from taking the writer down.
func safely(work func(*tx) error, t *tx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("store: work panicked: %v\n%s", p, debug.Stack())
		}
	}()
	return work(t)
}

// cloneVerification answers a copy that work may change without the others seeing it before it is put.
func cloneVerification(v *verify.Verification) *verify.Verification {
	c := *v
	c.Deliveries = slices.Clone(v.Deliveries)
	return &c
}
