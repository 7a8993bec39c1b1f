package store

import (
	"errors"

	"github.com/dialproof/dialproof/internal/verify"
)

// The writes of SQLite, one row a statement: in the same process a statement costs no round trip.
const (
	litePutVerification = `INSERT INTO verifications (seq, id, app, spec, sealed, status, attempts, expires, state) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (seq) DO UPDATE SET spec = excluded.spec, sealed = excluded.sealed, status = excluded.status, attempts = excluded.attempts, expires = excluded.expires, state = excluded.state WHERE id = excluded.id`
	liteSetVerification = `UPDATE verifications SET status = $1, attempts = $2, expires = $3, state = $4 WHERE seq = $5`
	liteForget          = `UPDATE verifications SET sealed = NULL, spec = $1, state = $2 WHERE seq = $3`
	litePutNumber       = `INSERT INTO numbers (key, data, touched) VALUES ($1, $2, $3) ON CONFLICT (key) DO UPDATE SET data = excluded.data, touched = excluded.touched`
	litePutLimit        = `INSERT INTO limits (key, tat) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET tat = excluded.tat`
	litePutReplay       = `INSERT INTO replays (key, fingerprint, sealed, until) VALUES ($1, $2, $3, $4)`
	litePutJob          = `INSERT INTO jobs (seq, id, kind, due, attempt, ref, payload) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (seq) DO UPDATE SET kind = excluded.kind, due = excluded.due, attempt = excluded.attempt, payload = excluded.payload`
	liteDropJob         = `DELETE FROM jobs WHERE seq = $1`
	litePutSent         = `INSERT INTO sent (key, ref, delivery, until) VALUES ($1, $2, $3, $4) ON CONFLICT (key) DO UPDATE SET ref = excluded.ref, delivery = excluded.delivery, until = excluded.until`
)

// write writes what a batch has changed.
func (e *sqlite) write(b *batch) error {
	for _, step := range []func(*batch) error{e.writeHot, e.forgetEvents, e.writeSmall, e.writeJobs, e.writeEvents} {
		if err := step(b); err != nil {
			return err
		}
	}
	for _, w := range b.others {
		if err := w(e.w); err != nil {
			return err
		}
	}
	return nil
}

// writeHot writes verifications and numbers: as a page of the journal, into which goes too what is carried over when a part of it is
// folded. A guest has no journal.
func (e *sqlite) writeHot(b *batch) error {
	e.page = e.page[:0]
	j := e.journal
	if j == nil {
		if len(b.numbers.dirty)+len(b.verifications.dirty) == 0 {
			return nil
		}
		if err := errors.Join(foldFile(e.w), e.writeVerifications(b)); err != nil {
			return err
		}
		e.pageNumbers(b)
		return walk(e.page, func(k rowKey, begin, end int) error { return writeRow(e.w, k, e.page[begin:end]) })
	}
	if e.fold.none() && !j.hidden {
		e.fold = j.due(len(b.verifications.dirty) * usualRow)
	}
	if !e.fold.none() {
		var err error
		if e.page, err = j.write(e.w, e.fold, e.page); err != nil {
			return err
		}
	}
	if err := e.writeVerifications(b); err != nil {
		return err
	}
	if e.pageNumbers(b); len(e.page) == 0 {
		return nil
	}
	return e.w.run(liteAddPage, num(j.next()), raw(e.page))
}

func (e *sqlite) pageNumbers(b *batch) {
	for _, k := range b.numbers.dirty {
		e.page = appendPageNumber(e.page, b.numbers.rows[k].value)
	}
}

// writeVerifications adds new verifications to the page, and those of which the journal has a change already: their table will have
// it all at once. Of the others, the row in the table changes.
func (e *sqlite) writeVerifications(b *batch) error {
	for _, k := range b.verifications.dirty {
		r := b.verifications.rows[k]
		if !r.kept || e.journal != nil && e.journal.verification(k) != nil {
			e.page = appendPageVerification(e.page, r.value)
			continue
		}
		if err := e.setVerification(r.value); err != nil {
			return err
		}
	}
	return nil
}

func (e *sqlite) setVerification(v *verify.Verification) error {
	e.row = appendState(e.row[:0], v)
	state := e.row
	if forgotten(v) {
		e.row = appendSpec(e.row, &v.Spec)
		return e.w.run(liteForget, raw(e.row[len(state):]), raw(e.row[:len(state)]), num(v.ID.Seq()))
	}
	return e.w.run(liteSetVerification, num(statusNumber(v.Status)), num(int64(v.Attempts)), num(v.Expires.UnixMilli()), raw(state), num(v.ID.Seq()))
}

// forgetEvents drops the events of verifications whose personal data go.
func (e *sqlite) forgetEvents(b *batch) error {
	for _, k := range b.verifications.dirty {
		if r := b.verifications.rows[k]; r.kept && forgotten(r.value) {
			if err := e.w.run(sqlForgetting, raw(k[:])); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *sqlite) writeJobs(b *batch) error {
	for _, k := range b.jobs.dirty {
		r := b.jobs.rows[k]
		var err error
		switch j := r.value; {
		case r.there && b.young.takes(b, j):
			r.rowless = true
		case !r.there && b.young.job(k) != nil:
			// There is no row to drop.
		case r.there:
			r.rowless = false
			_, err = e.w.exec(litePutJob, j.ID.Seq(), j.ID[:], j.Kind, j.Due.UnixMilli(), int64(j.Attempt), j.Ref[:], j.Payload)
		default:
			err = e.w.run(liteDropJob, num(k.Seq()))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (e *sqlite) writeEvents(b *batch) error {
	for i := range b.events {
		if err := addEvent(e.w, &b.events[i]); err != nil {
			return err
		}
	}
	return nil
}

// writeSmall writes limits, replays and ids of providers.
func (e *sqlite) writeSmall(b *batch) error {
	for _, k := range b.limits.dirty {
		if err := e.w.run(litePutLimit, raw(k[:]), num(b.limits.rows[k].value)); err != nil {
			return err
		}
	}
	for _, k := range b.replays.dirty {
		r := b.replays.rows[k].value
		if _, err := e.w.exec(litePutReplay, k[:], r.fingerprint[:], r.sealed, r.until); err != nil {
			return err
		}
	}
	for _, k := range b.sent.dirty {
		s := b.sent.rows[k].value
		if _, err := e.w.exec(litePutSent, k[:], s.Ref[:], s.Delivery[:], s.Until.UnixMilli()); err != nil {
			return err
		}
	}
	return nil
}
