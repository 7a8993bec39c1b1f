package twofactor

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/channeltest"
	"github.com/dialproof/dialproof/internal/deliver/delivertest"
	"github.com/dialproof/dialproof/internal/secret"
)

const (
	apiKey = "s3cr3t-api-key"
	id     = "cab66fcc-b7ee-49b2-a55d-6e74551109b2"
)

func config(base string) channel.Opener {
	return &Config{
		APIKey:    secret.New(apiKey),
		From:      "ACMEIN",
		Template:  "login",
		Variables: []string{"code", "brand", "minutes"},
		URL:       base,
	}
}

func reply(status int, body string) channeltest.Reply {
	return channeltest.Reply{Status: status, Body: body}
}

// words returns the words that the code tells errors by.
func words() []string {
	var out []string
	for _, row := range errorTable() {
		out = append(out, strings.Join(row.words, " "))
	}
	return out
}

func TestTwoFactor(t *testing.T) {
	t.Parallel()
	fixture, err := os.ReadFile("testdata/accepted.json")
	if err != nil {
		t.Fatal(err)
	}
	h := channeltest.Harness{
		Provider: Provider(), Configure: config, Secrets: []string{apiKey},
		Accept: reply(200, string(fixture)), WantID: id,
		Request: func(r *http.Request, body []byte) error {
			if r.Method != http.MethodPost || r.URL.String() != "/API/R1/" {
				return fmt.Errorf("%s %s: key, number and code must not stand in the address", r.Method, r.URL)
			}
			f, err := url.ParseQuery(string(body))
			if err != nil {
				return err
			}
			for key, want := range map[string]string{
				"module": "TRANS_SMS", "apikey": apiKey, "to": "447700900123", "from": "ACMEIN", "templatename": "login",
				"var1": "90817263", "var2": "Acme", "var3": "5", "msg": "",
			} {
				if f.Get(key) != want {
					return fmt.Errorf("%s is %q, want %q", key, f.Get(key), want)
				}
			}
			return nil
		},
		Tables: map[string][]string{"answer": words()},
		Answer: func(e channeltest.Expected) string {
			return `{"Status":"Error","Details":"Fault of ` + strings.ToUpper(e.Error) + ` 447700900123"}`
		},
		Report: func(e channeltest.Expected) channel.Callback {
			return report("SessionId=" + id + "&SmsTo=447700900123&" + e.Body)
		},
		News:     func(n channeltest.News) channel.Callback { return report("SessionId=" + id + "&SmsStatus=" + n.Word) },
		Receipts: receiptRows(t),
	}
	channeltest.Run(t, h)
	delivertest.Run(t, h)
}

func report(form string) channel.Callback {
	u, _ := url.Parse("https://verify.example.com/callbacks/main/Zml4ZWQ")
	return channel.Callback{
		Method: http.MethodPost,
		URL:    u,
		Header: http.Header{},
		Body:   []byte(form),
		Now:    channeltest.Now(),
	}
}

func receiptRows(t *testing.T) []channeltest.ReceiptRow {
	t.Helper()
	fixture, err := os.ReadFile("testdata/delivered.form")
	if err != nil {
		t.Fatal(err)
	}
	rows := []channeltest.ReceiptRow{{
		Name:    "a whole report",
		Request: report(strings.TrimSpace(string(fixture))),
		Want:    []channel.Receipt{{ProviderID: id, Status: channel.Delivered}},
	}}
	add := func(name, form string, want channel.Receipt) {
		want.ProviderID = id
		rows = append(rows, channeltest.ReceiptRow{
			Name:    name,
			Request: report("SessionId=" + id + "&SmsTo=447700900123&" + form),
			Want:    []channel.Receipt{want},
		})
	}
	for status, want := range map[string]channel.Receipt{
		"DELIVERED":      {Status: channel.Delivered},
		"SENT":           {Status: channel.Sent},
		"SUBMITTED":      {Status: channel.Sent},
		"PENDING":        {Status: channel.Taken},
		"FAILED":         {Status: channel.Undelivered, Code: "FAILED", Kind: channel.Unavailable},
		"UNDELIVERED":    {Status: channel.Undelivered, Code: "UNDELIVERED", Kind: channel.Unavailable},
		"UNDELIVERABLE":  {Status: channel.Undelivered, Code: "UNDELIVERABLE", Kind: channel.Unavailable},
		"EXPIRED":        {Status: channel.Undelivered, Code: "EXPIRED", Kind: channel.Unavailable},
		"DELETED":        {Status: channel.Undelivered, Code: "DELETED", Kind: channel.Unavailable},
		"REJECTED":       {Status: channel.Failed, Code: "REJECTED", Kind: channel.Unavailable},
		"DLT-CNT-REJECT": {Status: channel.Failed, Code: "DLT-CNT-REJECT", Kind: channel.Refused},
		"delivered":      {Status: channel.Delivered},
		"SOMETHING":      {Status: channel.Taken},
	} {
		add(status, "SmsStatus="+status, want)
		add(status+" of the other interface", "mode=SMS_OTP&Status="+status, want)
	}
	add("no such subscriber", "SmsStatus=FAILED&ErrorGroupId=1&ErrorName=EC_UNKNOWN_SUBSCRIBER&ErrorPermanent=true",
		channel.Receipt{Status: channel.Undelivered, Code: "EC_UNKNOWN_SUBSCRIBER", Kind: channel.Rejected})
	add("switched off", "SmsStatus=FAILED&ErrorGroupId=1&ErrorName=EC_ABSENT_SUBSCRIBER&ErrorPermanent=false",
		channel.Receipt{Status: channel.Undelivered, Code: "EC_ABSENT_SUBSCRIBER", Kind: channel.Unavailable})
	add("the operator's fault", "SmsStatus=FAILED&ErrorGroupId=3&ErrorName=EC_SYSTEM_FAILURE&ErrorPermanent=true",
		channel.Receipt{Status: channel.Undelivered, Code: "EC_SYSTEM_FAILURE", Kind: channel.Unavailable})
	add("a reason that names a number", "SmsStatus=FAILED&ErrorName=447700900123",
		channel.Receipt{Status: channel.Undelivered, Code: "FAILED", Kind: channel.Unavailable})
	get := report("SessionId=" + id + "&SmsStatus=DELIVERED")
	get.Method = http.MethodGet
	return append(rows,
		channeltest.ReceiptRow{Name: "about nothing", Request: report("SmsStatus=DELIVERED"), Refused: true},
		channeltest.ReceiptRow{Name: "without a status", Request: report("SessionId=" + id), Refused: true},
		channeltest.ReceiptRow{Name: "no form", Request: report("%zz"), Refused: true},
		channeltest.ReceiptRow{Name: "not posted", Request: get, Refused: true},
	)
}

func TestRequest(t *testing.T) {
	t.Parallel()
	c := channeltest.NewCarrier(channeltest.Says(reply(200, `{"Status":"Success","Details":"x"}`)))
	defer c.Close()
	cfg := &Config{APIKey: secret.New(apiKey), URL: c.URL, Variables: []string{"code"}}
	s, _ := cfg.Open(channel.Env{HTTP: c.Client(), Now: channeltest.Now})
	m := channeltest.Message(channel.SMS)
	if _, err := s.Send(t.Context(), m); channel.AsError(name, err).Code != "no_sender" ||
		channel.AsError(name, err).Kind != channel.Refused {
		t.Errorf("without a sender: %v", err)
	}
	m.From = "OTHERS"
	if _, err := s.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	f, _ := url.ParseQuery(string(c.Requests()[0].Body))
	if f.Get("msg") != m.Text.Body || f.Get("from") != "OTHERS" || f.Has("templatename") || f.Has("var1") {
		t.Errorf("without a template: %v", f)
	}
	cfg.Template, cfg.Variables = "login", []string{"text", "minutes"}
	m.ExpiresAt = channeltest.Now().Add(-time.Hour)
	s, _ = cfg.Open(channel.Env{HTTP: c.Client(), Now: channeltest.Now})
	if _, err := s.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if f, _ = url.ParseQuery(string(c.Requests()[1].Body)); f.Get("var1") != m.Text.Body || f.Get("var2") != "1" ||
		f.Has("msg") {
		t.Errorf("with a template: %v", f)
	}
}

// TestCheck: the balance is asked for, and no error of the call names its address, which holds the key.
func TestCheck(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		answer channeltest.Reply
		ok     bool
	}{
		{reply(200, `{"Status":"Success","Details":"1000"}`), true},
		{reply(200, `{"Status":"Error","Details":"Invalid API Key"}`), false},
		{reply(400, `{"Status":"Error","Details":"Invalid API Key"}`), false},
		{reply(500, ""), false},
	} {
		carrier := channeltest.NewCarrier(channeltest.Says(c.answer))
		s, _ := config(carrier.URL).Open(channel.Env{HTTP: carrier.Client(), Now: channeltest.Now})
		check, _ := s.(channel.Checker)
		if err := check.Check(t.Context()); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c.answer, err)
		}
		if r := carrier.Requests()[0]; r.Method != http.MethodGet ||
			r.URL.Path != "/API/V1/"+apiKey+"/ADDON_SERVICES/BAL/TRANSACTIONAL_SMS" {
			t.Errorf("%s", r.Method)
		}
		carrier.Close()
		err := check.Check(t.Context())
		if e := channel.AsError(name, err); e.Kind != channel.Unavailable || e.Unwrap() != nil ||
			strings.Contains(fmt.Sprintf("%+v", err), apiKey) {
			t.Errorf("nobody is there: %+v", err)
		}
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*Config){
		"api_key: is":   func(c *Config) { c.APIKey = secret.Text{} },
		"api_key: must": func(c *Config) { c.APIKey = secret.New("a/b") },
		"from: must":    func(c *Config) { c.From = "a name" },
		"template: ":    func(c *Config) { c.Template = "a\nb" },
		"variables: ":   func(c *Config) { c.Variables = make([]string, 11) },
		"variables[1]":  func(c *Config) { c.Variables = []string{"code", "otp"} },
		"url: must":     func(c *Config) { c.URL = "https://2factor.in/API" },
	} {
		c, _ := config("https://2factor.in").(*Config)
		change(c)
		if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func FuzzReceipts(f *testing.F) {
	f.Add("POST", "SessionId=x&SmsStatus=DELIVERED")
	f.Add("POST", "SessionId=x&Status=DLT-CNT-REJECT&ErrorName=x")
	f.Add("GET", "SessionId=&Status=%zz")
	f.Fuzz(func(t *testing.T, method, form string) {
		r := report(form)
		r.Method = method
		s, _ := config("https://2factor.in").Open(channel.Env{})
		got, err := s.(channel.Receiver).Receipts(t.Context(), r)
		if e, ok := errors.AsType[*channel.Error](err); err != nil && (!ok || e.Kind != channel.Refused || len(got) > 0) {
			t.Errorf("%v, %v", got, err)
		}
		for _, g := range got {
			if !g.Status.Valid() || g.ProviderID == "" || len(g.Code) > 64 {
				t.Errorf("%+v", g)
			}
		}
	})
}
