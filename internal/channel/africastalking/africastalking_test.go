package africastalking

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/channeltest"
	"github.com/dialproof/dialproof/internal/deliver/delivertest"
	"github.com/dialproof/dialproof/internal/secret"
)

const (
	apiKey = "s3cr3t-api-key"
	id     = "ATXid_0123456789abcdef0123456789abcdef"
)

func config(base string) channel.Opener {
	return &Config{Username: "acme", APIKey: secret.New(apiKey), From: "ACME", URL: base}
}

func reply(status int, body string) channeltest.Reply {
	return channeltest.Reply{Status: status, Body: body}
}

// codes returns the codes of a recipient that the code knows, and words their names.
func codes() []string {
	var out []string
	for code := range errorTable() {
		out = append(out, strconv.Itoa(code))
	}
	return out
}

func words() []string {
	var out []string
	for _, row := range errorTable() {
		out = append(out, row.word)
	}
	return out
}

func TestAfricasTalking(t *testing.T) {
	t.Parallel()
	fixture, err := os.ReadFile("testdata/accepted.json")
	if err != nil {
		t.Fatal(err)
	}
	h := channeltest.Harness{
		Provider: Provider(), Configure: config, Secrets: []string{apiKey},
		Accept: reply(201, string(fixture)), WantID: id,
		Request: func(r *http.Request, body []byte) error {
			if r.Method != http.MethodPost || r.URL.Path != "/version1/messaging" || r.Header.Get("apiKey") != apiKey ||
				r.Header.Get("Accept") != "application/json" {
				return errors.New("the credentials are not sent, or not to the right place")
			}
			f, err := url.ParseQuery(string(body))
			if err != nil {
				return err
			}
			for key, want := range map[string]string{"username": "acme", "to": "+447700900123", "from": "ACME",
				"bulkSMSMode": "1"} {
				if f.Get(key) != want {
					return fmt.Errorf("%s is %q, want %q", key, f.Get(key), want)
				}
			}
			if !strings.Contains(f.Get("message"), "90817263") {
				return errors.New("the text has no code")
			}
			return nil
		},
		Tables: map[string][]string{"recipient": codes(), "all": words(), "receipt": channeltest.Keys(failures())},
		Answer: func(e channeltest.Expected) string {
			if e.Where == "all" {
				return `{"SMSMessageData":{"Message":"` + e.Error + `","Recipients":[]}}`
			}
			return `{"SMSMessageData":{"Message":"Sent to 0/1 Total Cost: 0","Recipients":[{"cost":"0","messageId":"None",` +
				`"number":"+447700900123","status":"x","statusCode":` + e.Error + `}]}}`
		},
		Report: func(e channeltest.Expected) channel.Callback {
			return report("id=" + id + "&phoneNumber=%2B447700900123&status=Failed&failureReason=" + e.Code)
		},
		News:     func(n channeltest.News) channel.Callback { return report("id=" + id + "&status=" + n.Word) },
		Receipts: receiptRows(),
	}
	channeltest.Run(t, h)
	delivertest.Run(t, h)
}

func report(form string) channel.Callback {
	u, _ := url.Parse("https://verify.example.com/callbacks/main/Zml4ZWQ")
	return channel.Callback{
		Method: http.MethodPost,
		URL:    u,
		Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
		Body:   []byte(form),
		Now:    channeltest.Now(),
	}
}

func receiptRows() []channeltest.ReceiptRow {
	var rows []channeltest.ReceiptRow
	add := func(name, more string, want channel.Receipt) {
		want.ProviderID = id
		rows = append(rows, channeltest.ReceiptRow{
			Name: name, Want: []channel.Receipt{want},
			Request: report("id=" + id + "&phoneNumber=%2B447700900123&networkCode=99999&retryCount=0&status=" + more),
		})
	}
	for status, want := range map[string]channel.Receipt{
		"Sent":             {Status: channel.Sent},
		"Submitted":        {Status: channel.Sent},
		"Buffered":         {Status: channel.Sent},
		"Success":          {Status: channel.Delivered},
		"Rejected":         {Status: channel.Failed, Code: "unknown", Kind: channel.Unavailable},
		"Failed":           {Status: channel.Undelivered, Code: "unknown", Kind: channel.Unavailable},
		"AbsentSubscriber": {Status: channel.Undelivered, Code: "AbsentSubscriber", Kind: channel.Unavailable},
		"Expired":          {Status: channel.Undelivered, Code: "Expired", Kind: channel.Unavailable},
		"SomethingNew":     {Status: channel.Taken},
	} {
		add(status, status, want)
	}
	add("rejected with a reason", "Rejected&failureReason=UserInBlackList",
		channel.Receipt{Status: channel.Failed, Code: "UserInBlackList", Kind: channel.Rejected})
	add("a reason that names a number", "Failed&failureReason=447700900123",
		channel.Receipt{Status: channel.Undelivered, Code: "unknown", Kind: channel.Unavailable})
	add("a reason with a good end", "Success&failureReason=UserInBlackList", channel.Receipt{Status: channel.Delivered})
	get := report("id=" + id + "&status=Success")
	get.Method = http.MethodGet
	return append(rows,
		channeltest.ReceiptRow{Name: "about nothing", Request: report("status=Success"), Refused: true},
		channeltest.ReceiptRow{Name: "without a status", Request: report("id=" + id), Refused: true},
		channeltest.ReceiptRow{Name: "no form", Request: report("%zz"), Refused: true},
		channeltest.ReceiptRow{Name: "not posted", Request: get, Refused: true},
	)
}

// TestAnswer: what is said of price and parts is kept, and what is no price is not.
func TestAnswer(t *testing.T) {
	t.Parallel()
	for cost, want := range map[string]string{"KES 0.8000": "0.8000 KES", "0": "", "": "", "KES much": "", "KES -1": ""} {
		c := channeltest.NewCarrier(channeltest.Says(reply(201,
			`{"SMSMessageData":{"Recipients":[{"cost":"`+cost+`","messageId":"x","statusCode":100,"messageParts":2}]}}`)))
		s, _ := (&Config{Username: "acme", APIKey: secret.New(apiKey), URL: c.URL}).Open(channel.Env{HTTP: c.Client(),
			Now: channeltest.Now})
		m := channeltest.Message(channel.SMS)
		a, err := s.Send(t.Context(), m)
		if got := strings.TrimSpace(a.Price + " " + a.Currency); err != nil || got != want || a.Parts != 2 {
			t.Errorf("%q: %+v, %v", cost, a, err)
		}
		if f, _ := url.ParseQuery(string(c.Requests()[0].Body)); f.Has("from") {
			t.Errorf("a sender was sent without one: %v", f)
		}
		m.From = "20880"
		_, _ = s.Send(t.Context(), m)
		if f, _ := url.ParseQuery(string(c.Requests()[1].Body)); f.Get("from") != "20880" {
			t.Errorf("the route's sender was not sent: %v", f)
		}
		c.Close()
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for status, ok := range map[int]bool{200: true, 401: false, 500: false} {
		c := channeltest.NewCarrier(channeltest.Says(reply(status, `{"UserData":{"balance":"KES 12.3"}}`)))
		s, _ := config(c.URL).Open(channel.Env{HTTP: c.Client(), Now: channeltest.Now})
		if err := s.(channel.Checker).Check(t.Context()); (err == nil) != ok {
			t.Errorf("%d: %v", status, err)
		}
		if r := c.Requests()[0]; r.Method != http.MethodGet || r.URL.String() != "/version1/user?username=acme" ||
			r.Header.Get("apiKey") != apiKey {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		c.Close()
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*Config){
		"username: is":   func(c *Config) { c.Username = "" },
		"username: must": func(c *Config) { c.Username = "a b" },
		"api_key: is":    func(c *Config) { c.APIKey = secret.Text{} },
		"api_key: must":  func(c *Config) { c.APIKey = secret.New("a b") },
		"from: must":     func(c *Config) { c.From = "a name that is too long" },
		"url: must":      func(c *Config) { c.URL = "api.africastalking.com" },
	} {
		c, _ := config("https://api.africastalking.com").(*Config)
		change(c)
		if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	for username, want := range map[string]string{"acme": "https://api.africastalking.com",
		"sandbox": "https://api.sandbox.africastalking.com"} {
		if got := (&Config{Username: username}).base(); got != want {
			t.Errorf("%s goes to %s", username, got)
		}
	}
}

func FuzzReceipts(f *testing.F) {
	f.Add("POST", "id=x&status=Success")
	f.Add("POST", "id=x&status=Failed&failureReason=UserInBlackList")
	f.Add("GET", "id=&status=%zz")
	f.Fuzz(func(t *testing.T, method, form string) {
		r := report(form)
		r.Method = method
		s, _ := config("https://api.africastalking.com").Open(channel.Env{})
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
