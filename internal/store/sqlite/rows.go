package sqlite

import (
	"bytes"
	"context"
	"slices"

	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/queue"
	"github.com/dialproof/dialproof/internal/store"
	"github.com/dialproof/dialproof/internal/store/row"
	"github.com/dialproof/dialproof/internal/store/sqlite/journal"
	"github.com/dialproof/dialproof/internal/store/tables"
	"github.com/dialproof/dialproof/internal/verify"
)

// The kinds of rows in the journal. The numbers are in files and never change.
const (
	verificationKind journal.Kind = 1
	numberKind       journal.Kind = 2
	jobKind          journal.Kind = 3
	limitKind        journal.Kind = 4
)

func verificationKey(v id.ID) journal.Key      { return journal.Key{Kind: verificationKind, ID: v} }
func numberKey(k verify.NumberKey) journal.Key { return journal.Key{Kind: numberKind, ID: k} }
func jobKey(j id.ID) journal.Key               { return journal.Key{Kind: jobKind, ID: j} }
func limitKey(k [16]byte) journal.Key          { return journal.Key{Kind: limitKind, ID: k} }

// rows is where a row is beside the batch: its newest change in the journal, else its table.
type rows struct {
	c *conn
	j *journal.Journal
}

// readVerification reads a row of the journal; no bytes are a row that was dropped.
func readVerification(v id.ID, raw []byte) (*verify.Verification, error) {
	if raw == nil {
		return nil, nil
	}
	return row.ReadVerification(v, raw)
}

func readNumber(k verify.NumberKey, raw []byte) (*verify.Number, error) {
	if raw == nil {
		return nil, nil
	}
	_, data, err := row.SplitNumber(raw)
	if err != nil {
		return nil, err
	}
	return row.ReadNumber(k, data)
}

func (r rows) number(d *tables.Dialect, k verify.NumberKey) (*verify.Number, error) {
	if raw, ok := r.j.Own(numberKey(k)); ok {
		return readNumber(k, raw)
	}
	return d.Number(r.c, k)
}

func (r rows) verification(d *tables.Dialect, v id.ID) (*verify.Verification, error) {
	if raw, ok := r.j.Own(verificationKey(v)); ok {
		return readVerification(v, raw)
	}
	return d.Verification(r.c, v)
}

func (r rows) limit(d *tables.Dialect, k [16]byte) (tat int64, ok bool, err error) {
	if raw, ok := r.j.Own(limitKey(k)); ok {
		if raw == nil {
			return 0, false, nil
		}
		tat, err = row.ReadLimit(raw)
		return tat, err == nil, err
	}
	return d.Limit(r.c, k)
}

// allJobs returns the jobs of a file, and which of them their table has.
func allJobs(c tables.Conn, j *journal.Journal) (all map[id.ID]*queue.Job, tabled map[id.ID]bool, err error) {
	all, tabled = map[id.ID]*queue.Job{}, map[id.ID]bool{}
	err = c.Query(`SELECT `+tables.JobColumns+` FROM jobs`, func(r tables.Row) error {
		job := tables.ScanJob(r)
		all[job.ID], tabled[job.ID] = &job, true
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	j.Each(jobKind, func(k journal.Key, raw []byte, dropped bool) {
		if dropped {
			delete(all, k.ID)
			return
		}
		job, bad := row.ReadJob(k.ID, raw)
		if bad != nil {
			err = bad
			return
		}
		all[k.ID] = job
	})
	return all, tabled, err
}

// scan calls yield with the verifications of an application, newest first: those of the journal, as they are when it
// begins, before those of their table.
func scan(ctx context.Context, d tables.Reader, j *journal.Journal, app, before id.ID,
	yield func(*verify.Verification) bool) error {
	recent, err := recentOf(j, app, before)
	if err != nil {
		return err
	}
	more := true
	err = d.Scan(ctx, app, before, func(v *verify.Verification) bool {
		for more && len(recent) > 0 && bytes.Compare(recent[0].ID[:], v.ID[:]) > 0 {
			more = yield(recent[0])
			recent = recent[1:]
		}
		if len(recent) > 0 && recent[0].ID == v.ID {
			v, recent = recent[0], recent[1:]
		}
		more = more && yield(v)
		return more
	})
	for ; err == nil && more && len(recent) > 0; recent = recent[1:] {
		more = yield(recent[0])
	}
	return err
}

// recentOf returns the verifications of an application in the journal, newest first.
func recentOf(j *journal.Journal, app, before id.ID) (out []*verify.Verification, err error) {
	out, err = recent(j, func(k id.ID, raw []byte) bool {
		of, ok := row.AppOf(raw)
		return ok && of == app && (before.IsZero() || bytes.Compare(k[:], before[:]) < 0)
	})
	slices.SortFunc(out, func(a, b *verify.Verification) int { return bytes.Compare(b.ID[:], a.ID[:]) })
	return out, err
}

// recent returns verifications in the journal, in no order.
func recent(j *journal.Journal, wanted func(k id.ID, raw []byte) bool) (out []*verify.Verification, err error) {
	j.Each(verificationKind, func(k journal.Key, raw []byte, dropped bool) {
		if dropped || !wanted(k.ID, raw) {
			return
		}
		v, bad := row.ReadVerification(k.ID, raw)
		if bad != nil {
			err = bad
			return
		}
		out = append(out, v)
	})
	return out, err
}

// remembered returns the oldest verifications of a span that still hold something personal, those of the journal among
// those of the table.
func remembered(ctx context.Context, d tables.Reader, j *journal.Journal, after,
	end id.ID) (out []*verify.Verification, err error) {
	within := func(k, last id.ID) bool {
		return bytes.Compare(k[:], after[:]) > 0 && bytes.Compare(k[:], last[:]) <= 0
	}
	newest := map[id.ID]*verify.Verification{}
	all, err := recent(j, func(k id.ID, _ []byte) bool { return within(k, end) && k != end })
	for _, v := range all {
		newest[v.ID] = v
	}
	last := end
	for from := after; err == nil && last == end; {
		var page []*verify.Verification
		page, err = d.Remembered(ctx, from, end)
		for _, v := range page {
			if from = v.ID; newest[v.ID] == nil {
				out = append(out, v)
			}
		}
		if len(page) < store.PurgeStep {
			break
		}
		if len(out) > 0 {
			last = from // the rest is for the next call
		}
	}
	for _, v := range newest {
		if within(v.ID, last) && len(v.Sealed) > 0 {
			out = append(out, v)
		}
	}
	slices.SortFunc(out, func(a, b *verify.Verification) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return out, err
}

// last returns the newest id of a verification or job.
func last(ctx context.Context, d tables.Reader, j *journal.Journal) (id.ID, error) {
	newest, err := d.Last(ctx)
	for _, kind := range []journal.Kind{verificationKind, jobKind} {
		j.Each(kind, func(k journal.Key, _ []byte, _ bool) {
			if bytes.Compare(k.ID[:], newest[:]) > 0 {
				newest = k.ID
			}
		})
	}
	return newest, err
}
