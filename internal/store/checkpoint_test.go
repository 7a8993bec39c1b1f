package store

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/dialproof/dialproof/internal/id"
)

// TestLogIsBounded: however much is written without a pause, the log begins anew, and everything is in the file in the end.
func TestLogIsBounded(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log.db")
	e, err := openSQLite(path, false)
	if err != nil {
		t.Fatal(err)
	}
	e.log.at, e.log.next = 500, 500
	value := make([]byte, 3000) // a page of its own
	const rounds, rows = 100, 50
	most := int64(0)
	for round := range rounds {
		err := e.commit(t.Context(), 0, []*op{{run: func(x *tx) error {
			for i := range rows {
				x.PutReplay([32]byte{byte(round), byte(round >> 8), byte(i)}, [32]byte{}, value, (id.ID{}).Time())
			}
			return nil
		}}})
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
	if err := e.close(); err != nil {
		t.Fatal(err)
	}
	if err := inspect(path); err != nil {
		t.Error(err)
	}
	again, err := openSQLite(path, false)
	if err != nil {
		t.Fatal(err)
	}
	n := int64(0)
	if err := again.w.query("SELECT count(*) FROM replays", func(r row) error { n = r.Int(0); return nil }); err != nil || n != rounds*rows {
		t.Errorf("%d rows, wanted %d: %v", n, rounds*rows, err)
	}
	if err := again.close(); err != nil {
		t.Error(err)
	}
}
