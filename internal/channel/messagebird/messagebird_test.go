package messagebird

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/channeltest"
	"github.com/dialproof/dialproof/internal/deliver/delivertest"
	"github.com/dialproof/dialproof/internal/message"
	"github.com/dialproof/dialproof/internal/secret"
)

const (
	accessKey  = "s3cr3t-access-key"
	signingKey = "s3cr3t-signing-key"
	id         = "f28bbe526fc14974b3e7e663a6139b53"
	callback   = "https://verify.example.com/callbacks/main/dG9rZW4"
)

func config(base string) channel.Opener {
	return &Config{
		AccessKey:  secret.New(accessKey),
		SigningKey: secret.New(signingKey),
		Originator: "+447700900001",
		URL:        base,
	}
}

func reply(status int, body string) channeltest.Reply {
	return channeltest.Reply{Status: status, Body: body}
}

func TestMessageBird(t *testing.T) {
	t.Parallel()
	spec := channeltest.LoadSpec(t, "messagebird/sms-openapi.yaml")
	h := channeltest.Harness{
		Provider:  Provider(),
		Configure: config,
		Secrets:   []string{accessKey, signingKey},
		Accept: reply(201,
			`{"id":"`+id+`","recipients":{"totalCount":1,"items":[{"recipient":447700900123,"status":"sent",`+
				`"messagePartCount":1}]}}`),
		WantID: id,
		Request: func(r *http.Request, body []byte) error {
			if r.URL.Path != "/messages" || r.Header.Get("Authorization") != "AccessKey "+accessKey {
				return errors.New("the credentials are not sent, or not to the right place")
			}
			var f map[string]any
			if err := json.Unmarshal(body, &f); err != nil {
				return err
			}
			for key, want := range map[string]string{
				"originator": "447700900001", "recipients": "[447700900123]", "datacoding": "plain", "validity": "300",
				"reference": "dG9rZW4", "reportUrl": callback,
			} {
				if got := fmt.Sprint(f[key]); got != want {
					return fmt.Errorf("%s is %q, want %q", key, got, want)
				}
			}
			if text, _ := f["body"].(string); !strings.Contains(text, "90817263") {
				return errors.New("the text has no code")
			}
			return spec.Judge(r, body, "/messages", nil)
		},
		Tables: map[string][]string{
			"answer":          channeltest.Keys(errorTable()),
			"receipt.network": channeltest.Keys(networkErrors()),
			"receipt.reason":  channeltest.Keys(reasons()),
		},
		Answer: func(e channeltest.Expected) string {
			return `{"errors":[{"code":` + e.Error + `,"description":"for 447700900123","parameter":"recipient"}]}`
		},
		Report: func(e channeltest.Expected) channel.Callback {
			if e.Where == "receipt.reason" {
				return receipt(query("delivery_failed", "&statusErrorCode=&statusReason="+url.QueryEscape(e.Error)), nil)
			}
			return receipt(query("delivery_failed", "&statusReason=x&statusErrorCode="+e.Error), nil)
		},
		News:     func(n channeltest.News) channel.Callback { return receipt(query(n.Word, ""), nil) },
		Receipts: receiptRows(),
	}
	channeltest.Run(t, h)
	delivertest.Run(t, h)
}

// sign returns the signature of an address and a body, made apart from the code under test and its library.
func sign(key, address, body string, change map[string]any) string {
	c := map[string]any{
		"iss": "MessageBird", "jti": "59a244dc-e9ad-4e23-9778-371faa238f72", "url_hash": hash(address),
		"nbf": channeltest.Now().Unix(), "exp": channeltest.Now().Add(time.Minute).Unix(),
	}
	if body != "" {
		c["payload_hash"] = hash(body)
	}
	for k, v := range change {
		if c[k] = v; v == nil {
			delete(c, k)
		}
	}
	claims, _ := json.Marshal(c)
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." +
		base64.RawURLEncoding.EncodeToString(claims)
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// receipt returns a signed receipt.
func receipt(query string, change func(*channel.Callback)) channel.Callback {
	u, err := url.Parse(callback + "?" + query)
	if err != nil {
		panic(err) // the query is ours
	}
	r := channel.Callback{Method: http.MethodGet, URL: u, Header: http.Header{}, Now: channeltest.Now()}
	r.Header.Set("MessageBird-Signature-JWT", sign(signingKey, u.String(), "", nil))
	if change != nil {
		change(&r)
	}
	return r
}

func query(status, more string) string {
	return "id=" + id + "&reference=dG9rZW4&recipient=447700900123&status=" + status +
		"&statusDatetime=2026-11-23T08%3A00%3A00%2B00%3A00" + more
}

func receiptRows() []channeltest.ReceiptRow {
	var rows []channeltest.ReceiptRow
	add := func(name, q string, want channel.Receipt) {
		want.Token, want.ProviderID = "dG9rZW4", id
		rows = append(rows, channeltest.ReceiptRow{Name: name, Request: receipt(q, nil), Want: []channel.Receipt{want}})
	}
	add("failed for no reason", query("delivery_failed", ""),
		channel.Receipt{Status: channel.Undelivered, Code: "unknown", Kind: channel.Unavailable})
	add("the price", query("delivered", "&price%5Bamount%5D=0.0525&price%5Bcurrency%5D=EUR&messagePartCount=2"),
		channel.Receipt{Status: channel.Delivered, Price: "0.0525", Currency: "EUR", Parts: 2})
	for _, amount := range []string{"much", "NaN", "Inf", "-1", "0", "1e5", "0x1p-2", ""} {
		add("the price "+amount, query("delivered", "&price%5Bamount%5D="+amount+"&price%5Bcurrency%5D=EUR"),
			channel.Receipt{Status: channel.Delivered})
	}
	return append(append(rows, refusedRows()...),
		channeltest.ReceiptRow{Name: "about nothing", Request: receipt("status=sent", nil), Refused: true},
		channeltest.ReceiptRow{Name: "without a status", Request: receipt("id="+id, nil), Refused: true},
	)
}

func refusedRows() []channeltest.ReceiptRow {
	now, q := channeltest.Now(), query("delivered", "")
	address := callback + "?" + q
	header := func(value string) func(*channel.Callback) {
		return func(r *channel.Callback) { r.Header.Set("MessageBird-Signature-JWT", value) }
	}
	signed := func(c map[string]any) func(*channel.Callback) { return header(sign(signingKey, address, "", c)) }
	other := func(method jwt.SigningMethod, key any) string {
		token, _ := jwt.NewWithClaims(method, jwt.MapClaims{
			"iss": "MessageBird", "jti": "x", "url_hash": hash(address), "nbf": now.Unix(), "exp": now.Unix() + 60,
		}).SignedString(key)
		return token
	}
	var rows []channeltest.ReceiptRow
	for name, change := range map[string]func(*channel.Callback){
		"no signature":      func(r *channel.Callback) { r.Header.Del("MessageBird-Signature-JWT") },
		"no token":          header("x"),
		"another's key":     header(sign("other", address, "", nil)),
		"the access key":    header(sign(accessKey, address, "", nil)),
		"no algorithm":      header(other(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType)),
		"another address":   header(sign(signingKey, callback, "", nil)),
		"another status":    func(r *channel.Callback) { r.URL.RawQuery = query("expired", "") },
		"a body from air":   func(r *channel.Callback) { r.Body = []byte("x") },
		"a body that went":  signed(map[string]any{"payload_hash": hash("x")}),
		"no address":        func(r *channel.Callback) { r.URL = nil },
		"no hash":           signed(map[string]any{"url_hash": nil}),
		"another issuer":    signed(map[string]any{"iss": "Somebody"}),
		"no issuer":         signed(map[string]any{"iss": nil}),
		"no id of its own":  signed(map[string]any{"jti": nil}),
		"too early":         signed(map[string]any{"nbf": now.Add(2 * time.Second).Unix()}),
		"too late":          signed(map[string]any{"exp": now.Add(-2 * time.Second).Unix()}),
		"without an end":    signed(map[string]any{"exp": nil}),
		"without beginning": signed(map[string]any{"nbf": nil}),
	} {
		rows = append(rows, channeltest.ReceiptRow{Name: name, Request: receipt(q, change), Refused: true})
	}
	return rows
}

// TestSignature: the three algorithms that MessageBird allows, a clock a second off, and a body.
func TestSignature(t *testing.T) {
	t.Parallel()
	u, _ := url.Parse("https://example.com/path?foo=bar&a=%20b")
	body := `{"a key":"some value"}`
	for _, method := range []jwt.SigningMethod{jwt.SigningMethodHS256, jwt.SigningMethodHS384, jwt.SigningMethodHS512} {
		for _, off := range []time.Duration{-time.Second, 0, 60 * time.Second} {
			now := channeltest.Now()
			token, _ := jwt.NewWithClaims(method, jwt.MapClaims{
				"iss":          "MessageBird",
				"jti":          "x",
				"url_hash":     hash(u.String()),
				"payload_hash": hash(body),
				"nbf":          now.Unix(),
				"exp":          now.Unix() + 60,
			}).SignedString([]byte(signingKey))
			r := channel.Callback{URL: u, Header: http.Header{}, Body: []byte(body), Now: now.Add(off)}
			r.Header.Set("MessageBird-Signature-JWT", token)
			if !signed(signingKey, r) {
				t.Errorf("%s after %s: not taken", method.Alg(), off)
			}
			if r.Body = []byte(body + " "); signed(signingKey, r) {
				t.Errorf("%s after %s: another body is taken", method.Alg(), off)
			}
		}
	}
}

func TestRequest(t *testing.T) {
	t.Parallel()
	c := channeltest.NewCarrier(channeltest.Says(reply(201, `{"id":"x"}`)))
	defer c.Close()
	s, _ := (&Config{AccessKey: secret.New(accessKey), URL: c.URL}).Open(channel.Env{HTTP: c.Client(),
		Now: channeltest.Now})
	m := channeltest.Message(channel.SMS)
	if _, err := s.Send(t.Context(), m); channel.AsError(name, err).Code != "no_sender" ||
		channel.AsError(name, err).Kind != channel.Refused {
		t.Errorf("without a sender: %v", err)
	}
	m.From, m.Callback, m.ExpiresAt = "Acme", "", channeltest.Now()
	m.Text = message.Text{Body: "код 1234", Encoding: message.UCS2, Parts: 1}
	if _, err := s.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	var o order
	if err := json.Unmarshal(c.Requests()[0].Body, &o); err != nil {
		t.Fatal(err)
	}
	if o.Originator != "Acme" || o.Datacoding != "unicode" || o.Validity != minValidity || o.ReportURL != "" ||
		o.Body != m.Text.Body {
		t.Errorf("%+v", o)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for status, ok := range map[int]bool{200: true, 401: false, 500: false} {
		c := channeltest.NewCarrier(channeltest.Says(reply(status, `{"payment":"prepaid","type":"credits","amount":9}`)))
		s, _ := config(c.URL).Open(channel.Env{HTTP: c.Client(), Now: channeltest.Now})
		if err := s.(channel.Checker).Check(t.Context()); (err == nil) != ok {
			t.Errorf("%d: %v", status, err)
		}
		if r := c.Requests()[0]; r.Method != http.MethodGet || r.URL.Path != "/balance" {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		c.Close()
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Config){
		"access_key":  func(c *Config) { c.AccessKey = secret.Text{} },
		"access_key:": func(c *Config) { c.AccessKey = secret.New("AccessKey x") },
		"signing_key": func(c *Config) { c.SigningKey = secret.Text{} },
		"originator":  func(c *Config) { c.Originator = "a name that is too long" },
		"url":         func(c *Config) { c.URL = "rest.messagebird.com" },
	} {
		c, _ := config("https://rest.messagebird.com").(*Config)
		change(c)
		if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzReceipts(f *testing.F) {
	f.Add("id=x&status=delivered", "", false)
	f.Add("id=x&status=delivery_failed&statusErrorCode=1&price[amount]=1&price[currency]=EUR", "", false)
	f.Add("id=x&status=delivered", "x.y.z", true)
	f.Fuzz(func(t *testing.T, query, header string, forged bool) {
		u, err := url.Parse(callback + "?" + query)
		if err != nil {
			return
		}
		r := channel.Callback{Method: http.MethodGet, URL: u, Header: http.Header{}, Now: channeltest.Now()}
		if forged {
			r.Header.Set("MessageBird-Signature-JWT", header)
		} else {
			r.Header.Set("MessageBird-Signature-JWT", sign(signingKey, u.String(), "", nil))
		}
		s, _ := config("https://rest.messagebird.com").Open(channel.Env{})
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
