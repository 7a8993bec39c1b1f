package store

import (
	"time"
)

// row is one row of an answer, good until the next one.
type row interface {
	// Int answers an integer column; 0 for NULL.
	Int(i int) int64
	// Raw answers a text or blob column as it lies in the connection's memory; nil for NULL. Copy what must last.
	Raw(i int) []byte
}

// conn runs statements. Parameters are written $1, $2, … in the order in which they first stand in the text, which both
// dialects read the same way. Arguments are int64, string, []byte or nil.
type conn interface {
	// query calls each with each row.
	query(sql string, each func(row) error, args ...any) error
	// exec answers how many rows were changed.
	exec(sql string, args ...any) (int64, error)
}

// blob answers a copy of a column; nil for NULL.
func blob(r row, i int) []byte {
	raw := r.Raw(i)
	if raw == nil {
		return nil
	}
	return append(make([]byte, 0, len(raw)), raw...)
}

func milli(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
