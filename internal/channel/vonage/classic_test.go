package vonage

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/channeltest"
	"github.com/dialproof/dialproof/internal/deliver/delivertest"
	"github.com/dialproof/dialproof/internal/message"
	"github.com/dialproof/dialproof/internal/secret"
)

const (
	apiKey    = "abcd1234"
	apiSecret = "s3cr3t-api-secret"
	classicID = "0A0000000123ABCD1"
)

func classicConfig(base string) channel.Opener {
	return &Config{
		SMSAPI:          bySMS,
		APIKey:          apiKey,
		APISecret:       secret.New(apiSecret),
		SignatureSecret: secret.New(signature),
		SignatureMethod: "sha256",
		From:            "+447700900001",
		Conversions:     true,
		URL:             base,
		SMSURL:          base,
	}
}

func classic(t testing.TB, base string, client *http.Client, change func(*Config)) channel.Sender {
	t.Helper()
	c, _ := classicConfig(base).(*Config)
	if change != nil {
		change(c)
	}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	s, err := c.Open(channel.Env{HTTP: client, Now: channeltest.Now})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestClassic(t *testing.T) {
	t.Parallel()
	spec := channeltest.LoadSpec(t, "vonage/sms.yml")
	h := channeltest.Harness{
		Provider:  Provider(),
		Configure: classicConfig,
		Secrets:   []string{apiSecret, signature},
		Accept: reply(200,
			`{"message-count":"1","messages":[{"to":"447700900123","message-id":"`+classicID+`","status":"0",`+
				`"remaining-balance":"3.14","message-price":"0.03330000","network":"23410"}]}`),
		WantID:    classicID,
		WithoutID: reply(200, `{"messages":[{"status":"0"}]}`),
		Request: func(r *http.Request, body []byte) error {
			form, _ := url.ParseQuery(string(body))
			for key, want := range map[string]string{
				"api_key": apiKey, "api_secret": apiSecret, "from": "447700900001", "to": "447700900123", "type": "text",
				"ttl":      "300000",
				"callback": callback, "client-ref": "dG9rZW4", "sig": "",
			} {
				if form.Get(key) != want {
					return fmt.Errorf("%s is %q, want %q", key, form.Get(key), want)
				}
			}
			if r.URL.Path != "/sms/json" || r.URL.RawQuery != "" || !strings.Contains(form.Get("text"), "90817263") {
				return errors.New("it goes to the wrong place, or has no code")
			}
			return spec.Judge(r, body, "/{format}", map[string]string{"format": "json"})
		},
		Testdata: os.DirFS("testdata/classic"),
		Tables:   map[string][]string{"answer": channeltest.Keys(submissions()), "receipt": channeltest.Keys(networkCodes())},
		Answer: func(e channeltest.Expected) string {
			return `{"message-count":"1","messages":[{"status":"` + e.Error + `","error-text":"for 447700900123"}]}`
		},
		Report: func(e channeltest.Expected) channel.Callback {
			return as("form", report("failed", url.Values{"err-code": {e.Error}}))
		},
		News:     func(n channeltest.News) channel.Callback { return as("query", report(n.Word, nil)) },
		Receipts: classicRows(),
	}
	channeltest.Run(t, h)
	delivertest.Run(t, h)
}

func TestClassicRequest(t *testing.T) {
	t.Parallel()
	c := channeltest.NewCarrier(channeltest.Says(reply(200,
		`{"messages":[{"message-id":"a","status":"0","message-price":"0.0333"},{"message-id":"b","status":"0",`+
			`"message-price":"0.0333"}]}`)))
	defer c.Close()
	s := classic(t, c.URL, c.Client(), nil)
	if !slices.Equal(s.Channels(), []channel.Kind{channel.SMS}) {
		t.Errorf("without an application it carries %v", s.Channels())
	}
	m := channeltest.Message(channel.SMS)
	m.From, m.Callback, m.ExpiresAt = "Acme", "https://verify.example.com/"+strings.Repeat("x", 100), channeltest.Now()
	m.Text = message.Text{Body: "код 1234", Encoding: message.UCS2, Parts: 1}
	m.Regulatory = map[string]string{"dlt_entity_id": "110", "dlt_template_id": "220"}
	a, err := s.Send(t.Context(), m)
	if want := (channel.Accepted{ID: "a", Parts: 2, Price: "0.0666", Currency: "EUR",
		Status: channel.Taken}); err != nil || a != want {
		t.Fatalf("%+v %v, want %+v", a, err, want)
	}
	form, _ := url.ParseQuery(string(c.Requests()[0].Body))
	for key, want := range map[string]string{"from": "Acme", "type": "unicode", "ttl": "20000", "callback": "",
		"entity-id": "110", "content-id": "220", "text": m.Text.Body} {
		if form.Get(key) != want {
			t.Errorf("%s is %q, want %q", key, form.Get(key), want)
		}
	}
	none := classic(t, c.URL, c.Client(), func(c *Config) { c.From = "" })
	if _, err := none.Send(t.Context(), channeltest.Message(channel.SMS)); channel.AsError(name, err).Code != "no_sender" {
		t.Errorf("without a sender: %v", err)
	}
}

func TestConversion(t *testing.T) {
	t.Parallel()
	c := channeltest.NewCarrier(channeltest.Says(reply(200, "")))
	defer c.Close()
	to := channeltest.Message(channel.SMS).To
	f := classic(t, c.URL, c.Client(), nil).(channel.Feedback)
	if err := f.Converted(t.Context(), classicID, to, true); err != nil {
		t.Fatal(err)
	}
	r := c.Requests()[0]
	q := r.URL.Query()
	user, password, _ := r.BasicAuth()
	if r.Method != http.MethodPost || r.URL.Path != "/conversions/sms" || q.Get("message-id") != classicID ||
		q.Get("delivered") != "true" || q.Get("timestamp") != "2026-11-23 08:00:00" || user != apiKey ||
		password != apiSecret || bytes.Contains([]byte(r.URL.String()), []byte(apiSecret)) {
		t.Errorf("%s %s by %s", r.Method, r.URL, user)
	}
	for name, sender := range map[string]channel.Sender{
		"switched off":     classic(t, c.URL, c.Client(), func(c *Config) { c.Conversions = false }),
		"the Messages API": open(t),
	} {
		if err := sender.(channel.Feedback).Converted(t.Context(), classicID, to, true); err != nil ||
			len(c.Requests()) != 1 {
			t.Errorf("%s: %v after %d requests", name, err, len(c.Requests()))
		}
	}
	if err := f.Converted(t.Context(), callID, to, true); err != nil || len(c.Requests()) != 1 {
		t.Errorf("a call: %v after %d requests", err, len(c.Requests()))
	}
	refusing := channeltest.NewCarrier(channeltest.Says(reply(402, "")))
	defer refusing.Close()
	if err := classic(t, refusing.URL, refusing.Client(), nil).(channel.Feedback).Converted(t.Context(), classicID, to,
		true); err == nil {
		t.Error("an account without the interface is no error")
	}
}

func TestClassicCheck(t *testing.T) {
	t.Parallel()
	for status, ok := range map[int]bool{200: true, 401: false, 500: false} {
		c := channeltest.NewCarrier(channeltest.Says(reply(status, `{"value":3.14,"autoReload":false}`)))
		if err := classic(t, c.URL, c.Client(), nil).(channel.Checker).Check(t.Context()); (err == nil) != ok {
			t.Errorf("%d: %v", status, err)
		}
		if r := c.Requests()[0]; r.URL.Path != "/account/get-balance" || r.URL.RawQuery != "" || len(c.Requests()) != 1 {
			t.Errorf("%s", r.URL)
		}
		c.Close()
	}
}

func TestClassicSettings(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*Config){
		"sms_api":          func(c *Config) { c.SMSAPI = "verify" },
		"api_key":          func(c *Config) { c.APIKey = "short" },
		"api_secret":       func(c *Config) { c.APISecret = secret.Text{} },
		"conversions":      func(c *Config) { c.SMSAPI = byMessages },
		"signature_method": func(c *Config) { c.SignatureMethod = "rot13" },
		"signature_secret": func(c *Config) { c.SignatureSecret = secret.Text{} },
		"application_id":   func(c *Config) { c.PrivateKey = secret.New("x") },
		"sms_url":          func(c *Config) { c.SMSURL = "rest.nexmo.com" },
	} {
		c, _ := classicConfig("https://api.nexmo.com").(*Config)
		change(c)
		if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	both, _ := config("https://api.nexmo.com").(*Config)
	both.SMSAPI, both.APIKey, both.APISecret, both.SignatureMethod, both.SMSURL = bySMS, apiKey, secret.New(
		apiSecret,
	), "md5", "https://rest.nexmo.com"
	if err := both.Validate(); err != nil {
		t.Error(err)
	}
	if s, err := both.Open(channel.Env{}); err != nil || len(s.Channels()) != 2 {
		t.Errorf("with an application it carries calls too: %v", err)
	}
}
