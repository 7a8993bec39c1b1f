package store_test

import (
	"path/filepath"
	"testing"

	"github.com/dialproof/dialproof/internal/store"
	"github.com/dialproof/dialproof/internal/store/storetest"
	"github.com/dialproof/dialproof/internal/verify"
)

func TestSQLite(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) storetest.Store {
		t.Helper()
		db, err := store.Open(t.Context(), store.Options{Path: filepath.Join(t.TempDir(), "dialproof.db")})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
		return db
	})
}

// TestRowsInMemory: the rows that a store keeps between batches are never older than the file: not after another process
// has written, and not after a batch that failed.
func TestRowsInMemory(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "dialproof.db")
	var dbs [2]*store.DB
	for i := range dbs {
		db, err := store.Open(t.Context(), store.Options{Path: path})
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
