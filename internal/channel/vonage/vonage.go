// Package vonage is the provider that sends SMS by Vonage's Messages API or its older SMS API, and calls by its Voice
// API.
//
// It does not use Vonage Verify: the code, its attempts and its limits stay with Dialproof, and Vonage carries text and
// speech. Both interfaces share one application, its private key, and the account's signature secret.
package vonage

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/rest"
	"github.com/dialproof/dialproof/internal/secret"
)

const name = "vonage"

// passLife is how long a signed pass to the interface is good for. Vonage allows 30 seconds to 24 hours.
const passLife = 5 * time.Minute

// Provider returns the provider.
func Provider() channel.Provider {
	return channel.Provider{
		Name: name, Title: "Vonage",
		Summary:  "SMS by Vonage's Messages API or SMS API, and calls by its Voice API.",
		Docs:     "https://developer.vonage.com/en/api/messages",
		Channels: []channel.Kind{channel.SMS, channel.Voice},
		Config: func() channel.Opener {
			return &Config{
				URL:             "https://api.nexmo.com",
				SMSURL:          "https://rest.nexmo.com",
				SMSAPI:          byMessages,
				SignatureMethod: "sha256",
			}
		},
	}
}

// Config is the settings of a route.
type Config struct {
	ApplicationID   string      `yaml:"application_id" example:"aaaaaaaa-bbbb-cccc-dddd-0123456789ab" doc:"The id of your Vonage application."`
	PrivateKey      secret.Text `yaml:"private_key" example:"-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n" doc:"The application's private key, as the PEM file that Vonage gave you."`
	SignatureSecret secret.Text `yaml:"signature_secret" example:"0123456789abcdef0123456789abcdef" doc:"Your account's signature secret. It signs Vonage's receipts and what a call asks."`
	From            string      `yaml:"from" doc:"The sender of messages and the number that calls show, where the route has no sender."`
	SMSAPI          string      `yaml:"sms_api" doc:"What carries SMS: messages (the Messages API), or sms (the older SMS API, whose messages the Conversion API knows). With sms and without application_id the route makes no calls."`
	APIKey          string      `yaml:"api_key" doc:"The account's API key, for sms_api: sms."`
	APISecret       secret.Text `yaml:"api_secret" doc:"The account's API secret, for sms_api: sms."`
	SignatureMethod string      `yaml:"signature_method" doc:"How Vonage signs the receipts of the SMS API: sha256, sha512, sha1, md5, md5hash, or none, when the account has signatures switched off. It must be what the dashboard says."`
	Conversions     bool        `yaml:"conversions" doc:"Report typed codes to the Conversion API, for sms_api: sms. Vonage must have switched it on for the account."`
	SMSURL          string      `yaml:"sms_url" doc:"Another address of the SMS API, for a test. Default https://rest.nexmo.com."`
	URL             string      `yaml:"url" doc:"Another address of the API, for a region or a test. Default https://api.nexmo.com."`
}

var (
	accountForm     = regexp.MustCompile(`^[0-9A-Za-z]{8}$`)
	applicationForm = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
	senderForm      = regexp.MustCompile(`^(\+?[0-9]{3,15}|[A-Za-z0-9 ]{1,11})$`)
)

// Validate implements channel.Opener.
func (c *Config) Validate() error {
	if err := c.validateSMS(); err != nil {
		return err
	}
	if c.smsOnly() {
		return nil
	}
	block, _ := pem.Decode([]byte(c.PrivateKey.Reveal()))
	switch {
	case !applicationForm.MatchString(c.ApplicationID):
		return errors.New(
			"application_id: must be an id like aaaaaaaa-bbbb-cccc-dddd-0123456789ab; the dashboard shows it at Applications",
		)
	case c.PrivateKey.IsZero():
		return errors.New("private_key: is missing; generate one in the application's settings and keep the file")
	case block == nil || !strings.HasSuffix(block.Type, "PRIVATE KEY"):
		return errors.New("private_key: must be a private key in PEM, from -----BEGIN PRIVATE KEY----- on")
	}
	return nil
}

// smsOnly reports whether the settings name no application, so that there are no calls.
func (c *Config) smsOnly() bool {
	return c.SMSAPI == bySMS && c.ApplicationID == "" && c.PrivateKey.IsZero()
}

// validateSMS returns what is wrong with the settings that both interfaces share, and with those of the SMS API.
func (c *Config) validateSMS() error {
	switch {
	case c.SMSAPI != byMessages && c.SMSAPI != bySMS:
		return errors.New("sms_api: must be messages or sms")
	case c.SMSAPI == bySMS && !accountForm.MatchString(c.APIKey):
		return errors.New("api_key: must be the account's key of eight characters; the dashboard shows it on its first page")
	case c.SMSAPI == bySMS && c.APISecret.IsZero():
		return errors.New("api_secret: is missing; the dashboard shows it on its first page")
	case c.Conversions && c.SMSAPI != bySMS:
		return errors.New("conversions: needs sms_api: sms, as Vonage takes word of no other messages")
	case c.SMSAPI == bySMS && !slices.Contains(methods(), c.SignatureMethod):
		return errors.New("signature_method: must be sha256, sha512, sha1, md5, md5hash or none")
	case c.SignatureSecret.IsZero() && (!c.smsOnly() || c.SignatureMethod != unsigned):
		return errors.New("signature_secret: is missing; the dashboard shows it at API settings")
	case c.From != "" && !senderForm.MatchString(c.From):
		return errors.New("from: must be a number, or up to 11 letters, digits and spaces")
	case !rest.IsBase(c.URL):
		return errors.New("url: must be an address like https://api.nexmo.com")
	case c.SMSAPI == bySMS && !rest.IsBase(c.SMSURL):
		return errors.New("sms_url: must be an address like https://rest.nexmo.com")
	}
	return nil
}

// Open implements channel.Opener.
func (c *Config) Open(env channel.Env) (channel.Sender, error) {
	s := &sender{cfg: *c, old: rest.New(env, name, c.SMSURL, c.byKey)}
	s.api = rest.New(env, name, c.URL, s.authorize)
	if c.smsOnly() {
		return s, nil
	}
	key, err := jwt.ParseRSAPrivateKeyFromPEM([]byte(c.PrivateKey.Reveal()))
	if err != nil {
		return nil, errors.New("private_key: cannot be read; it must be the RSA key of the application, without a password")
	}
	s.key = key
	return s, nil
}

type sender struct {
	cfg Config
	key *rsa.PrivateKey
	// api is for the Messages and the Voice API, old for the SMS API.
	api, old rest.Client
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
func (s *sender) Channels() []channel.Kind {
	if s.cfg.smsOnly() {
		return []channel.Kind{channel.SMS}
	}
	return []channel.Kind{channel.SMS, channel.Voice}
}

// Send implements channel.Sender.
func (s *sender) Send(ctx context.Context, m channel.Message) (channel.Accepted, error) {
	switch {
	case m.Channel == channel.Voice:
		return s.call(ctx, m)
	case s.cfg.SMSAPI == bySMS:
		return s.classic(ctx, m)
	}
	return s.sms(ctx, m)
}

// from returns who a message is from: the route's choice before the setting.
func (s *sender) from(m channel.Message) string { return cmp.Or(m.From, s.cfg.From) }

// authorize adds a pass, a JWT of the application (developer.vonage.com, "Authentication").
func (s *sender) authorize(r *http.Request, _ []byte) *channel.Error {
	now := s.api.Now()
	pass, err := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
		"application_id": s.cfg.ApplicationID, "jti": rand.Text(), "iat": now.Unix(), "exp": now.Add(passLife).Unix(),
	}).SignedString(s.key)
	if err != nil {
		return rest.Refused(name, "private_key", "the private key cannot sign")
	}
	r.Header.Set("Authorization", "Bearer "+pass)
	return nil
}

// Check implements channel.Checker: it asks for the balance, when the SMS API is used, and for the list of calls, of
// which there may be none.
func (s *sender) Check(ctx context.Context) error {
	if s.cfg.SMSAPI == bySMS {
		if err := s.balance(ctx); err != nil || s.cfg.smsOnly() {
			return err
		}
	}
	a, err := s.api.JSON(ctx, http.MethodGet, "/v1/calls?page_size=1", nil)
	if err != nil {
		return err
	}
	// An application without the voice capability may be forbidden this. Vonage knows its key then, and SMS works.
	if a.Status == http.StatusOK || a.Status == http.StatusForbidden {
		return nil
	}
	return s.refused(a)
}
