package queue

import (
	"slices"
	"sync"
	"time"
)

// desk is where the jobs of one kind are run: those that run, those that wait behind them, and room kept for those that
// are on their way here.
type desk[T any] struct {
	Kind[T]

	woken chan struct{}

	mu       sync.Mutex
	work     *sync.Cond
	waiting  fifo[Held[T]]
	running  int
	reserved int
	hired    int // workers: as many as were ever needed at once, so that a quiet node keeps none
	idle     int
	hire     func() // sets a worker going; nil before start
	closed   bool
	behind   bool // there may be due jobs in the store for which there was no room
}

func newDesk[T any](k Kind[T]) *desk[T] {
	d := &desk[T]{Kind: k, woken: make(chan struct{}, 1)}
	d.waiting.all = make([]Held[T], 0, min(2*k.Workers, 1024)) // nearly always enough
	d.work = sync.NewCond(&d.mu)
	return d
}

// start sets workers going for what waits, and from now on for what comes.
func (d *desk[T]) start(hire func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hire = hire
	for range d.waiting.size() {
		d.call()
	}
}

// close lets the workers end once they have done what they do, and takes no more.
func (d *desk[T]) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	d.work.Broadcast()
}

// call has a worker look for work. The caller must hold d.mu.
func (d *desk[T]) call() {
	switch {
	case d.idle > 0:
		d.idle-- // here and not there: the next call is for another one
		d.work.Signal()
	case d.hire != nil && !d.closed && d.hired < d.Workers:
		d.hired++
		d.hire()
	}
}

// put adds a job behind those that wait.
func (d *desk[T]) put(h Held[T]) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.waiting.push(h)
	d.call()
}

// restore puts jobs back in front.
func (d *desk[T]) restore(jobs []Held[T]) {
	if len(jobs) == 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.waiting.all = slices.Insert(d.waiting.take(), 0, jobs...)
	for range jobs {
		d.call()
	}
}

// next takes the first job that waits. With wait it returns false only when the desk is closed.
func (d *desk[T]) next(wait bool) (h Held[T], ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for wait && d.waiting.size() == 0 && !d.closed {
		d.idle++
		d.work.Wait()
	}
	if d.waiting.size() == 0 || (wait && d.closed) {
		return h, false
	}
	h = d.waiting.pop()
	d.running++
	if d.behind && d.wants() > 0 {
		d.wake() // there is room now for what waits in the store
	}
	return h, true
}

// ended notes that a job has ended.
func (d *desk[T]) ended() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.running--
}

// free is how many more jobs may come. The caller must hold d.mu.
func (d *desk[T]) free() int {
	return max(2*d.Workers-d.running-d.reserved-d.waiting.size(), 0)
}

// wants is how many jobs are to be claimed: none while half the room for those that wait is taken, so that one claim
// brings many. The caller must hold d.mu.
func (d *desk[T]) wants() int {
	if d.closed || 2*d.waiting.size() > d.Workers {
		return 0
	}
	return d.free()
}

// room is wants for others.
func (d *desk[T]) room() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.wants()
}

// book reserves room for a claim and returns for how many. From now on behind says what the claim cannot know.
func (d *desk[T]) book() (n int, behind bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n = d.wants(); n > 0 {
		d.reserved += n
		behind, d.behind = d.behind, false
	}
	return n, behind
}

// reserve keeps room for one job, unless others have waited for longer.
func (d *desk[T]) reserve() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed || d.behind || d.free() == 0 {
		return false
	}
	d.reserved++
	return true
}

// release gives reserved room up.
func (d *desk[T]) release(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reserved -= n
}

// more notes that there are due jobs in the store.
func (d *desk[T]) more() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.behind = true
	d.wake() // also while a claim is under way, which may not see them
}

// learn notes whether a claim has left jobs in the store.
func (d *desk[T]) learn(more bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.behind = d.behind || more
}

// takeOut takes the jobs out that wait and whose lease ends before the time given; the zero time: all.
func (d *desk[T]) takeOut(until time.Time) (out []Held[T]) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.waiting.all = slices.DeleteFunc(d.waiting.take(), func(h Held[T]) bool {
		late := until.IsZero() || h.Due.Before(until)
		if late {
			out = append(out, h)
		}
		return late
	})
	return out
}

// wake looks for due jobs now. It never blocks.
func (d *desk[T]) wake() {
	select {
	case d.woken <- struct{}{}:
	default:
	}
}

// ready returns how many jobs wait for which no worker is on its way. A job that was just put stands in waiting until
// the worker that was called for it wakes up: to count it would make a node without a queue look as if it had one.
func (d *desk[T]) ready() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	coming := max(d.hired-d.idle-d.running, 0)
	return max(d.waiting.size()-coming, 0)
}

// fifo is first come, first served. It uses its room again.
type fifo[T any] struct {
	all  []T
	head int // of those that are left
}

func (f *fifo[T]) size() int { return len(f.all) - f.head }

func (f *fifo[T]) push(x T) {
	if f.head > len(f.all)/2 && len(f.all) == cap(f.all) {
		f.all = f.take()
	}
	f.all = append(f.all, x)
}

func (f *fifo[T]) pop() (x T) {
	var none T
	x, f.all[f.head] = f.all[f.head], none
	f.head++
	if f.head == len(f.all) {
		f.all, f.head = f.all[:0], 0
	}
	return x
}

// take moves those that are left to the beginning and returns them.
func (f *fifo[T]) take() []T {
	f.all = slices.Delete(f.all, 0, f.head)
	f.head = 0
	return f.all
}
