// Package plivo is the provider that sends SMS by Plivo's Message API and calls by its Call API.
//
// It does not use Plivo Verify: the code, its attempts and its limits stay with Dialproof, and Plivo carries text and
// speech.
package plivo

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"slices"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/rest"
	"github.com/dialproof/dialproof/internal/secret"
)

const name = "plivo"

// Plivo's bounds of message_expiry, in seconds.
const (
	minExpiry = 5
	maxExpiry = 10_800
)

// Provider returns the provider.
func Provider() channel.Provider {
	return channel.Provider{
		Name: name, Title: "Plivo",
		Summary:  "SMS by Plivo's Message API, and calls by its Call API.",
		Docs:     "https://www.plivo.com/docs/messaging/api/message",
		Channels: []channel.Kind{channel.SMS, channel.Voice},
		Config:   func() channel.Opener { return &Config{Log: "number_only", URL: "https://api.plivo.com"} },
	}
}

// Config is the settings of a route.
type Config struct {
	AuthID       string      `yaml:"auth_id" example:"MA0123456789ABCDEFGH" doc:"The Auth ID of your account (MA…) or subaccount (SA…)."`
	AuthToken    secret.Text `yaml:"auth_token" example:"0123456789abcdef0123456789abcdef01234567" doc:"Its Auth Token. It also signs Plivo's receipts and what a call asks."`
	From         string      `yaml:"from" doc:"The sender of messages and the number that calls show, where the route has no sender."`
	PowerpackUID string      `yaml:"powerpack_uuid" doc:"A Powerpack that chooses the sender of messages, where neither the route nor from names one."`
	Log          string      `yaml:"log" doc:"What Plivo keeps of a message: true (text and number), number_only, content_only, or false (neither). The text holds the code."`
	URL          string      `yaml:"url" doc:"Another address of the API, for a test. Default https://api.plivo.com."`
}

var (
	accountForm = regexp.MustCompile(`^(MA|SA)[A-Z0-9]{18}$`)
	senderForm  = regexp.MustCompile(`^(\+?[0-9]{3,15}|[A-Za-z0-9 ]{1,11})$`)
	packForm    = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
)

// Validate implements channel.Opener.
func (c *Config) Validate() error {
	switch {
	case !accountForm.MatchString(c.AuthID):
		return errors.New(
			"auth_id: must be MA or SA and 18 capital letters and digits; the console shows it on its first page",
		)
	case c.AuthToken.IsZero():
		return errors.New("auth_token: is missing; it stands beside the Auth ID in Plivo's console")
	case c.From != "" && !senderForm.MatchString(c.From):
		return errors.New("from: must be a number, or up to 11 letters, digits and spaces")
	case c.PowerpackUID != "" && !packForm.MatchString(c.PowerpackUID):
		return errors.New("powerpack_uuid: must be an id like 5ec4c8c9-cd74-42b5-9e41-0d7670d6bb46")
	case !slices.Contains([]string{"true", "false", "number_only", "content_only"}, c.Log):
		return errors.New("log: must be true, number_only, content_only or false")
	case !rest.IsBase(c.URL):
		return errors.New("url: must be an address like https://api.plivo.com")
	}
	return nil
}

// Open implements channel.Opener.
func (c *Config) Open(env channel.Env) (channel.Sender, error) {
	return &sender{*c, rest.New(env, name, c.URL+"/v1/Account/"+c.AuthID+"/", rest.Basic(c.AuthID, c.AuthToken.Reveal()))},
		nil
}

type sender struct {
	cfg Config
	api rest.Client
}

var (
	_ channel.Sender   = (*sender)(nil)
	_ channel.Receiver = (*sender)(nil)
	_ channel.Answerer = (*sender)(nil)
	_ channel.Checker  = (*sender)(nil)
	_ channel.Linguist = (*sender)(nil)
)

// Channels implements channel.Sender.
func (*sender) Channels() []channel.Kind { return []channel.Kind{channel.SMS, channel.Voice} }

// Send implements channel.Sender.
func (s *sender) Send(ctx context.Context, m channel.Message) (channel.Accepted, error) {
	if m.Channel == channel.Voice {
		return s.call(ctx, m)
	}
	return s.sms(ctx, m)
}

// from returns who a message is from: the route's choice before the setting.
func (s *sender) from(m channel.Message) string { return cmp.Or(m.From, s.cfg.From) }

// textOrder is a message to send.
type textOrder struct {
	Source      string `json:"src,omitempty"`
	Powerpack   string `json:"powerpack_uuid,omitempty"`
	Destination string `json:"dst"`
	Text        string `json:"text"`
	Type        string `json:"type"`
	URL         string `json:"url,omitempty"`
	Method      string `json:"method,omitempty"`
	Log         string `json:"log"`
	Expiry      int    `json:"message_expiry,omitempty"`
	Entity      string `json:"dlt_entity_id,omitempty"`
	Template    string `json:"dlt_template_id,omitempty"`
	Category    string `json:"dlt_template_category,omitempty"`
}

// sms sends a message.
func (s *sender) sms(ctx context.Context, m channel.Message) (channel.Accepted, error) {
	o := textOrder{
		Source:      rest.Digits(s.from(m)),
		Destination: rest.Digits(m.To.E164()),
		Text:        m.Text.Body,
		Type:        "sms",
		Log:         s.cfg.Log,
		Entity:      m.Regulatory["dlt_entity_id"],
		Template:    m.Regulatory["dlt_template_id"],
		Category:    m.Regulatory["dlt_template_category"],
	}
	if o.Source == "" {
		o.Powerpack = s.cfg.PowerpackUID
	}
	if o.Source == "" && o.Powerpack == "" {
		return channel.Accepted{}, rest.NoSender(name, "from nor powerpack_uuid")
	}
	if m.Callback != "" {
		o.URL, o.Method = m.Callback, http.MethodPost
	}
	if !m.ExpiresAt.IsZero() {
		o.Expiry = rest.Life(m.ExpiresAt, s.api.Now(), minExpiry, maxExpiry)
	}
	a, err := s.api.JSON(ctx, http.MethodPost, "Message/", o)
	if err != nil {
		return channel.Accepted{}, err
	}
	var said struct {
		IDs     ids      `json:"message_uuid"`
		Invalid []string `json:"invalid_number"`
	}
	if err := s.judge(a, &said); err != nil {
		return channel.Accepted{}, err
	}
	if len(said.IDs) == 0 && len(said.Invalid) > 0 {
		return channel.Accepted{}, rest.Means(channel.Rejected, "Plivo does not take the number for a valid one").
			Error(name, "invalid_number")
	}
	return said.IDs.accepted()
}

// ids are the ids of what was taken. Plivo writes one alone with or without a list around it.
type ids []string

// UnmarshalJSON takes both forms.
func (l *ids) UnmarshalJSON(b []byte) error {
	if bytes.HasPrefix(b, []byte(`"`)) {
		*l = ids{""}
		return json.Unmarshal(b, &(*l)[0])
	}
	return json.Unmarshal(b, (*[]string)(l))
}

// accepted returns the first id, which is that of the whole: a long message has one.
func (l ids) accepted() (channel.Accepted, error) {
	if len(l) == 0 || l[0] == "" {
		return channel.Accepted{}, rest.NoID(name)
	}
	return channel.Accepted{ID: l[0], Status: channel.Taken}, nil
}

// judge reads an answer into v, or says why it is no yes. Plivo's refusals have words, but no codes: the status tells.
func (s *sender) judge(a channel.Answer, v any) error {
	if !rest.Good(a) {
		return s.api.Status(a)
	}
	if a.JSON(v) != nil {
		return rest.NoID(name)
	}
	return nil
}

// Check implements channel.Checker: it asks for the account.
func (s *sender) Check(ctx context.Context) error {
	return s.api.Check(ctx, "", s.api.Status)
}
