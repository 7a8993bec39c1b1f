package channel

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// maxAnswer bounds what is read of a provider's answer, in bytes.
const maxAnswer = 256 << 10

// Answer is a provider's HTTP answer, read whole.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// JSON decodes the body leniently: providers add fields when they like.
func (a Answer) JSON(v any) error { return json.Unmarshal(a.Body, v) }

// RetryAfter reads the header of that name, in seconds or as a date; 0 when there is none.
func (a Answer) RetryAfter(now time.Time) time.Duration {
	h := strings.TrimSpace(a.Header.Get("Retry-After"))
	if n, err := strconv.Atoi(h); err == nil && n > 0 {
		return time.Duration(min(n, 86400)) * time.Second
	}
	if t, err := http.ParseTime(h); err == nil && t.After(now) {
		return t.Sub(now)
	}
	return 0
}

// Do performs a provider's request and judges the transport: a failure before the request was written
// is Unavailable, any later one MaybeSent. The judgement of status and body is the provider's.
func Do(ctx context.Context, client *http.Client, provider string, req *http.Request) (Answer, error) {
	wrote := &writeWatch{}
	resp, err := roundTrip(client, req.WithContext(wrote.trace(ctx)))
	if err != nil {
		return Answer{}, transportError(provider, err, wrote.started())
	}
	defer resp.Body.Close()
	body, err := readAnswer(resp)
	if err != nil {
		return Answer{}, transportError(provider, err, true)
	}
	return Answer{Status: resp.StatusCode, Header: resp.Header, Body: bytes.TrimSpace(body)}, nil
}

// Post does as Do with a request to an address that is always the same: it was parsed once. The header's keys are in
// their canonical form, the body is not empty, and neither is changed any more.
func Post(ctx context.Context, client *http.Client, provider string, address *url.URL, header http.Header,
	body []byte) (Answer, error) {
	req := http.Request{
		Method: http.MethodPost, URL: address, Host: address.Host, Header: header, ContentLength: int64(len(body)),
		GetBody: func() (io.ReadCloser, error) { return newBody(body), nil }, Body: newBody(body),
	}
	return Do(ctx, client, provider, &req)
}

// newBody returns a body in memory, of a type that net/http knows as such: it writes header and body of such a request
// in one call.
func newBody(text []byte) io.ReadCloser { return io.NopCloser(bytes.NewReader(text)) }

// readAnswer reads the body of an answer, as far as its bound.
func readAnswer(resp *http.Response) ([]byte, error) {
	if resp.ContentLength <= 0 || resp.ContentLength > maxAnswer {
		return io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	}
	body := make([]byte, resp.ContentLength)
	_, err := io.ReadFull(resp.Body, body)
	return body, err
}

// roundTrip makes the one call. It is not the client's Do: a provider's redirect is an answer that makes no sense and
// is never followed, and what Do prepares for one costs more than the rest of it. The context bounds the time.
func roundTrip(client *http.Client, req *http.Request) (*http.Response, error) {
	if client.Timeout > 0 || client.Jar != nil || client.Transport == nil || req.URL.User != nil {
		return client.Do(req)
	}
	return client.Transport.RoundTrip(req)
}

// transportError tells a request that surely never left from one that may have.
func transportError(provider string, err error, wrote bool) *Error {
	e := &Error{Kind: MaybeSent, Provider: provider, Code: "transport", Detail: "the provider's answer was lost"}
	var op *net.OpError
	dial := errors.As(err, &op) && op.Op == "dial"
	switch {
	case dial || !wrote || errors.Is(err, syscall.ECONNREFUSED):
		e.Kind, e.Detail = Unavailable, "the provider cannot be reached"+why(err)
	case errors.Is(err, context.DeadlineExceeded):
		e.Detail = "the provider did not answer in time"
	}
	return e.Because(err)
}

// StatusError judges an HTTP status by the rule that all providers share: 429 is Throttled, 401, 403, 402
// and 404 are ours to mend (Refused), other 4xx are about the message or number (Refused unless the
// provider's own code says Rejected), 5xx mean that nothing was taken (Unavailable). A provider calls it
// for what its own table does not know.
func StatusError(provider string, a Answer, now time.Time) *Error {
	e := &Error{Provider: provider, Code: "HTTP " + strconv.Itoa(a.Status)}
	switch {
	case a.Status == http.StatusTooManyRequests:
		e.Kind, e.Detail, e.RetryAfter = Throttled, "the provider asks for a pause", a.RetryAfter(now)
	case a.Status == http.StatusUnauthorized || a.Status == http.StatusForbidden:
		e.Kind, e.About, e.Detail = Refused, OfAccount, "the provider does not accept our credentials"
	case a.Status >= 500:
		e.Kind, e.Detail = Unavailable, "the provider is out of order"
	case a.Status >= 400:
		e.Kind, e.Detail = Refused, "the provider does not accept the request"
	default:
		e.Kind, e.Detail = MaybeSent, "the provider's answer makes no sense"
	}
	return e
}

// why returns in our own words why a connection was not made. The error's own text may hold an address with a secret in
// it.
func why(err error) string {
	_, authority := errors.AsType[x509.UnknownAuthorityError](err)
	_, host := errors.AsType[x509.HostnameError](err)
	_, certificate := errors.AsType[x509.CertificateInvalidError](err)
	dns, isDNS := errors.AsType[*net.DNSError](err)
	timeout, isNet := errors.AsType[net.Error](err)
	switch {
	case isDNS && dns.IsNotFound:
		return ": its name is not known to the DNS"
	case isDNS:
		return ": the DNS does not answer"
	case authority || host || certificate:
		return ": its TLS certificate is not valid here"
	case errors.Is(err, syscall.ECONNREFUSED):
		return ": nobody listens at its address"
	case errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EHOSTUNREACH):
		return ": there is no way to its network"
	case errors.Is(err, context.DeadlineExceeded) || (isNet && timeout.Timeout()):
		return ": no connection in time, as when a firewall is in the way"
	}
	return ""
}
