package queue_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/queue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shelf is a queue.Store in memory.
type shelf struct {
	mu   sync.Mutex
	jobs map[id.ID]queue.Job
}

func (s *shelf) Claim(_ context.Context, now time.Time, n int, lease time.Duration) (out []queue.Job, _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, j := range s.jobs {
		if !j.Due.After(now) && len(out) < n {
			j.Attempt++
			j.Due = now.Add(lease)
			s.jobs[j.ID] = j
			out = append(out, j)
		}
	}
	return out, nil
}

func (s *shelf) Return(_ context.Context, now time.Time, jobs []queue.Job) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, j := range jobs {
		if kept, ok := s.jobs[j.ID]; ok && kept.Attempt == j.Attempt {
			kept.Due = now
			s.jobs[j.ID] = kept
		}
	}
	return nil
}

func (s *shelf) Depth(context.Context, time.Time) (int, time.Duration, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.jobs), 0, nil
}

func (s *shelf) put(j queue.Job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.jobs[j.ID] = j
}

// handler runs a function and drops the job when it answers nil.
type handler struct {
	s *shelf
	f func(context.Context, queue.Job) error
}

func (h handler) Run(ctx context.Context, j queue.Job) error {
	err := h.f(ctx, j)
	if err == nil {
		h.s.mu.Lock()
		delete(h.s.jobs, j.ID)
		h.s.mu.Unlock()
	}
	return err
}

func newRunner(f func(context.Context, queue.Job) error, workers, most int) (*queue.Runner, *shelf) {
	s := &shelf{jobs: map[id.ID]queue.Job{}}
	return queue.NewRunner(queue.Options{
		Store: s, Handlers: map[string]queue.Handler{"k": handler{s, f}}, Log: slog.New(slog.DiscardHandler),
		Now: time.Now, Workers: workers, MaxOpen: most,
	}), s
}

func job(s *shelf, ids *id.Source) queue.Job {
	j := queue.Job{ID: ids.New(time.Now()), Kind: "k", Due: time.Now().Add(30 * time.Second), Attempt: 1}
	s.put(j)
	return j
}

func TestDispatchedJobsRunAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var ran []int
		r, s := newRunner(func(_ context.Context, j queue.Job) error { ran = append(ran, j.Attempt); return nil }, 1, 0)
		r.Start()
		ids := id.NewSource(id.ID{})
		for range 3 {
			r.Dispatch(job(s, ids))
		}
		synctest.Wait()
		if !slices.Equal(ran, []int{1, 1, 1}) {
			t.Errorf("attempts run: %v", ran)
		}
		if err := r.Stop(time.Second); err != nil {
			t.Error(err)
		}
	})
}

// TestLostJobsComeBack fails a job twice, by an error and by a panic: each time its lease runs out and it is
// claimed again.
func TestLostJobsComeBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var at []time.Duration
		begin := time.Now()
		r, s := newRunner(func(_ context.Context, j queue.Job) error {
			mu.Lock()
			at = append(at, time.Since(begin).Round(time.Second))
			mu.Unlock()
			switch j.Attempt {
			case 1:
				return errors.New("planted")
			case 2:
				panic("planted")
			}
			return nil
		}, 2, 0)
		r.Start()
		r.Dispatch(job(s, id.NewSource(id.ID{})))
		time.Sleep(2 * time.Minute) // of the bubble's clock
		mu.Lock()
		defer mu.Unlock()
		if want := []time.Duration{0, 30 * time.Second, 60 * time.Second}; !slices.Equal(at, want) {
			t.Errorf("ran at %v, want %v", at, want)
		}
		if err := r.Stop(time.Second); err != nil {
			t.Error(err)
		}
	})
}

func TestStopGivesLeasesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		ran := 0
		r, s := newRunner(func(context.Context, queue.Job) error { ran++; <-release; return nil }, 1, 0)
		r.Start()
		ids := id.NewSource(id.ID{})
		for range 5 {
			r.Dispatch(job(s, ids))
		}
		synctest.Wait()
		stopped := make(chan error)
		go func() { stopped <- r.Stop(time.Minute) }()
		synctest.Wait()
		close(release)
		if err := <-stopped; err != nil {
			t.Error(err)
		}
		due := 0
		for _, j := range s.jobs {
			if !j.Due.After(time.Now()) {
				due++
			}
		}
		if ran != 1 || due != 4 {
			t.Errorf("%d ran and %d were given back, want 1 and 4", ran, due)
		}
	})
}

func TestAdmitIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		r, s := newRunner(func(context.Context, queue.Job) error { <-release; return nil }, 1, 3)
		r.Start()
		ids := id.NewSource(id.ID{})
		for i := range 3 {
			if !r.Admit() {
				t.Errorf("no room for job %d", i)
			}
			r.Dispatch(job(s, ids))
		}
		if r.Admit() {
			t.Error("there is room for a fourth job")
		}
		close(release)
		synctest.Wait()
		if !r.Admit() {
			t.Error("there is no room after the jobs have ended")
		}
		if err := r.Stop(time.Second); err != nil {
			t.Error(err)
		}
	})
}

// TestWorkersAreHired: each job has a worker at once, up to the bound, the one that waited for the start too.
func TestWorkersAreHired(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var running, most atomic.Int64
		r, s := newRunner(func(context.Context, queue.Job) error {
			most.Store(max(most.Load(), running.Add(1)))
			<-release
			running.Add(-1)
			return nil
		}, 3, 0)
		ids := id.NewSource(id.ID{})
		r.Dispatch(job(s, ids)) // it waits for the start
		r.Start()
		synctest.Wait()
		if running.Load() != 1 {
			t.Errorf("of the job that waited for the start, %d run", running.Load())
		}
		for want := int64(2); want <= 5; want++ {
			r.Dispatch(job(s, ids))
			synctest.Wait()
			if running.Load() != min(want, 3) {
				t.Errorf("of %d jobs %d run", want, running.Load())
			}
		}
		for range 5 {
			release <- struct{}{}
			synctest.Wait()
		}
		if running.Load() != 0 || most.Load() != 3 {
			t.Errorf("in the end %d jobs ran, and at most %d", running.Load(), most.Load())
		}
		if err := r.Stop(time.Second); err != nil {
			t.Error(err)
		}
		r.Dispatch(job(s, ids)) // hires nobody: goleak looks
	})
}

// TestManyJobsAtOnce: more jobs than the workers' list takes run as soon as it has room, in their order, and not when their leases end.
func TestManyJobsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const many = 500
		var ran []id.ID
		r, s := newRunner(func(_ context.Context, j queue.Job) error {
			time.Sleep(time.Millisecond)
			ran = append(ran, j.ID)
			return nil
		}, 1, 0)
		r.Start()
		ids := id.NewSource(id.ID{})
		var want []id.ID
		for range many {
			j := job(s, ids)
			want = append(want, j.ID)
			r.Dispatch(j)
		}
		synctest.Wait()
		if r.Ready() != many-1 {
			t.Errorf("%d wait for the one worker", r.Ready())
		}
		time.Sleep(many*time.Millisecond + time.Microsecond)
		synctest.Wait()
		if !slices.Equal(ran, want) {
			t.Errorf("%d of %d ran, or in another order", len(ran), many)
		}
		if err := r.Stop(time.Second); err != nil {
			t.Error(err)
		}
	})
}

// keeper keeps every job back.
type keeper struct{ kept []queue.Job }

func (k *keeper) Run(_ context.Context, j queue.Job) error { k.kept = append(k.kept, j); return nil }

func (k *keeper) Kept() []queue.Job { return k.kept }

// TestStopGivesBackWhatIsKept: also of jobs that a handler keeps back, the next node has not to wait for the leases.
func TestStopGivesBackWhatIsKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{jobs: map[id.ID]queue.Job{}}
		k := &keeper{}
		r := queue.NewRunner(queue.Options{Store: s, Handlers: map[string]queue.Handler{"k": k}, Log: slog.New(slog.DiscardHandler), Now: time.Now, Workers: 1})
		r.Start()
		ids := id.NewSource(id.ID{})
		for range 40 { // more than the list takes
			r.Dispatch(job(s, ids))
		}
		synctest.Wait()
		if err := r.Stop(time.Second); err != nil {
			t.Error(err)
		}
		for _, j := range s.jobs {
			if j.Due.After(time.Now()) {
				t.Errorf("job %s is due only at %v", j.ID.Text(""), j.Due)
			}
		}
	})
}
