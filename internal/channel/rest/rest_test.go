package rest_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/channeltest"
	"github.com/dialproof/dialproof/internal/channel/rest"
)

// client returns a client before a carrier that says the same each time.
func client(t *testing.T, says channeltest.Reply,
	authorize func(*http.Request, []byte) *channel.Error) (*channeltest.Carrier, *rest.Client) {
	t.Helper()
	c := channeltest.NewCarrier(channeltest.Says(says))
	t.Cleanup(c.Close)
	api := rest.New(channel.Env{HTTP: c.Client(), Now: channeltest.Now}, "acme", c.URL, authorize)
	return c, &api
}

// TestCall: each form of a call says what its body is, and carries the credentials.
func TestCall(t *testing.T) {
	t.Parallel()
	c, api := client(t, channeltest.Reply{Status: 200, Body: `{}`}, rest.Bearer("Authorization", "Bearer x"))
	ctx := t.Context()
	for _, call := range []func() (channel.Answer, error){
		func() (channel.Answer, error) { return api.JSON(ctx, http.MethodPost, "/a", map[string]int{"n": 1}) },
		func() (channel.Answer, error) { return api.JSON(ctx, http.MethodGet, "/b?x=y", nil) },
		func() (channel.Answer, error) {
			return api.Form(ctx, http.MethodPost, "/c", url.Values{"a": {"b c"}})
		},
	} {
		if a, err := call(); err != nil || !rest.Good(a) {
			t.Fatalf("%+v, %v", a, err)
		}
	}
	for i, want := range []struct{ method, path, kind, body string }{
		{"POST", "/a", "application/json", `{"n":1}`}, {"GET", "/b?x=y", "", ""},
		{"POST", "/c", "application/x-www-form-urlencoded", "a=b+c"},
	} {
		r := c.Requests()[i]
		if r.Method != want.method || r.URL.String() != want.path || r.Header.Get("Content-Type") != want.kind ||
			string(r.Body) != want.body || r.Header.Get("Authorization") != "Bearer x" ||
			r.Header.Get("Accept") != "application/json" {
			t.Errorf("%s %s with %q: %v", r.Method, r.URL, r.Body, r.Header)
		}
	}
}

// TestCallFails: what cannot be sent is not sent, and says whose fault it is.
func TestCallFails(t *testing.T) {
	t.Parallel()
	no := rest.Refused("acme", "key", "the key cannot sign")
	c, api := client(t, channeltest.Reply{Status: 200}, func(*http.Request, []byte) *channel.Error { return no })
	holds := func(err error, kind channel.ErrorKind, code string) {
		t.Helper()
		if e := channel.AsError("", err); err == nil || e.Kind != kind || e.Code != code || e.Provider != "acme" ||
			e.Detail == "" {
			t.Errorf("%v, want %s %s", err, kind, code)
		}
	}
	_, err := api.JSON(t.Context(), http.MethodPost, "/", map[string]any{"f": func() {}})
	holds(err, channel.Unavailable, "internal")
	_, err = api.JSON(t.Context(), "bad method", "/", nil)
	holds(err, channel.Refused, "url")
	_, err = api.JSON(t.Context(), http.MethodGet, "/", nil)
	holds(err, channel.Refused, "key")
	if len(c.Requests()) != 0 {
		t.Errorf("%d requests", len(c.Requests()))
	}
	holds(rest.NoID("acme"), channel.MaybeSent, "answer")
	holds(rest.NoSender("acme", "a from"), channel.Refused, "no_sender")
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for status, ok := range map[int]bool{200: true, 201: false, 401: false, 500: false} {
		c, api := client(t, channeltest.Reply{Status: status}, rest.Basic("me", "pass"))
		if err := api.Check(t.Context(), "/me", api.Status); (err == nil) != ok {
			t.Errorf("%d: %v", status, err)
		}
		if user, password, _ := c.Requests()[0].BasicAuth(); user != "me" || password != "pass" ||
			c.Requests()[0].Method != http.MethodGet {
			t.Errorf("asked by %s", user)
		}
	}
}

// TestRefusal: the status first where it says that nothing was taken or that nobody knows, then the code; a pause stays
// a pause.
func TestRefusal(t *testing.T) {
	t.Parallel()
	api := rest.New(channel.Env{Now: channeltest.Now}, "acme", "", nil)
	table := rest.Table{
		"gone": rest.Means(channel.Rejected, "the number is gone"),
		"slow": rest.Means(channel.Throttled, "too fast"),
		"down": rest.Means(channel.Unavailable, "down"),
	}
	for _, row := range []struct {
		status     int
		code       string
		kind       channel.ErrorKind
		want       string
		retryAfter time.Duration
	}{
		{400, "gone", channel.Rejected, "gone", 0},
		{400, "new", channel.Refused, "HTTP 400", 0},
		{400, "", channel.Refused, "HTTP 400", 0},
		{400, "down", channel.Unavailable, "down", 0},
		{400, "slow", channel.Throttled, "slow", 7 * time.Second},
		{429, "gone", channel.Throttled, "gone", 7 * time.Second},
		{429, "new", channel.Throttled, "HTTP 429", 7 * time.Second},
		{500, "gone", channel.Unavailable, "HTTP 500", 0},
		{302, "gone", channel.MaybeSent, "HTTP 302", 0},
	} {
		e := api.Refusal(channel.Answer{Status: row.status, Header: http.Header{"Retry-After": {"7"}}}, row.code, table)
		if e.Kind != row.kind || e.Code != row.want || e.RetryAfter != row.retryAfter || e.Provider != "acme" {
			t.Errorf("%d %q: %v after %s, want %s %q", row.status, row.code, e, e.RetryAfter, row.kind, row.want)
		}
	}
}

func TestIsBase(t *testing.T) {
	t.Parallel()
	for address, ok := range map[string]bool{
		"https://api.example.com": true, "http://127.0.0.1:9": true, "https://me:pass@example.com": true,
		"https://[::1]:8443": true,
		"":                   false, "example.com": false, "ftp://example.com": false, "https://": false,
		"https://example.com/": false, "https://example.com/v1": false,
		"https://example.com?x=y": false, "https://example.com#x": false, "://": false,
	} {
		if rest.IsBase(address) != ok {
			t.Errorf("%q: %t", address, !ok)
		}
	}
}

func TestValues(t *testing.T) {
	t.Parallel()
	now := channeltest.Now()
	for life, want := range map[time.Duration]int{-time.Hour: 10, 90 * time.Second: 90, 90*time.Second +
		900*time.Millisecond: 90, time.Hour: 300} {
		if got := rest.Life(now.Add(life), now, 10, 300); got != want {
			t.Errorf("a life of %s: %d, want %d", life, got, want)
		}
	}
	for life, want := range map[time.Duration]int{-time.Hour: 1, 60 * time.Second: 1, 61 * time.Second: 2,
		5 * time.Minute: 5} {
		if got := rest.Minutes(now.Add(life), now); got != want {
			t.Errorf("minutes of %s: %d, want %d", life, got, want)
		}
	}
	for in, want := range map[string]string{"0.0525 EUR": "0.0525", "1 USD": "1", "0 EUR": "", "-1 EUR": "",
		"NaN EUR": "", "Inf EUR": "", "0x1p-2 EUR": "", "1e3 EUR": "", "much EUR": "", "9999999 EUR": "", "1 EU": "",
		"1 EURO": ""} {
		var amount, currency string
		for i := range in {
			if in[i] == ' ' {
				amount, currency = in[:i], in[i+1:]
			}
		}
		price, unit := rest.Price(amount, currency)
		if price != want || (unit != "") != (want != "") {
			t.Errorf("%q: %q %q, want %q", in, price, unit, want)
		}
	}
	for in, ok := range map[string]bool{"12345": true, "7": true, "0": false, "": false, "123456": false, "12a": false,
		"-1": false} {
		if _, got := rest.Short(in, 5); got != ok {
			t.Errorf("%q: %t", in, got)
		}
	}
	if rest.Digits("+447700900123") != "447700900123" || rest.Digits("Acme") != "Acme" {
		t.Error("digits")
	}
}
