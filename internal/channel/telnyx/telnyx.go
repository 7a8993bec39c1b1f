// Package telnyx is the provider that sends SMS by Telnyx's Messaging API.
//
// It does not use Telnyx Verify: the code, its attempts and its limits stay with Dialproof, and Telnyx carries text.
package telnyx

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/message"
	"github.com/dialproof/dialproof/internal/secret"
)

const name = "telnyx"

// Provider answers the provider.
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

//nolint:gochecknoglobals // compiled once, never changed
var (
	senderForm  = regexp.MustCompile(`^(\+?[0-9]{3,15}|[A-Za-z0-9 ]{1,11})$`)
	numberForm  = regexp.MustCompile(`^\+?[0-9]+$`)
	profileForm = regexp.MustCompile(`^[0-9a-fA-F-]{16,36}$`)
)

// Validate implements channel.Opener.
func (c *Config) Validate() error {
	u, err := url.Parse(c.URL)
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
	case err != nil || u.Host == "" || u.Path != "":
		return errors.New("url: must be an address like https://api.telnyx.com")
	}
	return nil
}

// key answers the public key; nil when it is none.
func (c *Config) key() ed25519.PublicKey {
	raw, err := base64.StdEncoding.DecodeString(c.PublicKey)
	if err != nil || len(raw) != ed25519.PublicKeySize {
		return nil
	}
	return raw
}

// Open implements channel.Opener.
func (c *Config) Open(env channel.Env) (channel.Sender, error) {
	return &sender{cfg: *c, key: c.key(), http: env.HTTP, now: env.Now}, nil
}

type sender struct {
	cfg  Config
	key  ed25519.PublicKey
	http *http.Client
	now  func() time.Time
}

var (
	_ channel.Sender   = (*sender)(nil)
	_ channel.Receiver = (*sender)(nil)
	_ channel.Checker  = (*sender)(nil)
)

// Channels implements channel.Sender.
func (*sender) Channels() []channel.Kind { return []channel.Kind{channel.SMS} }

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

// status answers Telnyx's word for how far the message has come.
func (p payload) status() string {
	if len(p.To) != 1 {
		return "" // every message of ours has one receiver
	}
	return p.To[0].Status
}

// price answers what the message cost, when that is said and is a number. While a message is queued it is not.
func (p payload) price() (amount, currency string) {
	if p.Cost == nil || len(p.Cost.Currency) != 3 {
		return "", ""
	}
	// ParseFloat alone takes NaN and 0x1p-2, too.
	if f, err := strconv.ParseFloat(p.Cost.Amount, 64); err != nil || f <= 0 || f > 1e6 || strings.Trim(p.Cost.Amount, "0123456789.") != "" {
		return "", ""
	}
	return p.Cost.Amount, p.Cost.Currency
}

// Send implements channel.Sender.
func (s *sender) Send(ctx context.Context, m channel.Message) (channel.Accepted, error) {
	from := m.From
	if from == "" {
		from = s.cfg.From
	}
	switch {
	case from == "" && s.cfg.MessagingProfileID == "":
		return channel.Accepted{}, refusal("no_sender", "the route has neither a sender nor a messaging_profile_id")
	case from != "" && !numberForm.MatchString(from) && s.cfg.MessagingProfileID == "":
		return channel.Accepted{}, refusal("no_profile", "a sender of letters needs a messaging_profile_id")
	}
	o := order{From: from, Profile: s.cfg.MessagingProfileID, To: m.To.E164(), Text: m.Text.Body, Type: "SMS", Webhook: m.Callback}
	if m.Text.Encoding == message.UCS2 {
		o.Encoding = "ucs2" // otherwise Telnyx writes some characters in another way
	}
	a, err := s.do(ctx, http.MethodPost, "/v2/messages", o)
	if err != nil {
		return channel.Accepted{}, err
	}
	return s.judge(a)
}

// refusal answers an error of this account or its settings.
func refusal(code, detail string) *channel.Error {
	return &channel.Error{Kind: channel.Refused, Provider: name, Code: code, Detail: detail}
}

// do makes a call. body is encoded as JSON; nil sends none.
func (s *sender) do(ctx context.Context, method, path string, body any) (channel.Answer, error) {
	req, err := channel.JSONRequest(ctx, name, method, s.cfg.URL+path, body)
	if err != nil {
		return channel.Answer{}, err
	}
	req.Header.Set("Authorization", "Bearer "+s.cfg.APIKey.Reveal())
	return channel.Do(ctx, s.http, name, req)
}

// judge reads the answer to a message.
func (s *sender) judge(a channel.Answer) (channel.Accepted, error) {
	if a.Status < 200 || a.Status > 299 {
		return channel.Accepted{}, s.refused(a)
	}
	var said struct {
		Data payload `json:"data"`
	}
	if a.JSON(&said) != nil || said.Data.ID == "" {
		return channel.Accepted{}, &channel.Error{Kind: channel.MaybeSent, Provider: name, Code: "answer", Detail: "the answer has no message id"}
	}
	p := said.Data
	out := channel.Accepted{ID: p.ID, Parts: p.Parts, Status: statusOf(p.status())}
	out.Price, out.Currency = p.price()
	if out.Status == channel.Undelivered || out.Status == channel.Failed {
		code, row := failure(p)
		return channel.Accepted{}, &channel.Error{Kind: row.kind, Provider: name, Code: code, Detail: row.detail}
	}
	if out.Status == channel.Unknown {
		out.Status = channel.Taken // it was taken, whatever becomes of it
	}
	return out, nil
}

// statusOf answers our word for one of Telnyx's statuses; the unknown one says nothing new.
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
	a, err := s.do(ctx, http.MethodGet, "/v2/balance", nil)
	if err == nil && a.Status != http.StatusOK {
		err = s.refused(a)
	}
	return err
}
