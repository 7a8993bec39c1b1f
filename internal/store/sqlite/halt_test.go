package sqlite

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/vfs"

	"github.com/dialproof/dialproof/internal/store"
	"github.com/dialproof/dialproof/internal/store/sqlite/powertest"
	"github.com/dialproof/dialproof/internal/store/tables"
	"github.com/dialproof/dialproof/internal/verify"
)

// onDisk registers a disk and returns it with the URI of a store on it.
func onDisk(t *testing.T) (*powertest.Disk, string) {
	t.Helper()
	d := powertest.NewDisk(powertest.Faults{})
	name := fmt.Sprintf("disk%p", d)
	vfs.Register(name, d)
	t.Cleanup(func() { vfs.Unregister(name) })
	return d, "file:" + filepath.Join(t.TempDir(), "dialproof.db") + "?vfs=" + name
}

// put writes a number.
func put(t *testing.T, db *store.DB, n byte) error {
	t.Helper()
	return db.Do(t.Context(), verify.Needs{Number: verify.NumberKey{n}}, func(tx verify.Tx) error {
		tx.PutNumber(&verify.Number{Key: verify.NumberKey{n}})
		return nil
	})
}

// TestSQLiteGoesOn holds why the store stops by itself: SQLite undoes the commit whose sync has failed, and the next
// one succeeds.
func TestSQLiteGoesOn(t *testing.T) {
	t.Parallel()
	d, uri := onDisk(t)
	c, err := openConn(uri)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if err := c.c.Exec("CREATE TABLE a (n)"); err != nil {
		t.Fatal(err)
	}
	d.SetFaults(powertest.Faults{FailSync: 1})
	if err := c.c.Exec("INSERT INTO a VALUES (1)"); !syncFailed(err) {
		t.Errorf("a commit whose sync fails: %v", err)
	}
	d.SetFaults(powertest.Faults{})
	if err := c.c.Exec("INSERT INTO a VALUES (2)"); err != nil {
		t.Errorf("the next commit: %v", err)
	}
}

// TestFailedSync: one sync that fails, of a commit or of a checkpoint, ends all writing until the store is opened
// again. It says so to callers, to whoever asks whether it is ready, and once in the log.
func TestFailedSync(t *testing.T) {
	t.Parallel()
	for _, where := range []string{"commit", "checkpoint"} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			d, uri := onDisk(t)
			var log bytes.Buffer
			e, err := Open(t.Context(), uri, Options{})
			if err != nil {
				t.Fatal(err)
			}
			e.halt.log.Store(slog.New(slog.NewJSONHandler(&log, nil)))
			db := store.New(e, nil)
			if err := put(t, db, 1); err != nil || db.Failed(t.Context()) != nil {
				t.Fatal(err, db.Failed(t.Context()))
			}
			d.SetFaults(powertest.Faults{FailSync: 1})
			if where == "commit" {
				if err := put(t, db, 2); err == nil {
					t.Error("a commit whose sync failed is acknowledged")
				}
			} else {
				e.log.run()
			}
			d.SetFaults(powertest.Faults{})
			holdStopped(t, db)
			if err := db.Close(); err == nil {
				t.Error("it was closed as if it had settled everything")
			}
			file := strings.TrimSuffix(strings.TrimPrefix(uri, "file:"), "?vfs="+baseVFS(uri))
			if _, err := os.Stat(file + "-wal"); err != nil {
				t.Errorf("the log was given up: %v", err)
			}
			if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, `"level":"ERROR"`) {
				t.Errorf("the log: %s", got)
			}
			e, err = Open(t.Context(), uri, Options{})
			if err != nil {
				t.Fatal(err)
			}
			again := store.New(e, nil)
			if n, err := again.NumberRow(t.Context(), verify.NumberKey{1}); err != nil || n == nil {
				t.Errorf("after a restart: %v, %v", n, err)
			}
			if err := errors.Join(put(t, again, 9), again.Failed(t.Context()), again.Close()); err != nil {
				t.Error(err)
			}
		})
	}
}

// holdStopped holds that a store takes no more writes, though its disk is well again, says so, and still reads.
func holdStopped(t *testing.T, db *store.DB) {
	t.Helper()
	for n := range 3 {
		err := put(t, db, byte(3+n))
		if !errors.Is(err, &verify.Error{Code: verify.CodeUnavailable}) || !errors.Is(err, ErrSyncFailed) {
			t.Errorf("a write after it: %v", err)
		}
	}
	if !errors.Is(db.Failed(t.Context()), ErrSyncFailed) {
		t.Errorf("it says that it is %v", db.Failed(t.Context()))
	}
	if n, err := db.NumberRow(t.Context(), verify.NumberKey{1}); err != nil || n == nil {
		t.Errorf("reading after it: %v, %v", n, err)
	}
}

// TestLogIsSettled: a log that memory has and the disk does not, after a sync that failed, is made durable before it is
// copied into the file. The power is cut while that happens; then the file is as it was before the commit that failed,
// or as after it.
func TestLogIsSettled(t *testing.T) {
	t.Parallel()
	d, uri := onDisk(t)
	c, err := openConn(uri)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.c.Exec("CREATE TABLE a (k BLOB PRIMARY KEY, v BLOB) WITHOUT ROWID; " + rows500 +
		"; PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		t.Fatal(err)
	}
	d.SetFaults(powertest.Faults{FailSync: 2}) // the first one is that of the log's head
	if err := c.c.Exec(rows500); !syncFailed(err) {
		t.Fatal(err)
	}
	d.SetFaults(powertest.Faults{})
	if err := c.closeAs(true); err != nil {
		t.Fatal(err)
	}
	again, err := openConn(uri)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(settleLog(again), again.close()); err != nil {
		t.Fatal(err)
	}
	vfs.Register(unsyncedName, powertest.NewUnsynced())
	seed := rand.Uint64()
	chance := rand.New(rand.NewPCG(seed, 0))
	for i := range 40 {
		m, _, ok := d.Cut(powertest.InCheckpoint, powertest.Treatments()[i%4], chance)
		if !ok {
			t.Fatal("nothing was copied into the file")
		}
		if said := condition(t, m); said != "ok 500" && said != "ok 1000" {
			t.Errorf("seed %d, image %d: %s", seed, i, said)
		}
	}
}

// rows500 adds 500 rows all over a table.
const rows500 = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 500) ` +
	`INSERT INTO a SELECT randomblob(16), randomblob(200) FROM n`

// condition returns what SQLite finds wrong with an image, and how many rows it has.
func condition(t *testing.T, m powertest.Image) (said string) {
	t.Helper()
	folder := t.TempDir()
	if err := m.Write(folder); err != nil {
		t.Fatal(err)
	}
	c, err := openWith("file:"+filepath.Join(folder, "dialproof.db"), unsyncedName)
	if err != nil {
		return err.Error()
	}
	defer c.close()
	err = c.Query("SELECT (SELECT group_concat(integrity_check) FROM pragma_integrity_check) || ' ' || count(*) FROM a",
		func(r tables.Row) error {
			said = string(r.Raw(0))
			return nil
		})
	if err != nil {
		return err.Error()
	}
	return said
}

// TestFullIsNotFailed: a full disk refuses writes while it lasts, wherever SQLite meets it, and stops nothing.
func TestFullIsNotFailed(t *testing.T) {
	t.Parallel()
	d, uri := onDisk(t)
	e, err := Open(t.Context(), uri, Options{})
	if err != nil {
		t.Fatal(err)
	}
	db := store.New(e, nil)
	d.SetFaults(powertest.Faults{Full: 4})
	refused := 0
	for n := range 100 {
		if err := put(t, db, byte(n)); err != nil {
			refused++
		}
	}
	d.SetFaults(powertest.Faults{})
	if err := errors.Join(put(t, db, 200), db.Failed(t.Context()), db.Close()); err != nil || refused < 5 {
		t.Errorf("%d refused, then %v", refused, err)
	}
}

// TestErrorsHaveCodes: an error of the system keeps what it means in SQLite's words, although the log is written when
// SQLite syncs it, and the tables are synced when it writes.
func TestErrorsHaveCodes(t *testing.T) {
	t.Parallel()
	system := func(e error) error { return &fs.PathError{Op: "write", Path: "x", Err: e} }
	for name, c := range map[string]struct {
		err  error
		want sqlite3.ExtendedErrorCode
	}{
		"full":        {writeError(system(syscall.ENOSPC)), sqlite3.ExtendedErrorCode(sqlite3.FULL)},
		"limit":       {writeError(system(syscall.EFBIG)), sqlite3.ExtendedErrorCode(sqlite3.FULL)},
		"broken":      {writeError(system(syscall.EIO)), sqlite3.IOERR_WRITE},
		"coded":       {writeError(vfs.SystemError(errors.New("x"), sqlite3.FULL)), sqlite3.ExtendedErrorCode(sqlite3.FULL)},
		"sync":        {syncError(syscall.EIO), sqlite3.IOERR_FSYNC},
		"sync, full":  {syncError(syscall.ENOSPC), sqlite3.IOERR_FSYNC},
		"no mistake":  {writeError(nil), 0},
		"synced well": {syncError(nil), 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := asSQLite(t, c.err); got != c.want {
				t.Errorf("%v is %d to SQLite, want %d", c.err, got, c.want)
			}
		})
	}
}

// asSQLite returns the code that SQLite is told: that of a failing sync of its log.
func asSQLite(t *testing.T, fails error) sqlite3.ExtendedErrorCode {
	t.Helper()
	name := "coded-" + filepath.Base(filepath.Dir(t.TempDir()))
	vfs.Register(name, failingVFS{vfs.Find("os").(vfs.VFSFilename), fails})
	defer vfs.Unregister(name)
	c, err := openWith(filepath.Join(t.TempDir(), "x.db"), name)
	if err != nil {
		var code sqlite3.ExtendedErrorCode
		if !errors.As(err, &code) {
			t.Fatal(err)
		}
		return code
	}
	if err := c.close(); err != nil {
		t.Fatal(err)
	}
	return 0
}

// failingVFS is a file system whose syncs fail in one way.
type failingVFS struct {
	vfs.VFSFilename
	err error
}

type failingFile struct {
	tableFile
	err error
}

func (v failingVFS) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	f, out, err := v.VFSFilename.OpenFilename(name, flags)
	if err != nil {
		return f, out, err
	}
	return &failingFile{tableFile{File: f}, v.err}, out, nil
}

func (f *failingFile) Sync(vfs.SyncFlag) error { return f.err }
