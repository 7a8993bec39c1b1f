// Package guard decides what may be sent at all, and says why.
//
// Messages cost money, and some who ask for them earn by it: a carrier shares its fee with whoever makes traffic to its
// numbers. What such traffic lacks is people who type the code. So a range of numbers has a credit, each message spends
// from it, and each code that was typed pays some back (Credit). What one range can cost is then bounded whatever the
// attacker's speed. Beside the credit stand an alarm for ranges whose honest users would pay for the rest (Alarm), a
// list of what an operator never wants to send (Policy), ceilings in money (Ceilings) and budgets of wrong codes
// (Guessing).
//
// All of it is pure: functions of a message's facts, a state that somebody else keeps, and the time. The package has no
// clock, no randomness, no HTTP and no SQL. It is not a rate limiter either: package limit says how often one number or
// one client may ask.
package guard

import (
	"net/netip"
	"strings"
	"time"

	"github.com/dialproof/dialproof/internal/phone"
)

// Verdict is what becomes of a message.
type Verdict string

// The verdicts, mildest first.
const (
	Allow     Verdict = "allow"
	Challenge Verdict = "challenge" // send when the client has solved a challenge
	StepUp    Verdict = "step_up"   // another channel, or the application's own word for the person
	Block     Verdict = "block"
)

// Verdicts returns every verdict, mildest first.
func Verdicts() []Verdict { return []Verdict{Allow, Challenge, StepUp, Block} }

// severity orders verdicts; the highest of all rules wins.
func (v Verdict) severity() int {
	switch v {
	case Challenge:
		return 1
	case StepUp:
		return 2
	case Block:
		return 3
	case Allow:
	}
	return 0
}

// Rule is what one rule said of a message.
type Rule struct {
	// Name and Version name the rule. Its meaning changes only with its version.
	Name    string  `json:"name"`
	Version int     `json:"version"`
	Verdict Verdict `json:"verdict"`
	// Input is what the rule looked at, and Threshold what it held it against, as people read them.
	Input     string `json:"input"`
	Threshold string `json:"threshold"`
	// Shadow marks a rule that is only watched: its verdict has no effect.
	Shadow bool `json:"shadow,omitzero"`
	// Since is when the state began that made the rule speak; zero when it is not known.
	Since time.Time `json:"since,omitzero"`
	// Retry is from when the rule would no longer speak if nothing else happened; zero when time changes nothing.
	Retry time.Time `json:"retry,omitzero"`
	// Note is the operator's own note to the entry of the policy.
	Note string `json:"note,omitzero"`
}

// Decision is what the guard says of a message, with every rule that had something to say.
type Decision struct {
	Verdict Verdict `json:"verdict"`
	Rules   []Rule  `json:"rules,omitempty"`
}

// add takes a rule into the decision. The severest verdict of a rule that is not in shadow is the decision's.
func (d *Decision) add(r Rule) {
	d.Rules = append(d.Rules, r)
	if !r.Shadow && r.Verdict.severity() > d.Verdict.severity() {
		d.Verdict = r.Verdict
	}
}

// Rule returns the first rule that made the verdict what it is; false when the message is allowed.
func (d Decision) Rule() (Rule, bool) {
	if d.Verdict == Allow {
		return Rule{}, false
	}
	for _, r := range d.Rules {
		if !r.Shadow && r.Verdict == d.Verdict {
			return r, true
		}
	}
	return Rule{}, false
}

// Facts is what is known of a message before it is sent.
type Facts struct {
	// Application is the application's id, and Test its mode.
	Application string
	Test        bool
	// Range is the number without its last four digits ("+44770090"), and Last those four, 0 to 9999.
	Range string
	Last  int
	// Client is the address of whoever asks; invalid when it is not known.
	Client netip.Addr
	// Country is the ISO 3166 country; empty for numbers of no country.
	Country string
	Line    phone.LineType
	Purpose string
	// Voice marks a call; Carried a message that goes over the telephone network (SMS and voice). Only such messages pay
	// carriers by the message, so only they spend credit.
	Voice, Carried bool
	// Parts is how many messages the network counts; a call is one.
	Parts int
	// First marks the first message of a verification.
	First bool
	// Price is what the route charges, in millionths of the deployment's currency; Priced reports whether it is known.
	// Spent is what the verification has cost before.
	Price, Spent int64
	Priced       bool
	// Proven marks a requester who has proven this number before.
	Proven bool
	// Solved marks a requester who has solved a challenge for this message.
	Solved bool
	// Trusted is the application's own word for the person.
	Trusted bool
	// Challenges reports whether the requester can be given a challenge, and Channels whether another channel is left.
	Challenges, Channels bool
}

// Network returns the part of a range that stands for its operator: the range without its last three digits, which
// leaves ten million numbers. The calling code always stays.
func Network(prefix string) string {
	const least = 3 // a plus and two digits
	return prefix[:max(len(prefix)-3, min(least, len(prefix)))]
}

// Level is a set of numbers that has a credit. A message spends from one bucket of each level.
type Level int

// The levels, from the smallest.
const (
	Range Level = iota
	NetworkPrefix
	Country
	Application
	Deployment
	levels
)

// String returns the name of the level as it stands in rules and metrics.
func (l Level) String() string {
	return [...]string{"range", "network", "country", "application", "deployment"}[l]
}

// Levels returns every level, from the smallest.
func Levels() []Level { return []Level{Range, NetworkPrefix, Country, Application, Deployment} }

// Key returns what tells the buckets of a level apart. Test and live share none.
func (f Facts) Key(l Level) string {
	mode := "live"
	if f.Test {
		mode = "test"
	}
	key := []string{l.String(), mode}
	if l != Deployment {
		key = append(key, f.Application)
	}
	switch l {
	case Range:
		key = append(key, f.Range)
	case NetworkPrefix:
		key = append(key, Network(f.Range))
	case Country:
		key = append(key, f.Country)
	case Application, Deployment, levels:
	}
	return strings.Join(key, "\x00")
}

// otherwise returns the verdict on a message that may be sent once more is known of who asks: a challenge if there is
// one that was not solved, else another way, else none.
func (f Facts) otherwise() Verdict {
	switch {
	case f.Challenges && !f.Solved:
		return Challenge
	case f.Channels:
		return StepUp
	}
	return Block
}
