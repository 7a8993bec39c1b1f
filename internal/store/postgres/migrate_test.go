package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/dialproof/dialproof/internal/pgtest"
	"github.com/dialproof/dialproof/internal/store"
	"github.com/dialproof/dialproof/internal/store/storetest"
	"github.com/dialproof/dialproof/internal/store/tables"
	"github.com/dialproof/dialproof/internal/verify"
)

// TestPostgresInside runs what looks inside and can share one server.
func TestPostgresInside(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	for name, test := range map[string]func(*testing.T, *pgtest.Server){"migrations": migrationsOfPostgres,
		"migrations at once": migrationsAtOnce, "one bad apple": oneBadApple,
		"many numbers": manyNumbers,
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); test(t, server) })
	}
}

func migrationsOfPostgres(t *testing.T, server *pgtest.Server) {
	all, err := migrations()
	if err != nil {
		t.Fatal(err)
	}
	const schema = `SELECT concat_ws(' ', c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
		pg_get_expr(d.adbin, d.adrelid), array_to_string(c.reloptions, ',')) AS line
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid AND
  a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'i', 'p') ORDER BY line`
	at := func(dsn string, steps []migration) *Engine {
		o := Options{DSN: dsn}.defaults()
		cfg, err := poolConfig(o)
		if err != nil {
			t.Fatal(err)
		}
		return begunPostgres(t, o, cfg, steps)
	}
	fresh := at(server.Fresh(), all)
	want := storetest.Dump(t, pgConn{t.Context(), fresh.pool}, schema)
	for version := 1; version <= len(all); version++ {
		dsn, rows := server.Fresh(), storetest.OldRows(t, version)
		e := at(dsn, all[:version])
		c, err := e.pool.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Conn().PgConn().Exec(t.Context(), rows).ReadAll(); err != nil {
			t.Fatal(err)
		}
		c.Release()
		opened, err := Open(t.Context(), Options{DSN: dsn, Migrate: true})
		if err != nil {
			t.Fatalf("from schema %d: %v", version, err)
		}
		db := store.New(opened, nil)
		storetest.Old(t, db)
		storetest.Renewed(t, db)
		storetest.NoJSON(t, pgConn{t.Context(), e.pool})
		if got := storetest.Dump(t, pgConn{t.Context(), e.pool}, schema); got != want {
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
	if got := storetest.Dump(t, pgConn{t.Context(), e.pool}, schema); got != want {
		t.Errorf("a broken migration has left half of it:\n%s", got)
	}
}

// migrationsAtOnce opens the same database from several nodes at once: a fresh one, and one of before with its rows.
func migrationsAtOnce(t *testing.T, server *pgtest.Server) {
	steps, err := migrations()
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
			if _, err := e.pool.Exec(t.Context(), storetest.OldRows(t, version), pgx.QueryExecModeSimpleProtocol); err != nil {
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
			opened, err := Open(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			db := store.New(opened, nil)
			storetest.Old(t, db)
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// begunPostgres returns an engine that has only migrated.
func begunPostgres(t *testing.T, o Options, cfg *pgxpool.Config, steps []migration) *Engine {
	t.Helper()
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	e := &Engine{o: o.defaults(), pool: pool}
	if err := e.migrateTo(t.Context(), steps); err != nil {
		t.Fatal(err)
	}
	return e
}

// oneBadApple puts a statement that PostgreSQL refuses among others: only its own caller is told so.
func oneBadApple(t *testing.T, server *pgtest.Server) {
	e, err := Open(t.Context(), Options{DSN: server.Fresh(), Migrate: true, Lanes: 1})
	if err != nil {
		t.Fatal(err)
	}
	db := store.New(e, nil)
	defer db.Close()
	var all sync.WaitGroup
	hold := make(chan struct{})
	all.Go(func() { // keeps the lane busy until the others wait together
		_ = db.Do(t.Context(), verify.Needs{}, func(verify.Tx) error { <-hold; return nil })
	})
	for i := range 20 {
		all.Go(func() {
			name := fmt.Sprint("apple ", i)
			if i == 7 {
				name = "no text of PostgreSQL has this: \x00"
			}
			if err := db.SetMark(t.Context(), name, int64(i)); (i == 7) != (err != nil) {
				t.Errorf("piece %d: %v", i, err)
			}
		})
	}
	close(hold)
	all.Wait()
	var n int64
	err = e.read(t.Context(), func(c tables.Conn) error {
		return c.Query(`SELECT count(*) FROM versions WHERE name LIKE 'mark apple %'`,
			func(r tables.Row) error { n = r.Int(0); return nil })
	})
	if err != nil || n != 19 {
		t.Errorf("%d pieces were written, want 19 (%v)", n, err)
	}
}
