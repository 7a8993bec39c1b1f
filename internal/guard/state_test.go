package guard

import (
	"bytes"
	"math"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestRing holds the sums of a ring against those of a list: never less than the span, never more than a twelfth more.
func TestRing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		span := rapid.SampledFrom([]time.Duration{Hour, Day}).Draw(t, "span")
		var r Ring
		type add struct{ at, n int64 }
		var all []add
		sum := func(from, to int64) (sum int64) {
			for _, a := range all {
				if a.at > from && a.at <= to {
					sum += a.n
				}
			}
			return sum
		}
		now := int64(1.8e12)
		for range rapid.IntRange(1, 100).Draw(t, "adds") {
			now += rapid.Int64Range(0, span.Milliseconds()/8).Draw(t, "gap")
			at := now - rapid.SampledFrom([]int64{0, 0, 0, span.Milliseconds() / 5}).Draw(t, "late")
			n := rapid.Int64Range(0, 100).Draw(t, "n")
			r.Add(span, at, n)
			all = append(all, add{at, n})
			got := r.Sum(span, now)
			least, most := sum(now-span.Milliseconds(), now), sum(now-span.Milliseconds()*13/12, now)
			if got < least || got > most {
				t.Fatalf("sum %d, want %d to %d", got, least, most)
			}
			goal := rapid.Int64Range(0, 200).Draw(t, "goal")
			free := r.Free(span, now, goal)
			if r.Sum(span, free) > goal || free > now && r.Sum(span, free-1) <= goal || free < now {
				t.Fatalf("free of %d at %d: %d then, %d before", goal, free, r.Sum(span, free), r.Sum(span, free-1))
			}
		}
	})
}

// TestRingBefore: the newest parts can be left out.
func TestRingBefore(t *testing.T) {
	t.Parallel()
	var r Ring
	now := int64(20_000 * Day / time.Millisecond)
	minutes := func(n int64) int64 { return now - n*60_000 }
	for n := int64(70); n >= 0; n -= 5 {
		r.Add(Hour, minutes(n), 1)
	}
	r.Add(Hour, minutes(66), 100) // too old
	for n, want := range []int64{13, 12, 11, 10} {
		if got := r.Before(Hour, now, int64(n)); got != want {
			t.Errorf("before %d parts: %d, want %d", n, got, want)
		}
	}
	if got := r.Sum(Hour, minutes(5)); got != 13 {
		t.Errorf("the future counts %d, want 13", got)
	}
	if got := r.Sum(Hour, now+Hour.Milliseconds()); got != 1 {
		t.Errorf("an hour later: %d, want 1", got)
	}
	if got := r.Sum(Hour, now+Hour.Milliseconds()+300_000); got != 0 {
		t.Errorf("an hour and five minutes later: %d, want 0", got)
	}
}

// busy returns a bucket with something in every field.
func busy() Bucket {
	b := Bucket{
		At: 5, Credit: -7, Converted: 3,
		Alarm: Alarm{Since: 1, Until: 2, Count: 3, Cause: Dense, Input: 4, Threshold: 5},
		Usual: Usual{Since: 1, At: 2, Started: 3, Won: 4},
		Seen:  []Seen{{1, 2}, {9999, 1 << 40}},
	}
	for i, r := range b.rings() {
		r.Add(Hour, int64(1e12), int64(i+1))
	}
	return b
}

// TestCodec: what is written is read back, whatever it is, and each field is.
func TestCodec(t *testing.T) {
	t.Parallel()
	b := busy()
	for f := range reflect.ValueOf(b).NumField() {
		if reflect.ValueOf(b).Field(f).IsZero() {
			t.Errorf("the field %s of the test's bucket is empty", reflect.TypeOf(b).Field(f).Name)
		}
	}
	p := b.Append([]byte("x"))
	if p[0] != 'x' || p[1] != version {
		t.Fatal("the bytes before it have changed, or there is no version")
	}
	got, err := ParseBucket(p[1:])
	if err != nil || !reflect.DeepEqual(got, b) {
		t.Errorf("read back %+v, %v", got, err)
	}
	for n := 2; n < len(p); n++ {
		if _, err := ParseBucket(p[1:n]); err == nil {
			t.Errorf("the first %d bytes alone are read", n)
		}
	}
	if _, err := ParseBucket(append(p[1:], 0)); err == nil {
		t.Error("one byte more is read")
	}
	if empty, err := ParseBucket(nil); err != nil || !reflect.DeepEqual(empty, Bucket{}) {
		t.Error("no bytes are not an empty bucket")
	}
	if n := len((&Bucket{}).Append(nil)); n > 32 {
		t.Errorf("an empty bucket takes %d bytes", n)
	}
	var s Spent
	s.add(1e12, 5)
	if back, err := ParseSpent(s.Append(nil)); err != nil || back != s {
		t.Errorf("read back %+v, %v", back, err)
	}
}

// TestFullBucketIsSmall: the greatest state fits the bound.
func TestFullBucketIsSmall(t *testing.T) {
	t.Parallel()
	b := busy()
	for _, r := range b.rings() {
		r.newest = math.MaxInt64
		for i := range r.sums {
			r.sums[i] = math.MinInt64
		}
	}
	for range maxSeen {
		b.Seen = append(b.Seen[:0:0], b.Seen...)
	}
	for i := range maxSeen * 2 {
		b.see(i, 1<<50)
	}
	if len(b.Seen) != maxSeen {
		t.Fatalf("%d numbers are remembered", len(b.Seen))
	}
	if n := len(b.Append(nil)); n > maxBytes {
		t.Errorf("%d bytes", n)
	}
}

func FuzzParseBucket(f *testing.F) {
	b := busy()
	f.Add(b.Append(nil))
	f.Add((&Bucket{}).Append(nil))
	f.Add([]byte{version, 0xff})
	f.Fuzz(func(t *testing.T, p []byte) {
		b, err := ParseBucket(p)
		if err != nil || len(p) == 0 {
			return
		}
		// Numbers may be written in more bytes than they need; what is read is written in one way.
		again := b.Append(nil)
		c, err := ParseBucket(again)
		if err != nil || !bytes.Equal(again, c.Append(nil)) {
			t.Errorf("%x is read and written as %x, which is not read the same (%v)", p, again, err)
		}
		// Whatever has been read can be worked with.
		r, s := Default(), &Set{}
		for i := range s.Buckets {
			s.Buckets[i] = b
		}
		now := time.UnixMilli(1.8e12)
		r.Spend(s, Facts{Carried: true, First: true}, now)
		r.Convert(s, Facts{Carried: true}, now, now)
	})
}

// TestUpper holds Wilson's bound against published values.
func TestUpper(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		n, won  int64
		z, want float64
	}{{0, 0, 2.58, 1}, {12, 0, 2.58, 0.3568}, {13, 0, 2.58, 0.3386}, {100, 50, 1.96, 0.5962}, {20, 20, 1.96, 1}} {
		if got := upper(tally{c.n, c.won}, c.z); math.Abs(got-c.want) > 1e-3 {
			t.Errorf("%d of %d: %.4f, want %.4f", c.won, c.n, got, c.want)
		}
	}
}

// TestCrowd holds the counts against the published table.
func TestCrowd(t *testing.T) {
	t.Parallel()
	for mean, want := range map[float64]int{0.1: 5, 0.5: 8, 1: 10, 5: 20, 100: maxSeen + 1} {
		if got := crowd(mean, 1e-6); got != want {
			t.Errorf("%g: %d, want %d", mean, got, want)
		}
	}
}
