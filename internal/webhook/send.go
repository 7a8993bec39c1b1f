package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Bounds of one attempt.
const (
	// Timeout is how long one attempt may take, name look-up and answer included (Standard Webhooks: 15 to 30 s).
	Timeout = 15 * time.Second
	// maxAnswer is how much of an answer's body is read before the connection is given up, in bytes; it is thrown away.
	maxAnswer = 16 << 10
	// maxRetryAfter bounds what a receiver may ask for.
	maxRetryAfter = 24 * time.Hour
)

// Sender makes the calls. It follows no redirect, uses no proxy, and connects to public addresses only.
type Sender struct {
	// secure serves https, plain http; plain is nil where only public addresses are taken.
	secure, plain *http.Client
}

// Dial connects to an address, as net.Dialer does.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// NewSender returns a Sender. allowPrivate lets it connect to every address, and to private ones without TLS.
func NewSender(allowPrivate bool) *Sender {
	anywhere := func(netip.Addr) bool { return true }
	if !allowPrivate {
		return &Sender{secure: newClient(dialer(public))}
	}
	return &Sender{secure: newClient(dialer(anywhere)), plain: newClient(dialer(inside))}
}

func dialer(ok func(netip.Addr) bool) Dial {
	d := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second, Control: control(ok)}
	return d.DialContext
}

func newClient(dial Dial) *http.Client {
	// No proxy: the guard must see the endpoint's own address.
	t := &http.Transport{
		DialContext:            dial,
		ForceAttemptHTTP2:      true,
		TLSHandshakeTimeout:    5 * time.Second,
		ResponseHeaderTimeout:  Timeout,
		MaxIdleConns:           256,
		MaxIdleConnsPerHost:    perEndpoint,
		IdleConnTimeout:        30 * time.Second,
		MaxResponseHeaderBytes: 32 << 10,
	}
	return &http.Client{
		Transport:     t,
		Timeout:       Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Close ends connections that nobody uses.
func (s *Sender) Close() {
	s.secure.CloseIdleConnections()
	if s.plain != nil {
		s.plain.CloseIdleConnections()
	}
}

// result is what became of an attempt. It is also the label of a metric.
type result string

const (
	taken     result = "delivered"
	failed    result = "failed"    // an answer that is no 2xx, or none
	timedOut  result = "timeout"   // no answer in time
	throttled result = "throttled" // 429, 502, 503 or 504
	gone      result = "gone"      // 410
	refused   result = "refused"   // the address is none that we connect to
)

// outcome is an attempt that was made.
type outcome struct {
	result result
	status int
	// why says in words what was wrong.
	why string
	// retry is how long the receiver wants to be left alone; 0 when it did not say.
	retry time.Duration
}

// post makes one attempt.
func (s *Sender) post(ctx context.Context, target string, header http.Header, text []byte, now time.Time) outcome {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	client := s.secure
	if strings.HasPrefix(target, "http://") {
		if client = s.plain; client == nil {
			return outcome{result: refused, why: "http is not allowed here: only https"}
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(text))
	if err != nil {
		return outcome{result: refused, why: "the address cannot be called"}
	}
	req.Header = header
	resp, err := client.Do(req)
	if err != nil {
		return failure(err)
	}
	defer resp.Body.Close()
	// A body that is read to its end leaves the connection for the next event; a long one costs it.
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer))
	return judge(resp, now)
}

// judge returns what an answer means (Standard Webhooks 1.0, "Delivery").
func judge(resp *http.Response, now time.Time) outcome {
	o := outcome{result: failed, status: resp.StatusCode, why: fmt.Sprintf("answered %d", resp.StatusCode)}
	switch code := resp.StatusCode; {
	case code >= 200 && code <= 299:
		return outcome{result: taken, status: code}
	case code >= 300 && code <= 399:
		o.why = fmt.Sprintf("answered %d: redirects are not followed; give the final address", code)
	case code == http.StatusGone:
		o.result, o.why = gone, "answered 410: it wants no more events"
	case code == http.StatusTooManyRequests,
		code == http.StatusBadGateway,
		code == http.StatusServiceUnavailable,
		code == http.StatusGatewayTimeout:
		o.result, o.retry = throttled, retryAfter(resp.Header.Get("Retry-After"), now)
	}
	return o
}

// retryAfter reads seconds or a date (RFC 9110 §10.2.3); 0 for neither.
func retryAfter(text string, now time.Time) time.Duration {
	if n, err := strconv.Atoi(strings.TrimSpace(text)); err == nil {
		return min(time.Duration(max(n, 0))*time.Second, maxRetryAfter)
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), maxRetryAfter)
}

// failure returns what a call without an answer means, in words for the operator. They hold no part of the address: a
// path may be as secret as a password.
func failure(err error) outcome {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	if errors.Is(err, errAddress) {
		return outcome{
			result: refused,
			why:    "was not called: " + errAddress.Error() + "; webhooks.allow_private allows others",
		}
	}
	if t, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err); ok && t.Timeout() || errors.Is(err, context.DeadlineExceeded) {
		return outcome{result: timedOut, why: fmt.Sprintf("did not answer within %v", Timeout)}
	}
	why := err.Error()
	return outcome{result: failed, why: why[:min(len(why), 200)]}
}
