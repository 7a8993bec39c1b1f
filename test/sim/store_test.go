package sim

import (
	"context"
	"time"

	"github.com/dialproof/dialproof/internal/deliver"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/queue"
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
	u *world
	n *node
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
func (s *nodeStore) write(name string, run func(*work) error) error {
	return s.op(name, func(f fault) error {
		m := s.u.store
		if f.twice {
			_ = m.begin(&work{plant: s.u.plant, task: s.u.current}, run)
		}
		w := &work{plant: s.u.plant, task: s.u.current}
		if err := m.begin(w, run); err != nil {
			return err
		}
		switch s.u.plant {
		case plantNoLock:
			s.u.pause(0)
			m.commit(w)
		case plantEarlyAck:
			s.n.spawn("commit", func() { s.u.pause(50 * time.Millisecond); m.commit(w) })
		default:
			m.commit(w)
		}
		return nil
	})
}

func (s *nodeStore) Do(_ context.Context, n verify.Needs, f func(verify.Tx) error) error {
	return s.write("do", func(w *work) error { return f(w) })
}

func (s *nodeStore) Update(_ context.Context, _, _ id.ID, f func(deliver.Tx) error) error {
	return s.write("update", func(w *work) error { return f(w) })
}

func (s *nodeStore) Find(ctx context.Context, v id.ID) (out *verify.Verification, err error) {
	err = s.op("find", func(fault) (err error) { out, err = s.u.store.Find(ctx, v); return err })
	return out, err
}

func (s *nodeStore) NumberRow(ctx context.Context, k verify.NumberKey) (out *verify.Number, err error) {
	err = s.op("number", func(fault) (err error) { out, err = s.u.store.NumberRow(ctx, k); return err })
	return out, err
}

func (s *nodeStore) FindSent(ctx context.Context, key [16]byte) (out deliver.Sent, ok bool, err error) {
	err = s.op("sent", func(fault) (err error) { out, ok, err = s.u.store.FindSent(ctx, key); return err })
	return out, ok, err
}

func (s *nodeStore) Scan(ctx context.Context, app, before id.ID, yield func(*verify.Verification) bool) error {
	return s.op("scan", func(fault) error { return s.u.store.Scan(ctx, app, before, yield) })
}

func (s *nodeStore) Claim(_ context.Context, now time.Time, kind string, n int, lease time.Duration) (out []queue.Job, err error) {
	err = s.op("claim", func(fault) error { out = s.u.store.claim(now, kind, n, lease, s.u.plant); return nil })
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s *nodeStore) Return(ctx context.Context, now time.Time, jobs []queue.Job) error {
	return s.op("return", func(fault) error { return s.u.store.Return(ctx, now, jobs) })
}

func (s *nodeStore) Depth(ctx context.Context, now time.Time) (out queue.Depth, err error) {
	err = s.op("depth", func(fault) (err error) { out, err = s.u.store.Depth(ctx, now); return err })
	return out, err
}
