package sqlite

import (
	"errors"
	"syscall"

	"github.com/ncruces/go-sqlite3"

	"github.com/dialproof/dialproof/internal/store"
)

var _ store.Explainer = (*Engine)(nil)

// Explain implements store.Explainer.
func (*Engine) Explain(err error) string { return Explain(err) }

// Explain returns in words why a file cannot be opened or written; empty when that is not known.
func Explain(err error) string {
	switch {
	case errors.Is(err, ErrSyncFailed):
		return "a sync of its file has failed, and what is on the disk is not known: check the disk, and start the " +
			"server again"
	case full(err):
		return "the disk is full"
	case errors.Is(err, sqlite3.READONLY):
		return "the file or its file system can only be read"
	case errors.Is(err, sqlite3.CANTOPEN):
		return "the file cannot be opened"
	case errors.Is(err, sqlite3.IOERR):
		return "the disk reports an error"
	}
	return ""
}

// full reports whether there was no room on the disk, or the process or its user may take no more of it.
func full(err error) bool {
	return errors.Is(err, sqlite3.FULL) || noRoom(err)
}

// noRoom reports whether the operating system said so.
func noRoom(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}

// Temporary reports whether opening the file may succeed later without anything but the disk having changed.
func Temporary(err error) bool {
	return full(err) || errors.Is(err, sqlite3.IOERR)
}
