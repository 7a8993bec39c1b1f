package verify_test

import (
	"errors"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/message"
	"github.com/dialproof/dialproof/internal/verify"
)

// TestMagicNumbers: in test mode some numbers have a fixed outcome; for a live key they are like all others.
func TestMagicNumbers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		n     int
		r     verify.StartRequest
		code  string
		start string
		check string
		magic verify.Magic
	}{
		{"approved", 1, verify.StartRequest{}, "123456", "ok", "approved", verify.MagicApproved},
		{"approved, another code", 1, verify.StartRequest{}, "123457", "ok", "incorrect", verify.MagicApproved},
		{"approved, longer", 1, verify.StartRequest{CodeLength: 10}, "1234567890", "ok", "approved", verify.MagicApproved},
		{"approved, letters", 1, verify.StartRequest{Alphabet: application.Alphanumeric}, "123456", "ok", "incorrect",
			verify.MagicApproved},
		{"approved, supplied", 1, verify.StartRequest{Code: message.NewCode("999999")}, "999999", "ok", "approved",
			verify.MagicApproved},
		{"undelivered", 2, verify.StartRequest{}, "12345678901", "ok", "incorrect", verify.MagicUndelivered},
		{"expired", 3, verify.StartRequest{}, "123456", "ok", "expired", verify.MagicExpired},
		{"blocked", 4, verify.StartRequest{}, "", "number_blocked", "", ""},
		{"limited", 5, verify.StartRequest{}, "", "rate_limited number_hour", "", ""},
		{"any other", 6, verify.StartRequest{}, "12345678901", "ok", "incorrect", verify.MagicNone},
	} {
		w := newWorld(t)
		c.r.To = drama(c.n)
		v, err := w.Start(t.Context(), w.test, c.r)
		want(t, c.name, outcome(err), c.start)
		if e, ok := errors.AsType[*verify.Error](err); ok && c.n == 5 && !e.Retry.Equal(epoch.Add(time.Hour)) {
			t.Errorf("%s: come back at %s", c.name, e.Retry)
		}
		if err != nil {
			continue
		}
		want(t, c.name, w.kept(t, v).Spec.Magic, c.magic)
		a, err := w.Check(t.Context(), w.test, verify.CheckRequest{ID: v.ID, Code: c.code})
		if err != nil || string(a.Result) != c.check {
			t.Errorf("%s: %s, %v, want %s", c.name, a.Result, err, c.check)
		}
		w = newWorld(t)
		live := w.start(t, verify.StartRequest{To: drama(c.n)})
		want(t, c.name+" for a live key", w.kept(t, live).Spec.Magic, verify.MagicNone)
		want(t, c.name+" for a live key", w.kept(t, live).At(w.Clock()), verify.Pending)
	}
	want(t, "numbers", len(verify.MagicNumbers()), 5)
	w := newWorld(t)
	for _, n := range []int{4, 5} {
		want(t, "a live key", w.tryStart(t, verify.StartRequest{To: drama(n)}), "ok")
	}
}

// TestTheMagicCodeIsForTests: a live verification of the magic number has a derived code.
func TestTheMagicCodeIsForTests(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v := w.start(t, verify.StartRequest{To: drama(1), CodeLength: 10})
	want(t, "the magic code", w.check(t, v, verify.MagicCode), "incorrect")
	want(t, "its own code", w.check(t, v, w.code(t, v)), "approved")
}
