package postgres

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/dialproof/dialproof/internal/store/tables"
)

// asker is what runs a statement: a connection or the pool.
type asker interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// pgConn is a conn for the time of one context.
type pgConn struct {
	ctx context.Context // it lives as long as one transaction or one read
	a   asker
}

// Query implements tables.Conn.
func (c pgConn) Query(sql string, each func(tables.Row) error, args ...any) error {
	rows, err := c.a.Query(c.ctx, sql, args...)
	if err != nil {
		return err
	}
	return pgRows(rows, each)
}

// Exec implements tables.Conn.
func (c pgConn) Exec(sql string, args ...any) (int64, error) {
	tag, err := c.a.Exec(c.ctx, sql, args...)
	return tag.RowsAffected(), err
}

// noting notes that something was changed.
type noting struct {
	pgConn
	wrote *bool
}

// Exec implements tables.Conn.
func (c noting) Exec(sql string, args ...any) (int64, error) {
	*c.wrote = true
	return c.pgConn.Exec(sql, args...)
}

// pgRows gives each row away.
func pgRows(rows pgx.Rows, each func(tables.Row) error) error {
	defer rows.Close()
	var r pgRow
	for rows.Next() {
		r.values, r.fields = rows.RawValues(), rows.FieldDescriptions()
		if err := each(&r); err != nil {
			return err
		}
	}
	return rows.Err()
}

// pgRow is a row of PostgreSQL as it came over the wire, in either of its two formats.
type pgRow struct {
	values [][]byte
	fields []pgconn.FieldDescription
}

// Int implements tables.Row.
func (r *pgRow) Int(i int) int64 {
	v := r.values[i]
	if r.fields[i].Format != pgtype.BinaryFormatCode {
		n, _ := strconv.ParseInt(string(v), 10, 64)
		return n
	}
	switch len(v) {
	case 2:
		return int64(int16(binary.BigEndian.Uint16(v)))
	case 4:
		return int64(int32(binary.BigEndian.Uint32(v)))
	case 8:
		return int64(binary.BigEndian.Uint64(v))
	}
	return 0
}

// Raw implements tables.Row.
func (r *pgRow) Raw(i int) []byte {
	v := r.values[i]
	if v == nil || r.fields[i].Format == pgtype.BinaryFormatCode || r.fields[i].DataTypeOID != pgtype.ByteaOID {
		return v
	}
	out := make([]byte, hex.DecodedLen(max(len(v)-2, 0)))
	if len(v) < 2 {
		return out
	}
	_, _ = hex.Decode(out, v[2:]) // "\x…" in the text format; the server writes nothing else
	return out
}

// blobArray is an array of bytes as an argument. A plain [][]byte would do, but pgx then looks at each value by
// reflection.
type blobArray [][]byte

// blobValue is one of its values.
type blobValue []byte

var _ pgtype.ArrayGetter = (*blobArray)(nil)

// Dimensions implements pgtype.ArrayGetter.
func (a *blobArray) Dimensions() []pgtype.ArrayDimension {
	return []pgtype.ArrayDimension{{Length: int32(len(*a)), LowerBound: 1}} // as many as a batch has rows
}

// Index implements pgtype.ArrayGetter.
func (a *blobArray) Index(i int) any { return (*blobValue)(&(*a)[i]) }

// IndexType implements pgtype.ArrayGetter.
func (a *blobArray) IndexType() any { return (*blobValue)(nil) }

// BytesValue implements pgtype.BytesValuer.
func (v *blobValue) BytesValue() ([]byte, error) { return *v, nil }

// knowTypes tells pgx what our types are where it does not ask the server (default_query_exec_mode).
func knowTypes(_ context.Context, c *pgx.Conn) error {
	c.TypeMap().RegisterDefaultPgType((*blobArray)(nil), "_bytea")
	return nil
}
