// Package sqlite is the engine for one node: a SQLite file in the process's own folder. An Engine owns its file; a
// Guest looks at one that another process may own. It holds no rule of verifications or of jobs.
package sqlite

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/ncruces/go-sqlite3"

	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/queue"
	"github.com/dialproof/dialproof/internal/store"
	"github.com/dialproof/dialproof/internal/store/sqlite/journal"
	"github.com/dialproof/dialproof/internal/store/tables"
	"github.com/dialproof/dialproof/internal/verify"
)

// Options says how to open a file.
type Options struct {
	// Migrate brings a file of an older version up to date. Without it such a file is refused. A new file is made either
	// way.
	Migrate bool
	// Log is told of migrations; nil: nobody is.
	Log *slog.Logger
	// Journal are the sizes of the journal; zero for the defaults.
	Journal journal.Options
	// CheckpointPages is how many pages the write-ahead log may have before they are copied into the file; 0 for the
	// default.
	CheckpointPages int
}

// maxReaders bounds the read connections.
const maxReaders = 4

// Engine is the owner of a file: one connection that writes, a few that read.
type Engine struct {
	tables.Reader
	rows
	path string

	// The writer's alone, but for what says otherwise.
	w       *conn
	tx      writing
	jobs    *jobs // readers look too
	segment []byte
	plan    journal.Plan
	tabled  []id.ID // jobs that this commit writes to their table, and
	dropped []id.ID // those that it deletes there

	log     checkpointer
	halt    halt          // set when a sync has failed
	owner   *sqlite3.Conn // the lock of the process that owns the file
	readers readers
	close   sync.Once
	closed  error
}

var (
	_ store.Engine    = (*Engine)(nil)
	_ store.Compacter = (*Engine)(nil)
	_ store.Describer = (*Engine)(nil)
	_ store.Healther  = (*Engine)(nil)
)

// Open opens a file as its owner; its folder must exist. Another process that owns it is waited for a few seconds.
func Open(ctx context.Context, path string, o Options) (_ *Engine, err error) {
	owner, err := own(path)
	if err != nil {
		return nil, fmt.Errorf("store %s: %w", path, err)
	}
	e := &Engine{path: path, owner: owner, jobs: newJobs(), readers: newReaders(path)}
	if err := e.open(ctx, o); err != nil {
		return nil, fmt.Errorf("store %s: %w", path, errors.Join(err, e.abandon()))
	}
	return e, nil
}

func (e *Engine) open(ctx context.Context, o Options) (err error) {
	if e.w, err = openConn(e.path); err != nil {
		return err
	}
	if o.CheckpointPages == 0 {
		o.CheckpointPages = checkpointPages
	}
	e.log.begin(e.path, e.w, o.CheckpointPages, &e.halt)
	if o.Log != nil {
		e.halt.log.Store(o.Log)
	}
	if err := settleLog(e.w); err != nil {
		return e.halt.see(err)
	}
	if err := migrate(e.w, o.Migrate, o.Log); err != nil {
		return e.halt.see(err)
	}
	if err := syncFolder(e.path); err != nil {
		return err
	}
	if err := usable(e.w); err != nil {
		return err
	}
	o.Journal.Spread = map[journal.Kind]bool{numberKind: true}
	e.rows = rows{c: e.w, j: journal.New(o.Journal)}
	if err := loadJournal(e.w, e.j); err != nil {
		return err
	}
	e.Reader = tables.Reader{Dialect: dialect(), Run: e.readers.run}
	e.tx = writing{Tables: tables.Tables{Conn: e.w, Dialect: e.Dialect}, e: e}
	return e.loadJobs(ctx)
}

// loadJobs fills the cache of jobs. Their leases are of the process before, which is dead: what it had begun is due at
// once.
func (e *Engine) loadJobs(context.Context) error {
	all, tabled, err := allJobs(e.w, e.j)
	if err != nil {
		return err
	}
	now := time.Now()
	for _, j := range all {
		if j.Leased && j.Due.After(now) {
			j.Due = now
		}
		e.jobs.put(j)
	}
	e.jobs.tabled = tabled
	return nil
}

// dialect is how SQLite's statements differ from PostgreSQL's.
func dialect() *tables.Dialect {
	return tables.NewDialect("seq", "", "", func(i id.ID) any { return i.Seq() })
}

// ownTimeout is how long an owner waits for the one before it to end.
const ownTimeout = "10000"

// own makes this process the one that owns a file, until what is returned is closed or the process ends, however it
// ends. It is a lock on a file beside the store's own, so that guests can still read and write.
func own(path string) (*sqlite3.Conn, error) {
	name, query := path, ""
	if strings.HasPrefix(path, "file:") { // a URI may choose another file system
		if i := strings.IndexByte(path, '?'); i >= 0 {
			name, query = path[:i], path[i:]
		}
	}
	c, err := sqlite3.Open(name + "-owner" + query)
	if err != nil {
		return nil, err
	}
	if err := c.Exec("PRAGMA busy_timeout = " + ownTimeout + "; BEGIN EXCLUSIVE"); err != nil {
		return nil, errors.Join(fmt.Errorf("another Dialproof runs on this file: stop it first (%w)", err), c.Close())
	}
	return c, nil
}

// Writers implements store.Engine: there is one writer.
func (e *Engine) Writers() int { return 1 }

// Now implements store.Engine.
func (e *Engine) Now() time.Time { return time.Now() }

// Behind implements store.Compacter.
func (e *Engine) Behind() bool { return e.j.Behind() }

// Describe implements store.Describer.
func (e *Engine) Describe(ctx context.Context) (store.Facts, error) {
	f := store.Facts{Summary: "SQLite", Engine: "SQLite"}
	err := e.Read(ctx, func(c tables.Conn) error {
		if err := c.Query("SELECT sqlite_version()",
			func(r tables.Row) error { f.Engine = "SQLite " + string(r.Raw(0)); return nil }); err != nil {
			return err
		}
		return c.Query("PRAGMA user_version", func(r tables.Row) error { f.Schema = int(r.Int(0)); return nil })
	})
	return f, err
}

// Commit implements store.Engine. The memory changes once the commit has succeeded, and not before.
func (e *Engine) Commit(_ context.Context, _ int, b *store.Batch) error {
	e.segment, e.plan, e.tabled, e.dropped = journal.Begin(e.segment), journal.Plan{}, e.tabled[:0], e.dropped[:0]
	err := e.transact(func() error {
		if err := b.Run(&e.tx); err != nil {
			return err
		}
		return e.write(b)
	})
	if err != nil {
		if errors.Is(err, sqlite3.FULL) {
			e.log.makeRoom(e.w)
		}
		return err
	}
	e.settle(b)
	e.log.committed(e.w)
	return nil
}

// settle makes the memory what the commit has made of the file.
func (e *Engine) settle(b *store.Batch) {
	e.j.Settle(e.plan, e.segment)
	e.jobs.mu.Lock()
	defer e.jobs.mu.Unlock()
	for _, k := range b.Jobs.Changed {
		if r := b.Jobs.Get(k); r.There {
			e.jobs.put(r.Value)
		} else {
			e.jobs.drop(k)
		}
	}
	for _, k := range e.tabled {
		e.jobs.tabled[k] = true
	}
	for _, k := range e.dropped {
		delete(e.jobs.tabled, k)
	}
}

// transact runs f in one write transaction, unless the engine has stopped.
func (e *Engine) transact(f func() error) error {
	if err := e.halt.failed(); err != nil {
		return err
	}
	return e.halt.see(transact(e.w, f))
}

// transact runs f in one write transaction.
func transact(c *conn, f func() error) error {
	if err := c.run("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	err := f()
	if err == nil {
		err = c.run("COMMIT")
	}
	if err != nil && !c.c.GetAutocommit() {
		err = errors.Join(err, c.c.Exec("ROLLBACK"))
	}
	return err
}

// Depth implements queue.Store.
func (e *Engine) Depth(_ context.Context, now time.Time) (queue.Depth, error) {
	return e.jobs.depth(now), nil
}

// AnyDue implements store.Reader.
func (e *Engine) AnyDue(_ context.Context, kind string, now time.Time) (bool, error) {
	return e.jobs.anyDue(kind, now), nil
}

// Find implements verify.Store.
func (e *Engine) Find(ctx context.Context, v id.ID) (*verify.Verification, error) {
	if raw, ok := e.j.Find(verificationKey(v)); ok {
		return readVerification(v, raw)
	}
	return e.Reader.Find(ctx, v)
}

// NumberRow implements verify.Store.
func (e *Engine) NumberRow(ctx context.Context, k verify.NumberKey) (*verify.Number, error) {
	if raw, ok := e.j.Find(numberKey(k)); ok {
		return readNumber(k, raw)
	}
	return e.Reader.NumberRow(ctx, k)
}

// Scan implements verify.Store.
func (e *Engine) Scan(ctx context.Context, app, before id.ID, yield func(*verify.Verification) bool) error {
	return scan(ctx, e.Reader, e.j, app, before, yield)
}

// Remembered implements store.Reader.
func (e *Engine) Remembered(ctx context.Context, after, end id.ID) ([]*verify.Verification, error) {
	return remembered(ctx, e.Reader, e.j, after, end)
}

// Last implements store.Reader.
func (e *Engine) Last(ctx context.Context) (id.ID, error) { return last(ctx, e.Reader, e.j) }

// Close compacts everything and closes the file.
func (e *Engine) Close() error {
	e.close.Do(func() {
		err := e.transact(func() error {
			_, err := e.compact(e.j.All(), journal.Begin(nil))
			return err
		})
		e.closed = errors.Join(err, e.abandon())
	})
	return e.closed
}

// abandon closes what is open.
func (e *Engine) abandon() error {
	stopped := e.halt.failed() != nil
	errs := []error{e.readers.close(stopped), e.log.close()}
	if e.w != nil {
		errs = append(errs, e.w.closeAs(stopped))
	}
	return errors.Join(append(errs, e.owner.Close())...)
}

// readers is a few connections that read.
type readers struct {
	path string
	free chan *conn // nil entries are not opened yet
}

func newReaders(path string) readers {
	r := readers{path: path, free: make(chan *conn, maxReaders)}
	for range maxReaders {
		r.free <- nil
	}
	return r
}

var errClosed = errors.New("the store is closed")

// run runs reads on a connection.
func (r readers) run(_ context.Context, f func(tables.Conn) error) error {
	c, ok := <-r.free
	if !ok {
		return errClosed
	}
	defer func() { r.free <- c }()
	if c == nil {
		opened, err := openConn(r.path)
		if err != nil {
			return err
		}
		c = opened
	}
	return f(c)
}

func (r readers) close(stopped bool) error {
	var errs []error
	for range maxReaders {
		if c := <-r.free; c != nil {
			errs = append(errs, c.closeAs(stopped))
		}
	}
	close(r.free)
	return errors.Join(errs...)
}
