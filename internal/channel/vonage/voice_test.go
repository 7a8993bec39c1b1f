package vonage

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/channeltest"
	"github.com/dialproof/dialproof/internal/deliver/delivertest"
	"github.com/dialproof/dialproof/internal/message"
)

func TestVoice(t *testing.T) {
	t.Parallel()
	spec := channeltest.LoadSpec(t, "vonage/voice.yml")
	h := channeltest.Harness{
		Provider:  Provider(),
		Configure: config,
		Secrets:   secrets(),
		Channel:   channel.Voice,
		Accept:    reply(201, `{"uuid":"`+callID+`","status":"started","direction":"outbound","conversation_uuid":"CON-1"}`),
		WantID:    callID,
		Request: func(r *http.Request, body []byte) error {
			if r.URL.Path != "/v1/calls" {
				return errors.New(r.URL.Path)
			}
			if err := pass(r); err != nil {
				return err
			}
			f := fields(body)
			for key, want := range map[string]string{
				"to": "[map[number:447700900123 type:phone]]", "from": "map[number:447700900001 type:phone]",
				"answer_url": "[" + callback + "]", "answer_method": "POST", "event_url": "[" + callback + "]",
				"event_method": "POST",
				"ncco":         "<nil>", "random_from_number": "<nil>", "ringing_timer": "45",
			} {
				if got := fmt.Sprint(f[key]); got != want {
					return fmt.Errorf("%s is %s, want %s", key, got, want)
				}
			}
			if text := string(body); strings.Contains(text, "90817263") || strings.Contains(text, "talk") {
				return errors.New("the code is in the request")
			}
			// The definition allows a phone twice, as a phone and as a SIP address without its address: no phone fits it.
			f["to"] = []any{}
			body, _ = json.Marshal(f)
			return spec.Judge(r, body, "/", nil)
		},
		Testdata: os.DirFS("testdata/voice"),
		Answer:   problem,
		News:     func(n channeltest.News) channel.Callback { return webhook("", progress(n.Word, "")) },
		Receipts: callRows(),
	}
	channeltest.Run(t, h)
	delivertest.Run(t, h)
}

func progress(s, more string) string {
	return `{"from":"447700900001","to":"447700900123","uuid":"` + callID + `","conversation_uuid":"CON-1",` +
		`"status":"` + s + `","direction":"outbound"` + more + `}`
}

// callRows are what Vonage reports of a call.
func callRows() []channeltest.ReceiptRow {
	var rows []channeltest.ReceiptRow
	for s, want := range map[string]channel.Receipt{
		"started":    {Status: channel.Taken},
		"ringing":    {Status: channel.Sent},
		"answered":   {Status: channel.Sent},
		"busy":       {Status: channel.Undelivered, Code: "busy", Kind: channel.Unavailable},
		"cancelled":  {Status: channel.Undelivered, Code: "cancelled", Kind: channel.Unavailable},
		"unanswered": {Status: channel.Undelivered, Code: "unanswered", Kind: channel.Unavailable},
		"timeout":    {Status: channel.Undelivered, Code: "timeout", Kind: channel.Unavailable},
		"rejected":   {Status: channel.Failed, Code: "rejected", Kind: channel.Unavailable},
		"failed":     {Status: channel.Failed, Code: "failed", Kind: channel.Unavailable},
		"completed":  {Status: channel.Undelivered, Code: "not_spoken"},
		"new":        {Status: channel.Taken},
	} {
		want.ProviderID = callID
		rows = append(rows,
			channeltest.ReceiptRow{Name: s, Request: webhook("", progress(s, "")), Want: []channel.Receipt{want}})
	}
	return append(rows, channeltest.ReceiptRow{
		Name:    "the price",
		Request: webhook("", progress("completed", `,"rate":"0.01","price":"0.0123","duration":"30"`)),
		Want: []channel.Receipt{{ProviderID: callID, Status: channel.Undelivered, Code: "not_spoken", Price: "0.0123",
			Currency: "EUR"}},
	},
		channeltest.ReceiptRow{
			Name: "a machine", Request: webhook("", `{"call_uuid":"`+callID+`","status":"machine"}`),
			Want: []channel.Receipt{{ProviderID: callID, Status: channel.Sent}},
		},
		channeltest.ReceiptRow{
			Name: "it was spoken", Request: webhook("?step=spoken", `{"conversation_uuid":"CON-1","payload":{"step":"spoken"}}`),
			Want: []channel.Receipt{{Status: channel.Delivered}},
		},
		channeltest.ReceiptRow{Name: "the first question", Request: webhook("", picked)},
		channeltest.ReceiptRow{Name: "a key", Request: webhook("?step=key1", keyed("1"))}, channeltest.ReceiptRow{
			Name:    "an error in the call",
			Request: webhook("", `{"reason":"Syntax error in NCCO","conversation_uuid":"CON-1"}`),
		})
}

const picked = `{"from":"447700900001","to":"447700900123","uuid":"` + callID + `","conversation_uuid":"CON-1"}`

func keyed(digits string) string {
	return `{"speech":{"results":[]},"dtmf":{"digits":"` + digits + `","timed_out":false},"from":"447700900001",` +
		`"to":"447700900123","uuid":"` + callID + `","conversation_uuid":"CON-1"}`
}

// said returns what a call does after a webhook, for a message whose verification is open or over.
func said(t *testing.T, at, body string, m channel.Message, alive bool,
	fault error) (reply channel.Reply, actions []action, ok bool) {
	t.Helper()
	s, r := open(t), webhook(at, body)
	r.Message = func(context.Context) (channel.Message, bool, error) { return m, alive, fault }
	if _, err := s.(channel.Receiver).Receipts(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	reply, ok = s.(channel.Answerer).Answer(t.Context(), r)
	if ok && reply.Status == http.StatusOK {
		if err := json.Unmarshal(reply.Body, &actions); err != nil || reply.ContentType != "application/json" {
			t.Fatalf("%s %q: %v", reply.ContentType, reply.Body, err)
		}
	}
	return reply, actions, ok
}

func names(actions []action) (out []string) {
	for _, a := range actions {
		out = append(out, a.Action)
	}
	return out
}

// heard returns what a voice says of an action: its text without the markup, which must be sound.
func heard(t *testing.T, a action) string {
	t.Helper()
	if !strings.HasPrefix(a.Text, "<speak>") {
		return a.Text
	}
	var b strings.Builder
	for d := xml.NewDecoder(strings.NewReader(a.Text)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return b.String()
		}
		if err != nil {
			t.Fatalf("%s: %v", a.Text, err)
		}
		if text, ok := token.(xml.CharData); ok {
			b.Write(text)
		}
		if end, ok := token.(xml.EndElement); ok && end.Name.Local == "break" {
			b.WriteString("|")
		}
	}
}

// TestCallAsks: a call asks for a key first, twice at most, and says nothing of the code before.
func TestCallAsks(t *testing.T) {
	t.Parallel()
	m := channeltest.Message(channel.Voice)
	question := []string{"talk", "input"}
	_, ask, ok := said(t, "", picked, m, true, nil)
	if !ok || !slices.Equal(names(ask), question) || !ask[0].BargeIn || ask[0].Language != "en-GB" ||
		ask[1].EventURL[0] != callback+"?step=key1" || ask[1].EventMethod != "POST" || ask[1].DTMF.MaxDigits != 1 ||
		heard(t, ask[0]) != m.Spoken.Prompt+"|" {
		t.Fatalf("the question: %+v", ask)
	}
	for _, a := range ask {
		if strings.ContainsAny(heard(t, a), "90872") {
			t.Errorf("the code is said before the key: %s", a.Text)
		}
	}

	_, again, ok := said(t, "?step=key1", keyed(""), m, true, nil)
	if !ok || !slices.Equal(names(again), question) || again[1].EventURL[0] != callback+"?step=key2" {
		t.Errorf("no key: %+v", again)
	}
	if _, other, _ := said(t, "?step=key1", keyed("2"), m, true, nil); !slices.Equal(names(other), question) {
		t.Errorf("another key: %+v", other)
	}
	if _, last, ok := said(t, "?step=key2", keyed(""), m, true, nil); ok {
		t.Errorf("no key for the second time: %+v", last)
	}
}

// TestCallSays: after the key it says the code, twice and slowly, and reports that it did.
func TestCallSays(t *testing.T) {
	t.Parallel()
	m := channeltest.Message(channel.Voice)
	for _, at := range []string{"?step=key1", "?step=key2"} {
		_, tell, ok := said(t, at, keyed("1"), m, true, nil)
		if !ok || !slices.Equal(names(tell), []string{"talk", "talk", "notify", "talk"}) {
			t.Fatalf("%s: the code: %+v", at, tell)
		}
		if got, want := heard(t, tell[1]), m.Spoken.Lead+"|9|0|8|1|7|2|6|3||"; got != want ||
			!strings.Contains(tell[1].Text, "rate='slow'") {
			t.Errorf("said %q, want %q", got, want)
		}
		if got := heard(t, tell[3]); got != m.Spoken.Again+"|9|0|8|1|7|2|6|3||" {
			t.Errorf("said again %q", got)
		}
		if tell[2].EventURL[0] != callback+"?step=spoken" || tell[2].Payload == nil {
			t.Errorf("word of it: %+v", tell[2])
		}
	}
}

func TestCallEnds(t *testing.T) {
	t.Parallel()
	m := channeltest.Message(channel.Voice)
	for _, at := range []string{"", "?step=key1", "?step=key2"} {
		body := picked
		if at != "" {
			body = keyed("1")
		}
		if reply, actions, ok := said(t, at, body, m, false, nil); !ok || len(actions) != 0 || string(reply.Body) != "[]" {
			t.Errorf("%s: it is over: %q", at, reply.Body)
		}
		if reply, _, ok := said(t, at, body, m, true, errors.New("the store is away")); !ok ||
			reply.Status != http.StatusServiceUnavailable {
			t.Errorf("%s: without the message: %+v", at, reply)
		}
	}
	for at, body := range map[string]string{"": progress("answered", ""), "?step=spoken": `{"payload":{}}`,
		"?x": status("delivered", "")} {
		if reply, _, ok := said(t, at, body, m, true, nil); ok {
			t.Errorf("an answer to no question: %s", reply.Body)
		}
	}
	r := webhook("", picked) // at the route's fixed address
	if reply, ok := open(t).(channel.Answerer).Answer(t.Context(), r); ok {
		t.Errorf("an answer about no message: %s", reply.Body)
	}
}

// TestVoices: every locale that can be spoken is, with its characters one by one and in the right voice, and an &
// in a brand does no harm.
func TestVoices(t *testing.T) {
	t.Parallel()
	m := channeltest.Message(channel.Voice)
	for locale, v := range voices() {
		spoken, err := message.Speak(message.Request{Purpose: "login", Locale: locale, Brand: "A & <B>",
			Code: message.NewCode("4B7")})
		if err != nil || spoken.Locale != locale {
			t.Errorf("%s is no locale of ours: %s, %v", locale, spoken.Locale, err)
		}
		m.Spoken = spoken
		_, tell, _ := said(t, "?step=key1", keyed("1"), m, true, nil)
		text := ""
		for _, a := range tell {
			if a.Action != "talk" {
				continue
			}
			text += heard(t, a) + "|"
			if !strings.HasPrefix(a.Language, strings.SplitN(v.language, "-", 2)[0]) || a.Style != v.style {
				t.Errorf("%s is said by %s", locale, a.Language)
			}
		}
		if strings.Count(text, "|4|B, Bravo|7|") != 2 || !strings.Contains(text, "A & <B>") {
			t.Errorf("%s says %q", locale, text)
		}
	}
}

func TestCallRequest(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		change func(*channel.Message)
		want   map[string]string
	}{
		"a word as the sender": {func(m *channel.Message) { m.From = "Acme" },
			map[string]string{"from": "<nil>", "random_from_number": "true"}},
		"the route's number": {func(m *channel.Message) { m.From = "+447700900002" },
			map[string]string{"from": "map[number:447700900002 type:phone]"}},
		"a code that dies": {func(m *channel.Message) { m.ExpiresAt = channeltest.Now().Add(20 * time.Second) },
			map[string]string{"ringing_timer": "20"}},
		"no public address": {func(m *channel.Message) { m.Callback = "" }, map[string]string{
			"answer_url": "<nil>", "event_url": "<nil>", "machine_detection": "hangup",
		}},
	} {
		c := channeltest.NewCarrier(channeltest.Says(reply(201, `{"uuid":"x"}`)))
		s, _ := config(c.URL).Open(channel.Env{HTTP: c.Client(), Now: channeltest.Now})
		m := channeltest.Message(channel.Voice)
		row.change(&m)
		if _, err := s.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		body := c.Requests()[0].Body
		f := fields(body)
		for key, want := range row.want {
			if got := fmt.Sprint(f[key]); got != want {
				t.Errorf("%s: %s is %s, want %s", name, key, got, want)
			}
		}
		var o callOrder
		if err := json.Unmarshal(body, &o); err != nil {
			t.Fatal(err)
		}
		if want := []string{"talk", "input", "talk", "talk", "talk"}; m.Callback == "" && !slices.Equal(names(o.NCCO), want) {
			t.Errorf("%s: %v, want %v", name, names(o.NCCO), want)
		}
		c.Close()
	}
}

func TestNoVoice(t *testing.T) {
	t.Parallel()
	m := channeltest.Message(channel.Voice)
	m.Spoken.Locale = "am"
	_, err := open(t).Send(t.Context(), m)
	if e := channel.AsError(name, err); e.Kind != channel.Refused || e.Code != "language" {
		t.Errorf("%v", err)
	}
}
