package sqlite

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/store"
	"github.com/dialproof/dialproof/internal/store/tables"
	"github.com/dialproof/dialproof/internal/verify"
)

// TestLogIsBounded: however much is written without a pause, the log starts over, and everything is in the file in the
// end.
func TestLogIsBounded(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log.db")
	e, err := Open(t.Context(), path, Options{CheckpointPages: 500})
	if err != nil {
		t.Fatal(err)
	}
	db := store.Direct(e)
	value := make([]byte, 3000) // a page of its own
	const rounds, rows = 100, 50
	most := int64(0)
	for round := range rounds {
		err := db.Do(t.Context(), verify.Needs{}, func(x verify.Tx) error {
			for i := range rows {
				x.PutReplay([32]byte{byte(round), byte(round >> 8), byte(i)}, [32]byte{}, value, (id.ID{}).Time())
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(path + "-wal"); err == nil {
			most = max(most, info.Size())
		}
	}
	if most < 500*4096 || most > 2500*4096 {
		t.Errorf("the log grew to %d pages", most>>12)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if err := inspect(path); err != nil {
		t.Error(err)
	}
	again, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	n := int64(0)
	if err := again.w.Query("SELECT count(*) FROM replays",
		func(r tables.Row) error { n = r.Int(0); return nil }); err != nil || n != rounds*rows {
		t.Errorf("%d rows, wanted %d: %v", n, rounds*rows, err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}
