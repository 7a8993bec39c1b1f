package sqlite_test

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
	"github.com/dialproof/dialproof/internal/store/sqlite"
	"github.com/dialproof/dialproof/internal/store/storetest"
	"github.com/dialproof/dialproof/internal/verify"
)

// opened returns a store that is closed when the test ends.
func opened(t *testing.T, path string) *store.DB {
	t.Helper()
	e, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	db := store.New(e, nil)
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func fresh(t *testing.T) *store.DB {
	t.Helper()
	return opened(t, filepath.Join(t.TempDir(), "dialproof.db"))
}

func TestSQLite(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) storetest.Store { return fresh(t) })
	storetest.RunEvents(t, func(t *testing.T) storetest.EventStore { return fresh(t) })
}

func TestTurns(t *testing.T) {
	t.Parallel()
	storetest.RunTurns(t, []storetest.Turns{fresh(t)})
}

// TestManyRows: more rows than are kept in memory are all found again.
func TestManyRows(t *testing.T) {
	t.Parallel()
	db := fresh(t)
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
		if n, err := db.NumberRow(t.Context(), verify.NumberKey{byte(i), byte(i >> 8), byte(i >> 16), 1}); err != nil ||
			n == nil || n.Streak != 6 {
			t.Fatalf("row %d: %+v, %v", i, n, err)
		}
	}
}

// TestOwner: one process at a time owns a file; another is told so, and a guest may still look.
func TestOwner(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "dialproof.db")
	first, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	guest, err := sqlite.OpenGuest(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := guest.Close(); err != nil {
		t.Error(err)
	}
	time.AfterFunc(100*time.Millisecond, func() { first.Close() })
	second, err := sqlite.Open(t.Context(), path, sqlite.Options{}) // it waits for the first to end
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
}

// TestJobs: a job is durable from its birth. It is counted, given back, claimed when its lease has run out, and exactly
// what it was after a crash, but for the leases of the process that died: those are over.
func TestJobs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "dialproof.db")
	db := opened(t, path)
	ids, now := id.NewSource(id.ID{}), time.Now().Truncate(time.Millisecond).UTC()
	born := func() queue.Job {
		v := &verify.Verification{ID: ids.New(now), Status: verify.Pending, Expires: now.Add(5 * time.Minute)}
		j := queue.Job{
			ID:      ids.New(now),
			Kind:    verify.JobKind,
			Due:     now.Add(30 * time.Second),
			Attempt: 1,
			Ref:     v.ID,
			Leased:  true,
		}
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
	update := func(j queue.Job, f func(tx deliver.Tx, kept queue.Job)) {
		t.Helper()
		if err := db.Update(t.Context(), j.Ref, j.ID, func(tx deliver.Tx) error {
			kept, err := tx.Job(j.ID)
			if err != nil || kept == nil || kept.Attempt != 1 {
				t.Errorf("%+v, %v", kept, err)
				return err
			}
			f(tx, *kept)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	sending, done, back, later := born(), born(), born(), born()
	update(done, func(tx deliver.Tx, _ queue.Job) { tx.DropJob(done.ID) })
	update(later, func(tx deliver.Tx, kept queue.Job) {
		kept.Kind, kept.Due, kept.Leased = verify.NextKind, now.Add(25*time.Second), false
		tx.PutJob(kept)
	})
	if err := db.Return(t.Context(), now, []queue.Job{back}); err != nil {
		t.Fatal(err)
	}
	if d, err := db.Depth(t.Context(), now); d.Open != 3 || err != nil {
		t.Errorf("depth %+v, %v", d, err)
	}
	crashed := opened(t, crashedCopy(t, path))
	if d, err := crashed.Depth(t.Context(), now); d.Open != 3 || err != nil {
		t.Errorf("after the crash: depth %+v, %v", d, err)
	}
	claimed := func(db *store.DB, what, kind string, at time.Time, want ...queue.Job) {
		t.Helper()
		got, err := db.Claim(t.Context(), at, kind, 10, 30*time.Second)
		if err != nil || len(got) != len(want) {
			t.Fatalf("%s: claimed %d jobs, want %d (%v)", what, len(got), len(want), err)
		}
		for i := range want {
			if got[i].ID != want[i].ID || got[i].Ref != want[i].Ref || got[i].Attempt != 2 || !got[i].Leased {
				t.Errorf("%s: claimed %+v, want %+v", what, got[i], want[i])
			}
		}
	}
	claimed(db, "given back", verify.JobKind, now, back)
	claimed(db, "leased", verify.JobKind, now.Add(30*time.Second-time.Millisecond))
	claimed(db, "put off", verify.NextKind, now.Add(25*time.Second-time.Millisecond))
	claimed(db, "put off", verify.NextKind, now.Add(25*time.Second), later)
	soon := now.Add(10 * time.Second) // the crashed store was opened before
	claimed(crashed, "after the crash", verify.JobKind, soon, back, sending)
	claimed(crashed, "put off, after the crash", verify.NextKind, now.Add(25*time.Second-time.Millisecond))
	claimed(crashed, "put off, after the crash", verify.NextKind, now.Add(25*time.Second), later)
}

// crashedCopy returns a copy of a file as a crash leaves it.
func crashedCopy(t *testing.T, path string) string {
	t.Helper()
	copied := filepath.Join(t.TempDir(), "crashed.db")
	for _, end := range []string{"", "-wal"} {
		data, err := os.ReadFile(path + end)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(copied+end, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return copied
}
