// Package africastalking is the provider that sends SMS by Africa's Talking's bulk messaging.
//
// It knows neither their premium SMS nor their voice. Their reports are not signed and name a message by its id alone,
// so they come to the route's fixed address, which nobody can guess.
package africastalking

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/rest"
	"github.com/dialproof/dialproof/internal/secret"
)

const name = "africastalking"

// sandbox is the username of everybody's sandbox, which lives at an address of its own.
const sandbox = "sandbox"

// Provider returns the provider.
func Provider() channel.Provider {
	return channel.Provider{
		Name: name, Title: "Africa's Talking",
		Summary:  "SMS by Africa's Talking's bulk messaging.",
		Docs:     "https://developers.africastalking.com/docs/sms/overview",
		Channels: []channel.Kind{channel.SMS},
		Config:   func() channel.Opener { return &Config{} },
	}
}

// Config is the settings of a route.
type Config struct {
	Username string      `yaml:"username" example:"acme" doc:"The username of your app at Africa's Talking, or sandbox."`
	APIKey   secret.Text `yaml:"api_key" example:"atsk_0123456789abcdef" doc:"The app's API key. A new one works after some minutes."`
	From     string      `yaml:"from" doc:"The sender where the route has none: a short code, or up to 11 letters and digits that are registered. Empty: AFRICASTKNG."`
	URL      string      `yaml:"url" doc:"Another address of the API, for a test. Default https://api.africastalking.com, and for the sandbox https://api.sandbox.africastalking.com."`
}

var senderForm = regexp.MustCompile(`^(\+?[0-9]{3,15}|[A-Za-z0-9 _.-]{1,11})$`)

// Validate implements channel.Opener.
func (c *Config) Validate() error {
	switch {
	case c.Username == "":
		return errors.New("username: is missing; it is that of the app, not of your login")
	case strings.ContainsAny(c.Username, " \r\n"):
		return errors.New("username: must be the name alone, on one line")
	case c.APIKey.IsZero():
		return errors.New("api_key: is missing; make one in the app's dashboard at Settings, API key")
	case strings.ContainsAny(c.APIKey.Reveal(), " \r\n"):
		return errors.New("api_key: must be the key alone, on one line")
	case c.From != "" && !senderForm.MatchString(c.From):
		return errors.New("from: must be a short code, or up to 11 letters and digits")
	case !rest.IsBase(c.base()):
		return errors.New("url: must be an address like https://api.africastalking.com")
	}
	return nil
}

// base returns the address of the API.
func (c *Config) base() string {
	switch {
	case c.URL != "":
		return c.URL
	case c.Username == sandbox:
		return "https://api.sandbox.africastalking.com"
	}
	return "https://api.africastalking.com"
}

// Open implements channel.Opener.
func (c *Config) Open(env channel.Env) (channel.Sender, error) {
	return &sender{rest.SMS{}, *c, rest.New(env, name, c.base(), rest.Bearer("apiKey", c.APIKey.Reveal()))}, nil
}

type sender struct {
	rest.SMS
	cfg Config
	api rest.Client
}

var (
	_ channel.Sender     = (*sender)(nil)
	_ channel.Receiver   = (*sender)(nil)
	_ channel.Correlator = (*sender)(nil)
	_ channel.Checker    = (*sender)(nil)
)

// Send implements channel.Sender.
func (s *sender) Send(ctx context.Context, m channel.Message) (channel.Accepted, error) {
	form := url.Values{"username": {s.cfg.Username}, "to": {m.To.E164()}, "message": {m.Text.Body}, "bulkSMSMode": {"1"}}
	if from := cmp.Or(m.From, s.cfg.From); from != "" {
		form.Set("from", from)
	}
	a, err := s.api.Form(ctx, http.MethodPost, "/version1/messaging", form)
	if err != nil {
		return channel.Accepted{}, err
	}
	return s.judge(a)
}

// taken is the answer to a message, as far as it is read. It is the same for a yes and a no.
type taken struct {
	Data struct {
		// Message is a line for people, or the name of what is wrong with all recipients.
		Message    string `json:"Message"`
		Recipients []struct {
			Code  int    `json:"statusCode"`
			ID    string `json:"messageId"`
			Cost  string `json:"cost"`
			Parts int    `json:"messageParts"`
		} `json:"Recipients"`
	} `json:"SMSMessageData"`
}

// The codes of a recipient that Africa's Talking took.
const (
	processed = 100
	sent      = 101
	queued    = 102
)

// judge reads the answer to a message.
func (s *sender) judge(a channel.Answer) (channel.Accepted, error) {
	var t taken
	understood := a.JSON(&t) == nil
	if a.Status == http.StatusTooManyRequests || a.Status >= 500 || (!understood && !rest.Good(a)) {
		return channel.Accepted{}, s.api.Status(a)
	}
	if understood && len(t.Data.Recipients) == 1 {
		r := t.Data.Recipients[0]
		if a.Status < 300 && (r.Code == processed || r.Code == sent || r.Code == queued) && r.ID != "" && r.ID != "None" {
			price, currency := cost(r.Cost)
			return channel.Accepted{
				ID:       r.ID,
				Status:   channel.Taken,
				Parts:    max(r.Parts, 0),
				Price:    price,
				Currency: currency,
			}, nil
		}
		if row, known := errorTable()[r.Code]; known {
			return channel.Accepted{}, row.Error(name, strconv.Itoa(r.Code))
		}
	}
	if understood && len(t.Data.Recipients) == 0 && t.Data.Message != "" {
		return channel.Accepted{}, forAll(t.Data.Message)
	}
	if !rest.Good(a) {
		return channel.Accepted{}, s.api.Status(a)
	}
	return channel.Accepted{}, rest.NoID(name)
}

// cost reads "KES 0.8000". A free message says "0".
func cost(s string) (price, currency string) {
	currency, price, _ = strings.Cut(s, " ")
	return rest.Price(price, currency)
}

// Check implements channel.Checker: it asks for the app's balance.
func (s *sender) Check(ctx context.Context) error {
	return s.api.Check(ctx, "/version1/user?"+url.Values{"username": {s.cfg.Username}}.Encode(), s.api.Status)
}
