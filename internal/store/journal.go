package store

import (
	"bytes"
	"errors"
	"fmt"
	"sync"

	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/verify"
)

// journal is the changes of verifications and numbers that are durable, but not in the tables yet where their rows belong. A
// commit writes all that it has changed of them as one row of the table journal, a page; that costs a tenth of changing each
// row where it is. The changes are folded into the tables later, many at once: a verification changes three times within
// seconds, and is written to its table once.
//
// A row's newest change counts, in the newest page that has it, before what its table has. Everything is in the one file: a crash
// leaves pages, which whoever opens the file next folds; a copy of the file has them too. Memory has all pages as well: no row
// is looked for in the table journal, but by guests.
//
// Verifications are folded in the order of the pages, which is nearly that of their table. Numbers have places all over theirs:
// those of one share of the keys are folded together, one share after the other, so that a page of the table is written once for
// several. One that has not had its turn when its page goes is carried over to a new page.
type journal struct {
	mu            sync.RWMutex // held by the writer to change what follows, and by all others to read it
	verifications map[id.ID]place
	numbers       [shares]map[verify.NumberKey]place
	pages         [][]byte // oldest first
	first         int64    // the seq of pages[0]
	size          int      // bytes of all pages
	waiting       int      // bytes of the numbers among them whose newest change that is
	foldAt, step  int      // foldAt and foldStep

	// The writer's alone.
	fresh  []found // what write has found for drop
	turn   int     // the share whose numbers come next
	hidden bool    // the tables have everything, in the transaction that runs: see sqlite.watch
}

// place is where a journal has the newest change of a row.
type place struct {
	seq        int64
	begin, end uint32
}

func (p place) size() int { return int(p.end - p.begin) }

// found is a row of a page that no later page has.
type found struct {
	key rowKey
	place
}

// shares is how many shares the keys of numbers have, by their first bits.
const shares = 64

func share(k verify.NumberKey) int { return int(k[0]) * shares / 256 }

// The sizes of a journal, in bytes. The larger it is, the fewer changes are written twice, and the longer takes a start after a
// crash: 8 MB are 6,000 verifications from the start to their check, and are folded in a tenth of a second. Commits wait for a step.
const (
	foldAt   = 8 << 20
	foldStep = 128 << 10
	// calmSteps is how many steps are made at once when nobody asks for anything.
	calmSteps = 8
	// usualRow is about what a verification and its number take.
	usualRow = 512
)

func newJournal() *journal {
	j := &journal{verifications: map[id.ID]place{}, first: 1, foldAt: foldAt, step: foldStep}
	for i := range j.numbers {
		j.numbers[i] = map[verify.NumberKey]place{}
	}
	return j
}

// next answers the seq of the page to come.
func (j *journal) next() int64 { return j.first + int64(len(j.pages)) }

// find answers the newest change of a row, as its table will have it; nil for none. The bytes never change.
func (j *journal) find(k rowKey) []byte {
	p, ok := j.place(k)
	if !ok {
		return nil
	}
	return j.bytes(p)
}

func (j *journal) bytes(p place) []byte { return j.pages[p.seq-j.first][p.begin:p.end] }

func (j *journal) place(k rowKey) (p place, ok bool) {
	if k.kind == numberRow {
		p, ok = j.numbers[share(k.key)][k.key]
	} else {
		p, ok = j.verifications[k.key]
	}
	return p, ok
}

// number and verification are find for the writer, who sees nothing when the tables have everything.
func (j *journal) number(k verify.NumberKey) []byte {
	if row := j.find(rowKey{numberRow, k}); len(row) >= touchedHead && !j.hidden {
		return row[touchedHead:]
	}
	return nil
}

func (j *journal) verification(v id.ID) []byte {
	if j.hidden {
		return nil
	}
	return j.find(rowKey{verificationRow, v})
}

// see is find beside the writer. It answers the page as well.
func (j *journal) see(k rowKey) (row []byte, seq int64) {
	j.mu.RLock()
	defer j.mu.RUnlock()
	p, ok := j.place(k)
	if !ok {
		return nil, 0
	}
	return j.bytes(p), p.seq
}

// empty tells whether the tables have everything. It may be asked beside the writer.
func (j *journal) empty() bool {
	j.mu.RLock()
	defer j.mu.RUnlock()
	return len(j.pages) == 0
}

// add takes a page.
func (j *journal) add(page []byte) error {
	seq := j.next()
	j.pages, j.size = append(j.pages, page), j.size+len(page)
	return walk(page, func(k rowKey, begin, end int) error {
		p := place{seq, uint32(begin), uint32(end)} //nolint:gosec // a page is far below 4 GB
		if k.kind == numberRow {
			numbers := j.numbers[share(k.key)]
			if before, ok := numbers[k.key]; ok {
				j.waiting -= before.size()
			}
			numbers[k.key] = p
			j.waiting += p.size()
		} else {
			j.verifications[k.key] = p
		}
		return nil
	})
}

// fold is a part of a journal that is folded: the pages up to last, and the numbers of so many shares from turn on.
type fold struct {
	last   int64
	shares int
}

// steps answers the next n steps of folding, with so many shares of numbers.
func (j *journal) steps(n, numbers int) fold {
	f := fold{last: j.first - 1, shares: min(numbers, shares)}
	size := 0
	for _, p := range j.pages {
		if size >= n*j.step {
			return f
		}
		size += len(p)
		f.last++
	}
	f.shares = shares // nothing is left
	return f
}

// due answers what to fold when a page of n bytes is to come. Numbers wait longer than verifications: the more of them there are, the
// more have their places on the same page of the table, and a number is verified again, or its code typed.
func (j *journal) due(n int) fold {
	over := j.size + n - j.foldAt
	if over <= 0 {
		return fold{}
	}
	turns, left := 0, j.waiting
	for ; turns < shares && left > j.foldAt/4; turns++ {
		for _, p := range j.numbers[(j.turn+turns)%shares] {
			left -= p.size()
		}
	}
	return j.steps(over/j.step+1, turns)
}

// calm answers what to fold when nobody asks for anything: calmSteps, and as much of the numbers, so that all is folded in the end.
func (j *journal) calm() fold { return j.steps(calmSteps, 2*calmSteps) }

// all answers all of it.
func (j *journal) all() fold { return fold{j.next() - 1, shares} }

// none tells whether there is nothing to do.
func (f fold) none() bool { return f == fold{} }

// has tells whether the numbers of a share are folded.
func (j *journal) has(f fold, share int) bool { return (share-j.turn+shares)%shares < f.shares }

const (
	liteAddPage   = `INSERT INTO journal (seq, page) VALUES ($1, $2)`
	liteDropPages = `DELETE FROM journal WHERE seq <= $1`
	litePages     = `SELECT seq, page FROM journal ORDER BY seq`
	liteHasPage   = `SELECT 1 FROM journal WHERE seq = $1`
	liteLatest    = `SELECT page FROM journal ORDER BY seq DESC`
)

// write writes what is folded into the tables, and appends to page what it carries over.
func (j *journal) write(c *liteConn, f fold, page []byte) ([]byte, error) {
	for i := range f.shares {
		for k, p := range j.numbers[(j.turn+i)%shares] {
			if err := writeRow(c, rowKey{numberRow, k}, j.bytes(p)); err != nil {
				return page, err
			}
		}
	}
	var err error
	if j.fresh, err = j.newest(j.fresh[:0], f.last); err != nil {
		return page, err
	}
	for _, r := range j.fresh {
		switch {
		case r.key.kind != numberRow:
			err = writeRow(c, r.key, j.bytes(r.place))
		case !j.has(f, share(r.key.key)):
			page = append(page, j.pages[r.seq-j.first][r.begin-rowHead:r.end]...)
		}
		if err != nil {
			return page, err
		}
	}
	return page, c.run(liteDropPages, num(f.last))
}

// newest appends the rows of the pages up to last that no later page has.
func (j *journal) newest(out []found, last int64) ([]found, error) {
	for seq := j.first; seq <= last; seq++ {
		err := walk(j.pages[seq-j.first], func(k rowKey, begin, _ int) error {
			if p, ok := j.place(k); ok && p.seq == seq && int(p.begin) == begin {
				out = append(out, found{k, p})
			}
			return nil
		})
		if err != nil {
			return out, err
		}
	}
	return out, nil
}

// settle makes the memory what a commit has made of the file: f is folded, and page, if any, is new. It calls kept with each row that the
// journal has no more.
func (j *journal) settle(f fold, page []byte, kept func(k rowKey, row []byte)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.hidden:
		j.clear()
	case !f.none():
		j.drop(f, kept)
	}
	if len(page) > 0 {
		_ = j.add(bytes.Clone(page)) // it was made here
	}
}

// clear forgets everything, as the tables have it.
func (j *journal) clear() {
	clear(j.verifications)
	for _, share := range j.numbers {
		clear(share)
	}
	j.first, j.pages, j.size, j.waiting, j.hidden = j.next(), nil, 0, 0, false
}

// drop takes out what write has written.
func (j *journal) drop(f fold, kept func(k rowKey, row []byte)) {
	for i := range f.shares {
		share := j.numbers[(j.turn+i)%shares]
		for k, p := range share {
			kept(rowKey{numberRow, k}, j.bytes(p))
			j.waiting -= p.size()
		}
		clear(share)
	}
	j.turn = (j.turn + f.shares) % shares
	for _, r := range j.fresh {
		if r.key.kind == numberRow { // folded already, or carried over: then it comes back with the new page
			if p, ok := j.numbers[share(r.key.key)][r.key.key]; ok {
				j.waiting -= p.size()
				delete(j.numbers[share(r.key.key)], r.key.key)
			}
			continue
		}
		kept(r.key, j.bytes(r.place))
		delete(j.verifications, r.key.key)
	}
	n := int(f.last - j.first + 1)
	for _, page := range j.pages[:n] {
		j.size -= len(page)
	}
	clear(j.pages[:n])
	j.pages, j.first = j.pages[n:], f.last+1
}

// readJournal answers the pages of a file. Those that another connection has written count.
func readJournal(c conn) (*journal, error) {
	j := newJournal()
	err := c.query(litePages, func(r row) error {
		seq := r.Int(0)
		if len(j.pages) == 0 {
			j.first = seq
		}
		if seq != j.next() {
			return fmt.Errorf("the journal lacks page %d: %w", j.next(), errRow)
		}
		return j.add(blob(r, 1))
	})
	return j, err
}

// foldFile folds all pages of a file, whoever wrote them, in the transaction that runs.
func foldFile(c *liteConn) error {
	j, err := readJournal(c)
	if err == nil && len(j.pages) > 0 {
		_, err = j.write(c, j.all(), nil)
	}
	if err != nil {
		err = fmt.Errorf("the journal: %w", err)
	}
	return err
}

// errFound ends a search.
var errFound = errors.New("found")

// findInFile answers the newest change of a row in the pages of a file; nil for none.
func findInFile(c conn, want rowKey) (found []byte, err error) {
	err = c.query(liteLatest, func(r row) error {
		page := r.Raw(0)
		if err := walk(page, func(k rowKey, begin, end int) error {
			if k == want {
				found = append([]byte{}, page[begin:end]...)
			}
			return nil
		}); err != nil {
			return err
		}
		if found != nil {
			return errFound
		}
		return nil
	})
	if errors.Is(err, errFound) {
		err = nil
	}
	return found, err
}
