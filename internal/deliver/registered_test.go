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

// says composes a text.
type says struct {
	to   phone.Number
	text string
}

func (s says) Compose(_ context.Context, _ id.ID, d channel.Delivery) (deliver.Composed, error) {
	return deliver.Composed{
		Message: channel.Message{Channel: d.Channel, To: s.to, Text: message.Text{Body: s.text}},
		Open:    true,
	}, nil
}

func (s says) Number(context.Context, id.ID) (phone.Number, error) { return s.to, nil }

// TestRegisteredTexts lets a route carry registered texts only, in the countries that have some.
func TestRegisteredTexts(t *testing.T) {
	t.Parallel()
	approved, err := message.ParseRegistered("{#var#} is your {#var#} code.")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		text      string
		countries []string
		want      []string
		id        string
	}{
		{"123456 is your Acme code.", []string{"GB"}, []string{"a accepted"}, "1107"},
		{"123456 is your Acme code.", nil, []string{"a accepted"}, "1107"},
		{"Your Acme code is 123456.", []string{"IN"}, []string{"a accepted"}, "entity"},
		{"Your Acme code is 123456.", []string{"GB"}, []string{"a failed", "b accepted"}, ""},
		{"Your Acme code is 123456.", nil, []string{"a failed", "b accepted"}, ""},
	} {
		b := newBench(t)
		b.Composer = says{person(t), c.text}
		route := *b.Routes.All()[0]
		route.Regulatory = map[string]string{"dlt_template_id": "entity"}
		route.Registered = []deliver.Registered{{ID: "1107", Countries: c.countries, Text: approved}}
		b.Routes.Replace([]*deliver.Route{&route, b.Routes.All()[1]}, deliver.Priority)
		if _, err := b.Run(t.Context(), b.job, deliver.Work{}); err != nil {
			t.Fatal(err)
		}
		calls := b.carriers["a"].calls
		id := ""
		if len(calls) > 0 {
			id = calls[0].Regulatory["dlt_template_id"]
		}
		if got := b.deliveries(); !slices.Equal(got, c.want) || id != c.id ||
			route.Regulatory["dlt_template_id"] != "entity" {
			t.Errorf("%q for %v: %v with the id %q", c.text, c.countries, got, id)
		}
	}
}
