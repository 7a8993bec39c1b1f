package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/queue"
	"github.com/dialproof/dialproof/internal/store"
	"github.com/dialproof/dialproof/internal/store/sqlite/journal"
	"github.com/dialproof/dialproof/internal/store/tables"
	"github.com/dialproof/dialproof/internal/verify"
)

// Guest is a file that another process may own: it reads everything, changes tenants, and makes events. Numbers,
// verifications and jobs are the owner's to change.
type Guest struct {
	tables.Reader
	w       *conn
	readers readers
}

var _ store.Engine = (*Guest)(nil)

// errOwners is returned for work on rows that only the owner changes.
var errOwners = errors.New("only the server that runs on this store changes verifications")

// OpenGuest opens a file, which is made when there is none. One of another version is refused.
func OpenGuest(path string) (*Guest, error) {
	c, err := openConn(path)
	if err != nil {
		return nil, fmt.Errorf("store %s: %w", path, err)
	}
	if err = migrate(c, false, nil); err == nil {
		err = usable(c)
	}
	if err != nil {
		return nil, fmt.Errorf("store %s: %w", path, errors.Join(err, c.close()))
	}
	g := &Guest{w: c, readers: newReaders(path)}
	g.Reader = tables.Reader{Dialect: dialect(), Run: g.readers.run}
	return g, nil
}

// journal returns the segments of the file at this moment.
func (g *Guest) journal(ctx context.Context) (j *journal.Journal, err error) {
	err = g.Read(ctx, func(c tables.Conn) error {
		j = journal.New(journal.Options{Spread: map[journal.Kind]bool{numberKind: true}})
		return loadJournal(c, j)
	})
	return j, err
}

// whole returns a DamagedError unless all segments are as they were written.
func (g *Guest) whole() error { return loadJournal(g.w, journal.New(journal.Options{})) }

// Writers implements store.Engine.
func (g *Guest) Writers() int { return 1 }

// Now implements store.Engine.
func (g *Guest) Now() time.Time { return time.Now() }

// Close implements store.Engine.
func (g *Guest) Close() error { return errors.Join(g.readers.close(false), g.w.close()) }

// Commit implements store.Engine.
func (g *Guest) Commit(_ context.Context, _ int, b *store.Batch) error {
	return transact(g.w, func() error {
		if err := b.Run(visiting{tables.Tables{Conn: g.w, Dialect: g.Dialect}}); err != nil {
			return err
		}
		for i := range b.Events {
			if err := tables.AddEvent(g.w, &b.Events[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

// visiting is a transaction of a guest.
type visiting struct{ tables.Tables }

// Number implements store.Tx.
func (visiting) Number(verify.NumberKey) (*verify.Number, error) { return nil, errOwners }

// Verification implements store.Tx.
func (visiting) Verification(id.ID) (*verify.Verification, error) { return nil, errOwners }

// Job implements store.Tx.
func (visiting) Job(id.ID) (*queue.Job, error) { return nil, errOwners }

// Due implements store.Tx.
func (visiting) Due(string, time.Time, int) ([]queue.Job, error) { return nil, errOwners }

// Limit implements store.Tx.
func (visiting) Limit([16]byte) (int64, bool, error) { return 0, false, errOwners }

// Replay implements store.Tx.
func (visiting) Replay([32]byte) (store.Replay, bool, error) { return store.Replay{}, false, errOwners }

// Purge implements store.Tables.
func (visiting) Purge(store.Purged, int64, time.Time) (int, int64, error) { return 0, 0, errOwners }

// Find implements verify.Store.
func (g *Guest) Find(ctx context.Context, v id.ID) (*verify.Verification, error) {
	j, err := g.journal(ctx)
	if err != nil {
		return nil, err
	}
	if raw, ok := j.Find(verificationKey(v)); ok {
		return readVerification(v, raw)
	}
	return g.Reader.Find(ctx, v)
}

// NumberRow implements verify.Store.
func (g *Guest) NumberRow(ctx context.Context, k verify.NumberKey) (*verify.Number, error) {
	j, err := g.journal(ctx)
	if err != nil {
		return nil, err
	}
	if raw, ok := j.Find(numberKey(k)); ok {
		return readNumber(k, raw)
	}
	return g.Reader.NumberRow(ctx, k)
}

// Scan implements verify.Store.
func (g *Guest) Scan(ctx context.Context, app, before id.ID, yield func(*verify.Verification) bool) error {
	j, err := g.journal(ctx)
	if err != nil {
		return err
	}
	return scan(ctx, g.Reader, j, app, before, yield)
}

// Last implements store.Reader.
func (g *Guest) Last(ctx context.Context) (id.ID, error) {
	j, err := g.journal(ctx)
	if err != nil {
		return id.ID{}, err
	}
	return last(ctx, g.Reader, j)
}

// Depth implements queue.Store.
func (g *Guest) Depth(ctx context.Context, now time.Time) (queue.Depth, error) {
	out := newJobs()
	err := g.Read(ctx, func(c tables.Conn) error {
		j := journal.New(journal.Options{})
		if err := loadJournal(c, j); err != nil {
			return err
		}
		all, _, err := allJobs(c, j)
		out = newJobs()
		for _, job := range all {
			out.put(job)
		}
		return err
	})
	return out.depth(now), err
}

// Describe implements store.Describer.
func (g *Guest) Describe(context.Context) (store.Facts, error) {
	f := store.Facts{Summary: "SQLite"}
	if err := g.whole(); err != nil {
		f.Wrong = append(f.Wrong, err.Error())
	}
	return f, nil
}
