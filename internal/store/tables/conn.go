// Package tables is what the engines that speak SQL have in common: the statements on tenants, events, leases and whole
// rows that SQLite and PostgreSQL read the same way. It opens nothing, knows neither engine, and begins and ends no
// transaction.
package tables

import (
	"time"
)

// Row is one row of an answer, good until the next one.
type Row interface {
	// Int returns an integer column; 0 for NULL.
	Int(i int) int64
	// Raw returns a text or blob column as it lies in the connection's memory; nil for NULL. Copy what must last.
	Raw(i int) []byte
}

// Conn runs statements. Parameters are written $1, $2, … in the order in which they first stand in the text, which both
// dialects read the same way. Arguments are int64, string, []byte or nil.
type Conn interface {
	// Query calls each with each row.
	Query(sql string, each func(Row) error, args ...any) error
	// Exec returns how many rows were changed.
	Exec(sql string, args ...any) (int64, error)
}

// Blob returns a copy of a column; nil for NULL.
func Blob(r Row, i int) []byte {
	raw := r.Raw(i)
	if raw == nil {
		return nil
	}
	return append(make([]byte, 0, len(raw)), raw...)
}

// Milli returns the time of Unix milliseconds.
func Milli(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
