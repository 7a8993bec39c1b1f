package sqlite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/store/row"
	"github.com/dialproof/dialproof/internal/store/sqlite/journal"
	"github.com/dialproof/dialproof/internal/store/tables"
)

// Source is a file as it was at one moment, for a copy of all of it.
type Source struct {
	c     *conn
	j     *journal.Journal
	owner *Engine // nil: a server may be running on it
	ended bool
}

// OpenSource opens a file to be copied: with final as its owner, which finds no server, for the last time; else beside
// one.
func OpenSource(ctx context.Context, path string, final bool) (_ *Source, err error) {
	s := &Source{}
	begin := "BEGIN"
	if final {
		if s.owner, err = Open(ctx, path, Options{Migrate: true}); err != nil {
			return nil, err
		}
		s.c, s.j, begin = s.owner.w, s.owner.j, "BEGIN IMMEDIATE"
	} else {
		g, err := OpenGuest(path)
		if err != nil {
			return nil, err
		}
		if err := g.readers.close(false); err != nil {
			return nil, errors.Join(err, g.w.close())
		}
		s.c, s.j = g.w, journal.New(journal.Options{})
	}
	err = s.c.c.Exec(begin)
	if err == nil && !final {
		err = loadJournal(s.c, s.j)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Page returns the rows of a table after a key, in its order: n of those in the table, and those of the journal among
// them. last is the key up to which they reach, and nil at the end of the table.
func (s *Source) Page(t tables.Table, after []byte, n int) (out [][]any, last []byte, err error) {
	order, from := t.Columns[0], any(after)
	if order == "id" && (t.Name == "verifications" || t.Name == "jobs") {
		order, from = "seq", any(seqOf(after)) // the same order, and the one that there is an index for
	}
	sql := fmt.Sprintf("SELECT %s FROM %s WHERE %s > $1 ORDER BY %[3]s LIMIT %d", strings.Join(t.Columns, ", "), t.Name,
		order, n)
	if err = s.c.Query(sql, func(r tables.Row) error { out = append(out, t.Take(r)); return nil }, from); err != nil {
		return nil, nil, err
	}
	if len(out) == n {
		last = tables.Key(out[n-1])
	}
	out, err = s.overlay(t, out, after, last)
	return out, last, err
}

// overlay puts the rows of the journal between two keys over those of the table.
func (s *Source) overlay(t tables.Table, rows [][]any, after, last []byte) ([][]any, error) {
	kind, ok := map[string]journal.Kind{"verifications": verificationKind, "numbers": numberKind, "jobs": jobKind,
		"limits": limitKind}[t.Name]
	if !ok {
		return rows, nil
	}
	newest := map[string][]any{}
	var bad error
	s.j.Each(kind, func(k journal.Key, b []byte, dropped bool) {
		if bytes.Compare(k.ID[:], after) <= 0 || last != nil && bytes.Compare(k.ID[:], last) > 0 {
			return
		}
		newest[string(k.ID[:])] = nil
		if !dropped {
			values, err := valuesOf(k, b)
			bad = errors.Join(bad, err)
			newest[string(k.ID[:])] = values
		}
	})
	rows = slices.DeleteFunc(rows, func(r []any) bool { _, over := newest[string(tables.Key(r))]; return over })
	for _, r := range newest {
		if r != nil {
			rows = append(rows, r)
		}
	}
	slices.SortFunc(rows, func(a, b []any) int { return bytes.Compare(tables.Key(a), tables.Key(b)) })
	return rows, bad
}

// valuesOf returns a row of the journal as its table would have it.
func valuesOf(k journal.Key, b []byte) ([]any, error) {
	key := slices.Clone(k.ID[:])
	switch k.Kind {
	case verificationKind:
		c, err := row.Split(b)
		if err != nil {
			return nil, err
		}
		return []any{key, slices.Clone(c.App[:]), c.Spec, c.Sealed, int64(c.Status), int64(c.Attempts), c.Expires.UnixMilli(),
			c.State}, nil
	case numberKind:
		last, data, err := row.SplitNumber(b)
		return []any{key, data, last}, err
	case limitKind:
		tat, err := row.ReadLimit(b)
		return []any{key, tat}, err
	}
	j, err := row.ReadJob(k.ID, b)
	if err != nil {
		return nil, err
	}
	return []any{key, j.Kind, j.Due.UnixMilli(), int64(j.Attempt), slices.Clone(j.Ref[:]), j.Payload, leased(j)}, nil
}

// Counters returns the counters and marks of the file.
func (s *Source) Counters() (out map[string]int64, err error) {
	out = map[string]int64{}
	err = s.c.Query("SELECT name, n FROM versions WHERE name <> $1",
		func(r tables.Row) error { out[string(r.Raw(0))] = r.Int(1); return nil }, moved)
	return out, err
}

// End says that a final copy is whole: from now on no server opens the file any more.
func (s *Source) End() error {
	if _, err := s.c.Exec(`INSERT INTO versions (name, n) VALUES ($1, 1) ON CONFLICT (name) DO NOTHING`,
		moved); err != nil {
		return err
	}
	err := s.c.c.Exec("COMMIT")
	s.ended = err == nil
	return err
}

// Close closes the file, and leaves it as it was unless End has been called.
func (s *Source) Close() error {
	var errs []error
	if !s.c.c.GetAutocommit() {
		errs = append(errs, s.c.c.Exec("ROLLBACK"))
	}
	if s.owner != nil {
		return errors.Join(append(errs, s.owner.Close())...)
	}
	return errors.Join(append(errs, s.c.close())...)
}

// Reopen lets servers open a file again that a final copy has closed. What has been written to PostgreSQL since is not
// in it.
func Reopen(path string) error {
	c, err := openConn(path)
	if err != nil {
		return fmt.Errorf("store %s: %w", path, err)
	}
	_, err = c.Exec("DELETE FROM versions WHERE name = $1", moved)
	return errors.Join(err, c.close())
}

// seqOf returns the integer key of an id; -1 for none.
func seqOf(key []byte) int64 {
	var i id.ID
	if copy(i[:], key) != len(i) {
		return -1
	}
	return i.Seq()
}
