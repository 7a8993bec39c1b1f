// Package infobip is the provider that sends SMS by Infobip's SMS API, version 3.
//
// It does not use Infobip's 2FA: the code, its attempts and its limits stay with Dialproof.
package infobip

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/rest"
	"github.com/dialproof/dialproof/internal/phone"
	"github.com/dialproof/dialproof/internal/secret"
)

const name = "infobip"

// The bounds of a message's life, in seconds. Infobip keeps a message for at most 48 hours; the lower bound is ours.
const (
	minLife = 10
	maxLife = 48 * 3600
)

// conversionName is how Infobip files the conversions that it is told of.
const conversionName = "ONE_TIME_PIN"

// Provider returns the provider.
func Provider() channel.Provider {
	return channel.Provider{
		Name: name, Title: "Infobip",
		Summary:  "SMS by Infobip's SMS API.",
		Docs:     "https://www.infobip.com/docs/api/channels/sms",
		Channels: []channel.Kind{channel.SMS},
		Config:   func() channel.Opener { return &Config{Conversions: true} },
	}
}

// Config is the settings of a route.
type Config struct {
	URL         string      `yaml:"url" example:"https://xxxxx.api.infobip.com" doc:"Your account's own base URL, as the portal shows it."`
	APIKey      secret.Text `yaml:"api_key" example:"0123456789abcdef0123456789abcdef-01234567-89ab-cdef-0123-456789abcdef" doc:"An API key with the scope sms:manage."`
	Sender      string      `yaml:"sender" doc:"The sender where the route has none: a number, or up to 11 letters and digits. Empty means the account's own."`
	Conversions bool        `yaml:"conversions" doc:"Whether Infobip is told which codes were typed, so that it can watch its own routes."`
}

var senderForm = regexp.MustCompile(`^(\+?[0-9]{3,16}|[A-Za-z0-9 ]{1,11})$`)

// Validate implements channel.Opener.
func (c *Config) Validate() error {
	switch {
	case c.URL == "":
		return errors.New("url: is missing; the portal shows your base URL on its first page")
	case !rest.IsBase(c.URL):
		return errors.New("url: must be an address like https://xxxxx.api.infobip.com")
	case c.APIKey.IsZero():
		return errors.New(
			"api_key: is missing; make one in the portal at Developer tools, API keys, with the scope sms:manage",
		)
	case strings.ContainsAny(c.APIKey.Reveal(), " \r\n"):
		return errors.New("api_key: must be the key alone, without the word App, on one line")
	case c.Sender != "" && !senderForm.MatchString(c.Sender):
		return errors.New("sender: must be a number, or up to 11 letters, digits and spaces")
	}
	return nil
}

// Open implements channel.Opener.
func (c *Config) Open(env channel.Env) (channel.Sender, error) {
	return &sender{rest.SMS{}, *c, rest.New(env, name, c.URL, rest.Bearer("Authorization", "App "+c.APIKey.Reveal()))}, nil
}

type sender struct {
	rest.SMS
	cfg Config
	api rest.Client
}

var (
	_ channel.Sender   = (*sender)(nil)
	_ channel.Receiver = (*sender)(nil)
	_ channel.Checker  = (*sender)(nil)
	_ channel.Feedback = (*sender)(nil)
)

// Send implements channel.Sender.
func (s *sender) Send(ctx context.Context, m channel.Message) (channel.Accepted, error) {
	a, err := s.api.JSON(ctx, http.MethodPost, "/sms/3/messages", s.order(m))
	if err != nil {
		return channel.Accepted{}, err
	}
	return s.judge(a, m.Delivery)
}

// taken is the answer to a message, as far as it is read.
type taken struct {
	Messages []struct {
		ID      string `json:"messageId"`
		Status  status `json:"status"`
		Details struct {
			Count int `json:"messageCount"`
		} `json:"details"`
	} `json:"messages"`
}

// judge reads the answer to a message. Infobip answers 200 for a message that it rejects, too: its status tells. The id
// is the delivery's, which Infobip was given.
func (s *sender) judge(a channel.Answer, delivery string) (channel.Accepted, error) {
	if !rest.Good(a) {
		return channel.Accepted{}, s.refused(a)
	}
	var t taken
	if a.JSON(&t) != nil || len(t.Messages) != 1 || (t.Messages[0].ID == "" && t.Messages[0].Status == (status{})) {
		return channel.Accepted{}, rest.NoID(name)
	}
	m := t.Messages[0]
	news := m.Status.news()
	if news == channel.Undelivered || news == channel.Failed || m.Status.ID == duplicate {
		return channel.Accepted{}, m.Status.row().Error(name, m.Status.code())
	}
	return channel.Accepted{ID: cmp.Or(m.ID, delivery), Status: news, Parts: max(m.Details.Count, 0)}, nil
}

// Check implements channel.Checker: it asks for the balance.
func (s *sender) Check(ctx context.Context) error {
	a, err := s.api.JSON(ctx, http.MethodGet, "/account/1/balance", nil)
	if err != nil {
		return err
	}
	// A key that may only send is forbidden this. Infobip knows the key then.
	if a.Status == http.StatusOK || a.Status == http.StatusForbidden {
		return nil
	}
	return s.refused(a)
}

// Converted implements channel.Feedback. Infobip takes successes only.
func (s *sender) Converted(ctx context.Context, providerID string, _ phone.Number, ok bool) error {
	if !ok || !s.cfg.Conversions {
		return nil
	}
	a, err := s.api.JSON(ctx, http.MethodPost, "/ct/1/log/end/"+url.PathEscape(providerID), nil)
	if err == nil && !rest.Good(a) {
		return s.refused(a)
	}
	return err
}
