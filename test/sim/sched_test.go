package sim

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing/synctest"
	"time"
)

// sched runs tasks one at a time: a task runs until it pauses, and then chance says who is next. Time passes only when
// nobody can go on. The same seed gives the same run, step by step.
type sched struct {
	rng     *rand.Rand
	begin   time.Time
	tasks   []*task
	current *task
	steps   int
	names   int

	trace []string
	sum   uint64
	loud  func(string)
}

// task is somebody who acts: a request on a node, a worker, a person, a carrier.
type task struct {
	name   string
	node   *node // who dies with the node; nil: nobody
	resume chan struct{}
	yield  chan struct{}
	at     time.Time        // goes on at this time; zero: only by cond
	cond   func() bool      // or as soon as this holds
	when   func() time.Time // or when this time has come; nil or zero: never
	done   bool
	busy   bool // a request or a claim: a stop waits for it
	dead   bool
	job    *attempt // what the task is delivering
	call   *call    // its newest call to a carrier
}

func newSched(seed uint64) *sched {
	return &sched{rng: rand.New(rand.NewPCG(seed, 0x51)), begin: time.Now()}
}

// spawn makes a task that runs f, from the next step on.
func (s *sched) spawn(name string, n *node, f func()) *task {
	t := &task{name: name, node: n, resume: make(chan struct{}), yield: make(chan struct{}), at: time.Now()}
	s.tasks = append(s.tasks, t)
	go func() {
		defer func() { t.done = true; t.yield <- struct{}{} }()
		<-t.resume
		if !t.dead {
			f()
		}
	}()
	return t
}

// pause lets others run for at least d.
func (s *sched) pause(d time.Duration) { s.park(time.Now().Add(d), nil, nil) }

// until lets others run until cond holds, at most for d (0: for ever). It reports whether cond held.
func (s *sched) until(d time.Duration, cond func() bool) bool {
	var at time.Time
	if d > 0 {
		at = time.Now().Add(d)
	}
	s.park(at, cond, nil)
	return cond()
}

func (s *sched) park(at time.Time, cond func() bool, when func() time.Time) {
	t := s.current
	t.at, t.cond, t.when = at, cond, when
	t.yield <- struct{}{}
	<-t.resume
	if t.dead {
		runtime.Goexit()
	}
}

// step lets one task run until it pauses. It answers false when nobody will ever go on.
func (s *sched) step() bool {
	for {
		if t := s.choose(); t != nil {
			s.run(t)
			return true
		}
		next := s.next()
		if next.IsZero() {
			return false
		}
		time.Sleep(time.Until(next))
		synctest.Wait() // timers of the code under test have had their say
	}
}

// choose returns one of those who can go on.
func (s *sched) choose() *task {
	now := time.Now()
	var can []*task
	for _, t := range s.tasks {
		if t.node != nil && now.Before(t.node.frozen) {
			continue
		}
		if t.dead || (!t.at.IsZero() && !t.at.After(now)) || (t.cond != nil && t.cond()) ||
			(t.when != nil && due(t.when(), now)) {
			can = append(can, t)
		}
	}
	if len(can) == 0 {
		return nil
	}
	return can[s.rng.IntN(len(can))]
}

func due(at, now time.Time) bool { return !at.IsZero() && !at.After(now) }

// next returns when somebody can go on.
func (s *sched) next() (out time.Time) {
	for _, t := range s.tasks {
		for _, at := range [...]time.Time{t.at, t.moment()} {
			if at.IsZero() {
				continue
			}
			if t.node != nil && at.Before(t.node.frozen) {
				at = t.node.frozen
			}
			if out.IsZero() || at.Before(out) {
				out = at
			}
		}
	}
	return out
}

func (t *task) moment() time.Time {
	if t.when == nil {
		return time.Time{}
	}
	return t.when()
}

func (s *sched) run(t *task) {
	s.steps++
	s.current = t
	t.resume <- struct{}{}
	<-t.yield
	s.current = nil
	if t.done || t.dead {
		s.tasks = slices.DeleteFunc(s.tasks, func(o *task) bool { return o == t })
	}
}

// kill ends the tasks of a node where they stand: nothing after their pause happens.
func (s *sched) kill(n *node) {
	self := s.current
	for _, t := range slices.Clone(s.tasks) {
		if n == nil || t.node == n {
			t.dead = true
			s.current = t
			t.resume <- struct{}{}
			<-t.yield
			s.tasks = slices.DeleteFunc(s.tasks, func(o *task) bool { return o == t })
		}
	}
	s.current = self
}

// finish ends everybody.
func (s *sched) finish() { s.kill(nil) }

// elapsed is the time since the beginning.
func (s *sched) elapsed() time.Duration { return time.Since(s.begin) }

// note writes a line of the trace.
func (s *sched) note(format string, args ...any) {
	who := "-"
	if s.current != nil {
		who = s.current.name
	}
	line := fmt.Sprintf("%6d %12s %-14s %s", s.steps, s.elapsed().Round(time.Millisecond), who,
		fmt.Sprintf(format, args...))
	h := fnv.New64a()
	fmt.Fprint(h, s.sum)
	h.Write([]byte(line))
	s.sum = h.Sum64()
	if s.loud != nil {
		s.loud(line)
	}
	if s.trace = append(s.trace, line); len(s.trace) > 2000 {
		s.trace = slices.Clone(s.trace[1000:])
	}
}

// roll reports whether something of this chance happens.
func (s *sched) roll(chance float64) bool { return chance > 0 && s.rng.Float64() < chance }

// between returns a time between two others.
func (s *sched) between(low, top time.Duration) time.Duration {
	return low + time.Duration(s.rng.Int64N(int64(top-low)+1))
}
