package journal

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
)

// The kinds of these tests: spread rows have their places all over their table.
const (
	plain  Kind = 1
	spread Kind = 2
)

// disk is the file and the tables that a journal has behind it.
type disk struct {
	segments map[int64][]byte
	tables   map[Key][]byte
	writes   int
}

// model is a journal, what is on the disk, and what every row is.
type model struct {
	*testing.T
	j    *Journal
	disk disk
	want map[Key][]byte
	rand *rand.Rand
}

func options() Options {
	return Options{Limit: 4_000, Step: 500, Spread: map[Kind]bool{spread: true}}
}

func newModel(t *testing.T, seed uint64) *model {
	return &model{
		T:    t,
		j:    New(options()),
		disk: disk{map[int64][]byte{}, map[Key][]byte{}, 0},
		want: map[Key][]byte{},
		rand: rand.New(rand.NewPCG(seed, 1)),
	}
}

// commit writes a segment of some rows, with what is due or as much as plan says. One that fails leaves everything as
// it was.
func (m *model) commit(plan Plan, rows map[Key][]byte, fails bool) {
	m.Helper()
	s := Begin(nil)
	tables := map[Key][]byte{}
	gone := map[Key]bool{}
	s, err := m.j.Compact(plan, s, func(k Key, row []byte, dropped bool) error {
		m.disk.writes++
		if delete(tables, k); dropped {
			gone[k] = true
			return nil
		}
		tables[k] = bytes.Clone(row)
		return nil
	})
	if err != nil {
		m.Fatal(err)
	}
	for k, row := range rows {
		if row == nil {
			s = AppendGone(s, k)
			continue
		}
		var begin int
		s, begin = BeginRow(s, k)
		s = EndRow(append(s, row...), begin)
	}
	Seal(s)
	if fails {
		return
	}
	maps.Copy(m.disk.tables, tables)
	for k := range gone {
		delete(m.disk.tables, k)
	}
	if !plan.None() {
		for seq := range m.disk.segments {
			if seq <= plan.Last() {
				delete(m.disk.segments, seq)
			}
		}
	}
	if !Empty(s) {
		m.disk.segments[m.j.Next()] = bytes.Clone(s)
	}
	m.j.Settle(plan, s)
	maps.Copy(m.want, rows)
}

// random returns some changes of rows.
func (m *model) random() map[Key][]byte {
	out := map[Key][]byte{}
	for range 1 + m.rand.IntN(4) {
		k := Key{Kind: plain, ID: [16]byte{byte(m.rand.IntN(60))}}
		if m.rand.IntN(2) == 0 {
			k = Key{Kind: spread, ID: [16]byte{byte(m.rand.IntN(60) * 4)}}
		}
		if out[k] = nil; m.rand.IntN(5) > 0 {
			out[k] = []byte(fmt.Sprint("row ", m.rand.IntN(1_000_000), " of some length: ", m.rand.IntN(1_000_000)))
		}
	}
	return out
}

// judge holds what the journal and the tables say together against what every row is.
func (m *model) judge(what string) {
	m.Helper()
	for k, want := range m.want {
		got, ok := m.j.Find(k)
		if own, also := m.j.Own(k); ok != also || !bytes.Equal(got, own) {
			m.Fatalf("%s: %v is %q for readers and %q for the writer", what, k, got, own)
		}
		if !ok {
			got = m.disk.tables[k]
		}
		if !bytes.Equal(got, want) {
			m.Fatalf("%s: %v is %q, want %q", what, k, got, want)
		}
	}
}

// reload goes on with what is on the disk.
func (m *model) reload() {
	m.Helper()
	j := New(options())
	for seq, last := int64(0), m.j.Next(); seq < last; seq++ {
		if s, ok := m.disk.segments[seq]; ok {
			if err := j.Load(seq, s); err != nil {
				m.Fatal(err)
			}
		}
	}
	m.j = j
	m.judge("after a crash")
}

// TestModel goes through commits that succeed and fail, compaction in steps, of what is idle and of everything, and
// crashes.
func TestModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		m := newModel(t, seed)
		for range 1_500 {
			switch m.rand.IntN(60) {
			case 0:
				m.reload()
			case 1:
				m.commit(m.j.All(), m.random(), m.rand.IntN(2) == 0)
			case 2:
				m.commit(m.j.Idle(), nil, false)
			case 3:
				m.judge("in the middle")
			default:
				m.commit(m.j.Due(200), m.random(), m.rand.IntN(8) == 0)
			}
			if m.j.size > 3*4_000 || m.j.cached > 2*4_000 {
				t.Fatalf("the journal has %d bytes, and %d more in memory", m.j.size, m.j.cached)
			}
		}
		m.judge("at the end")
		for m.j.Behind() {
			m.commit(m.j.Idle(), nil, false)
		}
		if len(m.disk.segments) > 0 || len(m.j.rows) > 0 || m.j.waiting != 0 || m.j.size != 0 {
			t.Fatalf("%d segments and %d rows are left, %d bytes wait of %d", len(m.disk.segments), len(m.j.rows), m.j.waiting,
				m.j.size)
		}
		m.judge("when all is compacted")
		m.j = New(options())
		m.judge("the tables alone")
	}
}

// TestBornAndDropped: a row that is made and dropped within a segment's life is never written to a table, but for its
// dropping.
func TestBornAndDropped(t *testing.T) {
	t.Parallel()
	m := newModel(t, 1)
	k := Key{Kind: plain, ID: [16]byte{1}}
	m.commit(Plan{}, map[Key][]byte{k: []byte("job")}, false)
	m.commit(Plan{}, map[Key][]byte{k: nil}, false)
	m.commit(m.j.All(), nil, false)
	if m.disk.writes != 1 || len(m.disk.tables) != 0 {
		t.Errorf("%d writes, %d rows; want one, that it is dropped", m.disk.writes, len(m.disk.tables))
	}
	if _, ok := m.j.Find(k); ok {
		t.Error("memory has a row that is gone from its table")
	}
}

// TestCache: a compacted row is in memory until so many newer ones have come, and no longer when its table changes.
func TestCache(t *testing.T) {
	t.Parallel()
	m := newModel(t, 1)
	one, two := Key{Kind: plain, ID: [16]byte{1}}, Key{Kind: spread, ID: [16]byte{2}}
	m.commit(Plan{}, map[Key][]byte{one: []byte("1"), two: []byte("2")}, false)
	m.commit(m.j.All(), nil, false)
	for _, k := range []Key{one, two} {
		if _, ok := m.j.Find(k); !ok || m.j.Waits(k) {
			t.Errorf("%v: in memory: %t, waits: %t; want it in memory, and in its table", k, ok, m.j.Waits(k))
		}
	}
	m.j.Uncache(two)
	if _, ok := m.j.Find(two); ok {
		t.Error("a row is in memory whose table has changed")
	}
	for i := range 200 {
		m.commit(m.j.Due(100), map[Key][]byte{{Kind: plain, ID: [16]byte{9, byte(i)}}: make([]byte, 100)}, false)
	}
	if _, ok := m.j.Find(one); ok {
		t.Error("a row is in memory after 20,000 newer bytes")
	}
	if n := len(m.j.segment) * 100; n > 3*4_000 {
		t.Errorf("%d bytes are in memory", n)
	}
}

// TestReaders reads beside the writer, for the race detector: what is read is what some commit has written.
func TestReaders(t *testing.T) {
	t.Parallel()
	m := newModel(t, 1)
	k := Key{Kind: spread, ID: [16]byte{7}}
	m.commit(Plan{}, map[Key][]byte{k: []byte("row 0")}, false)
	done := make(chan struct{})
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if row, ok := m.j.Find(k); ok && !bytes.HasPrefix(row, []byte("row ")) {
					t.Errorf("read %q", row)
				}
				m.j.Each(spread, func(_ Key, row []byte, _ bool) { _ = len(row) })
				_ = m.j.Behind()
			}
		})
	}
	for i := range 2_000 {
		m.commit(m.j.Due(200),
			map[Key][]byte{k: []byte(fmt.Sprint("row ", i)), {Kind: plain, ID: [16]byte{byte(i)}}: make([]byte, 50)}, false)
	}
	close(done)
	all.Wait()
}

// TestVerify finds each bit of a segment that changes, and each byte that is cut off.
func TestVerify(t *testing.T) {
	t.Parallel()
	s, begin := BeginRow(Begin(nil), Key{Kind: plain, ID: [16]byte{1}})
	s = AppendGone(EndRow(append(s, "a row"...), begin), Key{Kind: spread})
	Seal(s)
	if err := Verify(s); err != nil {
		t.Fatal(err)
	}
	for bit := range len(s) * 8 {
		c := bytes.Clone(s)
		c[bit/8] ^= 1 << (bit % 8)
		if err := Verify(c); !errors.Is(err, ErrDamaged) {
			t.Errorf("bit %d is wrong: %v", bit, err)
		}
	}
	for n := range len(s) {
		if err := Verify(s[:n]); !errors.Is(err, ErrDamaged) {
			t.Errorf("%d bytes of %d: %v", n, len(s), err)
		}
	}
	if err := New(Options{}).Load(1, s[:9]); !errors.Is(err, ErrDamaged) {
		t.Errorf("loaded: %v", err)
	}
}

// FuzzWalk: whatever the bytes of a segment are, walking them ends, in rows or in an error.
func FuzzWalk(f *testing.F) {
	s, begin := BeginRow(Begin(nil), Key{Kind: plain, ID: [16]byte{1}})
	f.Add(AppendGone(EndRow(append(s, "a row"...), begin), Key{Kind: spread}))
	f.Add([]byte{format})
	f.Fuzz(func(t *testing.T, s []byte) {
		at := segmentHead
		err := Walk(s, func(_ Key, begin, end int) error {
			if begin != at+rowHead || end < begin-1 || end > len(s) {
				t.Fatalf("a row at %d of %d to %d", at, begin, end)
			}
			at = max(begin, end)
			return nil
		})
		if err == nil && at < len(s) {
			t.Fatalf("%d of %d bytes were walked", at, len(s))
		}
		_ = Verify(s)
	})
}
