// Package row makes bytes of rows and rows of bytes: what an engine keeps of a verification, a number, a job. It knows
// no table, no statement and no transaction.
package row

import (
	"encoding/binary"
	"errors"
	"time"
)

// What is kept of a verification and of a number is bytes of our own: a third of the length of JSON, and made and read
// in a tenth of the time. A value is a first byte that says so, and its fields in a fixed order: integers as varints,
// texts with their length, times as nanoseconds since 1970 (0: none). Fields are only ever added at the end: what an
// older row lacks is zero, and what a newer one has beyond is passed over. Rows of before are JSON.
const binaryRow = 1

// ErrDamaged is returned for bytes that are no row.
var ErrDamaged = errors.New("the row is damaged")

// isBinary reports whether a value is in our own bytes.
func isBinary(b []byte) bool { return len(b) > 0 && b[0] == binaryRow }

func appendInt(b []byte, n int) []byte { return binary.AppendVarint(b, int64(n)) }

func appendText(b []byte, s string) []byte { return append(appendInt(b, len(s)), s...) }

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return binary.BigEndian.AppendUint64(b, 0)
	}
	return binary.BigEndian.AppendUint64(b, uint64(t.UnixNano())) // times are after 1970
}

// reader reads fields one after the other. Past the end of the row each one is zero; err tells of a row that is
// damaged.
type reader struct {
	all string // the row, whose parts the texts are
	at  int
	err error
}

// next returns the next n bytes; fewer than n are none.
func (r *reader) next(n int) string {
	left := len(r.all) - r.at
	if left == 0 {
		return ""
	}
	if n < 0 || n > left {
		r.err, r.at = ErrDamaged, len(r.all)
		return ""
	}
	r.at += n
	return r.all[r.at-n : r.at]
}

// part returns a reader of the next n bytes alone.
func (r *reader) part(n int) reader { return reader{all: r.next(n)} }

func (r *reader) bytes(into []byte) { copy(into, r.next(len(into))) }

func (r *reader) byte() byte {
	if b := r.next(1); b != "" {
		return b[0]
	}
	return 0
}

func (r *reader) bool() bool { return r.byte() != 0 }

func (r *reader) varint() int64 {
	if r.at < len(r.all) && r.all[r.at] < 0x80 { // most are one byte: 0.4 % of a cycle
		c := r.all[r.at]
		r.at++
		return int64(c>>1) ^ -int64(c&1)
	}
	return r.longVarint()
}

func (r *reader) longVarint() int64 {
	var u uint64
	for shift := 0; shift < 64 && r.at < len(r.all); shift += 7 {
		c := r.all[r.at]
		r.at++
		u |= uint64(c&0x7f) << shift
		if c < 0x80 {
			n := int64(u >> 1) // the zigzag of encoding/binary
			if u&1 != 0 {
				n = ^n
			}
			return n
		}
	}
	if u != 0 || r.at < len(r.all) {
		r.err, r.at = ErrDamaged, len(r.all)
	}
	return 0
}

func (r *reader) int() int { return int(r.varint()) }

// count returns how many of something follow. None of it takes less than a byte, which bounds it.
func (r *reader) count() int {
	n := r.int()
	if n < 0 || n > len(r.all)-r.at+1 {
		r.err, r.at = ErrDamaged, len(r.all)
		return 0
	}
	return n
}

func (r *reader) text() string { return r.next(r.int()) }

func (r *reader) time() time.Time {
	raw := r.next(8)
	if raw == "" {
		return time.Time{}
	}
	n := int64(binary.BigEndian.Uint64([]byte(raw))) // as it was appended
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}
