package guard_test

import (
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/guard"
)

// TestBudgets: so many wrong codes are compared in an hour and a day, and right ones cost nothing.
func TestBudgets(t *testing.T) {
	t.Parallel()
	b := guard.Budget{Hour: 5, Day: 8}
	var g guard.Guesses
	try := func(now time.Time, right bool) string {
		if r, ok := b.Judge("client", &g, now); ok {
			if left := r.Retry; !left.After(now) {
				t.Errorf("%s names no later time", r.Name)
			} else if _, ok := b.Judge("client", &g, left); ok {
				t.Errorf("%s refuses at the time that it named", r.Name)
			} else if _, ok := b.Judge("client", &g, left.Add(-time.Millisecond)); !ok {
				t.Errorf("%s would not refuse before the time that it named", r.Name)
			}
			return r.Name + " " + r.Input + " of " + r.Threshold
		}
		g.Count(right, now)
		return "ok"
	}
	for range 5 {
		want(t, "right", try(epoch, true), "ok")
		want(t, "wrong", try(epoch, false), "ok")
	}
	want(t, "the sixth", try(epoch, false), "client_wrong_hour 5 of 5")
	want(t, "a right one too", try(epoch, true), "client_wrong_hour 5 of 5")
	later := epoch.Add(2 * time.Hour)
	for range 3 {
		want(t, "later", try(later, false), "ok")
	}
	want(t, "the ninth of the day", try(later, false), "client_wrong_day 8 of 8")
	want(t, "after a day", try(epoch.Add(27*time.Hour), false), "ok")
	b = guard.Budget{}
	want(t, "without a budget", try(later, false), "ok")
}

// TestSpray: fifty checks of which most are wrong are a spray, people who mistype are not.
func TestSpray(t *testing.T) {
	t.Parallel()
	x := guard.DefaultGuessing()
	for _, c := range []struct {
		wrong, right int
		want         bool
	}{{49, 0, false}, {50, 0, true}, {40, 10, true}, {25, 25, false}, {30, 20, false}, {600, 400, true}} {
		var g guard.Guesses
		for i := range c.wrong + c.right {
			g.Count(i >= c.wrong, epoch)
		}
		want(t, "spray", x.Sprayed(&g, epoch), c.want)
		want(t, "two hours later", x.Sprayed(&g, epoch.Add(2*time.Hour)), false)
		back, err := guard.ParseGuesses(g.Append(nil))
		if err != nil || back != g {
			t.Errorf("%v: read back %v, %v", g, back, err)
		}
	}
}
