package store

import (
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/ncruces/go-sqlite3"

	"github.com/dialproof/dialproof/internal/deliver"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/queue"
	"github.com/dialproof/dialproof/internal/verify"
)

const (
	sqlReadVerification = `SELECT id, app, spec, sealed, status, attempts, expires, state FROM verifications WHERE seq = ?`
	sqlNewVerification  = `INSERT INTO verifications (seq, id, app, spec, sealed, status, attempts, expires, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`
	sqlSetVerification  = `UPDATE verifications SET status = ?, attempts = ?, expires = ?, state = ? WHERE seq = ?`
	sqlScan             = `SELECT id, app, spec, sealed, status, attempts, expires, state FROM verifications WHERE app = ? AND seq < ? ORDER BY seq DESC`
	sqlRemembered       = `SELECT id, app, spec, sealed, status, attempts, expires, state FROM verifications WHERE seq > ? AND seq < ? AND sealed IS NOT NULL ORDER BY seq LIMIT ?`
	sqlForget           = `UPDATE verifications SET sealed = NULL, spec = ?, state = ? WHERE seq = ?`
	sqlReadNumber       = `SELECT data FROM numbers WHERE key = ?`
	sqlPutNumber        = `INSERT INTO numbers (key, data, touched) VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET data = excluded.data, touched = excluded.touched`
	sqlReadLimit        = `SELECT tat FROM limits WHERE key = ?`
	sqlPutLimit         = `INSERT INTO limits (key, tat) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET tat = excluded.tat`
	sqlReadReplay       = `SELECT fingerprint, sealed FROM replays WHERE key = ?`
	sqlPutReplay        = `INSERT INTO replays (key, fingerprint, sealed, until) VALUES (?, ?, ?, ?) ON CONFLICT (key) DO NOTHING`
	sqlReadJob          = `SELECT id, kind, due, attempt, ref, payload FROM jobs WHERE seq = ?`
	sqlPutJob           = `INSERT INTO jobs (seq, id, kind, due, attempt, ref, payload) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (seq) DO UPDATE SET due = excluded.due, attempt = excluded.attempt, payload = excluded.payload`
	sqlReadSent         = `SELECT ref, delivery, until FROM sent WHERE key = ?`
	sqlPutSent          = `INSERT INTO sent (key, ref, delivery, until) VALUES (?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET ref = excluded.ref, delivery = excluded.delivery, until = excluded.until`
	sqlDropJob          = `DELETE FROM jobs WHERE seq = ?`
)

// statuses numbers the statuses in rows. The order never changes.
var statuses = verify.Statuses() //nolint:gochecknoglobals // a constant table

func statusNumber(s verify.Status) int {
	for i, t := range statuses {
		if s == t {
			return i
		}
	}
	return -1
}

func readVerification(c *conn, v id.ID) (out *verify.Verification, err error) {
	err = c.query(sqlReadVerification, func(s *sqlite3.Stmt) error {
		found, err := scanVerification(s)
		if err == nil && found.ID == v {
			out = found
		}
		return err
	}, v.Seq())
	return out, err
}

func scanVerification(s *sqlite3.Stmt) (*verify.Verification, error) {
	v := &verify.Verification{}
	copy(v.ID[:], s.ColumnRawBlob(0))
	copy(v.App[:], s.ColumnRawBlob(1))
	if err := json.Unmarshal(s.ColumnRawText(2), &v.Spec); err != nil {
		return nil, fmt.Errorf("verification %s: spec: %w", v.ID.Text(id.Verification), err)
	}
	if err := json.Unmarshal(s.ColumnRawText(7), v); err != nil {
		return nil, fmt.Errorf("verification %s: state: %w", v.ID.Text(id.Verification), err)
	}
	v.Sealed = s.ColumnBlob(3, nil)
	n := s.ColumnInt(4)
	if n < 0 || n >= len(statuses) {
		return nil, fmt.Errorf("verification %s: status %d", v.ID.Text(id.Verification), n)
	}
	v.Status, v.Attempts, v.Expires = statuses[n], s.ColumnInt(5), milli(s.ColumnInt64(6))
	return v, nil
}

func writeVerification(c *conn, v *verify.Verification, isNew bool) error {
	state, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if !isNew {
		return c.exec(sqlSetVerification, statusNumber(v.Status), v.Attempts, v.Expires.UnixMilli(), string(state), v.ID.Seq())
	}
	spec, err := json.Marshal(v.Spec)
	if err != nil {
		return err
	}
	return c.exec(sqlNewVerification, v.ID.Seq(), v.ID[:], v.App[:], string(spec), v.Sealed, statusNumber(v.Status), v.Attempts, v.Expires.UnixMilli(), string(state))
}

func readNumber(c *conn, k verify.NumberKey) (n *verify.Number, err error) {
	err = c.query(sqlReadNumber, func(s *sqlite3.Stmt) error {
		n = &verify.Number{Key: k}
		return json.Unmarshal(s.ColumnRawText(0), n)
	}, k[:])
	return n, err
}

func writeNumber(c *conn, n *verify.Number) error {
	data, err := json.Marshal(n)
	if err != nil {
		return err
	}
	return c.exec(sqlPutNumber, n.Key[:], string(data), n.Head.Time().UnixMilli())
}

func readLimit(c *conn, key [16]byte) (tat int64, err error) {
	err = c.query(sqlReadLimit, func(s *sqlite3.Stmt) error { tat = s.ColumnInt64(0); return nil }, key[:])
	return tat, err
}

func readReplay(c *conn, key [32]byte) (fingerprint [32]byte, sealed []byte, ok bool, err error) {
	err = c.query(sqlReadReplay, func(s *sqlite3.Stmt) error {
		copy(fingerprint[:], s.ColumnRawBlob(0))
		sealed, ok = s.ColumnBlob(1, nil), true
		return nil
	}, key[:])
	return fingerprint, sealed, ok, err
}

func readJob(c *conn, job id.ID) (out *queue.Job, err error) {
	err = c.query(sqlReadJob, func(s *sqlite3.Stmt) error {
		if j := scanJob(s); j.ID == job {
			out = &j
		}
		return nil
	}, job.Seq())
	return out, err
}

func scanJob(s *sqlite3.Stmt) queue.Job {
	j := queue.Job{Kind: s.ColumnText(1), Due: milli(s.ColumnInt64(2)), Attempt: s.ColumnInt(3), Payload: s.ColumnBlob(5, nil)}
	copy(j.ID[:], s.ColumnRawBlob(0))
	copy(j.Ref[:], s.ColumnRawBlob(4))
	return j
}

func writeJob(c *conn, j queue.Job) error {
	return c.exec(sqlPutJob, j.ID.Seq(), j.ID[:], j.Kind, j.Due.UnixMilli(), j.Attempt, j.Ref[:], j.Payload)
}

func readSent(c *conn, key [16]byte) (out deliver.Sent, ok bool, err error) {
	err = c.query(sqlReadSent, func(s *sqlite3.Stmt) error {
		copy(out.Ref[:], s.ColumnRawBlob(0))
		copy(out.Delivery[:], s.ColumnRawBlob(1))
		out.Until, ok = milli(s.ColumnInt64(2)), true
		return nil
	}, key[:])
	return out, ok, err
}

func milli(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
