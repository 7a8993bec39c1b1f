package storetest

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/limit"
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
