// Package id makes and reads the names of things: prefixed, time-ordered, 128 bits.
//
// An id is UUIDv7 inside (RFC 9562 §5.7) and is shown as a prefix and 26 characters of Crockford's
// base 32, so that ids sort by the time they were made. An id is never a secret: who knows one still
// needs a key of its application.
package id

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"strings"
	"sync"
	"time"
)

// ID is 16 bytes of UUIDv7. The zero value names nothing.
type ID [16]byte

// Prefix says what kind of thing an id names.
type Prefix string

// The prefixes.
const (
	Verification Prefix = "vrf_"
	Delivery     Prefix = "dlv_"
	Application  Prefix = "app_"
	Key          Prefix = "key_"
	Event        Prefix = "evt_"
	Request      Prefix = "req_"
	Webhook      Prefix = "whk_"
	Link         Prefix = "lnk_"
)

const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"

// textLen is the length of the part behind the prefix: 130 bits in groups of five.
const textLen = 26

// ErrMalformed is the answer to a text that is no id of the wanted kind.
var ErrMalformed = errors.New("malformed id")

// Source makes ids. It is safe for many goroutines. Ids of one Source strictly increase, and so do their
// first 64 bits, which a store may use as an integer key.
type Source struct {
	mu   sync.Mutex
	last uint64 // 48 bits of milliseconds, 12 bits of counter
	pool [512]byte
	next int
}

// NewSource returns a Source whose ids all come after floor (the zero id: no floor).
func NewSource(floor ID) *Source {
	s := &Source{next: 512}
	if floor != (ID{}) {
		hi := binary.BigEndian.Uint64(floor[:8])
		s.last = hi>>16<<12 | hi&0xfff
	}
	return s
}

// New returns a fresh id made at now.
func (s *Source) New(now time.Time) ID {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next+8 > len(s.pool) {
		rand.Read(s.pool[:]) // crypto/rand.Read never fails (it ends the process)
		s.next = 0
	}
	// 2^12 ids a millisecond, then time is borrowed from the next one.
	s.last = max(uint64(now.UnixMilli())<<12, s.last+1) // times are after 1970
	var out ID
	binary.BigEndian.PutUint64(out[:8], s.last>>12<<16|0x7000|s.last&0xfff)
	copy(out[8:], s.pool[s.next:s.next+8])
	s.next += 8
	out[8] = out[8]&0x3f | 0x80
	return out
}

// At returns the smallest id made at t, for ranges of time.
func At(t time.Time) ID {
	var out ID
	if ms := t.UnixMilli(); ms > 0 {
		binary.BigEndian.PutUint64(out[:8], uint64(ms)<<16|0x7000)
	}
	return out
}

// Time returns when the id was made, to the millisecond.
func (i ID) Time() time.Time {
	return time.UnixMilli(int64(binary.BigEndian.Uint64(i[:8]) >> 16)).UTC() // 48 bits
}

// Seq returns the first 64 bits as a positive integer that grows with time.
func (i ID) Seq() int64 {
	return int64(binary.BigEndian.Uint64(i[:8]) &^ (1 << 63)) // the top bit is cleared
}

// IsZero reports whether i names nothing.
func (i ID) IsZero() bool { return i == ID{} }

// Text returns the id with its prefix: "vrf_01jd…".
func (i ID) Text(p Prefix) string {
	buf := make([]byte, 0, len(p)+textLen)
	return string(i.AppendText(append(buf, p...)))
}

// AppendText appends the 26 characters without a prefix.
func (i ID) AppendText(b []byte) []byte {
	hi, lo := binary.BigEndian.Uint64(i[:8]), binary.BigEndian.Uint64(i[8:])
	var text [textLen]byte
	for k := textLen - 1; k >= 0; k-- {
		text[k] = alphabet[lo&31]
		lo = lo>>5 | hi<<59
		hi >>= 5
	}
	return append(b, text[:]...)
}

// Parse reads an id of the kind p. Upper case is not accepted: one id has one text.
func Parse(p Prefix, text string) (ID, error) {
	rest, ok := strings.CutPrefix(text, string(p))
	if !ok || len(rest) != textLen || rest[0] > '7' {
		return ID{}, ErrMalformed
	}
	var hi, lo uint64
	for k := range textLen {
		v := strings.IndexByte(alphabet, rest[k])
		if v < 0 {
			return ID{}, ErrMalformed
		}
		hi = hi<<5 | lo>>59
		lo = lo<<5 | uint64(v)
	}
	var out ID
	binary.BigEndian.PutUint64(out[:8], hi)
	binary.BigEndian.PutUint64(out[8:], lo)
	return out, nil
}
