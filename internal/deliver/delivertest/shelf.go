// Package delivertest has what tests of delivery need: a store in memory, and a trial that sends one message under the
// real handler.
package delivertest

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/dialproof/dialproof/internal/deliver"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/queue"
)

// Shelf is a deliver.Store and a queue.Store in memory, one piece of work at a time. Its fields are guarded by its
// lock.
type Shelf struct {
	sync.Mutex
	Parcels map[id.ID]deliver.Parcel
	Jobs    map[id.ID]queue.Job
	Sent    map[[16]byte]deliver.Sent
	// Broken is the answer to everything while it is set.
	Broken error
}

// NewShelf returns an empty one.
func NewShelf() *Shelf {
	return &Shelf{Parcels: map[id.ID]deliver.Parcel{}, Jobs: map[id.ID]queue.Job{}, Sent: map[[16]byte]deliver.Sent{}}
}

// FindSent implements deliver.Store.
func (s *Shelf) FindSent(_ context.Context, key [16]byte) (deliver.Sent, bool, error) {
	s.Lock()
	defer s.Unlock()
	found, ok := s.Sent[key]
	return found, ok, s.Broken
}

// Update implements deliver.Store.
func (s *Shelf) Update(_ context.Context, _, _ id.ID, work func(deliver.Tx) error) error {
	s.Lock()
	defer s.Unlock()
	if s.Broken != nil {
		return s.Broken
	}
	tx := &tx{s: s}
	if err := work(tx); err != nil {
		return err
	}
	for _, w := range tx.writes {
		w()
	}
	return nil
}

// Claim implements queue.Store.
func (s *Shelf) Claim(_ context.Context, now time.Time, kind string, n int,
	lease time.Duration) (out []queue.Job, err error) {
	s.Lock()
	defer s.Unlock()
	if s.Broken != nil {
		return nil, s.Broken
	}
	var due []queue.Job
	for _, j := range s.Jobs {
		if j.Kind == kind && !j.Due.After(now) {
			due = append(due, j)
		}
	}
	slices.SortFunc(due,
		func(a, b queue.Job) int { return cmp.Or(a.Due.Compare(b.Due), cmp.Compare(a.ID.Seq(), b.ID.Seq())) })
	for _, j := range due[:min(n, len(due))] {
		j.Attempt++
		j.Hold(now.Add(lease))
		s.Jobs[j.ID] = j
		out = append(out, j)
	}
	return out, nil
}

// Return implements queue.Store.
func (s *Shelf) Return(_ context.Context, now time.Time, jobs []queue.Job) error {
	s.Lock()
	defer s.Unlock()
	for _, j := range jobs {
		if kept, ok := s.Jobs[j.ID]; ok && kept.Attempt == j.Attempt && s.Broken == nil {
			kept.PutOff(now)
			s.Jobs[j.ID] = kept
		}
	}
	return s.Broken
}

// Depth implements queue.Store.
func (s *Shelf) Depth(context.Context, time.Time) (queue.Depth, error) {
	s.Lock()
	defer s.Unlock()
	return queue.Depth{Open: len(s.Jobs)}, s.Broken
}

type tx struct {
	s      *Shelf
	writes []func()
}

func (t *tx) Parcel(ref id.ID) (*deliver.Parcel, error) {
	p, ok := t.s.Parcels[ref]
	if !ok {
		return nil, nil
	}
	p.Deliveries = slices.Clone(p.Deliveries)
	return &p, nil
}

func (t *tx) Job(j id.ID) (*queue.Job, error) {
	kept, ok := t.s.Jobs[j]
	if !ok {
		return nil, nil
	}
	return &kept, nil
}

func (t *tx) PutParcel(p *deliver.Parcel) {
	c := *p
	t.writes = append(t.writes, func() { t.s.Parcels[c.Ref] = c })
}

func (t *tx) PutJob(j queue.Job) {
	t.writes = append(t.writes, func() { t.s.Jobs[j.ID] = j })
}

func (t *tx) PutSent(key [16]byte, kept deliver.Sent) {
	t.writes = append(t.writes, func() { t.s.Sent[key] = kept })
}

func (t *tx) DropJob(j id.ID) { t.writes = append(t.writes, func() { delete(t.s.Jobs, j) }) }
