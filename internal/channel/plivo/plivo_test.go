package plivo

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
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
	authID   = "MA0123456789ABCDEFGH"
	token    = "s3cr3t-auth-token"
	id       = "5b40a428-bfc7-4daf-9d06-726c558bf3b8"
	callUUID = "9834029e-58b6-11e1-b8b7-a5bd0e4e126f"
	callback = "https://verify.example.com/callbacks/main/dG9rZW4"
)

func config(base string) channel.Opener {
	return &Config{AuthID: authID, AuthToken: secret.New(token), From: "+447700900001", Log: "number_only", URL: base}
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

// The answers to a message and to a call, of the form that Plivo's library knows.
const (
	smsTaken  = `{"api_id":"x","message":"message(s) queued","message_uuid":["` + id + `"]}`
	callTaken = `{"api_id":"x","message":"call fired","request_uuid":"` + callUUID + `"}`
)

// TestFixtures: the answers that stand in the tests of Plivo's own library are read as ours are.
func TestFixtures(t *testing.T) {
	t.Parallel()
	for file, kind := range map[string]channel.Kind{"messageSendResponse.json": channel.SMS,
		"callCreateResponse.json": channel.Voice} {
		text, err := os.ReadFile(channeltest.SpecPath(t, "plivo/fixtures/"+file))
		if err != nil {
			t.Fatal(err)
		}
		c := channeltest.NewCarrier(channeltest.Says(reply(202, string(text))))
		if a, err := open(t, c.URL, c.Client()).Send(t.Context(), channeltest.Message(kind)); err != nil ||
			!strings.Contains(string(text), a.ID) {
			t.Errorf("%s: %+v, %v", file, a, err)
		}
		c.Close()
	}
}

// orderOf judges the frame of a request and answers its fields.
func orderOf(r *http.Request, body []byte, path string) (map[string]any, error) {
	user, password, _ := r.BasicAuth()
	if r.Method != http.MethodPost || r.URL.Path != "/v1/Account/"+authID+"/"+path || user != authID || password != token {
		return nil, errors.New("the credentials are not sent, or not to the right place")
	}
	var f map[string]any
	return f, json.Unmarshal(body, &f)
}

func TestSMS(t *testing.T) {
	t.Parallel()
	h := channeltest.Harness{
		Provider: Provider(), Configure: config, Secrets: []string{token}, Accept: reply(202, smsTaken), WantID: id,
		Request: func(r *http.Request, body []byte) error {
			f, err := orderOf(r, body, "Message/")
			if err != nil {
				return err
			}
			for key, want := range map[string]any{
				"src": "447700900001", "dst": "447700900123", "type": "sms", "url": callback, "method": "POST",
				"log":            "number_only",
				"message_expiry": 300.0, "powerpack_uuid": nil, "dlt_entity_id": nil,
			} {
				if f[key] != want {
					return fmt.Errorf("%s is %v, want %v", key, f[key], want)
				}
			}
			if text, _ := f["text"].(string); !strings.Contains(text, "90817263") {
				return errors.New("the text has no code")
			}
			return nil
		},
		Tables: map[string][]string{"receipt": channeltest.Keys(errorTable())},
		Answer: func(channeltest.Expected) string { return `{"api_id":"x","error":"no such thing for 447700900123"}` },
		Report: func(e channeltest.Expected) channel.Callback {
			return post("V3", "", formOf("undelivered", "ErrorCode", e.Error), nil)
		},
		News:     func(n channeltest.News) channel.Callback { return post("V3", "", formOf(n.Word), nil) },
		Receipts: messageRows(),
	}
	channeltest.Run(t, h)
	delivertest.Run(t, h)
}

func TestVoice(t *testing.T) {
	t.Parallel()
	h := channeltest.Harness{
		Provider:  Provider(),
		Configure: config,
		Secrets:   []string{token},
		Channel:   channel.Voice,
		Accept:    reply(201, callTaken),
		WantID:    callUUID,
		Request: func(r *http.Request, body []byte) error {
			f, err := orderOf(r, body, "Call/")
			if err != nil {
				return err
			}
			for key, want := range map[string]any{
				"from": "447700900001", "to": "447700900123", "answer_url": callback, "answer_method": "POST",
				"ring_url":   callback + "?step=ring",
				"hangup_url": callback + "?step=hangup", "hangup_method": "POST", "ring_timeout": 45.0, "time_limit": 180.0,
			} {
				if f[key] != want {
					return fmt.Errorf("%s is %v, want %v", key, f[key], want)
				}
			}
			if strings.Contains(string(body), "90817263") {
				return errors.New("the code is in the request")
			}
			return nil
		},
		Testdata: os.DirFS("testdata/voice"),
		Tables:   map[string][]string{"receipt": channeltest.Keys(hangupTable())},
		Answer:   func(channeltest.Expected) string { return `{"api_id":"x","error":"no such thing for 447700900123"}` },
		Report: func(e channeltest.Expected) channel.Callback {
			return post("V3", "hangup", callForm("Hangup", "failed", "HangupCauseCode", e.Error), nil)
		},
		News: func(n channeltest.News) channel.Callback {
			return post("V3", "hangup", callForm("Hangup", n.Word), nil)
		},
		Receipts: callRows(),
	}
	channeltest.Run(t, h)
	delivertest.Run(t, h)
}

func TestRequest(t *testing.T) {
	t.Parallel()
	c := channeltest.NewCarrier(channeltest.Says(reply(202, `{"message_uuid":["one","two"]}`)))
	defer c.Close()
	settings, _ := config(c.URL).(*Config)
	settings.From = ""
	s, _ := settings.Open(channel.Env{HTTP: c.Client(), Now: channeltest.Now})
	m := channeltest.Message(channel.SMS)
	if _, err := s.Send(t.Context(), m); channel.AsError(name, err).Code != "no_sender" ||
		channel.AsError(name, err).Kind != channel.Refused {
		t.Errorf("without a sender: %v", err)
	}
	settings.PowerpackUID = "5ec4c8c9-cd74-42b5-9e41-0d7670d6bb46"
	s, _ = settings.Open(channel.Env{HTTP: c.Client(), Now: channeltest.Now})
	m.Callback, m.ExpiresAt = "", channeltest.Now()
	if a, err := s.Send(t.Context(), m); err != nil || a.ID != "one" {
		t.Errorf("two ids: %+v, %v", a, err)
	}
	m.From = "ACMEIN"
	m.Regulatory = map[string]string{
		"dlt_entity_id":         "1101456324675322134",
		"dlt_template_id":       "1107457532145798767",
		"dlt_template_category": "service_implicit",
	}
	if _, err := s.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	var o [2]textOrder
	for i, r := range c.Requests() {
		if err := json.Unmarshal(r.Body, &o[i]); err != nil {
			t.Fatal(err)
		}
	}
	if o[0].Powerpack != settings.PowerpackUID || o[0].Source != "" || o[0].URL != "" || o[0].Method != "" ||
		o[0].Expiry != minExpiry {
		t.Errorf("%+v", o[0])
	}
	if o[1].Source != "ACMEIN" || o[1].Powerpack != "" || o[1].Entity != "1101456324675322134" ||
		o[1].Template != "1107457532145798767" || o[1].Category != "service_implicit" {
		t.Errorf("%+v", o[1])
	}
}

func TestCallRequest(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		change func(*channel.Message)
		want   string // the number shown, or the code of the refusal
		ring   int
	}{
		"a word as the sender": {func(m *channel.Message) { m.From = "Acme" }, "447700900001", 45},
		"the route's number":   {func(m *channel.Message) { m.From = "+447700900002" }, "447700900002", 45},
		"a code that dies": {func(m *channel.Message) { m.ExpiresAt = channeltest.Now().Add(20 * time.Second) },
			"447700900001", 20},
		"no public address": {func(m *channel.Message) { m.Callback = "" }, "no_callback", 0},
		"no voice":          {func(m *channel.Message) { m.Spoken.Locale = "am" }, "language", 0},
	} {
		c := channeltest.NewCarrier(channeltest.Says(reply(201, `{"request_uuid":"x"}`)))
		m := channeltest.Message(channel.Voice)
		row.change(&m)
		_, err := open(t, c.URL, c.Client()).Send(t.Context(), m)
		if row.ring == 0 {
			if e := channel.AsError("plivo", err); e.Code != row.want || e.Kind != channel.Refused || len(c.Requests()) > 0 {
				t.Errorf("%s: %v", name, err)
			}
			c.Close()
			continue
		}
		var o callOrder
		if err != nil || json.Unmarshal(c.Requests()[0].Body, &o) != nil || o.From != row.want || o.RingTimeout != row.ring {
			t.Errorf("%s: %v, %+v", name, err, o)
		}
		c.Close()
	}
	settings, _ := config("https://api.plivo.com").(*Config)
	settings.From = ""
	s, _ := settings.Open(channel.Env{Now: channeltest.Now})
	if _, err := s.Send(t.Context(), channeltest.Message(channel.Voice)); channel.AsError(name, err).Code != "no_sender" {
		t.Errorf("a call without a number: %v", err)
	}
}

func TestPause(t *testing.T) {
	t.Parallel()
	c := channeltest.NewCarrier(channeltest.Says(channeltest.Reply{Status: 429,
		Header: map[string]string{"Retry-After": "7"}}))
	defer c.Close()
	_, err := open(t, c.URL, c.Client()).Send(t.Context(), channeltest.Message(channel.SMS))
	if e := channel.AsError(name, err); e.Kind != channel.Throttled || e.RetryAfter != 7*time.Second {
		t.Errorf("%v after %s", e, e.RetryAfter)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for status, ok := range map[int]bool{200: true, 401: false, 500: false} {
		c := channeltest.NewCarrier(channeltest.Says(reply(status, `{"account_type":"standard","cash_credits":"9.5"}`)))
		if err := open(t, c.URL, c.Client()).(channel.Checker).Check(t.Context()); (err == nil) != ok {
			t.Errorf("%d: %v", status, err)
		}
		r := c.Requests()[0]
		if user, password, _ := r.BasicAuth(); r.Method != http.MethodGet || r.URL.Path != "/v1/Account/"+authID+"/" ||
			user != authID || password != token {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		c.Close()
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Config){
		"auth_id":        func(c *Config) { c.AuthID = "MA1" },
		"auth_token":     func(c *Config) { c.AuthToken = secret.Text{} },
		"from":           func(c *Config) { c.From = "a name that is too long" },
		"powerpack_uuid": func(c *Config) { c.PowerpackUID = "mine" },
		"log":            func(c *Config) { c.Log = "maybe" },
		"url":            func(c *Config) { c.URL = "api.plivo.com" },
	} {
		c, _ := config("https://api.plivo.com").(*Config)
		change(c)
		if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
