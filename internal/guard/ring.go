package guard

import "time"

// parts is how many parts of its span a Ring counts apart.
const parts = 12

// Ring sums amounts over a sliding span, in twelve parts and the one that is just passing out of it. So a sum is never
// too small, and includes what is up to a twelfth of the span too old. The span is the caller's, always the same.
type Ring struct {
	// newest is the number of the newest part since 1970, and sums are those of the parts from newest-parts to newest.
	newest int64
	sums   [parts + 1]int64
}

// Hour and Day are the spans in use.
const (
	Hour = time.Hour
	Day  = 24 * time.Hour
)

// part returns the number of the part that a time (Unix milliseconds) falls into.
func part(span time.Duration, at int64) int64 { return at / (span.Milliseconds() / parts) }

// slot returns where the part is kept.
func slot(p int64) int { return int(p % (parts + 1)) }

// Add adds n at a time, both in Unix milliseconds. What is older than the ring is left out.
func (r *Ring) Add(span time.Duration, at, n int64) {
	p := part(span, at)
	if p <= r.newest-parts-1 {
		return
	}
	r.turn(p)
	r.sums[slot(p)] += n
}

// turn makes p the newest part, if it is newer than the newest.
func (r *Ring) turn(p int64) {
	for q := max(r.newest+1, p-parts); q <= p; q++ {
		r.sums[slot(q)] = 0
	}
	r.newest = max(r.newest, p)
}

// Sum returns the sum of the span that ends at a time, and of up to a twelfth before it. What seems to lie in the
// future, because clocks differ, is in it.
func (r *Ring) Sum(span time.Duration, at int64) int64 {
	return r.between(part(span, at)-parts, r.newest)
}

// Before returns the sum of the span that ends with the n-th part before the one of a time.
func (r *Ring) Before(span time.Duration, at, n int64) int64 {
	now := part(span, at)
	return r.between(now-parts, now-n)
}

// between returns the sum of the parts from first to last.
func (r *Ring) between(first, last int64) int64 {
	var sum int64
	for p := max(first, r.newest-parts); p <= min(last, r.newest); p++ {
		sum += r.sums[slot(p)]
	}
	return sum
}

// Free returns the time from which the sum is at most a figure, if nothing is added: the time itself if
// it is already, else the beginning of a part, in Unix milliseconds.
func (r *Ring) Free(span time.Duration, at, most int64) int64 {
	width := span.Milliseconds() / parts
	then := at
	for p := part(span, at) + 1; r.Sum(span, then) > most && p <= r.newest+parts+1; p++ {
		then = p * width
	}
	return then
}

// empty reports whether the ring holds nothing.
func (r *Ring) empty() bool { return r.sums == [parts + 1]int64{} }
