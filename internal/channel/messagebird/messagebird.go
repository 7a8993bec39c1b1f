// Package messagebird is the provider that sends SMS by MessageBird's SMS API.
//
// It is the interface at rest.messagebird.com, which lives on at Bird, and not that of bird.com. It does not use
// MessageBird Verify: the code, its attempts and its limits stay with Dialproof.
package messagebird

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"regexp"
	"strings"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/rest"
	"github.com/dialproof/dialproof/internal/message"
	"github.com/dialproof/dialproof/internal/secret"
)

const name = "messagebird"

// minValidity is the shortest life that a message is given, in seconds; the interface names no bounds of its own.
const minValidity = 10

// Provider returns the provider.
func Provider() channel.Provider {
	return channel.Provider{
		Name: name, Title: "MessageBird",
		Summary:  "SMS by MessageBird's (now Bird's) SMS API.",
		Docs:     "https://developers.messagebird.com/api/sms-messaging/",
		Channels: []channel.Kind{channel.SMS},
		Config:   func() channel.Opener { return &Config{URL: "https://rest.messagebird.com"} },
	}
}

// Config is the settings of a route.
type Config struct {
	AccessKey  secret.Text `yaml:"access_key" example:"0123456789abcdefghijklmno" doc:"A live access key of your account."`
	SigningKey secret.Text `yaml:"signing_key" example:"0123456789abcdef0123456789abcdef" doc:"Your account's signing key. It signs receipts, and is not the access key."`
	Originator string      `yaml:"originator" doc:"The sender where the route has none: a number, or up to 11 letters and digits."`
	URL        string      `yaml:"url" doc:"Another address of the API, for a test. Default https://rest.messagebird.com."`
}

var senderForm = regexp.MustCompile(`^(\+?[0-9]{3,17}|[A-Za-z0-9 ]{1,11})$`)

// Validate implements channel.Opener.
func (c *Config) Validate() error {
	switch {
	case c.AccessKey.IsZero():
		return errors.New("access_key: is missing; make a live key in the dashboard at Developers, API access")
	case strings.ContainsAny(c.AccessKey.Reveal(), " \r\n"):
		return errors.New("access_key: must be the key alone, on one line")
	case c.SigningKey.IsZero():
		return errors.New("signing_key: is missing; the dashboard shows it at Developers, Settings")
	case c.Originator != "" && !senderForm.MatchString(c.Originator):
		return errors.New("originator: must be a number, or up to 11 letters, digits and spaces")
	case !rest.IsBase(c.URL):
		return errors.New("url: must be an address like https://rest.messagebird.com")
	}
	return nil
}

// Open implements channel.Opener.
func (c *Config) Open(env channel.Env) (channel.Sender, error) {
	return &sender{rest.SMS{}, *c,
		rest.New(env, name, c.URL, rest.Bearer("Authorization", "AccessKey "+c.AccessKey.Reveal()))}, nil
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
)

// order is a message to send.
type order struct {
	Originator string   `json:"originator"`
	Body       string   `json:"body"`
	Recipients []string `json:"recipients"`
	Datacoding string   `json:"datacoding"`
	// Reference comes back with receipts; without one there are none.
	Reference string `json:"reference,omitempty"`
	ReportURL string `json:"reportUrl,omitempty"`
	Validity  int    `json:"validity,omitempty"`
}

// taken is the answer to a message, as far as it is read.
type taken struct {
	ID         string `json:"id"`
	Recipients struct {
		Items []struct {
			Status    string      `json:"status"`
			Reason    string      `json:"statusReason"`
			ErrorCode json.Number `json:"statusErrorCode"`
			Parts     int         `json:"messagePartCount"`
		} `json:"items"`
	} `json:"recipients"`
}

// Send implements channel.Sender.
func (s *sender) Send(ctx context.Context, m channel.Message) (channel.Accepted, error) {
	from := cmp.Or(m.From, s.cfg.Originator)
	if from == "" {
		return channel.Accepted{}, rest.NoSender(name, "an originator")
	}
	o := order{
		Originator: rest.Digits(from), Body: m.Text.Body, Recipients: []string{rest.Digits(m.To.E164())},
		Datacoding: "plain", Reference: m.Token, ReportURL: m.Callback,
	}
	if m.Text.Encoding == message.UCS2 {
		o.Datacoding = "unicode"
	}
	if !m.ExpiresAt.IsZero() {
		o.Validity = rest.Life(m.ExpiresAt, s.api.Now(), minValidity, math.MaxInt32)
	}
	a, err := s.api.JSON(ctx, http.MethodPost, "/messages", o)
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
	var t taken
	if a.JSON(&t) != nil || t.ID == "" {
		return channel.Accepted{}, rest.NoID(name)
	}
	out := channel.Accepted{ID: t.ID, Status: channel.Taken}
	if len(t.Recipients.Items) == 1 {
		item := t.Recipients.Items[0]
		out.Status, out.Parts = statusOf(item.Status), item.Parts
		if out.Status == channel.Undelivered {
			code, kind := failure(item.ErrorCode.String(), item.Reason)
			return channel.Accepted{}, rest.Means(kind, "the message failed at once").Error(name, code)
		}
	}
	return out, nil
}

// statusOf returns our word for one of MessageBird's statuses; the unknown one says nothing new.
func statusOf(s string) channel.Status {
	switch s {
	case "sent", "buffered":
		return channel.Sent
	case "delivered":
		return channel.Delivered
	case "expired", "delivery_failed":
		return channel.Undelivered
	}
	return channel.Taken
}

// Check implements channel.Checker: it asks for the balance.
func (s *sender) Check(ctx context.Context) error {
	return s.api.Check(ctx, "/balance", s.refused)
}
