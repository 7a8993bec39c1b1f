package store_test

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dialproof/dialproof/internal/deliver"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/store"
	"github.com/dialproof/dialproof/internal/store/sqlite"
	"github.com/dialproof/dialproof/internal/verify"
)

// batches remembers how many pieces of work each commit had.
type batches struct {
	mu   sync.Mutex
	seen []int
}

func (b *batches) Committed(n int, _ time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seen = append(b.seen, n)
}
func (b *batches) Uncommitted(int, error) {}
func (b *batches) Retried()               {}

// TestWorkThatNobodyWaitsForLingers: what becomes of a delivery shares the commit of the next request, and is written
// without one soon.
func TestWorkThatNobodyWaitsForLingers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		seen := &batches{}
		e, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "linger.db"), sqlite.Options{})
		if err != nil {
			t.Fatal(err)
		}
		db := store.New(e, seen)
		defer db.Close()
		update := func(ctx context.Context) error {
			return db.Update(ctx, id.ID{1}, id.ID{2}, func(deliver.Tx) error { return nil })
		}
		var both sync.WaitGroup
		both.Go(func() {
			if err := update(t.Context()); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		if len(seen.seen) != 0 {
			t.Errorf("commits before somebody waits: %v", seen.seen)
		}
		begin := time.Now()
		if err := db.Do(t.Context(), verify.Needs{}, func(verify.Tx) error { return nil }); err != nil {
			t.Error(err)
		}
		both.Wait()
		if took := time.Since(begin); took != 0 || len(seen.seen) != 1 || seen.seen[0] != 2 {
			t.Errorf("a request that came then took %s, commits %v", took, seen.seen)
		}
		begin = time.Now()
		if err := update(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(begin); took <= 0 || took > 5*time.Millisecond {
			t.Errorf("alone it took %s", took)
		}
	})
}
