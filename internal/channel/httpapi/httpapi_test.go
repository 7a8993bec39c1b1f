package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/channeltest"
	"github.com/dialproof/dialproof/internal/deliver/delivertest"
	"github.com/dialproof/dialproof/internal/message"
	"github.com/dialproof/dialproof/internal/secret"
)

const (
	apiKey   = "s3cr3t-api-key"
	password = "s3cr3t-password"
	signKey  = "s3cr3t-sign-key"
	callback = "https://verify.example.com/callbacks/main/dG9rZW4"
)

// settings returns those of a gateway that has a little of everything.
func settings(base string) *Config {
	return &Config{
		Channels:  []channel.Kind{channel.SMS},
		Method:    http.MethodPost,
		URL:       base + "/send/{to_digits}?ref={delivery}",
		From:      "Acme",
		Headers:   map[string]string{"Authorization": "Key {key}", "Idempotency-Key": "{delivery}"},
		Secrets:   []Secret{{"key", secret.New(apiKey)}},
		BasicAuth: BasicAuth{},
		Body: Body{
			Type: "json",
			Text: `{"message": {"to": ["{to}"], "from": "{from}", "text": "{text}", "ttl": {ttl}, "entity": ` +
				`"{dlt_entity_id}", "note": "literal {{code}} \"{brand}\""}, "report": "{callback}", "n": 1.50, "ok": true, ` +
				`"none": null}`,
		},
		Answer: Answer{
			Statuses:   []int{200, 202},
			OK:         Condition{At: "/status", Is: []string{"queued", "0"}},
			ID:         "/messages/0/id",
			Parts:      "/messages/0/parts",
			Price:      "/messages/0/price",
			Currency:   "EUR",
			Error:      "/error/code",
			RetryAfter: "/error/wait",
			Errors: map[string]string{
				"17":             "rejected",
				"18":             "refused",
				"19":             "throttled",
				"20":             "unavailable",
				"21":             "unknown",
				"no such number": "rejected",
				"HTTP 402":       "refused",
				"HTTP 503":       "throttled",
			},
		},
		Receipts: Receipts{
			In:       "json",
			Each:     "/reports",
			ID:       "/id",
			Status:   "/status",
			Error:    "/code",
			Parts:    "/parts",
			Price:    "/price",
			Currency: "/currency",
			Statuses: map[string]string{
				"ACCEPTED":  "accepted",
				"SENT":      "sent",
				"DELIVERED": "delivered",
				"FAILED":    "undelivered",
				"BLOCKED":   "failed",
			},
			Errors: map[string]string{"1": "rejected", "2": "refused", "BLOCKED": "rejected"},
			Reply:  "OK",
			Signature: Signature{
				Header:    "X-Signature",
				Algorithm: "hmac-sha256",
				Encoding:  "hex",
				Prefix:    "sha256=",
				Secret:    secret.New(signKey),
			},
		},
		Check: Check{URL: base + "/balance"},
	}
}

func config(base string) channel.Opener { return settings(base) }

func reply(status int, body string) channeltest.Reply {
	return channeltest.Reply{Status: status, Body: body}
}

func refusal(code string) channeltest.Reply {
	return reply(200, `{"status":"no","error":{"code":`+code+`,"message":"for 447700900123","wait":9}}`)
}

func judgeRequest(r *http.Request, body []byte) error {
	const delivery = "dlv_01m83v1cxqe00t2j6r8ja6cpz7"
	if r.Method != http.MethodPost || r.URL.String() != "/send/447700900123?ref="+delivery {
		return fmt.Errorf("%s %s", r.Method, r.URL)
	}
	for key, want := range map[string]string{"Authorization": "Key " + apiKey, "Idempotency-Key": delivery,
		"Content-Type": "application/json"} {
		if got := r.Header.Get(key); got != want {
			return fmt.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	m := channeltest.Message(channel.SMS)
	want, _ := json.Marshal(map[string]any{
		"message": map[string]any{
			"to":   []string{"+447700900123"},
			"from": "Acme",
			"text": m.Text.Body,
			"ttl":  300,
			"note": `literal {code} "Acme"`,
		},
		"report": callback,
		"n":      json.Number("1.50"),
		"ok":     true,
		"none":   nil,
	})
	if string(body) != string(want) {
		return fmt.Errorf("%s\nwant %s", body, want)
	}
	return nil
}

func TestHTTPAPI(t *testing.T) {
	t.Parallel()
	h := channeltest.Harness{
		Provider: Provider(), Configure: config, Secrets: []string{apiKey, signKey},
		Accept: reply(202, `{"status":"queued","messages":[{"id":"abc-1","parts":2,"price":"0.0525"}]}`), WantID: "abc-1",
		WithoutID: reply(200, `{"status":"queued","messages":[]}`),
		Request:   judgeRequest, Receipts: receiptRows(),
		Tables: map[string][]string{"answer status": channeltest.Keys(settings("").Answer.Errors)},
		Answer: func(e channeltest.Expected) string {
			code, _ := json.Marshal(e.Error)
			return `{"status":"no","error":{"code":` + string(code) + `,"message":"for 447700900123","wait":9}}`
		},
		OwnStatuses: []int{503}, // the settings say that it means a pause
	}
	channeltest.Run(t, h)
	delivertest.Run(t, h)
}

// open opens settings before a carrier.
func open(t *testing.T, c *Config, carrier *channeltest.Carrier) channel.Sender {
	t.Helper()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	s, err := c.Open(channel.Env{HTTP: carrier.Client(), Now: channeltest.Now})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestPause: the answer's own pause goes before the header's, and is bounded.
func TestPause(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"status":"no","error":{"code":"19","wait":9}}`:    "9s",
		`{"status":"no","error":{"code":"19","wait":1.5}}`:  "1.5s",
		`{"status":"no","error":{"code":"19","wait":1e99}}`: "24h0m0s",
		`{"status":"no","error":{"code":"19","wait":-1}}`:   "7s",
		`{"status":"no","error":{"code":"19"}}`:             "7s",
		`{"status":"no","error":{"code":"18","wait":9}}`:    "0s",
	} {
		c := channeltest.NewCarrier(channeltest.Says(channeltest.Reply{Status: 200,
			Header: map[string]string{"Retry-After": "7"}, Body: body}))
		_, err := open(t, settings(c.URL), c).Send(t.Context(), channeltest.Message(channel.SMS))
		if got := channel.AsError(name, err).RetryAfter.String(); got != want {
			t.Errorf("%s: %s, want %s", body, got, want)
		}
		c.Close()
	}
}

// TestCodeAsError: a gateway that puts the message into its error code does not get the code shown.
func TestCodeAsError(t *testing.T) {
	t.Parallel()
	c := channeltest.NewCarrier(channeltest.Says(refusal(`"E_K7P2"`)))
	defer c.Close()
	m := channeltest.Message(channel.SMS)
	s := open(t, settings(c.URL), c)
	for code, want := range map[string]string{"K7P2": "refused", "K7P3": "E_K7P2"} {
		m.Code = message.NewCode(code)
		_, err := s.Send(t.Context(), m)
		if got := channel.AsError(name, err).Code; got != want {
			t.Errorf("%s: %s, want %s", code, got, want)
		}
	}
}

// TestWithoutID: a gateway that says yes has the message. Its id is missed only where reports name the message by it.
func TestWithoutID(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		change func(*Config)
		code   string
	}{
		"reports come to an address of their own": {func(*Config) {}, ""},
		"there are no reports":                    {func(c *Config) { c.Receipts = Receipts{} }, ""},
		"reports name it by the id": {func(c *Config) {
			c.Body.Text = `{"text": "{text}", "to": "{to}"}`
		}, "answer"},
		"nothing says yes": {func(c *Config) { c.Answer.OK = Condition{} }, "answer"},
	} {
		c := channeltest.NewCarrier(channeltest.Says(reply(200, `{"status":"queued","messages":[]}`)))
		cfg := settings(c.URL)
		row.change(cfg)
		a, err := open(t, cfg, c).Send(t.Context(), channeltest.Message(channel.SMS))
		if row.code == "" && (err != nil || a.ID != "dlv_01m83v1cxqe00t2j6r8ja6cpz7") {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
		if e := channel.AsError("httpapi", err); row.code != "" &&
			(err == nil || e.Kind != channel.MaybeSent || e.Code != row.code) {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
		c.Close()
	}
}

// TestAnswer: what else an answer says, and from where.
func TestAnswer(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		answer Answer
		reply  channeltest.Reply
		want   channel.Accepted
		code   string
	}{
		"nothing is said": {Answer{}, reply(200, "OK"),
			channel.Accepted{ID: "dlv_01m83v1cxqe00t2j6r8ja6cpz7", Status: channel.Taken}, ""},
		"a code that means no error": {Answer{Error: "/e"}, reply(200, `{"e":0}`),
			channel.Accepted{ID: "dlv_01m83v1cxqe00t2j6r8ja6cpz7", Status: channel.Taken}, ""},
		"a code that means false": {Answer{Error: "/e"}, reply(200, `{"e":false}`),
			channel.Accepted{ID: "dlv_01m83v1cxqe00t2j6r8ja6cpz7", Status: channel.Taken}, ""},
		"an error alone": {Answer{Error: "/e"}, reply(200, `{"e":"busy"}`), channel.Accepted{}, "busy"},
		"text": {Answer{ID: `regexp:^OK ID:(\w+)$`, Error: `regexp:^ERR (\d+)`},
			reply(200, "OK ID:77x"), channel.Accepted{ID: "77x", Status: channel.Taken}, ""},
		"an error in text": {Answer{ID: `regexp:^OK ID:(\w+)$`, Error: `regexp:^ERR (\d+)`},
			reply(200, "ERR 105"), channel.Accepted{}, "105"},
		"a header": {Answer{ID: "header:X-Id"},
			channeltest.Reply{Status: 200, Header: map[string]string{"X-Id": "h1"}},
			channel.Accepted{ID: "h1", Status: channel.Taken}, ""},
		"XML": {Answer{ID: "regexp:<id>([^<]+)</id>"}, reply(200, "<r><id>9</id></r>"),
			channel.Accepted{ID: "9", Status: channel.Taken}, ""},
		"a price with its currency": {Answer{Price: "/p"}, reply(200, `{"p":"KES 0.8000"}`),
			channel.Accepted{ID: "dlv_01m83v1cxqe00t2j6r8ja6cpz7", Status: channel.Taken, Price: "0.8000", Currency: "KES"}, ""},
		"a price, a currency": {Answer{Price: "/p", Currency: "/c"}, reply(200, `{"p":0.05,"c":"USD"}`),
			channel.Accepted{ID: "dlv_01m83v1cxqe00t2j6r8ja6cpz7", Status: channel.Taken, Price: "0.05", Currency: "USD"}, ""},
		"a price in a set currency": {Answer{Price: "/p", Currency: "EUR"}, reply(200, `{"p":0.05}`),
			channel.Accepted{ID: "dlv_01m83v1cxqe00t2j6r8ja6cpz7", Status: channel.Taken, Price: "0.05", Currency: "EUR"}, ""},
		"its own currency first": {Answer{Price: "/p", Currency: "EUR"}, reply(200, `{"p":"KES 0.05"}`),
			channel.Accepted{ID: "dlv_01m83v1cxqe00t2j6r8ja6cpz7", Status: channel.Taken, Price: "0.05", Currency: "KES"}, ""},
		"a price without a currency": {Answer{Price: "/p"}, reply(200, `{"p":0.05}`),
			channel.Accepted{ID: "dlv_01m83v1cxqe00t2j6r8ja6cpz7", Status: channel.Taken}, ""},
		"a price that is none": {Answer{Price: "/p", Currency: "EUR"}, reply(200, `{"p":"free"}`),
			channel.Accepted{ID: "dlv_01m83v1cxqe00t2j6r8ja6cpz7", Status: channel.Taken}, ""},
		"nothing to pay": {Answer{Price: "/p", Currency: "EUR"}, reply(200, `{"p":0.00}`),
			channel.Accepted{ID: "dlv_01m83v1cxqe00t2j6r8ja6cpz7", Status: channel.Taken}, ""},
		"no price": {Answer{Price: "/p", Parts: "/n", Currency: "EUR"}, reply(200, `{"n":"3"}`),
			channel.Accepted{ID: "dlv_01m83v1cxqe00t2j6r8ja6cpz7", Status: channel.Taken, Parts: 3}, ""},
		"a key with a slash": {Answer{ID: "/a~1b/~0/1"}, reply(200, `{"a/b":{"~":["x","y"]}}`),
			channel.Accepted{ID: "y", Status: channel.Taken}, ""},
		"an id that is a list": {Answer{ID: "/id"}, reply(200, `{"id":["x"]}`), channel.Accepted{}, "answer"},
		"an id that is null":   {Answer{ID: "/id"}, reply(200, `{"id":null}`), channel.Accepted{}, "answer"},
		"an id that is far too long": {Answer{ID: "/id"}, reply(200, `{"id":"`+strings.Repeat("x", 2000)+`"}`),
			channel.Accepted{}, "answer"},
		"a large number is kept": {Answer{ID: "/id"}, reply(200, `{"id":12345678901234567890}`),
			channel.Accepted{ID: "12345678901234567890", Status: channel.Taken}, ""},
		"an index with a zero before": {Answer{ID: "/ids/01"}, reply(200, `{"ids":["x","y"]}`), channel.Accepted{}, "answer"},
		"more than one value is none": {Answer{ID: "/id"}, reply(200, `{"id":"x"}{"id":"y"}`), channel.Accepted{}, "answer"},
	} {
		c := channeltest.NewCarrier(channeltest.Says(row.reply))
		cfg := settings(c.URL)
		cfg.Answer = row.answer
		got, err := open(t, cfg, c).Send(t.Context(), channeltest.Message(channel.SMS))
		code := ""
		if err != nil {
			code = channel.AsError("", err).Code
		}
		if got != row.want || code != row.code {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		c.Close()
	}
}

// TestCheck: the call is made with the credentials, and without what belongs to a message.
func TestCheck(t *testing.T) {
	t.Parallel()
	for status, ok := range map[int]bool{200: true, 204: true, 401: false, 500: false} {
		c := channeltest.NewCarrier(channeltest.Says(reply(status, "")))
		cfg := settings(c.URL)
		cfg.SecretsInURL, cfg.Check = true, Check{Method: http.MethodPost, URL: c.URL + "/balance?key={key}"}
		delete(cfg.Headers, "Authorization")
		cfg.Headers["X-About"] = "message {delivery}"
		cfg.BasicAuth = BasicAuth{"me", secret.New(password)}
		check, has := channel.As[channel.Checker](open(t, cfg, c))
		if !has {
			t.Fatal("it has no check")
		}
		if err := check.Check(t.Context()); (err == nil) != ok {
			t.Errorf("%d: %v", status, err)
		}
		r := c.Requests()[0]
		user, pass, _ := r.BasicAuth()
		if r.Method != http.MethodPost || r.URL.String() != "/balance?key="+apiKey || user != "me" || pass != password ||
			r.Header.Get("Idempotency-Key")+r.Header.Get("X-About") != "" {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		c.Close()
		if e := channel.AsError(name, check.Check(t.Context())); e.Kind != channel.Unavailable || e.Unwrap() != nil {
			t.Errorf("nobody is there: %+v", e)
		}
	}
}

// TestPowers: a route has the powers that its settings describe and no others.
func TestPowers(t *testing.T) {
	t.Parallel()
	c := channeltest.NewCarrier(channeltest.Says(reply(200, "")))
	defer c.Close()
	cfg := settings(c.URL)
	cfg.Receipts, cfg.Check = Receipts{}, Check{}
	s := open(t, cfg, c)
	_, receives := channel.As[channel.Receiver](s)
	_, checks := channel.As[channel.Checker](s)
	if receives || checks {
		t.Errorf("it receives: %v, it checks: %v", receives, checks)
	}
	full := open(t, settings(c.URL), c)
	_, receives = channel.As[channel.Receiver](full)
	_, checks = channel.As[channel.Checker](full)
	if !receives || !checks {
		t.Errorf("it receives: %v, it checks: %v", receives, checks)
	}
}

// TestCodeInURL: where the operator allows it, the code stands in the address and nowhere in what is said of a failure.
func TestCodeInURL(t *testing.T) {
	t.Parallel()
	c := channeltest.NewCarrier(channeltest.Says(reply(200, "")))
	cfg := &Config{
		Channels:     []channel.Kind{channel.SMS},
		Method:       http.MethodGet,
		URL:          c.URL + "/{key}/{to_national}/send?text={text}&code={code}&from={from}",
		CodeInURL:    true,
		SecretsInURL: true,
		Secrets:      []Secret{{"key", secret.New("a/b?c")}},
		Body:         Body{Type: "none"},
	}
	s := open(t, cfg, c)
	m := channeltest.Message(channel.SMS)
	m.Text.Body, m.From = "a&b=c #90817263\n+%", ".."
	if _, err := s.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	r := c.Requests()[0]
	if q := r.URL.Query(); r.URL.EscapedPath() != "/a%2Fb%3Fc/7700900123/send" || q.Get("text") != m.Text.Body ||
		q.Get("code") != "90817263" || len(q) != 3 || len(r.Body) > 0 || r.Header.Get("Content-Type") != "" {
		t.Errorf("%s", r.URL)
	}
	c.Close()
	_, err := s.Send(t.Context(), m)
	for e := err; e != nil; e = errors.Unwrap(e) {
		if text := fmt.Sprintf("%+v", e); strings.Contains(text, "90817263") ||
			strings.Contains(text, url.PathEscape("a/b?c")) {
			t.Errorf("an error shows the address: %s", text)
		}
	}
}
