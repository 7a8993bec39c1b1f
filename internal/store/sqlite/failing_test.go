package sqlite

import (
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/queue"
	"github.com/dialproof/dialproof/internal/store"
	"github.com/dialproof/dialproof/internal/store/sqlite/journal"
	"github.com/dialproof/dialproof/internal/store/storetest"
	"github.com/dialproof/dialproof/internal/verify"
)

// failingAt returns a store whose commits fail at their end, when all has been written, while fails is set.
func failingAt(t *testing.T, o journal.Options) (db *store.DB, fails *atomic.Bool) {
	t.Helper()
	e, err := Open(t.Context(), filepath.Join(t.TempDir(), "failing.db"), Options{Journal: o})
	if err != nil {
		t.Fatal(err)
	}
	fails = &atomic.Bool{}
	e.w.c.CommitHook(func() bool { return !fails.Load() })
	return store.New(e, nil), fails
}

// TestFailedCommits fails commits of every kind of work, with a journal that is compacted once the store is calm, and
// with one that is compacted in every commit.
func TestFailedCommits(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]journal.Options{"compacted later": {},
		"compacted in every commit": {Limit: 1, Step: 900}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.RunFailedCommits(t, func(t *testing.T) (storetest.FailingStore, func(bool)) {
				t.Helper()
				db, fails := failingAt(t, o)
				t.Cleanup(func() {
					if err := db.Close(); err != nil {
						t.Error(err)
					}
				})
				return db, fails.Store
			})
		})
	}
}

// TestFailedIdleCompaction: when the commit fails that compacts because nobody has asked for anything, it is made
// again, and jobs are claimed as before.
func TestFailedIdleCompaction(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db, fails := failingAt(t, journal.Options{})
		defer db.Close()
		ids := id.NewSource(id.ID{})
		born := func() {
			t.Helper()
			j := queue.Job{ID: ids.New(time.Now()), Kind: "k", Due: time.Now()}
			if err := db.Do(t.Context(), verify.Needs{}, func(tx verify.Tx) error { tx.PutJob(j); return nil }); err != nil {
				t.Fatal(err)
			}
		}
		born()
		born()
		fails.Store(true)
		time.Sleep(3 * time.Second) // of the bubble's clock
		synctest.Wait()
		fails.Store(false)
		if c, ok := db.Reader.(store.Compacter); !ok || !c.Behind() {
			t.Error("a compaction whose commit failed is taken for done")
		}
		born()
		if jobs, err := db.Claim(t.Context(), time.Now(), "k", 10, time.Minute); err != nil || len(jobs) != 3 {
			t.Errorf("claimed %d of 3 jobs, %v", len(jobs), err)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if c, ok := db.Reader.(store.Compacter); !ok || c.Behind() {
			t.Error("it is not compacted afterwards")
		}
		if jobs, err := db.Claim(t.Context(), time.Now().Add(time.Minute), "k", 10, time.Minute); err != nil ||
			len(jobs) != 3 {
			t.Errorf("claimed %d of 3 jobs of the table, %v", len(jobs), err)
		}
	})
}
