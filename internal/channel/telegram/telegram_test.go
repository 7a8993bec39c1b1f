package telegram

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/channeltest"
	"github.com/dialproof/dialproof/internal/deliver/delivertest"
	"github.com/dialproof/dialproof/internal/message"
	"github.com/dialproof/dialproof/internal/secret"
)

const (
	token    = "s3cr3t-gateway-token"
	request  = "13983910122110"
	callback = "https://verify.example.com/callbacks/main/dG9rZW4"
	accepted = `{"ok":true,"result":{"request_id":"` + request + `","phone_number":"447700900123","request_cost":0.01,` +
		`"remaining_balance":9.99,"delivery_status":{"status":"sent","updated_at":1795420800}}}`
)

func config(base string) channel.Opener {
	return &Config{Token: secret.New(token), SenderUsername: "acme_codes", URL: base}
}

func open(t testing.TB, base string, client *http.Client, change func(*Config)) channel.Sender {
	t.Helper()
	c, _ := config(base).(*Config)
	if change != nil {
		change(c)
	}
	s, err := c.Open(channel.Env{HTTP: client, Now: channeltest.Now})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func reply(status int, body string) channeltest.Reply {
	return channeltest.Reply{Status: status, Body: body}
}

func TestTelegram(t *testing.T) {
	t.Parallel()
	h := channeltest.Harness{
		Provider: Provider(), Configure: config, Secrets: []string{token}, Channel: channel.Telegram,
		Accept: reply(200, accepted), WantID: request,
		WithoutID: reply(200, `{"ok":true,"result":{}}`),
		Request: func(r *http.Request, body []byte) error {
			if r.Method != http.MethodPost || r.URL.Path != "/sendVerificationMessage" ||
				r.Header.Get("Authorization") != "Bearer "+token {
				return errors.New("the credentials are not sent, or not to the right place")
			}
			return fields(body, map[string]string{
				"phone_number":    "+447700900123",
				"code":            "90817263",
				"callback_url":    callback,
				"payload":         "dG9rZW4",
				"ttl":             "300",
				"sender_username": "acme_codes",
			})
		},
		Tables:   map[string][]string{"answer": channeltest.Keys(errorTable())},
		Answer:   func(e channeltest.Expected) string { return `{"ok":false,"error":"` + e.Code + `"}` },
		Report:   func(e channeltest.Expected) channel.Callback { return report(state(e.Error, "")) },
		News:     func(n channeltest.News) channel.Callback { return report(state(n.Word, "")) },
		Receipts: receiptRows(),
	}
	channeltest.Run(t, h)
	delivertest.Run(t, h)
}

func refusal(status int, word string) channeltest.Reply {
	return reply(status, `{"ok":false,"error":"`+word+`"}`)
}

// fields holds the fields of a request: these, and no others.
func fields(body []byte, want map[string]string) error {
	var f map[string]any
	if err := json.Unmarshal(body, &f); err != nil {
		return err
	}
	for key := range f {
		if _, ok := want[key]; !ok {
			return fmt.Errorf("%s is sent", key)
		}
	}
	for key, w := range want {
		if got := fmt.Sprint(f[key]); got != w {
			return fmt.Errorf("%s is %s, want %s", key, got, w)
		}
	}
	return nil
}

func TestAccepted(t *testing.T) {
	t.Parallel()
	c := channeltest.NewCarrier(channeltest.Says(reply(200, accepted)))
	defer c.Close()
	a, err := open(t, c.URL, c.Client(), nil).Send(t.Context(), channeltest.Message(channel.Telegram))
	if want := (channel.Accepted{ID: request, Status: channel.Sent, Price: "0.01", Currency: "USD"}); err != nil ||
		a != want {
		t.Errorf("%+v, %v, want %+v", a, err, want)
	}
}

// TestCodes: what Telegram cannot carry is not sent, and ends the channel.
func TestCodes(t *testing.T) {
	t.Parallel()
	c := channeltest.NewCarrier(channeltest.Says(reply(200, accepted)))
	defer c.Close()
	s := open(t, c.URL, c.Client(), nil)
	sent := 0
	for code, ok := range map[string]bool{"1234": true, "123456": true, "12345678": true, "123": false,
		"123456789": false, "12A456": false, "": false, "١٢٣٤": false} {
		m := channeltest.Message(channel.Telegram)
		m.Code = message.NewCode(code)
		_, err := s.Send(t.Context(), m)
		if ok {
			sent++
		}
		if (err == nil) != ok ||
			!ok && (channel.AsError(name, err).Kind != channel.Rejected || channel.AsError(name, err).Code != "code_form") {
			t.Errorf("%q: %v", code, err)
		}
	}
	if n := len(c.Requests()); n != sent {
		t.Errorf("%d requests for %d messages", n, sent)
	}
}

func TestRequest(t *testing.T) {
	t.Parallel()
	c := channeltest.NewCarrier(channeltest.Says(reply(200, accepted)))
	defer c.Close()
	s := open(t, c.URL, c.Client(), nil)
	for name, change := range map[string]func(*channel.Message) map[string]string{
		"dying": func(m *channel.Message) map[string]string {
			m.ExpiresAt = channeltest.Now().Add(time.Second)
			return map[string]string{"ttl": "60", "callback_url": callback, "payload": "dG9rZW4",
				"sender_username": "acme_codes"}
		},
		"no public address": func(m *channel.Message) map[string]string {
			m.Callback = "http://verify.example.com/x"
			return map[string]string{"ttl": "300", "payload": "dG9rZW4", "sender_username": "acme_codes"}
		},
		"the route's sender": func(m *channel.Message) map[string]string {
			m.From, m.Callback, m.Token = "@acme_de", "", ""
			return map[string]string{"ttl": "300", "sender_username": "acme_de"}
		},
		"a sender of SMS": func(m *channel.Message) map[string]string {
			m.From = "+447700900001"
			return map[string]string{"ttl": "300", "callback_url": callback, "payload": "dG9rZW4",
				"sender_username": "acme_codes"}
		},
	} {
		m := channeltest.Message(channel.Telegram)
		want := change(&m)
		want["phone_number"], want["code"] = "+447700900123", "90817263"
		if _, err := s.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		all := c.Requests()
		if err := fields(all[len(all)-1].Body, want); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestCheckFirst: the message belongs to the question and costs what the question cost; whatever goes wrong with the
// question, nothing has left.
func TestCheckFirst(t *testing.T) {
	t.Parallel()
	ask := func(script channeltest.Script) (channel.Accepted, *channeltest.Carrier, error) {
		c := channeltest.NewCarrier(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/checkSendAbility" {
				script(w, r)
				return
			}
			channeltest.Says(reply(200, strings.Replace(accepted, "0.01", "0", 1)))(w, r)
		})
		s := open(t, c.URL, c.Client(), func(c *Config) { c.CheckFirst = true })
		a, err := s.Send(t.Context(), channeltest.Message(channel.Telegram))
		c.Close()
		return a, c, err
	}
	a, c, err := ask(channeltest.Says(reply(200, `{"ok":true,"result":{"request_id":"777","request_cost":0.013}}`)))
	if err != nil || a.Price != "0.013" || len(c.Requests()) != 2 {
		t.Fatalf("%+v %v, %d requests", a, err, len(c.Requests()))
	}
	if body := string(c.Requests()[0].Body); body != `{"phone_number":"+447700900123"}` {
		t.Errorf("the question is %s", body)
	}
	if body := string(c.Requests()[1].Body); !strings.Contains(body, `"request_id":"777"`) {
		t.Error("the message does not belong to the question")
	}
	for name, row := range map[string]struct {
		script channeltest.Script
		want   channel.ErrorKind
	}{
		"no Telegram":  {channeltest.Says(refusal(400, "PHONE_NUMBER_NOT_FOUND")), channel.Rejected},
		"no money":     {channeltest.Says(refusal(200, "BALANCE_NOT_ENOUGH")), channel.Refused},
		"out of order": {channeltest.Says(reply(502, "<html>")), channel.Unavailable},
		"nonsense":     {channeltest.Says(reply(200, "<html>")), channel.Unavailable},
		"no answer":    {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, channel.Unavailable},
	} {
		_, c, err := ask(row.script)
		if err == nil || channel.AsError("", err).Kind != row.want || len(c.Requests()) != 1 {
			t.Errorf("%s: %v after %d requests, want %s after one", name, err, len(c.Requests()), row.want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	c := channeltest.NewCarrier(channeltest.Says(refusal(420, "FLOOD_WAIT_30")))
	defer c.Close()
	_, err := open(t, c.URL, c.Client(), nil).Send(t.Context(), channeltest.Message(channel.Telegram))
	if e := channel.AsError(name, err); e.Kind != channel.Throttled || e.RetryAfter != 30*time.Second {
		t.Errorf("%v after %s", err, e.RetryAfter)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		reply channeltest.Reply
		ok    bool
	}{
		"the request is not known": {refusal(400, "REQUEST_ID_INVALID"), true},
		"the same with 200":        {refusal(200, "REQUEST_ID_INVALID"), true},
		"a wrong token":            {refusal(401, "ACCESS_TOKEN_INVALID"), false},
		"a wrong token with 200":   {refusal(200, "ACCESS_TOKEN_INVALID"), false},
		"too fast":                 {refusal(429, "FLOOD_WAIT_3"), false},
		"out of order":             {refusal(503, "REQUEST_ID_INVALID"), false},
		"another service":          {reply(200, "<html>"), false},
	} {
		c := channeltest.NewCarrier(channeltest.Says(row.reply))
		if err := open(t, c.URL, c.Client(), nil).(channel.Checker).Check(t.Context()); (err == nil) != row.ok {
			t.Errorf("%s: %v", name, err)
		}
		c.Close()
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*Config){
		"token":           func(c *Config) { c.Token = secret.Text{} },
		"token:":          func(c *Config) { c.Token = secret.New("Bearer x") },
		"sender_username": func(c *Config) { c.SenderUsername = "@acme" },
		"url":             func(c *Config) { c.URL = "gatewayapi.telegram.org" },
	} {
		c, _ := config("https://gatewayapi.telegram.org").(*Config)
		change(c)
		if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
