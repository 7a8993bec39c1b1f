package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/verify"
)

// Copied is what a Copy did to one table.
type Copied struct {
	Table string
	// Rows is how many the source has; Written, how many of them were new to the target or differed; Removed, how many the
	// target had and the source has not.
	Rows, Written, Removed int
}

// CopyOptions says how to copy.
type CopyOptions struct {
	// Final takes the source over, which no server may run on, and closes it: afterwards no server opens it any more.
	Final bool
	// Tell is told of each table; may be nil.
	Tell func(Copied)
}

// ErrMoved is the answer of a SQLite store whose content has moved to PostgreSQL.
var ErrMoved = errors.New("this store has moved to PostgreSQL; `dialproof store copy --undo` takes that back")

// ErrRunning is the answer when nodes work on the target.
var ErrRunning = errors.New("nodes are running on the target: stop them first, the copy would undo their work")

// copyStep is how many rows are compared at once.
const copyStep = 500

// copyTable is a table to copy: the first column is its key, by whose bytes both sides are ordered. kinds tells what the columns
// are: b for bytes, t for text, i for integers.
type copyTable struct {
	name, kinds string
	columns     []string
	// more answers a row of SQLite with the columns that PostgreSQL alone has, which stand last: only is how many. Nil: there are
	// none.
	more func(row []any) ([]any, error)
	only int
}

func copyTables() []copyTable {
	return []copyTable{
		{name: "applications", kinds: "bt", columns: []string{"id", "data"}},
		{name: "api_keys", kinds: "bti", columns: []string{"id", "data", "used"}},
		{name: "numbers", kinds: "bbi", columns: []string{"key", "data", "touched"}},
		{name: "limits", kinds: "bi", columns: []string{"key", "tat"}},
		{name: "replays", kinds: "bbbi", columns: []string{"key", "fingerprint", "sealed", "until"}},
		{name: "sent", kinds: "bbbi", columns: []string{"key", "ref", "delivery", "until"}},
		{
			name: "verifications", kinds: "bbbbiiibb", columns: []string{"id", "app", "spec", "sealed", "status", "attempts", "expires", "state", "number"},
			more: withNumber, only: 1,
		},
		{name: "webhooks", kinds: "bt", columns: []string{"id", "data"}},
		{name: "events", kinds: "bbbbtbiiiit", columns: []string{"id", "event", "endpoint", "ref", "kind", "sealed", "state", "due", "claims", "tries", "log"}},
		{name: "jobs", kinds: "btiibb", columns: []string{"id", "kind", "due", "attempt", "ref", "payload"}},
	}
}

// withNumber answers a verification's row with the column number, which SQLite has in spec alone.
func withNumber(row []any) ([]any, error) {
	var s verify.Spec
	raw, _ := row[2].([]byte)
	if err := readSpec(raw, &s); err != nil {
		return nil, err
	}
	if s.Number == (verify.NumberKey{}) {
		return append(row, []byte(nil)), nil
	}
	return append(row, s.Number[:]), nil
}

// Copy makes a PostgreSQL store equal to a SQLite store. It writes only what differs, so it can be run again and again: first
// while a server works on the source, which takes its time, and then, with the server stopped, once with Final, which is short. No
// node may run on the target.
func Copy(ctx context.Context, path string, to Options, o CopyOptions) error {
	// As the owner it finds no server, and gives each job a row; as a guest it only reads.
	src, err := openSQLite(path, !o.Final)
	if err != nil {
		return fmt.Errorf("store %s: %w", path, err)
	}
	defer src.close() //nolint:errcheck // what matters is durable in the target
	to.create = true
	dst, err := openPostgres(ctx, to)
	if err != nil {
		return fmt.Errorf("the target: %w", err)
	}
	defer dst.close() //nolint:errcheck // likewise
	if err := dst.quiet(ctx); err != nil {
		return err
	}
	c := &copier{src: src.w, dst: dst, tell: o.Tell}
	if err := src.transact(func() error { return foldFile(src.w) }); err != nil { // what a server has put off
		return err
	}
	begin := "BEGIN"
	if o.Final {
		begin = "BEGIN IMMEDIATE"
	}
	if err := src.w.c.Exec(begin); err != nil {
		return err
	}
	if err = c.all(ctx); err == nil && o.Final {
		_, err = src.w.exec(sqlSetMark, moved, int64(1))
	}
	if err != nil {
		return errors.Join(err, src.w.c.Exec("ROLLBACK"))
	}
	return src.w.c.Exec("COMMIT")
}

// moved is the mark in versions of a file that a final copy has closed.
const moved = "moved to PostgreSQL"

// usable answers ErrMoved for a file that a final copy has closed, and closes it.
func (e *sqlite) usable() error {
	found := false
	err := e.w.query(sqlMark, func(row) error { found = true; return nil }, moved)
	if found {
		err = ErrMoved
	}
	if err != nil {
		return errors.Join(err, e.close())
	}
	return nil
}

// Uncopy lets servers open a SQLite store again that a final copy has closed. What has been written to PostgreSQL since is not in it.
func Uncopy(path string) error {
	e, err := openSQLite(path, true)
	if err != nil {
		return fmt.Errorf("store %s: %w", path, err)
	}
	err = e.transact(func() error {
		_, err := e.w.exec("DELETE FROM versions WHERE name = $1", moved)
		return err
	})
	return errors.Join(err, e.close())
}

// quietMillis is how long ago a lane may have counted and still be somebody's: idle nodes write once a minute.
const quietMillis = 130_000

// quiet answers ErrRunning unless no other node works on the database.
func (e *postgres) quiet(ctx context.Context) error {
	own := make([][]byte, len(e.lane))
	for i, l := range e.lane {
		own[i] = l.id[:]
	}
	var others int64
	err := pgConn{ctx, e.pool}.query(`SELECT count(*) FROM lanes WHERE id <> ALL($1::bytea[]) AND seen > $2`, func(r row) error {
		others = r.Int(0)
		return nil
	}, own, e.now().UnixMilli()-quietMillis)
	if err == nil && others > 0 {
		err = ErrRunning
	}
	return err
}

// copier copies from one read transaction of SQLite.
type copier struct {
	src  conn
	dst  *postgres
	tell func(Copied)
}

func (c *copier) all(ctx context.Context) error {
	for _, t := range copyTables() {
		done, err := c.table(ctx, t)
		if err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		if c.tell != nil {
			c.tell(done)
		}
	}
	return c.versions(ctx)
}

// table walks through both sides in the order of the key, a step at a time.
func (c *copier) table(ctx context.Context, t copyTable) (done Copied, err error) {
	done.Table = t.name
	for after, more := []byte{}, true; more; {
		page, err := c.page(t, after)
		if err != nil {
			return done, err
		}
		more = len(page) == copyStep
		last := bytes.Repeat([]byte{0xff}, 64) // past every key
		if more {
			last, _ = page[len(page)-1][0].([]byte)
		}
		written, removed, err := c.equal(ctx, t, page, after, last)
		if err != nil {
			return done, err
		}
		done.Rows, done.Written, done.Removed = done.Rows+len(page), done.Written+written, done.Removed+removed
		after = last
	}
	return done, nil
}

// page answers the source's next rows.
func (c *copier) page(t copyTable, after []byte) (out [][]any, err error) {
	columns, kinds := t.columns[:len(t.columns)-t.only], t.kinds[:len(t.kinds)-t.only]
	order := t.columns[0]
	if order == "id" && (t.name == "verifications" || t.name == "jobs") {
		order = "seq" // the same order, and the one that SQLite has an index for
	}
	from := any(after)
	if order == "seq" {
		from = seqOf(after)
	}
	sql := fmt.Sprintf("SELECT %s FROM %s WHERE %s > $1 ORDER BY %[3]s LIMIT %d", strings.Join(columns, ", "), t.name, order, copyStep)
	err = c.src.query(sql, func(r row) error {
		values := take(r, kinds)
		if t.more != nil {
			var err error
			if values, err = t.more(values); err != nil {
				return err
			}
		}
		out = append(out, values)
		return nil
	}, from)
	return out, err
}

// seqOf answers the integer key of an id; -1 for none.
func seqOf(key []byte) int64 {
	var i id.ID
	if copy(i[:], key) != len(i) {
		return -1
	}
	return i.Seq()
}

// take answers the values of a row.
func take(r row, kinds string) []any {
	out := make([]any, len(kinds))
	for i, k := range kinds {
		switch k {
		case 'b':
			out[i] = blob(r, i)
		case 't':
			out[i] = string(r.Raw(i))
		default:
			out[i] = r.Int(i)
		}
	}
	return out
}

func same(a, b []any) bool {
	return slices.EqualFunc(a, b, func(x, y any) bool {
		if p, ok := x.([]byte); ok {
			q, ok := y.([]byte)
			return ok && bytes.Equal(p, q) && (p == nil) == (q == nil)
		}
		return x == y
	})
}

// equal makes the target's rows of a span of keys those of the page.
func (c *copier) equal(ctx context.Context, t copyTable, page [][]any, after, last []byte) (written, removed int, err error) {
	there := map[string][]any{}
	sql := fmt.Sprintf("SELECT %s FROM %s WHERE %s > $1 AND %[3]s <= $2", strings.Join(t.columns, ", "), t.name, t.columns[0])
	err = c.dst.read(ctx, func(db conn) error {
		clear(there)
		return db.query(sql, func(r row) error {
			values := take(r, t.kinds)
			there[string(r.Raw(0))] = values
			return nil
		}, after, last)
	})
	if err != nil {
		return 0, 0, err
	}
	put := newColumns(t.kinds)
	for _, values := range page {
		key, _ := values[0].([]byte)
		kept := there[string(key)]
		delete(there, string(key))
		if kept != nil && same(kept, values) {
			continue
		}
		written++
		for i, v := range values {
			switch v := v.(type) {
			case []byte:
				put.blobs(i, v)
			case string:
				put.texts(i, v)
			case int64:
				put.ints(i, v)
			}
		}
	}
	return written, len(there), c.write(ctx, t, put, there)
}

// write writes and removes rows in one transaction.
func (c *copier) write(ctx context.Context, t copyTable, put columns, gone map[string][]any) error {
	drop := newColumns("b")
	for key := range gone {
		drop.blobs(0, []byte(key))
	}
	steps := add(nil, t.upsert(), put)
	steps = add(steps, fmt.Sprintf("DELETE FROM %s WHERE %s = ANY($1::bytea[])", t.name, t.columns[0]), drop)
	if len(steps) == 0 {
		return nil
	}
	held, err := c.dst.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer held.Release()
	x := &pgTx{e: c.dst, ctx: ctx, c: held.Conn()}
	if err := x.pipeline(append(append([]pgStep{{sql: sqlBegin}}, steps...), pgStep{sql: "COMMIT"})); err != nil {
		_, err = x.undo(err)
		return err
	}
	return nil
}

// upsert answers the statement that writes rows, whether they are there or not.
func (t copyTable) upsert() string {
	arrays, sets := make([]string, len(t.columns)), make([]string, 0, len(t.columns))
	for i, column := range t.columns {
		arrays[i] = fmt.Sprintf("$%d::%s[]", i+1, map[byte]string{'b': "bytea", 't': "text", 'i': "bigint"}[t.kinds[i]])
		if i > 0 {
			sets = append(sets, column+" = excluded."+column)
		}
	}
	return fmt.Sprintf("INSERT INTO %s (%s) SELECT * FROM unnest(%s) ON CONFLICT (%s) DO UPDATE SET %s",
		t.name, strings.Join(t.columns, ", "), strings.Join(arrays, ", "), t.columns[0], strings.Join(sets, ", "))
}

// versions copies counters and marks, so that nodes see news.
func (c *copier) versions(ctx context.Context) error {
	return c.src.query("SELECT name, n FROM versions WHERE name <> $1", func(r row) error {
		_, err := c.dst.pool.Exec(ctx, sqlSetMark, string(r.Raw(0)), r.Int(1))
		return err
	}, moved)
}
