package store

// attic keeps rows as they were committed, in bytes, when they are too many to keep as values: a code is typed many seconds after
// it was sent, and a busy node has had thousands of rows by then. Bytes cost the collector of garbage nothing, however many
// there are, and reading them costs a tenth of reading the row.
//
// It is two halves: the older one is emptied when the newer one is full.
type attic[K comparable] struct {
	most       int // bytes in a half
	young, old half[K]
}

type half[K comparable] struct {
	at  map[K]span
	buf []byte
}

// span is where a row is.
type span struct{ begin, end uint32 }

func (s span) empty() bool { return s.begin >= s.end }

func newAttic[K comparable](most int) *attic[K] {
	return &attic[K]{most: most, young: half[K]{at: map[K]span{}}, old: half[K]{at: map[K]span{}}}
}

// put keeps what appends appends. It replaces what was there.
func (a *attic[K]) put(k K, appends func([]byte) []byte) {
	if len(a.young.buf) >= a.most {
		a.young, a.old = half[K]{at: a.old.at, buf: a.old.buf[:0]}, a.young
		clear(a.young.at)
	}
	begin := len(a.young.buf)
	a.young.buf = appends(a.young.buf)
	a.young.at[k] = span{uint32(begin), uint32(len(a.young.buf))} //nolint:gosec // a half is far below 4 GB
}

// get answers the bytes of a row, good until the next put; nil for none.
func (a *attic[K]) get(k K) []byte {
	for _, h := range []*half[K]{&a.young, &a.old} {
		if s, ok := h.at[k]; ok {
			return h.buf[s.begin:s.end]
		}
	}
	return nil
}

// drop forgets a row.
func (a *attic[K]) drop(k K) {
	delete(a.young.at, k)
	delete(a.old.at, k)
}

// reset forgets all.
func (a *attic[K]) reset() {
	clear(a.young.at)
	clear(a.old.at)
	a.young.buf, a.old.buf = a.young.buf[:0], a.old.buf[:0]
}
