package store

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/ncruces/go-sqlite3"

	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/verify"
)

// pragmas are set on every connection. synchronous must be FULL in words: the library's own default in WAL
// mode is NORMAL, which loses what was acknowledged when the power goes. The time-out comes first: whoever opens the file while
// another process recovers it waits.
const pragmas = `
PRAGMA busy_timeout = 10000;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA wal_autocheckpoint = 10000;
PRAGMA cache_size = -16384;
PRAGMA temp_store = MEMORY;`

// maxReaders bounds the read connections.
const maxReaders = 4

// sqlite is the embedded engine: one connection that writes, a few that read.
type sqlite struct {
	path string
	w    *liteConn // used by the writer goroutine alone
	b    batch     // likewise
	seen int64     // likewise: the data version that the rows of b are of

	journal *journal // nil for a guest, who writes to the tables
	page    []byte   // the writer's: what the batch that runs adds to the journal
	row     []byte   // likewise: bytes of the row that is being written
	fold    fold     // likewise: what it folds of the journal

	log   checkpointer  // likewise
	halt  halt          // set when a sync has failed
	owner *sqlite3.Conn // the lock of the process that runs the jobs; nil for a guest

	readers chan *liteConn // free ones; nil entries are not opened yet
	mu      sync.Mutex
	closed  bool
}

// openSQLite opens the file, as its owner or as a guest.
func openSQLite(path string, guest bool) (_ *sqlite, err error) {
	var owner *sqlite3.Conn
	if !guest {
		if owner, err = own(path); err != nil {
			return nil, err
		}
		defer func() {
			if err != nil {
				err = errors.Join(err, owner.Close())
			}
		}()
	}
	w, err := openConn(path)
	if err != nil {
		return nil, err
	}
	e := &sqlite{path: path, w: w, owner: owner, readers: make(chan *liteConn, maxReaders)}
	e.b.c, e.b.d = w, e.dialect()
	if !guest {
		e.journal = newJournal()
	}
	e.b.keep(e.journal)
	if guest {
		e.b.numbers.recent, e.b.verifications.recent = e.number, e.verification
	}
	e.log.path, e.log.at, e.log.halt = path, checkpointAt, &e.halt
	e.log.watch(w)
	for range maxReaders {
		e.readers <- nil
	}
	if !guest {
		err = settleLog(w)
	}
	if err == nil {
		err = e.migrate()
	}
	if err == nil && !guest {
		err = syncFolder(path)
	}
	if err == nil && !guest {
		e.b.young = newYouth()
		if err = e.transact(func() error { return foldFile(e.w) }); err == nil {
			err = e.adopt()
		}
	}
	if err != nil {
		return nil, errors.Join(err, w.closeAs(syncFailed(err)))
	}
	return e, nil
}

// ownTimeout is how long an owner waits for the one before it to end.
const ownTimeout = "10000"

// own makes this process the one that runs the jobs of a file, until the answer is closed or the process ends, however it
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

// adopt makes the rows of jobs that a crash left without one. It looks for them on a connection of its own, whose memory is given
// back: the writer's would keep the pages that were looked through. Nobody else writes before the owner has opened the file.
func (e *sqlite) adopt() error {
	c, err := openConn(e.path)
	if err != nil {
		return err
	}
	found, err := orphans(c, e.now())
	if err = errors.Join(err, c.close()); err != nil || len(found) == 0 {
		return err
	}
	return e.transact(func() error {
		defer e.b.reset()
		for i := range found {
			e.b.jobs.put(found[i].ID, &found[i])
		}
		return e.writeJobs(&e.b)
	})
}

// youth answers the jobs without a row; nil for a guest, who leaves none without.
func (e *sqlite) youth() *youth { return e.b.young }

// lanes implements engine: there is one writer.
func (e *sqlite) lanes() int { return 1 }

// dialect implements engine.
func (e *sqlite) dialect() *dialect {
	return newDialect("seq", "", func(i id.ID) any { return i.Seq() })
}

// now implements engine.
func (e *sqlite) now() time.Time { return time.Now() }

// commit implements engine. The rows of the batches before are still known, unless somebody else has written meanwhile.
func (e *sqlite) commit(_ context.Context, _ int, ops []*op) error {
	e.fold = fold{}
	err := e.transact(func() error {
		if err := e.watch(); err != nil {
			return err
		}
		for _, o := range ops {
			if err := e.run(o); err != nil {
				return err
			}
		}
		return e.write(&e.b)
	})
	if err != nil {
		e.b.reset()
		return err
	}
	e.b.settle()
	if e.journal != nil {
		e.journal.settle(e.fold, e.page, e.b.stow)
	}
	e.log.committed(e.w)
	return nil
}

func (e *sqlite) run(o *op) error {
	if !o.claims.IsZero() {
		if err := e.raise(o.claims); err != nil {
			return err
		}
	}
	switch {
	case e.journal == nil:
		if o.folds == foldAll {
			if err := foldFile(e.w); err != nil {
				return err
			}
		}
	case e.journal.hidden:
	case o.folds == foldSome && e.fold.none():
		e.fold = e.journal.calm()
	case o.folds == foldAll:
		e.fold = e.journal.all()
	}
	return e.b.run(o)
}

// raise writes the rows of the jobs that have come of age. It is the first thing that its batch does.
func (e *sqlite) raise(now time.Time) error {
	if err := e.b.young.adults(&e.b, now); err != nil {
		return err
	}
	return e.writeJobs(&e.b)
}

// watch forgets the rows that are known when another connection has written to the file: the number that this reads changes
// then, and never by our own writes (sqlite.org/pragma.html#pragma_data_version). The journal in memory may be wrong as well: then what is
// in the file's is folded, and from here on the tables have everything.
func (e *sqlite) watch() error {
	var seen int64
	err := e.w.query(`PRAGMA data_version`, func(r row) error { seen = r.Int(0); return nil })
	if seen != e.seen {
		e.b.reset()
		e.seen = seen
		if err == nil {
			err = e.distrust()
		}
	}
	if err == nil && e.journal != nil && e.journal.hidden {
		err = foldFile(e.w)
	}
	return err
}

// distrust finds out whether the journal in memory is still that of the file: who changes a row of its kinds folds the file's first.
func (e *sqlite) distrust() error {
	j := e.journal
	if j == nil {
		return nil
	}
	j.hidden = true
	return e.w.query(liteHasPage, func(row) error { j.hidden = false; return nil }, j.first)
}

// transact runs f in one write transaction.
func (e *sqlite) transact(f func() error) error {
	if err := e.halt.failed(); err != nil {
		return err
	}
	if err := e.w.run("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	err := f()
	if err == nil {
		err = e.w.run("COMMIT")
	}
	if err != nil && !e.w.c.GetAutocommit() {
		err = errors.Join(err, e.w.c.Exec("ROLLBACK"))
	}
	return e.halt.see(err)
}

// recent answers the bytes of a row whose table is behind, or may be; nil for none. It may be asked beside the writer. What the
// memory says holds as long as the file has the page: a guest who changes a row folds them all.
func (e *sqlite) recent(ctx context.Context, k rowKey) (found []byte, err error) {
	if e.journal == nil {
		err = e.read(ctx, func(c conn) error { found, err = findInFile(c, k); return err })
		return found, err
	}
	seen, seq := e.journal.see(k)
	if seen == nil {
		return nil, nil
	}
	err = e.read(ctx, func(c conn) error {
		return c.query(liteHasPage, func(row) error { found = seen; return nil }, seq)
	})
	return found, err
}

// number and verification are what a guest's work finds in the journal of the file. What cannot be read counts as none: then the
// fold before the guest's own change fails for the same reason.
func (e *sqlite) number(k verify.NumberKey) []byte {
	if row, _ := findInFile(e.w, rowKey{numberRow, k}); len(row) >= touchedHead {
		return row[touchedHead:]
	}
	return nil
}

func (e *sqlite) verification(v id.ID) []byte {
	row, _ := findInFile(e.w, rowKey{verificationRow, v})
	return row
}

// behind tells whether rows are not in their tables yet. A guest does not know.
func (e *sqlite) behind() bool { return e.journal == nil || !e.journal.empty() }

// read implements engine.
func (e *sqlite) read(_ context.Context, f func(conn) error) error {
	c, ok := <-e.readers
	if !ok {
		return errClosed
	}
	var err error
	if c == nil {
		if c, err = openConn(e.path); err != nil {
			e.readers <- nil
			return err
		}
	}
	defer func() { e.readers <- c }()
	return f(c)
}

func (e *sqlite) close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil
	}
	e.closed = true
	errs := []error{e.transact(e.tables)}
	stopped := e.failed() != nil
	for range maxReaders {
		if c := <-e.readers; c != nil {
			errs = append(errs, c.closeAs(stopped))
		}
	}
	close(e.readers)
	errs = append(errs, e.log.close())
	errs = append(errs, e.w.closeAs(stopped))
	if e.owner != nil {
		errs = append(errs, e.owner.Close())
	}
	return errors.Join(errs...)
}

// tables gives every job its row, and every row its table.
func (e *sqlite) tables() error {
	err := e.raise(time.Time{})
	if err == nil && e.journal != nil {
		err = foldFile(e.w)
	}
	return err
}

// migrate brings the schema up to date, under the write lock, each step in its own transaction.
func (e *sqlite) migrate() error {
	all, err := migrations("sqlite")
	if err != nil {
		return err
	}
	return e.migrateTo(all)
}

func (e *sqlite) migrateTo(all []migration) error {
	for i, m := range all {
		err := e.transact(func() error {
			version, err := e.version()
			if err != nil || version > i {
				return err
			}
			return e.w.c.Exec(m.text + fmt.Sprintf(";\nPRAGMA user_version = %d", i+1))
		})
		if err != nil {
			return fmt.Errorf("migration %s: %w", m.name, err)
		}
	}
	version, err := e.version()
	if err == nil && version > len(all) {
		return newer(version, len(all))
	}
	return err
}

func (e *sqlite) version() (n int, err error) {
	err = e.w.query("PRAGMA user_version", func(r row) error { n = int(r.Int(0)); return nil })
	return n, err
}

// liteConn is a connection with its prepared statements.
type liteConn struct {
	c     *sqlite3.Conn
	stmts map[string]*sqlite3.Stmt
}

// fileURI answers the path as SQLite takes it with parameters (sqlite.org/uri.html).
func fileURI(path, files string) string {
	if strings.HasPrefix(path, "file:") {
		name, query, _ := strings.Cut(path, "?")
		if q, err := url.ParseQuery(query); err == nil {
			q.Set("vfs", files)
			return name + "?" + strings.ReplaceAll(q.Encode(), "+", "%20")
		}
		return path // SQLite says what is wrong with it
	}
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	if path = filepath.ToSlash(path); !strings.HasPrefix(path, "/") {
		path = "/" + path // a drive of Windows
	}
	return (&url.URL{Scheme: "file", Path: path, RawQuery: "vfs=" + files}).String()
}

// openConn opens a connection through our own file layer, above the file system that a URI names.
func openConn(path string) (*liteConn, error) {
	files, err := registerVFS(baseVFS(path))
	if err != nil {
		return nil, err
	}
	return openWith(path, files)
}

// baseVFS returns the name of the file system that a path asks for when it is a URI; empty for none.
func baseVFS(path string) string {
	if _, query, ok := strings.Cut(path, "?"); ok && strings.HasPrefix(path, "file:") {
		if q, err := url.ParseQuery(query); err == nil {
			return q.Get("vfs")
		}
	}
	return ""
}

func openWith(path, files string) (*liteConn, error) {
	c, err := sqlite3.Open(fileURI(path, files))
	if err != nil {
		return nil, err
	}
	if err := c.Exec(pragmas); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return &liteConn{c: c, stmts: map[string]*sqlite3.Stmt{}}, nil
}

func (c *liteConn) close() error {
	var errs []error
	for _, s := range c.stmts {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, c.c.Close())...)
}

// liteRow is a row of SQLite.
type liteRow struct{ *sqlite3.Stmt }

// Int implements row.
func (r liteRow) Int(i int) int64 { return r.ColumnInt64(i) }

// Raw implements row.
func (r liteRow) Raw(i int) []byte { return r.ColumnRawBlob(i) }

// query implements conn.
func (c *liteConn) query(sql string, each func(row) error, args ...any) error {
	s, err := c.prepare(sql)
	if err != nil {
		return err
	}
	defer s.Reset() //nolint:errcheck // it repeats the error of Step
	for i, a := range args {
		if err := bind(s, i+1, a); err != nil {
			return err
		}
	}
	for s.Step() {
		if err := each(liteRow{s}); err != nil {
			return err
		}
	}
	return s.Err()
}

// exec implements conn.
func (c *liteConn) exec(sql string, args ...any) (int64, error) {
	err := c.query(sql, func(row) error { return nil }, args...)
	return c.c.Changes(), err
}

// value is a parameter: bytes, NULL for nil, or an integer.
type value struct {
	raw     []byte
	num     int64
	integer bool
}

func num(n int64) value  { return value{num: n, integer: true} }
func raw(b []byte) value { return value{raw: b} }

// run executes a statement that answers no rows. It is exec for the statements that every verification needs: its parameters are
// made without garbage.
func (c *liteConn) run(sql string, args ...value) error {
	s, err := c.prepare(sql)
	if err != nil {
		return err
	}
	for i, a := range args {
		switch {
		case a.integer:
			err = s.BindInt64(i+1, a.num)
		case a.raw == nil:
			err = s.BindNull(i + 1)
		default:
			err = s.BindBlob(i+1, a.raw)
		}
		if err != nil {
			return err
		}
	}
	s.Step()
	return s.Reset()
}

func (c *liteConn) prepare(sql string) (*sqlite3.Stmt, error) {
	if s := c.stmts[sql]; s != nil {
		return s, nil
	}
	s, _, err := c.c.PrepareFlags(sql, sqlite3.PREPARE_PERSISTENT)
	if err != nil {
		return nil, err
	}
	c.stmts[sql] = s
	return s, nil
}

func bind(s *sqlite3.Stmt, i int, a any) error {
	switch v := a.(type) {
	case int64:
		return s.BindInt64(i, v)
	case string:
		return s.BindText(i, v)
	case []byte:
		return s.BindBlob(i, v)
	case nil:
		return s.BindNull(i)
	}
	return fmt.Errorf("store: cannot bind %T", a)
}
