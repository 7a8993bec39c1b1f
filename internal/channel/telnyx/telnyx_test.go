package telnyx

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/channeltest"
	"github.com/dialproof/dialproof/internal/deliver/delivertest"
	"github.com/dialproof/dialproof/internal/message"
	"github.com/dialproof/dialproof/internal/secret"
)

const (
	apiKey   = "KEYs3cr3t0123456789"
	id       = "40385f64-5717-4562-b3fc-2c963f66afa6"
	callback = "https://verify.example.com/callbacks/main/dG9rZW4"
)

// private returns the key that signs as Telnyx does.
func private() ed25519.PrivateKey { return ed25519.NewKeyFromSeed([]byte(strings.Repeat("k", 32))) }

func config(base string) channel.Opener {
	public, _ := private().Public().(ed25519.PublicKey)
	return &Config{
		APIKey:    secret.New(apiKey),
		PublicKey: base64.StdEncoding.EncodeToString(public),
		From:      "+447700900001",
		URL:       base,
	}
}

func reply(status int, body string) channeltest.Reply {
	return channeltest.Reply{Status: status, Body: body}
}

func open(t testing.TB, base string, client *http.Client) channel.Sender {
	t.Helper()
	s, err := config(base).Open(channel.Env{HTTP: client, Now: channeltest.Now})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// taken is an answer to a message, after the example of Telnyx's document.
func taken(status, more string) string {
	return `{"data":{"record_type":"message","direction":"outbound","id":"` + id + `","type":"SMS",` +
		`"from":{"phone_number":"+447700900001","line_type":"VoIP"},` +
		`"to":[{"phone_number":"+447700900123","status":"` + status + `","carrier":"EE","line_type":"Wireless"}],` +
		`"text":"90817263","encoding":"GSM-7"` + more + `}}`
}

func faulty(code string) string {
	return `{"code":"` + code + `","title":"to +447700900123","detail":"for +447700900123","source":{"pointer":"/to"}}`
}

func TestTelnyx(t *testing.T) {
	t.Parallel()
	spec := channeltest.LoadSpec(t, "telnyx/telnyx-messages-verify.trimmed.json")
	h := channeltest.Harness{
		Provider: Provider(), Configure: config, Secrets: []string{apiKey},
		Accept: reply(200, taken("queued", `,"parts":1,"cost":null,"errors":[]`)), WantID: id,
		Request: func(r *http.Request, body []byte) error {
			if r.URL.Path != "/v2/messages" || r.Header.Get("Authorization") != "Bearer "+apiKey {
				return errors.New("the key is not sent, or not to the right place")
			}
			var f map[string]any
			if err := json.Unmarshal(body, &f); err != nil {
				return err
			}
			for key, want := range map[string]any{
				"from": "+447700900001", "to": "+447700900123", "type": "SMS", "webhook_url": callback,
				"use_profile_webhooks": false, "messaging_profile_id": nil, "encoding": nil,
			} {
				if f[key] != want {
					return fmt.Errorf("%s is %v, want %v", key, f[key], want)
				}
			}
			if text, _ := f["text"].(string); !strings.Contains(text, "90817263") {
				return errors.New("the text has no code")
			}
			return spec.Judge(r, body, "/messages", nil)
		},
		Tables: map[string][]string{"answer receipt": channeltest.Keys(errorTable())},
		Answer: func(e channeltest.Expected) string { return `{"errors":[` + faulty(e.Error) + `]}` },
		Report: func(e channeltest.Expected) channel.Callback {
			return webhook(event("message.finalized", "delivery_failed", `,"errors":[`+faulty(e.Error)+`]`), nil)
		},
		News:     func(n channeltest.News) channel.Callback { return webhook(event("message.finalized", n.Word, ""), nil) },
		Receipts: receiptRows(),
	}
	channeltest.Run(t, h)
	delivertest.Run(t, h)
}

// sign signs as Telnyx does, written apart from the code under test.
func sign(key ed25519.PrivateKey, at time.Time, body string) http.Header {
	stamp := strconv.FormatInt(at.Unix(), 10)
	h := http.Header{}
	h.Set("telnyx-timestamp", stamp)
	h.Set("telnyx-signature-ed25519", base64.StdEncoding.EncodeToString(ed25519.Sign(key, []byte(stamp+"|"+body))))
	return h
}

// webhook returns a signed webhook.
func webhook(body string, change func(*channel.Callback)) channel.Callback {
	u, _ := url.Parse(callback)
	r := channel.Callback{
		Method: http.MethodPost,
		URL:    u,
		Header: sign(private(), channeltest.Now(), body),
		Body:   []byte(body),
		Now:    channeltest.Now(),
	}
	if change != nil {
		change(&r)
	}
	return r
}

func event(kind, status, more string) string {
	return `{"data":{"record_type":"event","id":"86f58db9-0fe3-4adc-9d1f-46e66e6e9323","event_type":"` + kind +
		`","occurred_at":"2026-11-23T08:00:00Z","payload":` +
		strings.TrimSuffix(strings.TrimPrefix(taken(status, more), `{"data":`), "}") +
		`},"meta":{"attempt":1,"delivered_to":"` + callback + `"}}`
}

func receiptRows() []channeltest.ReceiptRow {
	var rows []channeltest.ReceiptRow
	add := func(name, body string, want channel.Receipt) {
		want.ProviderID = id
		rows = append(rows, channeltest.ReceiptRow{Name: name, Request: webhook(body, nil), Want: []channel.Receipt{want}})
	}
	for status, want := range map[string]channel.Receipt{
		"sending_failed":  {Status: channel.Failed, Code: "sending_failed", Kind: channel.Unavailable},
		"delivery_failed": {Status: channel.Undelivered, Code: "delivery_failed", Kind: channel.Unavailable},
		"expired":         {Status: channel.Undelivered, Code: "expired", Kind: channel.Unavailable},
	} {
		add(status, event("message.finalized", status, ""), want)
	}
	add("a new code", event("message.finalized", "delivery_failed", `,"errors":[{"code":"49999"}]`),
		channel.Receipt{Status: channel.Undelivered, Code: "49999", Kind: channel.Unavailable})
	add("a code in words", event("message.finalized", "delivery_failed", `,"errors":[{"code":"stop!"}]`),
		channel.Receipt{Status: channel.Undelivered, Code: "delivery_failed", Kind: channel.Unavailable})
	add("a code that is a phone number",
		event("message.finalized", "delivery_failed", `,"errors":[{"code":"447700900123"}]`),
		channel.Receipt{Status: channel.Undelivered, Code: "delivery_failed", Kind: channel.Unavailable})
	add("price and parts",
		event("message.sent", "sent", `,"parts":2,"cost":{"amount":"0.0051","currency":"USD"},"cost_breakdown":null`),
		channel.Receipt{Status: channel.Sent, Parts: 2, Price: "0.0051", Currency: "USD"})
	add("no price", event("message.sent", "sent", `,"parts":1,"cost":null`),
		channel.Receipt{Status: channel.Sent, Parts: 1})
	for _, none := range []string{"much", "NaN", "Inf", "0x1p-2", "1e-3", "-1", "0.0000", ""} {
		add("a price that is none: "+none, event("message.sent", "sent", `,"cost":{"amount":"`+none+`","currency":"USD"}`),
			channel.Receipt{Status: channel.Sent})
	}
	add("the last of three attempts",
		strings.Replace(event("message.finalized", "delivered", ""), `"attempt":1`, `"attempt":3`, 1),
		channel.Receipt{Status: channel.Delivered})
	return append(append(rows, refusedRows()...), channeltest.ReceiptRow{
		Name:    "a message that came in",
		Request: webhook(event("message.received", "webhook_delivered", ""), nil),
	}, channeltest.ReceiptRow{
		Name:    "the spend limit",
		Request: webhook(`{"data":{"event_type":"messaging-profile.spend-limit-reached"}}`, nil),
	}, channeltest.ReceiptRow{
		Name:    "about nothing",
		Request: webhook(`{"data":{"event_type":"message.sent","payload":{}}}`, nil),
		Refused: true,
	}, channeltest.ReceiptRow{
		Name:    "without a status",
		Request: webhook(`{"data":{"event_type":"message.sent","payload":{"id":"x","to":[]}}}`, nil),
		Refused: true,
	}, channeltest.ReceiptRow{Name: "no JSON", Request: webhook("a=b", nil), Refused: true},
	)
}

func refusedRows() []channeltest.ReceiptRow {
	body, now := event("message.finalized", "delivered", ""), channeltest.Now()
	header := func(h http.Header) func(*channel.Callback) { return func(r *channel.Callback) { r.Header = h } }
	without := func(key string) func(*channel.Callback) { return func(r *channel.Callback) { r.Header.Del(key) } }
	with := func(key, value string) func(*channel.Callback) {
		return func(r *channel.Callback) { r.Header.Set(key, value) }
	}
	var rows []channeltest.ReceiptRow
	for name, change := range map[string]func(*channel.Callback){
		"no signature":      without("telnyx-signature-ed25519"),
		"no time":           without("telnyx-timestamp"),
		"no header":         header(http.Header{}),
		"no base64":         with("telnyx-signature-ed25519", "***"),
		"a short signature": with("telnyx-signature-ed25519", "AAAA"),
		"a time in words":   with("telnyx-timestamp", "now"),
		"another time":      with("telnyx-timestamp", strconv.FormatInt(now.Unix()+1, 10)),
		"a signed old one":  header(sign(private(), now.Add(-tolerance-time.Second), body)),
		"of the future":     header(sign(private(), now.Add(tolerance+time.Second), body)),
		"another's key":     header(sign(ed25519.NewKeyFromSeed([]byte(strings.Repeat("x", 32))), now, body)),
		"another's body":    header(sign(private(), now, body+" ")),
		"another status": func(r *channel.Callback) {
			r.Body = []byte(strings.Replace(body, "delivered", "expired", 1))
		},
	} {
		rows = append(rows, channeltest.ReceiptRow{Name: name, Request: webhook(body, change), Refused: true})
	}
	return rows
}

// TestTolerance: a clock five minutes off is fine, and a receipt that comes twice says the same twice.
func TestTolerance(t *testing.T) {
	t.Parallel()
	body := event("message.finalized", "delivered", "")
	receiver, _ := open(t, "https://api.telnyx.com", nil).(channel.Receiver)
	for _, off := range []time.Duration{-tolerance, tolerance} {
		r := webhook(body, func(r *channel.Callback) { r.Header = sign(private(), r.Now.Add(off), body) })
		first, err := receiver.Receipts(t.Context(), r)
		second, again := receiver.Receipts(t.Context(), r)
		if err != nil || again != nil || len(first) != 1 || !reflect.DeepEqual(first, second) {
			t.Errorf("%s: %v %v, %v %v", off, first, err, second, again)
		}
	}
}

func TestRequest(t *testing.T) {
	t.Parallel()
	c := channeltest.NewCarrier(channeltest.Says(reply(200,
		taken("queued", `,"parts":2,"cost":{"amount":"0.0102","currency":"USD"}`))))
	defer c.Close()
	settings, _ := config(c.URL).(*Config)
	settings.From = ""
	s, _ := settings.Open(channel.Env{HTTP: c.Client(), Now: channeltest.Now})
	m := channeltest.Message(channel.SMS)
	if _, err := s.Send(t.Context(), m); channel.AsError(name, err).Code != "no_sender" {
		t.Errorf("without a sender: %v", err)
	}
	m.From = "Acme"
	if _, err := s.Send(t.Context(), m); channel.AsError(name, err).Code != "no_profile" {
		t.Errorf("letters without a profile: %v", err)
	}
	settings.MessagingProfileID = "4000eba1-a0c0-4563-9925-b25e842a7cb6"
	s, _ = settings.Open(channel.Env{HTTP: c.Client(), Now: channeltest.Now})
	m.Callback, m.Text = "", message.Text{Body: "код 1234", Encoding: message.UCS2, Parts: 1}
	got, err := s.Send(t.Context(), m)
	if err != nil || got != (channel.Accepted{ID: id, Parts: 2, Price: "0.0102", Currency: "USD", Status: channel.Taken}) {
		t.Errorf("%+v, %v", got, err)
	}
	m.From = ""
	if _, err := s.Send(t.Context(), m); err != nil {
		t.Errorf("the profile chooses the sender: %v", err)
	}
	var o [2]order
	for i, r := range c.Requests() {
		if err := json.Unmarshal(r.Body, &o[i]); err != nil {
			t.Fatal(err)
		}
	}
	if o[0].From != "Acme" || o[0].Profile != settings.MessagingProfileID || o[0].Encoding != "ucs2" ||
		o[0].Webhook != "" || o[1].From != "" {
		t.Errorf("%+v", o)
	}
}

func TestPause(t *testing.T) {
	t.Parallel()
	c := channeltest.NewCarrier(channeltest.Says(channeltest.Reply{Status: 429,
		Header: map[string]string{"Retry-After": "7"}, Body: `{"errors":[{"code":"10011"}]}`}))
	defer c.Close()
	_, err := open(t, c.URL, c.Client()).Send(t.Context(), channeltest.Message(channel.SMS))
	if e := channel.AsError(name, err); e.Kind != channel.Throttled || e.Code != "10011" || e.RetryAfter != 7*time.Second {
		t.Errorf("%v after %s", e, e.RetryAfter)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for status, ok := range map[int]bool{200: true, 401: false, 500: false} {
		c := channeltest.NewCarrier(channeltest.Says(reply(status,
			`{"data":{"balance":"300.00","currency":"USD","record_type":"balance"}}`)))
		if err := open(t, c.URL, c.Client()).(channel.Checker).Check(t.Context()); (err == nil) != ok {
			t.Errorf("%d: %v", status, err)
		}
		if r := c.Requests()[0]; r.Method != http.MethodGet || r.URL.Path != "/v2/balance" ||
			r.Header.Get("Authorization") != "Bearer "+apiKey {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		c.Close()
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Config){
		"api_key":              func(c *Config) { c.APIKey = secret.Text{} },
		"api_key:":             func(c *Config) { c.APIKey = secret.New("Bearer x") },
		"public_key":           func(c *Config) { c.PublicKey = "" },
		"public_key:":          func(c *Config) { c.PublicKey = "AAAA" },
		"messaging_profile_id": func(c *Config) { c.MessagingProfileID = "my profile" },
		"from":                 func(c *Config) { c.From = "a name that is too long" },
		"url":                  func(c *Config) { c.URL = "api.telnyx.com" },
	} {
		c, _ := config("https://api.telnyx.com").(*Config)
		change(c)
		if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzReceipts(f *testing.F) {
	f.Add(event("message.finalized", "delivered", ""), "", false)
	f.Add(event("message.sent", "delivery_failed", `,"errors":[{"code":1}],"cost":{"amount":"1","currency":"USD"}`), "",
		false)
	f.Add(`{"data":null}`, "1764000000", true)
	s := open(f, "https://api.telnyx.com", nil)
	f.Fuzz(func(t *testing.T, body, header string, forged bool) {
		r := webhook(body, nil)
		if forged {
			r.Header.Set("telnyx-signature-ed25519", header)
		}
		got, err := s.(channel.Receiver).Receipts(t.Context(), r)
		if forged && err == nil {
			t.Errorf("a forged receipt was taken: %v", got)
		}
		if e, ok := errors.AsType[*channel.Error](err); err != nil && (!ok || e.Kind != channel.Refused) {
			t.Errorf("%v", err)
		}
		for _, g := range got {
			if !g.Status.Valid() {
				t.Errorf("the status %q is none", g.Status)
			}
		}
	})
}
