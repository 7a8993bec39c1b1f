package queue

import (
	"sync"
	"sync/atomic"
)

// spill has the jobs for which the workers' list is too short, first come, first served. It is empty nearly always.
type spill struct {
	mu   sync.Mutex
	jobs []Job
	n    atomic.Int64
}

// add tells whether there were fewer than most.
func (s *spill) add(j Job, most int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.jobs) >= most {
		return false
	}
	s.jobs = append(s.jobs, j)
	s.n.Store(int64(len(s.jobs)))
	return true
}

// pour moves jobs into the list while there is room in it.
func (s *spill) pour(list chan<- Job) {
	if s.size() == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { s.n.Store(int64(len(s.jobs))) }()
	for len(s.jobs) > 0 {
		select {
		case list <- s.jobs[0]:
			s.jobs[0] = Job{}
			s.jobs = s.jobs[1:]
		default:
			return
		}
	}
	s.jobs = nil
}

// size answers how many there are. It takes no lock.
func (s *spill) size() int { return int(s.n.Load()) }
