// Package journal is the rows of a store that are durable, but not in their tables yet: a log of segments, one a
// commit, and where in it the newest change of each row is. It writes no file and reads no row: segments are kept by
// who has a journal, and rows are bytes.
//
// A commit writes all that it has changed as one segment, which costs a tenth of changing each row where it is.
// Segments are compacted later, many at once: a row that has changed three times within seconds is written to its table
// once, and one that was made and dropped, never. The newest segments stay in memory after that, as a cache of rows
// that are likely to be asked for again.
package journal

import (
	"bytes"
	"sync"
)

// Options are the sizes of a journal, in bytes; zero values take the defaults.
type Options struct {
	// Limit is how much waits for compaction, and again how much stays in memory afterwards. The larger it is, the fewer
	// changes are written twice, and the longer takes a start after a crash.
	Limit int
	// Step is how much one commit compacts when there is more than that. Commits wait for it.
	Step int
	// Spread are the kinds whose rows have their places all over their table: those of one share of the keys are compacted
	// together, one share after the other, so that a page of the table is written once for several. One whose share has
	// not had its turn when its segment goes is carried over to a new segment.
	Spread map[Kind]bool
}

// The defaults. 8 MB are 6,000 verifications from the start to their check.
const (
	defaultLimit = 8 << 20
	defaultStep  = 128 << 10
	// idleSteps is how many steps are made at once when nobody asks for anything.
	idleSteps = 8
)

// shares is how many shares the keys have, by their first bits.
const shares = 64

func shareOf(k Key) int { return int(k.ID[0]) * shares / 256 }

// place is where the newest change of a row is.
type place struct {
	seq        int64
	begin, end uint32 // end < begin: the row is dropped
}

func (p place) size() int  { return max(int(p.end)-int(p.begin), 0) }
func (p place) gone() bool { return p.end < p.begin }

// Journal is the segments of one store. Find may be called beside the one goroutine that writes, which alone calls the
// rest.
type Journal struct {
	o Options

	mu      sync.RWMutex // held by the writer to change what follows, and by all others to read it
	rows    map[Key]place
	spread  [shares]map[Key]place
	cache   map[Key]place // rows of compacted segments that no later one has
	oldest  int64         // the seq of segments[0]
	first   int64         // the seq of the oldest segment that is not compacted
	segment [][]byte      // oldest first; nil for one that is missing
	size    int           // bytes of the segments from first on
	cached  int           // bytes of those before
	waiting int           // bytes of the rows of spread kinds

	// The writer's alone.
	newest []found // what Compact has written
	share  int     // the one whose rows come next
}

// found is a row of a segment that no later one has.
type found struct {
	key Key
	place
}

// New returns a journal without segments.
func New(o Options) *Journal {
	if o.Limit == 0 {
		o.Limit = defaultLimit
	}
	if o.Step == 0 {
		o.Step = defaultStep
	}
	j := &Journal{o: o, rows: map[Key]place{}, cache: map[Key]place{}, oldest: 1, first: 1}
	for i := range j.spread {
		j.spread[i] = map[Key]place{}
	}
	return j
}

// Load takes the next segment of a file. Numbers only grow; one that is left out is missing.
func (j *Journal) Load(seq int64, segment []byte) error {
	if err := Verify(segment); err != nil {
		return err
	}
	if len(j.segment) == 0 {
		j.oldest, j.first = seq, seq
	}
	for j.Next() < seq {
		j.segment = append(j.segment, nil)
	}
	j.add(segment)
	return nil
}

// Next returns the number of the segment to come.
func (j *Journal) Next() int64 { return j.oldest + int64(len(j.segment)) }

// Find returns the newest change of a row, which nobody may change; ok is false when memory has none. A row that is
// dropped has no bytes.
func (j *Journal) Find(k Key) (row []byte, ok bool) {
	j.mu.RLock()
	defer j.mu.RUnlock()
	p, ok := j.place(k)
	if !ok {
		if p, ok = j.cache[k]; !ok {
			return nil, false
		}
	}
	return j.bytes(p), true
}

// Own is Find for the writer.
func (j *Journal) Own(k Key) (row []byte, ok bool) {
	p, ok := j.place(k)
	if !ok {
		if p, ok = j.cache[k]; !ok {
			return nil, false
		}
	}
	return j.bytes(p), true
}

// Waits reports whether the newest change of a row is not in its table yet. It is the writer's.
func (j *Journal) Waits(k Key) bool { _, ok := j.place(k); return ok }

// Uncache forgets what is in memory of a row whose place in its table has changed. It is the writer's.
func (j *Journal) Uncache(k Key) {
	j.mu.Lock()
	defer j.mu.Unlock()
	delete(j.cache, k)
}

func (j *Journal) bytes(p place) []byte {
	if p.gone() {
		return nil
	}
	return j.segment[p.seq-j.oldest][p.begin:p.end:p.end]
}

// index returns where the places of a key's kind are.
func (j *Journal) index(k Key) map[Key]place {
	if j.o.Spread[k.Kind] {
		return j.spread[shareOf(k)]
	}
	return j.rows
}

func (j *Journal) place(k Key) (p place, ok bool) { p, ok = j.index(k)[k]; return p, ok }

// Behind reports whether there is something to compact. It may be asked beside the writer.
func (j *Journal) Behind() bool {
	j.mu.RLock()
	defer j.mu.RUnlock()
	return j.Next() > j.first
}

// Each calls each with the newest change of every row of a kind that waits for compaction, in no order. It may be
// called beside the writer, who waits meanwhile.
func (j *Journal) Each(kind Kind, each func(k Key, row []byte, dropped bool)) {
	j.mu.RLock()
	defer j.mu.RUnlock()
	visit := func(index map[Key]place) {
		for k, p := range index {
			if k.Kind == kind {
				each(k, j.bytes(p), p.gone())
			}
		}
	}
	visit(j.rows)
	for _, index := range j.spread {
		visit(index)
	}
}

// add takes a segment that is durable.
func (j *Journal) add(segment []byte) {
	seq := j.Next()
	j.segment, j.size = append(j.segment, segment), j.size+len(segment)
	_ = Walk(segment, func(k Key, begin, end int) error { // it was verified, or made here
		p := place{seq, uint32(begin), uint32(end)} // a segment is far below 4 GB
		index := j.index(k)
		if j.o.Spread[k.Kind] {
			j.waiting += p.size() - index[k].size()
		}
		index[k] = p
		delete(j.cache, k)
		return nil
	})
}

// Plan is a part of a journal to compact: the segments up to last, and the rows of so many shares of the spread kinds.
type Plan struct {
	last   int64
	shares int
}

// None reports whether there is nothing to do.
func (p Plan) None() bool { return p == Plan{} }

// steps returns a plan of n steps, with so many shares.
func (j *Journal) steps(n, spread int) Plan {
	p := Plan{last: j.first - 1, shares: min(spread, shares)}
	size := 0
	for _, s := range j.segment[j.first-j.oldest:] {
		if size >= n*j.o.Step {
			return p
		}
		size += len(s)
		p.last++
	}
	p.shares = shares // nothing is left
	return p
}

// Due returns what to compact when a segment of about n bytes is to come. Rows of spread kinds wait longer than the
// others: the more of them there are, the more have their places on the same page of the table, and some change again.
func (j *Journal) Due(n int) Plan {
	over := j.size + n - j.o.Limit
	if over <= 0 {
		return Plan{}
	}
	turns, left := 0, j.waiting
	for ; turns < shares && left > j.o.Limit/4; turns++ {
		for _, p := range j.spread[(j.share+turns)%shares] {
			left -= p.size()
		}
	}
	return j.steps(over/j.o.Step+1, turns)
}

// Idle returns what to compact when nobody asks for anything, so that all is compacted in the end.
func (j *Journal) Idle() Plan {
	if j.Next() == j.first {
		return Plan{}
	}
	return j.steps(idleSteps, 2*idleSteps)
}

// All returns a plan of everything.
func (j *Journal) All() Plan {
	if j.Next() == j.first {
		return Plan{}
	}
	return Plan{j.Next() - 1, shares}
}

// Last returns the number of the newest segment of a plan. Those up to it can go from the file.
func (p Plan) Last() int64 { return p.last }

// has reports whether the rows of a share are in a plan.
func (j *Journal) has(p Plan, share int) bool { return (share-j.share+shares)%shares < p.shares }

// Compact calls write with each row of a plan, and appends to segment what it carries over. The journal stays as it is
// until Settle.
func (j *Journal) Compact(p Plan, segment []byte, write func(k Key, row []byte, dropped bool) error) ([]byte, error) {
	for i := range p.shares {
		for k, at := range j.spread[(j.share+i)%shares] {
			if err := write(k, j.bytes(at), at.gone()); err != nil {
				return segment, err
			}
		}
	}
	j.newest = j.newestUpTo(j.newest[:0], p.last)
	for _, r := range j.newest {
		switch {
		case !j.o.Spread[r.key.Kind]:
			if err := write(r.key, j.bytes(r.place), r.gone()); err != nil {
				return segment, err
			}
		case !j.has(p, shareOf(r.key)):
			end := max(r.end, r.begin)
			segment = append(segment, j.segment[r.seq-j.oldest][r.begin-rowHead:end]...)
		}
	}
	return segment, nil
}

// newestUpTo appends the rows of the segments up to last that no later one has.
func (j *Journal) newestUpTo(out []found, last int64) []found {
	for seq := j.first; seq <= last; seq++ {
		_ = Walk(j.segment[seq-j.oldest], func(k Key, begin, _ int) error { // it was verified, or made here
			if p, ok := j.place(k); ok && p.seq == seq && int(p.begin) == begin {
				out = append(out, found{k, p})
			}
			return nil
		})
	}
	return out
}

// Settle makes the memory what a commit has made of the file: the plan is compacted, and segment, unless it is empty,
// is new.
func (j *Journal) Settle(p Plan, segment []byte) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !p.None() {
		j.compacted(p)
	}
	if !Empty(segment) {
		j.add(bytes.Clone(segment))
	}
}

// compacted takes out what Compact has written, and keeps it in the cache.
func (j *Journal) compacted(p Plan) {
	for i := range p.shares {
		index := j.spread[(j.share+i)%shares]
		for k, at := range index {
			j.waiting -= at.size()
			j.keep(k, at)
		}
		clear(index)
	}
	j.share = (j.share + p.shares) % shares
	for _, r := range j.newest {
		index := j.index(r.key)
		at, ok := index[r.key]
		if !ok {
			continue // its share was compacted
		}
		delete(index, r.key)
		if j.o.Spread[r.key.Kind] { // carried over: it comes back with the new segment
			j.waiting -= at.size()
			continue
		}
		j.keep(r.key, at)
	}
	for ; j.first <= p.last; j.first++ {
		n := len(j.segment[j.first-j.oldest])
		j.size, j.cached = j.size-n, j.cached+n
	}
	j.trim()
}

// keep caches a row that is in its table now.
func (j *Journal) keep(k Key, at place) {
	if !at.gone() {
		j.cache[k] = at
	}
}

// trim gives the memory of the oldest compacted segments back.
func (j *Journal) trim() {
	for ; j.cached > j.o.Limit && j.oldest < j.first; j.oldest++ {
		s := j.segment[0]
		_ = Walk(s, func(k Key, begin, _ int) error {
			if p, ok := j.cache[k]; ok && p.seq == j.oldest && int(p.begin) == begin {
				delete(j.cache, k)
			}
			return nil
		})
		j.cached -= len(s)
		j.segment[0] = nil
		j.segment = j.segment[1:]
	}
}
