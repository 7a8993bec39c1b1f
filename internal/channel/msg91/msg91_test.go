package msg91

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/channeltest"
	"github.com/dialproof/dialproof/internal/deliver/delivertest"
	"github.com/dialproof/dialproof/internal/secret"
)

const (
	authKey  = "s3cr3t-auth-key"
	template = "61a1b2c3d4e5f60718293a4b"
	id       = "3763646c3058373530393938"
)

func config(base string) channel.Opener {
	return &Config{
		AuthKey:     secret.New(authKey),
		TemplateID:  template,
		Variables:   map[string]string{"OTP": "code", "APP": "brand", "MIN": "minutes"},
		From:        "ACMEIN",
		Currency:    "INR",
		BalanceType: 4,
		URL:         base,
	}
}

func reply(status int, body string) channeltest.Reply {
	return channeltest.Reply{Status: status, Body: body}
}

func fixture(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

func judgeRequest(r *http.Request, body []byte) error {
	if r.Method != http.MethodPost || r.URL.String() != "/api/v5/flow/" || r.Header.Get("authkey") != authKey {
		return errors.New("the credentials are not sent, or not to the right place")
	}
	var o order
	if err := json.Unmarshal(body, &o); err != nil {
		return err
	}
	if o.TemplateID != template || o.Sender != "ACMEIN" || o.ShortURL != "0" || o.RealTimeResponse != "1" ||
		len(o.Recipients) != 1 {
		return fmt.Errorf("%+v", o)
	}
	for key, want := range map[string]string{"mobiles": "447700900123", "OTP": "90817263", "APP": "Acme", "MIN": "5"} {
		if got := o.Recipients[0][key]; got != want {
			return fmt.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	return nil
}

func TestMSG91(t *testing.T) {
	t.Parallel()
	h := channeltest.Harness{
		Provider: Provider(), Configure: config, Secrets: []string{authKey},
		Accept: reply(200, fixture(t, "accepted.json")), WantID: id, Request: judgeRequest, Receipts: receiptRows(t),
		Tables: map[string][]string{"answer": channeltest.Keys(errorTable()), "answer.words": words(), "receipt": failing()},
		Answer: func(e channeltest.Expected) string {
			switch e.Where {
			case "answer.words":
				return `{"type":"error","message":"` + strings.ToUpper(e.Error) + ` 447700900123"}`
			case "answer.interface":
				return `{"status":"fail","hasError":true,"errors":"Unauthorized","code":"401","apiError":"` + e.Error + `"}`
			case "answer.number":
				return `{"type":"error","code":` + e.Error + `}`
			}
			return `{"type":"error","message":"for 447700900123","code":"` + e.Error + `"}`
		},
		Report: func(e channeltest.Expected) channel.Callback { return told(e.Error, e.Body) },
		News:   func(n channeltest.News) channel.Callback { return told(n.Word, "") },
	}
	channeltest.Run(t, h)
	delivertest.Run(t, h)
}

// words returns the words that the code tells errors by.
func words() []string {
	var out []string
	for _, row := range errorTable() {
		out = append(out, row.words...)
	}
	return out
}

// failing returns the statuses of a message that failed that the code knows.
func failing() []string {
	var out []string
	for status, row := range statusTable() {
		if row.kind != "" {
			out = append(out, status)
		}
	}
	return out
}

// told returns a report of a status, with a reason.
func told(status, reason string) channel.Callback {
	return callback(`{"requestId":"` + id + `","telNum":"447700900123","smsLength":"1","status":"` +
		strings.ToUpper(status) + `","failureReason":"` + reason + `"}`)
}

// TestTable: every row has its place where words decide.
func TestTable(t *testing.T) {
	t.Parallel()
	table := errorTable()
	for code := range table {
		if !slices.Contains(byWords(), code) {
			t.Errorf("%s has no place", code)
		}
	}
	if len(byWords()) != len(table) {
		t.Errorf("%d places for %d rows", len(byWords()), len(table))
	}
}

func callback(body string) channel.Callback {
	u, _ := url.Parse("https://verify.example.com/callbacks/main/Zml4ZWQ")
	return channel.Callback{
		Method: http.MethodPost,
		URL:    u,
		Header: http.Header{},
		Body:   []byte(body),
		Now:    channeltest.Now(),
	}
}

func receiptRows(t *testing.T) []channeltest.ReceiptRow {
	t.Helper()
	delivered := []channel.Receipt{{ProviderID: id, Status: channel.Delivered, Price: "0.18", Currency: "INR"}}
	rows := []channeltest.ReceiptRow{
		{Name: "version 2", Request: callback(fixture(t, "v2.form")), Want: delivered},
		{Name: "version 3", Request: callback(fixture(t, "v3.json")), Want: delivered},
		{Name: "version 4 names no message", Request: callback(fixture(t, "v4.json")), Refused: true},
		{
			Name: "several at once",
			Request: callback("data=" +
				url.QueryEscape(`[{"requestId":"a","report":[{"status":1}]},{"requestId":"b","report":[{"status":"2"}]}]`)),
			Want: []channel.Receipt{
				{ProviderID: "a", Status: channel.Delivered},
				{ProviderID: "b", Status: channel.Undelivered, Code: "2", Kind: channel.Unavailable},
			},
		},
	}
	add := func(name, fields string, want channel.Receipt) {
		want.ProviderID = id
		rows = append(rows, channeltest.ReceiptRow{
			Name:    name,
			Request: callback(`{"requestId":"` + id + `","telNum":"447700900123",` + fields + `}`),
			Want:    []channel.Receipt{want},
		})
	}
	add("a new status", `"status":"77"`, channel.Receipt{Status: channel.Taken})
	add("a price that is none", `"status":"1","amount":"much"`, channel.Receipt{Status: channel.Delivered})
	add("no price", `"status":1,"amount":0`, channel.Receipt{Status: channel.Delivered})
	get := callback(fixture(t, "v3.json"))
	get.Method = http.MethodGet
	return append(rows, channeltest.ReceiptRow{Name: "about nothing", Request: callback(`{"status":"1"}`), Refused: true},
		channeltest.ReceiptRow{Name: "without a status", Request: callback(`{"requestId":"x"}`), Refused: true},
		channeltest.ReceiptRow{Name: "no data", Request: callback(`date=x`), Refused: true},
		channeltest.ReceiptRow{Name: "data without reports", Request: callback(`data=[]`), Refused: true},
		channeltest.ReceiptRow{
			Name: "too many",
			Request: callback("data=" +
				url.QueryEscape(`[{"requestId":"a","report":[`+strings.Repeat(`{"status":1},`, maxReports)+`{"status":1}]}]`)),
			Refused: true,
		}, channeltest.ReceiptRow{Name: "not posted", Request: get, Refused: true},
	)
}

func TestRequest(t *testing.T) {
	t.Parallel()
	c := channeltest.NewCarrier(channeltest.Says(reply(200, `{"type":"success","request_id":"x"}`)))
	defer c.Close()
	cfg := &Config{
		AuthKey:    secret.New(authKey),
		TemplateID: template,
		URL:        c.URL,
		Variables:  map[string]string{"T": "text", "M": "minutes"},
		Templates:  map[string]string{"hi": "hindi-template", "pt-BR": "brazil-template"},
	}
	s, _ := cfg.Open(channel.Env{HTTP: c.Client(), Now: channeltest.Now})
	m := channeltest.Message(channel.SMS)
	m.ExpiresAt = channeltest.Now().Add(-time.Hour)
	for i, want := range []struct{ locale, template string }{{"en", template}, {"hi-IN", "hindi-template"},
		{"hi", "hindi-template"}, {"pt-BR", "brazil-template"}, {"pt-PT", template}, {"", template}} {
		m.Locale = want.locale
		if a, err := s.Send(t.Context(), m); err != nil || a.ID != "x" {
			t.Fatalf("%+v, %v", a, err)
		}
		var o order
		if err := json.Unmarshal(c.Requests()[i].Body, &o); err != nil {
			t.Fatal(err)
		}
		if o.TemplateID != want.template || o.Sender != "" || o.Recipients[0]["T"] != m.Text.Body ||
			o.Recipients[0]["M"] != "1" {
			t.Errorf("%s: %+v", want.locale, o)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		answer channeltest.Reply
		ok     bool
	}{
		{reply(200, "5120"), true},
		{reply(200, "12.5\n"), true},
		{reply(200, "Authentication failure"), false},
		{reply(200, `{"type":"error","message":"Authentication failure"}`), false},
		{reply(401, ""), false},
		{reply(500, "1"), false},
	} {
		carrier := channeltest.NewCarrier(channeltest.Says(c.answer))
		s, _ := config(carrier.URL).Open(channel.Env{HTTP: carrier.Client(), Now: channeltest.Now})
		if err := s.(channel.Checker).Check(t.Context()); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c.answer, err)
		}
		if r := carrier.Requests()[0]; r.URL.String() != "/api/balance.php" ||
			string(r.Body) != "authkey="+authKey+"&type=4" {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		carrier.Close()
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*Config){
		"auth_key: is":     func(c *Config) { c.AuthKey = secret.Text{} },
		"auth_key: must":   func(c *Config) { c.AuthKey = secret.New("a b") },
		"template_id: ":    func(c *Config) { c.TemplateID = "" },
		"templates.hi: ":   func(c *Config) { c.Templates = map[string]string{"hi": "x"} },
		"templates: must":  func(c *Config) { c.Templates = many(101) },
		"variables.X: ":    func(c *Config) { c.Variables = map[string]string{"X": "otp"} },
		"variables: the":   func(c *Config) { c.Variables = map[string]string{"mobiles": "code"} },
		"variables: one":   func(c *Config) { c.Variables = map[string]string{"X": "brand"} },
		"variables: must":  func(c *Config) { c.Variables = many(21) },
		"from: must":       func(c *Config) { c.From = "a name" },
		"currency: must":   func(c *Config) { c.Currency = "rupees" },
		"balance_type: mu": func(c *Config) { c.BalanceType = -1 },
		"url: must":        func(c *Config) { c.URL = "control.msg91.com" },
	} {
		c, _ := config("https://control.msg91.com").(*Config)
		change(c)
		if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func many(n int) map[string]string {
	out := map[string]string{}
	for i := range n {
		out[fmt.Sprint(i)] = template
	}
	return out
}

func FuzzReceipts(f *testing.F) {
	f.Add("POST", `{"requestId":"x","status":"1"}`)
	f.Add("POST", "data="+url.QueryEscape(`[{"requestId":"a","report":[{"status":1,"amount":1e9}]}]`))
	f.Add("GET", "data=%zz")
	f.Fuzz(func(t *testing.T, method, body string) {
		r := callback(body)
		r.Method = method
		s, _ := config("https://control.msg91.com").Open(channel.Env{})
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
