// Package client is the Go SDK of Dialproof: start a verification, check a code, look things up.
//
// It needs nothing but the standard library and shares no type with the server. It is not a copy of the
// server's rules: bounds and limits are the server's to judge, and its refusals come back as *Error with a
// stable code.
//
//	c := client.Must(client.New("https://verify.example.com", os.Getenv("DIALPROOF_KEY")))
//	v, err := c.Start(ctx, client.StartRequest{To: "+447700900123"})
//	a, err := c.Check(ctx, v.ID, "123456")
//	if a.Result == client.ResultApproved { … }
//
// Calls that meet a lost connection, a full server or a short limit are repeated under one idempotency key, so
// that a repetition never sends a second message.
//
// The types in types.gen.go are made from the contract, api/openapi.yaml; `make generate` makes them again. The rest
// is written by hand. Package clienttest reads codes off the handset of `dialproof dev`, for an application's tests.
package client

import (
	"bytes"
	"context"
	crand "crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// The defaults of a Client.
const (
	// DefaultTimeout bounds one try of one call.
	DefaultTimeout = 10 * time.Second
	// DefaultRetries is how many times a call is repeated after its first try.
	DefaultRetries = 3
	// DefaultMaxWait is the longest pause before a repetition. A server that asks for a longer one gets no
	// repetition: the call fails with an *Error whose RetryAfter says when to come back.
	DefaultMaxWait = 5 * time.Second
)

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 8 << 20

// Client talks to one server with one API key. It is safe for many goroutines; make one and keep it.
type Client struct {
	base    *url.URL
	key     string
	http    *http.Client
	agent   string
	timeout time.Duration
	retries int
	maxWait time.Duration
	// wait pauses between tries, and jitter answers 0 to under 1. They are fields so that tests need not wait or guess.
	wait   func(ctx context.Context, d time.Duration) error
	jitter func() float64
}

// Option changes a Client from its defaults.
type Option func(*Client)

// WithHTTPClient makes calls go through h, for a proxy or special certificates. Its Timeout is kept.
func WithHTTPClient(h *http.Client) Option { return func(c *Client) { c.http = h } }

// WithTimeout bounds one try of one call; 0 or less means no bound but the context's.
func WithTimeout(d time.Duration) Option { return func(c *Client) { c.timeout = d } }

// WithRetries sets how often a call is repeated after its first try; 0 means never.
func WithRetries(n int) Option { return func(c *Client) { c.retries = max(n, 0) } }

// WithMaxWait sets the longest pause before a repetition.
func WithMaxWait(d time.Duration) Option { return func(c *Client) { c.maxWait = d } }

// WithUserAgent puts name before the SDK's own User-Agent.
func WithUserAgent(name string) Option { return func(c *Client) { c.agent = name + " " + c.agent } }

// CallOption changes one call.
type CallOption func(*callOptions)

type callOptions struct{ idempotency string }

// WithIdempotencyKey names the request, so that it is safe to repeat for 24 hours, by another process too: 1 to 128
// visible ASCII characters. Without it each call gets a key of its own, which covers its own repetitions.
func WithIdempotencyKey(key string) CallOption {
	return func(o *callOptions) { o.idempotency = key }
}

// New returns a Client for the server at baseURL, for example "https://verify.example.com", that calls with an
// API key ("dp_live_…" or "dp_test_…"). It makes no call. It fails when baseURL is no http or https address,
// and when key is empty.
func New(baseURL, key string, opts ...Option) (*Client, error) {
	base, err := url.Parse(baseURL)
	if err != nil || (base.Scheme != "http" && base.Scheme != "https") || base.Host == "" {
		return nil, errors.New("dialproof: the server's address must look like https://verify.example.com")
	}
	if strings.TrimSpace(key) == "" || strings.ContainsAny(key, "\r\n") {
		return nil, errors.New("dialproof: an API key is needed, on one line; `dialproof key create` makes one")
	}
	c := &Client{
		base: base, key: key, agent: "dialproof-go/1",
		http:    &http.Client{CheckRedirect: noRedirect},
		timeout: DefaultTimeout, retries: DefaultRetries, maxWait: DefaultMaxWait, wait: pause, jitter: rand.Float64,
	}
	for _, o := range opts {
		o(c)
	}
	return c, nil
}

// Must returns the Client of New, and panics when there is none: for programs that cannot go on without.
func Must(c *Client, err error) *Client {
	if err != nil {
		panic(err)
	}
	return c
}

// noRedirect keeps the key from following a redirect to somewhere else.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// request is one call as it goes out, the same at each repetition.
type request struct {
	method, path string
	query        url.Values
	in           any
	body         []byte
	idempotency  string
}

// call makes one call with its repetitions, and decodes the answer into out.
func (c *Client) call(ctx context.Context, r request, out any, opts ...CallOption) error {
	if r.in != nil {
		var err error
		if r.body, err = json.Marshal(r.in); err != nil {
			return fmt.Errorf("dialproof: %w", err)
		}
	}
	if r.method == http.MethodPost {
		o := callOptions{idempotency: crand.Text()}
		for _, opt := range opts {
			opt(&o)
		}
		r.idempotency = o.idempotency
	}
	for try := 0; ; try++ {
		err := c.try(ctx, r, out)
		if err == nil || ctx.Err() != nil || try >= c.retries {
			return err
		}
		d, ok := c.repeatAfter(err, try)
		if !ok {
			return err
		}
		if c.wait(ctx, d) != nil {
			return err
		}
	}
}

// repeatAfter returns how long to wait before a repetition, and whether one may help at all.
func (c *Client) repeatAfter(err error, try int) (time.Duration, bool) {
	// Up to a quarter more, so that those who were refused together do not come back together.
	backoff := 200 * time.Millisecond << min(try, 10)
	backoff = min(backoff+time.Duration(c.jitter()*float64(backoff)/4), c.maxWait)
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return backoff, true // no answer came
	}
	switch {
	case e.Status == http.StatusConflict && e.Code == CodeIdempotencyInFlight:
	case e.Status == http.StatusTooManyRequests, e.Status == http.StatusBadGateway,
		e.Status == http.StatusServiceUnavailable, e.Status == http.StatusGatewayTimeout:
	default:
		return 0, false
	}
	if e.Status == http.StatusTooManyRequests && e.RetryAfter == 0 {
		return 0, false
	}
	d := max(e.RetryAfter, backoff)
	return d, d <= c.maxWait
}

// try makes one request.
func (c *Client) try(ctx context.Context, r request, out any) error {
	if c.timeout > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, c.timeout)
		defer stop()
	}
	u := c.base.JoinPath(r.path)
	u.RawQuery = r.query.Encode()
	req, err := http.NewRequestWithContext(ctx, r.method, u.String(), bytes.NewReader(r.body))
	if err != nil {
		return fmt.Errorf("dialproof: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+c.key)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.agent)
	if r.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.idempotency != "" {
		req.Header.Set("Idempotency-Key", r.idempotency)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("dialproof: no answer from %s: %w", c.base.Host, withoutAddress(err))
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("dialproof: the answer from %s broke off: %w", c.base.Host, err)
	}
	if resp.StatusCode >= 300 {
		return problem(resp, text)
	}
	if err := json.Unmarshal(text, out); err != nil {
		return badAnswer(resp.StatusCode, "the answer is not the JSON of a Dialproof server")
	}
	return nil
}

// withoutAddress takes the URL out of a transport error: the query of a list may hold a number.
func withoutAddress(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}
