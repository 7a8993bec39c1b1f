package limit_test

import (
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/limit"
)

func TestLeft(t *testing.T) {
	t.Parallel()
	r := limit.Rate{Burst: 4, Period: time.Minute}
	var tat int64
	for want := 4; want > 0; want-- {
		if n := r.Left(tat, epoch); n != want {
			t.Errorf("%d are left, want %d", n, want)
		}
		tat, _, _ = r.Take(tat, epoch)
	}
	for after, want := range map[time.Duration]int{
		0: 0, 15*time.Second - time.Millisecond: 0, 15 * time.Second: 1, 30 * time.Second: 2, time.Minute: 4, time.Hour: 4,
	} {
		if n := r.Left(tat, epoch.Add(after)); n != want {
			t.Errorf("%d are left after %s, want %d", n, after, want)
		}
	}
}

func TestRateWithoutBurstOrPeriod(t *testing.T) {
	t.Parallel()
	for _, r := range []limit.Rate{{}, {Burst: 1}, {Period: time.Minute}} {
		if next, _, ok := r.Take(7, epoch); !ok || next != 7 {
			t.Errorf("%+v limits: %d, %v", r, next, ok)
		}
		if n := r.Left(0, epoch); n != 0 {
			t.Errorf("%+v has %d left", r, n)
		}
	}
}

func TestGapsAreForgotten(t *testing.T) {
	t.Parallel()
	s := limit.Schedule{Gaps: []time.Duration{time.Second, time.Minute}, Forget: time.Hour}
	l := limit.Log{Sends: []int64{epoch.UnixMilli()}, Step: 2}
	at, past := epoch.Add(s.Forget), epoch.Add(s.Forget+time.Millisecond)
	if next, gap := s.Next(l, at); gap != time.Minute || !next.Equal(epoch.Add(gap)) {
		t.Errorf("at the end of the quiet time: %s, %s", next, gap)
	}
	if _, gap := s.Next(l, past); gap != 0 {
		t.Errorf("after the quiet time: %s", gap)
	}
	if got, _ := s.TakeSoon(l, at); got.Step != 2 {
		t.Errorf("step %d at the end of the quiet time", got.Step)
	}
	if got, _ := s.TakeSoon(l, past); got.Step != 1 {
		t.Errorf("step %d after the quiet time", got.Step)
	}
	if _, gap := s.Next(l.Reset(), epoch); gap != 0 {
		t.Errorf("after a success: %s", gap)
	}
	if _, gap := (limit.Schedule{Forget: time.Hour}).Next(l, epoch); gap != 0 {
		t.Errorf("without gaps: %s", gap)
	}
}

func TestWindowEnds(t *testing.T) {
	t.Parallel()
	s := limit.Schedule{
		Windows: []limit.Window{{Name: "none"}, {Name: "hour", Max: 2, Span: time.Hour}},
		Forget:  24 * time.Hour,
	}
	l := limit.Log{Sends: []int64{epoch.UnixMilli(), epoch.Add(time.Minute).UnixMilli()}}
	free := epoch.Add(time.Hour)
	_, r := s.TakeSoon(l, free.Add(-time.Millisecond))
	if r == nil || r.Name != "hour" || r.Limit != 2 || !r.Retry.Equal(free) {
		t.Errorf("before the window's end: %+v", r)
	}
	got, r := s.TakeSoon(l, free)
	if r != nil || len(got.Sends) != 2 || got.Sends[0] != l.Sends[1] {
		t.Errorf("at the window's end: %+v, %+v", got, r)
	}
}

func TestOldSendsAreDropped(t *testing.T) {
	t.Parallel()
	s := limit.Schedule{Windows: []limit.Window{{Name: "hour", Max: 5, Span: time.Hour}}}
	l := limit.Log{Sends: []int64{epoch.UnixMilli()}}
	for after, want := range map[time.Duration]int{time.Hour: 2, time.Hour + time.Millisecond: 1} {
		if got, r := s.TakeSoon(l, epoch.Add(after)); r != nil || len(got.Sends) != want {
			t.Errorf("after %s: %+v, %+v", after, got, r)
		}
	}
}
