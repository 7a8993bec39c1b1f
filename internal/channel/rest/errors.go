package rest

import (
	"strconv"
	"strings"

	"github.com/dialproof/dialproof/internal/channel"
)

// Row says what one of a provider's errors means for the next step.
type Row struct {
	Kind channel.ErrorKind
	// Detail is for the operator, in words of ours.
	Detail string
}

// Means returns a row of a table.
func Means(kind channel.ErrorKind, detail string) Row { return Row{kind, detail} }

// Error returns the error of a row under the provider's code.
func (r Row) Error(provider, code string) *channel.Error {
	return &channel.Error{Kind: r.Kind, Provider: provider, Code: code, Detail: r.Detail}
}

// Table has a provider's errors by its own codes.
type Table map[string]Row

// Refusal judges an answer that is no yes: by its status, and by the code where the table has it. A status that says
// that nothing was taken, or that nobody knows, goes before the code; and what asks for a pause stays a pause.
func (c *Client) Refusal(a channel.Answer, code string, table Table) *channel.Error {
	e := c.Status(a)
	row, known := table[code]
	if !known || e.Kind == channel.Unavailable || e.Kind == channel.MaybeSent {
		return e
	}
	out := row.Error(c.Provider, code) // and not e with another kind: what the status says of the fault no longer holds
	if e.Kind == channel.Throttled {
		out.Kind = channel.Throttled
	}
	if out.Kind == channel.Throttled {
		out.RetryAfter = a.RetryAfter(c.Now())
	}
	return out
}

// Refused returns an error of the account or of its settings.
func Refused(provider, code, detail string) *channel.Error {
	return Row{channel.Refused, detail}.Error(provider, code)
}

// NoSender returns the error of a route that has no sender; wants names the settings that could give one.
func NoSender(provider, wants string) *channel.Error {
	return Refused(provider, "no_sender", "the route has neither a sender nor "+wants)
}

// NoID returns the error of a yes without an id: the message may have left, and nobody could tell what became of it.
func NoID(provider string) *channel.Error {
	return Row{channel.MaybeSent, "the answer has no message id"}.Error(provider, "answer")
}

// Short returns a numeric code of somebody else's if it is too short to be a person's number: at most most digits and
// not 0.
func Short(code string, most int) (string, bool) {
	ok := code != "" && code != "0" && len(code) <= most && strings.Trim(code, "0123456789") == ""
	return code, ok
}

// maxPrice bounds a price that is believed, in any currency.
const maxPrice = 1e6

// Price returns a price and its currency if the one is a decimal number above 0 and the other has three letters; else
// nothing.
func Price(amount, currency string) (price, in string) {
	// ParseFloat alone takes NaN, Inf and 0x1p-2, too.
	f, err := strconv.ParseFloat(amount, 64)
	if err != nil || f <= 0 || f > maxPrice || strings.Trim(amount, "0123456789.") != "" || len(currency) != 3 {
		return "", ""
	}
	return amount, currency
}
