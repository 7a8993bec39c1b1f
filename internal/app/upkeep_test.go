package app

import (
	"log/slog"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/config"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/store"
	"github.com/dialproof/dialproof/internal/store/memstore"
	"github.com/dialproof/dialproof/internal/verify"
)

// TestRetentionIsOnTime: what is personal goes when it is as old as the configuration says and not an hour earlier, and
// the row of a number when nobody has verified it for 90 whole days, or for as long as verifications are remembered
// when that is longer.
func TestRetentionIsOnTime(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	made := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	midnight := made.Truncate(day)
	for _, c := range []struct {
		days   int
		number time.Time // when its row goes
	}{{30, midnight.Add(91 * day)}, {3, midnight.Add(91 * day)}, {200, midnight.Add(201 * day)}} {
		now := made
		db := store.Direct(memstore.New(memstore.NewData(), memstore.Options{Now: func() time.Time { return now }}))
		n := &Node{
			cfg:   config.Config{Retention: config.Retention{Days: c.days}},
			log:   slog.New(slog.DiscardHandler),
			store: db,
			ids:   id.NewSource(id.ID{}),
		}
		v := &verify.Verification{ID: n.ids.New(made), Sealed: []byte("sealed"), Status: verify.Approved}
		k := verify.NumberKey{1}
		if err := db.Do(t.Context(), verify.Needs{}, func(tx verify.Tx) error {
			tx.PutVerification(v, true)
			tx.PutNumber(&verify.Number{Key: k, Head: v.ID})
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		at := func(when time.Time, personal, number bool) {
			t.Helper()
			now = when
			if err := n.upkeep(t.Context()); err != nil {
				t.Fatal(err)
			}
			found, err := db.Find(t.Context(), v.ID)
			if err != nil || (found.Sealed != nil) != personal {
				t.Errorf("with %d days, after %s: %+v, %v", c.days, when.Sub(made), found, err)
			}
			if row, err := db.NumberRow(t.Context(), k); err != nil || (row != nil) != number {
				t.Errorf("with %d days, after %s the number's row is %+v, %v", c.days, when.Sub(made), row, err)
			}
		}
		forgotten := made.Add(time.Duration(c.days) * day)
		whole := forgotten.Before(c.number)
		at(forgotten.Add(-time.Hour), true, whole)
		at(forgotten.Add(time.Millisecond), false, whole)
		at(c.number.Add(-time.Hour), false, true)
		at(c.number, false, false)
	}
}
