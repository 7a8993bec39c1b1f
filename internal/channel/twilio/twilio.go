// Package twilio is the provider that sends SMS by Twilio's Programmable Messaging and calls by its Programmable Voice.
//
// It does not use Twilio Verify: the code, its attempts and its limits stay with Dialproof, and Twilio carries text and
// speech.
package twilio

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"regexp"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/rest"
	"github.com/dialproof/dialproof/internal/phone"
	"github.com/dialproof/dialproof/internal/secret"
)

const name = "twilio"

// Twilio's bounds of ValidityPeriod, in seconds (API 2010-04-01, Messages).
const (
	minValidity = 1
	maxValidity = 36_000
)

// Provider returns the provider.
func Provider() channel.Provider {
	return channel.Provider{
		Name: name, Title: "Twilio",
		Summary:  "SMS by Twilio's Programmable Messaging, and calls by its Programmable Voice.",
		Docs:     "https://www.twilio.com/docs/messaging/api/message-resource",
		Channels: []channel.Kind{channel.SMS, channel.Voice},
		Config:   func() channel.Opener { return &Config{BaseURL: "https://api.twilio.com", DiscardContent: true} },
	}
}

// Config is the settings of a route.
type Config struct {
	AccountSID          string            `yaml:"account_sid" example:"AC0123456789abcdef0123456789abcdef" doc:"Your account SID: AC and 32 hexadecimal characters."`
	AuthToken           secret.Text       `yaml:"auth_token" example:"0123456789abcdef0123456789abcdef" doc:"Your account's auth token. It also signs Twilio's receipts, so it is needed even with an API key."`
	APIKeySID           string            `yaml:"api_key_sid" doc:"An API key (SK…) to send with, instead of the auth token."`
	APIKeySecret        secret.Text       `yaml:"api_key_secret" doc:"The secret of the API key."`
	CallerID            string            `yaml:"caller_id" doc:"The number that calls show, where the route's sender is no number. It must be the account's own or a verified one."`
	MessagingServiceSID string            `yaml:"messaging_service_sid" doc:"A messaging service (MG…) that chooses the sender ID. Without it, the route needs a sender."`
	DiscardContent      bool              `yaml:"discard_content" doc:"Ask Twilio not to keep the text, which holds the code. On by default; Twilio must have enabled it for your account."`
	ObfuscateNumbers    bool              `yaml:"obfuscate_numbers" doc:"Ask Twilio to keep the number only masked. Twilio must have enabled it for your account."`
	RiskCheck           string            `yaml:"risk_check" doc:"Twilio's own protection against SMS pumping: enable or disable. Empty: as the account has it. Dialproof has fraud rules of its own."`
	Voices              map[string]string `yaml:"voices" doc:"Other voices for calls: the language of the text and Twilio's name of the voice, like de: Polly.Hans."`
	BaseURL             string            `yaml:"base_url" doc:"Another address of the API, for a region or a test. Default https://api.twilio.com."`
}

var (
	accountForm = regexp.MustCompile(`^AC[0-9a-fA-F]{32}$`)
	keyForm     = regexp.MustCompile(`^SK[0-9a-fA-F]{32}$`)
	callerForm  = regexp.MustCompile(`^\+[0-9]{7,15}$`)
	voiceForm   = regexp.MustCompile(`^[A-Za-z]+[.][A-Za-z0-9-]+$`)
	messageForm = regexp.MustCompile(`^(SM|MM)[0-9a-fA-F]{32}$`)
	serviceForm = regexp.MustCompile(`^MG[0-9a-fA-F]{32}$`)
)

// Validate implements channel.Opener.
func (c *Config) Validate() error {
	switch {
	case !accountForm.MatchString(c.AccountSID):
		return errors.New("account_sid: must be AC and 32 hexadecimal characters")
	case c.AuthToken.IsZero():
		return errors.New("auth_token: is missing; it stands beside the account SID in Twilio's console")
	case c.APIKeySID != "" && !keyForm.MatchString(c.APIKeySID):
		return errors.New("api_key_sid: must be SK and 32 hexadecimal characters")
	case (c.APIKeySID == "") != c.APIKeySecret.IsZero():
		return errors.New("api_key_sid and api_key_secret: give both or none")
	case c.MessagingServiceSID != "" && !serviceForm.MatchString(c.MessagingServiceSID):
		return errors.New("messaging_service_sid: must be MG and 32 hexadecimal characters")
	case c.CallerID != "" && !callerForm.MatchString(c.CallerID):
		return errors.New("caller_id: must be a number with + and country code")
	case c.RiskCheck != "" && c.RiskCheck != "enable" && c.RiskCheck != "disable":
		return errors.New("risk_check: must be enable or disable, or left out")
	case !rest.IsBase(c.BaseURL):
		return errors.New("base_url: must be an address like https://api.twilio.com")
	}
	for _, v := range c.Voices {
		if !voiceForm.MatchString(v) {
			return errors.New("voices: must name voices as Twilio does, like Polly.Hans or Google.de-DE-Standard-A")
		}
	}
	return nil
}

// Open implements channel.Opener.
func (c *Config) Open(env channel.Env) (channel.Sender, error) {
	user, password := c.AccountSID, c.AuthToken
	if c.APIKeySID != "" {
		user, password = c.APIKeySID, c.APIKeySecret
	}
	return &sender{*c, rest.New(env, name, c.BaseURL, rest.Basic(user, password.Reveal()))}, nil
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
	_ channel.Feedback = (*sender)(nil)
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

// path returns the path of something of the account's.
func (s *sender) path(of string) string { return "/2010-04-01/Accounts/" + s.cfg.AccountSID + of }

// Check implements channel.Checker: it asks for the account itself.
func (s *sender) Check(ctx context.Context) error {
	a, err := s.api.JSON(ctx, http.MethodGet, s.path(".json"), nil)
	if err != nil {
		return err
	}
	if a.Status != http.StatusOK {
		return s.refused(a)
	}
	var account struct {
		Status string `json:"status"`
	}
	if a.JSON(&account) == nil && account.Status != "" && account.Status != "active" {
		return rest.Refused(name, "account", "the account is not active")
	}
	return nil
}

// Converted implements channel.Feedback (Message Feedback resource, which wants ProvideFeedback in the order). Twilio
// takes no word of calls any more.
func (s *sender) Converted(ctx context.Context, providerID string, _ phone.Number, ok bool) error {
	if !messageForm.MatchString(providerID) {
		return nil
	}
	outcome := "unconfirmed"
	if ok {
		outcome = "confirmed"
	}
	a, err := s.api.Form(ctx, http.MethodPost, s.path("/Messages/"+url.PathEscape(providerID)+"/Feedback.json"),
		url.Values{"Outcome": {outcome}})
	if err == nil && !rest.Good(a) {
		return s.api.Status(a)
	}
	return err
}
