package postgres

import (
	"sync/atomic"
	"time"
)

// pgClock is the database's time, by an offset to this machine's clock. Nodes whose clocks differ agree on it to about a
// round trip.
type pgClock struct {
	local  func() time.Time
	offset atomic.Int64 // nanoseconds
}

// now answers the database's time.
func (c *pgClock) now() time.Time { return c.local().Add(time.Duration(c.offset.Load())) }

// measured takes one reading of the database's clock, made between two of ours. While it is within the reading's doubt, the
// offset stays: time does not jitter with the network.
func (c *pgClock) measured(before, after time.Time, db time.Time) {
	doubt := after.Sub(before)/2 + time.Millisecond
	offset := db.Sub(before.Add(after.Sub(before) / 2))
	if d := offset - time.Duration(c.offset.Load()); d > doubt || d < -doubt {
		c.offset.Store(int64(offset))
	}
}
