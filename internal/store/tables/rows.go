package tables

import (
	"fmt"

	"github.com/dialproof/dialproof/internal/deliver"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/queue"
	"github.com/dialproof/dialproof/internal/store"
	"github.com/dialproof/dialproof/internal/store/row"
	"github.com/dialproof/dialproof/internal/verify"
)

// The columns of whole rows, in the order in which the Scan functions take them.
const (
	VerificationColumns = `id, app, spec, sealed, status, attempts, expires, state`
	JobColumns          = `id, kind, due, attempt, ref, payload, leased`
)

// Dialect is what differs in statements that are else the same.
type Dialect struct {
	// key is the column by which rows with an id are found, and keyOf its value: SQLite wants an integer, and with one
	// node the first half of an id is unique; PostgreSQL has many nodes and takes the whole.
	key   string
	keyOf func(id.ID) any
	// lock is what a read appends that holds its row until the commit; empty where there is one writer.
	lock string
	// notify tells other nodes that tenants have changed; empty where there are none.
	notify string

	verification, scan, remembered, job string
}

// NewDialect makes the statements.
func NewDialect(key, lock, notify string, keyOf func(id.ID) any) *Dialect {
	const verifications = `SELECT ` + VerificationColumns + ` FROM verifications WHERE `
	return &Dialect{
		key: key, keyOf: keyOf, lock: lock, notify: notify,
		verification: verifications + key + ` = $1`,
		scan:         verifications + `app = $1 AND ` + key + ` < $2 ORDER BY ` + key + ` DESC LIMIT $3`,
		remembered:   verifications + key + ` > $1 AND ` + key + ` < $2 AND sealed IS NOT NULL ORDER BY ` + key + ` LIMIT $3`,
		job:          `SELECT ` + JobColumns + ` FROM jobs WHERE ` + key + ` = $1` + lock,
	}
}

// The other reads. Those that end in a key may be followed by a lock.
const (
	sqlReadNumber = `SELECT key, data FROM numbers WHERE key = $1`
	sqlReadLimit  = `SELECT key, tat FROM limits WHERE key = $1`
	sqlReadReplay = `SELECT key, fingerprint, sealed, until FROM replays WHERE key = $1`
	sqlReadSent   = `SELECT ref, delivery, until FROM sent WHERE key = $1`
)

// Verification reads a row, or nil.
func (d *Dialect) Verification(c Conn, v id.ID) (out *verify.Verification, err error) {
	err = c.Query(d.verification, func(r Row) error {
		found, err := ScanVerification(r)
		if err == nil && found.ID == v {
			out = found
		}
		return err
	}, d.keyOf(v))
	return out, err
}

// ScanVerification reads VerificationColumns.
func ScanVerification(r Row) (*verify.Verification, error) {
	v := &verify.Verification{}
	copy(v.ID[:], r.Raw(0))
	copy(v.App[:], r.Raw(1))
	if err := row.ReadSpec(r.Raw(2), &v.Spec); err != nil {
		return nil, fmt.Errorf("verification %s: spec: %w", v.ID.Text(id.Verification), err)
	}
	if err := row.ReadState(r.Raw(7), v); err != nil {
		return nil, fmt.Errorf("verification %s: state: %w", v.ID.Text(id.Verification), err)
	}
	v.Sealed = Blob(r, 3)
	status, ok := row.Status(r.Int(4))
	if !ok {
		return nil, fmt.Errorf("verification %s: status %d", v.ID.Text(id.Verification), r.Int(4))
	}
	v.Status, v.Attempts, v.Expires = status, int(r.Int(5)), Milli(r.Int(6))
	return v, nil
}

// Number reads a row, or nil.
func (d *Dialect) Number(c Conn, k verify.NumberKey) (*verify.Number, error) {
	return readNumber(c, d.lock, k)
}

func readNumber(c Conn, lock string, k verify.NumberKey) (n *verify.Number, err error) {
	err = c.Query(sqlReadNumber+lock, func(r Row) error { n, err = ScanNumber(r); return err }, k[:])
	return n, err
}

// ScanNumber reads key and data.
func ScanNumber(r Row) (*verify.Number, error) {
	n := &verify.Number{}
	copy(n.Key[:], r.Raw(0))
	return n, row.DecodeNumber(r.Raw(1), n)
}

// Limit reads a row.
func (d *Dialect) Limit(c Conn, key [16]byte) (tat int64, ok bool, err error) {
	err = c.Query(sqlReadLimit+d.lock, func(r Row) error { tat, ok = r.Int(1), true; return nil }, key[:])
	return tat, ok, err
}

// Replay reads a row.
func (d *Dialect) Replay(c Conn, key [32]byte) (out store.Replay, ok bool, err error) {
	err = c.Query(sqlReadReplay, func(r Row) error { out, ok = ScanReplay(r), true; return nil }, key[:])
	return out, ok, err
}

// ScanReplay reads key, fingerprint, sealed and until.
func ScanReplay(r Row) (out store.Replay) {
	copy(out.Fingerprint[:], r.Raw(1))
	out.Sealed, out.Until = Blob(r, 2), r.Int(3)
	return out
}

// Job reads a row, or nil.
func (d *Dialect) Job(c Conn, job id.ID) (out *queue.Job, err error) {
	err = c.Query(d.job, func(r Row) error {
		if j := ScanJob(r); j.ID == job {
			out = &j
		}
		return nil
	}, d.keyOf(job))
	return out, err
}

// ScanJob reads JobColumns.
func ScanJob(r Row) queue.Job {
	j := queue.Job{
		Kind:    string(r.Raw(1)),
		Due:     Milli(r.Int(2)),
		Attempt: int(r.Int(3)),
		Payload: Blob(r, 5),
		Leased:  r.Int(6) != 0,
	}
	copy(j.ID[:], r.Raw(0))
	copy(j.Ref[:], r.Raw(4))
	return j
}

func readSent(c Conn, key [16]byte) (out deliver.Sent, ok bool, err error) {
	err = c.Query(sqlReadSent, func(r Row) error {
		copy(out.Ref[:], r.Raw(0))
		copy(out.Delivery[:], r.Raw(1))
		out.Until, ok = Milli(r.Int(2)), true
		return nil
	}, key[:])
	return out, ok, err
}
