package sinch

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
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

const (
	plan          = "0123456789abcdef0123456789abcdef"
	apiToken      = "s3cr3t-api-token"
	webhookSecret = "s3cr3t-webhook-secret"
	id            = "01FC66621XXXXX119Z8PMV1QPQ"
	callback      = "https://verify.example.com/callbacks/main/dG9rZW4"
	nonce         = "01FJA8B4A7BM43YGWSG9GBV067"
)

func config(base string) channel.Opener {
	return &Config{
		ServicePlanID: plan, APIToken: secret.New(apiToken), Region: "eu", From: "+447700900001",
		WebhookSecret: secret.New(webhookSecret), Conversions: true, URL: base,
	}
}

func reply(status int, body string) channeltest.Reply {
	return channeltest.Reply{Status: status, Body: body}
}

func TestSinch(t *testing.T) {
	t.Parallel()
	// The document is a third party's model of the API; Sinch's own is not to be had.
	spec := channeltest.LoadSpec(t, "sinch/THIRDPARTY-sinch-sms-openapi.yml")
	h := channeltest.Harness{
		Provider:  Provider(),
		Configure: config,
		Secrets:   []string{apiToken, webhookSecret},
		Accept: reply(201, `{"id":"`+id+`","to":["447700900123"],"from":"447700900001","canceled":false,"type":"mt_text",`+
			`"delivery_report":"per_recipient"}`),
		WantID: id,
		Request: func(r *http.Request, body []byte) error {
			if r.URL.Path != "/xms/v1/"+plan+"/batches" || r.Header.Get("Authorization") != "Bearer "+apiToken {
				return errors.New("the credentials are not sent, or not to the right place")
			}
			var f map[string]any
			if err := json.Unmarshal(body, &f); err != nil {
				return err
			}
			for key, want := range map[string]string{
				"from": "+447700900001", "to": "[+447700900123]", "type": "mt_text", "delivery_report": "per_recipient",
				"callback_url":     callback,
				"client_reference": "dG9rZW4", "feedback_enabled": "true", "expire_at": "2026-11-23T08:05:00.000Z",
				"max_number_of_message_parts": "10",
			} {
				if got := fmt.Sprint(f[key]); got != want {
					return fmt.Errorf("%s is %q, want %q", key, got, want)
				}
			}
			if text, _ := f["body"].(string); !strings.Contains(text, "90817263") {
				return errors.New("the text has no code")
			}
			return spec.Judge(r, body, "/xms/v1/{service_plan_id}/batches", map[string]string{"service_plan_id": plan})
		},
		Tables: map[string][]string{"answer": channeltest.Keys(errorTable()), "receipt": codes()},
		Answer: func(e channeltest.Expected) string { return `{"code":"` + e.Error + `","text":"for 447700900123"}` },
		Report: func(e channeltest.Expected) channel.Callback {
			code, _ := strconv.Atoi(e.Error)
			return receipt(report1("Failed", code, ""), nil)
		},
		News:     func(n channeltest.News) channel.Callback { return receipt(report1(n.Word, 0, ""), nil) },
		Receipts: receiptRows(),
	}
	channeltest.Run(t, h)
	delivertest.Run(t, h)
}

// codes returns the codes of receipts that the code knows.
func codes() []string {
	var out []string
	for code := range deliveryCodes() {
		out = append(out, strconv.Itoa(code))
	}
	return out
}

// sign returns the signature of a body, made apart from the code under test.
func sign(key, body, nonce, at string) string {
	mac := hmac.New(sha256.New, []byte(key))
	fmt.Fprintf(mac, "%s.%s.%s", body, nonce, at)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// receipt returns a signed callback.
func receipt(body string, change func(*channel.Callback)) channel.Callback {
	u, err := url.Parse(callback)
	if err != nil {
		panic(err) // the address is ours
	}
	at := strconv.FormatInt(channeltest.Now().Unix(), 10)
	r := channel.Callback{
		Method: http.MethodPost,
		URL:    u,
		Header: http.Header{},
		Body:   []byte(body),
		Now:    channeltest.Now(),
	}
	r.Header.Set("X-Sinch-Webhook-Signature", sign(webhookSecret, body, nonce, at))
	r.Header.Set("X-Sinch-Webhook-Signature-Algorithm", "HmacSHA256")
	r.Header.Set("X-Sinch-Webhook-Signature-Nonce", nonce)
	r.Header.Set("X-Sinch-Webhook-Signature-Timestamp", at)
	if change != nil {
		change(&r)
	}
	return r
}

// report1 returns the report of one recipient.
func report1(status string, code int, more string) string {
	return fmt.Sprintf(
		`{"type":"recipient_delivery_report_sms","batch_id":%q,"recipient":"447700900123","client_reference":"dG9rZW4",`+
			`"code":%d,"status":%q,"at":"2026-11-23T08:00:00.000Z","operator_status_at":"2026-11-23T08:00:00.000Z"%s}`, id, code,
		status, more)
}

// summaryOf returns a summary of a batch.
func summaryOf(statuses string) string {
	return `{"type":"delivery_report_sms","batch_id":"` + id + `","client_reference":"dG9rZW4",` +
		`"total_message_count":1,"statuses":[` + statuses + `]}`
}

func receiptRows() []channeltest.ReceiptRow {
	var rows []channeltest.ReceiptRow
	add := func(name, body string, want ...channel.Receipt) {
		for i := range want {
			want[i].Token, want[i].ProviderID = "dG9rZW4", id
		}
		rows = append(rows, channeltest.ReceiptRow{Name: name, Request: receipt(body, nil), Want: want})
	}
	add("a new code", report1("Aborted", 499, ""),
		channel.Receipt{Status: channel.Failed, Code: "499", Kind: channel.Unavailable})
	add("a code that is none", report1("Failed", 447700900123, ""),
		channel.Receipt{Status: channel.Undelivered, Code: "unknown", Kind: channel.Unavailable})
	add("parts", report1("Delivered", 0, `,"number_of_message_parts":2`),
		channel.Receipt{Status: channel.Delivered, Parts: 2})
	add("parts that are none", report1("Delivered", 0, `,"number_of_message_parts":-2`),
		channel.Receipt{Status: channel.Delivered})
	add("a summary", summaryOf(`{"code":0,"status":"Delivered","count":1,"recipients":["447700900123"]}`),
		channel.Receipt{Status: channel.Delivered})
	add("a summary of two",
		summaryOf(`{"code":401,"status":"Dispatched","count":1},{"code":150,"status":"Failed","count":1},{"code":0,`+
			`"status":"Delivered","count":0}`), channel.Receipt{Status: channel.Sent},
		channel.Receipt{Status: channel.Undelivered, Code: "150", Kind: channel.Rejected})
	rows = append(rows, channeltest.ReceiptRow{
		Name:    "an SMS that came in",
		Request: receipt(`{"type":"mo_text","id":"x","from":"447700900123","body":"STOP"}`, nil),
	})
	for name, body := range map[string]string{
		"nothing": "", "no JSON": "x", "null": "null", "no type": `{"batch_id":"x","status":"Delivered"}`,
		"no batch":  `{"type":"recipient_delivery_report_sms","status":"Delivered"}`,
		"no status": `{"type":"recipient_delivery_report_sms","batch_id":"x"}`, "an empty summary": summaryOf(""),
		"a summary of nobody":   summaryOf(`{"status":"Delivered","count":0}`),
		"a summary of no batch": `{"type":"delivery_report_sms","statuses":[{"status":"Delivered","count":1}]}`,
	} {
		rows = append(rows, channeltest.ReceiptRow{Name: name, Request: receipt(body, nil), Refused: true})
	}
	return append(rows, forgedRows()...)
}

func forgedRows() []channeltest.ReceiptRow {
	body := report1("Delivered", 0, "")
	at := func(off time.Duration) func(*channel.Callback) {
		return func(r *channel.Callback) {
			stamp := strconv.FormatInt(channeltest.Now().Add(off).Unix(), 10)
			r.Header.Set("X-Sinch-Webhook-Signature-Timestamp", stamp)
			r.Header.Set("X-Sinch-Webhook-Signature", sign(webhookSecret, body, nonce, stamp))
		}
	}
	header := func(name, value string) func(*channel.Callback) {
		return func(r *channel.Callback) { r.Header.Set("X-Sinch-Webhook-Signature"+name, value) }
	}
	now := strconv.FormatInt(channeltest.Now().Unix(), 10)
	var rows []channeltest.ReceiptRow
	for name, change := range map[string]func(*channel.Callback){
		"no signature":     header("", ""),
		"no base64":        header("", "***"),
		"another's secret": header("", sign("other", body, nonce, now)),
		"the API token":    header("", sign(apiToken, body, nonce, now)),
		"another nonce":    header("-Nonce", "other"),
		"no nonce":         header("-Nonce", ""),
		"another time":     header("-Timestamp", strconv.FormatInt(channeltest.Now().Unix()+1, 10)),
		"no time":          header("-Timestamp", ""),
		"a time in words":  header("-Timestamp", "now"),
		"too old":          at(-maxAge - time.Second),
		"of tomorrow":      at(maxAhead + time.Second),
		"another body":     func(r *channel.Callback) { r.Body = []byte(report1("Failed", 0, "")) },
		"spaces more":      func(r *channel.Callback) { r.Body = append(r.Body, ' ') },
		"by GET":           func(r *channel.Callback) { r.Method = http.MethodGet },
	} {
		rows = append(rows, channeltest.ReceiptRow{Name: name, Request: receipt(body, change), Refused: true})
	}
	for name, off := range map[string]time.Duration{"a little ahead": maxAhead, "a day old": -maxAge} {
		rows = append(rows, channeltest.ReceiptRow{
			Name:    name,
			Request: receipt(body, at(off)),
			Want:    []channel.Receipt{{Token: "dG9rZW4", ProviderID: id, Status: channel.Delivered}},
		})
	}
	return rows
}

// TestUnsigned: without a secret the address holds, and a signature is neither asked for nor read.
func TestUnsigned(t *testing.T) {
	t.Parallel()
	c, _ := config("").(*Config)
	c.WebhookSecret = secret.Text{}
	s, err := c.Open(channel.Env{})
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range []func(*channel.Callback){nil, func(r *channel.Callback) { r.Header = http.Header{} }} {
		got, err := s.(channel.Receiver).Receipts(t.Context(), receipt(report1("Delivered", 0, ""), change))
		if err != nil || len(got) != 1 || got[0].Token != "dG9rZW4" || got[0].Status != channel.Delivered {
			t.Errorf("%+v, %v", got, err)
		}
	}
}

// asked returns the batch that Sinch is asked for.
func asked(t *testing.T, change func(*Config), m channel.Message) map[string]any {
	t.Helper()
	carrier := channeltest.NewCarrier(channeltest.Says(reply(201, `{"id":"x"}`)))
	defer carrier.Close()
	c, _ := config(carrier.URL).(*Config)
	change(c)
	s, err := c.Open(channel.Env{HTTP: carrier.Client(), Now: channeltest.Now})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	var f map[string]any
	if err := json.Unmarshal(carrier.Requests()[0].Body, &f); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestRequest(t *testing.T) {
	t.Parallel()
	m := channeltest.Message(channel.SMS)
	m.From, m.Callback, m.ExpiresAt, m.Text.Parts = "Acme", "", channeltest.Now().Add(-time.Hour), 12
	f := asked(t, func(c *Config) { c.Conversions = false }, m)
	if f["from"] != "Acme" || f["delivery_report"] != "none" || f["callback_url"] != nil || f["feedback_enabled"] != nil ||
		f["expire_at"] != "2026-11-23T08:00:10.000Z" || f["max_number_of_message_parts"] != 12.0 {
		t.Errorf("%v", f)
	}
	m.From, m.ExpiresAt = "", channeltest.Now().AddDate(1, 0, 0)
	f = asked(t, func(c *Config) { c.From = "" }, m)
	if _, has := f["from"]; has || f["expire_at"] != "2026-11-26T08:00:00.000Z" {
		t.Errorf("%v", f)
	}
	m.ExpiresAt = time.Time{}
	if f = asked(t, func(*Config) {}, m); f["expire_at"] != nil {
		t.Errorf("%v", f)
	}
}

// TestRegions: each region has its own address, and another address goes before.
func TestRegions(t *testing.T) {
	t.Parallel()
	for _, region := range regions() {
		s, err := (&Config{ServicePlanID: plan, Region: region}).Open(channel.Env{})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := s.(*sender).api.Base, "https://"+region+".sms.api.sinch.com/xms/v1/"+plan; got != want {
			t.Errorf("%s: %s", region, got)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for status, ok := range map[int]bool{200: true, 401: false, 404: false, 500: false} {
		c := channeltest.NewCarrier(channeltest.Says(reply(status, `{"count":0,"page":0,"batches":[],"page_size":0}`)))
		s, _ := config(c.URL).Open(channel.Env{HTTP: c.Client(), Now: channeltest.Now})
		if err := s.(channel.Checker).Check(t.Context()); (err == nil) != ok {
			t.Errorf("%d: %v", status, err)
		} else if status == 404 && !strings.Contains(err.Error(), "region") {
			t.Errorf("404: %v", err)
		}
		if r := c.Requests()[0]; r.Method != http.MethodGet || r.URL.String() != "/xms/v1/"+plan+"/batches?page_size=1" {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		c.Close()
	}
}

func TestConverted(t *testing.T) {
	t.Parallel()
	to := channeltest.Message(channel.SMS).To
	for status, ok := range map[int]bool{202: true, 404: false, 503: false} {
		c := channeltest.NewCarrier(channeltest.Says(reply(status, ``)))
		s, _ := config(c.URL).Open(channel.Env{HTTP: c.Client(), Now: channeltest.Now})
		if err := s.(channel.Feedback).Converted(t.Context(), "a/b?c", to, true); (err == nil) != ok {
			t.Errorf("%d: %v", status, err)
		}
		r := c.Requests()[0]
		if want := "/xms/v1/" + plan + "/batches/a%2Fb%3Fc/delivery_feedback"; r.Method != http.MethodPost ||
			r.URL.EscapedPath() != want || string(r.Body) != `{"recipients":["+447700900123"]}` {
			t.Errorf("%s %s %s", r.Method, r.URL, r.Body)
		}
		if err := s.(channel.Feedback).Converted(t.Context(), id, to, false); err != nil || len(c.Requests()) != 1 {
			t.Errorf("a code that was not typed: %v, %d requests", err, len(c.Requests()))
		}
		quiet, _ := (&Config{URL: c.URL}).Open(channel.Env{HTTP: c.Client(), Now: channeltest.Now})
		if err := quiet.(channel.Feedback).Converted(t.Context(), id, to, true); err != nil || len(c.Requests()) != 1 {
			t.Errorf("without conversions: %v, %d requests", err, len(c.Requests()))
		}
		c.Close()
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*Config){
		"service_plan_id":       func(c *Config) { c.ServicePlanID = "" },
		"service_plan_id: must": func(c *Config) { c.ServicePlanID = "a/b" },
		"api_token: is missing": func(c *Config) { c.APIToken = secret.Text{} },
		"api_token: must":       func(c *Config) { c.APIToken = secret.New("Bearer x") },
		"region":                func(c *Config) { c.Region = "mars" },
		"from":                  func(c *Config) { c.From = "a name that is too long" },
		"url":                   func(c *Config) { c.URL = "us.sms.api.sinch.com" },
	} {
		c, _ := config("https://us.sms.api.sinch.com").(*Config)
		change(c)
		if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func FuzzReceipts(f *testing.F) {
	f.Add(report1("Delivered", 0, `,"number_of_message_parts":2`), "", false)
	f.Add(summaryOf(`{"code":150,"status":"Failed","count":1}`), "", false)
	f.Add(report1("Delivered", 0, ""), "c2lnbmF0dXJl", true)
	f.Fuzz(func(t *testing.T, body, signature string, forged bool) {
		s, _ := config("").Open(channel.Env{})
		r := receipt(body, func(r *channel.Callback) {
			if forged {
				r.Header.Set("X-Sinch-Webhook-Signature", signature)
			}
		})
		got, err := s.(channel.Receiver).Receipts(t.Context(), r)
		if forged && err == nil {
			t.Errorf("a forged receipt was taken: %v", got)
		}
		if e, ok := errors.AsType[*channel.Error](err); err != nil && (!ok || e.Kind != channel.Refused) {
			t.Errorf("%v", err)
		}
		for _, g := range got {
			if !g.Status.Valid() || g.Parts < 0 || len(g.Code) > 64 {
				t.Errorf("%+v", g)
			}
		}
	})
}
