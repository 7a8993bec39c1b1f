package verify_test

import (
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/verify"
)

// TestCancel: a pending verification can be ended, again and again with the same answer; a final one keeps its end.
func TestCancel(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		want   string
		before func(*testing.T, *world, *verify.Verification)
		status verify.Status
	}{
		{"ok", nil, verify.Canceled},
		{"ok", func(t *testing.T, w *world, v *verify.Verification) { w.cancel(t, v); w.advance(time.Second) },
			verify.Canceled},
		{"not_pending approved", func(t *testing.T, w *world, v *verify.Verification) { w.check(t, v, w.code(t, v)) },
			verify.Approved},
		{"not_pending failed", func(t *testing.T, w *world, v *verify.Verification) { w.exhaust(t, v) }, verify.Failed},
		{"not_pending expired", func(_ *testing.T, w *world, _ *verify.Verification) { w.advance(5 * time.Minute) },
			verify.Pending},
	} {
		w := newWorld(t)
		v := w.start(t, verify.StartRequest{To: drama(100)})
		code := w.code(t, v)
		if c.before != nil {
			c.before(t, w, v)
		}
		answer, err := w.Cancel(t.Context(), w.live, v.ID, nil)
		want(t, "cancel", outcome(err), c.want)
		kept := w.kept(t, v)
		want(t, "status", kept.Status, c.status)
		if c.status != verify.Canceled {
			continue
		}
		if answer.Status != verify.Canceled || !kept.Ended.Equal(epoch) || !kept.ResendAt.IsZero() {
			t.Errorf("answered %+v, kept %+v", answer, kept)
		}
		want(t, "its code", w.check(t, v, code), "canceled")
		want(t, "a start in the gap", w.tryStart(t, verify.StartRequest{To: drama(100)}), "rate_limited number_gap")
	}
	w := newWorld(t)
	_, err := w.Cancel(t.Context(), w.live, id.ID{1}, nil)
	want(t, "an unknown one", outcome(err), "not_found")
}
