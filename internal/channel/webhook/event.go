package webhook

import (
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/dialproof/dialproof/internal/channel"
)

// event is the body that is posted.
type event struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      data      `json:"data"`
}

// data is the message.
type data struct {
	Delivery   string            `json:"delivery"`
	Channel    channel.Kind      `json:"channel"`
	To         string            `json:"to"`
	Email      string            `json:"email,omitempty"`
	From       string            `json:"from,omitempty"`
	Text       string            `json:"text"`
	Code       string            `json:"code"`
	Brand      string            `json:"brand"`
	Locale     string            `json:"locale"`
	Purpose    string            `json:"purpose"`
	ExpiresAt  time.Time         `json:"expires_at"`
	Callback   string            `json:"callback,omitempty"`
	Regulatory map[string]string `json:"regulatory,omitempty"`
}

// encode returns the body that is posted for a message. What is not UTF-8 in it becomes U+FFFD.
func encode(m *channel.Message, now time.Time) ([]byte, error) {
	e := event{Type: "message.send", Timestamp: now.UTC(), Data: data{
		Delivery: m.Delivery, Channel: m.Channel, To: m.To.E164(), From: m.From, Text: m.Text.Body, Code: m.Code.Reveal(),
		Brand: m.Brand, Locale: m.Locale, Purpose: m.Purpose, ExpiresAt: m.ExpiresAt.UTC(), Callback: m.Callback,
		Regulatory: m.Regulatory,
	}}
	if m.Channel == channel.Voice {
		e.Data.Text = m.Spoken.Script()
	}
	if m.Channel == channel.Email { // the other channels do not need it
		e.Data.Email = m.Email
	}
	return json.Marshal(e, json.Deterministic(true), jsontext.AllowInvalidUTF8(true))
}
