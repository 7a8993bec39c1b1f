package sqlite

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/ncruces/go-sqlite3/vfs"
)

// folderSyncer is a file system that syncs a folder itself, as one of a test does.
type folderSyncer interface{ SyncFolder(name string) error }

// syncFolder makes the names of the store's files durable, those that SQLite has just made among them.
func syncFolder(path string) error {
	name, uri := strings.CutPrefix(path, "file:")
	if uri {
		name, _, _ = strings.Cut(name, "?")
	}
	if f, ok := vfs.Find(baseVFS(path)).(folderSyncer); ok {
		return f.SyncFolder(name)
	}
	return syncFolderOf(name)
}

// syncFolderOf makes the name of a file durable, and that others have lost theirs. Windows has no such call, and a
// folder that may not be read cannot be synced.
func syncFolderOf(name string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	if err := syncPath(filepath.Dir(name)); !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return nil
}

func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
