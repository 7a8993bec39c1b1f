package verify_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/message"
	"github.com/dialproof/dialproof/internal/store"
	"github.com/dialproof/dialproof/internal/verify"
)

// TestCheck submits one code in many ways.
func TestCheck(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		typed func(code string) string
		want  string
	}{
		{"right", func(code string) string { return code }, "approved"},
		{"with spaces", func(code string) string { return " " + code[:3] + " " + code[3:] }, "approved"},
		{"with a hyphen", func(code string) string { return code[:3] + "-" + code[3:] }, "approved"},
		{"wrong", wrong, "incorrect"},
		{"its beginning", func(code string) string { return code[:5] }, "incorrect"},
		{"longer", func(code string) string { return code + "0" }, "incorrect"},
		{"only spaces", func(string) string { return "  " }, "incorrect"},
		{"empty", func(string) string { return "" }, "invalid_request code invalid_value"},
		{"very long", func(code string) string { return code + strings.Repeat(" ", 995) }, "invalid_request code " +
			"invalid_value"},
		{"as long as may be", func(code string) string { return code + strings.Repeat("\u2009", 994) }, "approved"},
		{"not text", func(code string) string { return code + "\xff" }, "invalid_request code invalid_value"},
		{"with a NUL", func(code string) string { return code + "\x00" }, "invalid_request code invalid_value"},
		{"with a line end", func(code string) string { return code + "\r\n" }, "approved"},
	} {
		w := newWorld(t)
		v := w.start(t, verify.StartRequest{To: drama(100)})
		want(t, c.name, w.check(t, v, c.typed(w.code(t, v))), c.want)
	}
}

// TestApproval: what an approval writes, proves and tells.
func TestApproval(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v := w.start(t, verify.StartRequest{To: drama(100)})
	w.advance(time.Minute)
	code := w.code(t, v)
	if _, _, err := w.Proven(t.Context(), w.live, v.ID); outcome(err) != "not_found" {
		t.Errorf("what is pending is proven: %v", err)
	}
	a, err := w.Check(t.Context(), w.live, verify.CheckRequest{ID: v.ID, Code: code})
	if err != nil || a.Result != verify.ResultApproved || a.Proven == nil || a.Proven.To != drama(100) ||
		a.Verification.Status != verify.Approved {
		t.Fatalf("%+v, %v", a, err)
	}
	kept := w.kept(t, v)
	want(t, "status", kept.Status, verify.Approved)
	want(t, "ended", kept.Ended, epoch.Add(time.Minute))
	want(t, "attempts", kept.Attempts, 1)
	want(t, "resend at", kept.ResendAt.IsZero(), true)
	a, err = w.Check(t.Context(), w.live, verify.CheckRequest{ID: v.ID, Code: code})
	if err != nil || a.Result != verify.ResultUsed || a.Proven != nil {
		t.Errorf("the same code again: %+v, %v", a, err)
	}
	if len(w.approved) != 1 || w.approved[0] != v.ID || w.counts["checked approved"] != 1 ||
		w.counts["checked used"] != 1 {
		t.Errorf("told %v, counted %v", w.approved, w.counts)
	}
	if _, p, err := w.Proven(t.Context(), w.live, v.ID); err != nil || p.To != drama(100) {
		t.Errorf("proven: %+v, %v", p, err)
	}
	if _, _, open, err := w.composer().Compose(t.Context(), v.ID, kept.Deliveries[0]); open || err != nil {
		t.Errorf("there is a message for an approved verification: %v", err)
	}
}

// TestAttempts: wrong codes are counted, the last one ends the verification, and no code is taken after it.
func TestAttempts(t *testing.T) {
	t.Parallel()
	for _, most := range []int{1, 3, 5, 10} {
		w := newWorld(t)
		v := w.start(t, verify.StartRequest{To: drama(100), MaxAttempts: most})
		code := w.code(t, v)
		for i := range most - 1 {
			want(t, "wrong", w.check(t, v, wrong(code)), "incorrect")
			want(t, "left", w.kept(t, v).AttemptsLeft(), most-1-i)
		}
		w.advance(time.Second)
		want(t, "the last", w.check(t, v, wrong(code)), "exhausted")
		kept := w.kept(t, v)
		if kept.Status != verify.Failed || kept.Attempts != most || !kept.Ended.Equal(epoch.Add(time.Second)) {
			t.Errorf("%d attempts: %+v", most, kept)
		}
		want(t, "the right code afterwards", w.check(t, v, code), "exhausted")
		want(t, "attempts", w.kept(t, v).Attempts, most)
	}
	w := newWorld(t)
	v := w.start(t, verify.StartRequest{To: drama(100)})
	code := w.code(t, v)
	for range 4 {
		w.check(t, v, wrong(code))
	}
	want(t, "the right code at the last attempt", w.check(t, v, code), "approved")
}

// TestExpiry: a code lives to the millisecond, and who looks writes down that it is over.
func TestExpiry(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		after  time.Duration
		want   string
		status verify.Status
	}{
		{5*time.Minute - time.Millisecond, "approved", verify.Approved},
		{5 * time.Minute, "expired", verify.Expired},
		{5*time.Minute + time.Millisecond, "expired", verify.Expired},
	} {
		w := newWorld(t)
		v := w.start(t, verify.StartRequest{To: drama(100)})
		code := w.code(t, v)
		w.advance(c.after)
		want(t, "open at the end", w.kept(t, v).At(w.Clock()) == verify.Pending, c.status == verify.Approved)
		want(t, c.after.String(), w.check(t, v, code), c.want)
		kept := w.kept(t, v)
		want(t, "status", kept.Status, c.status)
		if c.status == verify.Expired {
			want(t, "ended", kept.Ended, epoch.Add(5*time.Minute))
			want(t, "attempts", kept.Attempts, 0)
		}
	}
}

// TestStreak: wrong codes in a row are counted per number, and a right one ends the row.
func TestStreak(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.unlimited()
	w.Limits.Wrong.Burst = 0
	w.Limits.MaxStreak, w.Limits.LockFor = 3, time.Minute
	v := w.start(t, verify.StartRequest{To: drama(100)})
	code := w.code(t, v)
	for range 2 {
		w.check(t, v, wrong(code))
	}
	want(t, "streak", w.number(t, v).Streak, 2)
	want(t, "right", w.check(t, v, code), "approved")
	want(t, "streak after a success", w.number(t, v).Streak, 0)

	v = w.start(t, verify.StartRequest{To: drama(100)})
	code = w.code(t, v)
	for i := range 3 {
		want(t, "wrong", w.check(t, v, wrong(code)), "incorrect")
		want(t, "streak", w.number(t, v).Streak, i+1)
	}
	want(t, "the right code of a locked number", w.check(t, v, code), "number_locked number_wrong_streak")
	want(t, "attempts", w.kept(t, v).Attempts, 3)
	want(t, "a start", w.tryStart(t, verify.StartRequest{To: drama(100), Purpose: "other"}),
		"number_locked number_wrong_streak")
	want(t, "a resend", w.tryResend(t, v, ""), "number_locked number_wrong_streak")
	want(t, "another number", w.tryStart(t, verify.StartRequest{To: drama(101)}), "ok")
	w.advance(time.Minute - time.Millisecond)
	want(t, "just before its end", w.check(t, v, code), "number_locked number_wrong_streak")
	want(t, "counted", w.counts["limited number_wrong_streak"], 4)
	w.advance(time.Millisecond)
	want(t, "after the lock", w.check(t, v, code), "approved")
}

// TestWrongRate: wrong codes have a rate per number, over all its verifications, and right ones cost nothing.
func TestWrongRate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.unlimited()
	w.Limits.Wrong.Burst = 4
	for range 5 {
		v := w.start(t, verify.StartRequest{To: drama(100)})
		want(t, "right", w.check(t, v, w.code(t, v)), "approved")
	}
	v := w.start(t, verify.StartRequest{To: drama(100), ExpiresIn: 600})
	code := w.code(t, v)
	for range 3 {
		want(t, "wrong", w.check(t, v, wrong(code)), "incorrect")
	}
	v = w.start(t, verify.StartRequest{To: drama(100), ExpiresIn: 600})
	code = w.code(t, v)
	want(t, "wrong", w.check(t, v, wrong(code)), "incorrect")
	want(t, "the right code of a locked number", w.check(t, v, code), "number_locked number_wrong_day")
	want(t, "a start", w.tryStart(t, verify.StartRequest{To: drama(100)}), "number_locked number_wrong_day")
	want(t, "a resend", w.tryResend(t, v, ""), "number_locked number_wrong_day")
	_, err := w.Start(t.Context(), w.tenant("other"), verify.StartRequest{To: drama(100)})
	want(t, "another application", outcome(err), "ok")
	w.advance(6 * time.Hour)
	want(t, "a quarter of a day later", w.tryStart(t, verify.StartRequest{To: drama(100)}), "ok")
}

// TestPaymentsAreLinked: a code is good for the amount, the currency and the payee that it was made for.
func TestPaymentsAreLinked(t *testing.T) {
	t.Parallel()
	paid := &message.Transaction{Amount: "39.90", Currency: "EUR", Payee: "Acme Ltd"}
	for _, c := range []struct {
		name  string
		start *message.Transaction
		check *message.Transaction
		want  string
	}{
		{"the payment", paid, &message.Transaction{Amount: "39.90", Currency: "EUR", Payee: "Acme Ltd"}, "approved"},
		{"fewer decimals", paid, &message.Transaction{Amount: "39.9", Currency: "EUR", Payee: "Acme Ltd"}, "approved"},
		{"more decimals", paid, &message.Transaction{Amount: "39.900", Currency: "EUR", Payee: "Acme Ltd"}, "approved"},
		{"a zero in front", paid, &message.Transaction{Amount: "039.90", Currency: "EUR", Payee: "Acme Ltd"}, "approved"},
		{"spaces", paid, &message.Transaction{Amount: "39.90", Currency: "EUR", Payee: " Acme  Ltd"}, "approved"},
		{"none", paid, nil, "transaction_mismatch"},
		{"another amount", paid, &message.Transaction{Amount: "39.91", Currency: "EUR", Payee: "Acme Ltd"},
			"transaction_mismatch"},
		{"ten times as much", paid, &message.Transaction{Amount: "399", Currency: "EUR", Payee: "Acme Ltd"},
			"transaction_mismatch"},
		{"another currency", paid, &message.Transaction{Amount: "39.90", Currency: "USD", Payee: "Acme Ltd"},
			"transaction_mismatch"},
		{"another payee", paid, &message.Transaction{Amount: "39.90", Currency: "EUR", Payee: "Acme Inc"},
			"transaction_mismatch"},
		{"another case", paid, &message.Transaction{Amount: "39.90", Currency: "EUR", Payee: "ACME Ltd"},
			"transaction_mismatch"},
		{"a payment where there was none", nil, paid, "transaction_mismatch"},
		{"none where there was none", nil, nil, "approved"},
		{"a wrong form", paid, &message.Transaction{Amount: "much", Currency: "EUR", Payee: "Acme Ltd"},
			"invalid_request transaction.amount invalid_value"},
	} {
		for _, supplied := range []string{"", "424242"} {
			w := newWorld(t)
			v := w.start(t, verify.StartRequest{To: drama(100), Transaction: c.start, Code: message.NewCode(supplied)})
			a, err := w.Check(t.Context(), w.live, verify.CheckRequest{ID: v.ID, Code: w.code(t, v), Transaction: c.check})
			got := string(a.Result)
			if err != nil {
				got = outcome(err)
			}
			want(t, c.name, got, c.want)
			if got == "approved" && c.start != nil && (a.Proven.Transaction == nil || *a.Proven.Transaction != *paid) {
				t.Errorf("proven %+v", a.Proven)
			}
			if got == "transaction_mismatch" && w.kept(t, v).Attempts != 0 {
				t.Errorf("%s: the attempt of a person who typed nothing wrong", c.name)
			}
		}
	}
}

// TestPayeeInAnotherNormalForm: the same name, written with composed and with combining characters, is the same payee.
func TestPayeeInAnotherNormalForm(t *testing.T) {
	t.Parallel()
	for composed, combining := range map[string]string{
		"Café Zoë": "Cafe\u0301 Zoe\u0308", "Åhléns": "A\u030ahle\u0301ns",
		"Điện Máy": "Đie\u0323\u0302n Ma\u0301y", "한국": "\u1112\u1161\u11ab\u1100\u116e\u11a8",
	} {
		for start, check := range map[string]string{composed: combining, combining: composed} {
			w := newWorld(t)
			v := w.start(t, verify.StartRequest{To: drama(100),
				Transaction: &message.Transaction{Amount: "1", Currency: "EUR", Payee: start}})
			a, err := w.Check(t.Context(), w.live, verify.CheckRequest{ID: v.ID, Code: w.code(t, v),
				Transaction: &message.Transaction{Amount: "1.00", Currency: "EUR", Payee: check}})
			if err != nil || a.Result != verify.ResultApproved {
				t.Errorf("%q and %q: %s, %v", start, check, a.Result, err)
			}
		}
	}
}

// TestMisread: what cannot be the code is incorrect, and takes no attempt and nothing of the number's limits.
func TestMisread(t *testing.T) {
	t.Parallel()
	for _, supplied := range []string{"", "424242", "AB34CD"} {
		w := newWorld(t)
		v := w.start(t, verify.StartRequest{To: drama(100), Code: message.NewCode(supplied)})
		code := w.code(t, v)
		for _, typed := range []string{
			" ", "\n", code[1:], code + "1", "code", "l" + code[1:] + "!", code[:5] + "ж", "¹²³⁴⁵⁶", "12:34:56", "\u200b",
		} {
			a, err := w.Check(t.Context(), w.live, verify.CheckRequest{ID: v.ID, Code: typed})
			if err != nil || a.Result != verify.ResultIncorrect || a.Counted || a.Verification.Attempts != 0 {
				t.Errorf("%q: %s, counted %v, %v", typed, a.Result, a.Counted, err)
			}
		}
		pasted := "\ufeff" + code[:3] + "\u2009" + code[3:] + "\n"
		a, err := w.Check(t.Context(), w.live, verify.CheckRequest{ID: v.ID, Code: pasted})
		if err != nil || a.Result != verify.ResultApproved || !a.Counted {
			t.Errorf("the code as it was pasted: %s, %v", a.Result, err)
		}
	}
}

// TestMisreadIsLimited: a verification takes 20 of them in any minute, and its code all the same.
func TestMisreadIsLimited(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v := w.start(t, verify.StartRequest{To: drama(100)})
	submit := func() string {
		_, err := w.Check(t.Context(), w.live, verify.CheckRequest{ID: v.ID, Code: "what?"})
		return outcome(err)
	}
	for range 19 {
		want(t, "in the minute", submit(), "ok")
	}
	w.advance(59 * time.Second)
	want(t, "the twentieth", submit(), "ok")
	want(t, "the next", submit(), "rate_limited verification_misread")
	w.advance(time.Second)
	for range 19 {
		want(t, "a minute after the first", submit(), "ok")
	}
	want(t, "one too many", submit(), "rate_limited verification_misread")
	want(t, "the code", w.check(t, v, w.code(t, v)), "approved")
}

// TestPastedMessage: the code is found in the message around it, and a guess in a message is a guess.
func TestPastedMessage(t *testing.T) {
	t.Parallel()
	for _, around := range []string{
		"%s is your Shop code", "G-%s", "Your code: %s. Valid for 5 min.", "@shop.example #%s",
	} {
		w := newWorld(t)
		v := w.start(t, verify.StartRequest{To: drama(100)})
		want(t, "a wrong one", w.check(t, v, fmt.Sprintf(around, wrong(w.code(t, v)))), "incorrect")
		want(t, "counted", w.kept(t, v).Attempts, 1)
		want(t, around, w.check(t, v, fmt.Sprintf(around, w.code(t, v))), "approved")
	}
}

// TestCheckByNumber: a verification is found by its number and purpose, which is login when it is not named.
func TestCheckByNumber(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, to, region, purpose, want string
	}{
		{"number and purpose", drama(100), "", "login", "approved"},
		{"no purpose", drama(100), "", "", "approved"},
		{"as people write it", "07700 900100", "GB", "", "approved"},
		{"another purpose", drama(100), "", "registration", "not_found"},
		{"another number", drama(101), "", "login", "not_found"},
		{"no number", "x", "", "login", "invalid_request to invalid_number"},
	} {
		w := newWorld(t)
		v := w.start(t, verify.StartRequest{To: drama(100)})
		a, err := w.Check(t.Context(), w.live,
			verify.CheckRequest{To: c.to, Region: c.region, Purpose: c.purpose, Code: w.code(t, v)})
		got := string(a.Result)
		if err != nil {
			got = outcome(err)
		}
		want(t, c.name, got, c.want)
	}
	w := newWorld(t)
	w.unlimited()
	first := w.start(t, verify.StartRequest{To: drama(100)})
	old := w.code(t, first)
	second := w.start(t, verify.StartRequest{To: drama(100)})
	if code := w.code(t, second); code != old { // one in a million are the same
		a, err := w.Check(t.Context(), w.live, verify.CheckRequest{To: drama(100), Code: old})
		if err != nil || a.Result != verify.ResultIncorrect || a.Verification.ID != second.ID {
			t.Errorf("the code of an older verification: %s, %v", a.Result, err)
		}
	}
}

// TestTenants: what belongs to another application, or to the other mode, is not there.
func TestTenants(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		of   func(*world) (owner, caller application.Caller)
	}{
		{"another application", func(w *world) (application.Caller, application.Caller) { return w.live, w.tenant("other") }},
		{"a test key", func(w *world) (application.Caller, application.Caller) { return w.live, w.test }},
		{"a live key", func(w *world) (application.Caller, application.Caller) { return w.test, w.live }},
	} {
		w := newWorld(t)
		owner, caller := c.of(w)
		v, err := w.Start(t.Context(), owner, verify.StartRequest{To: drama(100)})
		if err != nil {
			t.Fatal(err)
		}
		m, _, _, err := w.composer().Compose(t.Context(), v.ID, v.Deliveries[0])
		if err != nil {
			t.Fatal(err)
		}
		code := m.Code.Reveal()
		w.advance(time.Minute)
		_, err = w.Get(t.Context(), caller, v.ID)
		want(t, c.name+" looks", outcome(err), "not_found")
		_, err = w.Check(t.Context(), caller, verify.CheckRequest{ID: v.ID, Code: code})
		want(t, c.name+" checks", outcome(err), "not_found")
		_, err = w.Check(t.Context(), caller, verify.CheckRequest{To: drama(100), Code: code})
		want(t, c.name+" checks by number", outcome(err), "not_found")
		_, err = w.Resend(t.Context(), caller, verify.ResendRequest{ID: v.ID})
		want(t, c.name+" resends", outcome(err), "not_found")
		_, err = w.Cancel(t.Context(), caller, v.ID, nil)
		want(t, c.name+" cancels", outcome(err), "not_found")
		for _, f := range []verify.Filter{{Limit: 10}, {Limit: 10, To: drama(100)}} {
			if page, err := w.List(t.Context(), caller, f); err != nil || len(page.Items) != 0 {
				t.Errorf("the list of %s has %d, %v", c.name, len(page.Items), err)
			}
		}
		a, err := w.Check(t.Context(), owner, verify.CheckRequest{ID: v.ID, Code: code})
		if err != nil || a.Result != verify.ResultApproved || a.Verification.Attempts != 1 {
			t.Errorf("%s: the owner: %s, %v", c.name, a.Result, err)
		}
		_, _, err = w.Proven(t.Context(), caller, v.ID)
		want(t, c.name+" asks for the proof", outcome(err), "not_found")
	}
	w := newWorld(t)
	for name, ref := range map[string]id.ID{"an unknown id": {9}, "no id and no number": {}} {
		_, err := w.Check(t.Context(), w.live, verify.CheckRequest{ID: ref, Code: "123456"})
		if got := outcome(err); got != "not_found" && got != "invalid_request to invalid_number" {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// TestChecksAtOnce: of many right codes one is approved, of many wrong ones as many are compared as attempts are left.
func TestChecksAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorldOn(t, func(e store.Engine) *store.DB { return store.New(e, nil) })
	for i, typed := range []func(string) string{func(code string) string { return code }, wrong} {
		v := w.start(t, verify.StartRequest{To: drama(100 + i)})
		code := typed(w.code(t, v))
		got := map[string]int{}
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				r := w.check(t, v, code)
				w.locked(func() { got[r]++ })
			})
		}
		all.Wait()
		if i == 0 && (got["approved"] != 1 || got["used"] != 49) ||
			i == 1 && (got["incorrect"] != 4 || got["exhausted"] != 46) {
			t.Errorf("%v", got)
		}
	}
}

// TestCheckOfWhatIsForgotten: what is sealed is gone after the retention time, and a code is then neither right nor
// wrong.
func TestCheckOfWhatIsForgotten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v := w.start(t, verify.StartRequest{To: drama(100), Channel: channel.SMS})
	w.check(t, v, w.code(t, v))
	w.advance(time.Hour)
	if _, n, err := w.db.Forget(t.Context(), id.ID{}, w.Clock()); n != 1 || err != nil {
		t.Fatalf("%d forgotten, %v", n, err)
	}
	want(t, "check", w.check(t, v, "123456"), "used")
	_, _, err := w.Proven(t.Context(), w.live, v.ID)
	want(t, "proven", outcome(err), "not_found")
	if n, err := w.composer().Number(t.Context(), v.ID); err != nil || !n.IsZero() {
		t.Errorf("the number is %v, %v", n, err)
	}
}
