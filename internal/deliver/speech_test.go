package deliver_test

import (
	"context"
	"slices"
	"testing"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/deliver"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/message"
	"github.com/dialproof/dialproof/internal/phone"
)

// calls composes a call.
type calls struct {
	to      phone.Number
	locale  string
	purpose string
}

func (c calls) Compose(context.Context, id.ID, channel.Delivery) (deliver.Composed, error) {
	m := channel.Message{Channel: channel.Voice, To: c.to, Purpose: c.purpose, Spoken: message.Spoken{Locale: c.locale}}
	return deliver.Composed{Message: m, Open: true}, nil
}

func (c calls) Number(context.Context, id.ID) (phone.Number, error) { return c.to, nil }

// linguist is a sender that speaks some languages, and payments in none.
type linguist struct {
	channel.Sender
	locales []string
}

func (l linguist) Speaks(locale string, payment bool) bool {
	return !payment && slices.Contains(l.locales, locale)
}

// TestLanguages: a call goes to a route that speaks its language, if there is one.
func TestLanguages(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		a, b            []string // nil: a sender of all languages
		locale, purpose string
		want            []string
	}{
		"spoken":          {[]string{"de"}, nil, "de", "login", []string{"a accepted"}},
		"another speaks":  {[]string{"de"}, nil, "ja", "login", []string{"a failed", "b accepted"}},
		"another can pay": {[]string{"de"}, nil, "de", message.Payment, []string{"a failed", "b accepted"}},
		"nobody speaks":   {[]string{"de"}, []string{"fr"}, "ja", "login", []string{"a accepted"}},
		"all speak":       {nil, nil, "ja", "login", []string{"a accepted"}},
	} {
		b := newBench(t)
		b.Composer = calls{person(t), c.locale, c.purpose}
		var routes []*deliver.Route
		for i, locales := range [][]string{c.a, c.b} {
			route := *b.Routes.All()[i]
			route.Channels = []channel.Kind{channel.SMS, channel.Voice}
			if locales != nil {
				route.Sender = linguist{route.Sender, locales}
			}
			routes = append(routes, &route)
		}
		b.Routes.Replace(routes, deliver.Priority)
		if _, err := b.Run(t.Context(), b.job, deliver.Work{}); err != nil {
			t.Fatal(err)
		}
		if got := b.deliveries(); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
