package sim

import (
	"context"
	"time"

	"github.com/dialproof/dialproof/internal/deliver"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/queue"
	"github.com/dialproof/dialproof/internal/store"
	"github.com/dialproof/dialproof/internal/store/memstore"
	"github.com/dialproof/dialproof/internal/verify"
)

// plant is a fault of the program, put in to see that it is found.
type plant string

// The planted faults.
const (
	plantNone       plant = ""
	plantNoLock     plant = "a check reads, and writes later without looking again"
	plantNoFence    plant = "a result is recorded by whoever comes, without the fence"
	plantShortLease plant = "a claim holds for a second, shorter than a call"
	plantJobLost    plant = "a start does not write its job"
	plantNumberLost plant = "a start does not write the number's row"
	plantEarlyAck   plant = "a write is acknowledged before it is durable"
	plantSameCode   plant = "a resend does not write the new generation"
	plantDeaf       plant = "jobs that are due are not claimed"
)

// fault is what happens to one operation of the store.
type fault struct {
	before, after bool // it fails: with nothing done, or with all done
	twice         bool // the work is run, thrown away, and run again
	crash         bool // the node dies behind it
	err           error
}

// chance draws the fault of an operation.
func (u *world) chance(string) (f fault) {
	if !u.stormy {
		return f
	}
	if time.Now().Before(u.away) || u.roll(u.failBefore) {
		f.before = true
		return f
	}
	return fault{after: u.roll(u.failAfter), twice: u.roll(u.twice)}
}

// nodeStore is the store as one node sees it: behind a network, and sometimes away.
type nodeStore struct {
	u  *world
	n  *node
	db *store.DB
	// next is the fault of the commit that runs.
	next memstore.Fault
}

func newNodeStore(u *world, n *node) *nodeStore {
	s := &nodeStore{u: u, n: n}
	s.db = store.Direct(memstore.New(u.data, memstore.Options{
		Now: time.Now, Committed: u.judge.committed,
		Fault: func(what string) (f memstore.Fault) {
			if what == "commit" {
				f, s.next = s.next, f
			}
			return f
		},
	}))
	return s
}

func unavailable() error {
	return &verify.Error{Code: verify.CodeUnavailable, Detail: "the store is away"}
}

// op runs one operation: others run before and after it, and it may fail on either side.
func (s *nodeStore) op(name string, apply func(f fault) error) error {
	u := s.u
	u.pause(s.wait())
	f := u.fault(name)
	if f.err == nil {
		f.err = unavailable()
	}
	if f.before || f.after {
		u.judge.trouble()
	}
	if f.before {
		u.note("%s: the store fails before", name)
		u.judge.failed(u.current)
		s.crash(f)
		return f.err
	}
	if err := apply(f); err != nil {
		u.pause(s.wait())
		return err
	}
	s.crash(f)
	u.pause(s.wait())
	if f.after {
		u.note("%s: the store fails after", name)
		u.judge.failed(u.current)
		return f.err
	}
	return nil
}

// crash ends the node behind an operation, when the fault says so.
func (s *nodeStore) crash(f fault) {
	if f.crash {
		s.u.spawn("reaper", nil, s.n.crash)
		s.u.until(0, func() bool { return false })
	}
}

func (s *nodeStore) wait() time.Duration {
	if !s.u.stormy || s.u.slow == 0 || !s.u.roll(0.3) {
		return 0
	}
	return s.u.between(0, s.u.slow)
}

// write runs a piece of work as one transaction.
func (s *nodeStore) write(name string, run func() error) error {
	return s.op(name, func(f fault) error {
		if f.twice {
			s.next.Conflicts = 1
		}
		if s.u.plant == plantNoLock {
			s.next.Between = func() { s.u.pause(0) }
		}
		if s.u.plant == plantEarlyAck {
			s.next.Discard = true
			if err := run(); err != nil {
				return err
			}
			s.n.spawn("commit", func() { s.u.pause(50 * time.Millisecond); _ = run() })
			return nil
		}
		return run()
	})
}

func (s *nodeStore) Do(ctx context.Context, n verify.Needs, f func(verify.Tx) error) error {
	return s.write("do", func() error {
		return s.db.Do(ctx, n,
			func(tx verify.Tx) error { return f(&planted{tx, nil, s.u.plant, s.u.current, map[id.ID]int{}}) })
	})
}

func (s *nodeStore) Update(ctx context.Context, ref, job id.ID, f func(deliver.Tx) error) error {
	return s.write("update", func() error {
		return s.db.Update(ctx, ref, job,
			func(tx deliver.Tx) error { return f(&planted{nil, tx, s.u.plant, s.u.current, nil}) })
	})
}

// planted is a transaction with a fault.
type planted struct {
	verify.Tx
	of    deliver.Tx
	plant plant
	task  *task
	// generations are those of the rows as they were read.
	generations map[id.ID]int
}

func (p *planted) Verification(v id.ID) (*verify.Verification, error) {
	row, err := p.Tx.Verification(v)
	if row != nil {
		if _, read := p.generations[v]; !read {
			p.generations[v] = row.Generation
		}
	}
	return row, err
}

func (p *planted) Parcel(ref id.ID) (*deliver.Parcel, error) { return p.of.Parcel(ref) }
func (p *planted) PutParcel(parcel *deliver.Parcel)          { p.of.PutParcel(parcel) }
func (p *planted) PutSent(key [16]byte, s deliver.Sent)      { p.of.PutSent(key, s) }

// both is what a transaction of either core has.
type both interface {
	Job(job id.ID) (*queue.Job, error)
	PutJob(queue.Job)
	DropJob(job id.ID)
}

func (p *planted) both() both {
	if p.of != nil {
		return p.of
	}
	return p.Tx
}

func (p *planted) DropJob(job id.ID) { p.both().DropJob(job) }

func (p *planted) PutJob(j queue.Job) {
	if p.plant == plantJobLost && j.Attempt <= 1 && len(j.Payload) == 0 && j.Kind == verify.JobKind && p.of == nil {
		return
	}
	p.both().PutJob(j)
}

func (p *planted) Job(job id.ID) (*queue.Job, error) {
	if p.plant == plantNoFence && p.task != nil && p.task.job != nil && p.task.job.ID == job {
		asked := p.task.job.Job
		return &asked, nil
	}
	return p.both().Job(job)
}

func (p *planted) PutNumber(n *verify.Number) {
	if p.plant != plantNumberLost {
		p.Tx.PutNumber(n)
	}
}

func (p *planted) PutVerification(v *verify.Verification, isNew bool) {
	if p.plant == plantSameCode && !isNew {
		if old, read := p.generations[v.ID]; read {
			c := *v
			c.Generation = old
			v = &c
		}
	}
	p.Tx.PutVerification(v, isNew)
}

func (s *nodeStore) Find(ctx context.Context, v id.ID) (out *verify.Verification, err error) {
	err = s.op("find", func(fault) (err error) { out, err = s.db.Find(ctx, v); return err })
	return out, err
}

func (s *nodeStore) NumberRow(ctx context.Context, k verify.NumberKey) (out *verify.Number, err error) {
	err = s.op("number", func(fault) (err error) { out, err = s.db.NumberRow(ctx, k); return err })
	return out, err
}

func (s *nodeStore) FindSent(ctx context.Context, key [16]byte) (out deliver.Sent, ok bool, err error) {
	err = s.op("sent", func(fault) (err error) { out, ok, err = s.db.FindSent(ctx, key); return err })
	return out, ok, err
}

func (s *nodeStore) Scan(ctx context.Context, app, before id.ID, yield func(*verify.Verification) bool) error {
	return s.op("scan", func(fault) error { return s.db.Scan(ctx, app, before, yield) })
}

func (s *nodeStore) Claim(ctx context.Context, now time.Time, kind string, n int,
	lease time.Duration) (out []queue.Job, err error) {
	err = s.op("claim", func(fault) (err error) {
		held := lease
		if s.u.plant == plantDeaf {
			return nil
		}
		if s.u.plant == plantShortLease {
			held = time.Second
		}
		out, err = s.db.Claim(ctx, now, kind, n, held)
		for i := range out {
			out[i].Due = now.Add(lease)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s *nodeStore) Return(ctx context.Context, now time.Time, jobs []queue.Job) error {
	return s.op("return", func(fault) error { return s.db.Return(ctx, now, jobs) })
}

func (s *nodeStore) Depth(ctx context.Context, now time.Time) (out queue.Depth, err error) {
	err = s.op("depth", func(fault) (err error) { out, err = s.db.Depth(ctx, now); return err })
	return out, err
}
