// Package rest is what the providers over HTTP share: the call with credentials, the errors that all of them have,
// tables of errors, and the small checks of settings.
//
// It is not a framework: it knows no provider and decides nothing about a message. Each provider's settings, what it
// sends and how it reads a receipt stand in its own folder.
package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
)

// Client makes the calls of one route to its provider. Its methods return *channel.Error alone.
type Client struct {
	// Provider is the name that its errors carry.
	Provider string
	// Base is the address that paths are appended to, without a slash at its end.
	Base string
	HTTP *http.Client
	Now  func() time.Time
	// Authorize adds the credentials to a request with that body; nil adds none.
	Authorize func(r *http.Request, body []byte) *channel.Error
}

// New returns the client of a route.
func New(env channel.Env, provider, base string, authorize func(*http.Request, []byte) *channel.Error) Client {
	return Client{Provider: provider, Base: base, HTTP: env.HTTP, Now: env.Now, Authorize: authorize}
}

// JSON calls a path with a body that is encoded as JSON; nil sends none. It asks for JSON.
func (c *Client) JSON(ctx context.Context, method, path string, body any) (channel.Answer, error) {
	var text []byte
	kind := ""
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return channel.Answer{}, &channel.Error{
				Kind:     channel.Unavailable,
				Provider: c.Provider,
				Code:     "internal",
				Detail:   "the message cannot be encoded",
			}
		}
		kind = "application/json"
	}
	return c.Call(ctx, method, path, kind, text)
}

// Form calls a path with a form as its body.
func (c *Client) Form(ctx context.Context, method, path string, form url.Values) (channel.Answer, error) {
	return c.Call(ctx, method, path, "application/x-www-form-urlencoded", []byte(form.Encode()))
}

// Call calls a path with a body of a media type; without one the body is empty.
func (c *Client) Call(ctx context.Context, method, path, mediaType string, body []byte) (channel.Answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.Base+path, bytes.NewReader(body))
	if err != nil {
		return channel.Answer{}, Refused(c.Provider, "url", "the address cannot be used")
	}
	req.Header.Set("Accept", "application/json")
	if mediaType != "" {
		req.Header.Set("Content-Type", mediaType)
	}
	if c.Authorize != nil {
		if e := c.Authorize(req, body); e != nil {
			return channel.Answer{}, e
		}
	}
	return channel.Do(ctx, c.HTTP, c.Provider, req)
}

// Status judges an answer by its HTTP status alone, as channel.StatusError does.
func (c *Client) Status(a channel.Answer) *channel.Error {
	return channel.StatusError(c.Provider, a, c.Now())
}

// Check makes a call that sends nothing. Any answer but 200 is judged by refused.
func (c *Client) Check(ctx context.Context, path string, refused func(channel.Answer) *channel.Error) error {
	a, err := c.JSON(ctx, http.MethodGet, path, nil)
	if err == nil && a.Status != http.StatusOK {
		return refused(a)
	}
	return err
}

// Good reports whether the status of an answer is one of 200 to 299.
func Good(a channel.Answer) bool { return a.Status >= 200 && a.Status <= 299 }

// Bearer returns an Authorize that sends a header with a secret in it, such as "Authorization" and "Bearer x".
func Bearer(key, value string) func(*http.Request, []byte) *channel.Error {
	return func(r *http.Request, _ []byte) *channel.Error {
		r.Header.Set(key, value)
		return nil
	}
}

// Basic returns an Authorize that sends a name and a password.
func Basic(user, password string) func(*http.Request, []byte) *channel.Error {
	return func(r *http.Request, _ []byte) *channel.Error {
		r.SetBasicAuth(user, password)
		return nil
	}
}

// IsBase reports whether an address is http or https and a host alone, so that a path can be appended.
func IsBase(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http") && u.Path == "" && u.RawQuery == "" &&
		u.Fragment == ""
}

// Digits returns an E.164 number without its plus sign, as many providers write it.
func Digits(number string) string { return strings.TrimPrefix(number, "+") }

// Life returns how many whole seconds are left until end, within bounds.
func Life(end, now time.Time, least, most int) int {
	return min(max(int(end.Sub(now)/time.Second), least), most)
}

// Minutes returns how many minutes are left until end, rounded up, and at least one.
func Minutes(end, now time.Time) int { return max(int((end.Sub(now)+time.Minute-1)/time.Minute), 1) }

// SMS is in a sender that carries SMS alone.
type SMS struct{}

// Channels implements channel.Sender.
func (SMS) Channels() []channel.Kind { return []channel.Kind{channel.SMS} }
