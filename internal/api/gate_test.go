package api

import (
	"slices"
	"testing"
	"time"
)

// mill is a server that answers perTick requests each millisecond, first come, first served.
type mill struct {
	g       *gate
	now     time.Time
	waiting []time.Time
	took    []time.Duration
	refused int
}

func newMill() *mill { return &mill{g: newGate(), now: time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)} }

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
	g, now := newGate(), time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)
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

// TestGateFull: of requests that are never answered only so many are taken, those that end a verification last; and the log
// is told once.
func TestGateFull(t *testing.T) {
	t.Parallel()
	g, now := newGate(), time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)
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
