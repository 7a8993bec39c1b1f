// Package application knows the tenants: their names, their policies and their API keys.
//
// It answers "who is calling and what may they do". It knows nothing of verifications, and it keeps
// nothing itself: a Store does.
package application

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/limit"
)

// Application is a tenant.
type Application struct {
	ID      id.ID     `json:"id"`
	Name    string    `json:"name"`
	Brand   string    `json:"brand"`
	Policy  Policy    `json:"policy"`
	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"`
}

// Policy is what an application decides about its verifications. A zero field means the default.
type Policy struct {
	// CodeLength is 6 to 10 characters (NIST SP 800-63B-4 §3.1.3.2 asks for at least six digits).
	CodeLength int `json:"code_length,omitzero"`
	// Alphabet is "digits" or "alphanumeric".
	Alphabet string `json:"code_alphabet,omitzero"`
	// ExpiresIn is 60 to 600 seconds (NIST SP 800-63B-4 §3.1.3.2: ten minutes at most).
	ExpiresIn int `json:"expires_in,omitzero"`
	// MaxAttempts is 1 to 10 wrong codes.
	MaxAttempts int `json:"max_attempts,omitzero"`
	// MaxSends is 1 to 10 sends of one verification.
	MaxSends int `json:"max_sends,omitzero"`
	// Channels are those that are used by themselves, the first one at the start; empty means those of Fallback, or SMS
	// alone.
	Channels []channel.Kind `json:"channels,omitzero"`
	// Fallback is what is tried in turn, each step after the wait of the one before it, until a message arrives or the
	// verification ends; empty: only what is asked for. 2 to MaxFallback steps.
	Fallback []Step `json:"fallback,omitzero"`
	// FreshCodes makes a resend carry a new code and kill the old one.
	FreshCodes bool `json:"fresh_codes,omitzero"`
	// Origins are the hosts that an autofill trailer may name. Empty: none may.
	Origins []string `json:"origins,omitzero"`
	// Locale is used when a request names none.
	Locale string `json:"locale,omitzero"`
	// StartsPerHour limits the whole application; 0 means no limit of its own.
	StartsPerHour int `json:"starts_per_hour,omitzero"`
	// Templates are texts of the application's own: purpose → locale → text.
	Templates map[string]map[string]string `json:"templates,omitzero"`
	// ReturnURLs are the origins ("https://shop.example") to which the hosted page may send people back, and which may
	// show it in a frame. Empty: none may. At most MaxReturnURLs.
	ReturnURLs []string `json:"return_urls,omitzero"`
	// Branding is how the hosted page looks.
	Branding Branding `json:"branding,omitzero"`
}

// Branding is an application's look on the hosted page. Zero fields are Dialproof's own.
type Branding struct {
	// Logo is a picture as a data: URI (PNG, JPEG, WebP or SVG), at most MaxLogo bytes: the page loads nothing from
	// elsewhere.
	Logo string `json:"logo,omitzero"`
	// Accent and Background are colours as #rrggbb: of buttons, and of the page in light surroundings.
	Accent     string `json:"accent,omitzero"`
	Background string `json:"background,omitzero"`
	// TermsURL and PrivacyURL are the pages that a person accepts by requesting a code: https addresses of at most
	// MaxPageURL bytes.
	TermsURL   string `json:"terms_url,omitzero"`
	PrivacyURL string `json:"privacy_url,omitzero"`
}

// Step is one step of an order of channels. A second step of the same channel takes another route.
type Step struct {
	Channel channel.Kind `json:"channel"`
	// Wait is how many seconds after its beginning the next step begins, MinWait to MaxWait; 0 for the last step alone.
	Wait int `json:"wait,omitzero"`
}

// The defaults and bounds of a policy.
const (
	DefaultCodeLength  = 6
	MinCodeLength      = 6
	MaxCodeLength      = 10
	DefaultExpiresIn   = 300
	MinExpiresIn       = 60
	MaxExpiresIn       = 600
	DefaultMaxAttempts = 5
	MaxMaxAttempts     = 10
	DefaultMaxSends    = 5
	MaxMaxSends        = 10
	MaxFallback        = 10
	MinWait            = 5
	MaxWait            = 300
	MaxReturnURLs      = 32
	MaxLogo            = 16 << 10
	MaxPageURL         = 1024
)

// Alphabets of codes.
const (
	Digits       = "digits"
	Alphanumeric = "alphanumeric"
)

// Filled returns p with the defaults in its empty fields.
func (p Policy) Filled() Policy {
	named := len(p.Channels) > 0
	or := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	or(&p.CodeLength, DefaultCodeLength)
	or(&p.ExpiresIn, DefaultExpiresIn)
	or(&p.MaxAttempts, DefaultMaxAttempts)
	or(&p.MaxSends, DefaultMaxSends)
	if p.Alphabet == "" {
		p.Alphabet = Digits
	}
	for _, s := range p.Fallback {
		if !slices.Contains(p.Channels, s.Channel) && !named {
			p.Channels = append(p.Channels, s.Channel)
		}
	}
	if len(p.Channels) == 0 {
		p.Channels = smsAlone
	}
	return p
}

// smsAlone are the channels of a policy that names none. Nobody changes them.
var smsAlone = []channel.Kind{channel.SMS}

// First returns the channel of a verification that asks for none.
func (p Policy) First() channel.Kind {
	switch {
	case len(p.Fallback) > 0:
		return p.Fallback[0].Channel
	case len(p.Channels) > 0:
		return p.Channels[0]
	}
	return channel.SMS
}

// Rate is the application's own limit on starts.
func (p Policy) Rate() limit.Rate {
	return limit.Rate{Name: "application_hour", Burst: p.StartsPerHour, Period: time.Hour}
}

// Scope is what a key may do.
type Scope string

// The scopes. A key with Verify may start and check; with Read, look; with Admin, run the deployment.
const (
	Verify Scope = "verify"
	Read   Scope = "read"
	Admin  Scope = "admin"
)

// Mode tells keys that reach real routes from those that do not.
type Mode string

// The modes. A key in test mode sends nothing to a real route.
const (
	Live Mode = "live"
	Test Mode = "test"
)

// Key is an API key as it is kept: its secret only as a hash.
type Key struct {
	ID id.ID
	// App is the application that the key acts for; zero for an operator's key.
	App    id.ID
	Name   string
	Mode   Mode
	Scopes []Scope
	// Prefix is the visible beginning of the secret ("dp_live_7f3k"), for recognising it in a list.
	Prefix string
	// Hash is SHA-256 of the secret. The secret has 160 random bits, so a plain hash cannot be guessed back.
	Hash    [32]byte
	Created time.Time
	// Expires, Revoked and LastUsed are zero when they do not apply. LastUsed is exact to a minute.
	Expires  time.Time
	Revoked  time.Time
	LastUsed time.Time
}

// Errors of the room.
var (
	ErrNotFound = errors.New("application: not found")
	// ErrKey is every reason not to accept a key; the caller is not told which.
	ErrKey = errors.New("application: the key is not valid")
	// ErrKeyExpired is told apart because the holder of the key may know it.
	ErrKeyExpired = errors.New("application: the key has expired")
)

// Store keeps applications and keys. Writes are durable when they return.
type Store interface {
	Applications(ctx context.Context) ([]Application, error)
	Keys(ctx context.Context) ([]Key, error)
	PutApplication(ctx context.Context, a Application) error
	PutKey(ctx context.Context, k Key) error
	// TouchKeys records last uses in one write.
	TouchKeys(ctx context.Context, used map[id.ID]time.Time) error
	// Version returns a number that grows with every change to applications and keys.
	Version(ctx context.Context) (int64, error)
}
