package store

import (
	"context"
	"sync"
	"time"
)

// health is what the commits of a store have shown, and a commit of its own when they have shown nothing for a while.
type health struct {
	mu      sync.Mutex
	at      time.Time // of what err says
	err     error
	probing chan struct{} // closed when the probe that runs has ended; nil: none runs
}

// What Health knows is at most freshFor old, and a probe that takes longer than probeTime has failed.
const (
	freshFor  = 5 * time.Second
	probeTime = 3 * time.Second
)

// ended takes the outcome of a commit.
func (h *health) ended(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at, h.err = time.Now(), err
}

// doubt makes the next Health look for itself: something else than a commit has failed.
func (h *health) doubt() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err == nil {
		h.at = time.Time{}
	}
}

// Health returns nil when the store takes writes, or why it does not. What the commits of the last seconds have shown
// counts; when there were none, or they failed, one small write finds out, for all who ask meanwhile. It returns within
// a few seconds.
func (db *DB) Health(ctx context.Context) error {
	if err := db.Failed(ctx); err != nil {
		return err
	}
	h := &db.health
	h.mu.Lock()
	if h.err == nil && time.Since(h.at) < freshFor || time.Since(h.at) < freshFor/10 {
		defer h.mu.Unlock()
		return h.err
	}
	if h.probing == nil {
		h.probing = make(chan struct{})
		go db.probe(h.probing) //nolint:gosec // its answer is for all who ask, and not for this caller alone
	}
	done := h.probing
	h.mu.Unlock()
	over := time.NewTimer(probeTime)
	defer over.Stop()
	select {
	case <-done:
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.err
	case <-over.C:
		return unavailable("a write has not been answered by the store for several seconds")
	case <-ctx.Done():
		return unavailable("a write has not been answered by the store while the question waited")
	}
}

// Failed returns why the store takes no more writes until it is opened again; nil when nothing has stopped it. It is a
// *verify.Error with CodeUnavailable, and costs nothing to ask.
func (db *DB) Failed(ctx context.Context) error {
	e, ok := db.engine.(Healther)
	if !ok {
		return nil
	}
	if err := e.Health(ctx); err != nil {
		return db.unwritable(err)
	}
	return nil
}

// unwritable returns the error for a caller whose work was not committed. It says why, where the engine knows.
func (db *DB) unwritable(cause error) error {
	const detail = "the store cannot be written"
	if e, ok := db.engine.(Explainer); ok {
		if why := e.Explain(cause); why != "" {
			return Unavailable(detail+": "+why, cause)
		}
	}
	return Unavailable(detail, cause)
}

// probe writes a row of no meaning. Its commit tells.
func (db *DB) probe(done chan struct{}) {
	//nolint:forbidigo // it is for all who ask, and bounded by the engine
	err := db.SetMark(context.Background(), "probe", db.Now().UnixMilli())
	db.health.mu.Lock()
	defer db.health.mu.Unlock()
	db.health.at, db.health.err, db.health.probing = time.Now(), err, nil
	close(done)
}
