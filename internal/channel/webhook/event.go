package webhook

import (
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/object"
)

// usualEvent is room for a usual event, in bytes.
const usualEvent = 768

// appendEvent appends the body that is posted.
func appendEvent(b []byte, m *channel.Message, now time.Time) []byte {
	text := m.Text.Body
	if m.Channel == channel.Voice {
		text = m.Spoken.Script()
	}
	o := object.Object(append(b, '{'))
	o.Text("type", "message.send")
	o.Time("timestamp", now.UTC())
	o.Name("data")
	data := object.Object(append(o, '{'))
	data.Text("delivery", m.Delivery)
	data.Text("channel", string(m.Channel))
	data.Text("to", m.To.E164())
	if m.Channel == channel.Email { // the other channels do not need it
		data.TextIf("email", m.Email)
	}
	data.TextIf("from", m.From)
	data.Text("text", text)
	data.Text("code", m.Code.Reveal())
	data.Text("brand", m.Brand)
	data.Text("locale", m.Locale)
	data.Text("purpose", m.Purpose)
	data.Time("expires_at", m.ExpiresAt.UTC())
	data.TextIf("callback", m.Callback)
	if len(m.Regulatory) > 0 {
		data.Texts("regulatory", m.Regulatory)
	}
	return append(data, "}}"...)
}
