package guard_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dialproof/dialproof/internal/guard"
	"github.com/dialproof/dialproof/internal/phone"
)

var epoch = time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)

// facts are those of an ordinary message, the first of its verification.
func facts(last int) guard.Facts {
	return guard.Facts{
		Application: "app", Range: "+44770090", Last: last, Country: "GB", Line: phone.Mobile, Purpose: "login",
		Carried: true, Parts: 1, First: true, Challenges: true, Channels: true,
	}
}

// far returns the n-th of a row of numbers that do not lie close together.
func far(n int) int { return n * 37 * 61 % 10_000 }

// without returns the default rules without alarms, for tests of the credit alone.
func without() guard.Rules {
	r := guard.Default()
	for i := range r.Ratios {
		r.Ratios[i].Hold = 0
	}
	return r
}

func rule(d guard.Decision) string {
	r, _ := d.Rule()
	return r.Name
}

func want[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// out sends until a message is refused, at one time, and returns how many were let out and what refused.
func out(r guard.Rules, s *guard.Set, f guard.Facts, now time.Time) (int, guard.Decision) {
	for n := 0; ; n++ {
		f.Last = far(n)
		if d := r.Spend(s, f, now); d.Verdict != guard.Allow || n == 1000 {
			return n, d
		}
	}
}

// TestCredit walks a range through its credit: what strangers, solvers and people who have proven the number get of it.
func TestCredit(t *testing.T) {
	t.Parallel()
	r, s := without(), &guard.Set{}
	f := facts(0)
	n, d := out(r, s, f, epoch)
	want(t, "strangers", n, 20)
	want(t, "then", d.Verdict, guard.Challenge)
	want(t, "by", rule(d), "range_credit")
	got, _ := d.Rule()
	want(t, "input", got.Input, "10.00")
	want(t, "threshold", got.Threshold, "11.00")
	// One message grows in 50 minutes; billionths round down, so a little later.
	if wait := got.Retry.Sub(epoch); wait < 50*time.Minute || wait > 51*time.Minute {
		t.Errorf("come back in %s", wait)
	}
	f.Solved = true
	n, d = out(r, s, f, epoch)
	want(t, "solvers", n, 5)
	want(t, "then", d.Verdict, guard.StepUp)
	f.Channels = false
	want(t, "without another channel", r.Spend(s, f, epoch).Verdict, guard.Block)
	f.Proven = true
	n, d = out(r, s, f, epoch)
	want(t, "who has proven it", n, 5)
	want(t, "then", d.Verdict, guard.Block)
	want(t, "a minute before", r.Spend(s, f, epoch.Add(49*time.Minute)).Verdict, guard.Block)
	want(t, "an hour later", r.Spend(s, f, epoch.Add(51*time.Minute)).Verdict, guard.Allow)
	want(t, "once", r.Spend(s, f, epoch.Add(51*time.Minute)).Verdict, guard.Block)
	want(t, "of another range", r.Spend(&guard.Set{}, f, epoch).Verdict, guard.Allow)
}

// TestRetry: at the time that a refusal names, one message passes, and not before.
func TestRetry(t *testing.T) {
	t.Parallel()
	r, s := without(), &guard.Set{}
	_, d := out(r, s, facts(0), epoch)
	got, _ := d.Rule()
	early, late := *s, *s
	want(t, "before", r.Spend(&early, facts(1), got.Retry.Add(-time.Millisecond)).Verdict, guard.Challenge)
	want(t, "then", r.Spend(&late, facts(1), got.Retry).Verdict, guard.Allow)
}

// TestCosts: a message costs its parts, and what does not go over the telephone network costs none.
func TestCosts(t *testing.T) {
	t.Parallel()
	r := without()
	for _, c := range []struct {
		parts   int
		carried bool
		want    int
	}{{0, true, 20}, {1, true, 20}, {3, true, 6}, {20, true, 1}, {21, true, 0}, {3, false, 1000}} {
		f := facts(0)
		f.Parts, f.Carried = c.parts, c.carried
		n, _ := out(r, &guard.Set{}, f, epoch)
		want(t, "messages", n, c.want)
	}
}

// TestConversionsPay: a conversion returns 1/0.35, and never more than the range can have.
func TestConversionsPay(t *testing.T) {
	t.Parallel()
	r, s := without(), &guard.Set{}
	f := facts(0)
	out(r, s, f, epoch)
	r.Convert(s, f, epoch, epoch)
	n, _ := out(r, s, f, epoch)
	want(t, "for one", n, 2)
	for range 100 {
		r.Convert(s, f, epoch, epoch)
	}
	n, _ = out(r, s, f, epoch)
	want(t, "for a hundred", n, 20)
}

// TestOthers: a country without credit refuses strangers in ranges that never converted; ranges that have do not notice
// for 28 days.
func TestOthers(t *testing.T) {
	t.Parallel()
	r := without()
	r.Accounts[guard.Country].Most, r.Accounts[guard.Country].Growth = 40, 0
	known, other := &guard.Set{}, &guard.Set{}
	r.Convert(known, facts(0), epoch, epoch)
	share := func(from, to *guard.Set) { to.Buckets[guard.Country] = from.Buckets[guard.Country] }
	n, _ := out(r, other, facts(0), epoch)
	want(t, "out", n, 20)
	share(other, known)
	third := &guard.Set{}
	share(other, third)
	d := r.Spend(third, facts(0), epoch)
	want(t, "a third range", rule(d), "country_credit")
	copied := *known
	want(t, "one that converted", r.Spend(known, facts(0), epoch).Verdict, guard.Allow)
	want(t, "27 days later", r.Spend(&copied, facts(0), epoch.Add(28*guard.Day-time.Millisecond)).Verdict, guard.Allow)
	want(t, "28 days later", r.Spend(&copied, facts(0), epoch.Add(28*guard.Day)).Verdict, guard.Challenge)
}

// TestReturns: what never left is returned whole, what a carrier calls undelivered under its conditions, within half of
// the credit in any day.
func TestReturns(t *testing.T) {
	t.Parallel()
	r := without()
	f := facts(0)
	again := func(s *guard.Set) int { n, _ := out(r, s, f, epoch); return n }
	s := &guard.Set{}
	again(s)
	for range 20 {
		r.Failed(s, f, guard.Receipt{Sent: epoch}, epoch)
	}
	want(t, "failed", again(s), 20)
	for _, c := range []struct {
		name    string
		receipt guard.Receipt
		want    int
	}{
		{"charged", guard.Receipt{Sent: epoch, Charged: true, Elsewhere: true}, 0},
		{"only here", guard.Receipt{Sent: epoch}, 0},
		{"here and elsewhere", guard.Receipt{Sent: epoch, Elsewhere: true}, 15},
	} {
		s := &guard.Set{}
		again(s)
		back := 0
		for range 30 {
			if r.Undelivered(s, f, c.receipt, epoch) {
				back++
			}
		}
		want(t, c.name, back, c.want)
		want(t, c.name, again(s), c.want)
	}
	f.Carried = false
	want(t, "mail", r.Undelivered(&guard.Set{}, f, guard.Receipt{Elsewhere: true}, epoch), false)
}

// TestTrusted: the application's own word has a credit of its own, used when the other one is empty.
func TestTrusted(t *testing.T) {
	t.Parallel()
	r, s := without(), &guard.Set{}
	f := facts(0)
	f.Trusted = true
	n, d := out(r, s, f, epoch)
	want(t, "messages", n, 80)
	want(t, "then", d.Verdict, guard.Challenge)
	f.Trusted = false
	want(t, "not trusted", r.Spend(s, f, epoch.Add(30*time.Minute)).Verdict, guard.Challenge)
}

// TestShadow: rules that are only watched are told of and stop nothing.
func TestShadow(t *testing.T) {
	t.Parallel()
	r, s := guard.Default(), &guard.Set{}
	r.Shadow = []string{"credit", "alarm"}
	n, _ := out(r, s, facts(0), epoch)
	want(t, "messages", n, 1000)
	d := r.Spend(s, facts(1), epoch)
	seen := map[string]bool{}
	for _, x := range d.Rules {
		seen[x.Name] = x.Shadow
	}
	if !seen["range_credit"] || !seen["range_density"] {
		t.Errorf("rules: %v", d)
	}
	if _, ok := d.Rule(); ok || d.Verdict != guard.Allow {
		t.Error("a rule in shadow has refused")
	}
}

// TestBound holds the promise of the credit against any sequence of messages, conversions and returns: in any window of
// T minutes a bucket lets out at most its credit, g·T, what its own conversions returned, and what was returned of
// messages that never arrived and were sent before the window.
func TestBound(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := guard.Default()
		type event struct {
			at   time.Time
			paid float64 // credit that was spent, or returned if negative
		}
		var trace []event
		s := &guard.Set{}
		now := epoch
		step := rapid.SampledFrom([]time.Duration{time.Second, time.Minute, 40 * time.Minute, 5 * time.Hour}).Draw(t, "step")
		for range rapid.IntRange(20, 250).Draw(t, "events") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(step)).Draw(t, "gap")))
			f := facts(rapid.IntRange(0, 9999).Draw(t, "last"))
			f.Parts = rapid.IntRange(1, 3).Draw(t, "parts")
			f.Proven, f.Solved = rapid.Bool().Draw(t, "proven"), rapid.Bool().Draw(t, "solved")
			switch rapid.IntRange(0, 12).Draw(t, "what") {
			case 0:
				r.Convert(s, f, now, now)
				trace = append(trace, event{now, -1 / 0.35})
			case 1:
				r.Failed(s, f, guard.Receipt{Sent: now}, now)
				trace = append(trace, event{now, -float64(f.Parts)})
			case 2:
				if r.Undelivered(s, f, guard.Receipt{Sent: now, Elsewhere: true}, now) {
					trace = append(trace, event{now, -float64(f.Parts)})
				}
			default:
				if r.Spend(s, f, now).Verdict == guard.Allow {
					trace = append(trace, event{now, float64(f.Parts)})
				}
			}
			if parsed, err := guard.ParseBucket(s.Buckets[0].Append(nil)); err != nil {
				t.Fatal(err)
			} else {
				s.Buckets[0] = parsed
			}
		}
		for i := range trace {
			sum := 0.0
			for _, e := range trace[i:] {
				sum += e.paid
				if most := r.Bound(guard.Range, e.at.Sub(trace[i].at)); sum > most+1e-6 {
					t.Fatalf("%.2f were let out in %s, at most %.2f may", sum, e.at.Sub(trace[i].at), most)
				}
			}
		}
	})
}

// TestClockBack: a clock that goes back gives no credit.
func TestClockBack(t *testing.T) {
	t.Parallel()
	r, s := without(), &guard.Set{}
	out(r, s, facts(0), epoch)
	for range 100 {
		r.Spend(s, facts(0), epoch.Add(-time.Hour))
		if r.Spend(s, facts(0), epoch.Add(time.Second)).Verdict == guard.Allow {
			t.Fatal("a message passed")
		}
	}
}

// TestKeys: test and live, applications and levels have buckets of their own, but for the deployment's.
func TestKeys(t *testing.T) {
	t.Parallel()
	a := facts(0)
	test, other, country, next := a, a, a, a
	test.Test, other.Application, country.Country, next.Range = true, "other", "FR", "+44770091"
	same := func(l guard.Level, b guard.Facts) bool { return a.Key(l) == b.Key(l) }
	seen := map[string]bool{}
	for _, l := range guard.Levels() {
		want(t, l.String()+" of test", same(l, test), false)
		want(t, l.String()+" of another application", same(l, other), l == guard.Deployment)
		want(t, l.String()+" of another country", same(l, country), l != guard.Country)
		want(t, l.String()+" of another range", same(l, next), l != guard.Range)
		seen[a.Key(l)] = true
	}
	want(t, "keys", len(seen), 5)
	for in, out := range map[string]string{"+44770090": "+44770", "+35461": "+35", "+1": "+1", "": ""} {
		want(t, in, guard.Network(in), out)
	}
}

// TestVerdicts: the severest rule wins, wherever it stands.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	r, s := without(), &guard.Set{}
	out(r, s, facts(0), epoch)
	r.Policy.Entries = []guard.Entry{{Action: guard.Refuse, Country: "GB", Note: "no customers there"}}
	d := r.Spend(s, facts(0), epoch)
	want(t, "verdict", d.Verdict, guard.Block)
	want(t, "rule", rule(d), "policy_country")
	if len(d.Rules) != 2 || !slices.Contains(guard.Verdicts(), d.Verdict) {
		t.Errorf("rules: %v", d)
	}
}
