package api

import (
	"runtime"
	"slices"
	"testing"
	"time"
)

// mill is a server that answers perTick requests each millisecond, first come, first served.
type mill struct {
	g       *Gate
	now     time.Time
	waiting []time.Time
	took    []time.Duration
	refused int
}

func newMill() *mill {
	return &mill{g: NewGate(GateOptions{}), now: time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)}
}

// run lets a number of requests come in each of some milliseconds.
func (m *mill) run(ticks, come, perTick int) {
	for range ticks {
		for range come {
			if ok, _ := m.g.enter(m.now, 0); ok {
				m.waiting = append(m.waiting, m.now)
			} else {
				m.refused++
			}
		}
		m.now = m.now.Add(time.Millisecond)
		for range min(perTick, len(m.waiting)) {
			took := m.now.Sub(m.waiting[0])
			m.waiting = m.waiting[1:]
			m.took = append(m.took, took)
			m.g.leave(m.now, took, true)
		}
	}
}

func (m *mill) forget() { m.took, m.refused = nil, 0 }

func TestGateLetsBurstsPass(t *testing.T) {
	t.Parallel()
	m := newMill()
	m.run(1000, 5, 10)
	m.run(1, 300, 10)
	m.run(1000, 5, 10)
	m.run(1, 1000, 10)
	if m.refused != 0 {
		t.Errorf("%d of a burst were refused", m.refused)
	}
}

// TestGateUnderOverload: offered twice what can be done, all that can be done is done, soon, and the rest is refused.
func TestGateUnderOverload(t *testing.T) {
	t.Parallel()
	m := newMill()
	m.run(1000, 5, 10)
	m.run(500, 20, 10) // it needs an interval or two to see
	m.forget()
	m.run(5000, 20, 10)
	if done := len(m.took); done < 45_000 {
		t.Errorf("%d of 50,000 that can be done were done", done)
	}
	if p99 := slices.Sorted(slices.Values(m.took))[len(m.took)*99/100]; p99 > 20*time.Millisecond {
		t.Errorf("what is taken takes up to %v", p99)
	}
	m.run(1000, 5, 10)
	m.forget()
	m.run(1, 1000, 10)
	if m.refused != 0 {
		t.Error("the gate stays narrow when the overload is over")
	}
}

// TestGateOnASlowStore: where an answer takes 40 ms at best, that is no overload.
func TestGateOnASlowStore(t *testing.T) {
	t.Parallel()
	g, now := NewGate(GateOptions{}), time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)
	for range 100 {
		for range 400 {
			if ok, _ := g.enter(now, 0); !ok {
				t.Fatal("refused")
			}
		}
		now = now.Add(40 * time.Millisecond)
		for i := range 400 {
			g.leave(now, time.Duration(40+i/10)*time.Millisecond, true)
		}
	}
}

// TestGateFull: of requests that are never answered only so many are taken, those that end a verification last; and the
// log is told once.
func TestGateFull(t *testing.T) {
	t.Parallel()
	g, now := NewGate(GateOptions{}), time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)
	count := func(extra float64) (in, told int) {
		for range 3 * widest {
			ok, tell := g.enter(now, extra)
			if ok {
				in++
			}
			if tell {
				told++
			}
		}
		return in, told
	}
	if in, told := count(0); in != widest || told != 1 {
		t.Errorf("%d starts taken, told %d times", in, told)
	}
	if in, told := count(codeFirst); in != widest/2 || told != 0 {
		t.Errorf("%d checks taken beside, told %d times", in, told)
	}
	for range widest + widest/2 {
		g.leave(now, time.Second, false)
	}
	if in, _ := count(0); in != widest {
		t.Errorf("%d taken when the others had gone", in)
	}
}

// core is a processor that looks at all requests that have come, refuses those for which there is no room, and then
// works on the others. What it has not looked at waits where the gate cannot count it.
type core struct {
	g          *Gate
	now        time.Time
	due        time.Time // of the next request
	took       []time.Duration
	refused    int
	low, high  float64 // limits
	look, work time.Duration
}

func newCore() *core {
	now := time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)
	return &core{g: NewGate(GateOptions{}), now: now, due: now, look: 10 * time.Microsecond, work: 80 * time.Microsecond}
}

// run lets requests come for a while, one each pause.
func (c *core) run(lasts, pause time.Duration) {
	c.took, c.refused, c.low, c.high = nil, 0, widest, 0
	for end := c.now.Add(lasts); c.now.Before(end); {
		if c.due.After(c.now) {
			c.now = c.due
		}
		var in, read []time.Time
		for arrived := c.now; !c.due.After(arrived); c.due = c.due.Add(pause) {
			c.now = c.now.Add(c.look)
			c.g.waited(c.now.Sub(c.due))
			if ok, _ := c.g.enter(c.now, 0); ok {
				in, read = append(in, c.due), append(read, c.now)
			} else {
				c.refused++
			}
		}
		for i, due := range in {
			c.now = c.now.Add(c.work)
			c.g.leave(c.now, c.now.Sub(read[i]), true)
			c.took = append(c.took, c.now.Sub(due))
		}
		c.low, c.high = min(c.low, c.g.limit), max(c.high, c.g.limit)
	}
}

// TestGateSeesWhatIsNotRead: requests that wait to be read are part of the crowd, however soon they are answered once
// they are. At twice the load the gate keeps the wait short, the core at work, and still.
func TestGateSeesWhatIsNotRead(t *testing.T) {
	t.Parallel()
	c := newCore()
	c.run(5*time.Second, 180*time.Microsecond) // half of what it can do
	if c.refused > 0 {
		t.Errorf("%d refused at half load", c.refused)
	}
	c.run(2*time.Second, 45*time.Microsecond) // it has to see, and to work off what has come meanwhile
	c.run(10*time.Second, 45*time.Microsecond)
	// Looking at 22,222 a second takes .222 of it, and work has the rest.
	if most := int(10 * .777 / 80e-6); len(c.took) < most*95/100 {
		t.Errorf("%d of %d that can be done were done", len(c.took), most)
	}
	if p99 := slices.Sorted(slices.Values(c.took))[len(c.took)*99/100]; p99 > 2*brisk {
		t.Errorf("what is taken takes up to %v", p99)
	}
	if c.high > 1.5*c.low {
		t.Errorf("the limit swings between %.0f and %.0f", c.low, c.high)
	}
	c.run(time.Second, 180*time.Microsecond)
	c.run(5*time.Second, 180*time.Microsecond)
	if c.refused > 0 || c.g.limit != widest {
		t.Errorf("%d refused and a limit of %.0f when the overload is over", c.refused, c.g.limit)
	}
}

// TestGateBearsAStall: where nothing is answered for a tenth of a second now and then, that is no overload.
func TestGateBearsAStall(t *testing.T) {
	t.Parallel()
	c := newCore()
	for range 20 {
		c.run(900*time.Millisecond, 180*time.Microsecond)
		c.now = c.now.Add(100 * time.Millisecond)
		if c.refused > 0 {
			t.Fatalf("%d refused", c.refused)
		}
	}
}

// TestGateLetsMessagesGoFirst: messages that wait take of the room for starts, not all of it, and nothing of that for
// checks.
func TestGateLetsMessagesGoFirst(t *testing.T) {
	t.Parallel()
	for waiting, want := range map[int]int{0: widest, 100: widest - 100, 100_000: widest / 2} {
		g, now := NewGate(GateOptions{Waiting: func() int { return waiting }}), time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)
		in := 0
		for ok := true; ok; in++ {
			ok, _ = g.enter(now, 0)
		}
		if in-1 != want {
			t.Errorf("%d messages wait: %d starts taken, want %d", waiting, in-1, want)
		}
		for ok := true; ok; in++ {
			ok, _ = g.enter(now, codeFirst)
		}
		if in-2 != widest+widest/2 {
			t.Errorf("%d messages wait: %d taken with checks", waiting, in-2)
		}
	}
}

// TestGateKeepsRoom: however slow answers are, there is room for a commit under way and those that share the next one.
// Below that, callers who come again at once would take the time that is needed to widen the gate again.
func TestGateKeepsRoom(t *testing.T) {
	t.Parallel()
	m := newMill()
	m.run(5000, 20, 1)
	least := 32 * runtime.GOMAXPROCS(0)
	if len(m.waiting) < least-1 || len(m.waiting) > 2*least || m.refused == 0 {
		t.Errorf("%d are under way and %d were refused, where %d should always have room", len(m.waiting), m.refused, least)
	}
}
