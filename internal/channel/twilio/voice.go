package twilio

import (
	"context"
	"encoding/xml"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/rest"
)

// Bounds of a call, in seconds. Twilio allows up to 600 for ringing.
const (
	ringing = 45
	minRing = 5
	talking = 180
	keyWait = 5
)

// The steps of a call. The address that Twilio asks next names the step; without one it is the first.
const (
	stepKey    = "step"
	progress   = "progress"
	firstKey   = "key1"
	secondKey  = "key2"
	saidOnce   = "said"
	pressedKey = "1"
)

// call makes a call. The code is not in the request: Twilio asks what to say when the person has picked up, and says
// the code only when they have pressed 1, so that no mailbox records it. Without a public address nobody could be
// asked.
func (s *sender) call(ctx context.Context, m channel.Message) (channel.Accepted, error) {
	from := s.cfg.CallerID
	if callerForm.MatchString(m.From) { // a sender that is a word is meant for SMS
		from = m.From
	}
	switch _, spoken := s.voice(m); {
	case m.Callback == "":
		return channel.Accepted{}, rest.Refused(name, "no_public_url", "a call asks Dialproof what to say: set public_url")
	case from == "":
		return channel.Accepted{},
			rest.Refused(name, "no_sender", "the route has neither a number as its sender nor a caller_id")
	case !spoken:
		return channel.Accepted{},
			rest.Refused(name, "language", "Twilio has no voice for the person's language; voices can name one")
	}
	form := url.Values{
		"To": {m.To.E164()}, "From": {from}, "Url": {m.Callback}, "Method": {http.MethodPost},
		"StatusCallback": {address(m.Callback, progress)}, "StatusCallbackMethod": {http.MethodPost},
		"StatusCallbackEvent": {"ringing", "answered", "completed"},
		"Timeout":             {strconv.Itoa(s.ring(m))}, "TimeLimit": {strconv.Itoa(talking)},
	}
	a, err := s.api.Form(ctx, http.MethodPost, s.path("/Calls.json"), form)
	if err != nil {
		return channel.Accepted{}, err
	}
	if !rest.Good(a) {
		return channel.Accepted{}, s.refused(a)
	}
	var said struct {
		SID string `json:"sid"`
	}
	if a.JSON(&said) != nil || said.SID == "" {
		return channel.Accepted{}, rest.NoID(name)
	}
	return channel.Accepted{ID: said.SID, Status: channel.Taken}, nil
}

// ring returns how long the phone rings, in seconds: not longer than the code lives.
func (s *sender) ring(m channel.Message) int {
	if m.ExpiresAt.IsZero() {
		return ringing
	}
	return rest.Life(m.ExpiresAt, s.api.Now(), minRing, ringing)
}

// address returns where Twilio asks for the next step.
func address(callback, next string) string { return callback + "?" + stepKey + "=" + next }

// step returns which question of a call a request is.
func step(r channel.Callback) string {
	if r.URL == nil {
		return ""
	}
	return r.URL.Query().Get(stepKey)
}

// Answer implements channel.Answerer: it says what the call does next.
func (s *sender) Answer(ctx context.Context, r channel.Callback) (channel.Reply, bool) {
	form, err := url.ParseQuery(string(r.Body))
	at := step(r)
	if err != nil || r.Message == nil || first(form, "CallSid") == "" || at == progress {
		return channel.Reply{}, false
	}
	m, open, err := r.Message(ctx)
	if err != nil {
		return channel.Reply{Status: http.StatusServiceUnavailable}, true
	}
	v, spoken := s.voice(m)
	t := &twiml{voice: v}
	pressed := strings.HasPrefix(first(form, "Digits"), pressedKey)
	switch {
	case !open || !spoken || m.Callback == "":
	case at == "":
		t.ask(m, firstKey)
		t.ask(m, secondKey) // nobody pressed anything
	case at == saidOnce:
		t.code(m.Spoken.Again, m.Spoken.Digits)
	case pressed:
		t.say(m.Spoken.Intro)
		t.code(m.Spoken.Lead, m.Spoken.Digits)
		t.add(`<Redirect method="POST">` + escaped(address(m.Callback, saidOnce)) + `</Redirect>`)
	case at == firstKey: // another key
		t.ask(m, secondKey)
	}
	return channel.Reply{Status: http.StatusOK, ContentType: "text/xml; charset=utf-8", Body: t.end()}, true
}

// twiml is what a call does, in Twilio's language.
type twiml struct {
	voice string
	b     strings.Builder
}

func (t *twiml) add(text string) { t.b.WriteString(text) }

func (t *twiml) say(text string) {
	t.add(`<Say voice="` + escaped(t.voice) + `">` + escaped(text) + `</Say>`)
}

// ask says who calls and waits for a key, which may be pressed at any time. next is the step that is asked then.
func (t *twiml) ask(m channel.Message, next string) {
	t.add(`<Gather input="dtmf" numDigits="1" timeout="` + strconv.Itoa(keyWait) + `" method="POST" action="` +
		escaped(address(m.Callback, next)) + `">`)
	t.say(m.Spoken.Prompt)
	t.add(`</Gather>`)
}

// code says a sentence and the characters of the code, a second apart.
func (t *twiml) code(lead string, characters []string) {
	t.say(lead)
	for _, c := range characters {
		t.add(`<Pause length="1"/>`)
		t.say(c)
	}
	t.add(`<Pause length="1"/>`)
}

func (t *twiml) end() []byte {
	return []byte(`<?xml version="1.0" encoding="UTF-8"?><Response>` + t.b.String() + `<Hangup/></Response>`)
}

// escaped returns text that may stand in markup.
func escaped(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder takes everything
	return b.String()
}
