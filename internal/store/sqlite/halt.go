package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"sync/atomic"
	"syscall"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/vfs"

	"github.com/dialproof/dialproof/internal/store/tables"
)

// halt stops an engine for good when a sync of its files has failed. Linux reports a failed sync once, counts the pages
// as written, and answers the next sync with success; whoever goes on writing then builds on something that may not be
// on the disk, while every read from memory shows it. SQLite itself would go on: the commit that failed is undone, and
// the next one is tried as if nothing had happened. A full disk is another matter: that write did not happen, SQLite
// knows it, and the next one may succeed.
//
// The zero halt is ready, and safe for many goroutines.
type halt struct {
	cause atomic.Pointer[error]
	log   atomic.Pointer[slog.Logger]
}

// ErrSyncFailed is why a store takes no more writes until the program is started again.
var ErrSyncFailed = errors.New(
	"a sync of the store's file has failed, and what is on the disk is not known: check the disk, and start the " +
		"server again")

// see notes an error that means that a sync has failed, and returns it with that meaning. Others it returns as they
// are.
func (h *halt) see(err error) error {
	if err == nil || h == nil || !syncFailed(err) {
		return err
	}
	err = fmt.Errorf("%w (%w)", ErrSyncFailed, err)
	if h.cause.CompareAndSwap(nil, &err) {
		if log := h.log.Load(); log != nil {
			//nolint:forbidigo // it is of no request
			log.LogAttrs(context.Background(), slog.LevelError, "the store takes no more writes", slog.Any("error", err))
		}
	}
	return err
}

// failed returns why nothing may be written any more; nil when all is well.
func (h *halt) failed() error {
	if h == nil {
		return nil
	}
	if cause := h.cause.Load(); cause != nil {
		return *cause
	}
	return nil
}

// Health implements store.Healther.
func (e *Engine) Health(context.Context) error { return e.halt.failed() }

// closeAs closes a connection. When the engine has stopped, it does not copy the log into the file, as the last
// connection does otherwise: the log is the one place whose syncs have succeeded up to the failure.
func (c *conn) closeAs(stopped bool) error {
	var err error
	if stopped {
		_, err = c.c.Config(sqlite3.DBCONFIG_NO_CKPT_ON_CLOSE, true)
	}
	return errors.Join(err, c.close())
}

// settleLog makes durable what another process has left in the log, before anything is built on it: writes the log
// again, syncs it, copies it into the file and empties it. After a failed sync, memory may show commits that the disk
// does not have. A commit behind them would be lost with them when the power goes, and a file into which they were half
// copied could not be mended from the log. A guest that reads at this moment keeps the log from being emptied; then it
// is copied all the same.
func settleLog(w *conn) error {
	if err := w.run("BEGIN IMMEDIATE"); err != nil { // nobody else writes now
		return err
	}
	err := rewriteLog(w)
	if err = errors.Join(err, w.run("ROLLBACK")); err != nil {
		return err
	}
	return w.Query("PRAGMA wal_checkpoint(TRUNCATE)", func(tables.Row) error { return nil })
}

// rewriteLog writes each byte of the log again and syncs it. The caller must hold the write lock.
func rewriteLog(w *conn) error {
	got, err := w.c.FileControl("main", sqlite3.FCNTL_JOURNAL_POINTER)
	if err != nil {
		return err
	}
	log, ok := got.(*walFile)
	if !ok {
		return nil // there is none
	}
	size, err := log.Size()
	if err != nil || size == 0 {
		return err
	}
	part := make([]byte, min(size, rewritePart))
	for off := int64(0); off < size; off += int64(len(part)) {
		part = part[:min(size-off, int64(len(part)))]
		if _, err := log.ReadAt(part, off); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if _, err := log.WriteAt(part, off); err != nil {
			return err
		}
	}
	return log.Sync(vfs.SYNC_NORMAL)
}

// rewritePart is how much of a log is written again at once, in bytes.
const rewritePart = 1 << 20

func syncFailed(err error) bool {
	return errors.Is(err, sqlite3.IOERR_FSYNC) || errors.Is(err, sqlite3.IOERR_DIR_FSYNC)
}

// syncError gives what a sync answered the code of a failed sync, wherever it came up: SQLite takes an error without a
// code for one of the call that it came from, and a checkpoint also syncs between its writes.
func syncError(err error) error { return vfs.SystemError(err, sqlite3.IOERR_FSYNC) }

// writeError gives the error of a write its code, for the same reason: the log is written when SQLite syncs it, and a
// full disk is no failed sync. One that has a code keeps it.
func writeError(err error) error {
	var system *fs.PathError
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EFBIG):
		return vfs.SystemError(err, sqlite3.FULL)
	case errors.As(err, &system):
		return vfs.SystemError(err, sqlite3.IOERR_WRITE)
	}
	return err
}
