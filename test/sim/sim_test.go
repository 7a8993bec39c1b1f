// Package sim runs the whole core (verify, deliver, queue, limit: the real code) in a small world where time, chance
// and every failure are in the hands of a seed. A seed that fails fails again, step by step:
//
//	go test ./test/sim -run TestSeeds -seed 4711
package sim

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"
)

var (
	oneSeed  = flag.Uint64("seed", 0, "run this seed alone and print its whole trace")
	fromSeed = flag.Uint64("from", 1, "the first seed")
	seeds    = flag.Int("seeds", 0, "how many seeds; 0: 50, or 10,000 with DIALPROOF_SOAK=1")
)

// verdict is what came of a seed.
type verdict struct {
	seed    uint64
	faults  []string
	trace   []string
	sum     uint64
	steps   int
	virtual time.Duration
	starts  int
	approve int
	calls   int
	doubles map[string]int
}

// live runs one seed to its end.
func live(t *testing.T, seed uint64, change func(*weather), loud func(string)) (out verdict) {
	t.Helper()
	cryptotest.SetGlobalRandom(t, seed)
	synctest.Test(t, func(*testing.T) {
		s := newSched(seed)
		w := forecast(s.rng)
		if change != nil {
			change(&w)
		}
		u := newWorld(seed, w)
		u.loud = loud
		u.note("seed %d: %+v", seed, w)
		out = u.live()
		out.seed = seed
	})
	return out
}

// live lets people and chaos act, then calms the weather, waits until all is at rest, and judges.
func (u *world) live() verdict {
	for _, n := range u.nodes {
		n.boot()
	}
	end := time.Now().Add(time.Duration(u.minutes) * time.Minute)
	open := 0
	act := func(name string, f func(time.Time)) {
		open++
		u.spawn(name, nil, func() { f(end); open-- })
	}
	for i := range u.numbers {
		p := &person{u: u, to: number(i), app: i % len(u.apps)}
		u.people = append(u.people, p)
		act(p.to, p.life)
	}
	act("mischief", u.mischief)
	act("chaos", u.chaos)
	for time.Now().Before(end) && len(u.judge.faults) == 0 && u.step() {
		u.judge.after()
	}
	u.note("the weather clears")
	u.stormy, u.away = false, time.Time{}
	rest := time.Now().Add(15*time.Minute + u.think)
	for len(u.judge.faults) == 0 && (open > 0 || u.data.OpenJobs() > 0) && time.Now().Before(rest) && u.step() {
		u.judge.after()
	}
	if len(u.judge.faults) == 0 {
		u.judge.final()
	}
	out := verdict{
		faults: u.judge.faults, trace: u.trace, sum: u.sum, steps: u.steps, virtual: u.elapsed(), starts: len(u.judge.acked),
		approve: u.judge.approve, doubles: u.judge.doubles,
	}
	for _, d := range u.judge.all {
		out.calls += len(u.judge.calls[d])
	}
	u.finish()
	return out
}

// report says what a failing seed has shown and how to see it again.
func (v verdict) report(t *testing.T) {
	t.Helper()
	if len(v.faults) == 0 {
		return
	}
	last := v.trace[max(0, len(v.trace)-60):]
	t.Errorf("seed %d:\n  %s\nagain: go test ./test/sim -run TestSeeds -seed %d\nits last steps:\n%s", v.seed,
		strings.Join(v.faults, "\n  "), v.seed, strings.Join(last, "\n"))
}

// TestSeeds runs many worlds.
func TestSeeds(t *testing.T) {
	if *oneSeed > 0 {
		live(t, *oneSeed, nil, func(line string) { fmt.Fprintln(os.Stderr, line) }).report(t)
		return
	}
	n := *seeds
	if n == 0 {
		n = 50
		if os.Getenv("DIALPROOF_SOAK") != "" {
			n = 10_000
		}
	}
	sum := verdict{doubles: map[string]int{}}
	began, bad := time.Now(), 0
	for i := range n {
		v := live(t, *fromSeed+uint64(i), nil, nil)
		if v.report(t); len(v.faults) > 0 {
			if bad++; bad == 5 {
				t.Fatal("enough")
			}
		}
		sum.steps += v.steps
		sum.virtual += v.virtual
		sum.starts += v.starts
		sum.approve += v.approve
		sum.calls += v.calls
		for why, times := range v.doubles {
			sum.doubles[why] += times
		}
	}
	took := time.Since(began)
	t.Logf(
		"%d seeds, %d steps in %s (%.0f a second), %s of virtual time, %d sends acknowledged, %d calls to carriers, %d "+
			"approvals, sent twice %v", n, sum.steps, took.Round(time.Millisecond), float64(sum.steps)/took.Seconds(),
		sum.virtual.Round(time.Minute), sum.starts, sum.calls, sum.approve, sum.doubles)
	if sum.starts < n || sum.approve < n/4 {
		t.Errorf("%d sends and %d approvals in %d seeds: too few to show anything", sum.starts, sum.approve, n)
	}
}

// TestReplay: the same seed gives the same steps.
func TestReplay(t *testing.T) {
	for seed := range uint64(5) {
		a, b := live(t, seed+1, nil, nil), live(t, seed+1, nil, nil)
		if a.sum != b.sum || a.steps != b.steps {
			t.Errorf("seed %d: %d steps with sum %x, and again %d with %x", seed+1, a.steps, a.sum, b.steps, b.sum)
		}
		if c := live(t, seed+100, nil, nil); c.sum == a.sum {
			t.Errorf("seeds %d and %d give the same run", seed+1, seed+100)
		}
	}
}

// TestPlanted: each planted fault is found within a few seeds, and so is not there when nothing is found.
func TestPlanted(t *testing.T) {
	for _, p := range []plant{plantNoLock, plantNoFence, plantShortLease, plantJobLost, plantNumberLost, plantEarlyAck,
		plantSameCode, plantDeaf} {
		t.Run(string(p), func(t *testing.T) {
			for seed := uint64(1); seed <= 60; seed++ {
				if v := live(t, seed, func(w *weather) { w.plant = p }, nil); len(v.faults) > 0 {
					t.Logf("found by seed %d: %s", seed, v.faults[0])
					return
				}
			}
			t.Error("not found in 60 seeds")
		})
	}
}
