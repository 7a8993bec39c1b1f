package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/ncruces/go-sqlite3"

	"github.com/dialproof/dialproof/internal/store/tables"
)

// ErrInUse is the answer when a server has the file open that should be replaced.
var ErrInUse = errors.New("a server has the store open: stop it first")

// Backup writes a copy of a SQLite store to a file that does not exist yet, while servers work on it. The copy is the
// state of one moment, whole and checked, durable when Backup returns, and for its owner alone.
func Backup(ctx context.Context, path, to string) error {
	if _, err := os.Stat(path); err != nil {
		return err
	}
	unfinished := to + ".unfinished"
	// SQLite fills an empty file, whose rights are set here.
	f, err := os.OpenFile(unfinished, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	defer os.Remove(unfinished) //nolint:errcheck // it has its new name by then, or is of no use
	if _, err := os.Stat(to); err == nil {
		return fmt.Errorf("%s exists already", to)
	}
	c, err := openConn(path)
	if err != nil {
		return err
	}
	c.c.SetInterrupt(ctx)
	_, err = c.Exec("VACUUM INTO $1", unfinished)
	if err = errors.Join(err, c.close()); err != nil {
		return err
	}
	if err := inspect(unfinished); err != nil {
		return err
	}
	return settleFile(unfinished, to)
}

// Restore puts a backup in the place of a SQLite store, which no server may have open. What was there stays beside it;
// its new name is the answer, empty when there was nothing.
func Restore(ctx context.Context, from, path string, now time.Time) (before string, err error) {
	if err := inspect(from); err != nil {
		return "", fmt.Errorf("%s: %w", from, err)
	}
	fresh := path + ".restored"
	defer os.Remove(fresh) //nolint:errcheck // it has its new name by then, or is of no use
	if err := copyFile(ctx, from, fresh); err != nil {
		return "", err
	}
	if _, err := os.Stat(path); err == nil {
		if err := alone(path); err != nil {
			return "", err
		}
		before = path + ".before-" + now.UTC().Format("20060102T150405Z")
		if err := os.Rename(path, before); err != nil {
			return "", err
		}
		// Whoever was last has closed them, and they must not meet the new file.
		for _, beside := range []string{"-wal", "-shm"} {
			if err := os.Remove(path + beside); err != nil && !errors.Is(err, os.ErrNotExist) {
				return before, err
			}
		}
		// Nor may they come back beside it when the power goes.
		if err := syncFolderOf(path); err != nil {
			return before, err
		}
	}
	return before, settleFile(fresh, path)
}

// inspect looks at a file before it is trusted: whole, ours, and not of a later version.
func inspect(path string) (err error) {
	if _, err := os.Stat(path); err != nil {
		return err
	}
	c, err := sqlite3.OpenFlags(path, sqlite3.OPEN_READONLY)
	if err != nil {
		return err
	}
	l := &conn{c: c, stmts: map[string]*sqlite3.Stmt{}}
	defer func() { err = errors.Join(err, l.close()) }()
	at, err := version(l)
	if err != nil {
		return fmt.Errorf("it is no SQLite database: %w", err)
	}
	all, err := migrations()
	if err != nil {
		return err
	}
	if at == 0 {
		return errors.New("it is no store of Dialproof")
	}
	if at > len(all) {
		return fmt.Errorf("%w: it is of a newer Dialproof (schema %d, this one knows %d)", ErrSchema, at, len(all))
	}
	said := ""
	err = l.Query("PRAGMA quick_check(1)", func(r tables.Row) error { said = string(r.Raw(0)); return nil })
	if err == nil && said != "ok" {
		err = fmt.Errorf("it is damaged: %s", said)
	}
	return err
}

// alone checks that nobody has the file open, and leaves everything in it that was beside it.
func alone(path string) error {
	c, err := openConn(path)
	if err != nil {
		return err
	}
	// Leaving WAL needs the file for itself, and empties the log into it.
	err = c.c.Exec("PRAGMA busy_timeout = 500; PRAGMA journal_mode = DELETE;")
	if errors.Is(err, sqlite3.BUSY) || errors.Is(err, sqlite3.LOCKED) {
		err = ErrInUse
	}
	return errors.Join(err, c.close())
}

// copyFile copies a file for its owner alone.
func copyFile(ctx context.Context, from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close() //nolint:errcheck // it was only read
	out, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err = io.Copy(out, in); err == nil {
		err = ctx.Err()
	}
	return errors.Join(err, out.Close())
}

// settleFile makes a file durable under its final name.
func settleFile(from, to string) error {
	for _, step := range []func() error{
		func() error { return syncPath(from) },
		func() error { return os.Rename(from, to) },
		func() error { return syncFolderOf(to) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}
