package store

import (
	"github.com/ncruces/go-sqlite3/vfs"
)

// walVFS is the operating system's files, with one difference: what SQLite writes to the write-ahead log goes out in one
// call for each commit. SQLite writes each page of a commit by two calls, a header and the page, and the calls cost more than
// the copying. The log's order and its syncs stay what they are.
type walVFS struct{ vfs.VFSFilename }

// walVFSName is how connections ask for it.
const walVFSName = "dialproof"

// registerWAL makes it known to SQLite; more than once does no harm.
func registerWAL() {
	if system, ok := vfs.Find("os").(vfs.VFSFilename); ok {
		vfs.Register(walVFSName, walVFS{system})
	}
}

// OpenFilename implements vfs.VFSFilename.
func (v walVFS) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	f, out, err := v.VFSFilename.OpenFilename(name, flags)
	if err == nil && flags&vfs.OPEN_WAL != 0 {
		f = &walFile{File: f}
	}
	return f, out, err
}

// walFile is a log whose writes are gathered while they follow each other. Nobody can miss them: SQLite points others to the
// pages of a commit after it has synced the log (synchronous = FULL), and what this connection reads is written before.
type walFile struct {
	vfs.File

	buf []byte
	at  int64 // where buf belongs
}

// maxGathered bounds what waits to be written, in bytes.
const maxGathered = 1 << 20

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
	_, err := f.File.WriteAt(f.buf, f.at)
	f.buf = f.buf[:0]
	return err
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
	return f.File.Sync(flags)
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
