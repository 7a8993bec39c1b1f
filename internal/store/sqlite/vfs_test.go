package sqlite

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3/vfs"

	"github.com/dialproof/dialproof/internal/store"
	"github.com/dialproof/dialproof/internal/verify"
)

// diskFile is a file in memory that counts.
type diskFile struct {
	vfs.File
	size          int64
	writes, syncs int
}

func (f *diskFile) WriteAt(p []byte, off int64) (int, error) {
	f.writes++
	f.size = max(f.size, off+int64(len(p)))
	return len(p), nil
}
func (f *diskFile) Sync(vfs.SyncFlag) error { f.syncs++; return nil }
func (f *diskFile) Size() (int64, error)    { return f.size, nil }

// TestRoomInTheLog: the log grows seldom, and each commit is one write.
func TestRoomInTheLog(t *testing.T) {
	t.Parallel()
	disk := &diskFile{}
	f := &walFile{File: disk}
	grown, most := 0, 0
	for i := range 1_000 {
		size, writes := disk.size, disk.writes
		for half := range 2 {
			if _, err := f.WriteAt(make([]byte, 2_000), int64(i)*4_000+int64(half)*2_000); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.Sync(vfs.SYNC_NORMAL); err != nil {
			t.Fatal(err)
		}
		if disk.size > size {
			grown++
		} else {
			most = max(most, disk.writes-writes)
		}
	}
	if want := 1_000*4_000/walRoom + 1; grown > want || most != 1 {
		t.Errorf("the log grew %d times, want at most %d; a commit took up to %d writes", grown, want, most)
	}
}

// TestCheckpointSyncs: a checkpoint syncs what it writes by the MB; other writes are synced by who wants it.
func TestCheckpointSyncs(t *testing.T) {
	t.Parallel()
	disk := &diskFile{}
	f := &tableFile{File: disk}
	write := func(pages int) {
		for i := range pages {
			if _, err := f.WriteAt(make([]byte, 4096), int64(i)*4096); err != nil {
				t.Fatal(err)
			}
		}
	}
	write(1024)
	if disk.syncs != 0 {
		t.Errorf("%d syncs without a checkpoint", disk.syncs)
	}
	f.CheckpointStart()
	write(1024)
	f.CheckpointDone()
	if disk.syncs != 4 {
		t.Errorf("%d syncs for 4 MB", disk.syncs)
	}
	write(1024)
	if disk.syncs != 4 {
		t.Error("it syncs after the checkpoint")
	}
}

// TestCheckpointIsHeard: SQLite tells our file of its checkpoints, on a store as it is opened.
func TestCheckpointIsHeard(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "heard.db")
	e, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	db := store.Direct(e)
	for round := range 2 {
		if err := db.Do(t.Context(), verify.Needs{}, func(x verify.Tx) error {
			for i := range 2_000 {
				x.PutReplay([32]byte{byte(i), byte(i >> 8), byte(round)}, [32]byte{}, make([]byte, 900), time.Time{})
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	name := "heard-" + filepath.Base(filepath.Dir(path))
	counted := &countingVFS{VFSFilename: vfs.Find(vfsName).(vfs.VFSFilename)}
	vfs.Register(name, counted)
	c, err := openWith(path, name)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if err := checkpoint(c); err != nil {
		t.Fatal(err)
	}
	if counted.file == nil || counted.file.unsynced == 0 {
		t.Error("the file heard of no checkpoint that wrote")
	}
}

// countingVFS remembers the file of the tables.
type countingVFS struct {
	vfs.VFSFilename
	file *tableFile
}

func (v *countingVFS) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	f, out, err := v.VFSFilename.OpenFilename(name, flags)
	if t, ok := f.(*tableFile); ok {
		v.file = t
	}
	return f, out, err
}

// brokenFile is a file in memory whose writes fail.
type brokenFile struct{ diskFile }

var errBroken = errors.New("broken")

func (f *brokenFile) WriteAt([]byte, int64) (int, error) { return 0, errBroken }

// TestFailedWriteIsTold: a write that was gathered and fails later is told to whoever makes it go out, and is not made
// again as if nothing had been: SQLite has undone what it was about.
func TestFailedWriteIsTold(t *testing.T) {
	t.Parallel()
	for name, goOut := range map[string]func(f *walFile) error{
		"sync":          func(f *walFile) error { return f.Sync(vfs.SYNC_NORMAL) },
		"write behind":  func(f *walFile) error { _, err := f.WriteAt(make([]byte, maxGathered), 100); return err },
		"write between": func(f *walFile) error { _, err := f.WriteAt(make([]byte, 10), 5000); return err },
		"read":          func(f *walFile) error { _, err := f.ReadAt(make([]byte, 10), 0); return err },
		"size":          func(f *walFile) error { _, err := f.Size(); return err },
		"truncate":      func(f *walFile) error { return f.Truncate(0) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			disk := &brokenFile{}
			f := &walFile{File: disk}
			if _, err := f.WriteAt(make([]byte, 100), 0); err != nil {
				t.Fatal(err)
			}
			if err := goOut(f); !errors.Is(err, errBroken) {
				t.Errorf("told %v", err)
			}
			if disk.syncs > 0 {
				t.Error("what was not written was synced")
			}
			f.File = &diskFile{}
			if err := f.Sync(vfs.SYNC_NORMAL); err != nil ||
				f.File.(*diskFile).writes > 0 {
				t.Errorf("the next sync: %v", err)
			}
		})
	}
}

// TestSyncReachesTheDisk: a sync of the log and of the tables syncs the file, after what was gathered.
func TestSyncReachesTheDisk(t *testing.T) {
	t.Parallel()
	disk := &diskFile{}
	for _, f := range []vfs.File{&walFile{File: disk}, &tableFile{File: disk}} {
		before := *disk
		if _, err := f.WriteAt(make([]byte, 100), 0); err != nil {
			t.Fatal(err)
		}
		if err := f.Sync(vfs.SYNC_NORMAL); err != nil || disk.writes == before.writes || disk.syncs != before.syncs+1 {
			t.Errorf("%T: %v, %+v after %+v", f, err, disk, before)
		}
	}
}
