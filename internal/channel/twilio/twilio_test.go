package twilio

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/channeltest"
	"github.com/dialproof/dialproof/internal/deliver/delivertest"
	"github.com/dialproof/dialproof/internal/secret"
)

const (
	account = "AC0123456789abcdef0123456789abcdef"
	sid     = "SM0123456789abcdef0123456789abcdef"
	token   = "s3cr3t-auth-token"
)

func config(base string) channel.Opener {
	return &Config{
		AccountSID: account, AuthToken: secret.New(token), BaseURL: base, DiscardContent: true,
		MessagingServiceSID: "MG0123456789abcdef0123456789abcdef", CallerID: "+447700900001", RiskCheck: "disable",
	}
}

func reply(status int, body string) channeltest.Reply {
	return channeltest.Reply{Status: status, Body: body}
}

func harness(t *testing.T) channeltest.Harness {
	t.Helper()
	spec := channeltest.LoadSpec(t, "twilio/twilio_api_v2010.trimmed.json")
	return channeltest.Harness{
		Provider:  Provider(),
		Configure: config,
		Secrets:   []string{token},
		Accept: reply(201,
			`{"sid":"`+sid+`","status":"queued","num_segments":"1","price":null,"price_unit":"USD","error_code":null}`),
		WantID: sid,
		Request: func(r *http.Request, body []byte) error {
			if user, password, _ := r.BasicAuth(); user != account || password != token {
				return fmt.Errorf("the credentials are not sent")
			}
			form, _ := url.ParseQuery(string(body))
			for key, want := range map[string]string{
				"To": "+447700900123", "ValidityPeriod": "300", "ContentRetention": "discard", "ProvideFeedback": "true",
				"RiskCheck":           "disable",
				"StatusCallback":      "https://verify.example.com/callbacks/main/dG9rZW4",
				"MessagingServiceSid": "MG0123456789abcdef0123456789abcdef",
			} {
				if form.Get(key) != want {
					return fmt.Errorf("%s is %q, want %q", key, form.Get(key), want)
				}
			}
			if !strings.Contains(form.Get("Body"), "90817263") {
				return fmt.Errorf("the text has no code")
			}
			return spec.Judge(r, body, "/2010-04-01/Accounts/{AccountSid}/Messages.json",
				map[string]string{"AccountSid": account})
		},
		Tables: map[string][]string{"answer receipt": channeltest.Keys(errorTable())},
		Answer: func(e channeltest.Expected) string {
			return `{"code":` + e.Error + `,"message":"for +447700900123","status":400}`
		},
		Report:   func(e channeltest.Expected) channel.Callback { return report("undelivered", e.Error) },
		News:     func(n channeltest.News) channel.Callback { return report(n.Word, "") },
		Receipts: receiptRows(),
	}
}

// receipt signs a form as Twilio does.
func receipt(form url.Values, change func(*channel.Callback)) channel.Callback {
	u, _ := url.Parse("https://verify.example.com/callbacks/main/dG9rZW4")
	r := channel.Callback{
		Method: http.MethodPost,
		URL:    u,
		Header: http.Header{},
		Body:   []byte(form.Encode()),
		Now:    channeltest.Now(),
	}
	r.Header.Set("X-Twilio-Signature", signature(token, u.String(), form))
	if change != nil {
		change(&r)
	}
	return r
}

// report returns the receipt of a message with a status and, where it has one, an error code.
func report(status, code string) channel.Callback {
	form := url.Values{"MessageSid": {sid}, "MessageStatus": {status}, "AccountSid": {account}, "To": {"+447700900123"}}
	if code != "" {
		form.Set("ErrorCode", code)
	}
	return receipt(form, nil)
}

func receiptRows() []channeltest.ReceiptRow {
	var rows []channeltest.ReceiptRow
	failed := url.Values{"MessageSid": {sid}, "MessageStatus": {"undelivered"}, "ErrorCode": {"30005"}}
	rows = append(rows, channeltest.ReceiptRow{
		Name:    "with an error",
		Request: receipt(failed, nil),
		Want:    []channel.Receipt{{ProviderID: sid, Status: channel.Undelivered, Code: "30005", Kind: channel.Rejected}},
	})
	for name, change := range map[string]func(*channel.Callback){
		"no signature": func(r *channel.Callback) { r.Header.Del("X-Twilio-Signature") },
		"another's": func(r *channel.Callback) {
			r.Header.Set("X-Twilio-Signature", signature("other", r.URL.String(), failed))
		},
		"another address": func(r *channel.Callback) { u, _ := url.Parse("https://evil.example.com/"); r.URL = u },
		"another status": func(r *channel.Callback) {
			r.Body = []byte(strings.Replace(string(r.Body), "undelivered", "delivered", 1))
		},
		"a broken escape": func(r *channel.Callback) { r.Body = []byte("%zz") },
		"no base64":       func(r *channel.Callback) { r.Header.Set("X-Twilio-Signature", "***") },
	} {
		rows = append(rows, channeltest.ReceiptRow{Name: name, Request: receipt(failed, change), Refused: true})
	}
	empty := url.Values{"AccountSid": {account}}
	return append(rows, channeltest.ReceiptRow{Name: "about nothing", Request: receipt(empty, nil), Refused: true})
}

func TestTwilio(t *testing.T) {
	t.Parallel()
	h := harness(t)
	channeltest.Run(t, h)
	delivertest.Run(t, h)
}

// TestVectors holds the signature against those of Twilio's own SDK.
func TestVectors(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(channeltest.SpecPath(t, "vectors/webhook-signatures.json"))
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		Provider, Case, Secret, URL, Body, Signature string
		Params                                       map[string]string
	}
	if err := json.Unmarshal(text, &vectors); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, v := range vectors {
		if v.Provider != "twilio" {
			continue
		}
		n++
		form := url.Values{}
		for k, p := range v.Params {
			form.Set(k, p)
		}
		u, _ := url.Parse(v.URL)
		r := channel.Callback{URL: u, Header: http.Header{"X-Twilio-Signature": {v.Signature}}, Body: []byte(v.Body)}
		if !signed(v.Secret, r, form) {
			t.Errorf("%s: the signature is not accepted", v.Case)
		}
		if signed(v.Secret+"x", r, form) {
			t.Errorf("%s: the signature of another secret is accepted", v.Case)
		}
		with := *u
		with.Host += ":443"
		r.URL = &with
		if !signed(v.Secret, r, form) {
			t.Errorf("%s: not accepted behind a port", v.Case)
		}
	}
	if n < 3 {
		t.Errorf("%d vectors of Twilio's, want 3", n)
	}
}

func TestCheckAndFeedback(t *testing.T) {
	t.Parallel()
	for body, ok := range map[string]bool{`{"status":"active"}`: true, `{"status":"suspended"}`: false} {
		c := channeltest.NewCarrier(channeltest.Says(reply(200, body)))
		s, err := config(c.URL).Open(channel.Env{HTTP: c.Client(), Now: channeltest.Now})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.(channel.Checker).Check(t.Context()); (err == nil) != ok {
			t.Errorf("%s: %v", body, err)
		}
		c.Close()
	}
	c := channeltest.NewCarrier(channeltest.Says(reply(201, `{}`)))
	defer c.Close()
	s, _ := config(c.URL).Open(channel.Env{HTTP: c.Client(), Now: channeltest.Now})
	if err := s.(channel.Feedback).Converted(t.Context(), sid, channeltest.Message(channel.SMS).To, true); err != nil {
		t.Fatal(err)
	}
	r := c.Requests()[0]
	if want := "/2010-04-01/Accounts/" + account + "/Messages/" + sid + "/Feedback.json"; r.URL.Path != want ||
		string(r.Body) != "Outcome=confirmed" {
		t.Errorf("%s %s", r.URL.Path, r.Body)
	}
}

// TestFeedbackOfCalls: Twilio takes no word of calls, so none is sent.
func TestFeedbackOfCalls(t *testing.T) {
	t.Parallel()
	c := channeltest.NewCarrier(channeltest.Says(reply(404, `{}`)))
	defer c.Close()
	s, _ := config(c.URL).Open(channel.Env{HTTP: c.Client(), Now: channeltest.Now})
	for _, id := range []string{callSID, "", "SM1/../../x"} {
		if err := s.(channel.Feedback).Converted(t.Context(), id, channeltest.Message(channel.SMS).To, true); err != nil ||
			len(c.Requests()) != 0 {
			t.Errorf("%q: %v after %d requests", id, err, len(c.Requests()))
		}
	}
	if err := s.(channel.Feedback).Converted(t.Context(), sid, channeltest.Message(channel.SMS).To, false); err == nil ||
		string(c.Requests()[0].Body) != "Outcome=unconfirmed" {
		t.Errorf("a message that is not known: %v", err)
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Config){
		"account_sid":           func(c *Config) { c.AccountSID = "AC1" },
		"auth_token":            func(c *Config) { c.AuthToken = secret.Text{} },
		"api_key_sid":           func(c *Config) { c.APIKeySID = "SK1" },
		"api_key_secret":        func(c *Config) { c.APIKeySecret = secret.New("x") },
		"messaging_service_sid": func(c *Config) { c.MessagingServiceSID = "x" },
		"caller_id":             func(c *Config) { c.CallerID = "Acme" },
		"risk_check":            func(c *Config) { c.RiskCheck = "yes" },
		"voices":                func(c *Config) { c.Voices = map[string]string{"de": "<Hans>"} },
		"base_url":              func(c *Config) { c.BaseURL = "api.twilio.com" },
	} {
		c, _ := config("https://api.twilio.com").(*Config)
		change(c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// signature signs as Twilio does, written apart from the code under test.
func signature(key, address string, form url.Values) string {
	keys := slices.Sorted(maps.Keys(form))
	text := address
	for _, k := range keys {
		text += k + form.Get(k)
	}
	return hmacSHA1(key, text)
}

func FuzzReceipts(f *testing.F) {
	f.Add("MessageSid=SM1&MessageStatus=delivered", "sig", "https://x/y?bodySHA256=00")
	f.Add("CallSid=CA1&CallStatus=completed", "", "https://x/y?step=progress")
	f.Add("CallSid=CA1&Digits=1", "", "https://x/y?step=key1")
	f.Fuzz(func(t *testing.T, body, sig, address string) {
		u, err := url.Parse(address)
		if err != nil {
			return
		}
		s, _ := config("https://api.twilio.com").Open(channel.Env{})
		r := channel.Callback{URL: u, Body: []byte(body), Header: http.Header{"X-Twilio-Signature": {sig}}}
		if got, err := s.(channel.Receiver).Receipts(t.Context(), r); err == nil {
			t.Errorf("an unsigned receipt was taken: %v", got)
		}
		form, err := url.ParseQuery(body)
		if err != nil || strings.Contains(u.RawQuery, "bodySHA256") {
			return
		}
		r.Header.Set("X-Twilio-Signature", signature(token, addresses(*u)[0], form))
		got, err := s.(channel.Receiver).Receipts(t.Context(), r)
		if e, ok := errors.AsType[*channel.Error](err); err != nil && (!ok || e.Kind != channel.Refused) {
			t.Errorf("%v", err)
		}
		for _, g := range got {
			if !g.Status.Valid() || g.ProviderID == "" {
				t.Errorf("%+v", g)
			}
		}
		r.Message = func(context.Context) (channel.Message, bool, error) {
			return channeltest.Message(channel.Voice), true, nil
		}
		if reply, ok := s.(channel.Answerer).Answer(t.Context(), r); ok && xml.Unmarshal(reply.Body, new(struct{})) != nil {
			t.Errorf("%q is no XML", reply.Body)
		}
	})
}
