// Package limit is the arithmetic of "not so fast".
//
// It holds pure functions over small values that somebody else keeps: a GCRA for streams (client
// addresses, applications, wrong codes) and an exact log for the few sends that one number may have.
// It has no clock, no store and no goroutine; time is a parameter.
package limit

import "time"

// Rate is a GCRA limit: Burst at once, then one more each Period/Burst.
// A Rate with no Burst limits nothing.
type Rate struct {
	Name   string
	Burst  int
	Period time.Duration
}

// Take spends one of the rate. tat is the theoretical arrival time kept from before (Unix milliseconds,
// 0 for none). It answers the tat to keep, and when not ok, the time from which one more would pass;
// a refused take costs nothing: the tat is the old one.
func (r Rate) Take(tat int64, now time.Time) (next int64, retry time.Time, ok bool) {
	if r.Burst <= 0 || r.Period <= 0 {
		return tat, time.Time{}, true
	}
	at := now.UnixMilli()
	interval := max(r.Period.Milliseconds()/int64(r.Burst), 1)
	start := max(tat, at)
	if allow := start - interval*int64(r.Burst-1); allow > at {
		return tat, time.UnixMilli(allow).UTC(), false
	}
	return start + interval, time.Time{}, true
}

// Left returns how many would pass at now.
func (r Rate) Left(tat int64, now time.Time) int {
	if r.Burst <= 0 || r.Period <= 0 {
		return 0
	}
	interval := max(r.Period.Milliseconds()/int64(r.Burst), 1)
	used := max(tat-now.UnixMilli(), 0)
	return max(r.Burst-int((used+interval-1)/interval), 0)
}

// Refusal says which limit refused and when to come back.
type Refusal struct {
	// Name is the limit's stable name ("number_hour").
	Name  string
	Limit int
	// Window is the length of the limit's period; for a gap, the gap.
	Window time.Duration
	Retry  time.Time
}

// Schedule limits the sends to one number: growing gaps, and at most so many in a sliding window.
// It is exact, unlike a GCRA, which would let twice the number through in the first window: for a few
// expensive messages the stated number must be the true one.
type Schedule struct {
	// Gaps are the waits after the first, second, … send. The last one repeats.
	Gaps    []time.Duration
	Windows []Window
	// Forget is the quiet time after which the gaps start over.
	Forget time.Duration
}

// Window is "at most Max in any Span".
type Window struct {
	Name string
	Max  int
	Span time.Duration
}

// Log is what is kept of one number's sends.
type Log struct {
	// Sends are the newest sends, oldest first, Unix milliseconds; as many as the widest window needs.
	Sends []int64 `json:"s,omitzero"`
	// Step is how many gaps have been used since the last success or quiet time.
	Step int `json:"g,omitzero"`
}

// Take returns the log after one more send at now, or why not. A refusal changes nothing.
func (s Schedule) Take(l Log, now time.Time) (Log, *Refusal) {
	if next, gap := s.Next(l, now); next.After(now) {
		return l, &Refusal{Name: "number_gap", Limit: 1, Window: gap, Retry: next}
	}
	return s.TakeSoon(l, now)
}

// TakeSoon is Take without the gaps: the windows hold, and the next gap counts from now.
func (s Schedule) TakeSoon(l Log, now time.Time) (Log, *Refusal) {
	at := now.UnixMilli()
	for _, w := range s.Windows {
		if r := w.refuse(l.Sends, at); r != nil {
			return l, r
		}
	}
	if len(l.Sends) > 0 && at-l.Sends[len(l.Sends)-1] > s.Forget.Milliseconds() {
		l.Step = 0
	}
	keep := l.Sends
	for len(keep) > 0 && (len(keep) >= s.depth() || at-keep[0] > s.span()) {
		keep = keep[1:]
	}
	sends := make([]int64, 0, len(keep)+1)
	return Log{Sends: append(append(sends, keep...), at), Step: min(l.Step+1, len(s.Gaps))}, nil
}

// Next returns from when the gaps allow another send, and the gap in force.
func (s Schedule) Next(l Log, now time.Time) (time.Time, time.Duration) {
	if len(l.Sends) == 0 || l.Step == 0 || len(s.Gaps) == 0 {
		return time.Time{}, 0
	}
	last := l.Sends[len(l.Sends)-1]
	if now.UnixMilli()-last > s.Forget.Milliseconds() {
		return time.Time{}, 0
	}
	gap := s.Gaps[min(l.Step, len(s.Gaps))-1]
	return time.UnixMilli(last).Add(gap).UTC(), gap
}

// Reset forgets the gaps, as after a success; the windows stay.
func (l Log) Reset() Log { l.Step = 0; return l }

func (w Window) refuse(sends []int64, at int64) *Refusal {
	if len(sends) < w.Max || w.Max <= 0 {
		return nil
	}
	free := sends[len(sends)-w.Max] + w.Span.Milliseconds()
	if free <= at {
		return nil
	}
	return &Refusal{Name: w.Name, Limit: w.Max, Window: w.Span, Retry: time.UnixMilli(free).UTC()}
}

// depth is how many sends the windows need to know.
func (s Schedule) depth() int {
	n := 1
	for _, w := range s.Windows {
		n = max(n, w.Max)
	}
	return n
}

// span is the widest window in milliseconds.
func (s Schedule) span() int64 {
	d := s.Forget
	for _, w := range s.Windows {
		d = max(d, w.Span)
	}
	return d.Milliseconds()
}
