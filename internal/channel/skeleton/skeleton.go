// Package skeleton is the provider to copy: a small gateway over HTTP that does not exist, with every piece in place.
//
// It is not in the list of providers. docs/providers/writing-one.md says how to make one of your own from it.
package skeleton

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/secret"
)

// name stands in configurations, logs and errors.
const name = "skeleton"

// Provider answers the provider.
func Provider() channel.Provider {
	return channel.Provider{
		Name: name, Title: "Skeleton",
		Summary:  "A gateway that does not exist, to copy.",
		Docs:     "https://skeleton.example.com/docs",
		Channels: []channel.Kind{channel.SMS},
		Config:   func() channel.Opener { return &Config{URL: "https://api.skeleton.example.com"} },
	}
}

// Config is the settings of a route. Each field has a key and a word for the settings page.
type Config struct {
	Token secret.Text `yaml:"token" example:"0123456789abcdef" doc:"The API token. It also signs receipts."`
	URL   string      `yaml:"url" doc:"Another address of the API. Default https://api.skeleton.example.com."`
}

// Validate implements channel.Opener: what is wrong, naming the key, and never the value of a secret.
func (c *Config) Validate() error {
	u, err := url.Parse(c.URL)
	switch {
	case c.Token.IsZero():
		return errors.New("token: is missing; make one in the console")
	case err != nil || u.Host == "":
		return errors.New("url: must be an address like https://api.skeleton.example.com")
	}
	return nil
}

// Open implements channel.Opener. It makes no call.
func (c *Config) Open(env channel.Env) (channel.Sender, error) {
	return &sender{cfg: *c, http: env.HTTP, now: env.Now}, nil
}

type sender struct {
	cfg  Config
	http *http.Client
	now  func() time.Time
}

// What the sender can do besides sending. Leave out what the gateway cannot.
var (
	_ channel.Sender   = (*sender)(nil)
	_ channel.Receiver = (*sender)(nil)
	_ channel.Checker  = (*sender)(nil)
)

// Channels implements channel.Sender.
func (*sender) Channels() []channel.Kind { return []channel.Kind{channel.SMS} }

// Send implements channel.Sender.
func (s *sender) Send(ctx context.Context, m channel.Message) (channel.Accepted, error) {
	body, err := json.Marshal(map[string]string{"to": m.To.E164(), "from": m.From, "text": m.Text.Body, "receipts": m.Callback})
	if err != nil {
		return channel.Accepted{}, &channel.Error{Kind: channel.Unavailable, Provider: name, Code: "internal", Detail: "the message cannot be encoded"}
	}
	a, err := s.do(ctx, http.MethodPost, "/messages", body)
	if err != nil {
		return channel.Accepted{}, err
	}
	var said struct {
		ID    string `json:"id"`
		Error string `json:"error"`
	}
	understood := a.JSON(&said) == nil
	if row, known := errorTable()[said.Error]; known {
		return channel.Accepted{}, &channel.Error{Kind: row.kind, Provider: name, Code: said.Error, Detail: row.detail, RetryAfter: a.RetryAfter(s.now())}
	}
	if a.Status >= 300 {
		return channel.Accepted{}, channel.StatusError(name, a, s.now())
	}
	if !understood || said.ID == "" {
		// It said yes and we do not understand the rest: it may have sent.
		return channel.Accepted{}, &channel.Error{Kind: channel.MaybeSent, Provider: name, Code: "answer", Detail: "the answer has no message id"}
	}
	return channel.Accepted{ID: said.ID}, nil
}

// do makes a call. channel.Do judges the transport: what surely never left, and what may have.
func (s *sender) do(ctx context.Context, method, path string, body []byte) (channel.Answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, s.cfg.URL+path, bytes.NewReader(body))
	if err != nil {
		return channel.Answer{}, &channel.Error{Kind: channel.Refused, Provider: name, Code: "url", Detail: "the address cannot be used"}
	}
	req.Header.Set("Authorization", "Bearer "+s.cfg.Token.Reveal())
	req.Header.Set("Content-Type", "application/json")
	return channel.Do(ctx, s.http, name, req)
}

// errorRow says what one of the gateway's errors means for the next step.
type errorRow struct {
	kind   channel.ErrorKind
	detail string
}

// errorTable has the gateway's own errors. The kind says whether the message may have left, and what follows.
func errorTable() map[string]errorRow {
	return map[string]errorRow{
		"bad_number": {channel.Rejected, "the number cannot be reached"},
		"bad_sender": {channel.Refused, "the sender is not registered"},
		"no_credit":  {channel.Refused, "the account is empty"},
		"slow_down":  {channel.Throttled, "too many messages at once"},
		"down":       {channel.Unavailable, "the gateway takes no messages now"},
	}
}

// Receipts implements channel.Receiver: first the signature, then the body.
func (s *sender) Receipts(_ context.Context, r channel.Callback) ([]channel.Receipt, error) {
	given, err := hex.DecodeString(r.Header.Get("X-Signature"))
	if err != nil || !hmac.Equal(given, sign(s.cfg.Token, r.Body)) {
		return nil, &channel.Error{Kind: channel.Refused, Provider: name, Code: "signature", Detail: "the receipt's signature is missing or wrong"}
	}
	var in struct {
		ID     string `json:"id"`
		Status string `json:"status"`
	}
	if json.Unmarshal(r.Body, &in) != nil || in.ID == "" {
		return nil, &channel.Error{Kind: channel.Refused, Provider: name, Code: "body", Detail: "the receipt cannot be understood"}
	}
	return []channel.Receipt{{ProviderID: in.ID, Status: statusOf(in.Status), At: r.Now}}, nil
}

func sign(token secret.Text, body []byte) []byte {
	mac := hmac.New(sha256.New, []byte(token.Reveal()))
	mac.Write(body)
	return mac.Sum(nil)
}

// statusOf answers our word for one of the gateway's. One that is not known says nothing new.
func statusOf(s string) channel.Status {
	switch s {
	case "sent":
		return channel.Sent
	case "delivered":
		return channel.Delivered
	case "undeliverable":
		return channel.Undelivered
	}
	return channel.Taken
}

// Check implements channel.Checker: a call that proves the credentials and sends nothing.
func (s *sender) Check(ctx context.Context) error {
	a, err := s.do(ctx, http.MethodGet, "/account", nil)
	if err == nil && a.Status != http.StatusOK {
		err = channel.StatusError(name, a, s.now())
	}
	return err
}
