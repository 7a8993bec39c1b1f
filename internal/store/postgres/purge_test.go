package postgres

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dialproof/dialproof/internal/pgtest"
	"github.com/dialproof/dialproof/internal/store"
	"github.com/dialproof/dialproof/internal/store/row"
	"github.com/dialproof/dialproof/internal/store/storetest"
	"github.com/dialproof/dialproof/internal/verify"
)

// today is the day of the tests of retention, in Unix milliseconds.
const today = 20_000 * row.Day

// filled returns a store, and a connection to its tables, with n numbers, of which every one in so many was verified
// 100 days ago and the others within 80 days, all over the table.
func filled(t *testing.T, server *pgtest.Server, s *storetest.Steps, n, oneIn int) (*store.DB, *pgx.Conn) {
	t.Helper()
	dsn := server.Fresh()
	e, err := Open(t.Context(), Options{DSN: dsn, Migrate: true, Lanes: 1, Connections: 4})
	if err != nil {
		t.Fatal(err)
	}
	db := store.New(e, s)
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	c, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(context.Background()) })
	data := row.AppendNumber(nil, &verify.Number{Streak: 1})
	exec := func(sql string) {
		t.Helper()
		if _, err := c.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	exec(`ALTER TABLE numbers SET (autovacuum_enabled = off)`) // the worst case: what is removed stays in the way
	exec(`DROP INDEX numbers_by_touched`)
	if _, err := c.Exec(t.Context(), `INSERT INTO numbers (key, data, touched)
		SELECT decode(lpad(to_hex(i::bigint << 39), 16, '0') || lpad(to_hex(i), 16, '0'), 'hex'), $1, $2 - (CASE WHEN i %
			$3 = 0 THEN 100 ELSE i::bigint * 7919 % 80 END) * $4
		FROM generate_series(0, $5::int - 1) AS i`, data, int64(today), int64(oneIn), int64(row.Day), n); err != nil {
		t.Fatal(err)
	}
	exec(`CREATE INDEX numbers_by_touched ON numbers (touched)`)
	exec(`VACUUM ANALYZE numbers`)
	exec(`CHECKPOINT`)
	s.Since()
	return db, c
}

func numbersIn(t *testing.T, c *pgx.Conn) (n int) {
	t.Helper()
	if err := c.QueryRow(t.Context(), `SELECT count(*) FROM numbers`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// manyNumbers purges 1,000 of very many numbers, and then all of them, in steps.
func manyNumbers(t *testing.T, server *pgtest.Server) {
	n, soak := 40_000, os.Getenv("DIALPROOF_SOAK") != ""
	if soak {
		n = 10_000_000
	}
	s := &storetest.Steps{}
	db, c := filled(t, server, s, n, n/1_000)
	plans(t, c)
	used := server.CPU()
	purged, err := db.Purge(t.Context(), store.PurgeNumbers, time.UnixMilli(today-90*row.Day))
	used = server.CPU() - used
	count, sum, longest := s.Since()
	if err != nil || purged != 1_000 || count != 1_000/store.PurgeStep+1 {
		t.Errorf("purged %d of 1,000 numbers in %d steps, %v", purged, count, err)
	}
	t.Logf("1,000 of %d numbers are due: %d steps, %s of database time, %s of the server's CPU, the longest %s", n, count,
		sum, used, longest)
	if soak && min(sum, used) > 100*time.Millisecond { // on a busy machine the time is that of others
		t.Errorf("1,000 numbers took %s", sum)
	}
	// All are due. It is broken off and goes on where it was.
	all := time.UnixMilli(today + 30*row.Day)
	ctx, cancel := context.WithCancel(t.Context())
	s.EndAt(10, cancel)
	purged, err = db.Purge(ctx, store.PurgeNumbers, all)
	if err == nil || purged != 10*store.PurgeStep || numbersIn(t, c) != n-1_000-purged {
		t.Errorf("purged %d numbers until it was broken off, %v", purged, err)
	}
	s.Since()
	most := 40
	if soak {
		most = -1
	}
	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	s.EndAt(most, cancel)
	purged, err = db.Purge(ctx, store.PurgeNumbers, all)
	count, sum, longest = s.Since()
	t.Logf("all %d are due: %d purged in %d steps, %s of database time, the longest %s, %v", n, purged, count, sum,
		longest, err)
	if soak && (err != nil || longest > 200*time.Millisecond || numbersIn(t, c) > 0) {
		t.Errorf("the longest step took %s, %v", longest, err)
	}
	if !soak && purged != most*store.PurgeStep {
		t.Errorf("purged %d in %d steps", purged, most)
	}
}

// plans holds that what has ended is found by an index, and dropped by its key, also when the server plans for
// arguments that it does not know.
func plans(t *testing.T, c *pgx.Conn) {
	t.Helper()
	for _, sql := range []string{
		`INSERT INTO limits (key, tat, hour) SELECT decode(lpad(to_hex(i), 32, '0'), 'hex'), i::bigint * 60000, i / 60 ` +
			`FROM generate_series(1, 20000) AS i`,
		`INSERT INTO replays (key, fingerprint, sealed, until) SELECT decode(lpad(to_hex(i), 64, '0'), 'hex'), '', '', i ` +
			`FROM generate_series(1, 20000) AS i`,
		`INSERT INTO sent (key, ref, delivery, until) SELECT decode(lpad(to_hex(i), 32, '0'), 'hex'), '', '', i ` +
			`FROM generate_series(1, 20000) AS i`,
		`ANALYZE`, `SET plan_cache_mode = force_generic_plan`,
	} {
		if _, err := c.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range []struct{ sql, args, index, table string }{
		{sqlPurgeNumbers, "0, 0, 200, '{}'", "numbers_by_touched", "numbers"},
		{sqlPurgeLimits, "0, 5, 200, '{}', 300000", "limits_by_hour", "limits"},
		{sqlPurgeReplays, "0, 100, 200", "replays_by_end", "replays"},
		{sqlPurgeSent, "0, 100, 200", "sent_by_end", "sent"},
	} {
		if _, err := c.Exec(t.Context(), "PREPARE purge AS "+p.sql); err != nil {
			t.Fatal(err)
		}
		rows, err := c.Query(t.Context(), "EXPLAIN EXECUTE purge ("+p.args+")", pgx.QueryExecModeSimpleProtocol)
		if err != nil {
			t.Fatal(err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		if text := strings.Join(lines, "\n"); !strings.Contains(text, p.index) || !strings.Contains(text, p.table+"_pkey") ||
			strings.Contains(text, "Seq Scan") {
			t.Errorf("%s\nis planned as\n%s", p.sql, text)
		}
		if _, err := c.Exec(t.Context(), "DEALLOCATE purge"); err != nil {
			t.Fatal(err)
		}
	}
}
