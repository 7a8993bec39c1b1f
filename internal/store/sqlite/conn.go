package sqlite

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/ncruces/go-sqlite3"

	"github.com/dialproof/dialproof/internal/store/tables"
)

// pragmas are set on every connection. synchronous must be FULL in words: the library's own default in WAL mode is
// NORMAL, which loses what was acknowledged when the power goes. The time-out comes first: whoever opens the file while
// another process recovers it waits.
const pragmas = `
PRAGMA busy_timeout = 10000;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA wal_autocheckpoint = 10000;
PRAGMA cache_size = -16384;
PRAGMA temp_store = MEMORY;`

// conn is a connection with its prepared statements.
type conn struct {
	c     *sqlite3.Conn
	stmts map[string]*sqlite3.Stmt
}

// fileURI returns the path as SQLite takes it with parameters (sqlite.org/uri.html).
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

// openConn opens a connection that reads and writes, through our own file layer above the file system that a URI names.
func openConn(path string) (*conn, error) {
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

func openWith(path, files string) (*conn, error) {
	c, err := sqlite3.Open(fileURI(path, files))
	if err != nil {
		return nil, err
	}
	if err := c.Exec(pragmas); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return &conn{c: c, stmts: map[string]*sqlite3.Stmt{}}, nil
}

func (c *conn) close() error {
	var errs []error
	for _, s := range c.stmts {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, c.c.Close())...)
}

// sqlRow is a row of SQLite.
type sqlRow struct{ *sqlite3.Stmt }

// Int implements tables.Row.
func (r sqlRow) Int(i int) int64 { return r.ColumnInt64(i) }

// Raw implements tables.Row.
func (r sqlRow) Raw(i int) []byte { return r.ColumnRawBlob(i) }

// Query implements tables.Conn.
func (c *conn) Query(sql string, each func(tables.Row) error, args ...any) error {
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
		if err := each(sqlRow{s}); err != nil {
			return err
		}
	}
	return s.Err()
}

// Exec implements tables.Conn.
func (c *conn) Exec(sql string, args ...any) (int64, error) {
	err := c.Query(sql, func(tables.Row) error { return nil }, args...)
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

// run executes a statement that returns no rows. It is Exec for the statements that every verification needs: its
// parameters are made without garbage.
func (c *conn) run(sql string, args ...value) error {
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

func (c *conn) prepare(sql string) (*sqlite3.Stmt, error) {
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
