package guard

import (
	"math"
	"strconv"
	"time"
)

// Credit is an amount of messages, in billionths.
type Credit int64

// message is the credit that one message costs.
const message Credit = 1e9

// credit returns the credit of so many messages.
func credit(messages float64) Credit { return Credit(math.Round(messages * float64(message))) }

// String returns the amount in messages, with two decimals, rounded down.
func (c Credit) String() string {
	return strconv.FormatFloat(math.Floor(float64(c)/float64(message)*100)/100, 'f', 2, 64)
}

// Account is the figures of the credit of one level.
type Account struct {
	// Most is how much credit a bucket has at most, and at first.
	Most float64
	// Growth is how many messages a minute it gains by time alone.
	Growth float64
	// Strangers and Solvers are the parts of the credit (0 to 1) that stay for others: who has neither proven the number
	// nor solved a challenge leaves Strangers, who has only solved a challenge leaves Solvers. On the levels above the
	// range, numbers of ranges that converted leave nothing.
	Strangers, Solvers float64
	// Traffic lets a bucket have as much credit as this many hours of its usual converted traffic would need, if that is
	// more than Most; 0: no.
	Traffic float64
}

// Conversions is what the credit knows of codes that were typed.
type Conversions struct {
	// Return is how many messages one conversion pays for.
	Return float64
	// Remembered is how long a range counts as one that converts.
	Remembered time.Duration
}

// most returns how much credit a bucket may have. What is usual is judged by conversions: traffic that nobody typed a
// code for makes no room.
func (a Account) most(b *Bucket, c Conversions, now int64) Credit {
	return max(credit(a.Most), credit(a.Traffic*b.Usual.wonPerHour(now)*c.Return))
}

// growth returns the gain of some milliseconds, rounded down.
func (a Account) growth(ms int64, most Credit) Credit {
	perMs := int64(a.Growth * float64(message) / 60_000)
	if ms <= 0 || perMs <= 0 {
		return 0
	}
	if ms >= int64(most)/perMs+1 {
		return most
	}
	return Credit(ms * perMs)
}

// grow brings the credit of a bucket up to a time (Unix milliseconds). Time that goes back gives nothing, and time
// during an alarm half.
func (b *Bucket) grow(a Account, c Conversions, now int64) {
	most := a.most(b, c, now)
	if b.At == 0 {
		b.Credit, b.At = most, now
		return
	}
	calm := max(now-max(b.At, b.Alarm.Until), 0)
	alarmed := max(now-b.At-calm, 0)
	b.Credit = min(b.Credit+a.growth(calm+alarmed/2, most), most)
	b.At = max(b.At, now)
}

// floor returns the credit that a message has to leave to others.
func (a Account) floor(most Credit, f Facts, converts bool) Credit {
	switch {
	case f.Proven || converts:
		return 0
	case f.Solved:
		return Credit(a.Solvers * float64(most))
	}
	return Credit(a.Strangers * float64(most))
}

// convert pays what one conversion returns. During an alarm it pays only into what strangers leave.
func (b *Bucket) convert(a Account, c Conversions, alarmed bool, now int64) {
	most := a.most(b, c, now)
	if alarmed {
		most = a.floor(most, Facts{}, false)
	}
	b.Credit = max(b.Credit, min(b.Credit+credit(c.Return), most))
	b.Converted = max(b.Converted, now)
}

// giveBack returns credit that was spent.
func (b *Bucket) giveBack(a Account, c Conversions, amount Credit, now int64) {
	b.Credit = min(b.Credit+amount, a.most(b, c, now))
}

// converts reports whether the bucket has converted not long ago.
func (b *Bucket) converts(c Conversions, now int64) bool {
	return b.Converted > 0 && now-b.Converted < c.Remembered.Milliseconds()
}

// affordable returns from when a message of a cost could be paid, if nothing else is spent; zero when never.
func (b *Bucket) affordable(a Account, need Credit, now int64) time.Time {
	perMs := int64(a.Growth * float64(message) / 60_000)
	if perMs <= 0 || need > credit(a.Most) {
		return time.Time{}
	}
	wait := (int64(need-b.Credit) + perMs - 1) / perMs
	if left := b.Alarm.Until - now; left > 0 { // the credit grows half as fast until then
		wait += min(wait, left/2)
	}
	return time.UnixMilli(now + wait).UTC()
}
