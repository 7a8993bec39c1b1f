package guard_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dialproof/dialproof/internal/guard"
)

// priced returns rules with one ceiling, and without credit.
func priced(of guard.Scope, c guard.Ceiling) guard.Rules {
	r := without()
	for i := range r.Accounts {
		r.Accounts[i].Most, r.Accounts[i].Strangers = 1e6, 0
	}
	r.Ceilings.Currency = "EUR"
	r.Ceilings.Of[of] = c
	return r
}

func costing(millionths int64) guard.Facts {
	f := facts(1)
	f.Price, f.Priced = millionths, true
	return f
}

// TestCeilings: each ceiling lets out exactly what it says.
func TestCeilings(t *testing.T) {
	t.Parallel()
	for of, name := range map[guard.Scope]string{
		guard.OfNumber: "ceiling_number_", guard.OfRange: "ceiling_range_", guard.OfCountry: "ceiling_country_",
		guard.OfApplication: "ceiling_application_", guard.OfDeployment: "ceiling_deployment_",
	} {
		for span, c := range map[string]guard.Ceiling{"hour": {Hour: 1_000_000}, "day": {Day: 1_000_000}} {
			r, s := priced(of, c), &guard.Set{}
			n, d := out(r, s, costing(250_000), epoch)
			want(t, name+span, n, 4)
			want(t, "rule", rule(d), name+span)
			got, _ := d.Rule()
			want(t, "verdict", d.Verdict, guard.Block)
			want(t, "input", got.Input, "1.25 EUR")
			want(t, "threshold", got.Threshold, "1 EUR")
			early, late := *s, *s
			want(t, "early", r.Spend(&early, costing(250_000), got.Retry.Add(-time.Millisecond)).Verdict, guard.Block)
			want(t, "then", r.Spend(&late, costing(250_000), got.Retry).Verdict, guard.Allow)
		}
	}
	r := priced(guard.OfVerification, guard.Ceiling{Hour: 300_000})
	f := costing(100_000)
	f.Spent = 200_000
	want(t, "up to the ceiling", r.Spend(&guard.Set{}, f, epoch).Verdict, guard.Allow)
	f.Spent++
	want(t, "over it", rule(r.Spend(&guard.Set{}, f, epoch)), "ceiling_verification")
	_, d := out(r, &guard.Set{}, costing(300_001), epoch)
	got, _ := d.Rule()
	want(t, "what never fits", got.Retry.IsZero(), true)
}

// TestUnpriced: where there are ceilings, a route without a price is refused unless the operator says otherwise.
func TestUnpriced(t *testing.T) {
	t.Parallel()
	r := priced(guard.OfDeployment, guard.Ceiling{Day: 1})
	f := facts(1)
	want(t, "refused", rule(r.Spend(&guard.Set{}, f, epoch)), "unpriced")
	r.Ceilings.Unpriced = true
	want(t, "allowed", r.Spend(&guard.Set{}, f, epoch).Verdict, guard.Allow)
	want(t, "without ceilings", without().Spend(&guard.Set{}, f, epoch).Verdict, guard.Allow)
}

// TestCorrections: a message that never left costs nothing.
func TestCorrections(t *testing.T) {
	t.Parallel()
	r, s := priced(guard.OfCountry, guard.Ceiling{Day: 1_000_000}), &guard.Set{}
	f := costing(500_000)
	out(r, s, f, epoch)
	r.Failed(s, f, guard.Receipt{Sent: epoch}, epoch.Add(time.Minute))
	n, _ := out(r, s, f, epoch.Add(time.Minute))
	want(t, "again", n, 1)
}

// TestWarnings: each mark is told of once, by the message that reaches it.
func TestWarnings(t *testing.T) {
	t.Parallel()
	r, s := priced(guard.OfApplication, guard.Ceiling{Hour: 1_000_000}), &guard.Set{}
	var marks []int
	for range 12 {
		before := *s
		r.Spend(s, costing(100_000), epoch)
		for _, w := range r.Ceilings.Warnings(&before, s, epoch) {
			marks = append(marks, int(w.Spent/100_000), w.Percent)
			want(t, "scope", w.Scope.String(), "application")
			want(t, "span", w.Span, guard.Hour)
			want(t, "most", w.Max, 1_000_000)
		}
	}
	for i, m := range []int{5, 50, 8, 80, 10, 100} {
		if len(marks) != 6 || marks[i] != m {
			t.Fatalf("marks: %v", marks)
		}
	}
}

// TestCeilingsAreNeverPassed holds each ceiling against any sequence of messages in every window.
func TestCeilingsAreNeverPassed(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := guard.Ceiling{Hour: rapid.Int64Range(1, 50).Draw(t, "hour"), Day: rapid.Int64Range(1, 200).Draw(t, "day")}
		r, s := priced(guard.Scope(rapid.IntRange(1, 5).Draw(t, "of")), c), &guard.Set{}
		type cost struct {
			at  time.Time
			sum int64
		}
		var trace []cost
		now := epoch
		for range rapid.IntRange(1, 300).Draw(t, "messages") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(20*time.Minute)).Draw(t, "gap")))
			f := costing(rapid.Int64Range(0, 20).Draw(t, "price"))
			if r.Spend(s, f, now).Verdict == guard.Allow {
				trace = append(trace, cost{now, f.Price})
			}
		}
		for i := range trace {
			var sum int64
			for _, x := range trace[i:] {
				sum += x.sum
				if took := x.at.Sub(trace[i].at); took < guard.Hour && sum > c.Hour || took < guard.Day && sum > c.Day {
					t.Fatalf("%d in %s, with ceilings of %d and %d", sum, took, c.Hour, c.Day)
				}
			}
		}
	})
}
