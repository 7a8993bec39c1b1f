package store

import (
	"fmt"

	"github.com/dialproof/dialproof/internal/deliver"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/queue"
	"github.com/dialproof/dialproof/internal/verify"
)

// The columns of whole rows, in the order in which scan functions take them.
const (
	verificationColumns = `id, app, spec, sealed, status, attempts, expires, state`
	jobColumns          = `id, kind, due, attempt, ref, payload`
)

// dialect is what differs in statements that are else the same.
type dialect struct {
	// key is the column by which rows with an id are found, and keyOf its value: SQLite wants an integer, and with one node
	// the first half of an id is unique; PostgreSQL has many nodes and takes the whole.
	key   string
	keyOf func(id.ID) any
	// lock is what a read appends that holds its row until the commit; empty where there is one writer.
	lock string
	// notify tells other nodes that tenants have changed; empty where there are none.
	notify string

	verification, scan, remembered, job string
}

// newDialect makes the statements.
func newDialect(key, lock string, keyOf func(id.ID) any) *dialect {
	const verifications = `SELECT ` + verificationColumns + ` FROM verifications WHERE `
	return &dialect{
		key: key, keyOf: keyOf, lock: lock,
		verification: verifications + key + ` = $1`,
		scan:         verifications + `app = $1 AND ` + key + ` < $2 ORDER BY ` + key + ` DESC LIMIT $3`,
		remembered:   verifications + key + ` > $1 AND ` + key + ` < $2 AND sealed IS NOT NULL ORDER BY ` + key + ` LIMIT $3`,
		job:          `SELECT ` + jobColumns + ` FROM jobs WHERE ` + key + ` = $1` + lock,
	}
}

// The other reads. Those that end in a key may be followed by a lock.
const (
	sqlReadNumber = `SELECT key, data FROM numbers WHERE key = $1`
	sqlReadLimit  = `SELECT key, tat FROM limits WHERE key = $1`
	sqlReadReplay = `SELECT key, fingerprint, sealed FROM replays WHERE key = $1`
	sqlReadSent   = `SELECT ref, delivery, until FROM sent WHERE key = $1`
)

// statuses numbers the statuses in rows. The order never changes.
var statuses = verify.Statuses() //nolint:gochecknoglobals // a constant table

func statusNumber(s verify.Status) int64 {
	for i, t := range statuses {
		if s == t {
			return int64(i)
		}
	}
	return -1
}

func (d *dialect) readVerification(c conn, v id.ID) (out *verify.Verification, err error) {
	err = c.query(d.verification, func(r row) error {
		found, err := scanVerification(r)
		if err == nil && found.ID == v {
			out = found
		}
		return err
	}, d.keyOf(v))
	return out, err
}

func scanVerification(r row) (*verify.Verification, error) {
	v := &verify.Verification{}
	copy(v.ID[:], r.Raw(0))
	copy(v.App[:], r.Raw(1))
	if err := readSpec(r.Raw(2), &v.Spec); err != nil {
		return nil, fmt.Errorf("verification %s: spec: %w", v.ID.Text(id.Verification), err)
	}
	if err := readState(r.Raw(7), v); err != nil {
		return nil, fmt.Errorf("verification %s: state: %w", v.ID.Text(id.Verification), err)
	}
	v.Sealed = blob(r, 3)
	n := int(r.Int(4))
	if n < 0 || n >= len(statuses) {
		return nil, fmt.Errorf("verification %s: status %d", v.ID.Text(id.Verification), n)
	}
	v.Status, v.Attempts, v.Expires = statuses[n], int(r.Int(5)), milli(r.Int(6))
	return v, nil
}

func readNumber(c conn, lock string, k verify.NumberKey) (n *verify.Number, err error) {
	err = c.query(sqlReadNumber+lock, func(r row) error { n, err = scanNumber(r); return err }, k[:])
	return n, err
}

func scanNumber(r row) (*verify.Number, error) {
	n := &verify.Number{}
	copy(n.Key[:], r.Raw(0))
	return n, decodeNumber(r.Raw(1), n)
}

func readLimit(c conn, lock string, key [16]byte) (tat int64, ok bool, err error) {
	err = c.query(sqlReadLimit+lock, func(r row) error { tat, ok = r.Int(1), true; return nil }, key[:])
	return tat, ok, err
}

func readReplay(c conn, key [32]byte) (out replay, ok bool, err error) {
	err = c.query(sqlReadReplay, func(r row) error { out, ok = scanReplay(r), true; return nil }, key[:])
	return out, ok, err
}

func scanReplay(r row) (out replay) {
	copy(out.fingerprint[:], r.Raw(1))
	out.sealed = blob(r, 2)
	return out
}

func (d *dialect) readJob(c conn, job id.ID) (out *queue.Job, err error) {
	err = c.query(d.job, func(r row) error {
		if j := scanJob(r); j.ID == job {
			out = &j
		}
		return nil
	}, d.keyOf(job))
	return out, err
}

func scanJob(r row) queue.Job {
	j := queue.Job{Kind: string(r.Raw(1)), Due: milli(r.Int(2)), Attempt: int(r.Int(3)), Payload: blob(r, 5)}
	copy(j.ID[:], r.Raw(0))
	copy(j.Ref[:], r.Raw(4))
	return j
}

func readSent(c conn, key [16]byte) (out deliver.Sent, ok bool, err error) {
	err = c.query(sqlReadSent, func(r row) error {
		copy(out.Ref[:], r.Raw(0))
		copy(out.Delivery[:], r.Raw(1))
		out.Until, ok = milli(r.Int(2)), true
		return nil
	}, key[:])
	return out, ok, err
}
