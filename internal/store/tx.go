package store

import (
	"time"

	"github.com/dialproof/dialproof/internal/deliver"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/queue"
	"github.com/dialproof/dialproof/internal/verify"
	"github.com/dialproof/dialproof/internal/webhook"
)

// tx is one piece of work on a batch: it reads copies and gathers what is put, so that work that fails half way has
// changed nothing.
type tx struct {
	b     *Batch
	watch Watcher
	fatal error // the store failed, not the work

	numbers       []*verify.Number
	verifications []putVerification
	limits        []putLimit
	replays       []putReplay
	jobs          []putJob
	sent          []putSent
	events        []webhook.Event

	absent []verify.NumberKey   // numbers that were read and have no row
	last   *verify.Verification // the copy that was read last
	loaded *verify.Verification // the row behind the parcel that was read last
}

// reset begins the next piece of work, in the memory of the one before.
func (t *tx) reset(b *Batch, watch Watcher) {
	*t = tx{
		b:             b,
		watch:         watch,
		numbers:       empty(t.numbers),
		verifications: empty(t.verifications),
		limits:        empty(t.limits),
		replays:       empty(t.replays),
		jobs:          empty(t.jobs),
		sent:          empty(t.sent),
		events:        empty(t.events),
		absent:        empty(t.absent),
	}
}

// empty returns the slice without its elements, and lets go of what they point to.
func empty[S ~[]E, E any](s S) S {
	clear(s)
	return s[:0]
}

type (
	putVerification struct {
		v     *verify.Verification
		isNew bool
	}
	putLimit struct {
		key [16]byte
		tat int64
	}
	putReplay struct {
		key [32]byte
		Replay
	}
	putJob struct {
		id  id.ID
		job *queue.Job // nil: drop it
	}
	putSent struct {
		key [16]byte
		deliver.Sent
	}
)

var (
	_ verify.Tx  = (*tx)(nil)
	_ deliver.Tx = (*tx)(nil)
)

// apply makes what was put the batch's own.
func (t *tx) apply() {
	b := t.b
	for _, n := range t.numbers {
		b.Numbers.put(n.Key, n)
	}
	for _, p := range t.verifications {
		t.tell(p)
		// A row that this batch has not seen is there, unless it is new.
		if !p.isNew && b.Verifications.of[p.v.ID] == nil {
			b.Verifications.Know(p.v.ID, nil, true)
		}
		b.Verifications.put(p.v.ID, p.v)
	}
	for _, p := range t.limits {
		b.Limits.put(p.key, p.tat)
	}
	for _, p := range t.replays {
		b.Replays.put(p.key, p.Replay)
	}
	for _, p := range t.jobs {
		if p.job == nil {
			b.Jobs.drop(p.id)
		} else {
			b.Jobs.put(p.id, p.job)
		}
	}
	for _, p := range t.sent {
		b.Sent.put(p.key, p.Sent)
	}
	b.Events = append(b.Events, t.events...)
	if b.exclusive && len(t.verifications)+len(t.jobs) > 0 {
		t.hold()
	}
}

// tell gathers the events of a change. It comes before the change is the batch's own: what is there now is what was
// before.
func (t *tx) tell(p putVerification) {
	if t.watch == nil {
		return
	}
	var before *verify.Verification
	if !p.isNew {
		r := t.b.Verifications.of[p.v.ID]
		if r == nil || !r.There {
			return // written without having been read: nobody knows what has changed
		}
		before = r.Value
	}
	// Work that is run again puts what it has put before, with the events of the first run counted.
	if p.v.Events = 0; before != nil {
		p.v.Events = before.Events
	}
	t.events = append(t.events, t.watch.Changed(before, p.v)...)
}

// hold makes the rows of numbers that this work found missing: a row that is not there cannot be locked, but its making
// is refused when somebody else has made it meanwhile, and then the batch runs again.
func (t *tx) hold() {
	for _, k := range t.absent {
		if r := t.b.Numbers.of[k]; !r.There {
			t.b.Numbers.put(k, &verify.Number{Key: k})
		}
	}
}

// check remembers a failure of the store.
func (t *tx) check(err error) error {
	if err != nil && t.fatal == nil {
		t.fatal = err
	}
	return err
}

// Number implements verify.Tx.
func (t *tx) Number(k verify.NumberKey) (*verify.Number, error) {
	e, err := t.b.number(k)
	if err != nil {
		return nil, t.check(err)
	}
	if !e.There {
		t.absent = append(t.absent, k)
		return &verify.Number{Key: k}, nil
	}
	n := *e.Value // its slices are never changed in place
	return &n, nil
}

// Verification implements verify.Tx.
func (t *tx) Verification(v id.ID) (*verify.Verification, error) {
	if t.last != nil && t.last.ID == v {
		return t.last, nil // the work's own copy already
	}
	e, err := t.b.verification(v)
	if err != nil || !e.There {
		return nil, t.check(err)
	}
	t.last = cloneVerification(e.Value)
	return t.last, nil
}

// Limit implements verify.Tx.
func (t *tx) Limit(key [16]byte) (int64, error) {
	e, err := t.b.limit(key)
	if err != nil {
		return 0, t.check(err)
	}
	return e.Value, nil
}

// Replay implements verify.Tx.
func (t *tx) Replay(key [32]byte, now time.Time) (fingerprint [32]byte, sealed []byte, ok bool, err error) {
	e, err := t.b.replay(key)
	if err != nil || !e.There || e.Value.Until <= now.UnixMilli() {
		return fingerprint, nil, false, t.check(err)
	}
	return e.Value.Fingerprint, e.Value.Sealed, true, nil
}

// PutNumber implements verify.Tx.
func (t *tx) PutNumber(n *verify.Number) { t.numbers = append(t.numbers, n) }

// PutVerification implements verify.Tx.
func (t *tx) PutVerification(v *verify.Verification, isNew bool) {
	t.verifications = append(t.verifications, putVerification{v, isNew})
}

// PutLimit implements verify.Tx.
func (t *tx) PutLimit(key [16]byte, tat int64) { t.limits = append(t.limits, putLimit{key, tat}) }

// PutReplay implements verify.Tx.
func (t *tx) PutReplay(key, fingerprint [32]byte, sealed []byte, until time.Time) {
	t.replays = append(t.replays, putReplay{key, Replay{fingerprint, sealed, until.UnixMilli()}})
}

// PutJob implements verify.Tx and deliver.Tx.
func (t *tx) PutJob(j queue.Job) {
	t.jobs = append(t.jobs, putJob{j.ID, &j})
}

// Job implements verify.Tx and deliver.Tx.
func (t *tx) Job(job id.ID) (*queue.Job, error) {
	e, err := t.b.job(job)
	if err != nil || !e.There {
		return nil, t.check(err)
	}
	j := *e.Value
	return &j, nil
}

// DropJob implements verify.Tx and deliver.Tx.
func (t *tx) DropJob(job id.ID) { t.jobs = append(t.jobs, putJob{id: job}) }

// PutSent implements deliver.Tx.
func (t *tx) PutSent(key [16]byte, s deliver.Sent) { t.sent = append(t.sent, putSent{key, s}) }

// Parcel implements deliver.Tx.
func (t *tx) Parcel(ref id.ID) (*deliver.Parcel, error) {
	v, err := t.Verification(ref)
	if err != nil || v == nil {
		return nil, err
	}
	t.loaded = v
	return &deliver.Parcel{
		Ref:        ref,
		Open:       v.Status == verify.Pending,
		Expires:    v.Expires,
		Country:    v.Spec.Country,
		Prefix:     v.Spec.Prefix,
		Deliveries: v.Deliveries,
		Timer:      v.Timer,
		Wait:       v.Wait(),
	}, nil
}

// PutParcel implements deliver.Tx. Only the deliveries and the timer of a parcel change.
func (t *tx) PutParcel(p *deliver.Parcel) {
	v := t.loaded
	v.Deliveries, v.Timer = p.Deliveries, p.Timer
	t.PutVerification(v, false)
}
