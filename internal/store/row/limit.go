package row

import "encoding/binary"

// AppendLimit appends the state of a limit.
func AppendLimit(b []byte, tat int64) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(tat))
}

// ReadLimit reads what AppendLimit has appended.
func ReadLimit(raw []byte) (tat int64, err error) {
	if len(raw) != 8 {
		return 0, ErrDamaged
	}
	return int64(binary.BigEndian.Uint64(raw)), nil // as it was appended
}
