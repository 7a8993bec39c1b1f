// Package webhook is the provider that posts each message as signed JSON to an address of your choice.
//
// It is the way to a carrier that Dialproof does not know: a few lines of your own behind the address. The signature
// is that of Standard Webhooks. It is not for events: those go to applications, not to carriers.
package webhook

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"hash"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/rest"
	"github.com/dialproof/dialproof/internal/secret"
)

const name = "webhook"

// tolerance is how far the clock of a signed receipt may be off.
const tolerance = 5 * time.Minute

// Provider returns the provider.
func Provider() channel.Provider {
	return channel.Provider{
		Name: name, Title: "Webhook",
		Summary:  "Posts each message as signed JSON to an address of yours.",
		Docs:     "https://www.standardwebhooks.com",
		Channels: channel.Kinds(),
		Config:   func() channel.Opener { return &Config{} },
	}
}

// Config is the settings of a route.
type Config struct {
	URL       string      `yaml:"url" example:"https://example.com/messages" doc:"The address to post to. https, unless it is on this machine."`
	Secret    secret.Text `yaml:"secret" example:"whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=" doc:"The key that signs messages and receipts: \"whsec_\" and 24 to 64 random bytes in base64."`
	AllowHTTP bool        `yaml:"allow_http" doc:"Allow an address without TLS that is not on this machine. Codes travel in the clear then."`
}

// Validate implements channel.Opener.
func (c *Config) Validate() error {
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return errors.New("url: must be an address like https://example.com/messages")
	}
	if u.Scheme == "http" && !c.AllowHTTP && !loopback(u.Hostname()) {
		return errors.New("url: must be https, or set allow_http: true and accept that codes travel in the clear")
	}
	_, err = decodeSecret(c.Secret)
	return err
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// decodeSecret reads a Standard Webhooks secret.
func decodeSecret(s secret.Text) ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(s.Reveal(), "whsec_"))
	if err != nil || len(key) < 24 || len(key) > 64 {
		return nil, errors.New(
			`secret: must be "whsec_" and 24 to 64 bytes in base64; make one with: echo whsec_$(openssl rand -base64 32)`,
		)
	}
	return key, nil
}

// Open implements channel.Opener.
func (c *Config) Open(env channel.Env) (channel.Sender, error) {
	key, err := decodeSecret(c.Secret)
	if err != nil {
		return nil, err
	}
	address, err := url.Parse(c.URL)
	if err != nil {
		return nil, err
	}
	return &sender{address: address, signer: newSigner(key), http: env.HTTP, now: env.Now}, nil
}

type sender struct {
	address *url.URL
	signer  *signer
	http    *http.Client
	now     func() time.Time
}

var (
	_ channel.Sender   = (*sender)(nil)
	_ channel.Receiver = (*sender)(nil)
)

// Channels implements channel.Sender.
func (*sender) Channels() []channel.Kind { return channel.Kinds() }

// signer makes signatures with one key. It keeps keyed hashes: setting one up costs as much as using it.
type signer struct{ hashes sync.Pool }

// keyed is a keyed hash, and room for what goes in and comes out.
type keyed struct {
	hash.Hash
	room []byte
}

func newSigner(key []byte) *signer {
	return &signer{sync.Pool{New: func() any { return &keyed{Hash: hmac.New(sha256.New, key)} }}}
}

// sign returns the signature header of a message (Standard Webhooks, "Signature scheme").
func (s *signer) sign(id, timestamp string, body []byte) string {
	m := s.hashes.Get().(*keyed) // the pool holds nothing else
	defer s.hashes.Put(m)
	m.Reset()
	m.room = append(append(append(append(m.room[:0], id...), '.'), timestamp...), '.')
	m.Write(m.room)
	m.Write(body)
	m.room = m.Sum(m.room[:0])
	m.room = base64.StdEncoding.AppendEncode(append(m.room, "v1,"...), m.room)
	return string(m.room[sha256.Size:])
}

// Send implements channel.Sender.
func (s *sender) Send(ctx context.Context, m channel.Message) (channel.Accepted, error) {
	now := s.now()
	body, err := encode(&m, now)
	if err != nil {
		return channel.Accepted{}, (&channel.Error{Kind: channel.Rejected, Provider: name, Code: "encoding",
			Detail: "the message cannot be written as JSON"}).Because(err)
	}
	timestamp := strconv.FormatInt(now.Unix(), 10)
	// The same id comes again with a repeated delivery, so that the receiver can tell.
	a, err := channel.Post(ctx, s.http, name, s.address, http.Header{
		"Content-Type": {"application/json"}, "Webhook-Id": {m.Delivery}, "Webhook-Timestamp": {timestamp},
		"Webhook-Signature": {s.signer.sign(m.Delivery, timestamp, body)},
	}, body)
	if err != nil {
		return channel.Accepted{}, err
	}
	return s.judge(a, m.Delivery)
}

// reply is what the address may answer. All of it may be left out.
type reply struct {
	ID       string         `json:"id"`
	Status   channel.Status `json:"status"`
	Parts    int            `json:"parts"`
	Price    string         `json:"price"`
	Currency string         `json:"currency"`
	Error    *struct {
		Kind channel.ErrorKind `json:"kind"`
		Code string            `json:"code"`
	} `json:"error"`
}

// judge reads the answer.
func (s *sender) judge(a channel.Answer, delivery string) (channel.Accepted, error) {
	var r reply
	said := string(a.Body) != "{}" && a.JSON(&r) == nil
	if said && r.Error != nil {
		e := &channel.Error{Kind: r.Error.Kind, Provider: name, Code: printable(r.Error.Code), Detail: "the address said so"}
		switch e.Kind {
		case channel.Rejected, channel.Refused, channel.Unavailable:
			return channel.Accepted{}, e
		case channel.Throttled:
			e.RetryAfter = a.RetryAfter(s.now())
			return channel.Accepted{}, e
		case channel.MaybeSent:
		}
		e.Kind = channel.MaybeSent
		return channel.Accepted{}, e
	}
	if !rest.Good(a) {
		return channel.Accepted{}, channel.StatusError(name, a, s.now())
	}
	out := channel.Accepted{ID: delivery, Status: channel.Taken}
	if said {
		if r.ID != "" {
			out.ID = r.ID
		}
		if r.Status.Valid() {
			out.Status = r.Status
		}
		out.Parts, out.Price, out.Currency = r.Parts, r.Price, r.Currency
	}
	return out, nil
}

// printable keeps what somebody else said short and harmless.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '_' || r == '-' {
			return r
		}
		return -1
	}, s)
	return s[:min(len(s), 64)]
}

// Receipts implements channel.Receiver. A receipt is signed like a message:
// {"id", "status", "code", "kind", "parts", "price", "currency"}.
func (s *sender) Receipts(_ context.Context, r channel.Callback) ([]channel.Receipt, error) {
	if !s.signed(r) {
		return nil, rest.Refused(name, "signature", "the receipt's signature is missing, wrong or too old")
	}
	var in struct {
		reply
		Code string            `json:"code"`
		Kind channel.ErrorKind `json:"kind"`
	}
	if json.Unmarshal(r.Body, &in) != nil || !in.Status.Valid() {
		return nil, rest.Refused(name, "body", "the receipt cannot be understood")
	}
	return []channel.Receipt{{
		ProviderID: in.ID,
		Status:     in.Status,
		Code:       printable(in.Code),
		Kind:       in.Kind,
		Parts:      in.Parts,
		Price:      in.Price,
		Currency:   in.Currency,
		At:         r.Now,
	}}, nil
}

// signed reports whether one of the request's signatures is ours and fresh.
func (s *sender) signed(r channel.Callback) bool {
	id, timestamp := r.Header.Get("Webhook-Id"), r.Header.Get("Webhook-Timestamp")
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || id == "" {
		return false
	}
	if off := r.Now.Sub(time.Unix(seconds, 0)); off > tolerance || off < -tolerance {
		return false
	}
	want := []byte(s.signer.sign(id, timestamp, r.Body))
	for given := range strings.FieldsSeq(r.Header.Get("Webhook-Signature")) {
		if hmac.Equal(want, []byte(given)) {
			return true
		}
	}
	return false
}
