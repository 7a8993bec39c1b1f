package sim

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/deliver"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/queue"
	"github.com/dialproof/dialproof/internal/store/storetest"
	"github.com/dialproof/dialproof/internal/verify"
)

// TestMemory: a fake that passes the suite may stand for a real store.
func TestMemory(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) storetest.Store { return newMemory() })
}

// memory is a store that keeps everything in maps and runs one piece of work at a time.
type memory struct {
	mu            sync.Mutex
	verifications map[id.ID]*verify.Verification
	numbers       map[verify.NumberKey]*verify.Number
	limits        map[[16]byte]int64
	replays       map[[32]byte]replay
	jobs          map[id.ID]queue.Job
	sent          map[[16]byte]deliver.Sent
	apps          map[id.ID]application.Application
	keys          map[id.ID]application.Key
	version       int64
	// committed is told of each change of a verification or a job, in the order of the commits; nil: nobody asks.
	committed func(change)
}

// change is what one piece of work did to the rows that matter.
type change struct {
	before, after *verify.Verification // nil: no verification was written
	jobBefore     *queue.Job
	jobAfter      *queue.Job
	job           bool // a job was written or dropped
}

type replay struct {
	fingerprint [32]byte
	sealed      []byte
	until       time.Time
}

func newMemory() *memory {
	return &memory{
		verifications: map[id.ID]*verify.Verification{}, numbers: map[verify.NumberKey]*verify.Number{}, limits: map[[16]byte]int64{},
		replays: map[[32]byte]replay{}, jobs: map[id.ID]queue.Job{}, sent: map[[16]byte]deliver.Sent{},
		apps: map[id.ID]application.Application{}, keys: map[id.ID]application.Key{}, version: 1,
	}
}

// work is one piece of work: what it reads is current, what it puts is written when it has succeeded.
type work struct {
	m      *memory
	writes []func()
	done   []change
	loaded *verify.Verification
	plant  plant
	task   *task
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
	c := *n
	c.Sends.Sends = slices.Clone(n.Sends.Sends)
	c.Latest = slices.Clone(n.Latest)
	return &c
}

func kept(j queue.Job) queue.Job {
	j.Payload = slices.Clone(j.Payload)
	return j
}

func (w *work) Number(k verify.NumberKey) (*verify.Number, error) {
	if n := w.m.numbers[k]; n != nil {
		return copyNumber(n), nil
	}
	return &verify.Number{Key: k}, nil
}

func (w *work) Verification(v id.ID) (*verify.Verification, error) {
	return copyVerification(w.m.verifications[v]), nil
}

func (w *work) Limit(key [16]byte) (int64, error) { return w.m.limits[key], nil }

func (w *work) Replay(key [32]byte) (fingerprint [32]byte, sealed []byte, ok bool, err error) {
	r, ok := w.m.replays[key]
	return r.fingerprint, r.sealed, ok, nil
}

func (w *work) put(f func()) { w.writes = append(w.writes, f) }

func (w *work) PutNumber(n *verify.Number) {
	if w.plant == plantNumberLost {
		return
	}
	n = copyNumber(n)
	w.put(func() { w.m.numbers[n.Key] = n })
}

func (w *work) PutVerification(v *verify.Verification, isNew bool) {
	v = copyVerification(v)
	w.put(func() {
		old := w.m.verifications[v.ID]
		if w.plant == plantSameCode && old != nil {
			v.Generation = old.Generation
		}
		if (old == nil) != isNew {
			panic(fmt.Sprintf("verification %s: written as new: %t, there before: %t", v.ID.Text(id.Verification), isNew, old != nil))
		}
		w.m.verifications[v.ID] = v
		w.done = append(w.done, change{before: old, after: v})
	})
}

func (w *work) PutLimit(key [16]byte, tat int64) { w.put(func() { w.m.limits[key] = tat }) }

func (w *work) PutReplay(key, fingerprint [32]byte, sealed []byte, until time.Time) {
	w.put(func() {
		if _, there := w.m.replays[key]; !there {
			w.m.replays[key] = replay{fingerprint, slices.Clone(sealed), until}
		}
	})
}

func (w *work) PutJob(j queue.Job) {
	if w.plant == plantJobLost && j.Attempt == 1 && len(j.Payload) == 0 {
		return
	}
	j = kept(j)
	w.put(func() {
		c := change{job: true, jobAfter: &j}
		if old, there := w.m.jobs[j.ID]; there {
			c.jobBefore = &old
		}
		w.m.jobs[j.ID] = j
		w.done = append(w.done, c)
	})
}

func (w *work) Job(job id.ID) (*queue.Job, error) {
	j, there := w.m.jobs[job]
	if w.plant == plantNoFence && w.task != nil && w.task.job != nil && w.task.job.ID == job {
		asked := kept(w.task.job.Job)
		return &asked, nil
	}
	if !there {
		return nil, nil
	}
	j = kept(j)
	return &j, nil
}

func (w *work) DropJob(job id.ID) {
	w.put(func() {
		if old, there := w.m.jobs[job]; there {
			delete(w.m.jobs, job)
			w.done = append(w.done, change{job: true, jobBefore: &old})
		}
	})
}

func (w *work) PutSent(key [16]byte, s deliver.Sent) { w.put(func() { w.m.sent[key] = s }) }

func (w *work) Parcel(ref id.ID) (*deliver.Parcel, error) {
	v := copyVerification(w.m.verifications[ref])
	if v == nil {
		return nil, nil
	}
	w.loaded = v
	return &deliver.Parcel{
		Ref: ref, Open: v.Status == verify.Pending, Expires: v.Expires, Country: v.Spec.Country, Prefix: v.Spec.Prefix,
		Deliveries: slices.Clone(v.Deliveries), Timer: v.Timer, Wait: v.Wait(),
	}, nil
}

func (w *work) PutParcel(p *deliver.Parcel) {
	v := *w.loaded
	v.Deliveries, v.Timer = p.Deliveries, p.Timer
	w.PutVerification(&v, false)
}

// begin reads and gathers; nothing is written before commit.
func (m *memory) begin(w *work, run func(*work) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("work panicked: %v", p)
		}
	}()
	w.m = m
	return run(w)
}

// commit writes what w put.
func (m *memory) commit(w *work) {
	for _, f := range w.writes {
		f()
	}
	if m.committed != nil {
		for _, c := range w.done {
			m.committed(c)
		}
	}
}

func (m *memory) do(run func(*work) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	w := &work{}
	if err := m.begin(w, run); err != nil {
		return err
	}
	m.commit(w)
	return nil
}

func (m *memory) Do(_ context.Context, _ verify.Needs, f func(verify.Tx) error) error {
	return m.do(func(w *work) error { return f(w) })
}

func (m *memory) Update(_ context.Context, _, _ id.ID, f func(deliver.Tx) error) error {
	return m.do(func(w *work) error { return f(w) })
}

func (m *memory) Find(_ context.Context, v id.ID) (*verify.Verification, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return copyVerification(m.verifications[v]), nil
}

func (m *memory) NumberRow(_ context.Context, k verify.NumberKey) (*verify.Number, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := m.numbers[k]; n != nil {
		return copyNumber(n), nil
	}
	return nil, nil
}

func (m *memory) FindSent(_ context.Context, key [16]byte) (deliver.Sent, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, ok := m.sent[key]
	return s, ok, nil
}

// ordered answers all verifications, oldest first.
func (m *memory) ordered() []*verify.Verification {
	out := make([]*verify.Verification, 0, len(m.verifications))
	for _, v := range m.verifications {
		out = append(out, v)
	}
	slices.SortFunc(out, func(a, b *verify.Verification) int { return cmp.Compare(a.ID.Seq(), b.ID.Seq()) })
	return out
}

func (m *memory) Scan(_ context.Context, app, before id.ID, yield func(*verify.Verification) bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, v := range slices.Backward(m.ordered()) {
		if v.App == app && (before.IsZero() || v.ID.Seq() < before.Seq()) && !yield(copyVerification(v)) {
			return nil
		}
	}
	return nil
}

// waiting answers the jobs, those that are due first in front.
func (m *memory) waiting() []queue.Job {
	out := make([]queue.Job, 0, len(m.jobs))
	for _, j := range m.jobs {
		out = append(out, j)
	}
	slices.SortFunc(out, func(a, b queue.Job) int {
		return cmp.Or(a.Due.Compare(b.Due), cmp.Compare(a.ID.Seq(), b.ID.Seq()))
	})
	return out
}

func (m *memory) Claim(_ context.Context, now time.Time, kind string, n int, lease time.Duration) ([]queue.Job, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.claim(now, kind, n, lease, plantNone), nil
}

func (m *memory) claim(now time.Time, kind string, n int, lease time.Duration, p plant) (out []queue.Job) {
	w := &work{m: m}
	for _, j := range m.waiting() {
		if j.Due.After(now) || len(out) == n || p == plantDeaf {
			break
		}
		if j.Kind != kind {
			continue
		}
		j.Attempt++
		j.Hold(now.Add(lease))
		row := j
		if p == plantShortLease {
			row.Due = now.Add(time.Second)
		}
		w.PutJob(row)
		out = append(out, kept(j))
	}
	m.commit(w)
	return out
}

func (m *memory) Return(_ context.Context, now time.Time, jobs []queue.Job) error {
	return m.do(func(w *work) error {
		for _, j := range jobs {
			if k, there := m.jobs[j.ID]; there && k.Attempt == j.Attempt {
				k.PutOff(now)
				w.PutJob(k)
			}
		}
		return nil
	})
}

func (m *memory) Depth(_ context.Context, now time.Time) (queue.Depth, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := queue.Depth{Open: len(m.jobs), Oldest: map[string]time.Duration{}}
	for _, j := range m.jobs {
		d.Overdue = max(d.Overdue, now.Sub(j.Due))
		d.Oldest[j.Kind] = max(d.Oldest[j.Kind], now.Sub(j.ID.Time()))
	}
	return d, nil
}

// last answers the newest id, so that new ones come after it.
func (m *memory) last() (out id.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for v := range m.verifications {
		if v.Seq() > out.Seq() {
			out = v
		}
	}
	for j := range m.jobs {
		if j.Seq() > out.Seq() {
			out = j
		}
	}
	return out
}

func (m *memory) Forget(_ context.Context, after id.ID, before time.Time) (last id.ID, n int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	last = after
	for _, v := range m.ordered() {
		if v.ID.Seq() > after.Seq() && v.Spec.Created.Before(before) && v.Sealed != nil {
			c := copyVerification(v)
			c.Forget()
			m.verifications[v.ID] = c
			last, n = v.ID, n+1
		}
	}
	return last, n, nil
}

func (m *memory) Purge(_ context.Context, now, untouched time.Time) (n int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n += drop(m.replays, func(r replay) bool { return r.until.Before(now) })
	n += drop(m.sent, func(s deliver.Sent) bool { return s.Until.Before(now) })
	n += drop(m.limits, func(tat int64) bool { return tat < now.UnixMilli() })
	return n + drop(m.numbers, func(k *verify.Number) bool { return k.Head.Time().Before(untouched) }), nil
}

func drop[K comparable, V any](rows map[K]V, over func(V) bool) (n int) {
	for k, v := range rows {
		if over(v) {
			delete(rows, k)
			n++
		}
	}
	return n
}

func (m *memory) Applications(context.Context) (out []application.Application, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, a := range m.apps {
		out = append(out, a)
	}
	return out, nil
}

func (m *memory) Keys(context.Context) (out []application.Key, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, k := range m.keys {
		out = append(out, k)
	}
	return out, nil
}

func (m *memory) PutApplication(_ context.Context, a application.Application) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.apps[a.ID] = a
	m.version++
	return nil
}

func (m *memory) PutKey(_ context.Context, k application.Key) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	k.LastUsed = m.keys[k.ID].LastUsed
	m.keys[k.ID] = k
	m.version++
	return nil
}

func (m *memory) TouchKeys(_ context.Context, used map[id.ID]time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for k, at := range used {
		row, there := m.keys[k]
		if there && at.After(row.LastUsed) {
			row.LastUsed = at
			m.keys[k] = row
		}
	}
	return nil
}

func (m *memory) Version(context.Context) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.version, nil
}
