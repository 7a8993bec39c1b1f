package api

import (
	"errors"
	"os"
	"sync"
	"time"
)

// deadline is a connection's time limit for reads or for writes, set seldom. A server sets several for each request,
// and setting one costs the runtime more than it seems; nearly always the one before is nearer, and neither is ever
// reached. So the nearer one is left in force, and whoever runs into it puts it off to the one that was meant.
type deadline struct {
	set func(time.Time) error // of the connection

	mu    sync.Mutex
	meant time.Time // the limit; zero for none
	inUse time.Time // the one that the connection knows: never later than meant
}

// mean sets the limit; the zero time takes it away.
func (d *deadline) mean(t time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.meant = t
	if !later(d.inUse, t) {
		return nil
	}
	return d.use(t)
}

// later tells whether a limit is later than another one.
func later(a, b time.Time) bool {
	return !b.IsZero() && (a.IsZero() || a.After(b))
}

func (d *deadline) use(t time.Time) error {
	d.inUse = t
	return d.set(t)
}

// putOff tells whether what failed ran into a limit that was not meant, and may be tried again.
func (d *deadline) putOff(failure error) bool {
	return errors.Is(failure, os.ErrDeadlineExceeded) && d.enforce() == nil
}

// enforce lets the connection know the limit that is meant. It fails when that is over.
func (d *deadline) enforce() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.meant.IsZero() && !d.meant.After(time.Now()) {
		return os.ErrDeadlineExceeded
	}
	return d.use(d.meant)
}
