package sqlite_test

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/store/sqlite"
	"github.com/dialproof/dialproof/internal/store/storetest"
)

// TestBackup backs a store up under load, loses it, and restores it: everything that was acknowledged before the backup
// began is there.
func TestBackup(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, kept := filepath.Join(dir, "dialproof.db"), filepath.Join(dir, "kept.db")
	db := opened(t, path)
	before := storetest.NewLoad(t, db)
	before.Run(t, 50, 4)
	during := before.Another()
	var all sync.WaitGroup
	all.Go(func() { during.Run(t, 100, 4) })
	if err := sqlite.Backup(t.Context(), path, kept); err != nil {
		t.Fatal(err)
	}
	all.Wait()
	if info, err := os.Stat(kept); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the backup: %v, %v; want it for its owner alone", info, err)
	}
	if err := sqlite.Backup(t.Context(), path, kept); err == nil {
		t.Error("a second backup went over the first one")
	}
	if _, err := sqlite.Restore(t.Context(), kept, path, time.Now()); !errors.Is(err, sqlite.ErrInUse) {
		t.Errorf("a restore under a running server: %v", err)
	}
	during.Run(t, 10, 2) // the store still works
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	was, err := sqlite.Restore(t.Context(), kept, path, time.Now())
	if err != nil || was == "" {
		t.Fatal(was, err)
	}
	restored := opened(t, path)
	before.Judge(t, restored)
	before.Run(t, 10, 2)
	before.Judge(t, restored)
	during.Judge(t, opened(t, was))
	left, _ := filepath.Glob(filepath.Join(dir, "*.unfinished"))
	if more, _ := filepath.Glob(filepath.Join(dir, "*.restored")); len(left)+len(more) > 0 {
		t.Errorf("there are leftovers: %v %v", left, more)
	}
}

func TestRestoreLooksFirst(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "dialproof.db")
	if err := opened(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text,
		[]byte("no database at all, but long enough to be taken for one, if nobody looks at its first bytes\n"),
		0o600); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := len(whole) / 2; i < len(whole); i++ {
		whole[i] = 0xff
	}
	damaged := filepath.Join(dir, "damaged")
	if err := os.WriteFile(damaged, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, from := range []string{text, empty, damaged, filepath.Join(dir, "nothing")} {
		if was, err := sqlite.Restore(t.Context(), from, path, time.Now()); err == nil {
			t.Errorf("%s was restored, and %s kept", from, was)
		}
	}
	opened(t, path)
}
