package sqlite

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/dialproof/dialproof/internal/store"
	"github.com/dialproof/dialproof/internal/store/row"
	"github.com/dialproof/dialproof/internal/store/sqlite/journal"
	"github.com/dialproof/dialproof/internal/store/tables"
)

// purged says how the rows of a table that have ended are found, by an index, and dropped.
type purged struct {
	due, drop string
	kind      journal.Kind // 0: not in the journal
}

func purgedOf(kind store.Purged) (p purged, ok bool) {
	key := "key"
	ends := map[store.Purged]string{store.PurgeNumbers: "touched", store.PurgeLimits: "tat", store.PurgeReplays: "until",
		store.PurgeSent: "until"}[kind]
	if ends == "" {
		return p, false
	}
	return purged{
		due:  fmt.Sprintf("SELECT %s FROM %s WHERE %s < $1 ORDER BY %[3]s", key, kind, ends),
		drop: fmt.Sprintf("DELETE FROM %s WHERE %s = $1", kind, key),
		kind: map[store.Purged]journal.Kind{store.PurgeNumbers: numberKind, store.PurgeLimits: limitKind}[kind],
	}, true
}

// Purge implements store.Tables.
func (t *writing) Purge(kind store.Purged, _ int64, before time.Time) (n int, next int64, err error) {
	p, ok := purgedOf(kind)
	if !ok {
		return 0, 0, fmt.Errorf("store: nothing is purged of %q", kind)
	}
	end := before.UnixMilli()
	if kind == store.PurgeNumbers {
		end -= row.Day - 1 // all of the day is before
	}
	if n, err = t.purgeTable(p, end); err != nil || p.kind == 0 {
		return n, 0, err
	}
	return n + t.purgeJournal(p.kind, end, store.PurgeStep-n), 0, nil
}

// errEnough ends a look for rows that have ended.
var errEnough = errors.New("as many as one step drops")

// purgeTable drops rows that have ended by what their table knows, but for those whose newest change is in the journal:
// they may not have, and are never more than the journal holds.
func (t *writing) purgeTable(p purged, end int64) (n int, err error) {
	var over [][]byte
	err = t.Conn.Query(p.due, func(r tables.Row) error {
		key := tables.Blob(r, 0)
		if p.kind != 0 && t.e.j.Waits(journal.Key{Kind: p.kind, ID: [16]byte(key)}) {
			return nil
		}
		if over = append(over, key); len(over) == store.PurgeStep {
			return errEnough
		}
		return nil
	}, end)
	if err != nil && !errors.Is(err, errEnough) {
		return 0, err
	}
	for _, key := range over {
		if p.kind != 0 {
			t.e.j.Uncache(journal.Key{Kind: p.kind, ID: [16]byte(key)})
		}
		if err := t.e.w.run(p.drop, raw(key)); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// purgeJournal drops up to most rows of the journal that have ended.
func (t *writing) purgeJournal(kind journal.Kind, end int64, most int) (n int) {
	if most == 0 {
		return 0
	}
	var over []journal.Key
	t.e.j.Each(kind, func(k journal.Key, b []byte, dropped bool) {
		if !dropped && len(over) < most && endOf(kind, b) < end {
			over = append(over, k)
		}
	})
	for _, k := range over {
		t.e.segment = journal.AppendGone(t.e.segment, k)
	}
	return len(over)
}

// endOf returns when a row of the journal ends, as the column of its table says it.
func endOf(kind journal.Kind, b []byte) int64 {
	if kind == limitKind {
		if tat, err := row.ReadLimit(b); err == nil {
			return tat
		}
	} else if last, _, err := row.SplitNumber(b); err == nil {
		return last
	}
	return math.MaxInt64
}
