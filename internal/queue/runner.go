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

// Kind says how the jobs of one kind are run. T is what a node may know of a job that it has made itself, which spares
// it reading; for a job that was claimed it is the zero value.
type Kind[T any] struct {
	Name string
	// Workers is how many jobs of the kind run at once; 256. As many may wait in memory behind them.
	Workers int
	// Run does one job and writes down what becomes of it, in the transaction that records the result: it is dropped or
	// put off. done reports whether its row is gone. An error means that nothing was written: the job comes again when its
	// lease ends.
	Run func(ctx context.Context, j Job, carry T) (done bool, err error)
	// Yield writes down that a job goes back to the store, due at once, before it has begun; nil: Store.Return does so.
	// Attempts that are not current are passed over.
	Yield func(ctx context.Context, j Job, carry T) error
	// Kept returns, for a node that stops, the jobs that the handler keeps until it passes them to Again, and forgets
	// them; nil: it keeps none.
	Kept func() []Held[T]
}

// Held is a job whose lease this node holds.
type Held[T any] struct {
	Job

	Carry T
}

// Options is what a Runner needs. Zero numbers take the defaults.
type Options[T any] struct {
	Store Store
	Kinds []Kind[T]
	// Log is told of each failure, so also several times a second of a store that does not work: its handler may count
	// those.
	Log *slog.Logger
	Now func() time.Time
	// Lease is how long a claimed job belongs to its claimer; 30 s.
	Lease time.Duration
	// Poll is how often the store is asked for due jobs; 250 ms.
	Poll time.Duration
	// MaxOpen is how many jobs may be open before Admit says no; 100,000.
	MaxOpen int
	// Writers is how many jobs are yielded at once, so that they share commits; 32. With 1 nothing runs beside the caller.
	Writers int
	// Observe is told the depth of the queue once a second, or at each fourth Poll where that is less often; may be nil.
	Observe func(Depth)
}

// Runner runs jobs: those that this node has just made, and those that are due in the store. In memory it has only what
// can begin well within its lease: what runs, and as much again that waits. The rest stays in the store, where whoever
// has room claims it, first due first. Each kind of job has its own room, so that none waits behind another.
type Runner[T any] struct {
	o     Options[T]
	desks []*desk[T]
	open  count

	stopping chan struct{}
	once     sync.Once
	cancel   context.CancelFunc
	loops    sync.WaitGroup
}

// count is how many jobs are open: as many as were measured, and what this node has made and finished since.
type count struct{ measured, made, done atomic.Int64 }

func (c *count) value() int64 { return c.measured.Load() + c.made.Load() - c.done.Load() }

// NewRunner returns a Runner that Start sets going.
func NewRunner[T any](o Options[T]) *Runner[T] {
	or(&o.Lease, 30*time.Second)
	or(&o.Poll, 250*time.Millisecond)
	or(&o.MaxOpen, 100_000)
	or(&o.Writers, 32)
	r := &Runner[T]{o: o, stopping: make(chan struct{}), cancel: func() {}}
	for _, k := range o.Kinds {
		or(&k.Workers, 256)
		r.desks = append(r.desks, newDesk(k))
	}
	return r
}

func or[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// desk returns where the jobs of a kind are run, or nil.
func (r *Runner[T]) desk(kind string) *desk[T] {
	for _, d := range r.desks {
		if d.Name == kind {
			return d
		}
	}
	return nil
}

// Start begins to run jobs. Call Stop once. Who does not call it may drive the runner by Step and Poll, one thing at a
// time, as a simulation does.
func (r *Runner[T]) Start() {
	//nolint:forbidigo,gosec // its work is asked for by no request: Stop ends it
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	for _, d := range r.desks {
		d.start(func() { r.loops.Go(func() { r.work(ctx, d) }) })
		r.loops.Go(func() { r.serve(ctx, d) })
	}
	r.loops.Go(func() { r.watch(ctx) })
}

// Stop takes no more jobs, lets those that run end within grace, and gives back the leases of those that
// have not begun.
func (r *Runner[T]) Stop(grace time.Duration) error {
	r.once.Do(func() { close(r.stopping) })
	for _, d := range r.desks {
		d.close()
	}
	// Those that wait are handed back before the wait for those that run: another node can have them now.
	first := r.giveAllBack()
	timer := time.AfterFunc(grace, r.cancel)
	defer timer.Stop()
	r.loops.Wait()
	r.cancel()
	return errors.Join(first, r.giveAllBack()) // a job that ran may have made another one
}

func (r *Runner[T]) stopped() bool {
	select {
	case <-r.stopping:
		return true
	default:
		return false
	}
}

// giveAllBack returns the leases of all jobs that have not begun.
func (r *Runner[T]) giveAllBack() error {
	var errs []error
	for _, d := range r.desks {
		left := d.takeOut(time.Time{})
		if d.Kept != nil {
			left = append(left, d.Kept()...)
		}
		_, err := r.giveBack(context.Background(), d, left) //nolint:forbidigo // the last act of a node that stops
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// giveBack writes down that jobs are free again. It returns those for which that failed.
func (r *Runner[T]) giveBack(ctx context.Context, d *desk[T], jobs []Held[T]) (left []Held[T], err error) {
	if len(jobs) == 0 {
		return nil, nil
	}
	if d.Yield == nil {
		rows := make([]Job, len(jobs))
		for i := range jobs {
			rows[i] = jobs[i].Job
		}
		if err := r.o.Store.Return(ctx, r.o.Now(), rows); err != nil {
			return jobs, err
		}
		return nil, nil
	}
	errs := make([]error, len(jobs))
	Share(r.o.Writers, len(jobs), func(i int) { errs[i] = d.Yield(ctx, jobs[i].Job, jobs[i].Carry) })
	for i, e := range errs {
		if e != nil {
			left, err = append(left, jobs[i]), e
		}
	}
	return left, err
}

// Share calls f with 0 to n-1, up to most at once; with most 1 on the caller's own goroutine.
func Share(most, n int, f func(int)) {
	if most == 1 || n == 1 {
		for i := range n {
			f(i)
		}
		return
	}
	var next atomic.Int64
	var all sync.WaitGroup
	for range min(most, n) {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	all.Wait()
}

// Wake looks for due jobs now and not at the next poll. It never blocks.
func (r *Runner[T]) Wake() {
	for _, d := range r.desks {
		d.wake()
	}
}

// Admit reports whether there is room for one more job in the queue.
func (r *Runner[T]) Admit() bool { return r.open.value() < int64(r.o.MaxOpen) }

// Open returns how many jobs are open, as far as this node knows.
func (r *Runner[T]) Open() int64 { return r.open.value() }

// Reserve keeps room for a job of a kind that is about to be written, and reports whether there was any: none is given
// while jobs that have been due for longer wait in the store. Each success is followed by one Dispatch of a leased job,
// or by one Release.
func (r *Runner[T]) Reserve(kind string) bool {
	d := r.desk(kind)
	return d != nil && d.reserve()
}

// Release gives up a reservation.
func (r *Runner[T]) Release(kind string) {
	if d := r.desk(kind); d != nil {
		d.release(1)
	}
}

// Dispatch is told of a job that this node has just written. A leased one, for which room is reserved, is run here; any
// other is due in the store, and whoever has room claims it. It never blocks.
func (r *Runner[T]) Dispatch(j Job, carry T) {
	r.open.made.Add(1)
	d := r.desk(j.Kind)
	switch {
	case d == nil:
	case j.Leased:
		d.release(1)
		d.put(Held[T]{j, carry})
	default:
		d.more()
	}
}

// Again takes back a job that its handler has kept: its time has come. It never blocks.
func (r *Runner[T]) Again(j Job, carry T) {
	if d := r.desk(j.Kind); d != nil {
		d.put(Held[T]{j, carry})
	}
}

// work runs jobs one after the other.
func (r *Runner[T]) work(ctx context.Context, d *desk[T]) {
	for {
		h, ok := d.next(true)
		if !ok {
			return
		}
		r.run(ctx, d, h)
	}
}

// Step runs one job of a kind that waits here, and reports whether there was one.
func (r *Runner[T]) Step(ctx context.Context, kind string) bool {
	d := r.desk(kind)
	h, ok := d.next(false)
	if ok {
		r.run(ctx, d, h)
	}
	return ok
}

// Ready returns how many jobs of a kind wait on this node for a worker.
func (r *Runner[T]) Ready(kind string) int { return r.desk(kind).ready() }

// Room returns how many jobs of a kind would be claimed now.
func (r *Runner[T]) Room(kind string) int { return r.desk(kind).room() }

// run runs one job. A job whose lease has run out while it waited here belongs to somebody else by now: it is found by
// its row.
func (r *Runner[T]) run(ctx context.Context, d *desk[T], h Held[T]) {
	defer d.ended()
	if !r.o.Now().Before(h.Due) {
		r.o.Log.Warn("a lease ended before its job began", "kind", h.Kind, "attempt", h.Attempt)
		d.more()
		return
	}
	done, err := safely(ctx, d, h)
	if err != nil {
		r.o.Log.Error("a job failed and will be run again", "kind", h.Kind, "attempt", h.Attempt, "error", err)
	}
	if done {
		r.open.done.Add(1)
	}
}

// safely keeps a panic in one job from ending the process.
func safely[T any](ctx context.Context, d *desk[T], h Held[T]) (done bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			done, err = false, fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return d.Run(ctx, h.Job, h.Carry)
}

// serve keeps a desk in jobs.
func (r *Runner[T]) serve(ctx context.Context, d *desk[T]) {
	tick := time.NewTicker(r.o.Poll)
	defer tick.Stop()
	for {
		r.fill(ctx, d)
		select {
		case <-r.stopping:
			return
		case <-tick.C:
		case <-d.woken:
		}
	}
}

// measureEvery is how often the queue is measured.
const measureEvery = time.Second

// watch measures the queue in turns.
func (r *Runner[T]) watch(ctx context.Context) {
	tick := time.NewTicker(max(measureEvery, 4*r.o.Poll))
	defer tick.Stop()
	for {
		r.measure(ctx)
		select {
		case <-r.stopping:
			return
		case <-tick.C:
		}
	}
}

// Poll does once what Start does in turns: it gives back what cannot begin in time and claims what is due in the store,
// jobs put off and jobs of nodes that died. measure also sets the count of open jobs right.
func (r *Runner[T]) Poll(ctx context.Context, measure bool) {
	if measure {
		r.measure(ctx)
	}
	for _, d := range r.desks {
		r.fill(ctx, d)
	}
}

// fill gives back the jobs of a desk that cannot begin in time, and claims as many as it has room for.
func (r *Runner[T]) fill(ctx context.Context, d *desk[T]) {
	r.relieve(ctx, d)
	for !r.stopped() && r.claim(ctx, d) {
	}
}

// relieve gives back jobs of which two thirds of the lease are over and which nobody has begun. What cannot be written
// stays here: it may still begin, and when its lease ends its row is due.
func (r *Runner[T]) relieve(ctx context.Context, d *desk[T]) {
	late := d.takeOut(r.o.Now().Add(r.o.Lease / 3))
	left, err := r.giveBack(ctx, d, late)
	if err != nil {
		r.o.Log.Error("leases cannot be given back", "kind", d.Name, "jobs", len(left), "error", err)
	}
	d.restore(left)
	if len(late) > len(left) {
		d.more()
	}
}

// claim takes as many due jobs as there is room for, and reports whether there may be more right now.
func (r *Runner[T]) claim(ctx context.Context, d *desk[T]) bool {
	n, behind := d.book()
	if n == 0 {
		return false
	}
	jobs, err := r.o.Store.Claim(ctx, r.o.Now(), d.Name, n, r.o.Lease)
	if err != nil {
		d.release(n)
		d.learn(behind)
		if ctx.Err() == nil {
			r.o.Log.Error("due jobs cannot be claimed", "kind", d.Name, "error", err)
		}
		return false
	}
	for _, j := range jobs {
		d.put(Held[T]{Job: j})
	}
	d.release(n)
	d.learn(len(jobs) == n)
	return len(jobs) == n
}

// measure sets the count of open jobs right and tells the observer.
func (r *Runner[T]) measure(ctx context.Context) {
	made, done := r.open.made.Load(), r.open.done.Load()
	depth, err := r.o.Store.Depth(ctx, r.o.Now())
	if err != nil {
		if ctx.Err() == nil {
			r.o.Log.Error("the queue cannot be measured", "error", err)
		}
		return
	}
	r.open.measured.Store(int64(depth.Open) - made + done) // what came and went since is counted still
	if r.o.Observe != nil {
		r.o.Observe(depth)
	}
}
