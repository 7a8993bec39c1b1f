package guard

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Rules is a set of rules with its figures.
type Rules struct {
	Accounts    [levels]Account
	Conversions Conversions
	// Ratios and Density raise alarms.
	Ratios  [levels]Ratio
	Density Density
	// LentShare is the part of a bucket's credit that undelivered messages may return in a day.
	LentShare float64
	Policy    Policy
	Ceilings  Ceilings
	// Vouched is the credit for people that the application itself vouches for. It belongs to the application.
	Vouched Account
	// Shadow names groups of rules that are only watched: "credit" and "alarm".
	Shadow []string
}

// Set is the state that one message reads and changes.
type Set struct {
	Buckets [levels]Bucket
	Number  Spent
	// Vouched is the credit of the application's own word.
	Vouched Bucket
}

// cost returns the credit that a message costs.
func (f Facts) cost() Credit {
	if !f.Carried {
		return 0
	}
	return message * Credit(max(f.Parts, 1))
}

// Spend decides about a message and, when it may be sent, spends what it costs. A message that is not allowed spends
// nothing, but its time passes in the set all the same.
func (r Rules) Spend(s *Set, f Facts, now time.Time) Decision {
	at := now.UnixMilli()
	d := Decision{Verdict: Allow}
	r.Policy.judge(f, now, &d)
	r.Ceilings.price(s, f, at, &d)
	vouched := r.afford(s, f, at, &d)
	if d.Verdict != Allow {
		return d
	}
	s.spend(f, at)
	r.pay(s, f, vouched, at)
	return d
}

// afford judges the credit of a message and reports whether the application's own word has to pay for it.
func (r Rules) afford(s *Set, f Facts, now int64, d *Decision) (vouched bool) {
	if f.cost() == 0 {
		return false
	}
	var short []Rule
	for _, l := range Levels() {
		b := &s.Buckets[l]
		b.grow(r.Accounts[l], r.Conversions, now)
		if b.alarmed(now) {
			rule := b.Alarm.rule(l)
			rule.Verdict, rule.Shadow = Allow, r.shadow("alarm") // it speaks through the credit
			d.add(rule)
		}
		if rule, ok := r.short(s, f, l, now); ok {
			short = append(short, rule)
		}
	}
	if len(short) == 0 {
		return false
	}
	if f.Trusted {
		s.Vouched.grow(r.Vouched, r.Conversions, now)
		if s.Vouched.Credit >= f.cost() {
			d.add(Rule{
				Name: "trusted", Version: 1, Verdict: Allow,
				Input: s.Vouched.Credit.String(), Threshold: f.cost().String(),
			})
			return true
		}
	}
	for _, rule := range short {
		d.add(rule)
	}
	return false
}

// short returns what a level whose credit does not suffice has to say.
func (r Rules) short(s *Set, f Facts, l Level, now int64) (Rule, bool) {
	a, b := r.Accounts[l], &s.Buckets[l]
	most := a.most(b, r.Conversions, now)
	converts := l != Range && s.Buckets[Range].converts(r.Conversions, now)
	need := a.floor(most, f, converts) + f.cost()
	if b.Credit >= need {
		return Rule{}, false
	}
	return Rule{
		Name: l.String() + "_credit", Version: 1, Verdict: f.otherwise(), Shadow: r.shadow("credit"),
		Input: b.Credit.String(), Threshold: need.String(), Retry: b.affordable(a, need, now),
	}, true
}

// pay spends the credit of a message that is sent, counts it and looks whether it is one too many.
func (r Rules) pay(s *Set, f Facts, vouched bool, now int64) {
	if f.cost() == 0 {
		return
	}
	if vouched {
		s.Vouched.Credit -= f.cost()
	}
	for _, l := range Levels() {
		b := &s.Buckets[l]
		if !vouched {
			b.Credit = max(b.Credit-f.cost(), 0) // it is only short when the rule is in shadow
		}
		if f.First {
			b.start(now)
		}
		if l == Range && !f.Proven {
			b.see(f.Last, now)
		}
		r.alarms(b, l, now)
	}
}

// alarms raises the alarms of a bucket, and takes from strangers what conversions have paid for them.
func (r Rules) alarms(b *Bucket, l Level, now int64) {
	if r.Ratios[l].Hold <= 0 || b.alarmed(now) {
		return
	}
	b.watch(r.Ratios[l], now)
	if l == Range {
		b.crowded(r.Density, r.Ratios[l], now)
	}
	if b.alarmed(now) && !r.shadow("alarm") {
		most := r.Accounts[l].most(b, r.Conversions, now)
		b.Credit = min(b.Credit, r.Accounts[l].floor(most, Facts{}, false))
	}
}

// Convert returns credit for a verification whose code was typed; it is called once for each. started is when the
// verification began.
func (r Rules) Convert(s *Set, f Facts, started, now time.Time) {
	at := now.UnixMilli()
	for _, l := range Levels() {
		b := &s.Buckets[l]
		b.grow(r.Accounts[l], r.Conversions, at)
		b.win(started.UnixMilli(), at)
		b.convert(r.Accounts[l], r.Conversions, b.alarmed(at) && !r.shadow("alarm"), at)
	}
	s.Buckets[Range].unsee(f.Last)
}

// Receipt is what became of a message that had been sent.
type Receipt struct {
	// Sent is when it was sent.
	Sent time.Time
	// Charged reports whether the provider charged for it.
	Charged bool
	// Elsewhere reports whether the same route loses messages of other networks of the country too.
	Elsewhere bool
}

// Failed returns the whole cost of a message that never left.
func (r Rules) Failed(s *Set, f Facts, c Receipt, now time.Time) {
	at := now.UnixMilli()
	r.giveBack(s, f, f.cost(), c.Sent.UnixMilli(), at)
	if f.Priced {
		s.correct(-f.Price, c.Sent.UnixMilli())
	}
}

// Undelivered returns the cost of a message that a carrier says it has not delivered, and reports whether it did; it is
// called once for each message. A carrier that earns by messages may say so of all of them. So nothing is returned that
// was charged, nor what only this network loses, nor more in a day than a part of the range's credit.
func (r Rules) Undelivered(s *Set, f Facts, c Receipt, now time.Time) bool {
	at := now.UnixMilli()
	cost := f.cost()
	lent := &s.Buckets[Range].Lent
	most := int64(credit(r.Accounts[Range].Most*r.LentShare) / (message / 1000))
	amount := int64(cost / (message / 1000))
	if cost == 0 || c.Charged || !c.Elsewhere || lent.Sum(Day, at)+amount > most {
		return false
	}
	lent.Add(Day, at, amount)
	r.giveBack(s, f, cost, c.Sent.UnixMilli(), at)
	return true
}

// giveBack returns a cost on every level, and takes the verification out of the counts.
func (r Rules) giveBack(s *Set, f Facts, cost Credit, sent, now int64) {
	for _, l := range Levels() {
		b := &s.Buckets[l]
		b.grow(r.Accounts[l], r.Conversions, now)
		b.giveBack(r.Accounts[l], r.Conversions, cost, now)
		if f.First {
			b.unstart(sent, now)
		}
	}
	s.Buckets[Range].unsee(f.Last)
}

// shadow reports whether a group of rules is only watched.
func (r Rules) shadow(group string) bool {
	return slices.Contains(r.Shadow, group)
}

// Bound returns how many messages a bucket of a level lets out at most in a time, without conversions and without what
// undelivered messages return: its credit, and what grows meanwhile.
func (r Rules) Bound(l Level, t time.Duration) float64 {
	a := r.Accounts[l]
	return a.Most + a.Growth*t.Minutes()
}

// String returns the verdict and the rules in one line, for logs.
func (d Decision) String() string {
	var b strings.Builder
	b.WriteString(string(d.Verdict))
	for _, r := range d.Rules {
		fmt.Fprintf(&b, " %s(%s, %s)", r.Name, r.Input, r.Threshold)
	}
	return b.String()
}
