package storetest

import (
	"slices"
	"sync"
	"time"
)

// Steps is a store.Observer that notes how long each commit took. It is safe for many goroutines.
type Steps struct {
	mu   sync.Mutex
	took []time.Duration
	each func(n int) // told of the count; nil: nobody is
}

// Committed implements store.Observer.
func (s *Steps) Committed(_ int, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.took = append(s.took, took); s.each != nil {
		s.each(len(s.took))
	}
}

// Retried implements store.Observer.
func (*Steps) Retried() {}

// Uncommitted implements store.Observer.
func (*Steps) Uncommitted(int, error) {}

// Since returns the commits that were not returned before. longest leaves one in a thousand out, which other work on
// the machine may have held up.
func (s *Steps) Since() (n int, sum, longest time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.took {
		sum += d
	}
	if n = len(s.took); n > 0 {
		slices.Sort(s.took)
		longest = s.took[n-1-n/1_000]
	}
	s.took = nil
	return n, sum, longest
}

// EndAt lets end be called when count commits were made since the last call of Since; -1: never.
func (s *Steps) EndAt(count int, end func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.each = func(n int) {
		if n == count {
			end()
		}
	}
}
