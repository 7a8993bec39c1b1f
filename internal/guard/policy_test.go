package guard_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/guard"
	"github.com/dialproof/dialproof/internal/phone"
)

// judged returns what a policy says of a message: the verdict and the rule.
func judged(p guard.Policy, f guard.Facts, now time.Time) string {
	r := without()
	r.Policy = p
	d := r.Spend(&guard.Set{}, f, now)
	return string(d.Verdict) + " " + rule(d)
}

// TestPolicy: of the entries that hold, the most exact one speaks.
func TestPolicy(t *testing.T) {
	t.Parallel()
	entry := func(a guard.Action, e guard.Entry) guard.Entry { e.Action = a; return e }
	country := guard.Entry{Country: "GB"}
	prefix := func(p string) guard.Entry { return guard.Entry{Prefix: p} }
	client := guard.Entry{Client: netip.MustParsePrefix("203.0.113.0/24")}
	login := guard.Entry{Country: "GB", Purposes: []string{"login"}}
	reset := guard.Entry{Country: "GB", Purposes: []string{"password_reset"}}
	f := facts(123)
	f.Client = netip.MustParseAddr("203.0.113.7")
	for _, c := range []struct {
		name    string
		entries []guard.Entry
		want    string
	}{
		{"none", nil, "allow "},
		{"country", []guard.Entry{entry(guard.Refuse, country)}, "block policy_country"},
		{"another country", []guard.Entry{entry(guard.Refuse, guard.Entry{Country: "FR"})}, "allow "},
		{"prefix", []guard.Entry{entry(guard.Refuse, prefix("+4477"))}, "block policy_prefix"},
		{"another prefix", []guard.Entry{entry(guard.Refuse, prefix("+4478"))}, "allow "},
		{"number", []guard.Entry{entry(guard.Refuse, prefix("+447700900123"))}, "block policy_prefix"},
		{"the number beside it", []guard.Entry{entry(guard.Refuse, prefix("+447700900124"))}, "allow "},
		{"client", []guard.Entry{entry(guard.Refuse, client)}, "block policy_client"},
		{"prefix before country", []guard.Entry{entry(guard.Refuse, country), entry(guard.Permit, prefix("+4"))}, "allow "},
		{"client before country", []guard.Entry{entry(guard.Permit, client), entry(guard.Refuse, country)}, "allow "},
		{"prefix before client", []guard.Entry{entry(guard.Permit, client), entry(guard.Refuse, prefix("+"))},
			"block policy_prefix"},
		{"longer before shorter", []guard.Entry{entry(guard.Permit, prefix("+447")), entry(guard.Refuse, prefix("+44"))},
			"allow "},
		{"purpose before all", []guard.Entry{entry(guard.Refuse, country), entry(guard.Permit, login)}, "allow "},
		{"another purpose", []guard.Entry{entry(guard.Refuse, reset)}, "allow "},
		{"client before a purpose", []guard.Entry{entry(guard.Refuse, login), entry(guard.Permit, client)}, "allow "},
		{"monitor", []guard.Entry{entry(guard.Monitor, country)}, "allow "},
	} {
		want(t, c.name, judged(guard.Policy{Entries: c.entries}, f, epoch), c.want)
	}
	e := entry(guard.Refuse, country)
	e.Until = epoch.Add(time.Hour)
	p := guard.Policy{Entries: []guard.Entry{e}}
	want(t, "before its end", judged(p, f, e.Until.Add(-1)), "block policy_country")
	want(t, "at its end", judged(p, f, e.Until), "allow ")
	listed := guard.Policy{OnlyListed: true}
	want(t, "not listed", judged(listed, f, epoch), "block policy_unlisted")
	for _, a := range []guard.Action{guard.Permit, guard.Monitor} {
		listed.Entries = []guard.Entry{entry(a, country)}
		want(t, "listed", judged(listed, f, epoch), "allow ")
	}
}

// TestMonitor: what is only watched is recorded with the operator's note.
func TestMonitor(t *testing.T) {
	t.Parallel()
	r := without()
	r.Policy.Entries = []guard.Entry{{Action: guard.Monitor, Prefix: "+4477009011", Note: "new carrier"}}
	d := r.Spend(&guard.Set{}, facts(1123), epoch)
	if len(d.Rules) != 1 || !d.Rules[0].Shadow || d.Rules[0].Note != "new carrier" || d.Rules[0].Input != "+44770090" {
		t.Errorf("decision: %+v", d)
	}
}

// TestLines: what each line type may have.
func TestLines(t *testing.T) {
	t.Parallel()
	voip := guard.Policy{VoIP: []string{"login"}}
	for _, c := range []struct {
		name   string
		policy guard.Policy
		line   phone.LineType
		change func(*guard.Facts)
		want   string
	}{
		{"mobile", guard.Policy{}, phone.Mobile, nil, "allow "},
		{"North America", guard.Policy{}, phone.FixedLineOrMobile, nil, "allow "},
		{"unknown", guard.Policy{}, phone.Unknown, nil, "allow "},
		{"landline by SMS", guard.Policy{}, phone.FixedLine, nil, "step_up landline_number"},
		{"and no voice", guard.Policy{}, phone.FixedLine, func(f *guard.Facts) { f.Channels = false },
			"block landline_number"},
		{"landline by voice", guard.Policy{}, phone.FixedLine, func(f *guard.Facts) { f.Voice = true }, "allow "},
		{"mail", guard.Policy{}, phone.FixedLine, func(f *guard.Facts) { f.Carried = false }, "allow "},
		{"landlines allowed", guard.Policy{Landlines: true}, phone.FixedLine, nil, "allow "},
		{"VoIP", guard.Policy{}, phone.VoIP, nil, "allow "},
		{"VoIP for login", voip, phone.VoIP, nil, "step_up voip_number"},
		{"VoIP for something else", voip, phone.VoIP, func(f *guard.Facts) { f.Purpose = "other" }, "allow "},
		{"VoIP for anything", guard.Policy{VoIP: []string{"*"}}, phone.VoIP, nil, "step_up voip_number"},
		{"premium", guard.Policy{}, phone.PremiumRate, nil, "block line_type"},
		{"pager", guard.Policy{}, phone.Pager, nil, "block line_type"},
		{"premium, allowed", guard.Policy{Entries: []guard.Entry{{Action: guard.Permit, Country: "GB"}}},
			phone.PremiumRate, nil, "allow "},
		{"premium, watched", guard.Policy{Entries: []guard.Entry{{Action: guard.Monitor, Country: "GB"}}},
			phone.PremiumRate, nil, "block line_type"},
	} {
		f := facts(1)
		f.Line = c.line
		if c.change != nil {
			c.change(&f)
		}
		want(t, c.name, judged(c.policy, f, epoch), c.want)
	}
}
