package row

import (
	"encoding/binary"
	"time"

	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/queue"
)

// AppendJob appends a job.
func AppendJob(b []byte, j *queue.Job) []byte {
	b = append(b, binaryRow)
	b = appendText(b, j.Kind)
	b = binary.AppendVarint(b, j.Due.UnixMilli())
	b = appendInt(b, j.Attempt)
	b = appendBool(b, j.Leased)
	b = append(b, j.Ref[:]...)
	return append(b, j.Payload...)
}

// ReadJob reads what AppendJob has appended.
func ReadJob(k id.ID, raw []byte) (*queue.Job, error) {
	if !isBinary(raw) {
		return nil, ErrDamaged
	}
	r := reader{all: string(raw), at: 1}
	j := &queue.Job{ID: k, Kind: r.text(), Due: time.UnixMilli(r.varint()).UTC(), Attempt: r.int(), Leased: r.bool()}
	r.bytes(j.Ref[:])
	if payload := r.next(len(r.all) - r.at); payload != "" {
		j.Payload = []byte(payload)
	}
	return j, r.err
}
