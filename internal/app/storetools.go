package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/dialproof/dialproof/internal/config"
	"github.com/dialproof/dialproof/internal/store/sqlite"
	"github.com/dialproof/dialproof/internal/store/transfer"
)

// Backup writes a copy of a deployment's SQLite store to a file, while its server runs.
func Backup(ctx context.Context, cfg config.Config, file string) error {
	return sqlite.Backup(ctx, storePath(cfg), file)
}

// Restore puts a backup in the place of a deployment's SQLite store and answers where the old one is now; empty for
// none.
func Restore(ctx context.Context, cfg config.Config, file string) (before string, err error) {
	if err := makeFolder(cfg.Data); err != nil {
		return "", err
	}
	return sqlite.Restore(ctx, file, storePath(cfg), time.Now())
}

// CopyStore makes the PostgreSQL store of one configuration equal to the SQLite store of another, and says what it did.
func CopyStore(ctx context.Context, from, to config.Config, final bool, out io.Writer) error {
	switch {
	case to.Store.Driver != config.Postgres:
		return errors.New("the target's configuration has store.driver sqlite: it must be postgres")
	case !slices.EqualFunc(from.Keys, to.Keys, sameKey):
		return errors.New("the two configurations have different keys: with others, numbers and codes could not be read")
	}
	o := postgresOptions(to)
	o.Lanes, o.Connections = 1, 4
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "rows\twritten\tremoved\t  table")
	err := transfer.Copy(ctx, storePath(from), o, transfer.Options{Final: final, Tell: func(c transfer.Copied) {
		fmt.Fprintf(t, "%d\t%d\t%d\t  %s\n", c.Rows, c.Written, c.Removed, c.Table)
	}})
	if err != nil {
		return err
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if final {
		fmt.Fprintln(out, "done: start the nodes with the new configuration")
	} else {
		fmt.Fprintln(out, "done: stop the server and copy once more with --final")
	}
	return nil
}

func sameKey(a, b config.Key) bool {
	x, err := a.Bytes()
	y, err2 := b.Bytes()
	return err == nil && err2 == nil && a.ID == b.ID && slices.Equal(x, y)
}

// UncopyStore lets servers open a SQLite store again that a final copy has closed.
func UncopyStore(_ context.Context, cfg config.Config) error {
	return sqlite.Reopen(storePath(cfg))
}

// CheckStore returns what is damaged of a deployment's SQLite store, while its server may run.
func CheckStore(ctx context.Context, cfg config.Config) error {
	return sqlite.Check(ctx, storePath(cfg))
}

// RepairStore takes the damaged segments out of a deployment's SQLite store and says what was lost.
func RepairStore(_ context.Context, cfg config.Config, out io.Writer) error {
	lost, err := sqlite.Repair(storePath(cfg), time.Now())
	if err != nil {
		return err
	}
	if len(lost) == 0 {
		fmt.Fprintln(out, "nothing of the journal is damaged: nothing was changed")
		return nil
	}
	changes := 0
	for _, d := range lost {
		changes += d.Rows
		fmt.Fprintf(out, "segment %d: %d bytes, about %d changes are lost: %v\n", d.Segment, d.Bytes, d.Rows, d.Cause)
	}
	fmt.Fprintf(out, "%d segments with about %d changes were moved to the table quarantine: the server can start\n",
		len(lost), changes)
	return nil
}
