package queue_test

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
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
	mu     sync.Mutex
	jobs   map[id.ID]queue.Job
	claims int
	broken error // the answer to claims and returns while it is set
}

func (s *shelf) Claim(_ context.Context, now time.Time, kind string, n int,
	lease time.Duration) (out []queue.Job, _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.claims++
	if s.broken != nil {
		return nil, s.broken
	}
	all := slices.Collect(maps.Values(s.jobs))
	slices.SortFunc(all,
		func(a, b queue.Job) int { return cmp.Or(a.Due.Compare(b.Due), cmp.Compare(a.ID.Seq(), b.ID.Seq())) })
	for _, j := range all {
		if j.Kind == kind && !j.Due.After(now) && len(out) < n {
			j.Attempt++
			j.Hold(now.Add(lease))
			s.jobs[j.ID] = j
			out = append(out, j)
		}
	}
	return out, nil
}

func (s *shelf) Return(_ context.Context, now time.Time, jobs []queue.Job) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken != nil {
		return s.broken
	}
	for _, j := range jobs {
		if kept, ok := s.jobs[j.ID]; ok && kept.Attempt == j.Attempt {
			kept.PutOff(now)
			s.jobs[j.ID] = kept
		}
	}
	return nil
}

func (s *shelf) Depth(context.Context, time.Time) (queue.Depth, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return queue.Depth{Open: len(s.jobs)}, nil
}

func (s *shelf) put(j queue.Job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.jobs[j.ID] = j
}

func (s *shelf) breaks(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = err
}

// finish drops a job under the fence, as a handler does that records its result.
func (s *shelf) finish(j queue.Job) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.jobs[j.ID].Attempt != j.Attempt {
		return false
	}
	delete(s.jobs, j.ID)
	return true
}

func (s *shelf) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.jobs)
}

type runner = queue.Runner[string]

// doing makes a handler of a function: the job is dropped when it answers nil.
func doing(s *shelf, f func(context.Context, queue.Job) error) func(context.Context, queue.Job, string) (bool, error) {
	return func(ctx context.Context, j queue.Job, _ string) (bool, error) {
		if err := f(ctx, j); err != nil {
			return false, err
		}
		return s.finish(j), nil
	}
}

func options(s *shelf, kinds ...queue.Kind[string]) queue.Options[string] {
	return queue.Options[string]{Store: s, Kinds: kinds, Log: slog.New(slog.DiscardHandler), Now: time.Now}
}

func newRunner(f func(context.Context, queue.Job) error, workers, most int) (*runner, *shelf) {
	s := &shelf{jobs: map[id.ID]queue.Job{}}
	o := options(s, queue.Kind[string]{Name: "k", Workers: workers, Run: doing(s, f)})
	o.MaxOpen = most
	return queue.NewRunner(o), s
}

// birth writes a job and dispatches it as a start does, and reports whether there was room for it.
func birth(r *runner, s *shelf, ids *id.Source) (j queue.Job, held bool) {
	j = queue.Job{ID: ids.New(time.Now()), Kind: "k", Due: time.Now()}
	if held = r.Reserve("k"); held {
		j.Attempt = 1
		j.Hold(time.Now().Add(30 * time.Second))
	}
	s.put(j)
	r.Dispatch(j, "made here")
	return j, held
}

func TestDispatchedJobsRunAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var ran []int
		r, s := newRunner(func(_ context.Context, j queue.Job) error { ran = append(ran, j.Attempt); return nil }, 1, 0)
		r.Start()
		ids := id.NewSource(id.ID{})
		for range 3 {
			birth(r, s, ids)
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
		birth(r, s, id.NewSource(id.ID{}))
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
			birth(r, s, ids)
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
			birth(r, s, ids)
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
		birth(r, s, ids) // it waits for the start
		r.Start()
		synctest.Wait()
		if running.Load() != 1 {
			t.Errorf("of the job that waited for the start, %d run", running.Load())
		}
		for want := int64(2); want <= 5; want++ {
			birth(r, s, ids)
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
		birth(r, s, ids) // hires nobody: goleak looks
	})
}

// TestMoreThanThereIsRoomFor: what has no room here is due in the store from birth, and runs as soon as there is room,
// in the order of birth.
func TestMoreThanThereIsRoomFor(t *testing.T) {
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
		synctest.Wait()
		ids := id.NewSource(id.ID{})
		var want []id.ID
		held := 0
		for range many {
			j, here := birth(r, s, ids)
			want = append(want, j.ID)
			if here {
				held++
			}
		}
		if held != 2 {
			t.Errorf("%d of %d are held by the node, want the one that runs and the one that waits", held, many)
		}
		time.Sleep(many*time.Millisecond + time.Microsecond) // no worker ever waited for a poll
		synctest.Wait()
		if !slices.Equal(ran, want) {
			t.Errorf("%d of %d ran, or in another order", len(ran), many)
		}
		if err := r.Stop(time.Second); err != nil {
			t.Error(err)
		}
	})
}

// TestABacklogLongerThanALease: ten times what there is room for, with handlers so slow that the backlog outlasts many
// leases, each of which is shorter than the wait. Each job runs once, in the middle of a failing store too, and none is
// lost.
func TestABacklogLongerThanALease(t *testing.T) {
	t.Parallel()
	for name, disturb := range map[string]func(*shelf){
		"nothing fails": func(*shelf) {},
		"claims and returns fail for a while": func(s *shelf) {
			for range 6 {
				time.Sleep(20 * time.Second)
				s.breaks(errors.New("planted"))
				time.Sleep(7 * time.Second)
				s.breaks(nil)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				const workers, many = 4, 10 * 2 * 4
				var mu sync.Mutex
				ran := map[id.ID]int{}
				over, most := 0, 0
				var r *runner
				var s *shelf
				r, s = newRunner(func(_ context.Context, j queue.Job) error {
					mu.Lock()
					ran[j.ID]++
					most = max(most, r.Ready("k"))
					if !time.Now().Before(j.Due) {
						over++
					}
					mu.Unlock()
					time.Sleep(25 * time.Second) // what waits behind it must give its lease back
					return nil
				}, workers, 0)
				r.Start()
				ids := id.NewSource(id.ID{})
				for range many {
					birth(r, s, ids)
				}
				disturb(s)
				time.Sleep(many/workers*25*time.Second + 5*time.Minute)
				synctest.Wait()
				mu.Lock()
				defer mu.Unlock()
				for j, n := range ran {
					if n != 1 {
						t.Errorf("job %s ran %d times", j.Text(""), n)
					}
				}
				if most >= 2*workers {
					t.Errorf("%d jobs waited in memory behind %d workers", most, workers)
				}
				if len(ran) != many || over > 0 || s.count() != 0 || r.Open() != 0 {
					t.Errorf("%d of %d ran, %d of them after their lease; %d rows are left, %d are open", len(ran), many, over,
						s.count(), r.Open())
				}
				if err := r.Stop(time.Minute); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestACrashInABacklog: a node dies in the middle of a backlog, and the next one on the same store runs all that was
// not finished: what was free at once, what was held when its leases have ended.
func TestACrashInABacklog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const workers, many = 4, 80
		s := &shelf{jobs: map[id.ID]queue.Job{}}
		var mu sync.Mutex
		finished := map[id.ID]int{}
		node := func(ctx context.Context) *runner {
			return queue.NewRunner(options(s,
				queue.Kind[string]{Name: "k", Workers: workers, Run: func(_ context.Context, j queue.Job, _ string) (bool, error) {
					time.Sleep(900 * time.Millisecond)
					if ctx.Err() != nil || !s.finish(j) {
						return false, nil // the process is dead: nothing is written any more
					}
					mu.Lock()
					finished[j.ID]++
					mu.Unlock()
					return true, nil
				}}))
		}
		life, die := context.WithCancel(t.Context())
		first := node(life)
		first.Start()
		ids := id.NewSource(id.ID{})
		for range many {
			birth(first, s, ids)
		}
		time.Sleep(3 * time.Second)
		before := many - s.count()
		kept := maps.Clone(s.jobs)
		die()
		go first.Stop(0)
		synctest.Wait()
		s.mu.Lock()
		s.jobs = kept
		s.mu.Unlock()
		second := node(t.Context())
		second.Start()
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if left := s.count(); left != 2*workers {
			t.Errorf("after 20 s %d are left, want the %d that the dead node held", left, 2*workers)
		}
		time.Sleep(15 * time.Second)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		for j, n := range finished {
			if n != 1 {
				t.Errorf("job %s was finished %d times", j.Text(""), n)
			}
		}
		if len(finished) != many || before == 0 || before > many/2 {
			t.Errorf("%d of %d were finished, %d before the crash", len(finished), many, before)
		}
		if err := second.Stop(time.Second); err != nil {
			t.Error(err)
		}
	})
}

// TestKindsHaveTheirOwnRoom: timers are claimed and run on time while deliveries hang and a backlog of them waits.
func TestKindsHaveTheirOwnRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{jobs: map[id.ID]queue.Job{}}
		var mu sync.Mutex
		var late []time.Duration
		release := make(chan struct{})
		r := queue.NewRunner(options(s, queue.Kind[string]{
			Name:    "k",
			Workers: 2,
			Run:     doing(s, func(context.Context, queue.Job) error { <-release; return nil }),
		}, queue.Kind[string]{Name: "timer", Workers: 2, Run: doing(s, func(_ context.Context, j queue.Job) error {
			mu.Lock()
			defer mu.Unlock()
			late = append(late, time.Since(j.ID.Time().Add(5*time.Second)))
			return nil
		})},
		))
		r.Start()
		ids := id.NewSource(id.ID{})
		for range 40 {
			birth(r, s, ids)
		}
		for range 20 {
			s.put(queue.Job{ID: ids.New(time.Now()), Kind: "timer", Due: time.Now().Add(5 * time.Second)})
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(6 * time.Second)
		mu.Lock()
		defer mu.Unlock()
		if len(late) != 20 || slices.Max(late) > 300*time.Millisecond {
			t.Errorf("%d of 20 timers ran, the latest %v late", len(late), slices.Max(late))
		}
		close(release)
		if err := r.Stop(time.Second); err != nil {
			t.Error(err)
		}
	})
}

// TestALeaseThatIsOver: a job whose lease ended while its node stood still is not run by it, and its row is claimed
// again.
func TestALeaseThatIsOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var attempts []int
		r, s := newRunner(func(_ context.Context, j queue.Job) error { attempts = append(attempts, j.Attempt); return nil },
			1, 0)
		birth(r, s, id.NewSource(id.ID{}))
		time.Sleep(30 * time.Second) // it does not run: nobody has started it
		r.Step(t.Context(), "k")
		if len(attempts) != 0 || r.Open() != 1 {
			t.Errorf("attempts %v ran although the lease was over; %d are open", attempts, r.Open())
		}
		r.Poll(t.Context(), false)
		r.Step(t.Context(), "k")
		if !slices.Equal(attempts, []int{2}) || r.Open() != 0 {
			t.Errorf("attempts %v ran, %d are open", attempts, r.Open())
		}
	})
}

// TestRoomIsForTheOldest: while jobs wait in the store, none that is born gets in before them.
func TestRoomIsForTheOldest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, s := newRunner(func(context.Context, queue.Job) error { return nil }, 1, 0)
		ids := id.NewSource(id.ID{})
		for range 3 {
			birth(r, s, ids)
		}
		r.Step(t.Context(), "k") // it makes room, which belongs to the third
		if _, held := birth(r, s, ids); held {
			t.Error("a new job got in before one that waits in the store")
		}
		for range 6 {
			r.Poll(t.Context(), false)
			r.Step(t.Context(), "k")
		}
		if _, held := birth(r, s, ids); !held || s.count() != 1 {
			t.Errorf("held %t although nothing waits; %d rows", held, s.count())
		}
		if !r.Reserve("k") || r.Reserve("k") {
			t.Error("there is room for one more")
		}
		r.Release("k")
		if !r.Reserve("k") {
			t.Error("room that was given up is not there")
		}
	})
}

// TestWhatCannotBeGivenBack: a job whose lease cannot be given back still runs when a worker has time before its lease
// ends.
func TestWhatCannotBeGivenBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var ran []time.Duration
		begin := time.Now()
		r, s := newRunner(func(context.Context, queue.Job) error {
			ran = append(ran, time.Since(begin))
			time.Sleep(25 * time.Second)
			return nil
		}, 1, 0)
		s.breaks(errors.New("planted"))
		r.Start()
		ids := id.NewSource(id.ID{})
		for range 2 {
			birth(r, s, ids)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if want := []time.Duration{0, 25 * time.Second}; !slices.Equal(ran, want) {
			t.Errorf("they ran at %v, want %v", ran, want)
		}
		if err := r.Stop(time.Second); err != nil {
			t.Error(err)
		}
	})
}

// TestWhatIsDueIsClaimedAtOnce: a job that is written without a lease is not left to the next poll.
func TestWhatIsDueIsClaimedAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var ran atomic.Int64
		r, s := newRunner(func(context.Context, queue.Job) error { ran.Add(1); return nil }, 1, 0)
		r.Start()
		synctest.Wait() // the first poll is over
		j := queue.Job{ID: id.NewSource(id.ID{}).New(time.Now()), Kind: "k", Due: time.Now()}
		s.put(j)
		r.Dispatch(j, "")
		synctest.Wait()
		if ran.Load() != 1 {
			t.Error("it waits for a poll")
		}
		if err := r.Stop(time.Second); err != nil {
			t.Error(err)
		}
	})
}

// TestAnIdleNodeAsksAndWritesNothing: a quiet queue is asked four times a second and kind, and no more.
func TestAnIdleNodeAsksAndWritesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, s := newRunner(func(context.Context, queue.Job) error { return nil }, 4, 0)
		r.Start()
		birth(r, s, id.NewSource(id.ID{}))
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if s.claims > 42 {
			t.Errorf("the store was asked %d times in 10 s", s.claims)
		}
		if err := r.Stop(time.Second); err != nil {
			t.Error(err)
		}
	})
}

// TestTheCountOfOpenJobs: jobs that are put off stay open, those that are done are not, whenever it was last measured.
func TestTheCountOfOpenJobs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{jobs: map[id.ID]queue.Job{}}
		r := queue.NewRunner(options(s,
			queue.Kind[string]{Name: "k", Workers: 2, Run: func(_ context.Context, j queue.Job, _ string) (bool, error) {
				if j.Attempt < 3 {
					j.PutOff(time.Now().Add(time.Second))
					s.put(j)
					return false, nil
				}
				return s.finish(j), nil
			}}))
		ids := id.NewSource(id.ID{})
		want := func(n int64) {
			t.Helper()
			if r.Open() != n {
				t.Errorf("%d are open, want %d", r.Open(), n)
			}
		}
		for range 4 {
			birth(r, s, ids)
		}
		want(4)
		for range 2 {
			r.Step(t.Context(), "k")
			want(4)
		}
		r.Poll(t.Context(), true)
		want(4)
		for range 10 {
			time.Sleep(time.Second)
			r.Poll(t.Context(), false)
			for r.Step(t.Context(), "k") {
			}
		}
		want(0)
	})
}

// TestStopGivesBackWhatIsKept: also of jobs that a handler keeps back, the next node has not to wait for the leases.
// Kinds that write something with it are asked to.
func TestStopGivesBackWhatIsKept(t *testing.T) {
	t.Parallel()
	for _, yields := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := &shelf{jobs: map[id.ID]queue.Job{}}
			var mu sync.Mutex
			var kept []queue.Held[string]
			var carried []string
			k := queue.Kind[string]{
				Name: "k", Workers: 20,
				Run: func(_ context.Context, j queue.Job, carry string) (bool, error) {
					mu.Lock()
					defer mu.Unlock()
					kept = append(kept, queue.Held[string]{Job: j, Carry: carry})
					return false, nil
				},
				Kept: func() []queue.Held[string] { mu.Lock(); defer mu.Unlock(); out := kept; kept = nil; return out },
			}
			if yields {
				k.Yield = func(ctx context.Context, j queue.Job, carry string) error {
					mu.Lock()
					defer mu.Unlock()
					carried = append(carried, carry)
					return s.Return(ctx, time.Now(), []queue.Job{j})
				}
			}
			r := queue.NewRunner(options(s, k))
			r.Start()
			ids := id.NewSource(id.ID{})
			for range 30 {
				birth(r, s, ids)
			}
			synctest.Wait()
			if err := r.Stop(time.Second); err != nil {
				t.Error(err)
			}
			for _, j := range s.jobs {
				if j.Due.After(time.Now()) || j.Leased {
					t.Errorf("job %s is due only at %v", j.ID.Text(""), j.Due)
				}
			}
			if yields && (len(carried) != 30 || carried[0] != "made here") {
				t.Errorf("%d jobs were yielded, the first with %q", len(carried), carried[0])
			}
		})
	}
}
