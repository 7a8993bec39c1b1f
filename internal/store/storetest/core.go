package storetest

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/limit"
	"github.com/dialproof/dialproof/internal/message"
	"github.com/dialproof/dialproof/internal/verify"
)

func coreTests() map[string]func(*testing.T, Open) {
	return map[string]func(*testing.T, Open){
		"right codes at once: one is approved":        rightAtOnce,
		"wrong codes at once: five are compared":      wrongAtOnce,
		"starts at once: one message":                 startsAtOnce,
		"starts at once without gaps: each is there":  startsWithoutGaps,
		"a fresh code kills the old one":              freshRace,
		"expiry to the millisecond":                   expiry,
		"a resend does not reset the attempts":        attemptsSurviveResend,
		"a new start supersedes the old one":          supersede,
		"send limits":                                 sendLimits,
		"wrong codes lock the number":                 wrongLock,
		"a hundred wrong codes in a row lock it":      streakLock,
		"clients are limited by network":              clientLimit,
		"applications are limited":                    appLimit,
		"a refused start costs nothing":               refusedIsFree,
		"transactions are linked":                     linked,
		"idempotent starts":                           idempotent,
		"cancel":                                      cancel,
		"lists":                                       lists,
		"tenants do not see each other":               tenants,
		"magic numbers":                               magic,
		"check by number":                             byNumber,
		"supplied codes":                              supplied,
		"mail proves an address":                      mail,
		"a stored number stays readable":              readable,
		"mail is limited by address":                  mailLimit,
		"alphanumeric codes":                          alphanumeric,
		"nothing is taken when the queue has no room": noRoom,
		"a link is approved once":                     linkOnce,
		"a link starts a handful":                     linkStarts,
		"a start can be vetted":                       vetting,
	}
}

func rightAtOnce(t *testing.T, open Open) {
	b := newBench(t, open)
	v := b.start(t, verify.StartRequest{To: drama(100)})
	code := b.code(t, v)
	var got tally
	together(200, func(int) {
		a, err := b.Check(t.Context(), b.live, verify.CheckRequest{ID: v.ID, Code: code})
		if err != nil {
			t.Error(err)
			return
		}
		got.add(string(a.Result))
	})
	got.want(t, map[string]int{"approved": 1, "used": 199})
}

func wrongAtOnce(t *testing.T, open Open) {
	b := newBench(t, open)
	v := b.start(t, verify.StartRequest{To: drama(100)})
	code := b.code(t, v)
	var got tally
	together(200, func(int) {
		a, err := b.Check(t.Context(), b.live, verify.CheckRequest{ID: v.ID, Code: wrong(code)})
		if err != nil {
			t.Error(err)
			return
		}
		got.add(string(a.Result))
	})
	got.want(t, map[string]int{"incorrect": 4, "exhausted": 196})
	kept, err := b.store.Find(t.Context(), v.ID)
	if err != nil || kept.Attempts != 5 || kept.Status != verify.Failed {
		t.Errorf("%d codes were compared, status %s (%v), want 5 and failed", kept.Attempts, kept.Status, err)
	}
	if r := b.check(t, v, code); r != verify.ResultExhausted {
		t.Errorf("the right code after the last attempt: %s", r)
	}
}

func startsAtOnce(t *testing.T, open Open) {
	b := newBench(t, open)
	var got tally
	together(50, func(int) {
		_, err := b.Start(t.Context(), b.live, verify.StartRequest{To: drama(100)})
		got.add(outcome(err))
	})
	got.want(t, map[string]int{"ok": 1, "rate_limited number_gap": 49})
	if b.sent() != 1 {
		t.Errorf("%d messages, want 1", b.sent())
	}
}

// startsWithoutGaps starts verifications of one number in one batch, each of which ends the one before it.
func startsWithoutGaps(t *testing.T, open Open) {
	b := newBench(t, open)
	b.Limits.Sends = limit.Schedule{}
	var mu sync.Mutex
	var all []id.ID
	together(60, func(i int) {
		v, err := b.Start(t.Context(), b.live, verify.StartRequest{To: drama(100 + i%2)})
		if err != nil {
			t.Error(err)
			return
		}
		mu.Lock()
		all = append(all, v.ID)
		mu.Unlock()
	})
	pending := 0
	for _, v := range all {
		kept, err := b.store.Find(t.Context(), v)
		if err != nil || kept == nil {
			t.Errorf("an acknowledged start is gone: %v", err)
			continue
		}
		if kept.Status == verify.Pending {
			pending++
		}
	}
	if pending != 2 || len(all) != 60 {
		t.Errorf("%d of %d are pending, want 2, the newest of each number", pending, len(all))
	}
}

// outcome names what came of a call.
func outcome(err error) string {
	if err == nil {
		return "ok"
	}
	e, ok := errors.AsType[*verify.Error](err)
	switch {
	case !ok:
		return err.Error()
	case e.Refusal != nil:
		return string(e.Code) + " " + e.Refusal.Name
	case len(e.Fields) > 0:
		return string(e.Code) + " " + e.Fields[0].Name + " " + e.Fields[0].Code
	}
	return string(e.Code)
}

func want(t *testing.T, err error, outcomeWanted string) {
	t.Helper()
	if got := outcome(err); got != outcomeWanted {
		t.Errorf("%s, want %s", got, outcomeWanted)
	}
}

// freshRace runs checks of the old code against a resend with fresh codes. Once the resend has answered, the
// old code is never accepted.
func freshRace(t *testing.T, open Open) {
	b := newBench(t, open, func(p *application.Policy) { p.FreshCodes, p.MaxAttempts = true, 10 })
	for round := range 20 {
		v := b.start(t, verify.StartRequest{To: drama(100 + round)})
		old := b.code(t, v)
		b.clock.Advance(30 * time.Second)
		var answered sync.WaitGroup
		answered.Add(1)
		var resent error
		go func() {
			defer answered.Done()
			_, resent = b.Resend(t.Context(), b.live, verify.ResendRequest{ID: v.ID})
		}()
		together(4, func(int) {
			answered.Wait()
			a, err := b.Check(t.Context(), b.live, verify.CheckRequest{ID: v.ID, Code: old})
			if err != nil || a.Result != verify.ResultIncorrect {
				t.Errorf("the old code after the resend: %s, %v", a.Result, err)
			}
		})
		if resent != nil {
			t.Fatal(resent)
		}
		fresh := b.code(t, v)
		if fresh == old {
			continue // one in a million
		}
		if r := b.check(t, v, fresh); r != verify.ResultApproved {
			t.Errorf("the fresh code: %s", r)
		}
	}
}

func expiry(t *testing.T, open Open) {
	for _, c := range []struct {
		after time.Duration
		want  verify.Result
	}{
		{300*time.Second - time.Millisecond, verify.ResultApproved},
		{300 * time.Second, verify.ResultExpired},
		{300*time.Second + time.Millisecond, verify.ResultExpired},
	} {
		b := newBench(t, open)
		v := b.start(t, verify.StartRequest{To: drama(100)})
		code := b.code(t, v)
		b.clock.Advance(c.after)
		if got := b.check(t, v, code); got != c.want {
			t.Errorf("after %s: %s, want %s", c.after, got, c.want)
		}
	}
}

func attemptsSurviveResend(t *testing.T, open Open) {
	b := newBench(t, open)
	v := b.start(t, verify.StartRequest{To: drama(100)})
	code := b.code(t, v)
	var got []verify.Result
	for range 3 {
		got = append(got, b.check(t, v, wrong(code)))
	}
	b.clock.Advance(30 * time.Second)
	again, err := b.Resend(t.Context(), b.live, verify.ResendRequest{ID: v.ID})
	if err != nil {
		t.Fatal(err)
	}
	if again.ResendsLeft() != 3 || again.AttemptsLeft() != 2 || len(again.Deliveries) != 2 {
		t.Errorf("resends left %d, attempts left %d, deliveries %d", again.ResendsLeft(), again.AttemptsLeft(),
			len(again.Deliveries))
	}
	if same := b.code(t, v); same != code {
		t.Error("the resend carries another code")
	}
	for range 2 {
		got = append(got, b.check(t, v, wrong(code)))
	}
	if want := []verify.Result{"incorrect", "incorrect", "incorrect", "incorrect", "exhausted"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func supersede(t *testing.T, open Open) {
	b := newBench(t, open)
	first := b.start(t, verify.StartRequest{To: drama(100)})
	code := b.code(t, first)
	b.clock.Advance(30 * time.Second)
	other := b.start(t, verify.StartRequest{To: drama(100), Purpose: verify.PasswordReset})
	b.clock.Advance(60 * time.Second)
	second := b.start(t, verify.StartRequest{To: drama(100)})
	if r := b.check(t, first, code); r != verify.ResultCanceled {
		t.Errorf("the superseded one: %s", r)
	}
	for _, v := range []*verify.Verification{other, second} {
		if r := b.check(t, v, b.code(t, v)); r != verify.ResultApproved {
			t.Errorf("purpose %s: %s", v.Spec.Purpose, r)
		}
	}
}

// sendLimits walks through the gaps, the hour and the day.
func sendLimits(t *testing.T, open Open) {
	b := newBench(t, open)
	try := func() error {
		_, err := b.Start(t.Context(), b.live, verify.StartRequest{To: drama(100)})
		return err
	}
	for i, gap := range []time.Duration{30, 60, 120, 300} {
		want(t, try(), "ok")
		b.clock.Advance(gap*time.Second - time.Millisecond)
		err := try()
		want(t, err, "rate_limited number_gap")
		if e, ok := errors.AsType[*verify.Error](err); !ok || e.Retry.Sub(b.clock.Now()) != time.Millisecond {
			t.Errorf("gap %d: come back %v", i, e)
		}
		b.clock.Advance(time.Millisecond)
	}
	want(t, try(), "ok") // the fifth
	b.clock.Advance(10 * time.Minute)
	want(t, try(), "rate_limited number_hour")
	b.clock.Advance(41*time.Minute + 30*time.Second - time.Millisecond)
	want(t, try(), "rate_limited number_hour")
	b.clock.Advance(time.Millisecond)
	want(t, try(), "ok") // an hour after the first
	for range 4 {
		b.clock.Advance(time.Hour + time.Second)
		want(t, try(), "ok")
	}
	b.clock.Advance(2 * time.Hour)
	want(t, try(), "rate_limited number_day")
	_, err := b.Start(t.Context(), b.live, verify.StartRequest{To: drama(101)})
	want(t, err, "ok") // another number is free
}

func wrongLock(t *testing.T, open Open) {
	b := newBench(t, open)
	for round := range 3 {
		v := b.start(t, verify.StartRequest{To: drama(100)})
		code := b.code(t, v)
		for range 5 {
			b.check(t, v, wrong(code))
		}
		b.clock.Advance(time.Duration(round+1) * 2 * time.Minute)
	}
	_, err := b.Start(t.Context(), b.live, verify.StartRequest{To: drama(100)})
	want(t, err, "number_locked number_wrong_day")
	b.clock.Advance(24 * time.Hour)
	_, err = b.Start(t.Context(), b.live, verify.StartRequest{To: drama(100)})
	want(t, err, "ok")
}

// streakLock spends wrong codes slowly, so that only the count in a row stops them.
func streakLock(t *testing.T, open Open) {
	b := newBench(t, open)
	compared := 0
	for range 60 {
		v, err := b.Start(t.Context(), b.live, verify.StartRequest{To: drama(100)})
		if err != nil {
			want(t, err, "number_locked number_wrong_streak")
			break
		}
		code := b.code(t, v)
		for range 5 {
			if b.check(t, v, wrong(code)); compared < 200 {
				compared++
			}
		}
		b.clock.Advance(9 * time.Hour)
	}
	if compared != 100 {
		t.Errorf("%d wrong codes were compared, want 100", compared)
	}
	b.clock.Advance(24 * time.Hour)
	v := b.start(t, verify.StartRequest{To: drama(100)})
	if r := b.check(t, v, b.code(t, v)); r != verify.ResultApproved {
		t.Errorf("after the lock: %s", r)
	}
	v2 := b.start(t, verify.StartRequest{To: drama(100), Purpose: "again"})
	if r := b.check(t, v2, wrong(b.code(t, v2))); r != verify.ResultIncorrect {
		t.Errorf("the success did not reset the count: %s", r)
	}
}

func clientLimit(t *testing.T, open Open) {
	b := newBench(t, open)
	try := func(n int, ip string) error {
		_, err := b.Start(t.Context(), b.live, verify.StartRequest{To: drama(n), Client: &verify.Client{IP: ip}})
		return err
	}
	for i := range 10 {
		want(t, try(100+i, "2001:db8:1:2::1"), "ok")
	}
	want(t, try(110, "2001:db8:1:2:ffff::9"), "rate_limited client_hour") // the same /64
	want(t, try(111, "2001:db8:1:3::1"), "ok")
	want(t, try(112, "203.0.113.7"), "ok")
	want(t, try(113, "::ffff:203.0.113.8"), "ok")
	want(t, try(114, "no address"), "invalid_request client.ip invalid_value")
}

func appLimit(t *testing.T, open Open) {
	b := newBench(t, open, func(p *application.Policy) { p.StartsPerHour = 3 })
	var got tally
	together(10, func(i int) {
		_, err := b.Start(t.Context(), b.live, verify.StartRequest{To: drama(100 + i)})
		got.add(outcome(err))
	})
	got.want(t, map[string]int{"ok": 3, "rate_limited application_hour": 7})
}

// refusedIsFree takes a client's last start with a number that is refused: nothing may have been taken.
func refusedIsFree(t *testing.T, open Open) {
	b := newBench(t, open)
	client := &verify.Client{IP: "203.0.113.7"}
	for i := range 9 {
		_, err := b.Start(t.Context(), b.live, verify.StartRequest{To: drama(100 + i), Client: client})
		want(t, err, "ok")
	}
	for range 5 {
		_, err := b.Start(t.Context(), b.live, verify.StartRequest{To: drama(100), Client: client})
		want(t, err, "rate_limited number_gap")
	}
	_, err := b.Start(t.Context(), b.live, verify.StartRequest{To: drama(120), Client: client})
	want(t, err, "ok")
	if b.sent() != 10 {
		t.Errorf("%d messages, want 10", b.sent())
	}
}

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
