package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/pgtest"
	"github.com/dialproof/dialproof/internal/verify"
)

// rowsOf answers rows as a version wrote them.
func rowsOf(t *testing.T, dialect string, version int) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "migrations", dialect, fmt.Sprintf("%04d.sql", version)))
	if err != nil {
		t.Fatalf("say what rows schema %d of %s has: %v", version, dialect, err)
	}
	return string(text)
}

// dump answers one line for each thing of a schema.
func dump(t *testing.T, c conn, sql string) string {
	t.Helper()
	var out strings.Builder
	err := c.query(sql, func(r row) error { out.Write(r.Raw(0)); out.WriteByte('\n'); return nil })
	if err != nil || out.Len() == 0 {
		t.Fatalf("%s: %v", sql, err)
	}
	return out.String()
}

// The keys of rows of earlier versions.
var (
	oldApp          = id.ID{0x01, 0x9c, 0x1d, 0x3c, 0xbb, 0x56, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0x0b}
	oldVerification = id.ID{0x01, 0x9c, 0x1d, 0x3c, 0xbb, 0x56, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0x0a}
	oldNumber       = verify.NumberKey{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}
)

// old judges what became of the rows of an earlier version.
func old(t *testing.T, db *DB) {
	t.Helper()
	var seen []*verify.Verification
	if err := db.Scan(t.Context(), oldApp, id.ID{}, func(v *verify.Verification) bool { seen = append(seen, v); return true }); err != nil {
		t.Fatal(err)
	}
	if len(seen) != 1 || seen[0].Status != verify.Approved || seen[0].Attempts != 2 || seen[0].Spec.Country != "GB" {
		t.Errorf("the verifications are %+v", seen)
	}
	n, err := db.NumberRow(t.Context(), oldNumber)
	if err != nil || n == nil || n.Streak != 3 {
		t.Errorf("the number is %+v, %v", n, err)
	}
	apps, err := db.Applications(t.Context())
	if err != nil || len(apps) != 1 || apps[0].Name != "shop" {
		t.Errorf("the applications are %+v, %v", apps, err)
	}
}

// renewed changes the rows of an earlier version: they are then as this version writes them, and nothing of them is lost.
func renewed(t *testing.T, db *DB) {
	t.Helper()
	before, err := db.Find(t.Context(), oldVerification)
	if err != nil || before == nil {
		t.Fatalf("the verification is %+v, %v", before, err)
	}
	err = db.do(t.Context(), verify.Needs{Verification: oldVerification, Number: oldNumber}, nil, func(x *tx) error {
		v, err := x.Verification(oldVerification)
		n, failed := x.Number(oldNumber)
		if err = errors.Join(err, failed); err != nil {
			return err
		}
		v.Attempts, v.Sends, n.Streak = 3, 2, 4
		x.PutVerification(v, false)
		x.PutNumber(n)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	n, err := db.NumberRow(t.Context(), oldNumber)
	if err != nil || n.Streak != 4 || n.Last == 0 {
		t.Errorf("the number has become %+v, %v", n, err)
	}
	want := *before
	want.Attempts, want.Sends = 3, 2
	if after, err := db.Find(t.Context(), oldVerification); err != nil || !sameJSON(t, after, &want) || !sameJSON(t, &after.Spec, &want.Spec) {
		t.Errorf("the verification has become\n%+v, %v, want\n%+v", after, err, &want)
	}
	if _, n, err := db.Forget(t.Context(), id.ID{}, time.Now()); n != 1 || err != nil {
		t.Errorf("%d verifications were forgotten, %v", n, err)
	}
	if after, err := db.Find(t.Context(), oldVerification); err != nil || after.Sealed != nil || after.Spec.Number != (verify.NumberKey{}) || after.Spec.Country != "GB" || after.Sends != 2 {
		t.Errorf("the forgotten verification is %+v, %v", after, err)
	}
	if err := db.level(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, column := range []string{"data FROM numbers", "spec FROM verifications", "state FROM verifications"} {
		err := db.read(t.Context(), func(c conn) error {
			return c.query("SELECT "+column, func(r row) error {
				if !isBinary(r.Raw(0)) {
					t.Errorf("%s is still %q", column, r.Raw(0))
				}
				return nil
			})
		})
		if err != nil {
			t.Error(err)
		}
	}
}

func sameJSON(t *testing.T, a, b any) bool {
	t.Helper()
	x, err := json.Marshal(a, json.Deterministic(true))
	y, failed := json.Marshal(b, json.Deterministic(true))
	if err = errors.Join(err, failed); err != nil {
		t.Fatal(err)
	}
	return bytes.Equal(x, y)
}

func TestMigrationsOfSQLite(t *testing.T) {
	t.Parallel()
	all, err := migrations("sqlite")
	if err != nil {
		t.Fatal(err)
	}
	const schema = `SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name`
	begun := func(path string, steps []migration) *sqlite {
		w, err := openConn(path)
		if err != nil {
			t.Fatal(err)
		}
		e := &sqlite{path: path, w: w}
		if err := e.migrateTo(steps); err != nil {
			t.Fatal(err)
		}
		return e
	}
	fresh := begun(filepath.Join(t.TempDir(), "fresh.db"), all)
	want := dump(t, fresh.w, schema)
	if err := fresh.w.close(); err != nil {
		t.Error(err)
	}
	for version := 1; version < len(all); version++ {
		path := filepath.Join(t.TempDir(), "old.db")
		e := begun(path, all[:version])
		if err := e.w.c.Exec(rowsOf(t, "sqlite", version)); err != nil {
			t.Fatal(err)
		}
		if err := e.w.close(); err != nil {
			t.Fatal(err)
		}
		db, err := Open(t.Context(), Options{Path: path})
		if err != nil {
			t.Fatalf("from schema %d: %v", version, err)
		}
		old(t, db)
		renewed(t, db)
		err = db.read(t.Context(), func(c conn) error {
			if got := dump(t, c, schema); got != want {
				t.Errorf("from schema %d:\n%s\nfresh:\n%s", version, got, want)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
	newest := filepath.Join(t.TempDir(), "newer.db")
	e := begun(newest, append(slices.Clip(all), migration{"9999_later.sql", "CREATE TABLE later (n INTEGER)"}))
	if err := e.w.close(); err != nil {
		t.Error(err)
	}
	if _, err := Open(t.Context(), Options{Path: newest}); err == nil || !strings.Contains(err.Error(), "newer Dialproof") {
		t.Errorf("a newer file was opened: %v", err)
	}
}

// TestPostgresInside runs what looks inside and can share one server.
func TestPostgresInside(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	for name, test := range map[string]func(*testing.T, *pgtest.Server){"migrations": migrationsOfPostgres, "migrations at once": migrationsAtOnce, "copy of old rows": copyOfOldRows, "one bad apple": oneBadApple} {
		t.Run(name, func(t *testing.T) { t.Parallel(); test(t, server) })
	}
}

func migrationsOfPostgres(t *testing.T, server *pgtest.Server) {
	all, err := migrations("postgres")
	if err != nil {
		t.Fatal(err)
	}
	const schema = `SELECT concat_ws(' ', c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid), array_to_string(c.reloptions, ',')) AS line
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'i', 'p') ORDER BY line`
	at := func(dsn string, steps []migration) *postgres {
		o := Options{DSN: dsn}.defaults()
		cfg, err := poolConfig(o)
		if err != nil {
			t.Fatal(err)
		}
		return begunPostgres(t, o, cfg, steps)
	}
	fresh := at(server.Fresh(), all)
	want := dump(t, pgConn{t.Context(), fresh.pool}, schema)
	for version := 1; version <= len(all); version++ {
		dsn, rows := server.Fresh(), rowsOf(t, "postgres", version)
		e := at(dsn, all[:version])
		c, err := e.pool.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Conn().PgConn().Exec(t.Context(), rows).ReadAll(); err != nil {
			t.Fatal(err)
		}
		c.Release()
		db, err := Open(t.Context(), Options{DSN: dsn, Migrate: true})
		if err != nil {
			t.Fatalf("from schema %d: %v", version, err)
		}
		old(t, db)
		renewed(t, db)
		if got := dump(t, pgConn{t.Context(), e.pool}, schema); got != want {
			t.Errorf("from schema %d:\n%s\nfresh:\n%s", version, got, want)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
	later := server.Fresh()
	at(later, append(slices.Clip(all), migration{"9999_later.sql", "CREATE TABLE later (n integer)"}))
	if _, err := Open(t.Context(), Options{DSN: later}); err == nil || !strings.Contains(err.Error(), "newer Dialproof") {
		t.Errorf("a newer schema was opened: %v", err)
	}
	broken := append(slices.Clip(all), migration{"9999_broken.sql", "CREATE TABLE half (n integer); SELECT 1/0"})
	o := Options{DSN: server.Fresh(), Migrate: true}.defaults()
	e := at(o.DSN, all)
	if err := e.migrateTo(t.Context(), broken); err == nil || !strings.Contains(err.Error(), "9999_broken.sql") {
		t.Errorf("a broken migration: %v", err)
	}
	if got := dump(t, pgConn{t.Context(), e.pool}, schema); got != want {
		t.Errorf("a broken migration has left half of it:\n%s", got)
	}
}

// copyOfOldRows moves a file of SQLite whose rows are JSON.
func copyOfOldRows(t *testing.T, server *pgtest.Server) {
	path := filepath.Join(t.TempDir(), "old.db")
	db, err := Open(t.Context(), Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	e, _ := db.engine.(*sqlite)
	if err := e.w.c.Exec(rowsOf(t, "sqlite", 1)); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	to := Options{DSN: server.Fresh(), Migrate: true}
	for _, want := range []int{3, 0} { // the second copy finds nothing to do
		written := 0
		if err := Copy(t.Context(), path, to, CopyOptions{Tell: func(c Copied) { written += c.Written }}); err != nil || written != want {
			t.Fatalf("%d rows were written, want %d, %v", written, want, err)
		}
	}
	moved, err := Open(t.Context(), to)
	if err != nil {
		t.Fatal(err)
	}
	old(t, moved)
	renewed(t, moved)
	if err := moved.Close(); err != nil {
		t.Error(err)
	}
}

// migrationsAtOnce opens the same database from several nodes at once: a fresh one, and one of before with its rows.
func migrationsAtOnce(t *testing.T, server *pgtest.Server) {
	steps, err := migrations("postgres")
	if err != nil {
		t.Fatal(err)
	}
	for _, version := range []int{0, 2} {
		o := Options{DSN: server.Fresh(), Migrate: true, Lanes: 1, Connections: 4}
		cfg, err := poolConfig(o.defaults())
		if err != nil {
			t.Fatal(err)
		}
		e := begunPostgres(t, o, cfg, steps[:version])
		if version > 0 {
			if _, err := e.pool.Exec(t.Context(), rowsOf(t, "postgres", version), pgx.QueryExecModeSimpleProtocol); err != nil {
				t.Fatal(err)
			}
		}
		var all sync.WaitGroup
		for range 6 {
			all.Go(func() {
				db, err := Open(context.Background(), o)
				if err != nil {
					t.Error(err)
					return
				}
				if err := db.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if version > 0 {
			e.o, e.d = o.defaults(), newDialect("id", " FOR UPDATE", func(i id.ID) any { return i[:] })
			old(t, &DB{engine: e, d: e.d})
		}
	}
}

// begunPostgres answers an engine that has only migrated.
func begunPostgres(t *testing.T, o Options, cfg *pgxpool.Config, steps []migration) *postgres {
	t.Helper()
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	e := &postgres{o: o.defaults(), pool: pool}
	if err := e.migrateTo(t.Context(), steps); err != nil {
		t.Fatal(err)
	}
	return e
}

// oneBadApple puts a statement that PostgreSQL refuses among others: only its own caller is told so.
func oneBadApple(t *testing.T, server *pgtest.Server) {
	db, err := Open(t.Context(), Options{DSN: server.Fresh(), Migrate: true, Lanes: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var all sync.WaitGroup
	hold := make(chan struct{})
	all.Go(func() { // keeps the lane busy until the others wait together
		_ = db.do(t.Context(), verify.Needs{}, nil, func(*tx) error { <-hold; return nil })
	})
	for i := range 20 {
		all.Go(func() {
			err := db.do(t.Context(), verify.Needs{}, nil, func(x *tx) error {
				x.put(func(c conn) error {
					sql := `INSERT INTO versions (name, n) VALUES ($1, $2)`
					if i == 7 {
						sql = `INSERT INTO nowhere VALUES ($1, $2)`
					}
					_, err := c.exec(sql, fmt.Sprint("apple ", i), int64(i))
					return err
				})
				return nil
			})
			if bad := i == 7; bad != (err != nil) {
				t.Errorf("piece %d: %v", i, err)
			}
		})
	}
	close(hold)
	all.Wait()
	var n int64
	err = db.read(t.Context(), func(c conn) error {
		return c.query(`SELECT count(*) FROM versions WHERE name LIKE 'apple %'`, func(r row) error { n = r.Int(0); return nil })
	})
	if err != nil || n != 19 {
		t.Errorf("%d pieces were written, want 19 (%v)", n, err)
	}
}
