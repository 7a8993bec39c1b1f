package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/dialproof/dialproof/internal/store/tables"
)

// ErrRunning is returned when nodes work on the target of a copy.
var ErrRunning = errors.New("nodes are running on the target: stop them first, the copy would undo their work")

// quietMillis is how long ago a lane may have counted and still be somebody's: idle nodes write once a minute.
const quietMillis = 130_000

// Quiet returns ErrRunning unless no other node works on the database.
func (e *Engine) Quiet(ctx context.Context) error {
	own := make([][]byte, len(e.lane))
	for i, l := range e.lane {
		own[i] = l.id[:]
	}
	var others int64
	err := pgConn{ctx, e.pool}.Query(`SELECT count(*) FROM lanes WHERE id <> ALL($1::bytea[]) AND seen > $2`,
		func(r tables.Row) error {
			others = r.Int(0)
			return nil
		}, own, e.Now().UnixMilli()-quietMillis)
	if err == nil && others > 0 {
		err = ErrRunning
	}
	return err
}

// Span returns the rows of a table between two keys, by their keys.
func (e *Engine) Span(ctx context.Context, t tables.Table, after, last []byte) (map[string][]any, error) {
	there := map[string][]any{}
	sql := fmt.Sprintf("SELECT %s FROM %s WHERE %s > $1 AND %[3]s <= $2", strings.Join(t.Columns, ", "), t.Name,
		t.Columns[0])
	err := e.read(ctx, func(db tables.Conn) error {
		clear(there)
		return db.Query(sql, func(r tables.Row) error {
			values := t.Take(r)
			there[string(r.Raw(0))] = values
			return nil
		}, after, last)
	})
	return there, err
}

// Replace writes and removes rows of a table in one transaction.
func (e *Engine) Replace(ctx context.Context, t tables.Table, put [][]any, gone [][]byte) error {
	rows, drop := newColumns(t.Kinds), newColumns("b")
	for _, values := range put {
		rows.add(values)
	}
	for _, key := range gone {
		drop.blobs(0, key)
	}
	steps := add(nil, upsert(t), rows)
	steps = add(steps, fmt.Sprintf("DELETE FROM %s WHERE %s = ANY($1::bytea[])", t.Name, t.Columns[0]), drop)
	if len(steps) == 0 {
		return nil
	}
	held, err := e.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer held.Release()
	x := &pgTx{e: e, ctx: ctx, c: held.Conn()}
	if err := x.pipeline(append(append([]pgStep{{sql: sqlBegin}}, steps...), pgStep{sql: "COMMIT"})); err != nil {
		_, err = x.undo(err)
		return err
	}
	return nil
}

// SetCounter sets a counter or mark.
func (e *Engine) SetCounter(ctx context.Context, name string, n int64) error {
	_, err := e.pool.Exec(ctx,
		`INSERT INTO versions (name, n) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET n = excluded.n`, name, n)
	return err
}

// add adds the values of a row.
func (c columns) add(values []any) {
	for i, v := range values {
		switch v := v.(type) {
		case []byte:
			c.blobs(i, v)
		case string:
			c.texts(i, v)
		case int64:
			c.ints(i, v)
		}
	}
}

// upsert returns the statement that writes rows, whether they are there or not.
func upsert(t tables.Table) string {
	arrays, sets := make([]string, len(t.Columns)), make([]string, 0, len(t.Columns))
	for i, column := range t.Columns {
		arrays[i] = fmt.Sprintf("$%d::%s[]", i+1, map[byte]string{'b': "bytea", 't': "text", 'i': "bigint"}[t.Kinds[i]])
		if i > 0 {
			sets = append(sets, column+" = excluded."+column)
		}
	}
	return fmt.Sprintf("INSERT INTO %s (%s) SELECT * FROM unnest(%s) ON CONFLICT (%s) DO UPDATE SET %s",
		t.Name, strings.Join(t.Columns, ", "), strings.Join(arrays, ", "), t.Columns[0], strings.Join(sets, ", "))
}
