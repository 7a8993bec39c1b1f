package storetest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/message"
	"github.com/dialproof/dialproof/internal/verify"
)

func linked(t *testing.T, open Open) {
	b := newBench(t, open)
	paid := &message.Transaction{Amount: "39.90", Currency: "EUR", Payee: "Acme Ltd"}
	v := b.start(t, verify.StartRequest{To: drama(100), Purpose: verify.PurposeMoney, Transaction: paid})
	code := b.code(t, v)
	for _, other := range []*message.Transaction{
		nil,
		{Amount: "39.91", Currency: "EUR", Payee: "Acme Ltd"},
		{Amount: "39.90", Currency: "USD", Payee: "Acme Ltd"},
		{Amount: "39.90", Currency: "EUR", Payee: "Acme Inc"},
	} {
		_, err := b.Check(t.Context(), b.live, verify.CheckRequest{ID: v.ID, Code: code, Transaction: other})
		want(t, err, "transaction_mismatch")
	}
	a, err := b.Check(t.Context(), b.live, verify.CheckRequest{ID: v.ID, Code: code, Transaction: paid})
	if err != nil || a.Result != verify.ResultApproved {
		t.Errorf("the payment itself: %s, %v", a.Result, err)
	}
	_, err = b.Start(t.Context(), b.live, verify.StartRequest{To: drama(101), Purpose: verify.PurposeMoney})
	want(t, err, "invalid_request transaction required")
}

func idempotent(t *testing.T, open Open) {
	b := newBench(t, open)
	request := func(key, print byte) verify.StartRequest {
		return verify.StartRequest{To: drama(100), Replay: &verify.Replay{
			Key: [32]byte{key}, Fingerprint: [32]byte{print},
			Render: func(a verify.CheckAnswer) []byte { return []byte(a.Verification.ID.Text(id.Verification)) },
		}}
	}
	first := b.start(t, request(1, 1))
	for range 3 {
		_, err := b.Start(t.Context(), b.live, request(1, 1))
		r, ok := errors.AsType[*verify.Replayed](err)
		if !ok || string(r.Body) != first.ID.Text(id.Verification) {
			t.Fatalf("the repetition: %v", err)
		}
	}
	_, err := b.Start(t.Context(), b.live, request(1, 2))
	want(t, err, "idempotency_key_reused")
	if b.sent() != 1 {
		t.Errorf("%d messages, want 1", b.sent())
	}
}

func cancel(t *testing.T, open Open) {
	b := newBench(t, open)
	v := b.start(t, verify.StartRequest{To: drama(100)})
	code := b.code(t, v)
	for range 2 {
		got, err := b.Cancel(t.Context(), b.live, v.ID, nil)
		if err != nil || got.Status != verify.Canceled {
			t.Fatalf("%v, %v", got, err)
		}
	}
	if r := b.check(t, v, code); r != verify.ResultCanceled {
		t.Errorf("a code after the cancel: %s", r)
	}
	b.clock.Advance(time.Minute)
	_, err := b.Resend(t.Context(), b.live, verify.ResendRequest{ID: v.ID})
	want(t, err, "not_pending")
	done := b.start(t, verify.StartRequest{To: drama(101)})
	b.check(t, done, b.code(t, done))
	_, err = b.Cancel(t.Context(), b.live, done.ID, nil)
	want(t, err, "not_pending")
}

func lists(t *testing.T, open Open) {
	b := newBench(t, open)
	var all []id.ID
	for i := range 25 {
		v := b.start(t, verify.StartRequest{To: drama(100 + i%5), Purpose: []string{"login", "registration"}[i%2]})
		all = append([]id.ID{v.ID}, all...)
		if i%3 == 0 {
			b.check(t, v, b.code(t, v))
		}
		b.clock.Advance(16 * time.Minute)
	}
	gather := func(f verify.Filter) (out []id.ID) {
		for {
			page, err := b.List(t.Context(), b.live, f)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range page.Items {
				out = append(out, v.ID)
			}
			if page.Next.IsZero() {
				return out
			}
			f.Cursor = page.Next
		}
	}
	if got := gather(verify.Filter{Limit: 7}); !slices.Equal(got, all) {
		t.Errorf("%d of %d in order", len(got), len(all))
	}
	if got := gather(verify.Filter{Limit: 2, To: drama(103)}); len(got) != 5 {
		t.Errorf("by number: %d, want 5", len(got))
	}
	if got := gather(verify.Filter{Limit: 3, Purpose: "registration"}); len(got) != 12 {
		t.Errorf("by purpose: %d, want 12", len(got))
	}
	if got := gather(verify.Filter{Limit: 3, Status: verify.Approved}); len(got) != 9 {
		t.Errorf("by status: %d, want 9", len(got))
	}
	if got := gather(verify.Filter{Limit: 100, After: b.clock.Now().Add(-65 * time.Minute),
		Before: b.clock.Now().Add(-20 * time.Minute)}); len(got) != 3 {
		t.Errorf("by time: %d, want 3", len(got))
	}
	_, err := b.List(t.Context(), b.live, verify.Filter{Limit: 101})
	want(t, err, "invalid_request limit out_of_range")
}

func tenants(t *testing.T, open Open) {
	b := newBench(t, open)
	v := b.start(t, verify.StartRequest{To: drama(100)})
	code := b.code(t, v)
	other := *b.live.App
	stranger := application.Caller{App: &other, Key: b.live.Key}
	stranger.App.ID = id.NewSource(id.ID{}).New(b.clock.Now())
	for _, who := range []application.Caller{stranger, b.test} {
		_, err := b.Get(t.Context(), who, v.ID)
		want(t, err, "not_found")
		_, err = b.Check(t.Context(), who, verify.CheckRequest{ID: v.ID, Code: code})
		want(t, err, "not_found")
		_, err = b.Cancel(t.Context(), who, v.ID, nil)
		want(t, err, "not_found")
		_, err = b.Resend(t.Context(), who, verify.ResendRequest{ID: v.ID})
		want(t, err, "not_found")
		page, err := b.List(t.Context(), who, verify.Filter{Limit: 10})
		if err != nil || len(page.Items) != 0 {
			t.Errorf("a stranger's list has %d, %v", len(page.Items), err)
		}
	}
	if r := b.check(t, v, code); r != verify.ResultApproved {
		t.Errorf("the owner: %s", r)
	}
}

func magic(t *testing.T, open Open) {
	b := newBench(t, open)
	try := func(n int) (*verify.Verification, error) {
		return b.Start(t.Context(), b.test, verify.StartRequest{To: drama(n)})
	}
	v, err := try(1)
	want(t, err, "ok")
	a, err := b.Check(t.Context(), b.test, verify.CheckRequest{ID: v.ID, Code: "123456"})
	if err != nil || a.Result != verify.ResultApproved {
		t.Errorf("the approved number: %s, %v", a.Result, err)
	}
	v, err = try(3)
	want(t, err, "ok")
	a, err = b.Check(t.Context(), b.test, verify.CheckRequest{ID: v.ID, Code: "123456"})
	if err != nil || a.Result != verify.ResultExpired {
		t.Errorf("the expired number: %s, %v", a.Result, err)
	}
	_, err = try(4)
	want(t, err, "number_blocked")
	_, err = try(5)
	want(t, err, "rate_limited number_hour")
	// For a live key they are numbers like all others.
	v = b.start(t, verify.StartRequest{To: drama(4)})
	if b.code(t, v) == "123456" {
		t.Error("a live key got the magic code")
	}
}

func byNumber(t *testing.T, open Open) {
	b := newBench(t, open)
	v := b.start(t, verify.StartRequest{To: drama(100), Purpose: "login"})
	code := b.code(t, v)
	by := func(to, purpose string) (verify.CheckAnswer, error) {
		return b.Check(t.Context(), b.live, verify.CheckRequest{To: to, Purpose: purpose, Code: code})
	}
	_, err := by(drama(100), "registration")
	want(t, err, "not_found")
	_, err = by(drama(101), "login")
	want(t, err, "not_found")
	a, err := by(drama(100), "login")
	if err != nil || a.Result != verify.ResultApproved || a.Verification.ID != v.ID {
		t.Errorf("%v, %v", a, err)
	}
	a, err = by(drama(100), "")
	if err != nil || a.Result != verify.ResultUsed {
		t.Errorf("again: %v, %v", a, err)
	}
}

func supplied(t *testing.T, open Open) {
	b := newBench(t, open)
	v := b.start(t, verify.StartRequest{To: drama(100), Code: message.NewCode("00712345")})
	if v.Spec.CodeLength != 8 {
		t.Errorf("length %d, want 8", v.Spec.CodeLength)
	}
	if r := b.check(t, v, "0071 2345"); r != verify.ResultApproved {
		t.Errorf("%s", r)
	}
	_, err := b.Start(t.Context(), b.live, verify.StartRequest{To: drama(101), Code: message.NewCode("12345")})
	want(t, err, "invalid_request code invalid_value")
}

func alphanumeric(t *testing.T, open Open) {
	b := newBench(t, open)
	v := b.start(t, verify.StartRequest{To: drama(100), Alphabet: application.Alphanumeric, CodeLength: 10})
	code := b.code(t, v)
	if len(code) != 10 {
		t.Errorf("length %d", len(code))
	}
	lower := []byte(code)
	for i, c := range lower {
		if c >= 'A' && c <= 'Z' {
			lower[i] = c + 'a' - 'A'
		}
	}
	if r := b.check(t, v, string(lower)); r != verify.ResultApproved {
		t.Errorf("in lower case: %s", r)
	}
}

func noRoom(t *testing.T, open Open) {
	b := newBench(t, open)
	b.denied.Store(true)
	_, err := b.Start(t.Context(), b.live, verify.StartRequest{To: drama(100), Channel: channel.SMS})
	want(t, err, "busy")
	b.denied.Store(false)
	_, err = b.Start(t.Context(), b.live, verify.StartRequest{To: drama(100)})
	want(t, err, "ok")
}
