package limit_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dialproof/dialproof/internal/limit"
)

var epoch = time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)

func TestRate(t *testing.T) {
	t.Parallel()
	r := limit.Rate{Name: "r", Burst: 4, Period: time.Minute}
	var tat int64
	now := epoch
	for i := range 4 {
		next, _, ok := r.Take(tat, now)
		if !ok {
			t.Fatalf("take %d was refused", i)
		}
		tat = next
	}
	kept, retry, ok := r.Take(tat, now)
	if ok || kept != tat || retry.Sub(now) != 15*time.Second {
		t.Errorf("the fifth: ok %v, come back in %s", ok, retry.Sub(now))
	}
	if _, _, ok := r.Take(tat, retry.Add(-time.Millisecond)); ok {
		t.Error("passed before its time")
	}
	if _, _, ok := r.Take(tat, retry); !ok {
		t.Error("refused at the time that it named")
	}
	if _, _, ok := (limit.Rate{}).Take(0, now); !ok {
		t.Error("no limit refused")
	}
}

// TestRateNeverExceeds holds the promise of a GCRA against any sequence of takes: in any time d at most
// Burst + d/interval pass.
func TestRateNeverExceeds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := limit.Rate{
			Burst:  rapid.IntRange(1, 20).Draw(t, "burst"),
			Period: time.Duration(rapid.IntRange(1, 3600).Draw(t, "period")) * time.Second,
		}
		interval := max(r.Period/time.Duration(r.Burst), time.Millisecond).Truncate(time.Millisecond)
		var tat int64
		var passed []time.Time
		now := epoch
		for range rapid.IntRange(1, 200).Draw(t, "takes") {
			now = now.Add(time.Duration(rapid.Int64Range(0, r.Period.Milliseconds()/2).Draw(t, "gap")) * time.Millisecond)
			next, retry, ok := r.Take(tat, now)
			if !ok {
				if next != tat || !retry.After(now) {
					t.Fatal("a refusal cost something or names no later time")
				}
				continue
			}
			tat = next
			passed = append(passed, now)
		}
		for i := range passed {
			for j := i; j < len(passed); j++ {
				if n, most := j-i+1, r.Burst+int(passed[j].Sub(passed[i])/interval); n > most {
					t.Fatalf("%d passed in %s, at most %d may", n, passed[j].Sub(passed[i]), most)
				}
			}
		}
	})
}

// TestScheduleIsExact holds the windows and gaps against any sequence of tries.
func TestScheduleIsExact(t *testing.T) {
	t.Parallel()
	s := limit.Schedule{
		Gaps:    []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute},
		Windows: []limit.Window{{Name: "hour", Max: 5, Span: time.Hour}, {Name: "day", Max: 10, Span: 24 * time.Hour}},
		Forget:  time.Hour,
	}
	rapid.Check(t, func(t *rapid.T) {
		var l limit.Log
		var sent []time.Time
		now := epoch
		for range 300 {
			now = now.Add(time.Duration(rapid.Int64Range(0, 20*60*1000).Draw(t, "gap")) * time.Millisecond)
			next, refusal := s.Take(l, now)
			if refusal != nil {
				if !refusal.Retry.After(now) {
					t.Fatalf("%s refused and names no later time", refusal.Name)
				}
				continue
			}
			l = next
			sent = append(sent, now)
		}
		for i := range sent {
			for _, w := range s.Windows {
				if j := i + w.Max; j < len(sent) && sent[j].Sub(sent[i]) < w.Span {
					t.Fatalf("more than %d in %s", w.Max, w.Span)
				}
			}
			if i > 0 && sent[i].Sub(sent[i-1]) < 30*time.Second {
				t.Fatal("two sends within the shortest gap")
			}
		}
		if len(l.Sends) > 10 {
			t.Fatalf("%d sends are kept", len(l.Sends))
		}
	})
}
