package deliver

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/phone"
)

// Policy says how to choose among the routes that serve a number and are well.
type Policy string

// The policies.
const (
	// Priority takes the lowest priority, then the highest weight.
	Priority Policy = "priority"
	// Cheapest takes the lowest price, then as Priority.
	Cheapest Policy = "cheapest"
	// Converting takes the route whose codes are most likely to be typed, then the cheaper one.
	Converting Policy = "converting"
)

// near is how far two conversions may differ, as a share of 1, and still count as equal, so that the price decides.
const near = 0.02

// candidate is a route that serves a number, and why it stands where it does.
type candidate struct {
	*Route

	sick   string
	price  int64
	sample float64
	reason string
}

// candidates returns the routes that serve the number, best first: those that are well, in the order of the policy, and
// then those that are not, which may still be better than nothing.
func (s *Routes) candidates(q query) []candidate {
	p := s.current.Load()
	var out []candidate
	for _, r := range p.routes {
		if r.serves(q.to, q.kind, q.test) && !(r.Spare && len(out) > 0) {
			c := candidate{Route: r, sick: r.Health.sick(r.asked(q)), reason: string(Priority)}
			if c.sick == "" && s.Conversions.fallen(r.Name) {
				c.sick = unTyped
			}
			out = append(out, c)
		}
	}
	if len(out) > 1 || p.policy != Priority {
		s.order(out, p.policy, q.to)
	}
	standIn(out)
	return out
}

// standIn puts those that are well before those that are not, and says of whom the first one takes the place.
func standIn(out []candidate) {
	passed := ""
	for i := range out {
		switch c := &out[i]; {
		case c.sick != "":
			if passed == "" {
				passed = fmt.Sprintf(", instead of %s: %s", c.Name, c.sick)
			}
			c.reason = "all routes are unwell: " + c.sick
		default:
			c.reason += passed
		}
	}
	slices.SortStableFunc(out, func(a, b candidate) int { return cmp.Compare(min(len(a.sick), 1), min(len(b.sick), 1)) })
}

// order sorts the candidates by the policy. They come in the order of priority.
func (s *Routes) order(out []candidate, policy Policy, to phone.Number) {
	for i := range out {
		c := &out[i]
		c.price = c.Route.price(to.Country())
		switch {
		case policy == Cheapest:
			c.reason = string(Cheapest)
		case policy == Converting && s.Conversions != nil:
			on := prefixOf(to)
			c.sample = math.Round(s.Conversions.sample(c.Name, on) / near)
			share, of := s.Conversions.rate(c.Name, on)
			c.reason = fmt.Sprintf("converting: %.0f %% of %.0f on %s", 100*share, of, on)
		}
	}
	slices.SortStableFunc(out, func(a, b candidate) int {
		switch policy {
		case Cheapest:
			return cmp.Compare(a.price, b.price)
		case Converting:
			return cmp.Or(cmp.Compare(b.sample, a.sample), cmp.Compare(a.price, b.price))
		case Priority:
		}
		return 0
	})
}

// Plan implements verify.Router.
func (s *Routes) Plan(to phone.Number, kind channel.Kind, test bool, avoid string) (route, reason string, ok bool) {
	all := s.candidates(query{to: to, kind: kind, test: test})
	for _, c := range all {
		// Rather the one that did not arrive before than one that is unwell.
		if c.Name != avoid && (c.sick == "" || avoid == "") {
			if c.Name != all[0].Name {
				c.reason += ", other than " + avoid
			}
			return c.Name, c.reason, true
		}
	}
	if len(all) == 0 {
		return "", "", false
	}
	return all[0].Name, all[0].reason, true
}
