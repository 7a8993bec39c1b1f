package twilio

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
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
	text "github.com/dialproof/dialproof/internal/message"
)

const (
	callSID  = "CA0123456789abcdef0123456789abcdef"
	callback = "https://verify.example.com/callbacks/main/dG9rZW4"
)

func TestVoice(t *testing.T) {
	t.Parallel()
	spec := channeltest.LoadSpec(t, "twilio/twilio_api_v2010.trimmed.json")
	h := channeltest.Harness{
		Provider: Provider(), Configure: config, Secrets: []string{token}, Channel: channel.Voice,
		Accept: reply(201, `{"sid":"`+callSID+`","status":"queued","price":null,"price_unit":"USD"}`), WantID: callSID,
		Request: func(r *http.Request, body []byte) error {
			form, _ := url.ParseQuery(string(body))
			for key, want := range map[string]string{
				"To": "+447700900123", "From": "+447700900001", "Url": callback, "Method": "POST", "StatusCallback": callback +
					"?step=progress",
				"StatusCallbackEvent": "ringing", "Timeout": "45", "TimeLimit": "180",
			} {
				if form.Get(key) != want {
					return fmt.Errorf("%s is %q, want %q", key, form.Get(key), want)
				}
			}
			if strings.Contains(string(body), "90817263") || form.Has("Twiml") || form.Has("Record") {
				return errors.New("the code, or what is said, is in the request")
			}
			return spec.Judge(r, body, "/2010-04-01/Accounts/{AccountSid}/Calls.json", map[string]string{"AccountSid": account})
		},
		Testdata: os.DirFS("testdata/voice"),
		Answer:   func(e channeltest.Expected) string { return `{"code":` + e.Error + `,"message":"to +447700900123"}` },
		Report: func(e channeltest.Expected) channel.Callback {
			return asked("?step=progress", url.Values{"CallStatus": {"failed"}, "ErrorCode": {e.Error}})
		},
		News: func(n channeltest.News) channel.Callback {
			return asked("?step=progress", url.Values{"CallStatus": {n.Word}})
		},
		Receipts: callRows(),
	}
	channeltest.Run(t, h)
	delivertest.Run(t, h)
}

// asked returns a signed request of a call at a step.
func asked(at string, form url.Values) channel.Callback {
	form.Set("CallSid", callSID)
	form.Set("To", "+447700900123")
	u, _ := url.Parse(callback + at)
	r := channel.Callback{
		Method: http.MethodPost,
		URL:    u,
		Header: http.Header{},
		Body:   []byte(form.Encode()),
		Now:    channeltest.Now(),
	}
	r.Header.Set("X-Twilio-Signature", signature(token, u.String(), form))
	return r
}

func callRows() []channeltest.ReceiptRow {
	var rows []channeltest.ReceiptRow
	add := func(name, at string, form url.Values, want ...channel.Receipt) {
		for i := range want {
			want[i].ProviderID = callSID
		}
		rows = append(rows, channeltest.ReceiptRow{Name: name, Request: asked(at, form), Want: want})
	}
	for status, want := range map[string]channel.Receipt{
		"queued":      {Status: channel.Taken},
		"initiated":   {Status: channel.Taken},
		"ringing":     {Status: channel.Sent},
		"in-progress": {Status: channel.Sent},
		"busy":        {Status: channel.Undelivered, Code: "busy", Kind: channel.Unavailable},
		"no-answer":   {Status: channel.Undelivered, Code: "no-answer", Kind: channel.Unavailable},
		"failed":      {Status: channel.Failed, Code: "failed", Kind: channel.Unavailable},
		"canceled":    {Status: channel.Failed, Code: "canceled", Kind: channel.Unavailable},
		"completed":   {Status: channel.Undelivered, Code: "not_spoken"},
		"new":         {Status: channel.Taken},
	} {
		add(status, "?step=progress", url.Values{"CallStatus": {status}}, want)
	}
	add("no such number", "?step=progress", url.Values{"CallStatus": {"failed"}, "SipResponseCode": {"404"}},
		channel.Receipt{Status: channel.Failed, Code: "SIP 404", Kind: channel.Rejected})
	add("a carrier's fault", "?step=progress", url.Values{"CallStatus": {"failed"}, "SipResponseCode": {"503"}},
		channel.Receipt{Status: channel.Failed, Code: "failed", Kind: channel.Unavailable})
	add("a code", "?step=progress", url.Values{"CallStatus": {"failed"}, "ErrorCode": {"21217"}},
		channel.Receipt{Status: channel.Failed, Code: "21217", Kind: channel.Rejected})
	add("a new code", "?step=progress", url.Values{"CallStatus": {"failed"}, "ErrorCode": {"32009"}},
		channel.Receipt{Status: channel.Failed, Code: "32009", Kind: channel.Unavailable})
	add("it was said", "?step=said", url.Values{"CallStatus": {"in-progress"}}, channel.Receipt{Status: channel.Delivered})
	add("the first question", "", url.Values{"CallStatus": {"in-progress"}})
	add("a key", "?step=key1", url.Values{"Digits": {"1"}})
	forged := asked("?step=progress", url.Values{"CallStatus": {"busy"}})
	forged.URL, _ = url.Parse(callback + "?step=said")
	return append(rows, channeltest.ReceiptRow{Name: "another step than was signed", Request: forged, Refused: true})
}

// said returns what a call does at a step: its verbs, with what is said and where it goes on.
func said(t *testing.T, at string, form url.Values, m channel.Message, alive bool,
	fault error) (channel.Reply, []string) {
	t.Helper()
	s, _ := config("https://api.twilio.com").Open(channel.Env{Now: channeltest.Now})
	r := asked(at, form)
	r.Message = func(context.Context) (channel.Message, bool, error) { return m, alive, fault }
	if _, err := s.(channel.Receiver).Receipts(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	reply, ok := s.(channel.Answerer).Answer(t.Context(), r)
	if !ok || reply.Status != http.StatusOK {
		return reply, nil
	}
	var verbs []string
	for d := xml.NewDecoder(strings.NewReader(string(reply.Body))); ; {
		part, err := d.Token()
		if errors.Is(err, io.EOF) {
			return reply, verbs
		}
		if err != nil {
			t.Fatalf("%s: %v", reply.Body, err)
		}
		switch p := part.(type) {
		case xml.StartElement:
			verb := p.Name.Local
			for _, a := range p.Attr {
				if a.Name.Local == "action" || a.Name.Local == "voice" {
					verb += " " + a.Value
				}
			}
			verbs = append(verbs, verb)
		case xml.CharData:
			verbs[len(verbs)-1] += ": " + string(p)
		}
	}
}

func TestCall(t *testing.T) {
	t.Parallel()
	m := channeltest.Message(channel.Voice)
	say := func(s string) string { return "Say Polly.Amy: " + s }
	ask := func(step string) []string {
		return []string{"Gather " + callback + "?step=" + step, say(m.Spoken.Prompt)}
	}
	read := func(lead string) []string {
		out := []string{say(lead)}
		for _, c := range []string{"9", "0", "8", "1", "7", "2", "6", "3"} {
			out = append(out, "Pause", say(c))
		}
		return append(out, "Pause")
	}
	open, end := []string{"Response"}, []string{"Hangup"}
	code := slices.Concat(open, []string{say(m.Spoken.Intro)}, read(m.Spoken.Lead),
		[]string{"Redirect: " + callback + "?step=said"}, end)
	for _, c := range []struct {
		name, at, digits string
		want             []string
	}{
		{"picked up", "", "", slices.Concat(open, ask("key1"), ask("key2"), end)},
		{"1 at the first question", "?step=key1", "1", code},
		{"1 at the second", "?step=key2", "1", code},
		{"another key", "?step=key1", "5", slices.Concat(open, ask("key2"), end)},
		{"another key again", "?step=key2", "5", slices.Concat(open, end)},
		{"no key", "?step=key2", "", slices.Concat(open, end)},
		{"said once", "?step=said", "", slices.Concat(open, read(m.Spoken.Again), end)},
	} {
		reply, got := said(t, c.at, url.Values{"Digits": {c.digits}}, m, true, nil)
		if !slices.Equal(got, c.want) || !strings.HasPrefix(reply.ContentType, "text/xml") {
			t.Errorf("%s:\n%q, want\n%q", c.name, got, c.want)
		}
	}
	for _, at := range []string{"", "?step=key1", "?step=key2", "?step=said"} {
		if _, got := said(t, at, url.Values{"Digits": {"1"}}, m, false, nil); !slices.Equal(got,
			[]string{"Response", "Hangup"}) {
			t.Errorf("%q, when the verification is over: %q", at, got)
		}
		if reply, _ := said(t, at, url.Values{"Digits": {"1"}}, m, true,
			errors.New("no store")); reply.Status != http.StatusServiceUnavailable {
			t.Errorf("%q, when the store is away: %d", at, reply.Status)
		}
	}
	if reply, _ := said(t, "?step=progress", url.Values{"CallStatus": {"completed"}}, m, true, nil); reply.Body != nil {
		t.Errorf("news is answered by %s", reply.Body)
	}
}

// TestMarkup: nothing that a brand may have becomes markup.
func TestMarkup(t *testing.T) {
	t.Parallel()
	m := channeltest.Message(channel.Voice)
	m.Spoken.Prompt = `A & B </Say><Dial>+1900</Dial>`
	reply, got := said(t, "", url.Values{}, m, true, nil)
	if !slices.Contains(got, "Say Polly.Amy: "+m.Spoken.Prompt) || strings.Contains(string(reply.Body), "<Dial>") {
		t.Errorf("%s", reply.Body)
	}
}

func TestVoices(t *testing.T) {
	t.Parallel()
	none := []string{"am", "et", "fa", "hr", "sl", "sw", "ur"}
	s := &sender{}
	for _, l := range text.Locales() {
		m := channel.Message{Spoken: text.Spoken{Locale: l}}
		if name, ok := s.voice(m); ok == slices.Contains(none, l) || ok && !voiceForm.MatchString(name) {
			t.Errorf("%s: %q %t", l, name, ok)
		}
	}
	s.cfg.Voices = map[string]string{"sw": "Google.sw-KE-Standard-A"}
	if name, ok := s.voice(channel.Message{Spoken: text.Spoken{Locale: "sw"}}); !ok || name != "Google.sw-KE-Standard-A" {
		t.Errorf("%q %t", name, ok)
	}
}

func TestCallIsRefused(t *testing.T) {
	t.Parallel()
	c := channeltest.NewCarrier(channeltest.Says(reply(201, `{"sid":"`+callSID+`"}`)))
	defer c.Close()
	for want, change := range map[string]func(*Config, *channel.Message){
		"no_public_url": func(_ *Config, m *channel.Message) { m.Callback = "" },
		"no_sender":     func(c *Config, m *channel.Message) { c.CallerID, m.From = "", "Acme" },
		"language":      func(_ *Config, m *channel.Message) { m.Spoken.Locale = "ur" },
	} {
		cfg, _ := config(c.URL).(*Config)
		m := channeltest.Message(channel.Voice)
		change(cfg, &m)
		s, _ := cfg.Open(channel.Env{HTTP: c.Client(), Now: channeltest.Now})
		if _, err := s.Send(t.Context(), m); err == nil || channel.AsError(name, err).Code != want ||
			channel.AsError(name, err).Kind != channel.Refused {
			t.Errorf("%s: %v", want, err)
		}
	}
	if n := len(c.Requests()); n != 0 {
		t.Errorf("%d calls were made", n)
	}
	m := channeltest.Message(channel.Voice)
	m.From, m.ExpiresAt = "+447700900002", channeltest.Now().Add(20*time.Second)
	s, _ := config(c.URL).Open(channel.Env{HTTP: c.Client(), Now: channeltest.Now})
	if _, err := s.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	form, _ := url.ParseQuery(string(c.Requests()[0].Body))
	if form.Get("From") != "+447700900002" || form.Get("Timeout") != "20" || len(form["StatusCallbackEvent"]) != 3 {
		t.Errorf("%v", form)
	}
}
