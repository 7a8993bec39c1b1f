package api

import (
	"runtime"
	"sync"
	"time"
)

// gate bounds how many requests that write are under way, so that what is taken is answered soon and the rest is refused at
// once, while there is still time to ask another node.
//
// How many that may be depends on the machine, the disk and the network, so it is found by measuring: when answers take longer
// than they should, the gate narrows to what was answered within that time (Little's law: number = rate × time). When they do
// not, it opens again. Bursts pass: it is wide open until answers have been slow for a while.
type gate struct {
	mu    sync.Mutex
	in    int // requests under way
	limit float64
	least float64

	// What the running interval has seen.
	begin   time.Time
	done    int
	sum     time.Duration
	refused bool
	slow    int // intervals in a row that were slow

	// fastest is the shortest time of an answer, in this spell and the one before: what the store takes without a queue.
	fastest [2]time.Duration
	spell   time.Time
	told    time.Time // when the log was last told
}

const (
	// widest is how many may be under way when all is well.
	widest = 1024
	// leastPerCore is how many always may, for each core: fewer would leave it idle while a commit is under way.
	leastPerCore = 32
	// interval is how long the gate looks before it moves, and enough how many answers it must have seen.
	interval = 50 * time.Millisecond
	enough   = 32
	// patient is how many intervals in a row must be slow before the gate narrows: fewer are a burst.
	patient = 4
	// slowest is how long answers may take on average, as a multiple of the fastest; and never less than soon.
	slowest = 5
	soon    = 15 * time.Millisecond
	// spellTime is how long the fastest answer is remembered, at least.
	spellTime = time.Minute
	// tellTime is how often the log is told, at most.
	tellTime = 10 * time.Second
)

func newGate() *gate {
	return &gate{limit: widest, least: float64(leastPerCore * runtime.GOMAXPROCS(0))}
}

// enter tells whether a request may go on; leave must follow when it may. extra is the share of the limit that it may use
// beyond it. tell is true when the refusal should be logged.
func (g *gate) enter(now time.Time, extra float64) (ok, tell bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if float64(g.in) < g.limit*(1+extra) {
		g.in++
		return true, false
	}
	return false, g.refuse(now)
}

// full tells whether enter would refuse now; then it counts as refused.
func (g *gate) full(now time.Time, extra float64) (full, tell bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if float64(g.in) < g.limit*(1+extra) {
		return false, false
	}
	return true, g.refuse(now)
}

// refuse notes a refusal, and answers whether the log should be told.
func (g *gate) refuse(now time.Time) (tell bool) {
	g.refused = true
	if tell = now.Sub(g.told) >= tellTime; tell {
		g.told = now
	}
	return tell
}

// leave ends a request that took so long. One that was refused for what it said did not reach the store, and says nothing
// about it.
func (g *gate) leave(now time.Time, took time.Duration, answered bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.in--
	if !answered {
		return
	}
	g.done++
	g.sum += took
	g.notice(now, took)
	if g.begin.IsZero() {
		g.begin = now
	}
	if past := now.Sub(g.begin); past >= interval && g.done >= enough {
		g.move(past)
		g.begin, g.done, g.sum, g.refused = now, 0, 0, false
	}
}

// notice keeps the fastest answer of the last minute or two.
func (g *gate) notice(now time.Time, took time.Duration) {
	if now.Sub(g.spell) >= spellTime {
		g.spell, g.fastest = now, [2]time.Duration{took, g.fastest[0]}
	}
	g.fastest[0] = min(g.fastest[0], took)
}

// target answers how long an answer may take on average.
func (g *gate) target() time.Duration {
	f := g.fastest[0]
	if g.fastest[1] > 0 {
		f = min(f, g.fastest[1])
	}
	return max(slowest*f, soon)
}

// move sets the limit after an interval.
func (g *gate) move(past time.Duration) {
	mean, target := g.sum/time.Duration(g.done), g.target()
	switch {
	case mean > target:
		if g.slow++; g.slow >= patient {
			g.limit = float64(g.done) * float64(target) / float64(past)
		}
		g.limit = min(max(g.limit, g.least), widest)
		return
	case g.refused:
		g.limit *= 1.05
	default:
		g.limit *= 1.5
	}
	g.slow = 0
	g.limit = min(max(g.limit, g.least), widest)
}
