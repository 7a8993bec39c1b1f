package plivo

import (
	"context"
	"encoding/xml"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/rest"
)

// Bounds of a call, in seconds.
const (
	ringing = 45
	minRing = 10
	talking = 180
	keyWait = 5 // Plivo allows 5 to 60
)

// The steps of a call. The address that Plivo asks names the step.
const (
	stepKey    = "step"
	atAnswer   = ""
	atRing     = "ring"
	firstKey   = "key1"
	secondKey  = "key2"
	atSpoken   = "spoken"
	atHangup   = "hangup"
	pressedKey = "1"
)

var numberForm = regexp.MustCompile(`^\+?[0-9]{7,15}$`)

// callOrder is a call to make.
type callOrder struct {
	From         string `json:"from"`
	To           string `json:"to"`
	AnswerURL    string `json:"answer_url"`
	AnswerMethod string `json:"answer_method"`
	RingURL      string `json:"ring_url"`
	RingMethod   string `json:"ring_method"`
	HangupURL    string `json:"hangup_url"`
	HangupMethod string `json:"hangup_method"`
	RingTimeout  int    `json:"ring_timeout"`
	TimeLimit    int    `json:"time_limit"`
}

// call makes a call. The code is not in the request: Plivo asks what to say when the person has picked up.
func (s *sender) call(ctx context.Context, m channel.Message) (channel.Accepted, error) {
	_, ok := voiceFor(m.Spoken.Locale, m.To.Country())
	from := s.from(m)
	if !numberForm.MatchString(from) {
		from = s.cfg.From // a route's sender that is a word is meant for SMS
	}
	switch {
	case !ok:
		return channel.Accepted{}, rest.Refused(name, "language", "Plivo has no voice for the person's language")
	case !numberForm.MatchString(from):
		return channel.Accepted{},
			rest.Refused(name, "no_sender", "a call needs a number of the account to show: the route's sender, or from")
	case m.Callback == "":
		return channel.Accepted{}, rest.Refused(name, "no_callback", "a call asks what to say: set public_url")
	}
	a, err := s.api.JSON(ctx, http.MethodPost, "Call/", callOrder{
		From: rest.Digits(from), To: rest.Digits(m.To.E164()),
		AnswerURL: m.Callback, AnswerMethod: http.MethodPost,
		RingURL: address(m.Callback, atRing), RingMethod: http.MethodPost,
		HangupURL: address(m.Callback, atHangup), HangupMethod: http.MethodPost,
		RingTimeout: s.ring(m), TimeLimit: talking,
	})
	if err != nil {
		return channel.Accepted{}, err
	}
	var said struct {
		ID ids `json:"request_uuid"`
	}
	if err := s.judge(a, &said); err != nil {
		return channel.Accepted{}, err
	}
	return said.ID.accepted()
}

// ring returns how long the phone rings, in seconds: not longer than the code lives.
func (s *sender) ring(m channel.Message) int {
	if m.ExpiresAt.IsZero() {
		return ringing
	}
	return rest.Life(m.ExpiresAt, s.api.Now(), minRing, ringing)
}

// step returns which question of a call a request is.
func step(r channel.Callback) string {
	if r.URL == nil {
		return ""
	}
	return r.URL.Query().Get(stepKey)
}

// address returns where Plivo asks for a step.
func address(callback, step string) string { return callback + "?" + stepKey + "=" + step }

// Answer implements channel.Answerer: it says what the call does next.
func (s *sender) Answer(ctx context.Context, r channel.Callback) (channel.Reply, bool) {
	form, err := params(r)
	at := step(r)
	if err != nil || r.Message == nil || form.Get("CallUUID") == "" || at == atRing || at == atHangup {
		return channel.Reply{}, false
	}
	m, open, err := r.Message(ctx)
	if err != nil {
		return channel.Reply{Status: http.StatusServiceUnavailable}, true // Plivo asks again
	}
	v, spoken := voiceFor(m.Spoken.Locale, m.To.Country())
	pressed := form.Get("Digits") == pressedKey
	var b strings.Builder
	switch {
	case !open || !spoken || m.Callback == "":
	case at == atAnswer:
		v.ask(&b, m, firstKey)
		v.ask(&b, m, secondKey) // where no key is pressed at the first
	case at == atSpoken:
		v.tellAgain(&b, m)
	case pressed && (at == firstKey || at == secondKey):
		v.tell(&b, m)
	case at == firstKey:
		v.ask(&b, m, secondKey)
	}
	b.WriteString("<Hangup/>") // not reached where the call goes on elsewhere
	return channel.Reply{
		Status:      http.StatusOK,
		ContentType: "application/xml",
		Body:        []byte(xml.Header + "<Response>" + b.String() + "</Response>"),
	}, true
}

// ask says who calls and waits for the key 1, which may be pressed at any time. next is the step that is asked then.
func (v voice) ask(b *strings.Builder, m channel.Message, next string) {
	b.WriteString(`<GetInput inputType="dtmf" numDigits="1" digitEndTimeout="2" executionTimeout="` +
		strconv.Itoa(keyWait) + `" method="POST" action="` + escaped(address(m.Callback, next)) + `">`)
	v.speak(b, escaped(m.Spoken.Prompt))
	b.WriteString("</GetInput>")
}

// tell says the code, character by character, and goes on at a step that tells us that it was said.
func (v voice) tell(b *strings.Builder, m channel.Message) {
	v.speak(b, escaped(m.Spoken.Intro))
	v.speak(b, slowly(m.Spoken.Lead, m.Spoken.Digits))
	b.WriteString(`<Redirect method="POST">` + escaped(address(m.Callback, atSpoken)) + "</Redirect>")
}

// tellAgain says the code as often as it is still to be said.
func (v voice) tellAgain(b *strings.Builder, m channel.Message) {
	for range max(m.Spoken.Repeat, 2) - 1 {
		v.speak(b, slowly(m.Spoken.Again, m.Spoken.Digits))
	}
}

// speak adds a sentence, which is markup already.
func (v voice) speak(b *strings.Builder, markup string) {
	b.WriteString(`<Speak voice="Polly.` + string(v) + `">` + markup + "</Speak>")
}

// slowly returns a sentence and the characters of the code as markup.
func slowly(lead string, characters []string) string {
	var b strings.Builder
	b.WriteString(escaped(lead) + `<break time="500ms"/><prosody rate="slow">`)
	for _, c := range characters {
		b.WriteString(escaped(c) + `<break time="800ms"/>`)
	}
	b.WriteString(`</prosody><break time="1s"/>`)
	return b.String()
}

// escaped returns text that may stand in markup.
func escaped(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder takes everything
	return b.String()
}
