package sqlite

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/store"
	"github.com/dialproof/dialproof/internal/store/row"
	"github.com/dialproof/dialproof/internal/store/row/rowtest"
	"github.com/dialproof/dialproof/internal/store/sqlite/journal"
	"github.com/dialproof/dialproof/internal/store/storetest"
	"github.com/dialproof/dialproof/internal/verify"
)

// TestMigrations brings the rows of every earlier version up to date, in steps that a kill does not hurt, and holds the
// result against a fresh file. Nobody but who may migrates, and what is newer is refused.
func TestMigrations(t *testing.T) {
	t.Parallel()
	all, err := migrations()
	if err != nil {
		t.Fatal(err)
	}
	const schema = `SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name`
	begun := func(path string, steps []migration) *conn {
		c, err := openConn(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := migrateTo(c, steps, true, nil); err != nil {
			t.Fatal(err)
		}
		return c
	}
	fresh := begun(filepath.Join(t.TempDir(), "fresh.db"), all)
	want := storetest.Dump(t, fresh, schema)
	if err := fresh.close(); err != nil {
		t.Error(err)
	}
	for version := 1; version < len(all); version++ {
		path := filepath.Join(t.TempDir(), "old.db")
		c := begun(path, all[:version])
		if err := errors.Join(c.c.Exec(storetest.OldRows(t, version)), c.close()); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenGuest(path); !errors.Is(err, ErrSchema) || !strings.Contains(err.Error(), "dialproof migrate") {
			t.Errorf("a guest opened schema %d: %v", version, err)
		}
		e, err := Open(t.Context(), path, Options{Migrate: true})
		if err != nil {
			t.Fatalf("from schema %d: %v", version, err)
		}
		db := store.New(e, nil)
		storetest.Old(t, db)
		storetest.Renewed(t, db)
		if err := db.Close(); err != nil {
			t.Error(err)
		}
		after, err := openConn(path)
		if err != nil {
			t.Fatal(err)
		}
		storetest.NoJSON(t, after)
		if got := storetest.Dump(t, after, schema); got != want {
			t.Errorf("from schema %d:\n%s\nfresh:\n%s", version, got, want)
		}
		if err := after.close(); err != nil {
			t.Error(err)
		}
	}
	newest := filepath.Join(t.TempDir(), "newer.db")
	c := begun(newest, append(slices.Clip(all), migration{name: "9999_later.sql", text: "CREATE TABLE later (n INTEGER)"}))
	if err := c.close(); err != nil {
		t.Error(err)
	}
	if _, err := Open(t.Context(), newest, Options{Migrate: true}); !errors.Is(err, ErrSchema) ||
		!strings.Contains(err.Error(), "newer Dialproof") {
		t.Errorf("a newer file was opened: %v", err)
	}
}

// TestMigrationOfAJournal: what schema 4 had in its journal goes to the tables, newest change last, and a message that
// was on its way when the process died gets its job.
func TestMigrationOfAJournal(t *testing.T) {
	t.Parallel()
	all, err := migrations()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "old.db")
	c, err := openConn(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := migrateTo(c, all[:4], true, nil); err != nil {
		t.Fatal(err)
	}
	ids, now := id.NewSource(id.ID{}), time.Now()
	old, young := rowtest.Verification(), rowtest.Verification()
	for _, v := range []*verify.Verification{old, young} {
		v.ID, v.Status, v.Expires = ids.New(now), verify.Pending, now.Add(time.Minute)
		v.Deliveries = []channel.Delivery{{ID: ids.New(now), Status: channel.Sending, Attempt: 1}}
	}
	old.Deliveries[0].Status = channel.Sent
	number := rowtest.Number()
	number.Key = verify.NumberKey{7}
	put := func(page []byte, kind journal.Kind, key [16]byte, b []byte) []byte {
		page = append(append(page, byte(kind)), key[:]...)
		return append(binary4(page, len(b)), b...)
	}
	first := put(nil, verificationKind, old.ID, row.AppendVerification(nil, old))
	old.Attempts = 3
	second := put(nil, verificationKind, old.ID, row.AppendVerification(nil, old))
	second = put(second, verificationKind, young.ID, row.AppendVerification(nil, young))
	second = put(second, numberKind, number.Key, row.AppendNumberRow(nil, number))
	for i, page := range [][]byte{first, second} {
		if _, err := c.Exec(`INSERT INTO journal (seq, page) VALUES ($1, $2)`, int64(i+1), page); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.close(); err != nil {
		t.Fatal(err)
	}
	e, err := Open(t.Context(), path, Options{Migrate: true})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if v, err := e.Find(t.Context(), old.ID); err != nil || v == nil || v.Attempts != 3 {
		t.Errorf("the verification is %+v, %v", v, err)
	}
	if n, err := e.NumberRow(t.Context(), number.Key); err != nil || n == nil || n.Streak != number.Streak {
		t.Errorf("the number is %+v, %v", n, err)
	}
	jobs, err := store.Direct(e).Claim(t.Context(), time.Now(), verify.JobKind, 10, time.Minute)
	if err != nil || len(jobs) != 1 || jobs[0].ID != young.Deliveries[0].ID || jobs[0].Ref != young.ID ||
		jobs[0].Attempt != 2 {
		t.Errorf("the jobs are %+v, %v", jobs, err)
	}
}

func binary4(b []byte, n int) []byte { return append(b, byte(n>>24), byte(n>>16), byte(n>>8), byte(n)) }
