package row

import (
	"encoding/binary"

	"github.com/go-json-experiment/json"

	"github.com/dialproof/dialproof/internal/verify"
)

// A number's row begins with when it was last verified, which its table has as a column.
const lastHead = 8

// AppendNumberRow appends a number with the column of its table before it.
func AppendNumberRow(b []byte, n *verify.Number) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(LastVerified(n))) // times are after 1970
	return AppendNumber(b, n)
}

// SplitNumber splits what AppendNumberRow has appended.
func SplitNumber(raw []byte) (last int64, data []byte, err error) {
	if len(raw) < lastHead {
		return 0, nil, ErrDamaged
	}
	return int64(binary.BigEndian.Uint64(raw)), raw[lastHead:], nil // as it was appended
}

// Day is the granularity of LastVerified, in milliseconds: an index on it does not change with each verification of a
// day.
const Day = 24 * 60 * 60 * 1000

// LastVerified returns the day of a number's newest verification: its begin in UTC, Unix milliseconds.
func LastVerified(n *verify.Number) int64 {
	ms := n.Head.Time().UnixMilli()
	return ms - ms%Day
}

// ReadNumber reads what AppendNumber has appended.
func ReadNumber(k verify.NumberKey, raw []byte) (*verify.Number, error) {
	n := &verify.Number{Key: k}
	return n, DecodeNumber(raw, n)
}

func AppendNumber(b []byte, n *verify.Number) []byte {
	b = append(b, binaryRow)
	b = appendInt(b, len(n.Sends.Sends))
	before := int64(0)
	for _, at := range n.Sends.Sends {
		b = binary.AppendVarint(b, at-before)
		before = at
	}
	b = appendInt(b, n.Sends.Step)
	b = binary.AppendVarint(b, n.Wrong)
	b = appendInt(b, n.Streak)
	b = binary.AppendVarint(b, n.Last)
	b = append(b, n.Head[:]...)
	b = appendInt(b, len(n.Latest))
	for _, l := range n.Latest {
		b = append(appendText(b, l.Purpose), l.ID[:]...)
	}
	return b
}

func DecodeNumber(raw []byte, n *verify.Number) error {
	if !isBinary(raw) {
		return json.Unmarshal(raw, n)
	}
	r := reader{all: string(raw), at: 1}
	if count := r.count(); count > 0 {
		n.Sends.Sends = make([]int64, count)
	}
	before := int64(0)
	for i := range n.Sends.Sends {
		before += r.varint()
		n.Sends.Sends[i] = before
	}
	n.Sends.Step, n.Wrong, n.Streak, n.Last = r.int(), r.varint(), r.int(), r.varint()
	r.bytes(n.Head[:])
	if count := r.count(); count > 0 {
		n.Latest = make([]verify.Latest, count)
	}
	for i := range n.Latest {
		n.Latest[i].Purpose = r.text()
		r.bytes(n.Latest[i].ID[:])
	}
	return r.err
}
