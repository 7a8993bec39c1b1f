package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// Key names a row: its kind, and its key within the kind.
type Key struct {
	Kind Kind
	ID   [16]byte
}

// Kind is a kind of rows. The numbers are in files and never change.
type Kind byte

// ErrDamaged is returned for a segment whose bytes are not those that were written.
var ErrDamaged = errors.New("the segment is damaged")

// A segment is a head and rows, one after the other. The head is the format and a checksum (CRC-32C) of all that
// follows. A row is its kind and key, 4 bytes of length, and its bytes; the length gone stands for a row that is
// dropped.
const (
	format      = 2
	segmentHead = 1 + 4
	rowHead     = 1 + 16 + 4
	gone        = 1<<32 - 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Begin begins a segment in the memory of b.
func Begin(b []byte) []byte { return append(b[:0], format, 0, 0, 0, 0) }

// Empty reports whether a segment has no rows yet.
func Empty(segment []byte) bool { return len(segment) <= segmentHead }

// BeginRow begins a row; what is appended until EndRow is its bytes.
func BeginRow(segment []byte, k Key) (_ []byte, begin int) {
	segment = appendHead(segment, k, 0)
	return segment, len(segment)
}

// EndRow ends the row that began at begin.
func EndRow(segment []byte, begin int) []byte {
	binary.BigEndian.PutUint32(segment[begin-4:], uint32(len(segment)-begin)) // a row is far below 4 GB
	return segment
}

// AppendGone appends that a row is dropped.
func AppendGone(segment []byte, k Key) []byte { return appendHead(segment, k, gone) }

func appendHead(segment []byte, k Key, n uint32) []byte {
	segment = append(append(segment, byte(k.Kind)), k.ID[:]...)
	return binary.BigEndian.AppendUint32(segment, n)
}

// Seal writes the checksum, once all rows are there.
func Seal(segment []byte) { binary.BigEndian.PutUint32(segment[1:], sum(segment)) }

func sum(segment []byte) uint32 { return crc32.Checksum(segment[segmentHead:], castagnoli) }

// Verify returns ErrDamaged unless a segment is as Seal left it.
func Verify(segment []byte) error {
	switch {
	case len(segment) < segmentHead:
		return fmt.Errorf("%w: it has %d bytes", ErrDamaged, len(segment))
	case segment[0] != format:
		return fmt.Errorf("%w: its format is %d", ErrDamaged, segment[0])
	case binary.BigEndian.Uint32(segment[1:]) != sum(segment):
		return fmt.Errorf("%w: its checksum is wrong", ErrDamaged)
	}
	return Walk(segment, func(Key, int, int) error { return nil })
}

// Walk calls each with the rows of a segment: where in it their bytes are. A dropped row has end < begin.
func Walk(segment []byte, each func(k Key, begin, end int) error) error {
	for at := segmentHead; at < len(segment); {
		if len(segment)-at < rowHead {
			return ErrDamaged
		}
		k := Key{Kind: Kind(segment[at]), ID: [16]byte(segment[at+1:])}
		begin := at + rowHead
		n := binary.BigEndian.Uint32(segment[begin-4:])
		end := begin - 1
		if at = begin; n != gone {
			if int64(n) > int64(len(segment)-begin) {
				return ErrDamaged
			}
			end = begin + int(n)
			at = end
		}
		if err := each(k, begin, end); err != nil {
			return err
		}
	}
	return nil
}
