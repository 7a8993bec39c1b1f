package memstore

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/deliver"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/queue"
	"github.com/dialproof/dialproof/internal/store"
	"github.com/dialproof/dialproof/internal/store/row"
	"github.com/dialproof/dialproof/internal/verify"
	"github.com/dialproof/dialproof/internal/webhook"
)

// transaction is one transaction, with the rows locked. What it changes beside its batch is undone by rollback.
type transaction struct {
	*Data
	undo []func()
}

var _ store.Tx = (*transaction)(nil)

// rollback takes back what was changed, last first.
func (t *transaction) rollback() {
	for _, f := range slices.Backward(t.undo) {
		f()
	}
	t.undo = nil
}

// set changes a row of a map, so that it can be undone.
func set[K comparable, V any](t *transaction, rows map[K]V, k K, v V) {
	before, there := rows[k]
	t.undo = append(t.undo, func() {
		if there {
			rows[k] = before
		} else {
			delete(rows, k)
		}
	})
	rows[k] = v
}

func remove[K comparable, V any](t *transaction, rows map[K]V, k K) {
	before, there := rows[k]
	if !there {
		return
	}
	t.undo = append(t.undo, func() { rows[k] = before })
	delete(rows, k)
}

// removeSome removes up to n rows that are over, and returns how many.
func removeSome[K comparable, V any](t *transaction, rows map[K]V, n int, over func(V) bool) (removed int) {
	for k, v := range rows {
		if removed < n && over(v) {
			remove(t, rows, k)
			removed++
		}
	}
	return removed
}

func (t *transaction) changed() {
	t.version++
	t.undo = append(t.undo, func() { t.version-- })
}

// Number implements store.Tx.
func (t *transaction) Number(k verify.NumberKey) (*verify.Number, error) {
	return copyNumber(t.numbers[k]), nil
}

// Verification implements store.Tx.
func (t *transaction) Verification(v id.ID) (*verify.Verification, error) {
	return copyVerification(t.verifications[v]), nil
}

// Job implements store.Tx.
func (t *transaction) Job(j id.ID) (*queue.Job, error) { return copyJob(t.jobs[j]), nil }

// Limit implements store.Tx.
func (t *transaction) Limit(k [16]byte) (tat int64, ok bool, err error) {
	tat, ok = t.limits[k]
	return tat, ok, nil
}

// Replay implements store.Tx.
func (t *transaction) Replay(k [32]byte) (r store.Replay, ok bool, err error) {
	r, ok = t.replays[k]
	return r, ok, nil
}

// Due implements store.Tx.
func (t *transaction) Due(kind string, now time.Time, n int) ([]queue.Job, error) {
	due := t.waiting(kind, now)
	return due[:min(n, len(due))], nil
}

// PutApplication implements store.Tables.
func (t *transaction) PutApplication(a application.Application) error {
	set(t, t.apps, a.ID, a)
	t.changed()
	return nil
}

// PutKey implements store.Tables.
func (t *transaction) PutKey(k application.Key) error {
	k.LastUsed = t.keys[k.ID].LastUsed
	set(t, t.keys, k.ID, k)
	t.changed()
	return nil
}

// TouchKeys implements store.Tables.
func (t *transaction) TouchKeys(used map[id.ID]time.Time) error {
	for k, at := range used {
		if key, there := t.keys[k]; there && at.After(key.LastUsed) {
			key.LastUsed = at
			set(t, t.keys, k, key)
		}
	}
	return nil
}

// PutWebhook implements store.Tables.
func (t *transaction) PutWebhook(e webhook.Endpoint) error {
	set(t, t.webhooks, e.ID, e)
	t.changed()
	return nil
}

// DropWebhook implements store.Tables.
func (t *transaction) DropWebhook(endpoint id.ID) error {
	remove(t, t.webhooks, endpoint)
	t.changed()
	return nil
}

// ClaimEvents implements store.Tables.
func (t *transaction) ClaimEvents(now time.Time, shares []webhook.Share,
	lease time.Duration) (out []webhook.Event, err error) {
	for _, s := range shares {
		var due []webhook.Event
		for _, e := range t.events {
			if e.Endpoint == s.Endpoint && !e.Due.IsZero() && !e.Due.After(now) {
				due = append(due, e)
			}
		}
		slices.SortFunc(due, func(a, b webhook.Event) int { return a.Due.Compare(b.Due) })
		for _, e := range due[:min(s.Most, len(due))] {
			e.Claims++
			e.Due = now.Add(lease)
			set(t, t.Data.events, e.ID, e)
			out = append(out, e)
		}
	}
	return out, nil
}

// FinishEvent implements store.Tables.
func (t *transaction) FinishEvent(e webhook.Event) (bool, error) {
	kept, there := t.events[e.ID]
	if !there || kept.Claims != e.Claims {
		return false, nil
	}
	kept.State, kept.Due, kept.Tries, kept.Log = e.State, e.Due, e.Tries, slices.Clone(e.Log)
	set(t, t.events, e.ID, kept)
	return true, nil
}

// DropEvent implements store.Tables.
func (t *transaction) DropEvent(e webhook.Event) (bool, error) {
	if kept, there := t.events[e.ID]; !there || kept.Claims != e.Claims {
		return false, nil
	}
	remove(t, t.events, e.ID)
	return true, nil
}

// ReplayEvents implements store.Tables.
func (t *transaction) ReplayEvents(endpoint, event id.ID, since, now time.Time) (n int, err error) {
	from := id.At(since)
	for k, e := range t.events {
		one := e.Event == event && e.State != webhook.Pending
		all := event.IsZero() && e.State == webhook.Dead && bytes.Compare(k[:], from[:]) >= 0
		if e.Endpoint == endpoint && (one || all) {
			e.State, e.Due, e.Tries = webhook.Pending, now, 0
			e.Claims++
			set(t, t.events, k, e)
			n++
		}
	}
	return n, nil
}

// DropEvents implements store.Tables.
func (t *transaction) DropEvents(endpoint id.ID) (int, error) {
	return removeSome(t, t.events, store.PurgeStep, func(e webhook.Event) bool { return e.Endpoint == endpoint }), nil
}

// PurgeEvents implements store.Tables.
func (t *transaction) PurgeEvents(delivered, rest time.Time) (int, error) {
	d, r := id.At(delivered), id.At(rest)
	return removeSome(t, t.events, store.PurgeStep, func(e webhook.Event) bool {
		return bytes.Compare(e.ID[:], r[:]) < 0 || e.State == webhook.Delivered && bytes.Compare(e.ID[:], d[:]) < 0
	}), nil
}

// Turn implements store.Tables.
func (t *transaction) Turn(name string, _ id.ID, now time.Time, period time.Duration) (bool, error) {
	if until, there := t.leases[name]; there && until.After(now) {
		return false, nil
	}
	set(t, t.leases, name, now.Add(period))
	return true, nil
}

// SetMark implements store.Tables.
func (t *transaction) SetMark(name string, n int64) error {
	set(t, t.marks, name, n)
	return nil
}

// Purge implements store.Tables.
func (t *transaction) Purge(kind store.Purged, _ int64, before time.Time) (n int, next int64, err error) {
	end := before.UnixMilli()
	switch kind {
	case store.PurgeNumbers:
		return removeSome(t, t.numbers, store.PurgeStep,
			func(n *verify.Number) bool { return row.LastVerified(n)+row.Day <= end }), 0, nil
	case store.PurgeLimits:
		return removeSome(t, t.limits, store.PurgeStep, func(tat int64) bool { return tat < end }), 0, nil
	case store.PurgeReplays:
		return removeSome(t, t.replays, store.PurgeStep, func(r store.Replay) bool { return r.Until < end }), 0, nil
	case store.PurgeSent:
		return removeSome(t, t.sent, store.PurgeStep, func(s deliver.Sent) bool { return s.Until.UnixMilli() < end }), 0, nil
	}
	return 0, 0, fmt.Errorf("store: nothing is purged of %q", kind)
}

// Upkeep implements store.Tables.
func (*transaction) Upkeep(time.Time) error { return nil }
