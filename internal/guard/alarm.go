package guard

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// Alarm is the state of a bucket whose numbers behave as nobody's customers do. While it lasts, conversions no longer
// pay for strangers: without it, honest people in a range would pay for whoever sends beside them.
type Alarm struct {
	// Since and Until are when it began and ends, Unix milliseconds; 0: there was none.
	Since, Until int64
	// Count is how many there were; each one lasts twice as long as the one before it.
	Count int
	// Cause names the rule, and Input and Threshold are what it saw, in thousandths.
	Cause            Cause
	Input, Threshold int64
}

// Cause is a rule that raises an alarm.
type Cause uint8

// The causes.
const (
	NoCause Cause = iota
	LowRatio
	DroppedRatio
	Dense
	Neighbours
	causes
)

// String returns the name of the rule.
func (c Cause) String() string {
	return [...]string{"", "ratio", "ratio_drop", "density", "neighbours"}[min(c, causes-1)]
}

// Ratio is the figures of the rule on the share of verifications that convert.
type Ratio struct {
	// Least is the share that traffic of people reaches; Count is how many verifications are needed to judge, and Z how
	// sure the rule must be, in standard deviations.
	Least float64
	Count int64
	Z     float64
	// Drop compares with the bucket's own history, if that has at least DropHistory verifications: alarm when the share is
	// surely (DropZ) below Drop times the usual one. After an earlier alarm DropAgainZ is enough.
	Drop              float64
	DropCount         int64
	DropHistory       float64
	DropZ, DropAgainZ float64
	// Hold is how long the first alarm lasts, HoldMost the longest. Forget is how long after its end an alarm makes the
	// next one longer.
	Hold, HoldMost, Forget time.Duration
}

// Density is the figures of the rules on numbers that lie close together.
type Density struct {
	// Chance is how improbable so many unconverted numbers in an hour must be. Usual is how many are expected at least,
	// and PerWon how many at least beside each conversion of that hour.
	Chance        float64
	Usual, PerWon float64
	// Among the Newest numbers, Close neighbours that lie at most Gap apart are an alarm.
	Newest, Close, Gap int
}

// Seen is a number of a range that has been sent to and has not converted.
type Seen struct {
	Last uint16 // its last four digits
	At   int64  // Unix milliseconds
}

// maxSeen bounds how many numbers a bucket remembers. Ranges where more would be usual have no density rule.
const maxSeen = 64

// alarmed reports whether an alarm lasts.
func (b *Bucket) alarmed(now int64) bool { return now < b.Alarm.Until }

// raise begins an alarm, unless one lasts.
func (b *Bucket) raise(r Ratio, cause Cause, input, threshold float64, now int64) {
	if b.alarmed(now) {
		return
	}
	if now-b.Alarm.Until > r.Forget.Milliseconds() {
		b.Alarm.Count = 0
	}
	hold := r.Hold.Milliseconds()
	for range b.Alarm.Count {
		hold = min(2*hold, r.HoldMost.Milliseconds())
	}
	b.Alarm = Alarm{ // its Count is bounded: each one lasts a day at least
		Since: now, Until: now + hold, Count: b.Alarm.Count + 1,
		Cause: cause, Input: milli(input), Threshold: milli(threshold),
	}
}

func milli(x float64) int64 { return int64(math.Round(x * 1000)) }

// young is how many parts of an hour, of five minutes each, a verification is too young to be judged: it may yet
// convert.
const young = 2

// watch looks at the ratio of a bucket and raises an alarm.
func (b *Bucket) watch(r Ratio, now int64) {
	if b.alarmed(now) {
		return
	}
	hour := tally{b.Hours.Started.Before(Hour, now, young), b.Hours.Won.Before(Hour, now, young)}
	day := tally{
		b.Days.Started.Sum(Day, now) - (b.Hours.Started.Sum(Hour, now) - hour.started),
		b.Days.Won.Sum(Day, now) - (b.Hours.Won.Sum(Hour, now) - hour.won),
	}
	spans := []tally{hour, day}
	if now-b.Alarm.Since < (Day + Day/parts).Milliseconds() {
		spans = spans[:1] // what led to the last alarm is not held against the range again
	}
	again := b.Alarm.Count > 0 && now-b.Alarm.Until <= r.Forget.Milliseconds()
	for _, t := range spans {
		if cause, least := t.low(r, b.Usual.share(now, r.DropHistory), again); cause != NoCause {
			b.raise(r, cause, t.share(), least, now)
			return
		}
	}
}

// tally counts verifications and those of them that converted.
type tally struct{ started, won int64 }

func (t tally) share() float64 { return float64(t.won) / float64(max(t.started, 1)) }

// low returns whether the share is surely too low, and below what. usual is 0 when there is no history.
func (t tally) low(r Ratio, usual float64, again bool) (Cause, float64) {
	if t.started >= r.Count && upper(t, r.Z) < r.Least {
		return LowRatio, r.Least
	}
	z := r.DropZ
	if again {
		z = r.DropAgainZ
	}
	if usual > 0 && t.started >= r.DropCount && upper(t, z) < r.Drop*usual {
		return DroppedRatio, r.Drop * usual
	}
	return NoCause, 0
}

// upper returns the upper bound of Wilson's interval for the true share.
func upper(t tally, z float64) float64 {
	n := float64(t.started)
	if n == 0 {
		return 1
	}
	p := t.share()
	z2 := z * z
	return (p + z2/(2*n) + z*math.Sqrt(p*(1-p)/n+z2/(4*n*n))) / (1 + z2/n)
}

// see remembers a number that is sent to.
func (b *Bucket) see(last int, now int64) {
	b.unsee(last)
	b.Seen = slices.DeleteFunc(b.Seen, func(s Seen) bool { return now-s.At >= Hour.Milliseconds() })
	if len(b.Seen) == maxSeen {
		b.Seen = b.Seen[1:]
	}
	b.Seen = append(b.Seen, Seen{uint16(last), now})
}

// unsee forgets a number, which has converted or is seen again.
func (b *Bucket) unsee(last int) {
	b.Seen = slices.DeleteFunc(slices.Clone(b.Seen), func(s Seen) bool { return s.Last == uint16(last) })
}

// crowded raises an alarm when the numbers seen are too many or too close.
func (b *Bucket) crowded(d Density, r Ratio, now int64) {
	won := float64(b.Hours.Won.Sum(Hour, now))
	if most := crowd(max(d.Usual, b.Usual.lostPerHour(now), d.PerWon*won), d.Chance); len(b.Seen) >= most {
		b.raise(r, Dense, float64(len(b.Seen)), float64(most), now)
	}
	if n := b.neighbours(d); n >= d.Close {
		b.raise(r, Neighbours, float64(n), float64(d.Close), now)
	}
}

// neighbours returns how many of the newest numbers have their next one close by.
func (b *Bucket) neighbours(d Density) int {
	newest := b.Seen[max(len(b.Seen)-d.Newest, 0):]
	lasts := make([]int, 0, len(newest))
	for _, s := range newest {
		lasts = append(lasts, int(s.Last))
	}
	slices.Sort(lasts)
	n := 0
	for i := 1; i < len(lasts); i++ {
		if lasts[i]-lasts[i-1] <= d.Gap {
			n++
		}
	}
	return n
}

// crowd returns the least k for which a Poisson variable of a mean is k or more with less than a chance; maxSeen+1 when
// there is none up to maxSeen.
func crowd(mean, chance float64) int {
	p := math.Exp(-mean) // of exactly k
	tail := 1.0
	for k := 0; k <= maxSeen; k++ {
		if tail < chance {
			return k
		}
		tail -= p
		p *= mean / float64(k+1)
	}
	return maxSeen + 1
}

// rule returns what a lasting alarm has to say.
func (a Alarm) rule(l Level) Rule {
	return Rule{
		Name: l.String() + "_" + a.Cause.String(), Version: 1,
		Input:     fmt.Sprintf("%.3g", float64(a.Input)/1000),
		Threshold: fmt.Sprintf("%.3g", float64(a.Threshold)/1000),
		Since:     time.UnixMilli(a.Since).UTC(),
		Retry:     time.UnixMilli(a.Until).UTC(),
	}
}
