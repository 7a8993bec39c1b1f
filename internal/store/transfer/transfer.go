// Package transfer makes a PostgreSQL store equal to a SQLite store. It is no backup, and never copies the other way.
package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/dialproof/dialproof/internal/store/postgres"
	"github.com/dialproof/dialproof/internal/store/row"
	"github.com/dialproof/dialproof/internal/store/sqlite"
	"github.com/dialproof/dialproof/internal/store/tables"
	"github.com/dialproof/dialproof/internal/verify"
)

// Copied is what a Copy did to one table.
type Copied struct {
	Table string
	// Rows is how many the source has; Written, how many of them were new to the target or differed; Removed, how many the
	// target had and the source has not.
	Rows, Written, Removed int
}

// Options says how to copy.
type Options struct {
	// Final takes the source over, which no server may run on, and closes it: afterwards no server opens it any more.
	Final bool
	// Tell is told of each table; may be nil.
	Tell func(Copied)
}

// step is how many rows are compared at once.
const step = 500

// Copy makes a PostgreSQL store equal to a SQLite store. It writes only what differs, so it can be run again and again:
// first while a server works on the source, which takes its time, and then, with the server stopped, once with Final,
// which is short. No node may run on the target.
func Copy(ctx context.Context, path string, to postgres.Options, o Options) (err error) {
	src, err := sqlite.OpenSource(ctx, path, o.Final)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	to.Create = true
	dst, err := postgres.Open(ctx, to)
	if err != nil {
		return fmt.Errorf("the target: %w", err)
	}
	defer dst.Close() //nolint:errcheck // what matters is durable in the target
	if err := dst.Quiet(ctx); err != nil {
		return err
	}
	c := &copier{src: src, dst: dst, tell: o.Tell}
	if err := c.all(ctx); err != nil || !o.Final {
		return err
	}
	return src.End()
}

// copier copies one moment of the source.
type copier struct {
	src  *sqlite.Source
	dst  *postgres.Engine
	tell func(Copied)
}

func (c *copier) all(ctx context.Context) error {
	for _, t := range tables.All() {
		done, err := c.table(ctx, t)
		if err != nil {
			return fmt.Errorf("%s: %w", t.Name, err)
		}
		if c.tell != nil {
			c.tell(done)
		}
	}
	counters, err := c.src.Counters()
	for name, n := range counters {
		if err == nil {
			err = c.dst.SetCounter(ctx, name, n)
		}
	}
	return err
}

// table walks through both sides in the order of the key, a step at a time.
func (c *copier) table(ctx context.Context, t tables.Table) (done Copied, err error) {
	done.Table = t.Name
	for after, more := []byte{}, true; more; {
		page, last, err := c.src.Page(t, after, step)
		if err != nil {
			return done, err
		}
		if more = last != nil; !more {
			last = bytes.Repeat([]byte{0xff}, 64) // past every key
		}
		written, removed, err := c.equal(ctx, t, page, after, last)
		if err != nil {
			return done, err
		}
		done.Rows, done.Written, done.Removed = done.Rows+len(page), done.Written+written, done.Removed+removed
		after = last
	}
	return done, nil
}

// equal makes the target's rows of a span of keys those of the page.
func (c *copier) equal(ctx context.Context, t tables.Table, page [][]any, after,
	last []byte) (written, removed int, err error) {
	t, page, err = only(t, page)
	if err != nil {
		return 0, 0, err
	}
	there, err := c.dst.Span(ctx, t, after, last)
	if err != nil {
		return 0, 0, err
	}
	var put [][]any
	for _, values := range page {
		key := string(tables.Key(values))
		kept := there[key]
		delete(there, key)
		if kept == nil || !same(kept, values) {
			put = append(put, values)
		}
	}
	var gone [][]byte
	for key := range there {
		gone = append(gone, []byte(key))
	}
	return len(put), len(gone), c.dst.Replace(ctx, t, put, gone)
}

// only adds what PostgreSQL alone has a column for: the number of a verification, which SQLite has in spec.
func only(t tables.Table, page [][]any) (tables.Table, [][]any, error) {
	if t.Name != "verifications" {
		return t, page, nil
	}
	t.Columns, t.Kinds = append(slices.Clone(t.Columns), "number"), t.Kinds+"b"
	for i, values := range page {
		var s verify.Spec
		raw, _ := values[2].([]byte)
		if err := row.ReadSpec(raw, &s); err != nil {
			return t, nil, err
		}
		number := []byte(nil)
		if s.Number != (verify.NumberKey{}) {
			number = s.Number[:]
		}
		page[i] = append(values, number)
	}
	return t, page, nil
}

func same(a, b []any) bool {
	return slices.EqualFunc(a, b, func(x, y any) bool {
		if p, ok := x.([]byte); ok {
			q, ok := y.([]byte)
			return ok && bytes.Equal(p, q) && (p == nil) == (q == nil)
		}
		return x == y
	})
}
