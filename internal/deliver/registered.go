package deliver

import (
	"maps"
	"slices"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/message"
)

// Registered is a text that a registry has approved, with the registry's id and the countries it is for; empty: all.
type Registered struct {
	ID        string
	Countries []string
	Text      message.Registered
}

// codeTemplate stands with a delivery whose text fits none of the registered ones.
const codeTemplate = "template_mismatch"

// registered returns the registered text that a message is an instance of. need is false when the route has none for
// its country.
func (r *Route) registered(kind channel.Kind, country, text string) (found *Registered, need bool) {
	if kind != channel.SMS {
		return nil, false
	}
	for i := range r.Registered {
		g := &r.Registered[i]
		if len(g.Countries) > 0 && !slices.Contains(g.Countries, country) {
			continue
		}
		if need = true; g.Text.Fits(text) {
			return g, true
		}
	}
	return nil, need
}

// lint refuses a message that carriers would drop, before anybody is called.
func (r *Route) lint(m *channel.Message) *channel.Error {
	if r.Fits(m.Channel, m.To.Country(), m.Text.Body) {
		return nil
	}
	return &channel.Error{
		Kind: channel.Refused, Provider: r.Provider, Code: codeTemplate,
		Detail: "the text fits none of the texts registered for " + m.To.Country() + "; dialproof doctor shows which do not",
	}
}

// Fits reports whether a text may go over the route to a country: it is an instance of a registered text, or none is
// registered.
func (r *Route) Fits(kind channel.Kind, country, text string) bool {
	found, need := r.registered(kind, country, text)
	return !need || found != nil
}

// regulatory returns the fields that the country asks for, with the id of the registered text.
func (r *Route) regulatory(m *channel.Message) map[string]string {
	found, _ := r.registered(m.Channel, m.To.Country(), m.Text.Body)
	if found == nil || found.ID == "" {
		return r.Regulatory
	}
	out := maps.Clone(r.Regulatory)
	if out == nil {
		out = map[string]string{}
	}
	out["dlt_template_id"] = found.ID
	return out
}
