package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/dialproof/dialproof/internal/store/sqlite/journal"
	"github.com/dialproof/dialproof/internal/store/tables"
)

const (
	sqlSegments   = `SELECT seq, segment FROM segments ORDER BY seq`
	sqlQuarantine = `INSERT INTO quarantine (seq, segment, at) SELECT seq, segment, $1 FROM segments WHERE seq = $2`
	sqlDropOne    = `DELETE FROM segments WHERE seq = $1`
)

// Damage is a segment of a file whose bytes are not those that were written.
type Damage struct {
	Segment int64
	Bytes   int
	// Rows is how many rows it seems to have: changes that were acknowledged, and that are lost without it.
	Rows  int
	Cause error
}

// DamagedError is returned for a file with damaged segments. What else is in the file is not touched.
type DamagedError struct{ Damage []Damage }

// Error says what to do.
func (e *DamagedError) Error() string {
	rows := 0
	for _, d := range e.Damage {
		rows += d.Rows
	}
	first := e.Damage[0]
	return fmt.Sprintf(
		"%d of the segments of acknowledged changes are damaged (the first is %d, with about %d bytes: %v), about %d "+
			"changes: "+
			"restore a backup, or see what is lost with `dialproof store check` and go on without it with `dialproof store "+
			"repair`", len(e.Damage), first.Segment, first.Bytes, first.Cause, rows)
}

// Unwrap returns journal.ErrDamaged.
func (e *DamagedError) Unwrap() error { return journal.ErrDamaged }

// loadJournal reads the segments of a file. Those that are damaged are the error, and missing in the journal.
func loadJournal(c tables.Conn, j *journal.Journal) error {
	var found []Damage
	err := c.Query(sqlSegments, func(r tables.Row) error {
		segment := tables.Blob(r, 1)
		err := j.Load(r.Int(0), segment)
		if err == nil {
			return nil
		}
		if !errors.Is(err, journal.ErrDamaged) {
			return err
		}
		found = append(found, Damage{Segment: r.Int(0), Bytes: len(segment), Rows: rowsIn(segment), Cause: err})
		return nil
	})
	if err != nil {
		return fmt.Errorf("the journal: %w", err)
	}
	if len(found) > 0 {
		return &DamagedError{found}
	}
	return nil
}

// rowsIn counts the rows of a segment as far as it can be read.
func rowsIn(segment []byte) (n int) {
	// it is damaged: what can be read counts
	_ = journal.Walk(segment, func(journal.Key, int, int) error { n++; return nil })
	return n
}

// Check returns what is damaged of a file, which a server may have open. It reads all of it.
func Check(ctx context.Context, path string) error {
	if _, err := os.Stat(path); err != nil {
		return err
	}
	g, err := OpenGuest(path)
	if err != nil {
		return err
	}
	g.w.c.SetInterrupt(ctx)
	said := ""
	err = g.w.Query("PRAGMA integrity_check(1)", func(r tables.Row) error { said = string(r.Raw(0)); return nil })
	if err == nil && said != "ok" {
		err = fmt.Errorf("the file is damaged: %s: restore a backup", said)
	}
	return errors.Join(err, g.whole(), g.Close())
}

// Repair takes the damaged segments of a file out of its journal, so that it can be opened without them. They are kept
// in the table quarantine. No server may have the file open. It returns what was taken out.
func Repair(path string, now time.Time) (out []Damage, err error) {
	owner, err := own(path)
	if err != nil {
		return nil, fmt.Errorf("store %s: %w", path, err)
	}
	defer func() { err = errors.Join(err, owner.Close()) }()
	c, err := openConn(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	err = transact(c, func() error {
		var bad *DamagedError
		if err := loadJournal(c, journal.New(journal.Options{})); !errors.As(err, &bad) {
			return err
		}
		out = bad.Damage
		for _, d := range out {
			if err := quarantine(c, d.Segment, now); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

func quarantine(c *conn, seq int64, now time.Time) error {
	if _, err := c.Exec(sqlQuarantine, now.UnixMilli(), seq); err != nil {
		return err
	}
	return c.run(sqlDropOne, num(seq))
}
