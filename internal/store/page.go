package store

import (
	"encoding/binary"
	"fmt"

	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/verify"
)

// rowKey names a row of either table.
type rowKey struct {
	kind rowKind
	key  [16]byte
}

type rowKind byte

// The numbers are in files and never change.
const (
	verificationRow rowKind = 1
	numberRow       rowKind = 2
)

// A page is its rows one after the other: the kind and the key, 4 bytes of length, and the row. A number's row begins with its
// touched, 8 bytes.
const (
	rowHead     = 1 + 16 + 4
	touchedHead = 8
)

// walk calls each with the rows of a page: where in it their bytes are.
func walk(page []byte, each func(k rowKey, begin, end int) error) error {
	for at := 0; at < len(page); {
		if len(page)-at < rowHead {
			return errRow
		}
		k := rowKey{kind: rowKind(page[at]), key: [16]byte(page[at+1:])}
		begin := at + rowHead
		n := binary.BigEndian.Uint32(page[begin-4:])
		if int64(n) > int64(len(page)-begin) {
			return errRow
		}
		at = begin + int(n)
		if err := each(k, begin, at); err != nil {
			return err
		}
	}
	return nil
}

// beginRow begins a row of a page. endRow ends it, with what has been appended meanwhile.
func beginRow(b []byte, k rowKey) ([]byte, int) {
	b = append(append(b, byte(k.kind)), k.key[:]...)
	b = append(b, 0, 0, 0, 0)
	return b, len(b)
}

func endRow(b []byte, begin int) []byte {
	binary.BigEndian.PutUint32(b[begin-4:], uint32(len(b)-begin)) //nolint:gosec // a row is far below 4 GB
	return b
}

func appendPageVerification(b []byte, v *verify.Verification) []byte {
	b, begin := beginRow(b, rowKey{verificationRow, v.ID})
	return endRow(appendVerification(b, v), begin)
}

func appendPageNumber(b []byte, n *verify.Number) []byte {
	b, begin := beginRow(b, rowKey{numberRow, n.Key})
	b = binary.BigEndian.AppendUint64(b, uint64(n.Head.Time().UnixMilli())) //nolint:gosec // times are after 1970
	return endRow(appendNumber(b, n), begin)
}

// writeRow writes a row of a page into its table.
func writeRow(c *liteConn, k rowKey, row []byte) error {
	switch k.kind {
	case verificationRow:
		return writeVerificationRow(c, id.ID(k.key), row)
	case numberRow:
		if len(row) < touchedHead {
			return errRow
		}
		touched := int64(binary.BigEndian.Uint64(row)) //nolint:gosec // as it was appended
		return c.run(litePutNumber, raw(k.key[:]), raw(row[touchedHead:]), num(touched))
	}
	return errRow
}

// writeVerificationRow writes what appendVerification has appended.
func writeVerificationRow(w *liteConn, v id.ID, row []byte) error {
	c, err := splitVerification(string(row))
	if err != nil {
		return fmt.Errorf("verification %s: %w", v.Text(id.Verification), err)
	}
	var sealed value
	if !c.sealed.empty() {
		sealed = raw(row[c.sealed.begin:c.sealed.end])
	}
	return w.run(litePutVerification, num(v.Seq()), raw(v[:]), raw(c.app[:]), raw(row[c.spec.begin:c.spec.end]), sealed, num(int64(c.status)), num(int64(c.attempts)),
		num(c.expires.UnixMilli()), raw(row[c.state.begin:c.state.end]))
}
