// Package telnyx is the provider that sends SMS by Telnyx's Messaging API.
//
// It does not use Telnyx Verify: the code, its attempts and its limits stay with Dialproof, and Telnyx carries text.
package telnyx

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"net/http"
	"regexp"
	"strings"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/rest"
	"github.com/dialproof/dialproof/internal/message"
	"github.com/dialproof/dialproof/internal/secret"
)

const name = "telnyx"

// Provider returns the provider.
func Provider() channel.Provider {
	return channel.Provider{
		Name: name, Title: "Telnyx",
		Summary:  "SMS by Telnyx's Messaging API.",
		Docs:     "https://developers.telnyx.com/docs/messaging",
		Channels: []channel.Kind{channel.SMS},
		Config:   func() channel.Opener { return &Config{URL: "https://api.telnyx.com"} },
	}
}

// Config is the settings of a route.
type Config struct {
	APIKey             secret.Text `yaml:"api_key" example:"KEY0123456789ABCDEF" doc:"An API key (v2) of your account."`
	PublicKey          string      `yaml:"public_key" example:"11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=" doc:"Your account's public key. It proves Telnyx's receipts."`
	MessagingProfileID string      `yaml:"messaging_profile_id" doc:"A messaging profile that chooses the sender from its number pool. A sender of letters needs one too."`
	From               string      `yaml:"from" doc:"The sender where the route has none: a number, a short code, or up to 11 letters and digits."`
	URL                string      `yaml:"url" doc:"Another address of the API, for a test. Default https://api.telnyx.com."`
}

var (
	senderForm  = regexp.MustCompile(`^(\+?[0-9]{3,15}|[A-Za-z0-9 ]{1,11})$`)
	numberForm  = regexp.MustCompile(`^\+?[0-9]+$`)
	profileForm = regexp.MustCompile(`^[0-9a-fA-F-]{16,36}$`)
)

// Validate implements channel.Opener.
func (c *Config) Validate() error {
	switch {
	case c.APIKey.IsZero():
		return errors.New("api_key: is missing; make one in the portal at API Keys")
	case strings.ContainsAny(c.APIKey.Reveal(), " \r\n"):
		return errors.New("api_key: must be the key alone, on one line")
	case c.key() == nil:
		return errors.New("public_key: must be 32 bytes in base64; the portal shows it at Keys & Credentials, Public Key")
	case c.MessagingProfileID != "" && !profileForm.MatchString(c.MessagingProfileID):
		return errors.New("messaging_profile_id: must be an id like 4000eba1-a0c0-4563-9925-b25e842a7cb6")
	case c.From != "" && !senderForm.MatchString(c.From):
		return errors.New("from: must be a number, a short code, or up to 11 letters, digits and spaces")
	case !rest.IsBase(c.URL):
		return errors.New("url: must be an address like https://api.telnyx.com")
	}
	return nil
}

// key returns the public key; nil when it is none.
func (c *Config) key() ed25519.PublicKey {
	raw, err := base64.StdEncoding.DecodeString(c.PublicKey)
	if err != nil || len(raw) != ed25519.PublicKeySize {
		return nil
	}
	return raw
}

// Open implements channel.Opener.
func (c *Config) Open(env channel.Env) (channel.Sender, error) {
	return &sender{rest.SMS{}, *c, c.key(),
		rest.New(env, name, c.URL, rest.Bearer("Authorization", "Bearer "+c.APIKey.Reveal()))}, nil
}

type sender struct {
	rest.SMS
	cfg Config
	key ed25519.PublicKey
	api rest.Client
}

var (
	_ channel.Sender   = (*sender)(nil)
	_ channel.Receiver = (*sender)(nil)
	_ channel.Checker  = (*sender)(nil)
)

// order is a message to send.
type order struct {
	From      string `json:"from,omitempty"`
	Profile   string `json:"messaging_profile_id,omitempty"`
	To        string `json:"to"`
	Text      string `json:"text"`
	Type      string `json:"type"`
	Encoding  string `json:"encoding,omitempty"`
	Webhook   string `json:"webhook_url,omitempty"`
	ByProfile bool   `json:"use_profile_webhooks"`
}

// payload is what Telnyx says of a message, in an answer and in a webhook, as far as it is read.
type payload struct {
	ID string `json:"id"`
	To []struct {
		Status string `json:"status"`
	} `json:"to"`
	Parts int `json:"parts"`
	Cost  *struct {
		Amount   string `json:"amount"`
		Currency string `json:"currency"`
	} `json:"cost"`
	Errors []fault `json:"errors"`
}

// status returns Telnyx's word for how far the message has come.
func (p payload) status() string {
	if len(p.To) != 1 {
		return "" // every message of ours has one receiver
	}
	return p.To[0].Status
}

// price returns what the message cost, when that is said and is a number. While a message is queued it is not.
func (p payload) price() (amount, currency string) {
	if p.Cost == nil {
		return "", ""
	}
	return rest.Price(p.Cost.Amount, p.Cost.Currency)
}

// Send implements channel.Sender.
func (s *sender) Send(ctx context.Context, m channel.Message) (channel.Accepted, error) {
	from := cmp.Or(m.From, s.cfg.From)
	switch {
	case from == "" && s.cfg.MessagingProfileID == "":
		return channel.Accepted{}, rest.NoSender(name, "a messaging_profile_id")
	case from != "" && !numberForm.MatchString(from) && s.cfg.MessagingProfileID == "":
		return channel.Accepted{}, rest.Refused(name, "no_profile", "a sender of letters needs a messaging_profile_id")
	}
	o := order{
		From:    from,
		Profile: s.cfg.MessagingProfileID,
		To:      m.To.E164(),
		Text:    m.Text.Body,
		Type:    "SMS",
		Webhook: m.Callback,
	}
	if m.Text.Encoding == message.UCS2 {
		o.Encoding = "ucs2" // otherwise Telnyx writes some characters in another way
	}
	a, err := s.api.JSON(ctx, http.MethodPost, "/v2/messages", o)
	if err != nil {
		return channel.Accepted{}, err
	}
	return s.judge(a)
}

// judge reads the answer to a message.
func (s *sender) judge(a channel.Answer) (channel.Accepted, error) {
	if !rest.Good(a) {
		return channel.Accepted{}, s.refused(a)
	}
	var said struct {
		Data payload `json:"data"`
	}
	if a.JSON(&said) != nil || said.Data.ID == "" {
		return channel.Accepted{}, rest.NoID(name)
	}
	p := said.Data
	out := channel.Accepted{ID: p.ID, Parts: p.Parts, Status: statusOf(p.status())}
	out.Price, out.Currency = p.price()
	if out.Status == channel.Undelivered || out.Status == channel.Failed {
		code, row := failure(p)
		return channel.Accepted{}, row.Error(name, code)
	}
	if out.Status == channel.Unknown {
		out.Status = channel.Taken // it was taken, whatever becomes of it
	}
	return out, nil
}

// statusOf returns our word for one of Telnyx's statuses; the unknown one says nothing new.
func statusOf(s string) channel.Status {
	switch s {
	case "sent":
		return channel.Sent
	case "delivered":
		return channel.Delivered
	case "delivery_failed", "expired":
		return channel.Undelivered
	case "sending_failed":
		return channel.Failed
	case "delivery_unconfirmed":
		return channel.Unknown // the carrier never said
	}
	return channel.Taken
}

// Check implements channel.Checker: it asks for the balance.
func (s *sender) Check(ctx context.Context) error {
	return s.api.Check(ctx, "/v2/balance", s.refused)
}
