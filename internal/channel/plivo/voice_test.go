package plivo

import (
	"context"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/channeltest"
	"github.com/dialproof/dialproof/internal/message"
)

// said returns what a call does after a request, for a message whose verification is open or over.
func said(t *testing.T, step string, form url.Values, m channel.Message, alive bool,
	fault error) (reply channel.Reply, steps []string, ok bool) {
	t.Helper()
	s, r := open(t, "https://api.plivo.com", nil), post("V3", step, form, nil)
	r.Message = func(context.Context) (channel.Message, bool, error) { return m, alive, fault }
	if _, err := s.(channel.Receiver).Receipts(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	reply, ok = s.(channel.Answerer).Answer(t.Context(), r)
	if ok && reply.Status == http.StatusOK {
		if reply.ContentType != "application/xml" {
			t.Errorf("the type is %s", reply.ContentType)
		}
		steps = heard(t, reply.Body)
	}
	return reply, steps, ok
}

// heard reads the markup, which must be sound, and answers what happens, one line each: "Speak Amy: text", where a |
// is a pause, "GetInput address", "Redirect: address", "Hangup".
func heard(t *testing.T, body []byte) (steps []string) {
	t.Helper()
	var inside []string
	for d := xml.NewDecoder(strings.NewReader(string(body))); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return steps
		}
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			inside = append(inside, e.Name.Local)
			switch e.Name.Local {
			case "Speak":
				steps = append(steps, "Speak "+strings.TrimPrefix(e.Attr[0].Value, "Polly.")+": ")
			case "GetInput":
				i := slices.IndexFunc(e.Attr, func(a xml.Attr) bool { return a.Name.Local == "action" })
				steps = append(steps, "GetInput "+e.Attr[i].Value)
			case "Redirect":
				steps = append(steps, "Redirect: ")
			case "Hangup":
				steps = append(steps, "Hangup")
			case "break":
				steps[len(steps)-1] += "|"
			}
		case xml.CharData:
			if len(inside) > 1 {
				steps[len(steps)-1] += string(e)
			}
		case xml.EndElement:
			inside = inside[:len(inside)-1]
		}
	}
}

func picked() url.Values { return callForm("StartApp", "in-progress") }

func keyed(digits string) url.Values {
	return callForm("Redirect", "in-progress", "Digits", digits, "InputType", "dtmf")
}

func TestCall(t *testing.T) {
	t.Parallel()
	m := channeltest.Message(channel.Voice)
	prompt := "Speak Amy: " + m.Spoken.Prompt
	digits := "|9|0|8|1|7|2|6|3||"
	ask1, ask2 := "GetInput "+callback+"?step=key1", "GetInput "+callback+"?step=key2"
	tell := []string{"Speak Amy: " + m.Spoken.Intro, "Speak Amy: " + m.Spoken.Lead + digits,
		"Redirect: " + callback + "?step=spoken", "Hangup"}
	for _, row := range []struct {
		name, step string
		form       url.Values
		want       []string
	}{
		{"somebody picked up", "", picked(), []string{ask1, prompt, ask2, prompt, "Hangup"}},
		{"another key", "key1", keyed("2"), []string{ask2, prompt, "Hangup"}},
		{"another key again", "key2", keyed("2"), []string{"Hangup"}},
		{"the key", "key1", keyed("1"), tell},
		{"the key at the second time", "key2", keyed("1"), tell},
		{"it was said", "spoken", callForm("Redirect", "in-progress"),
			[]string{"Speak Amy: " + m.Spoken.Again + digits, "Hangup"}},
		{"a step that is none", "x", keyed("1"), []string{"Hangup"}},
	} {
		reply, steps, ok := said(t, row.step, row.form, m, true, nil)
		if !ok || !slices.Equal(steps, row.want) {
			t.Errorf("%s:\n got %q\nwant %q", row.name, steps, row.want)
		}
		if early := row.step == "" ||
			row.form.Get("Digits") == "2"; early && strings.Contains(string(reply.Body), "prosody") {
			t.Errorf("%s: the code is said before the key", row.name)
		}
		if strings.Contains(strings.Join(steps, ""), "|9|") &&
			!strings.Contains(string(reply.Body), `<prosody rate="slow">9`) {
			t.Errorf("%s: it is not slow", row.name)
		}
	}
}

func TestCallEnds(t *testing.T) {
	t.Parallel()
	m := channeltest.Message(channel.Voice)
	for step, form := range map[string]url.Values{"": picked(), "key1": keyed("1"), "key2": keyed("1"),
		"spoken": picked()} {
		if _, steps, ok := said(t, step, form, channel.Message{}, false, nil); !ok ||
			!slices.Equal(steps, []string{"Hangup"}) {
			t.Errorf("%s: it is over: %q", step, steps)
		}
		if reply, _, ok := said(t, step, form, m, true, errors.New("the store is away")); !ok ||
			reply.Status != http.StatusServiceUnavailable {
			t.Errorf("%s: without the message: %+v", step, reply)
		}
	}
	for step, form := range map[string]url.Values{"ring": callForm("Ring", "ringing"),
		"hangup": callForm("Hangup", "completed"), "": formOf("delivered")} {
		if reply, _, ok := said(t, step, form, m, true, nil); ok {
			t.Errorf("an answer to no question: %s", reply.Body)
		}
	}
	r := post("V3", "", picked(), nil) // at the route's fixed address
	if reply, ok := open(t, "https://api.plivo.com", nil).(channel.Answerer).Answer(t.Context(), r); ok {
		t.Errorf("an answer about no message: %s", reply.Body)
	}
}

// TestVoices: every locale that can be spoken is, with its characters one by one and in the right voice, and an & in a
// brand does no harm.
func TestVoices(t *testing.T) {
	t.Parallel()
	m := channeltest.Message(channel.Voice)
	for locale := range voices() {
		spoken, err := message.Speak(message.Request{Purpose: "login", Locale: locale, Brand: "A & <B>",
			Code: message.NewCode("4B7")})
		if err != nil || spoken.Locale != locale {
			t.Errorf("%s is no locale of ours: %s, %v", locale, spoken.Locale, err)
		}
		m.Spoken = spoken
		v, _ := voiceFor(locale, m.To.Country())
		_, first, _ := said(t, "key1", keyed("1"), m, true, nil)
		_, second, _ := said(t, "spoken", picked(), m, true, nil)
		all := strings.Join(append(first, second...), "\n")
		if strings.Count(all, "|4|B, Bravo|7|") != 2 || !strings.Contains(all, "A & <B>") ||
			strings.Count(all, "Speak "+string(v)+": ") != 3 {
			t.Errorf("%s says %q", locale, all)
		}
	}
	for key := range accents() {
		locale, country, _ := strings.Cut(key, "-")
		plain, ok := voiceFor(locale, "")
		if better, _ := voiceFor(locale, country); !ok || better == plain {
			t.Errorf("%s is no accent", key)
		}
	}
}
