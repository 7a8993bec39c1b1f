package postgres

import (
	"log/slog"
	"sync/atomic"
	"time"
)

// clockJump is by how much the database's clock must have moved against this machine's pace to be told in the log.
const clockJump = 2 * time.Second

// pgClock is the database's time: its last reading, and how long ago that was by this machine's monotonic clock. Nodes
// whose clocks differ agree on it to about a round trip, and a machine whose clock is set does not notice.
type pgClock struct {
	local  func() time.Time // this machine's clock
	log    *slog.Logger
	read   atomic.Pointer[clockReading]
	offset atomic.Int64 // nanoseconds that this machine's clock is behind the database's
}

// clockReading is what the database's clock said at a moment of ours.
type clockReading struct{ at, db time.Time }

// now returns the database's time; this machine's before the first reading.
func (c *pgClock) now() time.Time {
	r := c.read.Load()
	if r == nil {
		return c.local()
	}
	return r.db.Add(time.Since(r.at))
}

// measured takes one reading of the database's clock, made between two moments. While it is within the reading's doubt,
// the one before stays: time does not jitter with the network.
func (c *pgClock) measured(before, after time.Time, db time.Time) {
	doubt := after.Sub(before)/2 + time.Millisecond
	next := &clockReading{at: before.Add(after.Sub(before) / 2), db: db.Round(0)}
	c.offset.Store(int64(db.Sub(c.local().Add(-time.Since(next.at)).Round(0))))
	last := c.read.Load()
	if last == nil {
		c.read.Store(next)
		return
	}
	off := db.Sub(last.db.Add(next.at.Sub(last.at)))
	if off.Abs() <= doubt {
		return
	}
	c.read.Store(next)
	if off.Abs() > clockJump {
		c.log.Warn("the database's clock has jumped: what waits for a time waits that much less or more",
			"by", off.Round(time.Millisecond).String())
	}
}
