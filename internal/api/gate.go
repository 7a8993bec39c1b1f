package api

import (
	"log/slog"
	"runtime"
	"sync"
	"time"

	"github.com/dialproof/dialproof/internal/id"
)

// Gate bounds how many requests that write are under way, so that what is taken is answered soon and the rest is
// refused at once, while there is still time to ask another node.
//
// How many that may be depends on the machine, the disk and the network, so it is found by measuring. The gate is wide
// open, and bursts pass, until answers have been slow for a while. Then it narrows to what is answered within a short
// time (Little's law: number = rate × time), and opens again as soon as it refuses nobody.
type Gate struct {
	o       GateOptions
	refusal refusal

	mu    sync.Mutex
	in    int // requests under way
	limit float64
	least float64

	// What the running interval has seen, since begin, and those before it, the newest first.
	begin  time.Time
	now    span
	recent [patient]span

	// fastest is the shortest time of an answer, in this spell and the one before: what the store takes without a queue.
	fastest [2]time.Duration
	spell   time.Time
	told    time.Time // when the log was last told
}

// GateOptions is what a Gate needs. Functions may be nil.
type GateOptions struct {
	Log *slog.Logger
	IDs *id.Source
	Now func() time.Time
	// Waiting returns how many messages wait on this node to be sent.
	Waiting func() int
	// Leaving tells that the node is about to stop; then every answer comes from the handler.
	Leaving func() bool
	// Refused is told of each refusal of which Options.Observe is not told.
	Refused func()
}

// span is an interval of looking.
type span struct {
	done    int
	sum     time.Duration // of the times of answers
	seen    int
	waited  time.Duration // sum of the times that those that were seen had waited until they were read
	past    time.Duration // how long it was
	refused bool
}

// took returns how long an answer took on average, since it was read and since it was there to be read; 0 of none.
func (s span) took() (read, there time.Duration) {
	if s.done > 0 {
		read = s.sum / time.Duration(s.done)
	}
	if s.seen > 0 {
		there = s.waited / time.Duration(s.seen)
	}
	return read, read + there
}

const (
	// widest is how many may be under way when all is well.
	widest = 1024
	// leastPerCore is how many always may, for each core: a commit that is under way, and those that share the next one.
	leastPerCore = 32
	// interval is how long the gate looks before it moves, and enough how many answers it must have seen.
	interval = 50 * time.Millisecond
	enough   = 32
	// patient is over how many intervals the gate judges. An open gate narrows when most of them were slow: fewer are a
	// burst.
	patient = 4
	most    = 3
	// slowest is how long answers may take on average, as a multiple of the fastest.
	slowest = 5
	// soon is how long they may always take while the gate is open: a collection of garbage is no crowd.
	soon = 15 * time.Millisecond
	// brisk is how long they may always take once it is not. The more is under way, the less of it the processor's caches
	// hold, and the fewer answers a second there are: with 256 a third fewer than with 32.
	brisk = 8 * time.Millisecond
	// gain is how much of what a narrow gate is wrong by it sets right at once. Single intervals jump: commits are shared,
	// and garbage is collected in turns.
	gain = .3
	// spellTime is how long the fastest answer is remembered, at least.
	spellTime = time.Minute
	// tellTime is how often the log is told, at most.
	tellTime = 10 * time.Second
	// codeFirst is how much more of the requests that end a verification may be under way than of those that begin one:
	// who holds a code, and is about to be done, goes before who asks for one.
	codeFirst = .5
	// messagesFirst is the share of the room for starts that messages which wait to be sent can take: who was promised one
	// goes before who asks for one. Not all of it: where a provider is slow, many wait, and the node has time for more.
	messagesFirst = .5
)

// NewGate returns a gate that is wide open.
func NewGate(o GateOptions) *Gate {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.IDs == nil {
		o.IDs = id.NewSource(id.ID{})
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Waiting == nil {
		o.Waiting = func() int { return 0 }
	}
	if o.Leaving == nil {
		o.Leaving = func() bool { return false }
	}
	if o.Refused == nil {
		o.Refused = func() {}
	}
	return &Gate{o: o, refusal: newRefusal(), limit: widest, least: float64(leastPerCore * runtime.GOMAXPROCS(0))}
}

// room reports whether there is room for one more request. extra is the share of the limit that the request may use
// beyond it; one that may use none comes after the messages that wait.
func (g *Gate) room(extra float64) bool {
	most := g.limit * (1 + extra)
	if extra == 0 {
		most -= min(float64(g.o.Waiting()), g.limit*messagesFirst)
	}
	return float64(g.in) < most
}

// enter reports whether a request may go on; leave must follow when it may. tell is true when the refusal should be
// logged.
func (g *Gate) enter(now time.Time, extra float64) (ok, tell bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.room(extra) {
		g.in++
		return true, false
	}
	return false, g.refuse(now)
}

// full reports whether enter would refuse now; then it counts as refused.
func (g *Gate) full(now time.Time, extra float64) (full, tell bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.room(extra) {
		return false, false
	}
	return true, g.refuse(now)
}

// crowded reports whether there are requests that full would refuse.
func (g *Gate) crowded() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return !g.room(0)
}

// refuse notes a refusal, and answers whether the log should be told.
func (g *Gate) refuse(now time.Time) (tell bool) {
	g.now.refused = true
	if tell = now.Sub(g.told) >= tellTime; tell {
		g.told = now
	}
	return tell
}

// leave ends a request that took so long. One that was refused for what it said did not reach the store, and says
// nothing about it.
func (g *Gate) leave(now time.Time, took time.Duration, answered bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.in--
	if !answered {
		return
	}
	g.now.done++
	g.now.sum += took
	g.notice(now, took)
	if g.begin.IsZero() {
		g.begin = now
	}
	if g.now.past = now.Sub(g.begin); g.now.past >= interval && g.now.done >= enough {
		copy(g.recent[1:], g.recent[:])
		g.recent[0] = g.now
		g.move()
		g.begin, g.now = now, span{}
	}
}

// waited notes how long a request had been there before it was read.
func (g *Gate) waited(d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.now.seen++
	g.now.waited += d
}

// notice keeps the fastest answer of the last minute or two.
func (g *Gate) notice(now time.Time, took time.Duration) {
	if now.Sub(g.spell) >= spellTime {
		g.spell, g.fastest = now, [2]time.Duration{took, g.fastest[0]}
	}
	g.fastest[0] = min(g.fastest[0], took)
}

// target returns how long an answer may take on average, where as long as always is no fault.
func (g *Gate) target(always time.Duration) time.Duration {
	f := g.fastest[0]
	if g.fastest[1] > 0 {
		f = min(f, g.fastest[1])
	}
	return max(slowest*f, always)
}

// move sets the limit after an interval.
func (g *Gate) move() {
	now := g.recent[0]
	_, took := now.took()
	// How long answers may take, beside how long they took.
	ease := float64(g.target(brisk)) / float64(max(took, 1))
	switch {
	case g.limit == widest && g.slow():
		g.limit = ease * float64(now.sum) / float64(now.past) // of so many that were under way on average, by Little's law
	case g.limit == widest:
	case ease > 1 && !now.refused:
		g.limit *= 1.5
	default:
		g.limit *= 1 + gain*(min(max(ease, .5), 2)-1)
	}
	g.limit = min(max(g.limit, g.least), widest)
}

// slow reports whether answers have been slow for a while.
func (g *Gate) slow() bool {
	target, n := g.target(soon), 0
	for _, s := range g.recent {
		if _, took := s.took(); took > target {
			n++
		}
	}
	return n >= most
}
