// Package sinch is the provider that sends SMS by Sinch's SMS API (XMS), one batch for each message.
//
// It does not use Sinch Verification: the code, its attempts and its limits stay with Dialproof.
package sinch

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/rest"
	"github.com/dialproof/dialproof/internal/phone"
	"github.com/dialproof/dialproof/internal/secret"
)

const name = "sinch"

// The bounds of a message's life. Sinch keeps one for at most three days; the lower bound is ours.
const (
	minLife = 10 * time.Second
	maxLife = 72 * time.Hour
)

// maxParts is how many parts a message may have. Sinch says how many there were only where a bound is set.
const maxParts = 10

// timeForm is how Sinch writes a time (ISO 8601 with milliseconds, UTC).
const timeForm = "2006-01-02T15:04:05.000Z"

// Provider returns the provider.
func Provider() channel.Provider {
	return channel.Provider{
		Name: name, Title: "Sinch",
		Summary:  "SMS by Sinch's SMS API.",
		Docs:     "https://developers.sinch.com/docs/sms/api-reference/",
		Channels: []channel.Kind{channel.SMS},
		Config:   func() channel.Opener { return &Config{Region: "us", Conversions: true} },
	}
}

// Config is the settings of a route.
type Config struct {
	ServicePlanID string      `yaml:"service_plan_id" example:"0123456789abcdef0123456789abcdef" doc:"The id of your service plan."`
	APIToken      secret.Text `yaml:"api_token" example:"0123456789abcdef0123456789abcdef" doc:"The service plan's API token."`
	Region        string      `yaml:"region" doc:"The region of your service plan: us, eu, au, br or ca."`
	From          string      `yaml:"from" doc:"The sender where the route has none: a number, a short code, or up to 11 letters and digits. Empty means the plan's default originator."`
	WebhookSecret secret.Text `yaml:"webhook_secret" doc:"The secret that Sinch signs its callbacks with, if it does for your account. Callbacks without a signature are then refused."`
	Conversions   bool        `yaml:"conversions" doc:"Whether Sinch is told which codes were typed (delivery feedback)."`
	URL           string      `yaml:"url" doc:"Another address of the API, for a test. Default that of the region."`
}

// regions are those where Sinch runs the SMS API.
func regions() []string { return []string{"us", "eu", "au", "br", "ca"} }

var (
	planForm   = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	senderForm = regexp.MustCompile(`^(\+?[0-9]{3,17}|[A-Za-z0-9 ]{1,11})$`)
)

// Validate implements channel.Opener.
func (c *Config) Validate() error {
	switch {
	case !planForm.MatchString(c.ServicePlanID):
		return errors.New("service_plan_id: must be the plan's id; the dashboard shows it at SMS, Service APIs")
	case c.APIToken.IsZero():
		return errors.New("api_token: is missing; the dashboard shows it at SMS, Service APIs")
	case strings.ContainsAny(c.APIToken.Reveal(), " \r\n"):
		return errors.New("api_token: must be the token alone, without the word Bearer, on one line")
	case !slices.Contains(regions(), c.Region):
		return errors.New("region: must be one of " + strings.Join(regions(), ", "))
	case c.From != "" && !senderForm.MatchString(c.From):
		return errors.New("from: must be a number, a short code, or up to 11 letters, digits and spaces")
	case c.URL != "" && !rest.IsBase(c.URL):
		return errors.New("url: must be an address like https://us.sms.api.sinch.com")
	}
	return nil
}

// Open implements channel.Opener.
func (c *Config) Open(env channel.Env) (channel.Sender, error) {
	base := cmp.Or(c.URL, "https://"+c.Region+".sms.api.sinch.com")
	return &sender{rest.SMS{}, *c,
			rest.New(env, name, base+"/xms/v1/"+c.ServicePlanID, rest.Bearer("Authorization", "Bearer "+c.APIToken.Reveal()))},
		nil
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

// batch is a message to send.
type batch struct {
	To             []string `json:"to"`
	From           string   `json:"from,omitempty"`
	Body           string   `json:"body"`
	Type           string   `json:"type"`
	DeliveryReport string   `json:"delivery_report"`
	ExpireAt       string   `json:"expire_at,omitempty"`
	CallbackURL    string   `json:"callback_url,omitempty"`
	// ClientReference comes back with every report.
	ClientReference string `json:"client_reference,omitempty"`
	FeedbackEnabled bool   `json:"feedback_enabled,omitempty"`
	MaxParts        int    `json:"max_number_of_message_parts"`
}

// Send implements channel.Sender.
func (s *sender) Send(ctx context.Context, m channel.Message) (channel.Accepted, error) {
	b := batch{
		To: []string{m.To.E164()}, From: cmp.Or(m.From, s.cfg.From), Body: m.Text.Body, Type: "mt_text",
		DeliveryReport: "none", FeedbackEnabled: s.cfg.Conversions, MaxParts: max(m.Text.Parts, maxParts),
	}
	if m.Callback != "" {
		b.DeliveryReport, b.CallbackURL, b.ClientReference = "per_recipient", m.Callback, m.Token
	}
	if !m.ExpiresAt.IsZero() {
		now := s.api.Now()
		b.ExpireAt = now.Add(min(max(m.ExpiresAt.Sub(now), minLife), maxLife)).UTC().Format(timeForm)
	}
	a, err := s.api.JSON(ctx, http.MethodPost, "/batches", b)
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
		ID string `json:"id"`
	}
	if a.JSON(&said) != nil || said.ID == "" {
		return channel.Accepted{}, rest.NoID(name)
	}
	return channel.Accepted{ID: said.ID, Status: channel.Taken}, nil
}

// Check implements channel.Checker: it asks for the newest batch, of which there may be none.
func (s *sender) Check(ctx context.Context) error {
	return s.api.Check(ctx, "/batches?page_size=1", s.refused)
}

// Converted implements channel.Feedback. Sinch takes successes only.
func (s *sender) Converted(ctx context.Context, providerID string, to phone.Number, ok bool) error {
	if !ok || !s.cfg.Conversions {
		return nil
	}
	feedback := struct {
		Recipients []string `json:"recipients"`
	}{[]string{to.E164()}}
	a, err := s.api.JSON(ctx, http.MethodPost, "/batches/"+url.PathEscape(providerID)+"/delivery_feedback", feedback)
	if err == nil && !rest.Good(a) {
		return s.refused(a)
	}
	return err
}
