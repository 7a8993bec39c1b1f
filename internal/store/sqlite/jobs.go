package sqlite

import (
	"container/heap"
	"sync"
	"time"

	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/queue"
)

// jobs is all jobs of a store, as the last commit left them: a cache of the rows, by id and by when they are due. The
// writer changes it after a commit, and readers may look beside it.
type jobs struct {
	mu sync.RWMutex
	of map[id.ID]*entry
	// due orders the jobs of each kind.
	due map[string]*byDue
	// tabled are the jobs that their table has. A job that is made and finished before its segment is compacted never gets
	// there.
	tabled map[id.ID]bool
}

// entry is a job with its place in byDue.
type entry struct {
	*queue.Job
	at int
}

func newJobs() *jobs {
	return &jobs{of: map[id.ID]*entry{}, due: map[string]*byDue{}, tabled: map[id.ID]bool{}}
}

// get returns a job, which nobody may change, or nil.
func (j *jobs) get(k id.ID) *queue.Job {
	if e := j.of[k]; e != nil {
		return e.Job
	}
	return nil
}

// put takes a job as it was committed.
func (j *jobs) put(job *queue.Job) {
	j.drop(job.ID)
	q := j.due[job.Kind]
	if q == nil {
		q = &byDue{}
		j.due[job.Kind] = q
	}
	e := &entry{Job: job}
	j.of[job.ID] = e
	heap.Push(q, e)
}

func (j *jobs) drop(k id.ID) {
	if e := j.of[k]; e != nil {
		delete(j.of, k)
		heap.Remove(j.due[e.Kind], e.at)
	}
}

// oldestDue returns up to n jobs of a kind that are due, oldest due first.
func (j *jobs) oldestDue(kind string, now time.Time, n int) (out []queue.Job) {
	j.mu.RLock()
	defer j.mu.RUnlock()
	q := j.due[kind]
	if q == nil {
		return nil
	}
	// A walk through the heap, the earliest first: a child is never due before its parent.
	next := &indexes{q: *q}
	if len(*q) > 0 {
		heap.Push(next, 0)
	}
	for len(out) < n && next.Len() > 0 {
		i, _ := heap.Pop(next).(int)
		e := (*q)[i]
		if e.Due.After(now) {
			break
		}
		out = append(out, *e.Job)
		for _, child := range []int{2*i + 1, 2*i + 2} {
			if child < len(*q) {
				heap.Push(next, child)
			}
		}
	}
	return out
}

// anyDue reports whether a job of a kind is due.
func (j *jobs) anyDue(kind string, now time.Time) bool {
	j.mu.RLock()
	defer j.mu.RUnlock()
	q := j.due[kind]
	return q != nil && len(*q) > 0 && !(*q)[0].Due.After(now)
}

// depth returns how full the queue is.
func (j *jobs) depth(now time.Time) queue.Depth {
	j.mu.RLock()
	defer j.mu.RUnlock()
	d := queue.Depth{Open: len(j.of), Oldest: map[string]time.Duration{}}
	for _, e := range j.of {
		d.Oldest[e.Kind] = max(d.Oldest[e.Kind], now.Sub(e.ID.Time()))
	}
	for _, q := range j.due {
		if len(*q) > 0 {
			d.Overdue = max(d.Overdue, now.Sub((*q)[0].Due))
		}
	}
	return d
}

// byDue is a heap of jobs by when they are due, older ones first.
type byDue []*entry

// Len implements heap.Interface.
func (q byDue) Len() int { return len(q) }

// Less implements heap.Interface.
func (q byDue) Less(a, b int) bool {
	if c := q[a].Due.Compare(q[b].Due); c != 0 {
		return c < 0
	}
	return q[a].ID.Seq() < q[b].ID.Seq()
}

// Swap implements heap.Interface.
func (q byDue) Swap(a, b int) {
	q[a], q[b] = q[b], q[a]
	q[a].at, q[b].at = a, b
}

// Push implements heap.Interface.
func (q *byDue) Push(x any) {
	e, _ := x.(*entry)
	e.at = len(*q)
	*q = append(*q, e)
}

// Pop implements heap.Interface.
func (q *byDue) Pop() any {
	last := len(*q) - 1
	e := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	return e
}

// indexes is a heap of places in a byDue.
type indexes struct {
	q  byDue
	at []int
}

// Len implements heap.Interface.
func (x *indexes) Len() int { return len(x.at) }

// Less implements heap.Interface.
func (x *indexes) Less(a, b int) bool { return x.q.Less(x.at[a], x.at[b]) }

// Swap implements heap.Interface.
func (x *indexes) Swap(a, b int) { x.at[a], x.at[b] = x.at[b], x.at[a] }

// Push implements heap.Interface.
func (x *indexes) Push(i any) { n, _ := i.(int); x.at = append(x.at, n) }

// Pop implements heap.Interface.
func (x *indexes) Pop() any {
	last := len(x.at) - 1
	i := x.at[last]
	x.at = x.at[:last]
	return i
}
