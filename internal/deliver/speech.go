package deliver

import (
	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/message"
)

// codeLanguage stands with a delivery whose route does not speak the language of the call.
const codeLanguage = "language"

// understood refuses a call that a route cannot speak in its language, when another route can. When none can, the route
// does what it does: English is better than no call.
func (s *Routes) understood(r *Route, m *channel.Message) *channel.Error {
	if m.Channel != channel.Voice || r.speaks(m) {
		return nil
	}
	for _, other := range s.candidates(query{to: m.To, kind: m.Channel, test: r.Test}) {
		if other.Route != r && other.sick == "" && other.speaks(m) {
			return &channel.Error{
				Kind: channel.Refused, Provider: r.Provider, Code: codeLanguage,
				Detail: "the route does not speak " + m.Spoken.Locale + ", and another one does",
			}
		}
	}
	return nil
}

// speaks reports whether a route can speak a call in its language.
func (r *Route) speaks(m *channel.Message) bool {
	l, ok := channel.As[channel.Linguist](r.Sender)
	return !ok || l.Speaks(m.Spoken.Locale, m.Purpose == message.Payment)
}
