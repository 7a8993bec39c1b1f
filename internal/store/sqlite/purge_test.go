package sqlite

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/store"
	"github.com/dialproof/dialproof/internal/store/row"
	"github.com/dialproof/dialproof/internal/store/sqlite/journal"
	"github.com/dialproof/dialproof/internal/store/storetest"
	"github.com/dialproof/dialproof/internal/store/tables"
	"github.com/dialproof/dialproof/internal/verify"
)

// today is the day of the tests of retention, in Unix milliseconds.
const today = 20_000 * row.Day

// fill writes n numbers, of which every one in so many was verified 100 days ago and the others within 80 days, all
// over the table.
func fill(t *testing.T, path string, n, oneIn int) {
	t.Helper()
	e, err := Open(t.Context(), path, Options{}) // makes the tables
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	c, err := openConn(path)
	if err != nil {
		t.Fatal(err)
	}
	data := row.AppendNumber(nil, &verify.Number{Streak: 1})
	const part = 100_000
	for from := 0; from < n; from += part {
		_, err := c.Exec(
			`WITH RECURSIVE s (i) AS (SELECT $1 UNION ALL SELECT i + 1 FROM s WHERE i + 1 < $2) INSERT INTO numbers (key,
				data, touched)
			SELECT unhex(printf('%016x%016x', i << 39, i)), $3, $4 - (CASE WHEN i % $5 = 0 THEN 100 ELSE i * 7919 % 80 END)
				* $6 FROM s`,
			int64(from),
			int64(min(from+part, n)),
			data,
			int64(today),
			int64(oneIn),
			int64(row.Day),
		)
		if err == nil {
			err = c.c.Exec("PRAGMA wal_checkpoint(TRUNCATE)")
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := c.close(); err != nil {
		t.Fatal(err)
	}
}

func numbersIn(t *testing.T, c tables.Conn) (n int) {
	t.Helper()
	if err := c.Query(`SELECT count(*) FROM numbers`,
		func(r tables.Row) error { n = int(r.Int(0)); return nil }); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestRetention purges 1,000 of very many numbers, and then all of them, in steps.
func TestRetention(t *testing.T) {
	t.Parallel()
	n, soak := 40_000, os.Getenv("DIALPROOF_SOAK") != ""
	if soak {
		n = 10_000_000
	}
	path := filepath.Join(t.TempDir(), "numbers.db")
	fill(t, path, n, n/1_000)
	e, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := &storetest.Steps{}
	db := store.New(e, s)
	defer db.Close()
	s.Since()
	old := time.UnixMilli(today - 90*row.Day)
	purged, err := db.Purge(t.Context(), store.PurgeNumbers, old)
	count, sum, longest := s.Since()
	if err != nil || purged != 1_000 || count != 1_000/store.PurgeStep+1 {
		t.Errorf("purged %d of 1,000 numbers in %d steps, %v", purged, count, err)
	}
	t.Logf("1,000 of %d numbers are due: %d steps, %s of database time, the longest %s", n, count, sum, longest)
	if soak && sum > 100*time.Millisecond {
		t.Errorf("1,000 numbers took %s", sum)
	}
	// All are due. It is broken off and goes on where it was.
	ctx, cancel := context.WithCancel(t.Context())
	s.EndAt(10, cancel)
	all := time.UnixMilli(today + 30*row.Day)
	purged, err = db.Purge(ctx, store.PurgeNumbers, all)
	if err == nil || purged != 10*store.PurgeStep || numbersIn(t, e.w) != n-1_000-purged {
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
	if soak && (err != nil || longest > 200*time.Millisecond || numbersIn(t, e.w) > 0) {
		t.Errorf("the longest step took %s, %v", longest, err)
	}
	if !soak && purged != most*store.PurgeStep {
		t.Errorf("purged %d in %d steps", purged, most)
	}
}

// TestPurgePlans: what has ended is found by an index, and dropped by its key.
func TestPurgePlans(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "plans.db")
	fill(t, path, 1, 1)
	c, err := openConn(path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	plan := func(sql, want string, args ...any) {
		t.Helper()
		var lines []string
		if err := c.Query("EXPLAIN QUERY PLAN "+sql,
			func(r tables.Row) error { lines = append(lines, string(r.Raw(3))); return nil }, args...); err != nil {
			t.Fatal(err)
		}
		if text := strings.Join(lines, "; "); !strings.Contains(text, want) || strings.Contains(text, "SCAN") ||
			strings.Contains(text, "B-TREE") {
			t.Errorf("%s\nis planned as %s, want %s", sql, text, want)
		}
	}
	for kind, index := range map[store.Purged]string{
		store.PurgeNumbers: "numbers_by_touched", store.PurgeLimits: "limits_by_end", store.PurgeReplays: "replays_by_end",
		store.PurgeSent: "sent_by_end",
	} {
		p, ok := purgedOf(kind)
		if !ok {
			t.Fatal(kind)
		}
		plan(p.due, index, int64(1))
		plan(p.drop, "PRIMARY KEY", []byte{1})
	}
}

// TestPurgePassesOver: numbers that have ended by what their table knows, and have been verified since, do not stand in
// the way of the others.
func TestPurgePassesOver(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "waiting.db")
	fill(t, path, 600, 1)
	e, err := Open(t.Context(), path, Options{Journal: journal.Options{}})
	if err != nil {
		t.Fatal(err)
	}
	db := store.Direct(e)
	defer db.Close()
	var back []verify.NumberKey // the first in the order in which they are purged
	if err := e.w.Query(`SELECT key FROM numbers ORDER BY touched LIMIT 300`,
		func(r tables.Row) error { back = append(back, verify.NumberKey(r.Raw(0))); return nil }); err != nil {
		t.Fatal(err)
	}
	now := time.UnixMilli(today)
	if err := db.Do(t.Context(), verify.Needs{}, func(tx verify.Tx) error {
		for _, k := range back {
			n, err := tx.Number(k)
			if err != nil {
				return err
			}
			n.Head = id.At(time.UnixMilli(today))
			tx.PutNumber(n)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if n, err := db.Purge(t.Context(), store.PurgeNumbers, now.Add(-90*24*time.Hour)); err != nil || n != 300 {
		t.Errorf("purged %d numbers, %v, want 300", n, err)
	}
	for _, k := range back {
		if n, err := db.NumberRow(t.Context(), k); err != nil || n == nil {
			t.Fatal(fmt.Errorf("number %x, which has come back, is gone: %w", k, err))
		}
	}
}
