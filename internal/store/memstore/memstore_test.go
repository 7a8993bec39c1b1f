package memstore_test

import (
	"sync/atomic"
	"testing"

	"github.com/dialproof/dialproof/internal/store"
	"github.com/dialproof/dialproof/internal/store/memstore"
	"github.com/dialproof/dialproof/internal/store/storetest"
)

func opened(t *testing.T, d *memstore.Data, o memstore.Options) *store.DB {
	t.Helper()
	db := store.New(memstore.New(d, o), nil)
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// TestMemstore holds the engine against the suite of all engines.
func TestMemstore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) storetest.Store {
		t.Helper()
		return opened(t, memstore.NewData(), memstore.Options{})
	})
	storetest.RunEvents(t, func(t *testing.T) storetest.EventStore {
		t.Helper()
		return opened(t, memstore.NewData(), memstore.Options{})
	})
	storetest.RunTurns(t, []storetest.Turns{opened(t, memstore.NewData(), memstore.Options{})})
}

// TestConflicts runs the suites with transactions that are rolled back and run again, on one node and on several.
func TestConflicts(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	o := memstore.Options{
		Writers: 3,
		Fault:   func(string) memstore.Fault { return memstore.Fault{Conflicts: int(n.Add(1) % 3)} },
	}
	storetest.Run(t, func(t *testing.T) storetest.Store { t.Helper(); return opened(t, memstore.NewData(), o) })
	storetest.RunEvents(t, func(t *testing.T) storetest.EventStore { t.Helper(); return opened(t, memstore.NewData(), o) })
	storetest.RunNodes(t, func(t *testing.T, nodes int) (out []storetest.Store) {
		t.Helper()
		d := memstore.NewData()
		for range nodes {
			out = append(out, opened(t, d, o))
		}
		return out
	})
}

// TestFaults: what fails before or after its effect is answered as unavailable, and what was acknowledged is there.
func TestFaults(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	db := opened(t, memstore.NewData(), memstore.Options{Fault: func(what string) memstore.Fault {
		k := n.Add(1)
		return memstore.Fault{Before: what == "commit" && k%5 == 0, After: what == "commit" && k%7 == 0}
	}})
	load := storetest.NewLoad(t, db)
	load.Run(t, 200, 8)
	got := load.Outcomes()
	if got["start ok"] == 0 || got["start store_unavailable"] == 0 {
		t.Errorf("outcomes %v", got)
	}
	load.Judge(t, db)
}

// TestFailedCommits fails commits of every kind of work.
func TestFailedCommits(t *testing.T) {
	t.Parallel()
	storetest.RunFailedCommits(t, func(t *testing.T) (storetest.FailingStore, func(bool)) {
		t.Helper()
		var fails atomic.Bool
		db := opened(t, memstore.NewData(), memstore.Options{Fault: func(what string) memstore.Fault {
			return memstore.Fault{Before: what == "commit" && fails.Load()}
		}})
		return db, fails.Store
	})
}
