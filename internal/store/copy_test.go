package store_test

import (
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/deliver"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/pgtest"
	"github.com/dialproof/dialproof/internal/queue"
	"github.com/dialproof/dialproof/internal/store"
	"github.com/dialproof/dialproof/internal/store/storetest"
)

// copying moves a SQLite store to PostgreSQL while it is used: a first copy under load, and a final one.
func copying(t *testing.T, server *pgtest.Server) {
	path := filepath.Join(t.TempDir(), "dialproof.db")
	db := opened(t, store.Options{Path: path})
	if err := db.PutApplication(t.Context(), application.Application{ID: id.ID{1}, Name: "shop"}); err != nil {
		t.Fatal(err)
	}
	load := storetest.NewLoad(t, db)
	load.Run(t, 600, 8) // more than one step
	to := store.Options{DSN: server.Fresh(), Migrate: true, Lanes: 1, Connections: 4}
	var all sync.WaitGroup
	all.Go(func() { load.Run(t, 200, 4) })
	sum := func(final bool) (rows, written, removed int) {
		t.Helper()
		err := store.Copy(t.Context(), path, to, store.CopyOptions{Final: final, Tell: func(c store.Copied) {
			rows, written, removed = rows+c.Rows, written+c.Written, removed+c.Removed
		}})
		if err != nil {
			t.Fatal(err)
		}
		return rows, written, removed
	}
	if rows, written, _ := sum(false); rows < 1200 || written != rows { // the numbers and verifications at least
		t.Errorf("the first copy wrote %d of %d rows", written, rows)
	}
	all.Wait()
	claimed := must(db.Claim(t.Context(), db.Now().Add(365*24*time.Hour), 100, time.Hour))(t)
	for _, j := range claimed {
		if err := db.Update(t.Context(), j.Ref, j.ID, sentOut(j)); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Copy(t.Context(), path, to, store.CopyOptions{Final: true}); err == nil {
		t.Error("a final copy under a running server")
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	rows, written, removed := sum(true)
	if rows < 2200 || written < 300 || removed > 100 {
		t.Errorf("the final copy: %d rows, %d written, %d removed", rows, written, removed)
	}
	if again, err := store.Open(t.Context(), store.Options{Path: path}); !errors.Is(err, store.ErrMoved) {
		t.Errorf("the old store was opened: %v, %v", again, err)
	}
	moved := opened(t, to)
	load.JudgeRows(t, moved)
	if open, _, err := moved.Depth(t.Context(), moved.Now()); open != 700 || err != nil {
		t.Errorf("%d jobs, want 700, %v", open, err)
	}
	if apps, err := moved.Applications(t.Context()); err != nil || len(apps) != 1 || apps[0].Name != "shop" {
		t.Errorf("applications %+v, %v", apps, err)
	}
	if err := store.Copy(t.Context(), path, to, store.CopyOptions{}); !errors.Is(err, store.ErrRunning) {
		t.Errorf("a copy over a running node: %v", err)
	}
	if err := store.Uncopy(path); err != nil {
		t.Fatal(err)
	}
	load.JudgeRows(t, opened(t, store.Options{Path: path}))
}

// must answers a value, or fails the test.
func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// sentOut does what deliver does when a provider has taken a message.
func sentOut(j queue.Job) func(deliver.Tx) error {
	return func(tx deliver.Tx) error {
		p, err := tx.Parcel(j.Ref)
		if err != nil {
			return err
		}
		p.Deliveries[0].Status = channel.Taken
		tx.PutParcel(p)
		tx.DropJob(j.ID)
		return nil
	}
}
