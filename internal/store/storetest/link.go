package storetest

import (
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/message"
	"github.com/dialproof/dialproof/internal/verify"
)

// linkOnce: what one link started is approved once, whatever number it was for, and a spent link starts nothing.
func linkOnce(t *testing.T, open Open) {
	b := newBench(t, open)
	link := id.NewSource(id.ID{}).New(b.clock.Now())
	first := b.start(t, verify.StartRequest{To: drama(1), Link: link})
	second := b.start(t, verify.StartRequest{To: drama(2), Link: link})
	if _, _, err := b.Proven(t.Context(), b.live, second.ID); err == nil {
		t.Error("what is pending is proven")
	}
	if r := b.check(t, second, b.code(t, second)); r != verify.ResultApproved {
		t.Fatalf("the first right code answers %s", r)
	}
	if r := b.check(t, first, b.code(t, first)); r != verify.ResultCanceled {
		t.Errorf("the link's other verification answers %s", r)
	}
	for _, later := range []time.Duration{0, 30 * time.Minute, 39 * time.Minute} {
		b.clock.Advance(later)
		_, err := b.Start(t.Context(), b.live, verify.StartRequest{To: drama(3), Link: link})
		want(t, err, "rate_limited link")
	}
	v, p, err := b.Proven(t.Context(), b.live, second.ID)
	if err != nil || p.To != drama(2) || v.Spec.Link != link {
		t.Errorf("proven: %v, %v", p, err)
	}
	_, _, err = b.Proven(t.Context(), b.test, second.ID)
	want(t, err, "not_found")
}

// linkStarts: a link starts a handful of verifications, and others are not touched by it.
func linkStarts(t *testing.T, open Open) {
	b := newBench(t, open)
	ids := id.NewSource(id.ID{})
	link := ids.New(b.clock.Now())
	for n := range 5 {
		b.start(t, verify.StartRequest{To: drama(n), Link: link})
	}
	_, err := b.Start(t.Context(), b.live, verify.StartRequest{To: drama(6), Link: link})
	want(t, err, "rate_limited link")
	b.start(t, verify.StartRequest{To: drama(6), Link: ids.New(b.clock.Now())})
	b.start(t, verify.StartRequest{To: drama(7)})
}

// vetting: what would be refused is told without a start, with and without a number.
func vetting(t *testing.T, open Open) {
	b := newBench(t, open)
	for outcomeWanted, r := range map[string]verify.StartRequest{
		"ok": {}, "invalid_request purpose invalid_value": {Purpose: "No"}, "invalid_request to invalid_number": {To: "x"},
		"invalid_request transaction required": {Purpose: "transaction"},
		"invalid_request transaction.amount invalid_value": {Transaction: &message.Transaction{Amount: "x", Currency: "EUR",
			Payee: "A"}},
	} {
		err := b.Vet(b.live, r)
		want(t, err, outcomeWanted)
	}
	if err := b.Vet(b.live, verify.StartRequest{To: drama(1)}); err != nil || b.sent() != 0 {
		t.Errorf("%v, %d sent", err, b.sent())
	}
}
