package store

import (
	"fmt"
	"iter"
	"maps"
	"runtime/debug"
	"slices"

	"github.com/dialproof/dialproof/internal/deliver"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/queue"
	"github.com/dialproof/dialproof/internal/verify"
	"github.com/dialproof/dialproof/internal/webhook"
)

// Batch is the pieces of work that share a commit, and the rows that they have seen and changed. They run on rows in
// memory, one after the other; what has changed is written once at the end, however many pieces changed it. It is empty
// again before each try.
type Batch struct {
	ops []*op
	tx  tx // of the piece of work that runs
	in  Tx

	Numbers       Rows[verify.NumberKey, *verify.Number]
	Verifications Rows[id.ID, *verify.Verification]
	Limits        Rows[[16]byte, int64]
	Replays       Rows[[32]byte, Replay]
	Jobs          Rows[id.ID, *queue.Job]
	Sent          Rows[[16]byte, deliver.Sent]
	// Events are new.
	Events []webhook.Event
	// exclusive makes the rows of numbers that work found missing, because a row that is not there cannot be locked; see
	// SharesRows.
	exclusive bool
}

// Rows is the rows of one kind that a batch knows.
type Rows[K comparable, V any] struct {
	of map[K]*Row[V]
	// room is memory for rows, of which this batch uses the first.
	room []Row[V]
	used int
	// Changed has the keys of the rows to write, in the order in which they became so.
	Changed []K
}

// Row is one row of a batch.
type Row[V any] struct {
	Value V
	// There reports whether the row exists as the work sees it; Kept, whether it did when it was read.
	There, Kept bool
	changed     bool
}

// Get returns a row that the batch knows, or nil.
func (r *Rows[K, V]) Get(k K) *Row[V] { return r.of[k] }

// Keys returns the keys of the rows that the batch knows, in no order.
func (r *Rows[K, V]) Keys() iter.Seq[K] { return maps.Keys(r.of) }

// Know takes a row as it was read; kept is false for one that does not exist.
func (r *Rows[K, V]) Know(k K, v V, kept bool) *Row[V] {
	if r.of == nil {
		r.of = map[K]*Row[V]{}
	}
	if r.used == len(r.room) { // rows that are known stay where they are
		r.room, r.used = make([]Row[V], max(2*len(r.room), 8)), 0
	}
	row := &r.room[r.used]
	r.used++
	*row = Row[V]{Value: v, There: kept, Kept: kept}
	r.of[k] = row
	return row
}

// touch returns a row that will be written; one that was never read counts as not kept.
func (r *Rows[K, V]) touch(k K) *Row[V] {
	row := r.of[k]
	if row == nil {
		var zero V
		row = r.Know(k, zero, false)
	}
	if !row.changed {
		row.changed = true
		r.Changed = append(r.Changed, k)
	}
	return row
}

func (r *Rows[K, V]) put(k K, v V) {
	row := r.touch(k)
	row.Value, row.There = v, true
}

func (r *Rows[K, V]) drop(k K) { r.touch(k).There = false }

func (r *Rows[K, V]) reset() {
	clear(r.of)
	clear(r.room[:r.used]) // lets go of what they point to
	r.used = 0
	r.Changed = r.Changed[:0]
}

// Len returns how many pieces of work there are.
func (b *Batch) Len() int { return len(b.ops) }

// Only returns a batch of one of the pieces, for an engine that runs them apart. Its error is that of the piece.
func (b *Batch) Only(i int) *Batch { return &Batch{ops: b.ops[i : i+1], exclusive: b.exclusive} }

// Refuse ends the pieces with an error.
func (b *Batch) Refuse(err error) {
	for _, o := range b.ops {
		o.err = err
	}
}

// SharesRows tells the batch that other nodes work on the same rows. Work that relied on the absence of a number's row
// makes the row then: if another node has made it meanwhile, the insert fails, and the batch runs again and sees it.
func (b *Batch) SharesRows() { b.exclusive = true }

// Idle reports whether the batch was made because nobody has asked for anything for a while; see Compacter.
func (b *Batch) Idle() bool { return len(b.ops) == 1 && b.ops[0].idle }

// Reset forgets all rows, for another try.
func (b *Batch) Reset() {
	b.Numbers.reset()
	b.Verifications.reset()
	b.Limits.reset()
	b.Replays.reset()
	b.Jobs.reset()
	b.Sent.reset()
	b.Events = empty(b.Events)
}

// Unchanged reports whether no row of the batch is to be written.
func (b *Batch) Unchanged() bool {
	return len(b.Numbers.Changed)+len(b.Verifications.Changed)+len(b.Limits.Changed)+len(b.Replays.Changed)+
		len(b.Jobs.Changed)+len(b.Sent.Changed)+len(b.Events) == 0
}

// Wanted is what the pieces of work of a batch have said that they will read. A key may be there more than once.
type Wanted struct {
	Numbers       []verify.NumberKey
	Limits        [][16]byte
	Verifications []id.ID
	Jobs          []id.ID
	Replays       [][32]byte
}

// Wanted gathers into w, whose memory is used again.
func (b *Batch) Wanted(w *Wanted) {
	*w = Wanted{w.Numbers[:0], w.Limits[:0], w.Verifications[:0], w.Jobs[:0], w.Replays[:0]}
	for _, o := range b.ops {
		if o.needs.Number != (verify.NumberKey{}) {
			w.Numbers = append(w.Numbers, o.needs.Number)
		}
		if !o.needs.Verification.IsZero() {
			w.Verifications = append(w.Verifications, o.needs.Verification)
		}
		w.Limits = append(w.Limits, o.needs.Limits...)
		if o.needs.Replay != ([32]byte{}) {
			w.Replays = append(w.Replays, o.needs.Replay)
		}
		if !o.needs.Job.IsZero() {
			w.Jobs = append(w.Jobs, o.needs.Job)
		}
		w.Jobs = append(w.Jobs, o.jobs...)
	}
}

// Run runs the work on the rows of a transaction. A piece's own failure is its own; the error returned is a failure of
// the store, which takes the whole batch down.
func (b *Batch) Run(in Tx) error {
	b.in = in
	for _, o := range b.ops {
		if err := b.run(o); err != nil {
			return err
		}
	}
	return nil
}

func (b *Batch) run(o *op) (fatal error) {
	t := &b.tx
	t.reset(b, o.watch)
	o.tells = false
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

func (b *Batch) number(k verify.NumberKey) (*Row[*verify.Number], error) {
	if r := b.Numbers.of[k]; r != nil {
		return r, nil
	}
	n, err := b.in.Number(k)
	if err != nil {
		return nil, err
	}
	return b.Numbers.Know(k, n, n != nil), nil
}

func (b *Batch) verification(v id.ID) (*Row[*verify.Verification], error) {
	if r := b.Verifications.of[v]; r != nil {
		return r, nil
	}
	found, err := b.in.Verification(v)
	if err != nil {
		return nil, err
	}
	return b.Verifications.Know(v, found, found != nil), nil
}

func (b *Batch) limit(k [16]byte) (*Row[int64], error) {
	if r := b.Limits.of[k]; r != nil {
		return r, nil
	}
	tat, ok, err := b.in.Limit(k)
	if err != nil {
		return nil, err
	}
	return b.Limits.Know(k, tat, ok), nil
}

func (b *Batch) replay(k [32]byte) (*Row[Replay], error) {
	if r := b.Replays.of[k]; r != nil {
		return r, nil
	}
	r, ok, err := b.in.Replay(k)
	if err != nil {
		return nil, err
	}
	return b.Replays.Know(k, r, ok), nil
}

func (b *Batch) job(j id.ID) (*Row[*queue.Job], error) {
	if r := b.Jobs.of[j]; r != nil {
		return r, nil
	}
	found, err := b.in.Job(j)
	if err != nil {
		return nil, err
	}
	return b.Jobs.Know(j, found, found != nil), nil
}

// cloneVerification returns a copy that work may change without the others seeing it before it is put.
func cloneVerification(v *verify.Verification) *verify.Verification {
	c := *v
	c.Deliveries = slices.Clone(v.Deliveries)
	return &c
}
