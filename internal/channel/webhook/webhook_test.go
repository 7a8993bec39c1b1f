package webhook

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/channeltest"
	"github.com/dialproof/dialproof/internal/deliver/delivertest"
	"github.com/dialproof/dialproof/internal/secret"
)

const key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

func config(base string) channel.Opener { return &Config{URL: base, Secret: secret.New(key)} }

// receipt returns a signed receipt, changed afterwards.
func receipt(body string, change func(*channel.Callback)) channel.Callback {
	raw, _ := decodeSecret(secret.New(key))
	r := channel.Callback{
		Method: http.MethodPost,
		URL:    &url.URL{},
		Header: http.Header{},
		Body:   []byte(body),
		Now:    channeltest.Now(),
	}
	signed(&r, raw, channeltest.Now())
	if change != nil {
		change(&r)
	}
	return r
}

func signed(r *channel.Callback, raw []byte, at time.Time) {
	timestamp := strconv.FormatInt(at.Unix(), 10)
	r.Header.Set("Webhook-Id", "msg_1")
	r.Header.Set("Webhook-Timestamp", timestamp)
	r.Header.Set("Webhook-Signature", "v1,AAAA "+newSigner(raw).sign("msg_1", timestamp, r.Body))
}

func TestWebhook(t *testing.T) {
	t.Parallel()
	raw, err := decodeSecret(secret.New(key))
	if err != nil {
		t.Fatal(err)
	}
	refused := func(name string, change func(*channel.Callback)) channeltest.ReceiptRow {
		return channeltest.ReceiptRow{Name: name, Request: receipt(`{"id":"x","status":"delivered"}`, change), Refused: true}
	}
	says := func(status int, body string) channeltest.Reply { return channeltest.Reply{Status: status, Body: body} }
	h := channeltest.Harness{
		Provider: Provider(), Configure: config, Secrets: []string{key, key[6:]},
		Accept: says(200, `{"id":"own-1","parts":1,"price":"0.05","currency":"EUR","status":"sent"}`), WantID: "own-1",
		WithoutID: says(200, `{}`),
		Request: func(r *http.Request, body []byte) error {
			if r.Header.Get("Webhook-Signature") != newSigner(raw).sign(r.Header.Get("Webhook-Id"),
				r.Header.Get("Webhook-Timestamp"), body) {
				return errors.New("the message is not signed")
			}
			var e event
			if err := json.Unmarshal(body, &e); err != nil || e.Type != "message.send" || e.Data.To != "+447700900123" ||
				e.Data.Code != "90817263" || e.Data.Callback == "" {
				return fmt.Errorf("the body is %s, %w", body, err)
			}
			return nil
		},
		Receipts: []channeltest.ReceiptRow{
			{
				Name:    "delivered",
				Request: receipt(`{"id":"own-1","status":"delivered","parts":2,"price":"0.1","currency":"EUR"}`, nil),
				Want: []channel.Receipt{{ProviderID: "own-1", Status: channel.Delivered, Parts: 2, Price: "0.1",
					Currency: "EUR"}},
			},
			{
				Name:    "undelivered",
				Request: receipt(`{"id":"own-1","status":"undelivered","code":"absent","kind":"rejected"}`, nil),
				Want: []channel.Receipt{{ProviderID: "own-1", Status: channel.Undelivered, Code: "absent",
					Kind: channel.Rejected}},
			},
			refused("no signature", func(r *channel.Callback) { r.Header.Del("Webhook-Signature") }),
			refused("another body", func(r *channel.Callback) { r.Body = []byte(`{"id":"x","status":"undelivered"}`) }),
			refused("another id", func(r *channel.Callback) { r.Header.Set("Webhook-Id", "msg_2") }),
			refused("too old", func(r *channel.Callback) { signed(r, raw, channeltest.Now().Add(-6*time.Minute)) }),
			refused("from the future", func(r *channel.Callback) { signed(r, raw, channeltest.Now().Add(6*time.Minute)) }),
			refused("another key", func(r *channel.Callback) { signed(r, make([]byte, 24), channeltest.Now()) }),
			{Name: "no status", Request: receipt(`{"id":"x"}`, nil), Refused: true},
		},
	}
	channeltest.Run(t, h)
	delivertest.Run(t, h)
}

// TestVector holds the signature against the one that Standard Webhooks publishes.
func TestVector(t *testing.T) {
	t.Parallel()
	raw, err := decodeSecret(secret.New(key))
	if err != nil {
		t.Fatal(err)
	}
	if got := newSigner(raw).sign("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330",
		[]byte(`{"test": 2432232314}`)); got != "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" {
		t.Errorf("the signature is %s", got)
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	for address, ok := range map[string]bool{
		"https://example.com/x": true, "http://127.0.0.1:9/x": true, "http://localhost/x": true, "http://[::1]/x": true,
		"http://example.com/x": false, "ftp://example.com": false, "example.com": false, "": false,
		"http://127.0.0.1.example.com/": false,
	} {
		if err := config(address).Validate(); (err == nil) != ok {
			t.Errorf("%s: %v", address, err)
		}
	}
	if err := (&Config{URL: "http://example.com", AllowHTTP: true, Secret: secret.New(key)}).Validate(); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"", "whsec_", "whsec_AAAA", "whsec_***", strings.Repeat("A", 200)} {
		if err := (&Config{URL: "https://x", Secret: secret.New(bad)}).Validate(); err == nil ||
			(bad != "" && strings.Contains(err.Error(), bad) && len(bad) > 6) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func FuzzReceipts(f *testing.F) {
	f.Add(`{"id":"x","status":"delivered"}`, "v1,abc", "1614265330")
	f.Fuzz(func(t *testing.T, body, signature, timestamp string) {
		s, err := config("https://example.com").Open(channel.Env{})
		if err != nil {
			t.Fatal(err)
		}
		r := channel.Callback{Body: []byte(body), Now: channeltest.Now(), Header: http.Header{}}
		r.Header["Webhook-Id"], r.Header["Webhook-Signature"], r.Header["Webhook-Timestamp"] = []string{
			"x",
		}, []string{
			signature,
		}, []string{
			timestamp,
		}
		if got, err := s.(channel.Receiver).Receipts(t.Context(), r); err == nil {
			t.Errorf("an unsigned receipt was taken: %v", got)
		}
	})
}

// TestMail: the mail address goes along with the channel that needs it, and with no other.
func TestMail(t *testing.T) {
	t.Parallel()
	c := channeltest.NewCarrier(channeltest.Says(channeltest.Reply{Status: 200}))
	defer c.Close()
	s, err := config(c.URL).Open(channel.Env{HTTP: c.Client(), Now: channeltest.Now})
	if err != nil {
		t.Fatal(err)
	}
	for kind, want := range map[channel.Kind]string{channel.Email: "person@example.com", channel.SMS: "",
		channel.WhatsApp: ""} {
		if _, err := s.Send(t.Context(), channeltest.Message(kind)); err != nil {
			t.Fatal(err)
		}
		all := c.Requests()
		var e event
		if err := json.Unmarshal(all[len(all)-1].Body, &e); err != nil || e.Data.Email != want || e.Data.Channel != kind {
			t.Errorf("%s: %q, %v, want %q", kind, e.Data.Email, err, want)
		}
	}
}
