package store_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/deliver"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/queue"
	"github.com/dialproof/dialproof/internal/store"
	"github.com/dialproof/dialproof/internal/store/storetest"
	"github.com/dialproof/dialproof/internal/verify"
)

func TestSQLite(t *testing.T) {
	t.Parallel()
	fresh := func(t *testing.T) *store.DB {
		t.Helper()
		return opened(t, store.Options{Path: filepath.Join(t.TempDir(), "dialproof.db")})
	}
	storetest.Run(t, func(t *testing.T) storetest.Store { return fresh(t) })
	storetest.RunEvents(t, func(t *testing.T) storetest.EventStore { return fresh(t) })
}

// TestRowsInMemory: the rows that a store keeps between batches are never older than the file: not after another process
// has written, and not after a batch that failed.
func TestRowsInMemory(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "dialproof.db")
	var dbs [2]*store.DB
	for i := range dbs {
		db, err := store.Open(t.Context(), store.Options{Path: path, Guest: i == 1})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		dbs[i] = db
	}
	key := verify.NumberKey{1}
	// Each adds one to what it reads, in turn: a row that is not the newest loses an addition.
	const turns = 40
	for i := range turns {
		if err := dbs[i%3%2].Do(t.Context(), verify.Needs{Number: key}, func(tx verify.Tx) error {
			n, err := tx.Number(key)
			if err != nil {
				return err
			}
			n.Streak++
			tx.PutNumber(n)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	for _, db := range dbs {
		if n, err := db.NumberRow(t.Context(), key); err != nil || n == nil || n.Streak != turns {
			t.Errorf("%+v, %v", n, err)
		}
	}
}

// TestManyRows: more rows than are kept in memory are all found again.
func TestManyRows(t *testing.T) {
	t.Parallel()
	db, err := store.Open(t.Context(), store.Options{Path: filepath.Join(t.TempDir(), "dialproof.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	const rows = 20_000
	add := func(from int, by int) {
		if err := db.Do(t.Context(), verify.Needs{}, func(tx verify.Tx) error {
			for i := from; i < from+1000; i++ {
				n, err := tx.Number(verify.NumberKey{byte(i), byte(i >> 8), byte(i >> 16), 1})
				if err != nil {
					return err
				}
				n.Streak += by
				tx.PutNumber(n)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	for round := 1; round <= 3; round++ {
		for from := 0; from < rows; from += 1000 {
			add(from, round)
		}
	}
	for i := 0; i < rows; i += 997 {
		if n, err := db.NumberRow(t.Context(), verify.NumberKey{byte(i), byte(i >> 8), byte(i >> 16), 1}); err != nil || n == nil || n.Streak != 6 {
			t.Fatalf("row %d: %+v, %v", i, n, err)
		}
	}
}

// TestOwner: one process at a time runs the jobs of a file; another is told so, and a guest may still look.
func TestOwner(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "dialproof.db")
	first, err := store.Open(t.Context(), store.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	guest, err := store.Open(t.Context(), store.Options{Path: path, Guest: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := guest.Close(); err != nil {
		t.Error(err)
	}
	time.AfterFunc(100*time.Millisecond, func() { first.Close() })
	second, err := store.Open(t.Context(), store.Options{Path: path}) // it waits for the first to end
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
}

// TestYoungJobs: a job that is born with its verification has no row at first. It is counted, given back, claimed when its
// lease has run out, and found again after a crash.
func TestYoungJobs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "dialproof.db")
	db, err := store.Open(t.Context(), store.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ids, now := id.NewSource(id.ID{}), time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)
	born := func() queue.Job {
		v := &verify.Verification{ID: ids.New(now), Status: verify.Pending, Expires: now.Add(5 * time.Minute)}
		j := queue.Job{ID: ids.New(now), Kind: verify.JobKind, Due: now.Add(30 * time.Second), Attempt: 1, Ref: v.ID}
		v.Deliveries = []channel.Delivery{{ID: j.ID, Channel: channel.SMS, Status: channel.Sending, Attempt: 1}}
		if err := db.Do(t.Context(), verify.Needs{Verification: v.ID}, func(tx verify.Tx) error {
			tx.PutVerification(v, true)
			tx.PutJob(j)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return j
	}
	claimed := func(db *store.DB, at time.Time, want ...queue.Job) {
		t.Helper()
		got, err := db.Claim(t.Context(), at, verify.JobKind, 10, 30*time.Second)
		if err != nil || len(got) != len(want) {
			t.Fatalf("claimed %d jobs, want %d (%v)", len(got), len(want), err)
		}
		for i := range want {
			if got[i].ID != want[i].ID || got[i].Ref != want[i].Ref || got[i].Attempt != 2 {
				t.Errorf("claimed %+v, want %+v", got[i], want[i])
			}
		}
	}
	_, done, back := born(), born(), born()
	if depth, err := db.Depth(t.Context(), now); depth.Open != 3 || err != nil {
		t.Errorf("depth %d, %v", depth.Open, err)
	}
	if err := db.Update(t.Context(), done.Ref, done.ID, func(tx deliver.Tx) error {
		if j, err := tx.Job(done.ID); err != nil || j == nil || j.Attempt != 1 {
			t.Errorf("%+v, %v", j, err)
		}
		p, err := tx.Parcel(done.Ref)
		if err == nil {
			p.Deliveries[0].Status = channel.Taken
			tx.PutParcel(p)
			tx.DropJob(done.ID)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := db.Return(t.Context(), now, []queue.Job{back}); err != nil {
		t.Fatal(err)
	}

	// The files as a crash leaves them.
	copied := filepath.Join(dir, "crashed.db")
	for _, end := range []string{"", "-wal"} {
		data, err := os.ReadFile(path + end)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(copied+end, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	crashed, err := store.Open(t.Context(), store.Options{Path: copied})
	if err != nil {
		t.Fatal(err)
	}
	defer crashed.Close()
	if depth, err := crashed.Depth(t.Context(), now); depth.Open != 2 || err != nil {
		t.Errorf("after the crash: depth %d, %v", depth.Open, err)
	}

	claimed(db, now, back)
	claimed(db, now.Add(29*time.Second))
	claimed(db, now.Add(30*time.Second-time.Millisecond))
	if got, err := db.Claim(t.Context(), now.Add(30*time.Second), verify.JobKind, 10, 30*time.Second); err != nil || len(got) != 2 {
		t.Errorf("claimed %v, %v", got, err)
	}
}

func TestSQLiteTurns(t *testing.T) {
	t.Parallel()
	storetest.RunTurns(t, []storetest.Turns{opened(t, store.Options{Path: filepath.Join(t.TempDir(), "dialproof.db")})})
}
