// Package skeleton is the provider to copy: a small gateway over HTTP that does not exist, with every piece in place.
//
// It is not in the list of providers. docs/providers/writing-one.md says how to make one of your own from it.
package skeleton

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/rest"
	"github.com/dialproof/dialproof/internal/secret"
)

// name stands in configurations, logs and errors.
const name = "skeleton"

// Provider returns the provider.
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
	From  string      `yaml:"from" doc:"The sender where the route has none."`
	URL   string      `yaml:"url" doc:"Another address of the API. Default https://api.skeleton.example.com."`
}

// Validate implements channel.Opener: what is wrong, naming the key, and never the value of a secret.
func (c *Config) Validate() error {
	switch {
	case c.Token.IsZero():
		return errors.New("token: is missing; make one in the console")
	case !rest.IsBase(c.URL):
		return errors.New("url: must be an address like https://api.skeleton.example.com")
	}
	return nil
}

// Open implements channel.Opener. It makes no call.
func (c *Config) Open(env channel.Env) (channel.Sender, error) {
	return &sender{rest.SMS{}, *c, rest.New(env, name, c.URL, rest.Bearer("Authorization", "Bearer "+c.Token.Reveal()))},
		nil
}

type sender struct {
	rest.SMS
	cfg Config
	api rest.Client
}

// What the sender can do besides sending. Leave out what the gateway cannot.
var (
	_ channel.Sender   = (*sender)(nil)
	_ channel.Receiver = (*sender)(nil)
	_ channel.Checker  = (*sender)(nil)
)

// order is a message to send.
type order struct {
	To       string `json:"to"`
	From     string `json:"from,omitempty"`
	Text     string `json:"text"`
	Receipts string `json:"receipts,omitempty"`
}

// Send implements channel.Sender.
func (s *sender) Send(ctx context.Context, m channel.Message) (channel.Accepted, error) {
	o := order{To: m.To.E164(), From: cmp.Or(m.From, s.cfg.From), Text: m.Text.Body, Receipts: m.Callback}
	a, err := s.api.JSON(ctx, http.MethodPost, "/messages", o)
	if err != nil {
		return channel.Accepted{}, err
	}
	var said struct {
		ID    string `json:"id"`
		Error string `json:"error"`
	}
	understood := a.JSON(&said) == nil
	switch {
	case !rest.Good(a):
		return channel.Accepted{}, s.api.Refusal(a, said.Error, errorTable())
	case !understood || said.ID == "":
		// It said yes and we do not understand the rest: it may have sent.
		return channel.Accepted{}, rest.NoID(name)
	}
	return channel.Accepted{ID: said.ID, Status: channel.Taken}, nil
}

// errorTable has the gateway's own errors. The kind says whether the message may have left, and what follows.
func errorTable() rest.Table {
	return rest.Table{
		"bad_number": rest.Means(channel.Rejected, "the number cannot be reached"),
		"bad_sender": rest.Means(channel.Refused, "the sender is not registered"),
		"no_credit":  rest.Means(channel.Refused, "the account is empty"),
		"slow_down":  rest.Means(channel.Throttled, "too many messages at once"),
		"down":       rest.Means(channel.Unavailable, "the gateway takes no messages now"),
	}
}

// Receipts implements channel.Receiver: first the signature, then the body.
func (s *sender) Receipts(_ context.Context, r channel.Callback) ([]channel.Receipt, error) {
	given, err := hex.DecodeString(r.Header.Get("X-Signature"))
	if err != nil || !hmac.Equal(given, sign(s.cfg.Token, r.Body)) {
		return nil, rest.Refused(name, "signature", "the receipt's signature is missing or wrong")
	}
	var in struct {
		ID     string `json:"id"`
		Status string `json:"status"`
		Error  string `json:"error"`
	}
	if json.Unmarshal(r.Body, &in) != nil || in.ID == "" {
		return nil, rest.Refused(name, "body", "the receipt cannot be understood")
	}
	out := channel.Receipt{ProviderID: in.ID, Status: statusOf(in.Status), At: r.Now}
	if out.Status == channel.Undelivered {
		out.Code, out.Kind = "unknown", channel.Unavailable
		if row, known := errorTable()[in.Error]; known {
			out.Code, out.Kind = in.Error, row.Kind
		}
	}
	return []channel.Receipt{out}, nil
}

func sign(token secret.Text, body []byte) []byte {
	mac := hmac.New(sha256.New, []byte(token.Reveal()))
	mac.Write(body)
	return mac.Sum(nil)
}

// statusOf returns our word for one of the gateway's. One that is not known says nothing new.
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
func (s *sender) Check(ctx context.Context) error { return s.api.Check(ctx, "/account", s.api.Status) }
