package store

import (
	"sync"
	"sync/atomic"

	"github.com/ncruces/go-sqlite3"
)

// checkpointAt is how many pages the write-ahead log may have before they are copied into the file (80 MB).
const checkpointAt = 20_000

// checkpointer copies the log into the file beside the writer, which would else stand still for 15 ms and more each time. It does so
// on a connection of its own. What the writer has added meanwhile is little, and copied by the writer itself: a log can only begin
// anew when all of it has been copied.
//
// A checkpoint that fails loses nothing: the log keeps what it has, and the next one tries again, unless it was a sync that failed.
type checkpointer struct {
	path string
	at   int   // checkpointAt
	halt *halt // is told of syncs that failed

	pages int // of the log, after the newest commit; the writer's
	next  int // how many there must be for the next checkpoint; the writer's

	running, copied atomic.Bool
	all             sync.WaitGroup
	c               *liteConn // of the goroutine that runs
}

// watch makes the writer's connection tell of its log. SQLite checkpoints no more by itself then.
func (p *checkpointer) watch(w *liteConn) {
	p.next = p.at
	w.c.WALHook(func(_ *sqlite3.Conn, _ string, pages int) error {
		p.pages = pages
		return nil
	})
}

// committed is called by the writer after each commit.
func (p *checkpointer) committed(w *liteConn) {
	switch {
	case p.halt.failed() != nil:
	case p.running.Load():
	case p.copied.Swap(false):
		_ = p.halt.see(checkpoint(w))
	case p.pages >= p.next:
		p.next = p.pages + p.at // unless the log begins anew
		p.running.Store(true)
		p.all.Go(p.run)
	case p.pages < p.at:
		p.next = p.at
	}
}

func (p *checkpointer) run() {
	defer p.running.Store(false)
	if p.c == nil {
		c, err := openConn(p.path)
		if err != nil {
			return
		}
		p.c = c
	}
	_ = p.halt.see(checkpoint(p.c))
	p.copied.Store(true)
}

// checkpoint copies what it can without waiting for anybody.
func checkpoint(c *liteConn) error {
	return c.query("PRAGMA wal_checkpoint(PASSIVE)", func(row) error { return nil })
}

func (p *checkpointer) close() error {
	p.all.Wait()
	if p.c == nil {
		return nil
	}
	return p.c.closeAs(p.halt.failed() != nil)
}
