package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// Options is what a Runner needs. Zero numbers take the defaults.
type Options struct {
	Store    Store
	Handlers map[string]Handler
	Log      *slog.Logger
	Now      func() time.Time
	// Workers is how many jobs may run at once; 256.
	Workers int
	// Lease is how long a claimed job belongs to its claimer; 30 s.
	Lease time.Duration
	// Poll is how often the store is asked for due jobs; 250 ms.
	Poll time.Duration
	// MaxOpen is how many jobs may be open before Admit says no; 100,000.
	MaxOpen int
	// Observe is told the depth and age of the queue at each poll; may be nil.
	Observe func(open int, oldest time.Duration)
}

// Runner runs jobs: those that this node has just made, and those that are due in the store.
type Runner struct {
	o     Options
	ready chan Job
	spill spill
	open  atomic.Int64
	held  atomic.Int64 // jobs that wait here or run
	hired atomic.Int64 // workers: as many as were ever needed at once, so that a quiet node keeps none

	mu       sync.Mutex // held to hire and to stop
	begin    func()     // sets a worker going; nil before Start
	woken    chan struct{}
	stopping chan struct{}
	cancel   context.CancelFunc
	loops    sync.WaitGroup
}

// NewRunner answers a Runner that Start sets going.
func NewRunner(o Options) *Runner {
	or(&o.Workers, 256)
	or(&o.Lease, 30*time.Second)
	or(&o.Poll, 250*time.Millisecond)
	or(&o.MaxOpen, 100_000)
	return &Runner{o: o, ready: make(chan Job, 16*o.Workers), woken: make(chan struct{}, 1), stopping: make(chan struct{}), cancel: func() {}}
}

func or[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// Start begins to run jobs. Call Stop once. Who does not call it may drive the runner by Step and Poll, one thing at a
// time, as a simulation does.
func (r *Runner) Start() {
	ctx, cancel := context.WithCancel(context.Background()) //nolint:forbidigo // its work is asked for by no request: Stop ends it
	r.cancel = cancel
	r.loops.Go(func() { r.poll(ctx) })
	r.mu.Lock()
	r.begin = func() { r.loops.Go(func() { r.work(ctx) }) }
	r.mu.Unlock()
	for range len(r.ready) {
		r.hire()
	}
}

// hire sets one more worker going when there are more jobs than workers.
func (r *Runner) hire() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := r.hired.Load(); r.begin == nil || r.stopped() || n >= int64(r.o.Workers) || n >= r.held.Load() {
		return
	}
	r.hired.Add(1)
	r.begin()
}

// put hands a job to the workers, behind those that came before, and tells whether there was room.
func (r *Runner) put(j Job) bool {
	held := r.held.Add(1)
	if !r.list(j) {
		if !r.spill.add(j, r.o.MaxOpen) {
			r.held.Add(-1)
			return false
		}
		r.spill.pour(r.ready) // room may have come just before
	}
	if held > r.hired.Load() {
		r.hire()
	}
	return true
}

// list puts a job on the workers' list, unless that is full, or others wait to get on it.
func (r *Runner) list(j Job) bool {
	if r.spill.size() > 0 {
		return false
	}
	select {
	case r.ready <- j:
		return true
	default:
		return false
	}
}

func (r *Runner) stopped() bool {
	select {
	case <-r.stopping:
		return true
	default:
		return false
	}
}

// Stop takes no more jobs, lets those that run end within grace, and gives back the leases of those that
// have not begun.
func (r *Runner) Stop(grace time.Duration) error {
	r.mu.Lock()
	if !r.stopped() {
		close(r.stopping)
	}
	r.mu.Unlock()
	// Those that wait are handed back before the wait for those that run: another node can have them now.
	first := r.giveBack()
	timer := time.AfterFunc(grace, r.cancel)
	defer timer.Stop()
	r.loops.Wait()
	r.cancel()
	return errors.Join(first, r.giveBack()) // a job that ran may have made another one
}

// Keeper is a Handler that keeps jobs back for a while. It answers those that it keeps, and forgets them.
type Keeper interface{ Kept() []Job }

// giveBack returns the leases of the jobs that nobody has begun.
func (r *Runner) giveBack() error {
	left := r.drain()
	for _, h := range r.o.Handlers {
		if k, ok := h.(Keeper); ok {
			left = append(left, k.Kept()...)
		}
	}
	if len(left) == 0 {
		return nil
	}
	return r.o.Store.Return(context.Background(), r.o.Now(), left) //nolint:forbidigo // the last act of a node that stops
}

// drain takes out the jobs that have not begun.
func (r *Runner) drain() (left []Job) {
	for {
		select {
		case j := <-r.ready:
			r.spill.pour(r.ready)
			r.held.Add(-1)
			left = append(left, j)
		default:
			return left
		}
	}
}

// Wake looks for due jobs now and not at the next poll. It never blocks.
func (r *Runner) Wake() {
	select {
	case r.woken <- struct{}{}:
	default:
	}
}

// Admit tells whether there is room for one more job.
func (r *Runner) Admit() bool { return r.open.Load() < int64(r.o.MaxOpen) }

// Open answers how many jobs are open, as far as this node knows.
func (r *Runner) Open() int64 { return r.open.Load() }

// Dispatch takes over a job whose lease this node holds. It never blocks: when MaxOpen wait already, the job waits in the store for
// its lease to end.
func (r *Runner) Dispatch(j Job) {
	r.open.Add(1)
	r.put(j)
}

// work runs jobs one after the other.
func (r *Runner) work(ctx context.Context) {
	for {
		if r.stopped() {
			return
		}
		select {
		case <-r.stopping:
			return
		case j := <-r.ready:
			r.spill.pour(r.ready)
			r.run(ctx, j)
		}
	}
}

// Step runs one job that is ready, and tells whether there was one.
func (r *Runner) Step(ctx context.Context) bool {
	select {
	case j := <-r.ready:
		r.spill.pour(r.ready)
		r.run(ctx, j)
		return true
	default:
		return false
	}
}

// Ready answers how many jobs wait on this node for a worker.
func (r *Runner) Ready() int { return len(r.ready) + r.spill.size() }

// run runs one job. A job whose lease has run out while it waited here belongs to somebody else by now.
func (r *Runner) run(ctx context.Context, j Job) {
	defer r.held.Add(-1)
	if !r.o.Now().Before(j.Due) {
		return
	}
	h := r.o.Handlers[j.Kind]
	if h == nil {
		r.o.Log.Error("a job has no handler", "kind", j.Kind, "job", j.ID.Text(""))
		return
	}
	if err := safely(ctx, h, j); err != nil {
		r.o.Log.Error("a job failed and will be run again", "kind", j.Kind, "attempt", j.Attempt, "error", err)
	}
	r.open.Add(-1)
}

// safely keeps a panic in one job from ending the process.
func safely(ctx context.Context, h Handler, j Job) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return h.Run(ctx, j)
}

// poll asks the store in turns.
func (r *Runner) poll(ctx context.Context) {
	tick := time.NewTicker(r.o.Poll)
	defer tick.Stop()
	for turn, measure := 0, true; ; {
		r.Poll(ctx, measure)
		select {
		case <-r.stopping:
			return
		case <-tick.C:
			turn++
			measure = turn%4 == 0
		case <-r.woken:
			measure = false
		}
	}
}

// Poll claims what is due in the store: jobs put off, and jobs of nodes that died. measure also sets the count of open jobs
// right.
func (r *Runner) Poll(ctx context.Context, measure bool) {
	if measure {
		r.measure(ctx)
	}
	for r.claim(ctx) {
	}
}

// claim takes as many due jobs as there is room for, and tells whether there may be more right now.
func (r *Runner) claim(ctx context.Context) bool {
	room := min(cap(r.ready)-r.Ready(), r.o.Workers)
	if room <= 0 || r.stopped() {
		return false
	}
	var jobs []Job
	for kind := range r.o.Handlers {
		found, err := r.o.Store.Claim(ctx, r.o.Now(), kind, room-len(jobs), r.o.Lease)
		if err != nil {
			r.o.Log.Error("due jobs cannot be claimed", "error", err)
			return false
		}
		if jobs = append(jobs, found...); len(jobs) == room {
			break
		}
	}
	for _, j := range jobs {
		r.put(j) // when a neighbour has taken the room, the job comes back when its lease ends
	}
	return len(jobs) == room
}

// measure sets the count of open jobs right and tells the observer.
func (r *Runner) measure(ctx context.Context) {
	depth, err := r.o.Store.Depth(ctx, r.o.Now())
	if err != nil {
		r.o.Log.Error("the queue cannot be measured", "error", err)
		return
	}
	r.open.Store(int64(depth.Open))
	if r.o.Observe != nil {
		r.o.Observe(depth.Open, depth.Overdue)
	}
}
