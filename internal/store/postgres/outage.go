package postgres

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// outageOver is how long nothing may have failed before an outage is called over.
const outageOver = time.Second

// outage is a time in which the database does not do what it is asked to: a line in the log when it begins and one when it ends,
// with a count between. Its zero value is none.
type outage struct {
	on       atomic.Bool
	mu       sync.Mutex
	since    time.Time
	newest   time.Time
	failures int
	// write tells that a write was refused: then only a write shows that it is over.
	write bool
}

// failed counts a request that was refused because of the database.
func (o *outage) failed(log *slog.Logger, write bool, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.newest, o.write = time.Now(), o.write || write
	if o.failures++; o.failures > 1 {
		return
	}
	o.since = o.newest
	o.on.Store(true)
	log.Error("the database cannot be used", "error", err)
}

// worked ends the outage, if there is one and nothing has failed for a while.
func (o *outage) worked(log *slog.Logger, write bool) {
	if !o.on.Load() {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failures == 0 || o.write && !write || time.Since(o.newest) < outageOver {
		return
	}
	log.Info("the database can be used again", "failures", o.failures, "took", time.Since(o.since).Round(time.Millisecond).String())
	o.failures, o.write = 0, false
	o.on.Store(false)
}
