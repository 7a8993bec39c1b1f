package webhook

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/channeltest"
)

// event is the body as its receiver reads it.
type event struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      data      `json:"data"`
}

type data struct {
	Delivery   string            `json:"delivery"`
	Channel    channel.Kind      `json:"channel"`
	To         string            `json:"to"`
	Email      string            `json:"email"`
	From       string            `json:"from"`
	Text       string            `json:"text"`
	Code       string            `json:"code"`
	Brand      string            `json:"brand"`
	Locale     string            `json:"locale"`
	Purpose    string            `json:"purpose"`
	ExpiresAt  time.Time         `json:"expires_at"`
	Callback   string            `json:"callback"`
	Regulatory map[string]string `json:"regulatory"`
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
		body := appendEvent(nil, &m, now)
		var got event
		var members map[string]any
		if err := json.Unmarshal(body, &got); err != nil {
			t.Errorf("%s: %v: %s", name, err, body)
			continue
		}
		want := event{"message.send", now,
			data{m.Delivery, m.Channel, m.To.E164(), m.Email, m.From, m.Text.Body, m.Code.Reveal(), m.Brand, m.Locale, m.Purpose,
				m.ExpiresAt.UTC(), m.Callback, m.Regulatory}}
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
