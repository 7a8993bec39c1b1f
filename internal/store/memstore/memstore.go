// Package memstore is an engine that keeps its rows in memory: for tests and simulations, which choose when it fails.
// It passes the suite of the engines that are on a disk. It is no cache, and nothing of it survives its process.
package memstore

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/deliver"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/queue"
	"github.com/dialproof/dialproof/internal/store"
	"github.com/dialproof/dialproof/internal/store/row"
	"github.com/dialproof/dialproof/internal/verify"
	"github.com/dialproof/dialproof/internal/webhook"
)

// Fault is what happens to one commit or read.
type Fault struct {
	// Before and After fail it: with nothing done, or with all done. Err is the failure; nil: the store is unavailable.
	Before, After bool
	Err           error
	// Conflicts is how often its work is run and rolled back, because another transaction was in its way, before it goes
	// through. Others may commit meanwhile.
	Conflicts int
	// Discard runs the work, takes it back, and says that it was done. It is a fault of a store, which tests plant.
	Discard bool
	// Between is called between the work and its effect, without the lock of the rows: others may commit meanwhile, and
	// are not seen. It is a fault of a store, which tests plant. Nil: nothing is between them.
	Between func()
}

// Change is what one commit did to a verification or a job.
type Change struct {
	Before, After       *verify.Verification // nil: no verification was written
	JobBefore, JobAfter *queue.Job
	Job                 bool // a job was written or dropped
}

// Options say how an engine behaves. Zero values do nothing.
type Options struct {
	// Writers is how many batches may be committed at once; 1.
	Writers int
	Now     func() time.Time // time.Now
	// Fault is asked before each commit ("commit") and read ("read").
	Fault func(what string) Fault
	// Committed is told of each change of a verification or a job, after its commit.
	Committed func(Change)
}

// Data is the rows, on which any number of engines may work, as nodes on one database.
type Data struct {
	mu            sync.Mutex
	verifications map[id.ID]*verify.Verification
	numbers       map[verify.NumberKey]*verify.Number
	limits        map[[16]byte]int64
	replays       map[[32]byte]store.Replay
	jobs          map[id.ID]*queue.Job
	sent          map[[16]byte]deliver.Sent
	apps          map[id.ID]application.Application
	keys          map[id.ID]application.Key
	webhooks      map[id.ID]webhook.Endpoint
	events        map[id.ID]webhook.Event
	leases        map[string]time.Time
	marks         map[string]int64
	version       int64
}

// NewData returns rows without any.
func NewData() *Data {
	return &Data{
		verifications: map[id.ID]*verify.Verification{},
		numbers:       map[verify.NumberKey]*verify.Number{},
		limits:        map[[16]byte]int64{},
		replays:       map[[32]byte]store.Replay{},
		jobs:          map[id.ID]*queue.Job{},
		sent:          map[[16]byte]deliver.Sent{},
		apps:          map[id.ID]application.Application{},
		keys:          map[id.ID]application.Key{},
		webhooks:      map[id.ID]webhook.Endpoint{},
		events:        map[id.ID]webhook.Event{},
		leases:        map[string]time.Time{},
		marks:         map[string]int64{},
		version:       1,
	}
}

// Verification returns a row, which nobody may change, or nil.
func (d *Data) Verification(v id.ID) *verify.Verification {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.verifications[v]
}

// Verifications returns all rows, oldest first.
func (d *Data) Verifications() []*verify.Verification {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ordered()
}

// Job returns a row, which nobody may change, or nil.
func (d *Data) Job(j id.ID) *queue.Job {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.jobs[j]
}

// Jobs returns all rows, those that are due first in front.
func (d *Data) Jobs() []queue.Job {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := make([]queue.Job, 0, len(d.jobs))
	for _, j := range d.jobs {
		out = append(out, *j)
	}
	slices.SortFunc(out, byDue)
	return out
}

// OpenJobs returns how many jobs there are.
func (d *Data) OpenJobs() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.jobs)
}

// SetJob writes a row without a transaction.
func (d *Data) SetJob(j queue.Job) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.jobs[j.ID] = &j
}

func byDue(a, b queue.Job) int { return cmp.Or(a.Due.Compare(b.Due), bytes.Compare(a.ID[:], b.ID[:])) }

// Engine is one node's way to the rows.
type Engine struct {
	d *Data
	o Options
}

var _ store.Engine = (*Engine)(nil)

// New returns an engine on rows.
func New(d *Data, o Options) *Engine {
	if o.Writers == 0 {
		o.Writers = 1
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Fault == nil {
		o.Fault = func(string) Fault { return Fault{} }
	}
	return &Engine{d: d, o: o}
}

// Writers implements store.Engine.
func (e *Engine) Writers() int { return e.o.Writers }

// Now implements store.Engine.
func (e *Engine) Now() time.Time { return e.o.Now() }

// Close implements store.Engine. The rows stay.
func (*Engine) Close() error { return nil }

// failure returns the error of a fault.
func (f Fault) failure() error {
	if f.Err != nil {
		return f.Err
	}
	return &verify.Error{Code: verify.CodeUnavailable, Detail: "the store is away"}
}

// Commit implements store.Engine.
func (e *Engine) Commit(_ context.Context, _ int, b *store.Batch) error {
	f := e.o.Fault("commit")
	if f.Before {
		return f.failure()
	}
	b.SharesRows()
	for range f.Conflicts {
		if err := e.try(b, Fault{}, true); err != nil {
			return err
		}
	}
	if f.Discard {
		return e.try(b, Fault{}, true)
	}
	if err := e.try(b, f, false); err != nil {
		return err
	}
	if f.After {
		return f.failure()
	}
	return nil
}

// try runs a batch, and takes it back when it fails or is in somebody's way.
func (e *Engine) try(b *store.Batch, f Fault, conflict bool) error {
	changes, err := e.run(b, f, conflict)
	if e.o.Committed != nil {
		for _, c := range changes {
			e.o.Committed(c)
		}
	}
	return err
}

func (e *Engine) run(b *store.Batch, f Fault, conflict bool) ([]Change, error) {
	e.d.mu.Lock()
	defer e.d.mu.Unlock()
	b.Reset()
	t := &transaction{Data: e.d}
	err := b.Run(t)
	if err != nil || conflict {
		t.rollback()
		return nil, err
	}
	if f.Between != nil {
		e.d.mu.Unlock()
		f.Between()
		e.d.mu.Lock()
	}
	return e.d.apply(b), nil
}

// apply writes what a batch has changed.
func (d *Data) apply(b *store.Batch) (changes []Change) {
	for _, k := range b.Numbers.Changed {
		d.numbers[k] = copyNumber(b.Numbers.Get(k).Value)
	}
	for _, k := range b.Verifications.Changed {
		r := b.Verifications.Get(k)
		if r.Kept && row.Forgotten(r.Value) {
			drop(d.events, func(e webhook.Event) bool { return e.Ref == k })
		}
		c := Change{Before: d.verifications[k], After: copyVerification(r.Value)}
		d.verifications[k] = c.After
		changes = append(changes, c)
	}
	for _, k := range b.Limits.Changed {
		d.limits[k] = b.Limits.Get(k).Value
	}
	for _, k := range b.Replays.Changed {
		d.replays[k] = b.Replays.Get(k).Value
	}
	for _, k := range b.Jobs.Changed {
		r, c := b.Jobs.Get(k), Change{Job: true, JobBefore: d.jobs[k]}
		if r.There {
			c.JobAfter = copyJob(r.Value)
			d.jobs[k] = c.JobAfter
		} else {
			delete(d.jobs, k)
		}
		if c.JobBefore != nil || c.JobAfter != nil {
			changes = append(changes, c)
		}
	}
	for _, k := range b.Sent.Changed {
		d.sent[k] = b.Sent.Get(k).Value
	}
	for i := range b.Events {
		d.events[b.Events[i].ID] = b.Events[i]
	}
	return changes
}

func copyVerification(v *verify.Verification) *verify.Verification {
	if v == nil {
		return nil
	}
	c := *v
	c.Deliveries = slices.Clone(v.Deliveries)
	return &c
}

func copyNumber(n *verify.Number) *verify.Number {
	if n == nil {
		return nil
	}
	c := *n
	c.Sends.Sends = slices.Clone(n.Sends.Sends)
	c.Latest = slices.Clone(n.Latest)
	return &c
}

func copyJob(j *queue.Job) *queue.Job {
	if j == nil {
		return nil
	}
	c := *j
	c.Payload = slices.Clone(j.Payload)
	return &c
}

// drop deletes the rows that are over, and returns how many.
func drop[K comparable, V any](rows map[K]V, over func(V) bool) (n int) {
	for k, v := range rows {
		if over(v) {
			delete(rows, k)
			n++
		}
	}
	return n
}

// read runs f with the rows locked.
func read[T any](e *Engine, f func(*Data) (T, error)) (out T, err error) {
	if f := e.o.Fault("read"); f.Before || f.After {
		return out, f.failure()
	}
	e.d.mu.Lock()
	defer e.d.mu.Unlock()
	return f(e.d)
}

// Find implements verify.Store.
func (e *Engine) Find(_ context.Context, v id.ID) (*verify.Verification, error) {
	return read(e, func(d *Data) (*verify.Verification, error) { return copyVerification(d.verifications[v]), nil })
}

// NumberRow implements verify.Store.
func (e *Engine) NumberRow(_ context.Context, k verify.NumberKey) (*verify.Number, error) {
	return read(e, func(d *Data) (*verify.Number, error) { return copyNumber(d.numbers[k]), nil })
}

// FindSent implements deliver.Store.
func (e *Engine) FindSent(_ context.Context, key [16]byte) (s deliver.Sent, ok bool, err error) {
	s, err = read(e, func(d *Data) (deliver.Sent, error) { s, ok = d.sent[key]; return s, nil })
	return s, ok, err
}

// ordered returns all verifications, oldest first.
func (d *Data) ordered() []*verify.Verification {
	out := make([]*verify.Verification, 0, len(d.verifications))
	for _, v := range d.verifications {
		out = append(out, copyVerification(v))
	}
	slices.SortFunc(out, func(a, b *verify.Verification) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return out
}

// Scan implements verify.Store.
func (e *Engine) Scan(_ context.Context, app, before id.ID, yield func(*verify.Verification) bool) error {
	all, err := read(e, func(d *Data) ([]*verify.Verification, error) { return d.ordered(), nil })
	for _, v := range slices.Backward(all) {
		if v.App == app && (before.IsZero() || bytes.Compare(v.ID[:], before[:]) < 0) && !yield(v) {
			break
		}
	}
	return err
}

// Remembered implements store.Reader.
func (e *Engine) Remembered(_ context.Context, after, end id.ID) (out []*verify.Verification, err error) {
	all, err := read(e, func(d *Data) ([]*verify.Verification, error) { return d.ordered(), nil })
	for _, v := range all {
		if bytes.Compare(v.ID[:], after[:]) > 0 && bytes.Compare(v.ID[:], end[:]) < 0 && v.Sealed != nil &&
			len(out) < store.PurgeStep {
			out = append(out, v)
		}
	}
	return out, err
}

// Last implements store.Reader.
func (e *Engine) Last(context.Context) (id.ID, error) {
	return read(e, func(d *Data) (last id.ID, err error) {
		for v := range d.verifications {
			last = later(last, v)
		}
		for j := range d.jobs {
			last = later(last, j)
		}
		return last, nil
	})
}

func later(a, b id.ID) id.ID {
	if bytes.Compare(a[:], b[:]) < 0 {
		return b
	}
	return a
}

// waiting returns the jobs of a kind that are due, oldest due first.
func (d *Data) waiting(kind string, now time.Time) (out []queue.Job) {
	for _, j := range d.jobs {
		if j.Kind == kind && !j.Due.After(now) {
			out = append(out, *copyJob(j))
		}
	}
	slices.SortFunc(out, byDue)
	return out
}

// AnyDue implements store.Reader.
func (e *Engine) AnyDue(_ context.Context, kind string, now time.Time) (bool, error) {
	return read(e, func(d *Data) (bool, error) { return len(d.waiting(kind, now)) > 0, nil })
}

// Depth implements queue.Store.
func (e *Engine) Depth(_ context.Context, now time.Time) (queue.Depth, error) {
	return read(e, func(d *Data) (queue.Depth, error) {
		out := queue.Depth{Open: len(d.jobs), Oldest: map[string]time.Duration{}}
		for _, j := range d.jobs {
			out.Overdue = max(out.Overdue, now.Sub(j.Due))
			out.Oldest[j.Kind] = max(out.Oldest[j.Kind], now.Sub(j.ID.Time()))
		}
		return out, nil
	})
}

// Applications implements application.Store.
func (e *Engine) Applications(context.Context) ([]application.Application, error) {
	return read(e, func(d *Data) ([]application.Application, error) { return byID(d.apps), nil })
}

// Keys implements application.Store.
func (e *Engine) Keys(context.Context) ([]application.Key, error) {
	return read(e, func(d *Data) ([]application.Key, error) { return byID(d.keys), nil })
}

// Webhooks implements webhook.Store.
func (e *Engine) Webhooks(context.Context) ([]webhook.Endpoint, error) {
	return read(e, func(d *Data) ([]webhook.Endpoint, error) { return byID(d.webhooks), nil })
}

// byID returns rows in the order of their ids.
func byID[V any](rows map[id.ID]V) (out []V) {
	keys := make([]id.ID, 0, len(rows))
	for k := range rows {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b id.ID) int { return bytes.Compare(a[:], b[:]) })
	for _, k := range keys {
		out = append(out, rows[k])
	}
	return out
}

// Version implements application.Store.
func (e *Engine) Version(context.Context) (int64, error) {
	return read(e, func(d *Data) (int64, error) { return d.version, nil })
}

// Mark implements store.Reader.
func (e *Engine) Mark(_ context.Context, name string) (int64, error) {
	return read(e, func(d *Data) (int64, error) { return d.marks[name], nil })
}

// Lanes implements webhook.Store.
func (e *Engine) Lanes(ctx context.Context) (out []webhook.Lane, err error) {
	all, err := e.Backlogs(ctx)
	for _, b := range all {
		out = append(out, b.Lane)
	}
	return out, err
}

// Backlogs implements webhook.Store.
func (e *Engine) Backlogs(context.Context) ([]webhook.Backlog, error) {
	return read(e, func(d *Data) ([]webhook.Backlog, error) {
		found := map[id.ID]webhook.Backlog{}
		for _, v := range d.events {
			if v.Due.IsZero() {
				continue
			}
			b, there := found[v.Endpoint]
			if !there || v.Due.Before(b.First) {
				b.Endpoint, b.First = v.Endpoint, v.Due
			}
			b.Open++
			found[v.Endpoint] = b
		}
		return byID(found), nil
	})
}

// Events implements webhook.Store.
func (e *Engine) Events(_ context.Context, endpoint id.ID, p webhook.Page) ([]webhook.Event, error) {
	return read(e, func(d *Data) (out []webhook.Event, err error) {
		for _, v := range slices.Backward(byID(d.events)) {
			if v.Endpoint == endpoint && (p.Before.IsZero() || bytes.Compare(v.ID[:], p.Before[:]) < 0) &&
				(p.State == nil || v.State == *p.State) && len(out) < p.Limit {
				out = append(out, v)
			}
		}
		return out, nil
	})
}
