// Package azure is the provider that sends SMS by Azure Communication Services.
//
// Requests are signed with the resource's access key; Entra ID is not used. Receipts come by Event Grid.
package azure

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"regexp"
	"strings"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/rest"
	"github.com/dialproof/dialproof/internal/secret"
)

const name = "azure"

// The versions of the interfaces that are used.
const (
	smsVersion     = "2026-01-23"
	numbersVersion = "2022-12-01"
)

// Azure's bounds of the time in which a receipt must come, in seconds (deliveryReportTimeoutInSeconds).
const (
	minReportTime = 60
	maxReportTime = 43_200
)

// maxText is how long a text may be, in characters.
const maxText = 2048

// Provider returns the provider.
func Provider() channel.Provider {
	return channel.Provider{
		Name: name, Title: "Azure Communication Services",
		Summary:  "SMS by Azure Communication Services.",
		Docs:     "https://learn.microsoft.com/azure/communication-services/concepts/sms/concepts",
		Channels: []channel.Kind{channel.SMS},
		Config:   func() channel.Opener { return &Config{} },
	}
}

// Config is the settings of a route.
type Config struct {
	Endpoint  string      `yaml:"endpoint" example:"https://acme.communication.azure.com" doc:"The endpoint of your Communication Services resource."`
	AccessKey secret.Text `yaml:"access_key" example:"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=" doc:"One of the resource's two access keys, as the portal shows it (base64)."`
	From      string      `yaml:"from" doc:"The sender where the route has none: a number of the resource's, a short code, or up to 11 letters and digits."`
}

var senderForm = regexp.MustCompile(`^(\+[0-9]{3,15}|[0-9]{3,8}|[A-Za-z0-9 ]{1,11})$`)

// Validate implements channel.Opener.
func (c *Config) Validate() error {
	key, notBase64 := base64.StdEncoding.DecodeString(c.AccessKey.Reveal())
	switch {
	case c.Endpoint == "":
		return errors.New("endpoint: is missing; the portal shows it at Keys of your Communication Services resource")
	case !rest.IsBase(strings.TrimRight(c.Endpoint, "/")):
		return errors.New("endpoint: must be an address like https://acme.communication.azure.com")
	case c.AccessKey.IsZero():
		return errors.New("access_key: is missing; the portal shows it at Keys of your Communication Services resource")
	case notBase64 != nil || len(key) == 0:
		return errors.New(
			"access_key: must be the key alone, in base64 as the portal shows it, and not the connection string",
		)
	case c.From != "" && !senderForm.MatchString(c.From):
		return errors.New("from: must be a number with its plus sign, a short code, or up to 11 letters, digits and spaces")
	}
	return nil
}

// Open implements channel.Opener.
func (c *Config) Open(env channel.Env) (channel.Sender, error) {
	key, err := base64.StdEncoding.DecodeString(c.AccessKey.Reveal())
	if err != nil {
		return nil, errors.New("access_key: must be base64")
	}
	return &sender{
		rest.SMS{},
		*c,
		rest.Client{
			Provider: name,
			Base:     strings.TrimRight(c.Endpoint, "/"),
			HTTP:     env.HTTP,
			Now:      env.Now,
			Authorize: func(r *http.Request, body []byte) *channel.Error {
				sign(r, body, key, env.Now())
				return nil
			},
		},
	}, nil
}

type sender struct {
	rest.SMS
	cfg Config
	api rest.Client
}

var (
	_ channel.Sender   = (*sender)(nil)
	_ channel.Receiver = (*sender)(nil)
	_ channel.Answerer = (*sender)(nil)
	_ channel.Checker  = (*sender)(nil)
)

// order is a message to send (SendMessageRequest).
type order struct {
	From       string      `json:"from"`
	Recipients []recipient `json:"smsRecipients"`
	Message    string      `json:"message"`
	Options    options     `json:"smsSendOptions"`
}

// recipient is whom a message goes to. Azure sends one request id once, however often it is asked.
type recipient struct {
	To        string `json:"to"`
	RequestID string `json:"repeatabilityRequestId"`
	FirstSent string `json:"repeatabilityFirstSent"`
}

type options struct {
	Report bool `json:"enableDeliveryReport"`
	// Tag comes back with the receipt.
	Tag     string `json:"tag,omitempty"`
	Timeout int    `json:"deliveryReportTimeoutInSeconds,omitempty"`
}

// Send implements channel.Sender.
func (s *sender) Send(ctx context.Context, m channel.Message) (channel.Accepted, error) {
	from := cmp.Or(m.From, s.cfg.From)
	switch {
	case from == "":
		return channel.Accepted{}, rest.NoSender(name, "a from")
	case len([]rune(m.Text.Body)) > maxText:
		return channel.Accepted{}, rest.Refused(name, "too_long", "the text has more than 2048 characters")
	}
	now := s.api.Now()
	o := order{From: from, Message: m.Text.Body, Recipients: []recipient{{
		To: m.To.E164(), RequestID: requestID(m.Delivery), FirstSent: firstSent(m.Delivery, now).Format(http.TimeFormat),
	}}}
	if m.Callback != "" {
		o.Options = options{Report: true, Tag: m.Token}
		if !m.ExpiresAt.IsZero() {
			o.Options.Timeout = rest.Life(m.ExpiresAt, now, minReportTime, maxReportTime)
		}
	}
	a, err := s.api.JSON(ctx, http.MethodPost, "/sms?api-version="+smsVersion, o)
	if err != nil {
		return channel.Accepted{}, err
	}
	return s.judge(a)
}

// taken is the answer to a message: one item for each recipient, of whom there is one.
type taken struct {
	Value []item `json:"value"`
}

// item says what became of the message to one recipient.
type item struct {
	MessageID  string `json:"messageId"`
	Status     int    `json:"httpStatusCode"`
	Successful bool   `json:"successful"`
	Repeat     string `json:"repeatabilityResult"`
	Error      string `json:"errorMessage"`
}

// judge reads the answer to a message. A 202 says nothing: the item tells.
func (s *sender) judge(a channel.Answer) (channel.Accepted, error) {
	if !rest.Good(a) {
		return channel.Accepted{}, s.refused(a)
	}
	var t taken
	if a.JSON(&t) != nil || len(t.Value) != 1 {
		return channel.Accepted{}, rest.NoID(name)
	}
	one := t.Value[0]
	if !one.Successful {
		return channel.Accepted{}, s.refusedItem(one)
	}
	// It says yes. An id that is missing is not missed: receipts name the message by its tag.
	return channel.Accepted{ID: one.MessageID, Status: channel.Taken}, nil
}

// Check implements channel.Checker: it asks for the resource's numbers, of which there may be none.
func (s *sender) Check(ctx context.Context) error {
	return s.api.Check(ctx, "/phoneNumbers?skip=0&top=1&api-version="+numbersVersion, s.refused)
}
