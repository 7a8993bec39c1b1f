// Package powertest shows what a store keeps when the power goes.
//
// Three parts: a Disk, a file system below the store's own file layer that records each thing that is done to a file
// and each answer that a client has been given, on one clock; images, the files as a power cut at one moment of that
// record may leave them; and a Load, clients of a store who note each answer, and judge what a store that was opened on
// an image says. It knows no engine and opens no store: whoever tests one does.
package powertest

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"sync"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/util/vfsutil"
	"github.com/ncruces/go-sqlite3/vfs"
)

// kind is what an event was.
type kind byte

// The kinds of events.
const (
	write kind = iota + 1
	truncate
	synced // all that was done to the file is durable
	// what was done to the file since the last sync may be on the disk or not, and never will be by a later sync
	syncFailed
	create
	remove
	folderSynced
	checkpointBegins
	checkpointEnds
	ack
)

// event is one entry of the record.
type event struct {
	kind kind
	file int    // a number for each file, which it keeps under any name
	name string // of create and remove
	off  int64  // of write; the size of truncate
	data []byte // of write
	main bool   // the file is that of the tables
	log  bool   // the file is the write-ahead log
	said Ack    // of ack
}

// Faults are the ways in which a Disk is worse than it says, or fails. The zero value has none.
type Faults struct {
	// LoseSync leaves out each sync of so many; 0: none.
	LoseSync int
	// LoseLogSyncs leaves out each sync of a write-ahead log.
	LoseLogSyncs bool
	// Full makes so many writes in a row fail as on a full disk, after four times as many that do not, again and again; 0:
	// none fail.
	Full int
	// FailSync makes each sync of so many fail; 0: none.
	FailSync int
	// PassOver returns writes and syncs that failed as if they had not.
	PassOver bool
}

// Disk is a file system that records. Its files are in a folder of the operating system, which is never synced: what is
// durable is the business of the record.
type Disk struct {
	vfs.VFSFilename

	quiet         bool // it records nothing
	mu            sync.Mutex
	faults        Faults
	record        []event
	files         map[string]int // by name
	last          int            // the newest number of a file
	writes, syncs int            // so far
}

// NewDisk returns an empty disk.
func NewDisk(f Faults) *Disk {
	below, _ := vfs.Find("os").(vfs.VFSFilename)
	return &Disk{VFSFilename: below, faults: f, files: map[string]int{}}
}

// NewUnsynced returns a file system that syncs nothing and records nothing, for files that nobody needs when the test
// is over.
func NewUnsynced() *Disk {
	d := NewDisk(Faults{})
	d.quiet = true
	return d
}

// Ack notes that a client has been answered. Whoever calls it has the answer in hand.
func (d *Disk) Ack(a Ack) { d.note(event{kind: ack, said: a}) }

func (d *Disk) note(e event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.add(e)
}

// add records an event. The caller must hold d.mu.
func (d *Disk) add(e event) {
	if !d.quiet {
		d.record = append(d.record, e)
	}
}

// SetFaults makes it a better or a worse disk. Counts start over.
func (d *Disk) SetFaults(f Faults) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults, d.writes, d.syncs = f, 0, 0
}

// SyncFolder makes the names of files durable.
func (d *Disk) SyncFolder(string) error {
	d.note(event{kind: folderSynced})
	return nil
}

// Delete implements vfs.VFS.
func (d *Disk) Delete(name string, syncDir bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.VFSFilename.Delete(name, false); err != nil {
		return err
	}
	d.add(event{kind: remove, name: name, file: d.files[name]})
	delete(d.files, name)
	if syncDir {
		d.add(event{kind: folderSynced})
	}
	return nil
}

// OpenFilename implements vfs.VFSFilename.
func (d *Disk) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	path := name.String()
	f, out, err := d.VFSFilename.OpenFilename(name, flags)
	if err != nil || path == "" { // one without a name is of no interest when the power has gone
		return f, out, err
	}
	n, there := d.files[path]
	if !there {
		d.last++
		n, d.files[path] = d.last, d.last
		d.add(event{kind: create, name: path, file: n})
	}
	const journals = vfs.OPEN_MAIN_JOURNAL | vfs.OPEN_SUPER_JOURNAL | vfs.OPEN_WAL
	return &file{
		File: f, d: d, n: n, main: flags&vfs.OPEN_MAIN_DB != 0, log: flags&vfs.OPEN_WAL != 0,
		folder: flags&vfs.OPEN_CREATE != 0 && flags&journals != 0,
	}, out, nil
}

// file is an open file of a Disk.
type file struct {
	vfs.File
	d         *Disk
	n         int
	main, log bool
	folder    bool // its next sync syncs the folder too, as the operating system's file does
}

var errFull = errors.New("no space left on device")

// WriteAt implements vfs.File.
func (f *file) WriteAt(p []byte, off int64) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	f.d.writes++
	if full := f.d.faults.Full; full > 0 && f.d.writes/full%5 == 4 {
		if f.d.faults.PassOver {
			return len(p), nil
		}
		return 0, vfs.SystemError(errFull, sqlite3.FULL)
	}
	n, err := f.File.WriteAt(p, off)
	f.d.add(event{kind: write, file: f.n, off: off, data: bytes.Clone(p[:n]), main: f.main, log: f.log})
	return n, err
}

// Truncate implements vfs.File.
func (f *file) Truncate(size int64) error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	err := f.File.Truncate(size)
	if err == nil {
		f.d.add(event{kind: truncate, file: f.n, off: size, main: f.main, log: f.log})
	}
	return err
}

// SizeHint implements vfs.FileSizeHint.
func (f *file) SizeHint(size int64) error {
	if now, err := f.Size(); err != nil || now >= size {
		return err
	}
	return f.Truncate(size)
}

// Sync implements vfs.File.
func (f *file) Sync(vfs.SyncFlag) error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	d := f.d
	d.syncs++
	switch {
	case d.faults.FailSync > 0 && d.syncs%d.faults.FailSync == 0:
		d.add(event{kind: syncFailed, file: f.n, main: f.main, log: f.log})
		if !d.faults.PassOver {
			return errors.New("input/output error")
		}
		return nil
	case d.faults.LoseSync > 0 && d.syncs%d.faults.LoseSync == 0, f.log && d.faults.LoseLogSyncs:
		return nil
	}
	d.add(event{kind: synced, file: f.n, main: f.main, log: f.log})
	if f.folder {
		f.folder = false
		d.add(event{kind: folderSynced})
	}
	return nil
}

// CheckpointStart implements vfs.FileCheckpoint.
func (f *file) CheckpointStart() { f.d.note(event{kind: checkpointBegins}) }

// CheckpointDone implements vfs.FileCheckpoint.
func (f *file) CheckpointDone() { f.d.note(event{kind: checkpointEnds}) }

// The rest is the file's own.

// SharedMemory implements vfs.FileSharedMemory.
func (f *file) SharedMemory() vfs.SharedMemory { return vfsutil.WrapSharedMemory(f.File) }

// LockState implements vfs.FileLockState.
func (f *file) LockState() vfs.LockLevel { return vfsutil.WrapLockState(f.File) }

// PersistWAL implements vfs.FilePersistWAL.
func (f *file) PersistWAL() bool { return vfsutil.WrapPersistWAL(f.File) }

// SetPersistWAL implements vfs.FilePersistWAL.
func (f *file) SetPersistWAL(keep bool) { vfsutil.WrapSetPersistWAL(f.File, keep) }

// HasMoved implements vfs.FileHasMoved.
func (f *file) HasMoved() (bool, error) { return vfsutil.WrapHasMoved(f.File) }

// Image is the files of a disk by their names.
type Image map[string][]byte

// Write puts the files into an empty folder.
func (m Image) Write(folder string) error {
	for name, data := range m {
		if err := os.WriteFile(filepath.Join(folder, filepath.Base(name)), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}
