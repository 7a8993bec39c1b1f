package guard

import (
	"encoding/binary"
	"errors"
	"math"
	"time"
)

// Bucket is the state of a set of numbers, which somebody keeps between messages. The zero value is a bucket that has
// never been used. Times are Unix milliseconds.
type Bucket struct {
	// Credit is what was left at the time At; 0: never used.
	At     int64
	Credit Credit
	// Converted is the newest conversion.
	Converted int64
	Alarm     Alarm
	// Hours and Days count verifications by when they started.
	Hours, Days Counts
	Usual       Usual
	// Lent is the credit of undelivered messages that was returned in a day, in thousandths of a message.
	Lent Ring
	Seen []Seen
	// Hourly and Daily are what the bucket has cost, in millionths of the currency.
	Hourly, Daily Ring
}

// Counts counts verifications and those of them that converted.
type Counts struct{ Started, Won Ring }

// halfLife is the time after which half of what was usual is forgotten.
const halfLife = 7 * 24 * time.Hour

// Usual is what a bucket's traffic has been like, the older the less it counts.
type Usual struct {
	// Since is when it began, and At when the amounts were right.
	Since, At int64
	// Started and Won are verifications, in thousandths.
	Started, Won int64
}

// decay brings the amounts up to a time.
func (u *Usual) decay(now int64) {
	if u.Since == 0 {
		u.Since, u.At = now, now
	}
	if now <= u.At {
		return
	}
	f := math.Exp2(-float64(now-u.At) / float64(halfLife.Milliseconds()))
	u.Started, u.Won = int64(float64(u.Started)*f), int64(float64(u.Won)*f)
	u.At = now
}

// hours returns how many hours of steady traffic the amounts stand for, at least a day's: what has just begun is not
// usual.
func (u Usual) hours(now int64) float64 {
	all := halfLife.Hours() / math.Ln2
	return max(all*(1-math.Exp2(-float64(now-u.Since)/float64(halfLife.Milliseconds()))), Day.Hours())
}

// wonPerHour returns the usual conversions of an hour.
func (u Usual) wonPerHour(now int64) float64 {
	u.decay(now)
	return float64(u.Won) / 1000 / u.hours(now)
}

// lostPerHour returns the usual verifications of an hour that do not convert.
func (u Usual) lostPerHour(now int64) float64 {
	u.decay(now)
	return float64(max(u.Started-u.Won, 0)) / 1000 / u.hours(now)
}

// share returns the usual share that converts; 0 without a history of so many verifications.
func (u Usual) share(now int64, least float64) float64 {
	u.decay(now)
	if started := float64(u.Started) / 1000; started < max(least, 1) {
		return 0
	}
	return float64(u.Won) / float64(u.Started)
}

// start counts a verification that began.
func (b *Bucket) start(now int64) {
	b.Hours.Started.Add(Hour, now, 1)
	b.Days.Started.Add(Day, now, 1)
	b.Usual.decay(now)
	b.Usual.Started += 1000
}

// win counts the conversion of a verification that began at a time.
func (b *Bucket) win(started, now int64) {
	b.Hours.Won.Add(Hour, started, 1)
	b.Days.Won.Add(Day, started, 1)
	b.Usual.decay(now)
	b.Usual.Won += 1000
}

// unstart takes back a verification whose message never reached anybody: it says nothing about people.
func (b *Bucket) unstart(started, now int64) {
	b.Hours.Started.Add(Hour, started, -1)
	b.Days.Started.Add(Day, started, -1)
	b.Usual.decay(now)
	b.Usual.Started = max(b.Usual.Started-1000, 0)
}

// version is the form in which a bucket is written.
const version = 1

// maxBytes bounds a written bucket.
const maxBytes = 4096

// ErrState reports bytes that are no state of this package.
var ErrState = errors.New("guard: the state cannot be read")

// Append appends the state to p.
func (b *Bucket) Append(p []byte) []byte {
	w := writer(append(p, version))
	w.ints(b.At, int64(b.Credit), b.Converted)
	w.ints(b.Alarm.Since, b.Alarm.Until, int64(b.Alarm.Count), int64(b.Alarm.Cause), b.Alarm.Input, b.Alarm.Threshold)
	w.ints(b.Usual.Since, b.Usual.At, b.Usual.Started, b.Usual.Won)
	for _, r := range b.rings() {
		w.ring(r)
	}
	w.ints(int64(len(b.Seen)))
	for _, s := range b.Seen {
		w.ints(int64(s.Last), s.At)
	}
	return w
}

// ParseBucket reads what Append wrote. No bytes are a bucket that was never used. The error is ErrState.
func ParseBucket(p []byte) (Bucket, error) {
	var b Bucket
	if len(p) == 0 {
		return b, nil
	}
	if p[0] != version || len(p) > maxBytes {
		return Bucket{}, ErrState
	}
	r := reader{p: p[1:]}
	var credit, count, cause, seen int64
	r.ints(&b.At, &credit, &b.Converted)
	r.ints(&b.Alarm.Since, &b.Alarm.Until, &count, &cause, &b.Alarm.Input, &b.Alarm.Threshold)
	r.ints(&b.Usual.Since, &b.Usual.At, &b.Usual.Started, &b.Usual.Won)
	for _, ring := range b.rings() {
		r.ring(ring)
	}
	r.ints(&seen)
	if seen < 0 || seen > maxSeen || cause < 0 || cause >= int64(causes) || count < 0 || count > maxCount {
		return Bucket{}, ErrState
	}
	for range seen {
		var last, at int64
		r.ints(&last, &at)
		if last < 0 || last > maxLast {
			return Bucket{}, ErrState
		}
		b.Seen = append(b.Seen, Seen{uint16(last), at})
	}
	if r.bad || len(r.p) > 0 {
		return Bucket{}, ErrState
	}
	b.Credit, b.Alarm.Count, b.Alarm.Cause = Credit(credit), int(count), Cause(cause)
	return b, nil
}

// maxLast is the greatest number of four digits, and maxCount bounds how many alarms are counted.
const (
	maxLast  = 9999
	maxCount = 1000
)

// rings returns the rings in the order in which they are written.
func (b *Bucket) rings() []*Ring {
	return []*Ring{
		&b.Hours.Started, &b.Hours.Won, &b.Days.Started, &b.Days.Won, &b.Lent, &b.Hourly, &b.Daily,
	}
}

// writer appends numbers as varints.
type writer []byte

func (w *writer) ints(all ...int64) {
	for _, n := range all {
		*w = binary.AppendVarint(*w, n)
	}
}

// ring writes a ring, an empty one in two bytes.
func (w *writer) ring(r *Ring) {
	if r.empty() {
		w.ints(0, 0)
		return
	}
	w.ints(r.newest, 1)
	w.ints(r.sums[:]...)
}

// reader reads what a writer wrote. Once it is bad, it reads zeros.
type reader struct {
	p   []byte
	bad bool
}

func (r *reader) ints(all ...*int64) {
	for _, n := range all {
		v, size := binary.Varint(r.p)
		if size <= 0 {
			r.bad, r.p, v, size = true, nil, 0, 0
		}
		*n, r.p = v, r.p[size:]
	}
}

func (r *reader) ring(out *Ring) {
	var newest, full int64
	r.ints(&newest, &full)
	if full == 0 {
		r.bad = r.bad || newest != 0
		return
	}
	if out.newest = newest; newest < 0 || full != 1 {
		r.bad, out.newest = true, 0
		return
	}
	for i := range out.sums {
		r.ints(&out.sums[i])
	}
	r.bad = r.bad || out.empty()
}
