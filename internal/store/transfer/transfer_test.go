package transfer_test

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
	"github.com/dialproof/dialproof/internal/store/postgres"
	"github.com/dialproof/dialproof/internal/store/sqlite"
	"github.com/dialproof/dialproof/internal/store/storetest"
	"github.com/dialproof/dialproof/internal/store/transfer"
	"github.com/dialproof/dialproof/internal/verify"
)

// TestCopy moves a SQLite store to PostgreSQL while it is used: a first copy under load, and a final one.
func TestCopy(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	path := filepath.Join(t.TempDir(), "dialproof.db")
	db := onSQLite(t, path)
	if err := db.PutApplication(t.Context(), application.Application{ID: id.ID{1}, Name: "shop"}); err != nil {
		t.Fatal(err)
	}
	load := storetest.NewLoad(t, db)
	load.Run(t, 600, 8) // more than one step
	to := postgres.Options{DSN: server.Fresh(), Lanes: 1, Connections: 4}
	var all sync.WaitGroup
	all.Go(func() { load.Run(t, 200, 4) })
	sum := func(final bool) (rows, written, removed int) {
		t.Helper()
		err := transfer.Copy(t.Context(), path, to, transfer.Options{Final: final, Tell: func(c transfer.Copied) {
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
	claimed := must(db.Claim(t.Context(), db.Now().Add(365*24*time.Hour), verify.JobKind, 100, time.Hour))(t)
	for _, j := range claimed {
		if err := db.Update(t.Context(), j.Ref, j.ID, sentOut(j)); err != nil {
			t.Fatal(err)
		}
	}
	if err := transfer.Copy(t.Context(), path, to, transfer.Options{Final: true}); err == nil {
		t.Error("a final copy under a running server")
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	rows, written, removed := sum(true)
	if rows < 2200 || written < 300 || removed > 100 {
		t.Errorf("the final copy: %d rows, %d written, %d removed", rows, written, removed)
	}
	if again, err := sqlite.Open(t.Context(), path, sqlite.Options{}); !errors.Is(err, sqlite.ErrMoved) {
		t.Errorf("the old store was opened: %v, %v", again, err)
	}
	moved := onPostgres(t, to)
	load.JudgeRows(t, moved)
	if d, err := moved.Depth(t.Context(), moved.Now()); d.Open != 700 || err != nil {
		t.Errorf("%d jobs, want 700, %v", d.Open, err)
	}
	if apps, err := moved.Applications(t.Context()); err != nil || len(apps) != 1 || apps[0].Name != "shop" {
		t.Errorf("applications %+v, %v", apps, err)
	}
	if err := sqlite.Reopen(path); err != nil {
		t.Fatal(err)
	}
	if err := transfer.Copy(t.Context(), path, to, transfer.Options{}); !errors.Is(err, postgres.ErrRunning) {
		t.Errorf("a copy over a running node: %v", err)
	}
	load.JudgeRows(t, onSQLite(t, path))
}

// must returns a value, or fails the test.
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

// onSQLite returns a store that is closed when the test ends.
func onSQLite(t *testing.T, path string) *store.DB {
	t.Helper()
	e, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return closed(t, store.New(e, nil))
}

func onPostgres(t *testing.T, o postgres.Options) *store.DB {
	t.Helper()
	e, err := postgres.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return closed(t, store.New(e, nil))
}

func closed(t *testing.T, db *store.DB) *store.DB {
	t.Helper()
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}
