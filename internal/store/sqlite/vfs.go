package sqlite

import (
	"fmt"

	"github.com/ncruces/go-sqlite3/util/vfsutil"
	"github.com/ncruces/go-sqlite3/vfs"
)

// systemVFS is the operating system's files, with differences in when they are written: see walFile and tableFile. What
// is written where, and the order of writes and syncs that SQLite relies on, stay what they are.
type systemVFS struct{ vfs.VFSFilename }

// vfsName is how connections ask for it.
const vfsName = "dialproof"

// registerVFS puts it above the file system with this name, and returns the name of both. Empty is the operating
// system; tests have others. To register one more than once does no harm.
func registerVFS(base string) (name string, err error) {
	name = vfsName
	if base != "" && base != "os" {
		name += "-" + base
	}
	below, ok := vfs.Find(base).(vfs.VFSFilename)
	if !ok {
		return "", fmt.Errorf("there is no file system %q", base)
	}
	vfs.Register(name, systemVFS{below})
	return name, nil
}

// OpenFilename implements vfs.VFSFilename.
func (v systemVFS) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	f, out, err := v.VFSFilename.OpenFilename(name, flags)
	switch {
	case err != nil:
	case flags&vfs.OPEN_WAL != 0:
		f = &walFile{File: f}
	case flags&vfs.OPEN_MAIN_DB != 0:
		f = &tableFile{File: f}
	}
	return f, out, err
}

// walFile is a write-ahead log whose writes go out in one call for each commit: SQLite writes each page by two calls, a
// header and the page, and the calls cost more than the copying. Nobody can miss them: SQLite points others to the
// pages of a commit after it has synced the log (synchronous = FULL), and what this connection reads is written before.
//
// It has room ahead of what is written: a sync that makes a file longer waits for the file system's own log as well,
// and takes half as long again. The room is zeros, which SQLite takes for the end of its log.
type walFile struct {
	vfs.File

	buf  []byte
	at   int64 // where buf belongs
	room int64 // the size of the file, when it is known
}

const (
	// maxGathered bounds what waits to be written, in bytes.
	maxGathered = 1 << 20
	// walRoom is how much room is made at once, in bytes, in pieces of roomPiece: Linux keeps what was written by one call
	// together, and takes all of it for changed when a part of it changes.
	walRoom   = 512 << 10
	roomPiece = 16 << 10
)

// WriteAt implements vfs.File.
func (f *walFile) WriteAt(p []byte, off int64) (int, error) {
	if len(f.buf) > 0 && (off != f.at+int64(len(f.buf)) || len(f.buf)+len(p) > maxGathered) {
		if err := f.flush(); err != nil {
			return 0, err
		}
	}
	if len(f.buf) == 0 {
		f.at = off
	}
	f.buf = append(f.buf, p...)
	return len(p), nil
}

func (f *walFile) flush() error {
	if len(f.buf) == 0 {
		return nil
	}
	f.makeRoom(f.at + int64(len(f.buf)))
	_, err := f.File.WriteAt(f.buf, f.at)
	f.buf = f.buf[:0]
	return writeError(err)
}

// makeRoom makes room behind the end of the next write when that is the end of the file. Where there is none to make,
// the write will tell.
func (f *walFile) makeRoom(end int64) {
	if end <= f.room {
		return
	}
	size, err := f.File.Size()
	if f.room = size; err != nil || end <= size {
		return
	}
	for zeros := make([]byte, roomPiece); f.room < end+walRoom; f.room = max(f.room, end) + roomPiece {
		if _, err := f.File.WriteAt(zeros, max(f.room, end)); err != nil {
			return
		}
	}
}

// ReadAt implements vfs.File.
func (f *walFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.flush(); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, off)
}

// Sync implements vfs.File.
func (f *walFile) Sync(flags vfs.SyncFlag) error {
	if err := f.flush(); err != nil {
		return err
	}
	return syncError(f.File.Sync(flags))
}

// Size implements vfs.File.
func (f *walFile) Size() (int64, error) {
	if err := f.flush(); err != nil {
		return 0, err
	}
	return f.File.Size()
}

// Truncate implements vfs.File.
func (f *walFile) Truncate(size int64) error {
	if err := f.flush(); err != nil {
		return err
	}
	f.room = 0
	return f.File.Truncate(size)
}

// Close implements vfs.File.
func (f *walFile) Close() error {
	err := f.flush()
	if closed := f.File.Close(); err == nil {
		err = closed
	}
	return err
}

// tableFile is the file of the tables. A checkpoint syncs it now and then, and not only at its end: everything at once
// would keep the disk busy for as long as 60 ms, and each commit meanwhile.
type tableFile struct {
	vfs.File

	checkpoint bool
	unsynced   int // bytes written since the last sync, by a checkpoint
}

// syncEach is how many bytes a checkpoint writes between two syncs.
const syncEach = 1 << 20

var (
	_ vfs.FileCheckpoint         = (*tableFile)(nil)
	_ vfs.FileSharedMemory       = (*tableFile)(nil)
	_ vfs.FileLockState          = (*tableFile)(nil)
	_ vfs.FilePersistWAL         = (*tableFile)(nil)
	_ vfs.FilePowersafeOverwrite = (*tableFile)(nil)
	_ vfs.FileHasMoved           = (*tableFile)(nil)
	_ vfs.FileSizeHint           = (*tableFile)(nil)
	_ vfs.FileChunkSize          = (*tableFile)(nil)
)

// CheckpointStart implements vfs.FileCheckpoint.
func (f *tableFile) CheckpointStart() {
	f.checkpoint, f.unsynced = true, 0
	vfsutil.WrapCheckpointStart(f.File)
}

// CheckpointDone implements vfs.FileCheckpoint.
func (f *tableFile) CheckpointDone() {
	f.checkpoint = false
	vfsutil.WrapCheckpointDone(f.File)
}

// WriteAt implements vfs.File.
func (f *tableFile) WriteAt(p []byte, off int64) (int, error) {
	n, err := f.File.WriteAt(p, off)
	if err = writeError(err); !f.checkpoint {
		return n, err
	}
	if f.unsynced += n; err == nil && f.unsynced >= syncEach {
		f.unsynced = 0
		err = f.Sync(vfs.SYNC_NORMAL | vfs.SYNC_DATAONLY)
	}
	return n, err
}

// Sync implements vfs.File.
func (f *tableFile) Sync(flags vfs.SyncFlag) error { return syncError(f.File.Sync(flags)) }

// The rest is the file's own.

// SharedMemory implements vfs.FileSharedMemory.
func (f *tableFile) SharedMemory() vfs.SharedMemory { return vfsutil.WrapSharedMemory(f.File) }

// LockState implements vfs.FileLockState.
func (f *tableFile) LockState() vfs.LockLevel { return vfsutil.WrapLockState(f.File) }

// PersistWAL implements vfs.FilePersistWAL.
func (f *tableFile) PersistWAL() bool { return vfsutil.WrapPersistWAL(f.File) }

// SetPersistWAL implements vfs.FilePersistWAL.
func (f *tableFile) SetPersistWAL(keep bool) { vfsutil.WrapSetPersistWAL(f.File, keep) }

// PowersafeOverwrite implements vfs.FilePowersafeOverwrite.
func (f *tableFile) PowersafeOverwrite() bool { return vfsutil.WrapPowersafeOverwrite(f.File) }

// SetPowersafeOverwrite implements vfs.FilePowersafeOverwrite.
func (f *tableFile) SetPowersafeOverwrite(on bool) { vfsutil.WrapSetPowersafeOverwrite(f.File, on) }

// HasMoved implements vfs.FileHasMoved.
func (f *tableFile) HasMoved() (bool, error) { return vfsutil.WrapHasMoved(f.File) }

// SizeHint implements vfs.FileSizeHint.
func (f *tableFile) SizeHint(size int64) error { return vfsutil.WrapSizeHint(f.File, size) }

// ChunkSize implements vfs.FileChunkSize.
func (f *tableFile) ChunkSize(size int) { vfsutil.WrapChunkSize(f.File, size) }
