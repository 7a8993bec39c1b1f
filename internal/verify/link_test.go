package verify_test

import (
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/verify"
)

func (w *world) linkUsed(t *testing.T, link id.ID) bool {
	t.Helper()
	used, err := w.LinkUsed(t.Context(), link)
	if err != nil {
		t.Fatal(err)
	}
	return used
}

// TestLinkIsApprovedOnce: what one link started is approved once, whatever number it was for, and a spent link starts
// nothing.
func TestLinkIsApprovedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	link, other := w.ids.New(epoch), w.ids.New(epoch)
	first := w.start(t, verify.StartRequest{To: drama(100), Link: link})
	second := w.start(t, verify.StartRequest{To: drama(101), Link: link})
	want(t, "link of the verification", w.kept(t, first).Spec.Link, link)
	want(t, "used", w.linkUsed(t, link), false)
	want(t, "wrong", w.check(t, first, wrong(w.code(t, first))), "incorrect")
	code := w.code(t, first)
	want(t, "right", w.check(t, second, w.code(t, second)), "approved")
	want(t, "used", w.linkUsed(t, link), true)
	want(t, "the other link", w.linkUsed(t, other), false)
	want(t, "the right code of the link's other verification", w.check(t, first, code), "canceled")
	want(t, "its status", w.kept(t, first).Status, verify.Canceled)
	for _, later := range []time.Duration{0, 30 * time.Minute, 39 * time.Minute} {
		w.advance(later)
		want(t, "a start with a spent link", w.tryStart(t, verify.StartRequest{To: drama(102), Link: link}),
			"rate_limited link")
		want(t, "used", w.linkUsed(t, link), true)
	}
	want(t, "another link", w.tryStart(t, verify.StartRequest{To: drama(102), Link: other}), "ok")
}

// TestLinkStartsAHandful: a link starts five verifications, which spends it for starts and not for its approval.
func TestLinkStartsAHandful(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	link := w.ids.New(epoch)
	var last *verify.Verification
	for i := range 5 {
		last = w.start(t, verify.StartRequest{To: drama(100 + i), Link: link})
	}
	want(t, "the sixth", w.tryStart(t, verify.StartRequest{To: drama(105), Link: link}), "rate_limited link")
	want(t, "used", w.linkUsed(t, link), false)
	want(t, "without a link", w.tryStart(t, verify.StartRequest{To: drama(105)}), "ok")
	want(t, "its last code", w.check(t, last, w.code(t, last)), "approved")
	want(t, "used", w.linkUsed(t, link), true)
}
