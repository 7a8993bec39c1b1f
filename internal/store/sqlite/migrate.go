package sqlite

import (
	"embed"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"slices"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/queue"
	"github.com/dialproof/dialproof/internal/store/row"
	"github.com/dialproof/dialproof/internal/store/sqlite/journal"
	"github.com/dialproof/dialproof/internal/store/tables"
	"github.com/dialproof/dialproof/internal/verify"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// migration is one step of the schema; steps are numbered from 1 by their order, and each is one transaction.
type migration struct {
	name, text string
	// then does what SQL cannot, in the same transaction; nil: nothing.
	then func(*conn) error
}

// migrations returns the steps.
func migrations() ([]migration, error) {
	names, err := fs.Glob(migrationFiles, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	then := map[string]func(*conn) error{"0005_segments.sql": foldPages}
	out := make([]migration, len(names))
	for i, name := range names {
		text, err := migrationFiles.ReadFile(name)
		if err != nil {
			return nil, err
		}
		out[i] = migration{path.Base(name), string(text), then[path.Base(name)]}
	}
	return out, nil
}

// ErrSchema is returned for a file of another version.
var ErrSchema = errors.New("the store has the schema of another version")

// migrate brings the schema up to date, under the write lock. Unless it may, only a file without any schema is.
func migrate(c *conn, may bool, log *slog.Logger) error {
	all, err := migrations()
	if err != nil {
		return err
	}
	return migrateTo(c, all, may, log)
}

func migrateTo(c *conn, all []migration, may bool, log *slog.Logger) error {
	begin, err := version(c)
	switch {
	case err != nil:
		return err
	case begin > len(all):
		return fmt.Errorf("%w: it was changed by a newer Dialproof (schema %d, this one knows %d): run that one", ErrSchema,
			begin, len(all))
	case begin > 0 && begin < len(all) && !may:
		return fmt.Errorf(
			"%w: it is of an older Dialproof (schema %d, this one needs %d): start the server, or run `dialproof migrate`",
			ErrSchema,
			begin,
			len(all),
		)
	}
	if begin == 0 { // a new file has all of its schema or none
		err = transact(c, func() error { return takeSteps(c, all, 0) })
	} else {
		for i := begin; i < len(all) && err == nil; i++ {
			err = transact(c, func() error { return takeSteps(c, all[:i+1], i) })
		}
	}
	if err != nil {
		return err
	}
	if log != nil && begin < len(all) {
		log.Info("store schema migrated", "from", begin, "to", len(all))
	}
	return nil
}

// takeSteps takes the steps from one on, in the transaction that runs, unless another process has taken them meanwhile.
func takeSteps(c *conn, all []migration, from int) error {
	at, err := version(c)
	if err != nil {
		return err
	}
	for i := max(at, from); i < len(all); i++ {
		m := all[i]
		err := c.c.Exec(m.text + fmt.Sprintf(";\nPRAGMA user_version = %d", i+1))
		if err == nil && m.then != nil {
			err = m.then(c)
		}
		if err != nil {
			return fmt.Errorf("migration %s: %w", m.name, err)
		}
	}
	return nil
}

func version(c *conn) (n int, err error) {
	err = c.Query("PRAGMA user_version", func(r tables.Row) error { n = int(r.Int(0)); return nil })
	return n, err
}

// foldPages compacts the journal of schema 4 and gives every message that is on its way the job that it had in the
// memory of the process alone.
func foldPages(c *conn) error {
	if err := c.Query(`SELECT page FROM journal ORDER BY seq`, func(r tables.Row) error {
		return walkPage(tables.Blob(r, 0), func(k journal.Key, raw []byte) error { return foldRow(c, k, raw) })
	}); err != nil {
		return fmt.Errorf("the journal: %w", err)
	}
	found, err := orphans(c)
	if err != nil {
		return err
	}
	for _, j := range found {
		if _, err := c.Exec(sqlPutJob, j.ID.Seq(), j.ID[:], j.Kind, j.Due.UnixMilli(), int64(j.Attempt), j.Ref[:], j.Payload,
			int64(0)); err != nil {
			return err
		}
	}
	// Which messages a dead process had in hand is not known: all are due. Timers keep their time.
	if _, err := c.Exec(`UPDATE jobs SET due = min(due, $1) WHERE kind = $2`, time.Now().UnixMilli(),
		verify.JobKind); err != nil {
		return err
	}
	return c.c.Exec("DROP TABLE journal")
}

// walkPage calls each with the rows of a page of schema 4: the kind and the key, 4 bytes of length, and the row.
func walkPage(page []byte, each func(k journal.Key, raw []byte) error) error {
	const head = 1 + 16 + 4
	for len(page) > 0 {
		if len(page) < head {
			return row.ErrDamaged
		}
		n := int64(binary.BigEndian.Uint32(page[head-4:]))
		if n > int64(len(page)-head) {
			return row.ErrDamaged
		}
		if err := each(journal.Key{Kind: journal.Kind(page[0]), ID: [16]byte(page[1:])}, page[head:head+n]); err != nil {
			return err
		}
		page = page[head+n:]
	}
	return nil
}

func foldRow(c *conn, k journal.Key, b []byte) error {
	switch k.Kind {
	case verificationKind:
		return putVerification(c, k.ID, b)
	case numberKind:
		last, data, err := row.SplitNumber(b)
		if err != nil {
			return err
		}
		return c.run(sqlPutNumber, raw(k.ID[:]), raw(data), num(last))
	}
	return row.ErrDamaged
}

// longestLife is longer than any verification lives: older ones have nothing left to send.
const longestLife = time.Hour

const (
	sqlNewest  = `SELECT max(seq) FROM verifications`
	sqlSending = `SELECT ` + tables.VerificationColumns + ` FROM verifications WHERE seq >= $1 AND instr(CAST(state ` +
		`AS BLOB), CAST($2 AS BLOB)) > 0 ORDER BY seq`
	sqlHeld = `SELECT id, payload FROM jobs`
)

// orphans returns a job, due now, for each delivery of a recent verification that is being sent and has none.
func orphans(c *conn) (out []queue.Job, err error) {
	var newest int64
	if err := c.Query(sqlNewest, func(r tables.Row) error { newest = r.Int(0); return nil }); err != nil || newest == 0 {
		return nil, err
	}
	held := map[id.ID]bool{} // deliveries that a job is about
	if err := c.Query(sqlHeld, func(r tables.Row) error {
		held[id.ID(r.Raw(0))] = true
		if payload := r.Raw(1); len(payload) == len(id.ID{}) {
			held[id.ID(payload)] = true
		}
		return nil
	}); err != nil {
		return nil, err
	}
	since := newest - longestLife.Milliseconds()<<16 // the first 48 bits of an id are milliseconds
	now := time.Now()
	err = c.Query(sqlSending, func(r tables.Row) error {
		v, err := tables.ScanVerification(r)
		if err != nil {
			return err
		}
		for _, d := range v.Deliveries {
			if d.Status == channel.Sending && !held[d.ID] {
				out = append(out, queue.Job{ID: d.ID, Kind: verify.JobKind, Due: now, Attempt: d.Attempt, Ref: v.ID})
			}
		}
		return nil
	}, since, string(channel.Sending)) // a glance at the bytes spares reading nearly all
	return out, err
}

// usable returns ErrMoved for a file that a final copy has closed.
func usable(c *conn) error {
	return c.Query(`SELECT n FROM versions WHERE name = $1`, func(tables.Row) error { return ErrMoved }, moved)
}

// moved is the name in versions of a file that a final copy has closed.
const moved = "moved to PostgreSQL"

// ErrMoved is returned for a file whose content has moved to PostgreSQL.
var ErrMoved = errors.New("this store has moved to PostgreSQL; `dialproof store copy --undo` takes that back")
