package guard_test

import (
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/guard"
)

// traffic is people of one range over time: every gap one starts, and of each hundred so many convert 45 s later.
type traffic struct {
	r    guard.Rules
	s    *guard.Set
	now  time.Time
	n    int
	out  int
	next func(n int) int
}

// run sends so many messages, one every gap; percent of them convert at once.
func (w *traffic) run(n int, gap time.Duration, percent int) guard.Decision {
	var d guard.Decision
	for range n {
		w.now = w.now.Add(gap)
		w.n++
		f := facts(w.next(w.n))
		if d = w.r.Spend(w.s, f, w.now); d.Verdict != guard.Allow {
			continue
		}
		w.out++
		if w.n*percent/100 != (w.n-1)*percent/100 {
			w.r.Convert(w.s, f, w.now, w.now)
		}
	}
	return d
}

func newTraffic() *traffic {
	return &traffic{r: guard.Default(), s: &guard.Set{}, now: epoch, next: far}
}

func cause(w *traffic) string {
	b := w.s.Buckets[guard.Range]
	if w.now.UnixMilli() >= b.Alarm.Until {
		return ""
	}
	return b.Alarm.Cause.String()
}

// TestDensity: eight numbers of a range that do not convert within an hour are an alarm, seven are not.
func TestDensity(t *testing.T) {
	t.Parallel()
	w := newTraffic()
	w.run(7, 8*time.Minute, 0)
	want(t, "seven", cause(w), "")
	w.run(1, 3*time.Minute, 0)
	want(t, "eight", cause(w), "density")
	want(t, "left to others", w.s.Buckets[guard.Range].Credit.String(), "10.00")
	w = newTraffic()
	w.run(15, 9*time.Minute, 0)
	want(t, "fifteen, seven in an hour", cause(w), "")
	w = newTraffic()
	w.run(40, time.Second, 100)
	want(t, "forty that convert", cause(w), "")
	w.next = func(int) int { return 5 }
	w.run(15, time.Second, 0)
	want(t, "one number, often", cause(w), "")
}

// TestNeighbours: among the ten newest numbers five that follow closely are an alarm, four are not.
func TestNeighbours(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		gap  int
		n    int
		want string
	}{
		{"five gaps of ten", 10, 6, "neighbours"},
		{"four gaps of ten", 10, 5, ""},
		{"five gaps of eleven", 11, 6, ""},
	} {
		w := newTraffic()
		w.next = func(n int) int { return 5000 - n*c.gap }
		w.run(c.n, time.Second, 0)
		want(t, c.name, cause(w), c.want)
	}
	w := newTraffic()
	w.next = func(n int) int { return n }
	w.run(30, time.Second, 100)
	want(t, "thirty neighbours who convert", cause(w), "")
}

// TestRatio: honest people in a range do not pay for whoever sends beside them for long.
func TestRatio(t *testing.T) {
	t.Parallel()
	w := newTraffic()
	w.r.Density.Close, w.r.Density.Chance = 100, 0 // the ratio alone
	w.run(3000, time.Minute, 60)
	want(t, "people", cause(w), "")
	want(t, "let out", w.out, 3000)
	// 60 % fall to 40 %, which still pays for itself: only the drop tells.
	w.run(400, 12*time.Second, 40)
	if c := cause(w); c != "ratio_drop" {
		t.Fatalf("cause: %q", c)
	}
	before := w.out
	w.run(17*60, time.Minute, 40)
	// In the alarm strangers have what time gives: half of 0.02 a minute, and what is converted pays for none of them.
	if n := w.out - before; n > 25 {
		t.Errorf("%d were let out in 17 hours of alarm", n)
	}
	w.run(3*60, time.Minute, 40)
	want(t, "alarms", w.s.Buckets[guard.Range].Alarm.Count >= 1, true)
}

// TestAlarmsGrow: each alarm lasts twice as long as the one before it, up to two weeks, and is forgotten after four.
func TestAlarmsGrow(t *testing.T) {
	t.Parallel()
	w := newTraffic()
	w.next = func(n int) int { return n }
	hold := guard.Day
	for i := range 6 {
		w.run(12, time.Second, 0)
		a := w.s.Buckets[guard.Range].Alarm
		want(t, "alarms", a.Count, i+1)
		want(t, "lasts", time.Duration(a.Until-a.Since)*time.Millisecond, min(hold, 14*guard.Day))
		hold *= 2
		w.now = time.UnixMilli(a.Until).Add(12 * time.Hour)
	}
	w.now = w.now.Add(28 * guard.Day)
	w.run(12, time.Second, 0)
	want(t, "alarms", w.s.Buckets[guard.Range].Alarm.Count, 1)
}

// TestOutage: messages that are returned say nothing about people.
func TestOutage(t *testing.T) {
	t.Parallel()
	w := newTraffic()
	w.run(300, 10*time.Minute, 60)
	for i := range 60 {
		w.now = w.now.Add(5 * time.Minute)
		f := facts(far(i))
		if d := w.r.Spend(w.s, f, w.now); d.Verdict != guard.Allow {
			t.Fatalf("message %d: %s", i, d)
		}
		w.r.Failed(w.s, f, guard.Receipt{Sent: w.now}, w.now)
	}
	want(t, "alarm", cause(w), "")
}

// TestAlarmSpeaks: a decision during an alarm names it, with what it saw and how long it lasts.
func TestAlarmSpeaks(t *testing.T) {
	t.Parallel()
	w := newTraffic()
	d := w.run(20, time.Minute, 0)
	var got guard.Rule
	for _, r := range d.Rules {
		if r.Name == "range_density" {
			got = r
		}
	}
	want(t, "input", got.Input, "8")
	want(t, "threshold", got.Threshold, "8")
	want(t, "since", got.Since, epoch.Add(8*time.Minute))
	want(t, "until", got.Retry, epoch.Add(8*time.Minute+guard.Day))
	want(t, "verdict of the alarm itself", got.Verdict, guard.Allow)
	want(t, "verdict", d.Verdict, guard.Challenge)
	want(t, "rule", rule(d), "range_credit")
}
