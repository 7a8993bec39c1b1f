package webhook

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/channeltest"
)

// received is the body as its receiver reads it.
type received struct {
	Type      string
	Timestamp time.Time
	Data      struct {
		Delivery, Channel, To, Email, From, Text, Code, Brand, Locale, Purpose, Callback string

		ExpiresAt  time.Time `json:"expires_at"`
		Regulatory map[string]string
	}
}

// TestEvent: the body says all of a message, whatever is in its texts, and of what is empty only what is always there.
func TestEvent(t *testing.T) {
	t.Parallel()
	now := channeltest.Now().Add(123_456_789)
	for name, change := range map[string]func(*channel.Message){
		"usual":      func(*channel.Message) {},
		"email":      func(m *channel.Message) { m.Channel, m.Email = channel.Email, "ada@example.com" },
		"nasty":      func(m *channel.Message) { m.Text.Body, m.Brand = "\"\\\n\u2028</script>\x00 ü 🙂", `","code":"0` },
		"regulatory": func(m *channel.Message) { m.Regulatory = map[string]string{"template_id": "1", "entity_id": `"2`} },
		"sparse":     func(m *channel.Message) { m.From, m.Callback, m.Locale, m.Purpose, m.Brand = "", "", "", "", "" },
	} {
		m := channeltest.Message(channel.SMS)
		change(&m)
		body, err := encode(&m, now)
		if err != nil {
			t.Fatal(err)
		}
		var got received
		var members map[string]any
		if err := json.Unmarshal(body, &got); err != nil {
			t.Errorf("%s: %v: %s", name, err, body)
			continue
		}
		want := received{Type: "message.send", Timestamp: now}
		want.Data.Delivery, want.Data.Channel, want.Data.To = m.Delivery, string(m.Channel), m.To.E164()
		want.Data.Email, want.Data.From, want.Data.Text, want.Data.Code = m.Email, m.From, m.Text.Body, m.Code.Reveal()
		want.Data.Brand, want.Data.Locale, want.Data.Purpose = m.Brand, m.Locale, m.Purpose
		want.Data.ExpiresAt, want.Data.Callback, want.Data.Regulatory = m.ExpiresAt.UTC(), m.Callback, m.Regulatory
		if m.Channel != channel.Email {
			want.Data.Email = ""
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: the body says\n%+v, want\n%+v", name, got, want)
		}
		_ = json.Unmarshal(body, &struct{ Data *map[string]any }{&members})
		for member, always := range map[string]bool{"brand": true, "locale": true, "purpose": true, "from": m.From != "",
			"callback": m.Callback != "", "email": want.Data.Email != "", "regulatory": len(m.Regulatory) > 0} {
			if _, there := members[member]; there != always {
				t.Errorf("%s: %s is there: %v, want %v", name, member, there, always)
			}
		}
	}
}
