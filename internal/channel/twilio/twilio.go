// Package twilio is the provider that sends SMS by Twilio's Programmable Messaging.
//
// It does not use Twilio Verify: the code, its attempts and its limits stay with Dialproof, and Twilio carries text.
package twilio

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/phone"
	"github.com/dialproof/dialproof/internal/secret"
)

const name = "twilio"

// Twilio's bounds of ValidityPeriod, in seconds (API 2010-04-01, Messages).
const (
	minValidity = 1
	maxValidity = 36_000
)

// Provider answers the provider.
func Provider() channel.Provider {
	return channel.Provider{
		Name: name, Title: "Twilio",
		Summary:  "SMS by Twilio's Programmable Messaging.",
		Docs:     "https://www.twilio.com/docs/messaging/api/message-resource",
		Channels: []channel.Kind{channel.SMS},
		Config:   func() channel.Opener { return &Config{BaseURL: "https://api.twilio.com", DiscardContent: true} },
	}
}

// Config is the settings of a route.
type Config struct {
	AccountSID          string      `yaml:"account_sid" example:"AC0123456789abcdef0123456789abcdef" doc:"Your account SID: AC and 32 hexadecimal characters."`
	AuthToken           secret.Text `yaml:"auth_token" example:"0123456789abcdef0123456789abcdef" doc:"Your account's auth token. It also signs Twilio's receipts, so it is needed even with an API key."`
	APIKeySID           string      `yaml:"api_key_sid" doc:"An API key (SK…) to send with, instead of the auth token."`
	APIKeySecret        secret.Text `yaml:"api_key_secret" doc:"The secret of the API key."`
	MessagingServiceSID string      `yaml:"messaging_service_sid" doc:"A messaging service (MG…) that chooses the sender ID. Without it, the route needs a sender."`
	DiscardContent      bool        `yaml:"discard_content" doc:"Ask Twilio not to keep the text, which holds the code. On by default; Twilio must have enabled it for your account."`
	ObfuscateNumbers    bool        `yaml:"obfuscate_numbers" doc:"Ask Twilio to keep the number only masked. Twilio must have enabled it for your account."`
	BaseURL             string      `yaml:"base_url" doc:"Another address of the API, for a region or a test. Default https://api.twilio.com."`
}

//nolint:gochecknoglobals // compiled once, never changed
var (
	accountForm = regexp.MustCompile(`^AC[0-9a-fA-F]{32}$`)
	keyForm     = regexp.MustCompile(`^SK[0-9a-fA-F]{32}$`)
	serviceForm = regexp.MustCompile(`^MG[0-9a-fA-F]{32}$`)
)

// Validate implements channel.Opener.
func (c *Config) Validate() error {
	u, err := url.Parse(c.BaseURL)
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
	case err != nil || u.Host == "" || u.Path != "":
		return errors.New("base_url: must be an address like https://api.twilio.com")
	}
	return nil
}

// Open implements channel.Opener.
func (c *Config) Open(env channel.Env) (channel.Sender, error) {
	s := &sender{cfg: *c, http: env.HTTP, now: env.Now, user: c.AccountSID, password: c.AuthToken}
	if c.APIKeySID != "" {
		s.user, s.password = c.APIKeySID, c.APIKeySecret
	}
	return s, nil
}

type sender struct {
	cfg      Config
	user     string
	password secret.Text
	http     *http.Client
	now      func() time.Time
}

var (
	_ channel.Sender   = (*sender)(nil)
	_ channel.Receiver = (*sender)(nil)
	_ channel.Checker  = (*sender)(nil)
	_ channel.Feedback = (*sender)(nil)
)

// Channels implements channel.Sender.
func (*sender) Channels() []channel.Kind { return []channel.Kind{channel.SMS} }

// message is Twilio's answer, as far as it is read.
type message struct {
	SID         string  `json:"sid"`
	Status      string  `json:"status"`
	NumSegments string  `json:"num_segments"`
	Price       *string `json:"price"`
	PriceUnit   string  `json:"price_unit"`
	ErrorCode   *int    `json:"error_code"`
}

// refusal is Twilio's error, as far as it is read.
type refusal struct {
	Code json.Number `json:"code"`
}

// Send implements channel.Sender.
func (s *sender) Send(ctx context.Context, m channel.Message) (channel.Accepted, error) {
	form := url.Values{"To": {m.To.E164()}, "Body": {m.Text.Body}}
	switch {
	case m.From != "":
		form.Set("From", m.From)
	case s.cfg.MessagingServiceSID != "":
	default:
		return channel.Accepted{}, &channel.Error{Kind: channel.Refused, Provider: name, Code: "no_sender", Detail: "the route has neither a sender nor a messaging_service_sid"}
	}
	if s.cfg.MessagingServiceSID != "" {
		form.Set("MessagingServiceSid", s.cfg.MessagingServiceSID)
	}
	if m.Callback != "" {
		form.Set("StatusCallback", m.Callback)
	}
	if !m.ExpiresAt.IsZero() {
		left := int(m.ExpiresAt.Sub(s.now()) / time.Second)
		form.Set("ValidityPeriod", strconv.Itoa(min(max(left, minValidity), maxValidity)))
	}
	if s.cfg.DiscardContent {
		form.Set("ContentRetention", "discard")
	}
	if s.cfg.ObfuscateNumbers {
		form.Set("AddressRetention", "obfuscate")
	}
	form.Set("ProvideFeedback", "true")
	a, err := s.do(ctx, http.MethodPost, "/Messages.json", form)
	if err != nil {
		return channel.Accepted{}, err
	}
	return s.judge(a)
}

// do makes a request to the account.
func (s *sender) do(ctx context.Context, method, path string, form url.Values) (channel.Answer, error) {
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(ctx, method, s.cfg.BaseURL+"/2010-04-01/Accounts/"+s.cfg.AccountSID+path, body)
	if err != nil {
		return channel.Answer{}, &channel.Error{Kind: channel.Refused, Provider: name, Code: "url", Detail: "the address cannot be used"}
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	req.SetBasicAuth(s.user, s.password.Reveal())
	return channel.Do(ctx, s.http, name, req)
}

// judge reads the answer to a message.
func (s *sender) judge(a channel.Answer) (channel.Accepted, error) {
	if a.Status >= 200 && a.Status <= 299 {
		var m message
		if a.JSON(&m) != nil || m.SID == "" {
			return channel.Accepted{}, &channel.Error{Kind: channel.MaybeSent, Provider: name, Code: "answer", Detail: "the answer has no message id"}
		}
		if m.ErrorCode != nil && *m.ErrorCode != 0 {
			return channel.Accepted{}, coded(strconv.Itoa(*m.ErrorCode), channel.Refused)
		}
		out := channel.Accepted{ID: m.SID, Status: statusOf(m.Status)}
		out.Parts, _ = strconv.Atoi(m.NumSegments)
		if m.Price != nil {
			out.Price, out.Currency = strings.TrimPrefix(*m.Price, "-"), m.PriceUnit
		}
		return out, nil
	}
	e := channel.StatusError(name, a, s.now())
	var r refusal
	if a.JSON(&r) == nil && r.Code != "" && e.Kind != channel.Unavailable {
		known := coded(r.Code.String(), e.Kind)
		known.RetryAfter = e.RetryAfter
		return channel.Accepted{}, known
	}
	return channel.Accepted{}, e
}

// errorRow says what one of Twilio's error codes means for the next step.
type errorRow struct {
	kind   channel.ErrorKind
	detail string
}

// errorTable has the codes that a verification meets (twilio.com/docs/api/errors). Twilio warns that the list grows:
// a code that is not here is judged by its HTTP status.
func errorTable() map[string]errorRow {
	return map[string]errorRow{
		"20003": {channel.Refused, "Twilio does not accept our credentials"},
		"20404": {channel.Refused, "the account or messaging service does not exist"},
		"20429": {channel.Throttled, "too many requests at once"},
		"21211": {channel.Rejected, "the number is not valid"},
		"21212": {channel.Refused, "the sender is not valid"},
		"21408": {channel.Refused, "the account may not send to this country: see geo permissions"},
		"21606": {channel.Refused, "the sender is not a number of the account that can send SMS"},
		"21610": {channel.Rejected, "the person has opted out of this sender (STOP)"},
		"21611": {channel.Throttled, "the queue of the sender is full"},
		"21612": {channel.Refused, "no way from this sender to this number"},
		"21614": {channel.Rejected, "the number is not a mobile number"},
		"21617": {channel.Refused, "the text is too long"},
		"21660": {channel.Refused, "the sender does not belong to the account"},
		"21703": {channel.Refused, "the messaging service has no sender"},
		"21704": {channel.Refused, "the messaging service has no sender for this country"},
		"30001": {channel.Unavailable, "the queue overflowed"},
		"30002": {channel.Refused, "the account is suspended"},
		"30003": {channel.Rejected, "the handset cannot be reached"},
		"30004": {channel.Rejected, "the message was blocked at the handset's side"},
		"30005": {channel.Rejected, "the handset does not exist"},
		"30006": {channel.Rejected, "the number is a landline or its carrier cannot be reached"},
		"30007": {channel.Refused, "the carrier filtered the message"},
		"30008": {channel.Unavailable, "the carrier gave no reason"},
		"30034": {channel.Refused, "the sender is not registered (10DLC)"},
		"30036": {channel.Unavailable, "the validity period was over before it was sent"},
		"30410": {channel.Unavailable, "the carrier took too long"},
		"60410": {channel.Rejected, "the number is blocked for suspected fraud"},
	}
}

// coded answers the error of one of Twilio's codes.
func coded(code string, otherwise channel.ErrorKind) *channel.Error {
	row, known := errorTable()[code]
	if !known {
		row = errorRow{otherwise, "Twilio's error " + digits(code)}
	}
	return &channel.Error{Kind: row.kind, Provider: name, Code: digits(code), Detail: row.detail}
}

// digits keeps a code of somebody else's harmless.
func digits(s string) string {
	if len(s) > 6 || strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' }) {
		return "unreadable"
	}
	return s
}

// statusOf answers our word for one of Twilio's statuses; the unknown one says nothing new.
func statusOf(s string) channel.Status {
	switch s {
	case "sent":
		return channel.Sent
	case "delivered", "read":
		return channel.Delivered
	case "undelivered", "partially_delivered":
		return channel.Undelivered
	case "failed", "canceled":
		return channel.Failed
	}
	return channel.Taken
}

// Check implements channel.Checker: it asks for the account itself.
func (s *sender) Check(ctx context.Context) error {
	a, err := s.do(ctx, http.MethodGet, ".json", nil)
	if err != nil {
		return err
	}
	if a.Status != http.StatusOK {
		return channel.StatusError(name, a, s.now())
	}
	var account struct {
		Status string `json:"status"`
	}
	if a.JSON(&account) == nil && account.Status != "" && account.Status != "active" {
		return &channel.Error{Kind: channel.Refused, Provider: name, Code: "account", Detail: "the account is not active"}
	}
	return nil
}

// Converted implements channel.Feedback (Message Feedback resource).
func (s *sender) Converted(ctx context.Context, providerID string, _ phone.Number, ok bool) error {
	outcome := "unconfirmed"
	if ok {
		outcome = "confirmed"
	}
	a, err := s.do(ctx, http.MethodPost, "/Messages/"+url.PathEscape(providerID)+"/Feedback.json", url.Values{"Outcome": {outcome}})
	if err == nil && a.Status >= 300 {
		err = channel.StatusError(name, a, s.now())
	}
	return err
}
