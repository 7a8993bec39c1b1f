package store

import (
	"time"

	"github.com/dialproof/dialproof/internal/deliver"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/queue"
	"github.com/dialproof/dialproof/internal/verify"
)

// tx is one piece of work: it reads through the writing connection and gathers what is put, so that work
// that fails half way has written nothing.
type tx struct {
	engine *sqlite
	fatal  error // the store failed, not the work
	writes []func(*conn) error
	loaded *verify.Verification // the row behind the parcel that was read last
}

var (
	_ verify.Tx  = (*tx)(nil)
	_ deliver.Tx = (*tx)(nil)
)

// flush writes what was put.
func (t *tx) flush() error {
	for _, w := range t.writes {
		if err := w(t.engine.w); err != nil {
			return err
		}
	}
	return nil
}

// check remembers a failure of the store.
func (t *tx) check(err error) error {
	if err != nil && t.fatal == nil {
		t.fatal = err
	}
	return err
}

func (t *tx) put(w func(*conn) error) { t.writes = append(t.writes, w) }

// Number implements verify.Tx.
func (t *tx) Number(k verify.NumberKey) (*verify.Number, error) {
	n, err := readNumber(t.engine.w, k)
	if n == nil {
		n = &verify.Number{Key: k}
	}
	return n, t.check(err)
}

// Verification implements verify.Tx.
func (t *tx) Verification(v id.ID) (*verify.Verification, error) {
	found, err := readVerification(t.engine.w, v)
	return found, t.check(err)
}

// Limit implements verify.Tx.
func (t *tx) Limit(key [16]byte) (int64, error) {
	tat, err := readLimit(t.engine.w, key)
	return tat, t.check(err)
}

// Replay implements verify.Tx.
func (t *tx) Replay(key [32]byte) (fingerprint [32]byte, sealed []byte, ok bool, err error) {
	fingerprint, sealed, ok, err = readReplay(t.engine.w, key)
	return fingerprint, sealed, ok, t.check(err)
}

// PutNumber implements verify.Tx.
func (t *tx) PutNumber(n *verify.Number) {
	t.put(func(c *conn) error { return writeNumber(c, n) })
}

// PutVerification implements verify.Tx.
func (t *tx) PutVerification(v *verify.Verification, isNew bool) {
	t.put(func(c *conn) error { return writeVerification(c, v, isNew) })
}

// PutLimit implements verify.Tx.
func (t *tx) PutLimit(key [16]byte, tat int64) {
	t.put(func(c *conn) error { return c.exec(sqlPutLimit, key[:], tat) })
}

// PutReplay implements verify.Tx.
func (t *tx) PutReplay(key, fingerprint [32]byte, sealed []byte, until time.Time) {
	t.put(func(c *conn) error { return c.exec(sqlPutReplay, key[:], fingerprint[:], sealed, until.UnixMilli()) })
}

// PutJob implements verify.Tx and deliver.Tx.
func (t *tx) PutJob(j queue.Job) {
	t.put(func(c *conn) error { return writeJob(c, j) })
}

// Job implements deliver.Tx.
func (t *tx) Job(job id.ID) (*queue.Job, error) {
	j, err := readJob(t.engine.w, job)
	return j, t.check(err)
}

// DropJob implements deliver.Tx.
func (t *tx) DropJob(job id.ID) {
	t.put(func(c *conn) error { return c.exec(sqlDropJob, job.Seq()) })
}

// PutSent implements deliver.Tx.
func (t *tx) PutSent(key [16]byte, s deliver.Sent) {
	t.put(func(c *conn) error {
		return c.exec(sqlPutSent, key[:], s.Ref[:], s.Delivery[:], s.Until.UnixMilli())
	})
}

// Parcel implements deliver.Tx.
func (t *tx) Parcel(ref id.ID) (*deliver.Parcel, error) {
	v, err := t.Verification(ref)
	if err != nil || v == nil {
		return nil, err
	}
	t.loaded = v
	return &deliver.Parcel{
		Ref: ref, Open: v.Status == verify.Pending, Expires: v.Expires, Country: v.Spec.Country, Prefix: v.Spec.Prefix, Deliveries: v.Deliveries,
	}, nil
}

// PutParcel implements deliver.Tx. Only the deliveries of a parcel change.
func (t *tx) PutParcel(p *deliver.Parcel) {
	v := t.loaded
	v.Deliveries = p.Deliveries
	t.PutVerification(v, false)
}
