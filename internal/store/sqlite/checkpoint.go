package sqlite

import (
	"sync"
	"sync/atomic"

	"github.com/ncruces/go-sqlite3"

	"github.com/dialproof/dialproof/internal/store/tables"
)

// checkpointPages is how many pages the write-ahead log may have before they are copied into the file (80 MB).
const checkpointPages = 20_000

// checkpointer copies the log into the file beside the writer, which would else stand still for 15 ms and more each
// time. It does so on a connection of its own. What the writer has added meanwhile is little, and copied by the writer
// itself: a log can only start over when all of it has been copied.
//
// A checkpoint that fails loses nothing: the log keeps what it has, and the next one tries again, unless it was a sync
// that failed.
type checkpointer struct {
	path string
	at   int   // checkpointPages
	halt *halt // is told of syncs that failed

	pages int // of the log, after the newest commit; the writer's
	next  int // how many there must be for the next checkpoint; the writer's

	running, copied atomic.Bool
	all             sync.WaitGroup
	c               *conn // of the goroutine that runs
}

// begin makes the writer's connection tell of its log. SQLite checkpoints no more by itself then.
func (p *checkpointer) begin(path string, w *conn, at int, h *halt) {
	p.path, p.at, p.next, p.halt = path, at, at, h
	w.c.WALHook(func(_ *sqlite3.Conn, _ string, pages int) error {
		p.pages = pages
		return nil
	})
}

// committed is called by the writer after each commit.
func (p *checkpointer) committed(w *conn) {
	switch {
	case p.halt.failed() != nil:
	case p.running.Load():
	case p.copied.Swap(false):
		_ = p.halt.see(checkpoint(w))
	case p.pages >= p.next:
		p.next = p.pages + p.at // unless the log starts over
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
func checkpoint(c *conn) error {
	return c.Query("PRAGMA wal_checkpoint(PASSIVE)", func(tables.Row) error { return nil })
}

// makeRoom copies the log into the file now, after a commit for which there was no room: the log can start over then.
func (p *checkpointer) makeRoom(w *conn) {
	p.all.Wait()
	p.copied.Store(false)
	_ = p.halt.see(checkpoint(w)) // where there is no room for that either, the next commit tries again
}

func (p *checkpointer) close() error {
	p.all.Wait()
	if p.c == nil {
		return nil
	}
	return p.c.closeAs(p.halt.failed() != nil)
}
