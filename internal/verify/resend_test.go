package verify_test

import (
	"errors"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/limit"
	"github.com/dialproof/dialproof/internal/message"
	"github.com/dialproof/dialproof/internal/verify"
)

// TestResend: a resend adds a delivery with the same code, on another route if there is one, and leaves the attempts as
// they are.
func TestResend(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v := w.start(t, verify.StartRequest{To: drama(100)})
	code := w.code(t, v)
	w.check(t, v, wrong(code))
	w.advance(30 * time.Second)
	answer, err := w.Resend(t.Context(), w.live, verify.ResendRequest{ID: v.ID})
	if err != nil {
		t.Fatal(err)
	}
	kept := w.kept(t, v)
	want(t, "answered sends", answer.Sends, 2)
	want(t, "sends", kept.Sends, 2)
	want(t, "resends left", kept.ResendsLeft(), 3)
	want(t, "attempts left", kept.AttemptsLeft(), 4)
	want(t, "resend at", kept.ResendAt, epoch.Add(90*time.Second))
	want(t, "expires", kept.Expires, epoch.Add(5*time.Minute))
	want(t, "deliveries", len(kept.Deliveries), 2)
	want(t, "avoided", w.asked[1], plan{channel.SMS, false, "by-sms"})
	want(t, "the code", w.code(t, v), code)
	d := kept.Deliveries[1]
	if j := w.job(t, d.ID); j == nil || j.Kind != verify.JobKind || j.Ref != v.ID || !j.Leased || len(w.jobs) != 2 ||
		w.jobs[1].ID != d.ID || w.made[1].Delivery.ID != d.ID {
		t.Errorf("the job is %+v, of %d", j, len(w.jobs))
	}
	want(t, "reservations", w.reserved, 0)
	w.advance(time.Minute)
	want(t, "by voice", w.tryResend(t, v, channel.Voice), "ok")
	want(t, "avoided", w.asked[2], plan{channel.Voice, false, ""})
	kept = w.kept(t, v)
	want(t, "channel", kept.Channel, channel.Voice)
	want(t, "route", kept.Deliveries[2].Route, "by-voice")
	want(t, "the code of the first message", w.check(t, v, code), "approved")
}

// TestResendRefuses: who may not send again is told why, and nothing changes.
func TestResendRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		want   string
		kind   channel.Kind
		before func(*testing.T, *world, *verify.Verification)
	}{
		{"ok", "", nil},
		{"invalid_request channel invalid_value", "pigeon", nil},
		{"email_required", channel.Email, nil},
		{"no_route", channel.Voice, func(_ *testing.T, w *world, _ *verify.Verification) { w.noRoute[channel.Voice] = true }},
		{"busy", "", func(_ *testing.T, w *world, _ *verify.Verification) { w.full = true }},
		{"rate_limited number_gap", "",
			func(_ *testing.T, w *world, _ *verify.Verification) { w.advance(-time.Millisecond) }},
		{"not_pending approved", "", func(t *testing.T, w *world, v *verify.Verification) { w.check(t, v, w.code(t, v)) }},
		{"not_pending failed", "", func(t *testing.T, w *world, v *verify.Verification) { w.exhaust(t, v) }},
		{"not_pending canceled", "", func(t *testing.T, w *world, v *verify.Verification) { w.cancel(t, v) }},
		{"not_pending expired", "", func(_ *testing.T, w *world, _ *verify.Verification) { w.advance(5 * time.Minute) }},
	} {
		w := newWorld(t)
		v := w.start(t, verify.StartRequest{To: drama(100)})
		w.advance(30 * time.Second)
		if c.before != nil {
			c.before(t, w, v)
		}
		want(t, "resend", w.tryResend(t, v, c.kind), c.want)
		sends := 1
		if c.want == "ok" {
			sends = 2
		}
		if kept := w.kept(t, v); kept.Sends != sends || len(kept.Deliveries) != sends ||
			len(w.number(t, v).Sends.Sends) != sends || len(w.jobs) != sends || w.reserved != 0 {
			t.Errorf("%s: %d sends, %d jobs, %d reservations", c.want, kept.Sends, len(w.jobs), w.reserved)
		}
	}
	w := newWorld(t)
	_, err := w.Resend(t.Context(), w.live, verify.ResendRequest{ID: id.ID{1}})
	want(t, "an unknown one", outcome(err), "not_found")
}

// TestResendsRunOut: a verification has so many sends, and says when the next one may be.
func TestResendsRunOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(p *application.Policy) { p.MaxSends = 3 })
	w.Limits.Sends.Gaps = []time.Duration{30 * time.Second}
	v := w.start(t, verify.StartRequest{To: drama(100), ExpiresIn: 600})
	for i := range 2 {
		want(t, "resend at", w.kept(t, v).ResendAt, w.Clock().Add(30*time.Second))
		w.advance(30 * time.Second)
		want(t, "resend", w.tryResend(t, v, ""), "ok")
		want(t, "left", w.kept(t, v).ResendsLeft(), 1-i)
	}
	want(t, "resend at", w.kept(t, v).ResendAt.IsZero(), true)
	w.advance(time.Minute)
	want(t, "the fourth send", w.tryResend(t, v, ""), "resends_used_up")
	late := w.start(t, verify.StartRequest{To: drama(101), ExpiresIn: 60})
	want(t, "resend at", late.ResendAt, w.Clock().Add(30*time.Second))
	w.advance(30 * time.Second)
	want(t, "resend", w.tryResend(t, late, ""), "ok")
	want(t, "resend at, after the deadline", w.kept(t, late).ResendAt.IsZero(), true)
}

// TestResendCosts: a resend counts as a send of its number, for the gaps and for the windows.
func TestResendCosts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Limits.Sends = limit.Schedule{
		Gaps:    []time.Duration{30 * time.Second, time.Minute},
		Windows: []limit.Window{{Name: "number_hour", Max: 3, Span: time.Hour}},
		Forget:  time.Hour,
	}
	v := w.start(t, verify.StartRequest{To: drama(100), ExpiresIn: 600})
	w.advance(30 * time.Second)
	want(t, "the second send", w.tryResend(t, v, ""), "ok")
	want(t, "sends of the number", len(w.number(t, v).Sends.Sends), 2)
	w.advance(time.Minute - time.Millisecond)
	want(t, "a resend in the gap", w.tryResend(t, v, ""), "rate_limited number_gap")
	want(t, "a start in the gap of a resend", w.tryStart(t, verify.StartRequest{To: drama(100), Purpose: "other"}),
		"rate_limited number_gap")
	w.advance(time.Millisecond)
	want(t, "the third send", w.tryResend(t, v, ""), "ok")
	w.advance(2 * time.Minute)
	want(t, "a resend above the hour", w.tryResend(t, v, ""), "rate_limited number_hour")
	_, err := w.Start(t.Context(), w.live, verify.StartRequest{To: drama(100), Purpose: "other"})
	want(t, "a start above the hour", outcome(err), "rate_limited number_hour")
	if e, ok := errors.AsType[*verify.Error](err); !ok || !e.Retry.Equal(epoch.Add(time.Hour)) || e.Refusal.Limit != 3 {
		t.Errorf("%+v", err)
	}
	want(t, "counted", w.counts["limited number_hour"], 2)
}

// TestFreshCodes: with fresh codes a resend carries a new one, and the old one is dead.
func TestFreshCodes(t *testing.T) {
	t.Parallel()
	fresh := func(p *application.Policy) { p.FreshCodes = true }
	w := newWorld(t, fresh)
	v := w.start(t, verify.StartRequest{To: drama(100), CodeLength: 10})
	seen := map[string]bool{w.code(t, v): true}
	old := w.code(t, v)
	for _, gap := range []time.Duration{30 * time.Second, time.Minute} {
		w.advance(gap)
		want(t, "resend", w.tryResend(t, v, ""), "ok")
		now := w.code(t, v)
		if seen[now] {
			t.Error("the resend carries a code that was sent before")
		}
		seen[now] = true
		want(t, "the code before", w.check(t, v, old), "incorrect")
		old = now
	}
	want(t, "the newest code", w.check(t, v, old), "approved")

	w = newWorld(t, fresh)
	v = w.start(t, verify.StartRequest{To: drama(100), Code: message.NewCode("246810")})
	w.advance(30 * time.Second)
	want(t, "resend", w.tryResend(t, v, ""), "ok")
	want(t, "a supplied code", w.code(t, v), "246810")
}

// TestResendWithoutRoom: a node without room leaves the job for another one.
func TestResendWithoutRoom(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v := w.start(t, verify.StartRequest{To: drama(100)})
	w.advance(30 * time.Second)
	w.noRoom = true
	want(t, "resend", w.tryResend(t, v, ""), "ok")
	d := w.kept(t, v).Deliveries[1]
	if j := w.job(t, d.ID); j.Leased || d.Status != channel.Queued || !j.Due.Equal(w.Clock()) {
		t.Errorf("the job is %+v, the delivery %s", j, d.Status)
	}
}
