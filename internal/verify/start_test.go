package verify_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/message"
	"github.com/dialproof/dialproof/internal/store/memstore"
	"github.com/dialproof/dialproof/internal/verify"
)

// TestStart: one start writes the verification, its number, one delivery and its job, and hands the job over.
func TestStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	answer := w.start(t, verify.StartRequest{To: drama(100), Metadata: map[string]string{"order": "7"}})
	v := w.kept(t, answer)
	want(t, "status", v.Status, verify.Pending)
	want(t, "channel", v.Channel, channel.SMS)
	want(t, "sends", v.Sends, 1)
	want(t, "attempts", v.Attempts, 0)
	want(t, "expires", v.Expires, epoch.Add(5*time.Minute))
	want(t, "resend at", v.ResendAt, epoch.Add(30*time.Second))
	want(t, "masked", v.Spec.Masked, "+44•••••••100")
	want(t, "country", v.Spec.Country, "GB")
	want(t, "prefix", v.Spec.Prefix, "+44770090")
	want(t, "metadata", v.Spec.Metadata["order"], "7")
	want(t, "test", v.Spec.Test, false)
	if len(v.Deliveries) != 1 {
		t.Fatalf("%d deliveries", len(v.Deliveries))
	}
	d := v.Deliveries[0]
	want(t, "delivery", d, channel.Delivery{
		ID:      d.ID,
		Channel: channel.SMS,
		Route:   "by-sms",
		Reason:  "priority",
		Status:  channel.Sending,
		Attempt: 1,
		Created: epoch,
		Updated: epoch,
	})
	j := w.job(t, d.ID)
	if j == nil || j.Kind != verify.JobKind || j.Ref != v.ID || j.Attempt != 1 || !j.Leased ||
		!j.Due.Equal(epoch.Add(30*time.Second)) {
		t.Errorf("the job is %+v", j)
	}
	if len(w.jobs) != 1 || w.jobs[0].ID != d.ID || w.reserved != 0 {
		t.Errorf("dispatched %+v, %d reservations are left", w.jobs, w.reserved)
	}
	m := w.made[0]
	if m.Delivery.ID != d.ID || m.Test || m.Wait != 0 || m.Message.Code.Reveal() != w.code(t, v) ||
		m.Message.To.E164() != drama(100) ||
		!strings.Contains(m.Message.Text.Body, m.Message.Code.Reveal()) {
		t.Errorf("made %+v", m)
	}
	n := w.number(t, v)
	want(t, "head", n.Head, v.ID)
	want(t, "sends of the number", len(n.Sends.Sends), 1)
	want(t, "metrics", w.counts["started sms GB"], 1)
	want(t, "the router was asked", w.asked[0], plan{channel.SMS, false, ""})
}

// TestStartWithoutRoom: a node without room writes a job that is due at once; a queue that is full takes nothing.
func TestStartWithoutRoom(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.noRoom = true
	v := w.kept(t, w.start(t, verify.StartRequest{To: drama(100)}))
	want(t, "status", v.Deliveries[0].Status, channel.Queued)
	want(t, "attempt", v.Deliveries[0].Attempt, 0)
	if j := w.job(t, v.Deliveries[0].ID); j == nil || j.Leased || j.Attempt != 0 || !j.Due.Equal(epoch) {
		t.Errorf("the job is %+v", j)
	}
	w.full = true
	_, err := w.Start(t.Context(), w.live, verify.StartRequest{To: drama(101)})
	e, ok := errors.AsType[*verify.Error](err)
	if !ok || e.Code != verify.CodeBusy || !e.Retry.Equal(epoch.Add(time.Second)) {
		t.Errorf("a full queue: %v", err)
	}
	want(t, "open jobs", w.open(t), 1)
}

// TestStartTakesThePolicy: what a request leaves out is the policy's, and what it names is its own.
func TestStartTakesThePolicy(t *testing.T) {
	t.Parallel()
	policy := func(p *application.Policy) {
		p.CodeLength, p.Alphabet, p.ExpiresIn, p.MaxAttempts, p.MaxSends = 7, application.Alphanumeric, 120, 3, 2
		p.Locale, p.FreshCodes, p.Channels = "fr", true, []channel.Kind{channel.Voice, channel.SMS}
	}
	w := newWorld(t, policy)
	v := w.start(t, verify.StartRequest{To: drama(100)})
	want(t, "length", v.Spec.CodeLength, 7)
	want(t, "alphabet", v.Spec.Alphabet, application.Alphanumeric)
	want(t, "life", v.Expires.Sub(epoch), 2*time.Minute)
	want(t, "attempts", v.AttemptsLeft(), 3)
	want(t, "resends", v.ResendsLeft(), 1)
	want(t, "locale", v.Spec.Locale, "fr")
	want(t, "fresh", v.Spec.Fresh, true)
	want(t, "channel", v.Channel, channel.Voice)
	want(t, "purpose", v.Spec.Purpose, verify.Login)
	want(t, "length of the code", len(w.code(t, v)), 7)
	v = w.start(t, verify.StartRequest{
		To:          "07700 900101",
		Region:      "GB",
		Channel:     channel.SMS,
		Purpose:     "sign_in",
		Locale:      "de",
		CodeLength:  9,
		Alphabet:    application.Digits,
		ExpiresIn:   600,
		MaxAttempts: 10,
	})
	want(t, "length", v.Spec.CodeLength, 9)
	want(t, "alphabet", v.Spec.Alphabet, application.Digits)
	want(t, "life", v.Expires.Sub(epoch), 10*time.Minute)
	want(t, "attempts", v.AttemptsLeft(), 10)
	want(t, "locale", v.Spec.Locale, "de")
	want(t, "channel", v.Channel, channel.SMS)
	want(t, "purpose", v.Spec.Purpose, "sign_in")
	want(t, "number", v.Spec.Masked, "+44•••••••101")
	want(t, "the code", strings.Trim(w.code(t, v), "0123456789"), "")
	v = w.start(t, verify.StartRequest{To: drama(102), Channel: channel.SMS, Code: message.NewCode("ABC12345")})
	want(t, "length", v.Spec.CodeLength, 8)
	want(t, "a supplied code is fresh", v.Spec.Fresh, false)
	want(t, "the code", w.code(t, v), "ABC12345")
}

// TestStartRefuses: each field that is out of its bounds is named, and nothing is written.
func TestStartRefuses(t *testing.T) {
	t.Parallel()
	paid := func(amount, currency, payee string) *message.Transaction {
		return &message.Transaction{Amount: amount, Currency: currency, Payee: payee}
	}
	many := map[string]string{}
	for i := range verify.MaxMetadata + 1 {
		many[string(rune('a'+i))] = ""
	}
	for _, c := range []struct {
		want string
		r    verify.StartRequest
	}{
		{"invalid_request to invalid_number", verify.StartRequest{To: "no number"}},
		{"invalid_request channel invalid_value", verify.StartRequest{Channel: "pigeon"}},
		{"invalid_request email invalid_value", verify.StartRequest{Email: "person@"}},
		{"email_required", verify.StartRequest{Channel: channel.Email}},
		{"invalid_request purpose invalid_value", verify.StartRequest{Purpose: "Sign in"}},
		{"invalid_request locale invalid_locale", verify.StartRequest{Locale: "english please"}},
		{"invalid_request code_alphabet invalid_value", verify.StartRequest{Alphabet: "runes"}},
		{"invalid_request code_length out_of_range", verify.StartRequest{CodeLength: 5}},
		{"invalid_request code_length out_of_range", verify.StartRequest{CodeLength: 11}},
		{"invalid_request expires_in out_of_range", verify.StartRequest{ExpiresIn: 59}},
		{"invalid_request expires_in out_of_range", verify.StartRequest{ExpiresIn: 601}},
		{"invalid_request max_attempts out_of_range", verify.StartRequest{MaxAttempts: 11}},
		{"invalid_request max_attempts out_of_range", verify.StartRequest{MaxAttempts: -1}},
		{"invalid_request code invalid_value", verify.StartRequest{Code: message.NewCode("12345")}},
		{"invalid_request code invalid_value", verify.StartRequest{Code: message.NewCode("12345678901")}},
		{"invalid_request code invalid_value", verify.StartRequest{Code: message.NewCode("abcdef")}},
		{"invalid_request code_length conflict", verify.StartRequest{Code: message.NewCode("123456"), CodeLength: 7}},
		{"invalid_request transaction required", verify.StartRequest{Purpose: verify.PurposeMoney}},
		{"invalid_request transaction.amount invalid_value", verify.StartRequest{Transaction: paid("1,00", "EUR", "A")}},
		{"invalid_request transaction.amount invalid_value",
			verify.StartRequest{Transaction: paid("1234567890123", "EUR", "A")}},
		{"invalid_request transaction.currency invalid_value", verify.StartRequest{Transaction: paid("1.00", "eur", "A")}},
		{"invalid_request transaction.payee invalid_value", verify.StartRequest{Transaction: paid("1.00", "EUR", "")}},
		{"invalid_request transaction.payee invalid_value",
			verify.StartRequest{Transaction: paid("1.00", "EUR", strings.Repeat("é", verify.MaxPayee+1))}},
		{"invalid_request transaction.payee invalid_value", verify.StartRequest{Transaction: paid("1.00", "EUR", "A\nB")}},
		{"invalid_request autofill trailer_conflict",
			verify.StartRequest{Autofill: message.Trailer{Origin: "shop.example.com", AppHash: "12345678901"}}},
		{"invalid_request autofill.origin not_allowed",
			verify.StartRequest{Autofill: message.Trailer{Origin: "evil.example.com"}}},
		{"invalid_request autofill.origin not_allowed",
			verify.StartRequest{Autofill: message.Trailer{Origin: "evil.example.com", Embedded: "verify.example.com"}}},
		{"invalid_request autofill.origin not_allowed",
			verify.StartRequest{Autofill: message.Trailer{Origin: "shop.example.com", Embedded: "evil.example.com"}}},
		{"invalid_request client.ip invalid_value", verify.StartRequest{Client: &verify.Client{IP: "somewhere"}}},
		{"invalid_request client.user_agent invalid_value",
			verify.StartRequest{Client: &verify.Client{UserAgent: strings.Repeat("a", verify.MaxUserAgent+1)}}},
		{"invalid_request client.device_id invalid_value", verify.StartRequest{Client: &verify.Client{DeviceID: "a\x00"}}},
		{"invalid_request metadata too_many", verify.StartRequest{Metadata: many}},
		{"invalid_request metadata invalid_value", verify.StartRequest{Metadata: map[string]string{"": "x"}}},
		{"invalid_request metadata invalid_value",
			verify.StartRequest{Metadata: map[string]string{"k": strings.Repeat("v", verify.MaxMetadataValue+1)}}},
		{"invalid_request metadata invalid_value",
			verify.StartRequest{Metadata: map[string]string{strings.Repeat("k", verify.MaxMetadataKey+1): "v"}}},
		{"invalid_request metadata invalid_value", verify.StartRequest{Metadata: map[string]string{"k": "\xff"}}},
	} {
		w := newWorld(t, withOrigins)
		if c.r.To == "" {
			c.r.To = drama(100)
		}
		want(t, "start", w.tryStart(t, c.r), c.want)
		want(t, "vet", outcome(w.Vet(w.live, c.r)), c.want)
		if page, err := w.List(t.Context(), w.live, verify.Filter{Limit: 1}); err != nil || len(page.Items) != 0 ||
			len(w.jobs) != 0 {
			t.Errorf("%s: something was written: %v", c.want, err)
		}
	}
}

func withOrigins(p *application.Policy) {
	p.Origins, p.ReturnURLs = []string{"shop.example.com"}, []string{"https://shop.example.com"}
}

// TestStartTakesItsBounds: what is just within the bounds is taken.
func TestStartTakesItsBounds(t *testing.T) {
	t.Parallel()
	for _, r := range []verify.StartRequest{
		{CodeLength: 6, ExpiresIn: 60, MaxAttempts: 1},
		{CodeLength: 10, ExpiresIn: 600, MaxAttempts: 10},
		{Code: message.NewCode("A23456"), CodeLength: 6},
		{Code: message.NewCode("0123456789")},
		{Purpose: verify.PurposeMoney,
			Transaction: &message.Transaction{Amount: "123456789012.345", Currency: "EUR",
				Payee: strings.Repeat("é", verify.MaxPayee)}},
		{Autofill: message.Trailer{Origin: "shop.example.com"}},
		{Autofill: message.Trailer{Origin: "verify.example.com"}},
		{Autofill: message.Trailer{Origin: "shop.example.com", Embedded: "verify.example.com"}},
		{Autofill: message.Trailer{AppHash: "12345678901"}},
		{Client: &verify.Client{IP: "2001:db8::1", UserAgent: strings.Repeat("a", verify.MaxUserAgent),
			DeviceID: strings.Repeat("a", verify.MaxDeviceID)}},
		{Metadata: map[string]string{strings.Repeat("k", verify.MaxMetadataKey): strings.Repeat("v",
			verify.MaxMetadataValue)}},
		{Locale: "pt-BR"},
	} {
		w := newWorld(t, withOrigins)
		r.To = drama(100)
		want(t, "start", w.tryStart(t, r), "ok")
	}
	w := newWorld(t)
	_, err := w.Start(t.Context(), w.test,
		verify.StartRequest{To: drama(100), Autofill: message.Trailer{Origin: "any.example.com"}})
	want(t, "any origin in test mode", outcome(err), "ok")
}

// TestVet: what would be refused is told without a start, also before there is a number.
func TestVet(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct {
		want string
		r    verify.StartRequest
	}{
		{"ok", verify.StartRequest{}},
		{"ok", verify.StartRequest{To: drama(100)}},
		{"invalid_request purpose invalid_value", verify.StartRequest{Purpose: "No"}},
		{"invalid_request to invalid_number", verify.StartRequest{To: "x"}},
		{"invalid_request transaction required", verify.StartRequest{Purpose: verify.PurposeMoney}},
	} {
		want(t, "vet", outcome(w.Vet(w.live, c.r)), c.want)
	}
	want(t, "jobs", w.open(t), 0)
}

// TestStartSupersedes: a start ends the pending verification of the same number and purpose, and no other.
func TestStartSupersedes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		second verify.StartRequest
		before func(*testing.T, *world, *verify.Verification)
		status verify.Status
		ended  time.Duration // after the first start
	}{
		{"pending", verify.StartRequest{To: drama(100)}, nil, verify.Canceled, 9 * time.Minute},
		{"another purpose", verify.StartRequest{To: drama(100), Purpose: verify.PasswordReset}, nil, verify.Pending, 0},
		{"another number", verify.StartRequest{To: drama(101)}, nil, verify.Pending, 0},
		{"past its deadline", verify.StartRequest{To: drama(100)},
			func(_ *testing.T, w *world, _ *verify.Verification) { w.advance(2 * time.Minute) }, verify.Expired,
			10 * time.Minute},
		{"approved", verify.StartRequest{To: drama(100)},
			func(t *testing.T, w *world, v *verify.Verification) { w.check(t, v, w.code(t, v)) }, verify.Approved,
			8 * time.Minute},
	} {
		w := newWorld(t)
		first := w.start(t, verify.StartRequest{To: drama(100), ExpiresIn: 600})
		code := w.code(t, first)
		w.advance(8 * time.Minute)
		if c.before != nil {
			c.before(t, w, first)
		}
		w.advance(time.Minute)
		second := w.start(t, c.second)
		kept := w.kept(t, first)
		want(t, c.name, kept.Status, c.status)
		if ended := kept.Ended; c.ended != 0 && !ended.Equal(epoch.Add(c.ended)) || c.ended == 0 && !ended.IsZero() {
			t.Errorf("%s: ended at %s", c.name, ended)
		}
		if c.status == verify.Canceled {
			want(t, "the old code", w.check(t, first, code), "canceled")
			want(t, "resend at", kept.ResendAt.IsZero(), true)
		}
		want(t, c.name+": the new one", w.check(t, second, w.code(t, second)), "approved")
	}
}

// TestNumbersRemember: a number names its newest verification, each verification the one before it, and a number knows
// the newest verification of eight purposes.
func TestNumbersRemember(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.unlimited()
	var all []*verify.Verification
	for i := range 9 {
		all = append(all, w.start(t, verify.StartRequest{To: drama(100), Purpose: "p" + string(rune('0'+i))}))
	}
	for i, v := range slices.Backward(all) {
		if i > 0 {
			want(t, "previous", w.kept(t, v).Spec.Previous, all[i-1].ID)
		}
	}
	n := w.number(t, all[0])
	want(t, "purposes", len(n.Latest), 8)
	want(t, "the newest", n.Latest[0].Purpose, "p8")
	want(t, "head", n.Head, all[8].ID)
	by := func(purpose string) string {
		_, err := w.Check(t.Context(), w.live, verify.CheckRequest{To: drama(100), Purpose: purpose, Code: "000000"})
		return outcome(err)
	}
	want(t, "the oldest purpose", by("p0"), "not_found")
	want(t, "the second", by("p1"), "ok")
}

// TestStartInTestMode: numbers of fiction are for test keys, and test messages go to test routes.
func TestStartInTestMode(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.AllowFiction = false
	want(t, "a live key", w.tryStart(t, verify.StartRequest{To: drama(100)}), "number_reserved")
	want(t, "a live number", w.tryStart(t, verify.StartRequest{To: "+447911123456"}), "ok")
	v, err := w.Start(t.Context(), w.test, verify.StartRequest{To: drama(100)})
	want(t, "a test key", outcome(err), "ok")
	want(t, "test", w.kept(t, v).Spec.Test, true)
	want(t, "made", w.made[1].Test, true)
	want(t, "the router was asked", w.asked[1], plan{channel.SMS, true, ""})
	_, test, open, err := w.composer().Compose(t.Context(), v.ID, v.Deliveries[0])
	if !test || !open || err != nil {
		t.Errorf("composed for test %t, open %t, %v", test, open, err)
	}
}

// TestStartWithoutRoute: a channel that no route serves is refused, and costs nothing.
func TestStartWithoutRoute(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.noRoute[channel.Voice] = true
	want(t, "voice", w.tryStart(t, verify.StartRequest{To: drama(100), Channel: channel.Voice}), "no_route")
	want(t, "sms at once", w.tryStart(t, verify.StartRequest{To: drama(100)}), "ok")
}

// TestStartOnAStoreThatFails: a failure is the store's, and the room that was kept is given back.
func TestStartOnAStoreThatFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fault = memstore.Fault{Before: true}
	want(t, "start", w.tryStart(t, verify.StartRequest{To: drama(100)}), "store_unavailable")
	if w.reserved != 0 || len(w.jobs) != 0 || w.counts["started sms GB"] != 0 {
		t.Errorf("%d reservations, %d jobs, %v", w.reserved, len(w.jobs), w.counts)
	}
	w.fault = memstore.Fault{}
	want(t, "again", w.tryStart(t, verify.StartRequest{To: drama(100)}), "ok")
	w.readFault = memstore.Fault{Before: true}
	_, err := w.Check(t.Context(), w.live, verify.CheckRequest{To: drama(100), Code: "123456"})
	want(t, "check", outcome(err), "store_unavailable")
	_, err = w.Get(t.Context(), w.live, w.jobs[0].Ref)
	want(t, "get", outcome(err), "store_unavailable")
	for _, f := range []verify.Filter{{Limit: 1}, {Limit: 1, To: drama(100)}} {
		_, err = w.List(t.Context(), w.live, f)
		want(t, "list", outcome(err), "store_unavailable")
	}
	_, _, err = w.Proven(t.Context(), w.live, w.jobs[0].Ref)
	want(t, "proven", outcome(err), "store_unavailable")
	want(t, "expire", outcome(w.Expire(t.Context(), w.jobs[0].Ref)), "store_unavailable")
}

// TestWorkRunsAgain: a store may run a piece of work several times; its effect is that of one.
func TestWorkRunsAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fault = memstore.Fault{Conflicts: 2}
	v := w.start(t, verify.StartRequest{To: drama(100)})
	code := w.code(t, v)
	want(t, "wrong", w.check(t, v, wrong(code)), "incorrect")
	w.advance(30 * time.Second)
	want(t, "resend", w.tryResend(t, v, ""), "ok")
	kept := w.kept(t, v)
	if kept.Attempts != 1 || kept.Sends != 2 || len(kept.Deliveries) != 2 || len(w.number(t, v).Sends.Sends) != 2 ||
		w.number(t, v).Streak != 1 {
		t.Errorf("%+v", kept)
	}
	want(t, "right", w.check(t, v, code), "approved")
	want(t, "jobs", w.open(t), 2)
	want(t, "dispatched", len(w.jobs), 2)
}

// TestAnErrorNamesItself: errors are told apart by their code, and say how many fields are wrong.
func TestAnErrorNamesItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := w.Start(t.Context(), w.live, verify.StartRequest{To: drama(100), Purpose: "No", Locale: "-"})
	want(t, "text", err.Error(), "verify: invalid_request: the request has 2 invalid fields")
	_, err = w.Start(t.Context(), w.live, verify.StartRequest{To: "x"})
	want(t, "text", err.Error(), "verify: invalid_request: the request has one invalid field")
	want(t, "statuses", len(verify.Statuses()), 5)
	want(t, "results", len(verify.Results()), 6)
	want(t, "proofs", len(verify.Proofs()), 3)
}
