package vonage

import (
	"context"
	"net/http"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/rest"
)

// Vonage's bounds of a message's life, in seconds (SMS API, ttl: 20,000 to 604,800,000 ms).
const (
	minLife = 20
	maxLife = 604_800
)

// order is a message to send, of the Messages API.
type order struct {
	MessageType    string `json:"message_type"`
	Channel        string `json:"channel"`
	To             string `json:"to"`
	From           string `json:"from"`
	Text           string `json:"text"`
	ClientRef      string `json:"client_ref,omitempty"`
	TTL            int    `json:"ttl,omitempty"`
	WebhookURL     string `json:"webhook_url,omitempty"`
	WebhookVersion string `json:"webhook_version,omitempty"`
	SMS            *rules `json:"sms,omitempty"`
}

// rules are the ids that a country asks for.
type rules struct {
	EntityID  string `json:"entity_id,omitempty"`
	ContentID string `json:"content_id,omitempty"`
}

// sms sends an SMS.
func (s *sender) sms(ctx context.Context, m channel.Message) (channel.Accepted, error) {
	from := s.from(m)
	if from == "" {
		return channel.Accepted{}, rest.NoSender(name, "a from")
	}
	o := order{
		MessageType: "text", Channel: "sms", To: rest.Digits(m.To.E164()), From: rest.Digits(from), Text: m.Text.Body,
		// The token goes along too, for receipts that come to the address of the application.
		ClientRef: m.Token, WebhookURL: m.Callback,
	}
	if m.Callback != "" {
		o.WebhookVersion = "v1"
	}
	if !m.ExpiresAt.IsZero() {
		o.TTL = rest.Life(m.ExpiresAt, s.api.Now(), minLife, maxLife)
	}
	if entity, content := m.Regulatory["dlt_entity_id"], m.Regulatory["dlt_template_id"]; entity != "" || content != "" {
		o.SMS = &rules{EntityID: entity, ContentID: content}
	}
	a, err := s.api.JSON(ctx, http.MethodPost, "/v1/messages", o)
	if err != nil {
		return channel.Accepted{}, err
	}
	var said struct {
		ID string `json:"message_uuid"`
	}
	if err := s.judge(a, &said); err != nil {
		return channel.Accepted{}, err
	}
	if said.ID == "" {
		return channel.Accepted{}, rest.NoID(name)
	}
	return channel.Accepted{ID: said.ID, Status: channel.Taken}, nil
}

// judge reads the answer to a message or a call into said.
func (s *sender) judge(a channel.Answer, said any) error {
	if !rest.Good(a) {
		return s.refused(a)
	}
	if a.JSON(said) != nil {
		return rest.NoID(name)
	}
	return nil
}
