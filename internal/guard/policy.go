package guard

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/dialproof/dialproof/internal/phone"
)

// Action is what an entry of the policy does.
type Action string

// The actions.
const (
	Permit  Action = "allow"   // also what another entry or the line type would refuse
	Refuse  Action = "block"   // nothing is sent
	Monitor Action = "monitor" // sent, and recorded
)

// Entry is one line of the policy. It names numbers by a prefix or a country, or people by their network.
type Entry struct {
	Action Action
	// Prefix is a number or the beginning of one ("+4477009"); Country an ISO 3166 country; Client a network. One of them
	// is set.
	Prefix  string
	Country string
	Client  netip.Prefix
	// Purposes are the purposes that it holds for; none: all.
	Purposes []string
	// Until is when it ends to hold; zero: never.
	Until time.Time
	// Note says why, for whoever reads the refusal.
	Note string
}

// Policy is what an operator wants to send at all.
type Policy struct {
	Entries []Entry
	// OnlyListed refuses every number that no entry allows or monitors.
	OnlyListed bool
	// VoIP are the purposes for which numbers of Internet telephony are refused; "*": all.
	VoIP []string
	// Landlines lets landlines have messages that are not calls.
	Landlines bool
}

// judge adds what the policy has to say. Of the entries that hold, the most exact one speaks.
func (p Policy) judge(f Facts, now time.Time, d *Decision) {
	e, found := p.entry(f, now)
	switch {
	case found && e.Action == Permit:
		return
	case found:
		d.add(e.rule(f))
		if e.Action == Refuse {
			return
		}
	case p.OnlyListed:
		d.add(Rule{Name: "policy_unlisted", Version: 1, Verdict: Block, Input: f.Country, Threshold: "listed"})
		return
	}
	p.line(f, d)
}

// entry returns the most exact entry that holds: a longer prefix before a shorter one, a prefix before a network, a
// network before a country, an entry for the purpose before one for all.
func (p Policy) entry(f Facts, now time.Time) (best Entry, found bool) {
	most := 0
	for _, e := range p.Entries {
		if n := e.exactness(f); n > most && (e.Until.IsZero() || now.Before(e.Until)) {
			best, most = e, n
		}
	}
	return best, most > 0
}

// exactness returns how exactly an entry names a message; 0 when it does not.
func (e Entry) exactness(f Facts) int {
	if len(e.Purposes) > 0 && !slices.Contains(e.Purposes, f.Purpose) {
		return 0
	}
	n := 0
	switch {
	case e.Prefix != "" && strings.HasPrefix(f.number(), e.Prefix):
		n = 4 + 2*len(e.Prefix)
	case e.Client.IsValid() && f.Client.IsValid() && e.Client.Contains(f.Client):
		n = 4
	case e.Country != "" && e.Country == f.Country:
		n = 2
	}
	if n > 0 && len(e.Purposes) > 0 {
		n++
	}
	return n
}

// number returns the number in full. It is compared and never written anywhere.
func (f Facts) number() string { return f.Range + fmt.Sprintf("%04d", f.Last) }

// rule returns what the entry has to say.
func (e Entry) rule(f Facts) Rule {
	r := Rule{Name: "policy_country", Version: 1, Verdict: Block, Input: f.Country}
	switch {
	case e.Prefix != "":
		r.Name, r.Input = "policy_prefix", f.Range[:min(len(e.Prefix), len(f.Range))]
	case e.Client.IsValid():
		r.Name, r.Input = "policy_client", e.Client.String()
	}
	r.Threshold, r.Note = string(e.Action), e.Note
	r.Shadow, r.Retry = e.Action == Monitor, e.Until
	return r
}

// line judges the line type. North America and others do not tell landlines and mobiles apart; their numbers pass.
func (p Policy) line(f Facts, d *Decision) {
	r := Rule{Version: 1, Input: f.Line.String(), Threshold: "mobile"}
	switch f.Line {
	case phone.FixedLine:
		if f.Voice || !f.Carried || p.Landlines {
			return
		}
		r.Name, r.Verdict, r.Threshold = "landline_number", f.another(), "voice"
	case phone.VoIP:
		if !slices.Contains(p.VoIP, f.Purpose) && !slices.Contains(p.VoIP, "*") {
			return
		}
		r.Name, r.Verdict = "voip_number", f.another()
	case phone.PremiumRate, phone.SharedCost, phone.TollFree, phone.PersonalNumber, phone.Pager, phone.UAN,
		phone.Voicemail:
		r.Name, r.Verdict = "line_type", Block
	case phone.Unknown, phone.Mobile, phone.FixedLineOrMobile:
		return
	}
	d.add(r)
}
