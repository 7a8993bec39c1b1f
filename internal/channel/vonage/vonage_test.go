package vonage

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/channeltest"
	"github.com/dialproof/dialproof/internal/deliver/delivertest"
	"github.com/dialproof/dialproof/internal/secret"
)

const (
	application = "aaaaaaaa-bbbb-cccc-dddd-0123456789ab"
	signature   = "s3cr3t-of-the-account-0123456789"
	messageID   = "12345678-bbbb-cccc-dddd-0123456789ab"
	callID      = "63f61863-4a51-4f6b-86e1-46edebcf9356"
	callback    = "https://verify.example.com/callbacks/main/dG9rZW4"
)

// key is the application's key of all tests: making one takes a while.
var key = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err) // there is no randomness
	}
	return k
})

func keyPEM() string {
	der, _ := x509.MarshalPKCS8PrivateKey(key())
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func config(base string) channel.Opener {
	return &Config{
		ApplicationID:   application,
		PrivateKey:      secret.New(keyPEM()),
		SignatureSecret: secret.New(signature),
		From:            "+447700900001",
		SMSAPI:          byMessages,
		URL:             base,
	}
}

func reply(status int, body string) channeltest.Reply {
	return channeltest.Reply{Status: status, Body: body}
}

func open(t testing.TB) channel.Sender {
	t.Helper()
	s, err := config("https://api.nexmo.com").Open(channel.Env{Now: channeltest.Now})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// pass judges the JWT of a request.
func pass(r *http.Request) error {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	c := jwt.MapClaims{}
	_, err := jwt.NewParser(jwt.WithValidMethods([]string{"RS256"}), jwt.WithTimeFunc(channeltest.Now),
		jwt.WithIssuedAt(), jwt.WithExpirationRequired()).
		ParseWithClaims(token, c, func(*jwt.Token) (any, error) { return &key().PublicKey, nil })
	if err != nil {
		return fmt.Errorf("the pass is not taken: %w", err)
	}
	if id, _ := c["jti"].(string); c["application_id"] != application || len(id) < 16 {
		return fmt.Errorf("the pass says %v", c)
	}
	return nil
}

func fields(body []byte) map[string]any {
	out := map[string]any{}
	_ = json.Unmarshal(body, &out)
	return out
}

// problem is how Vonage answers an error.
func problem(e channeltest.Expected) string {
	return `{"type":"https://developer.nexmo.com/api-errors/messages-olympus#` + e.Error + `","title":"Error",` +
		`"detail":"for 447700900123"}`
}

func TestSMS(t *testing.T) {
	t.Parallel()
	spec := channeltest.LoadSpec(t, "vonage/messages-olympus.yml")
	h := channeltest.Harness{
		Provider: Provider(), Configure: config, Secrets: secrets(),
		Accept: reply(202, `{"message_uuid":"`+messageID+`"}`), WantID: messageID,
		Request: func(r *http.Request, body []byte) error {
			if r.URL.Path != "/v1/messages" {
				return errors.New(r.URL.Path)
			}
			if err := pass(r); err != nil {
				return err
			}
			f := fields(body)
			for key, want := range map[string]any{
				"to": "447700900123", "from": "447700900001", "channel": "sms", "message_type": "text", "ttl": 300.0,
				"webhook_url": callback, "webhook_version": "v1", "client_ref": "dG9rZW4",
			} {
				if f[key] != want {
					return fmt.Errorf("%s is %v, want %v", key, f[key], want)
				}
			}
			if text, _ := f["text"].(string); !strings.Contains(text, "90817263") {
				return errors.New("the text has no code")
			}
			// The definition asks for a property "message" that it defines nowhere, and that its own examples do not have.
			f["message"] = ""
			body, _ = json.Marshal(f)
			return spec.Judge(r, body, "/", nil)
		},
		Tables: map[string][]string{"answer receipt": channeltest.Keys(errorTable())}, Answer: problem,
		Report: func(e channeltest.Expected) channel.Callback {
			return webhook("", status("rejected", `,"error":{"title":`+e.Error+`,"detail":"to 447700900123"}`))
		},
		News:     func(n channeltest.News) channel.Callback { return webhook("", status(n.Word, "")) },
		Receipts: messageRows(),
	}
	channeltest.Run(t, h)
	delivertest.Run(t, h)
}

func secrets() []string {
	lines := strings.Split(keyPEM(), "\n")
	return []string{signature, lines[1], lines[5]}
}

// TestDefinition: the table has every error of the definition.
func TestDefinition(t *testing.T) {
	t.Parallel()
	for _, code := range definedErrors(t) {
		if _, ok := errorTable()[code]; !ok {
			t.Errorf("%s is missing", code)
		}
	}
}

func TestRegulatoryAndSender(t *testing.T) {
	t.Parallel()
	c := channeltest.NewCarrier(channeltest.Says(reply(202, `{"message_uuid":"x"}`)))
	defer c.Close()
	settings, _ := config(c.URL).(*Config)
	settings.From = ""
	s, err := settings.Open(channel.Env{HTTP: c.Client(), Now: channeltest.Now})
	if err != nil {
		t.Fatal(err)
	}
	m := channeltest.Message(channel.SMS)
	if _, err := s.Send(t.Context(), m); channel.AsError(name, err).Code != "no_sender" ||
		channel.AsError(name, err).Kind != channel.Refused {
		t.Errorf("without a sender: %v", err)
	}
	m.From, m.Callback = "Acme", ""
	m.Regulatory = map[string]string{"dlt_entity_id": "1101456324675322134", "dlt_template_id": "1107457532145798767"}
	m.ExpiresAt = channeltest.Now().Add(time.Second)
	if _, err := s.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	f := fields(c.Requests()[0].Body)
	sms, _ := f["sms"].(map[string]any)
	if f["from"] != "Acme" || f["ttl"] != 20.0 || f["webhook_url"] != nil || sms["entity_id"] != "1101456324675322134" ||
		sms["content_id"] != "1107457532145798767" {
		t.Errorf("%v", f)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for status, ok := range map[int]bool{200: true, 403: true, 401: false, 429: false, 500: false} {
		c := channeltest.NewCarrier(channeltest.Says(reply(status, `{}`)))
		s, err := config(c.URL).Open(channel.Env{HTTP: c.Client(), Now: channeltest.Now})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.(channel.Checker).Check(t.Context()); (err == nil) != ok {
			t.Errorf("%d: %v", status, err)
		}
		if r := c.Requests()[0]; r.Method != http.MethodGet || r.URL.Path != "/v1/calls" || pass(r.Request) != nil {
			t.Errorf("%s %s %v", r.Method, r.URL, pass(r.Request))
		}
		c.Close()
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Config){
		"application_id":   func(c *Config) { c.ApplicationID = "aaaaaaaa" },
		"private_key":      func(c *Config) { c.PrivateKey = secret.Text{} },
		"private_key:":     func(c *Config) { c.PrivateKey = secret.New("/etc/key.pem") },
		"signature_secret": func(c *Config) { c.SignatureSecret = secret.Text{} },
		"from":             func(c *Config) { c.From = "a name that is too long" },
		"url":              func(c *Config) { c.URL = "api.nexmo.com" },
	} {
		c, _ := config("https://api.nexmo.com").(*Config)
		change(c)
		if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	c, _ := config("https://api.nexmo.com").(*Config)
	c.PrivateKey = secret.New("-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----") // as it comes from a file
	if err := c.Validate(); err != nil {
		t.Errorf("the form is right: %v", err)
	}
	if _, err := c.Open(channel.Env{}); err == nil || !strings.HasPrefix(err.Error(), "private_key") {
		t.Errorf("a key that is none: %v", err)
	}
}

// sign returns a webhook's signature as Vonage makes it, written apart from the code under test.
func sign(method jwt.SigningMethod, by any, c map[string]any, body string) string {
	sum := sha256.Sum256([]byte(body))
	all := jwt.MapClaims{
		"iat": channeltest.Now().Unix(), "jti": "c5ba8f24", "iss": "Vonage", "payload_hash": hex.EncodeToString(sum[:]),
		"api_key": "a1b2c3d", "application_id": application,
	}
	for k, v := range c {
		if all[k] = v; v == nil {
			delete(all, k)
		}
	}
	token, err := jwt.NewWithClaims(method, all).SignedString(by)
	if err != nil {
		panic(err) // a key of the test's own
	}
	return "Bearer " + token
}

// webhook returns a signed webhook at a step of the callback's address.
func webhook(at, body string) channel.Callback {
	u, _ := url.Parse(callback + at)
	r := channel.Callback{
		Method: http.MethodPost,
		URL:    u,
		Header: http.Header{},
		Body:   []byte(body),
		Now:    channeltest.Now(),
	}
	r.Header.Set("Authorization", sign(jwt.SigningMethodHS256, []byte(signature), nil, body))
	return r
}

func FuzzReceipts(f *testing.F) {
	f.Add(`{"message_uuid":"x","status":"delivered","error":{"title":1000},"sms":{"count_total":"2"}}`, "", false)
	f.Add(`{"uuid":"x","dtmf":{"digits":"1"}}`, "?step=key1", false)
	f.Add(`{}`, "?step=spoken", true)
	s := open(f)
	f.Fuzz(func(t *testing.T, body, at string, forged bool) {
		r := webhook("", body)
		if u, err := url.Parse(callback + at); err == nil {
			r.URL = u
		}
		if forged {
			r.Header.Set("Authorization", body)
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
		if err == nil {
			s.(channel.Answerer).Answer(t.Context(), r)
		}
	})
}
