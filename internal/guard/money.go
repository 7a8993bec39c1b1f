package guard

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Scope is what a ceiling belongs to.
type Scope int

// The scopes of ceilings.
const (
	OfVerification Scope = iota
	OfNumber
	OfRange
	OfCountry
	OfApplication
	OfDeployment
	scopes
)

// String returns the name of the scope as it stands in rules and metrics.
func (s Scope) String() string {
	return [...]string{"verification", "number", "range", "country", "application", "deployment"}[s]
}

// level returns the level whose bucket has the scope's costs; false for those that have none.
func (s Scope) level() (Level, bool) {
	switch s {
	case OfRange:
		return Range, true
	case OfCountry:
		return Country, true
	case OfApplication:
		return Application, true
	case OfDeployment:
		return Deployment, true
	case OfVerification, OfNumber, scopes:
	}
	return 0, false
}

// Ceiling is the most that a scope may cost in any hour and in any day, in millionths of the currency; 0: no ceiling.
// A verification has one ceiling for its life, in Hour.
type Ceiling struct{ Hour, Day int64 }

// Ceilings are the ceilings of a deployment, all in one currency.
type Ceilings struct {
	Currency string
	Of       [scopes]Ceiling
	// Unpriced lets messages pass whose price is not known. They count nothing.
	Unpriced bool
}

// set reports whether there is any ceiling.
func (c Ceilings) set() bool { return c.Of != [scopes]Ceiling{} }

// Spent is what a number has cost.
type Spent struct{ Hourly, Daily Ring }

// add adds a cost, which is negative when a receipt corrects it downwards.
func (s *Spent) add(at, cost int64) {
	s.Hourly.Add(Hour, at, cost)
	s.Daily.Add(Day, at, cost)
}

// Append appends the state to p.
func (s *Spent) Append(p []byte) []byte {
	w := writer(append(p, version))
	w.ring(&s.Hourly)
	w.ring(&s.Daily)
	return w
}

// ParseSpent reads what Append wrote. No bytes are a number that has cost nothing. The error is ErrState.
func ParseSpent(p []byte) (Spent, error) {
	var s Spent
	if len(p) == 0 {
		return s, nil
	}
	if p[0] != version || len(p) > maxBytes {
		return Spent{}, ErrState
	}
	r := reader{p: p[1:]}
	r.ring(&s.Hourly)
	r.ring(&s.Daily)
	if r.bad || len(r.p) > 0 {
		return Spent{}, ErrState
	}
	return s, nil
}

// rings returns the costs of a scope; nil for a verification.
func (s *Set) rings(of Scope) (hourly, daily *Ring) {
	if l, ok := of.level(); ok {
		return &s.Buckets[l].Hourly, &s.Buckets[l].Daily
	}
	if of == OfNumber {
		return &s.Number.Hourly, &s.Number.Daily
	}
	return nil, nil
}

// price judges the cost of a message by the ceilings.
func (c Ceilings) price(s *Set, f Facts, now int64, d *Decision) {
	if !c.set() {
		return
	}
	if !f.Priced {
		if !c.Unpriced {
			d.add(Rule{Name: "unpriced", Version: 1, Verdict: f.another(), Input: "no price", Threshold: "a price"})
		}
		return
	}
	for of := range scopes {
		limit := c.Of[of]
		if of == OfVerification {
			c.hold(of, "", limit.Hour, f.Spent, f.Price, time.Time{}, d)
			continue
		}
		hourly, daily := s.rings(of)
		c.holdRing(of, "hour", Hour, limit.Hour, hourly, f.Price, now, d)
		c.holdRing(of, "day", Day, limit.Day, daily, f.Price, now, d)
	}
}

func (c Ceilings) holdRing(of Scope, name string, span time.Duration, most int64, r *Ring, price, now int64,
	d *Decision) {
	sum := r.Sum(span, now)
	var retry time.Time
	if most > 0 && sum+price > most && price <= most {
		retry = time.UnixMilli(r.Free(span, now, most-price)).UTC()
	}
	c.hold(of, name, most, sum, price, retry, d)
}

// hold refuses what would pass a ceiling.
func (c Ceilings) hold(of Scope, span string, most, sum, price int64, retry time.Time, d *Decision) {
	if most <= 0 || sum+price <= most {
		return
	}
	name := "ceiling_" + of.String()
	if span != "" {
		name += "_" + span
	}
	d.add(Rule{
		Name: name, Version: 1, Verdict: Block,
		Input: c.amount(sum + price), Threshold: c.amount(most), Retry: retry,
	})
}

// amount writes an amount of money: "12.5 EUR".
func (c Ceilings) amount(millionths int64) string {
	s := strconv.FormatInt(millionths/1e6, 10)
	if rest := millionths % 1e6; rest != 0 {
		s += "." + strings.TrimRight(fmt.Sprintf("%06d", rest), "0")
	}
	return strings.TrimSpace(s + " " + c.Currency)
}

// spend adds the cost of a message that is sent.
func (s *Set) spend(f Facts, now int64) {
	if !f.Priced {
		return
	}
	s.correct(f.Price, now)
}

// correct adds a cost to everything that a message counts for.
func (s *Set) correct(cost, at int64) {
	s.Number.add(at, cost)
	for of := range scopes {
		if l, ok := of.level(); ok {
			s.Buckets[l].Hourly.Add(Hour, at, cost)
			s.Buckets[l].Daily.Add(Day, at, cost)
		}
	}
}

// Warning is a ceiling of which much is used.
type Warning struct {
	Scope Scope
	Span  time.Duration
	// Percent is 50, 80 or 100, the highest that is reached.
	Percent    int
	Spent, Max int64
}

// Warnings returns the ceilings that a message took over one of their marks, with the costs before and after it. Those
// of single numbers and verifications warn nobody.
func (c Ceilings) Warnings(before, after *Set, now time.Time) []Warning {
	var out []Warning
	at := now.UnixMilli()
	for _, of := range []Scope{OfRange, OfCountry, OfApplication, OfDeployment} {
		oldHour, oldDay := before.rings(of)
		newHour, newDay := after.rings(of)
		for _, w := range []struct {
			span     time.Duration
			old, new int64
			most     int64
		}{
			{Hour, oldHour.Sum(Hour, at), newHour.Sum(Hour, at), c.Of[of].Hour},
			{Day, oldDay.Sum(Day, at), newDay.Sum(Day, at), c.Of[of].Day},
		} {
			if p := mark(w.new, w.most); w.most > 0 && p > mark(w.old, w.most) {
				out = append(out, Warning{Scope: of, Span: w.span, Percent: p, Spent: w.new, Max: w.most})
			}
		}
	}
	return out
}

// mark returns the highest mark that a sum has reached.
func mark(sum, most int64) int {
	for _, percent := range []int64{100, 80, 50} {
		if sum >= (most*percent+99)/100 {
			return int(percent)
		}
	}
	return 0
}

// another returns the verdict on a message that this route must not carry: another channel, or nothing.
func (f Facts) another() Verdict {
	if f.Channels {
		return StepUp
	}
	return Block
}
