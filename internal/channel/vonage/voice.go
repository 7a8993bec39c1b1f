package vonage

import (
	"context"
	"encoding/xml"
	"net/http"
	"regexp"
	"strings"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/rest"
)

// Bounds of a call, in seconds. Vonage allows 1 to 120 for ringing and 1 to 7200 for talking.
const (
	ringing = 45
	minRing = 5
	talking = 180
	keyWait = 5 // Vonage allows 1 to 10
)

// The steps of a call. The address that Vonage asks next names the step; without one it is the first.
const (
	stepKey    = "step"
	firstKey   = "key1"
	secondKey  = "key2"
	wasSpoken  = "spoken"
	pressedKey = "1"
)

// phoneNumber is a number to call or to show.
type phoneNumber struct {
	Type   string `json:"type"`
	Number string `json:"number"`
}

// callOrder is a call to make, of the Voice API.
type callOrder struct {
	To               []phoneNumber `json:"to"`
	From             *phoneNumber  `json:"from,omitempty"`
	RandomFromNumber bool          `json:"random_from_number,omitempty"`
	AnswerURL        []string      `json:"answer_url,omitempty"`
	AnswerMethod     string        `json:"answer_method,omitempty"`
	EventURL         []string      `json:"event_url,omitempty"`
	EventMethod      string        `json:"event_method,omitempty"`
	NCCO             []action      `json:"ncco,omitempty"`
	MachineDetection string        `json:"machine_detection,omitempty"`
	RingingTimer     int           `json:"ringing_timer"`
	LengthTimer      int           `json:"length_timer"`
}

// action is one step of what Vonage does in a call (NCCO).
type action struct {
	Action      string            `json:"action"`
	Text        string            `json:"text,omitempty"`
	Language    string            `json:"language,omitempty"`
	Style       int               `json:"style,omitempty"`
	BargeIn     bool              `json:"bargeIn,omitempty"`
	Type        []string          `json:"type,omitempty"`
	DTMF        *keys             `json:"dtmf,omitempty"`
	Payload     map[string]string `json:"payload,omitempty"`
	EventURL    []string          `json:"eventUrl,omitempty"`
	EventMethod string            `json:"eventMethod,omitempty"`
}

// keys says which keys are waited for.
type keys struct {
	MaxDigits int `json:"maxDigits"`
	TimeOut   int `json:"timeOut"`
}

var numberForm = regexp.MustCompile(`^\+?[0-9]{7,15}$`)

// call makes a call. The code is not in the request: Vonage asks what to say when the person has picked up. Only a
// deployment without a public address, which cannot be asked, says it all at once.
func (s *sender) call(ctx context.Context, m channel.Message) (channel.Accepted, error) {
	v, ok := voiceFor(m.Spoken.Locale, m.To.Country())
	if !ok {
		return channel.Accepted{}, rest.Refused(name, "language", "Vonage has no voice for the person's language")
	}
	o := callOrder{To: []phoneNumber{{"phone", rest.Digits(m.To.E164())}}, RingingTimer: s.ring(m), LengthTimer: talking}
	// A sender that is a word is meant for SMS.
	if from := s.from(m); numberForm.MatchString(from) {
		o.From = &phoneNumber{"phone", rest.Digits(from)}
	} else {
		o.RandomFromNumber = true
	}
	if m.Callback != "" {
		o.AnswerURL, o.AnswerMethod = []string{m.Callback}, http.MethodPost
		o.EventURL, o.EventMethod = []string{m.Callback}, http.MethodPost
	} else {
		o.NCCO, o.MachineDetection = append(v.ask(m, ""), v.tell(m, "")...), "hangup"
	}
	a, err := s.api.JSON(ctx, http.MethodPost, "/v1/calls", o)
	if err != nil {
		return channel.Accepted{}, err
	}
	var said struct {
		ID     string `json:"uuid"`
		Status string `json:"status"`
	}
	if err := s.judge(a, &said); err != nil {
		return channel.Accepted{}, err
	}
	if said.ID == "" {
		return channel.Accepted{}, rest.NoID(name)
	}
	return channel.Accepted{ID: said.ID, Status: channel.Taken}, nil
}

// ring returns how long the phone rings, in seconds: not longer than the code lives.
func (s *sender) ring(m channel.Message) int {
	if m.ExpiresAt.IsZero() {
		return ringing
	}
	return rest.Life(m.ExpiresAt, s.api.Now(), minRing, ringing)
}

// ask says who calls and waits for the key 1, which may be pressed at any time. next is the step that is asked then.
func (v voice) ask(m channel.Message, next string) []action {
	talk := v.talk(v.text(m.Spoken.Prompt))
	talk.BargeIn = true
	input := action{Action: "input", Type: []string{"dtmf"}, DTMF: &keys{MaxDigits: 1, TimeOut: keyWait}}
	if next != "" {
		input.EventURL, input.EventMethod = []string{address(m.Callback, next)}, http.MethodPost
	}
	return []action{talk, input}
}

// tell says the code, character by character, and asks for word when it was said once.
func (v voice) tell(m channel.Message, next string) []action {
	out := []action{v.talk(v.text(m.Spoken.Intro))}
	for i := range max(m.Spoken.Repeat, 2) {
		lead := m.Spoken.Lead
		if i > 0 {
			lead = m.Spoken.Again
		}
		out = append(out, v.slowly(lead, m.Spoken.Digits)...)
		if i == 0 && next != "" {
			out = append(out, action{
				Action: "notify", Payload: map[string]string{stepKey: next},
				EventURL: []string{address(m.Callback, next)}, EventMethod: http.MethodPost,
			})
		}
	}
	return out
}

// slowly returns a sentence and the characters of the code. A voice without markup says each in an action of its own,
// since it knows no pause but the one between two actions.
func (v voice) slowly(lead string, characters []string) []action {
	if !v.ssml {
		out := []action{v.talk(lead)}
		for _, c := range characters {
			out = append(out, v.talk(c))
		}
		return out
	}
	var b strings.Builder
	b.WriteString("<speak>" + escaped(lead) + "<break time='500ms'/><prosody rate='slow'>")
	for _, c := range characters {
		b.WriteString(escaped(c) + "<break time='800ms'/>")
	}
	b.WriteString("</prosody><break time='1s'/></speak>")
	return []action{v.talk(b.String())}
}

// text returns a sentence in the form that the voice takes.
func (v voice) text(s string) string {
	if v.ssml {
		return "<speak>" + escaped(s) + "<break time='500ms'/></speak>"
	}
	return s
}

func (v voice) talk(text string) action {
	return action{Action: "talk", Text: text, Language: v.language, Style: v.style}
}

// escaped returns text that may stand in markup.
func escaped(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder takes everything
	return b.String()
}

// address returns where Vonage asks for the next step.
func address(callback, next string) string { return callback + "?" + stepKey + "=" + next }
