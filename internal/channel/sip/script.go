package sip

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/sip/prompts"
	"github.com/dialproof/dialproof/internal/channel/sip/speech"
	"github.com/dialproof/dialproof/internal/message"
)

// The pauses of a call.
const (
	// beforeGreeting lets the person bring the phone to the ear.
	beforeGreeting = 500 * time.Millisecond
	afterSentence  = 400 * time.Millisecond
	// afterDigit is long enough to write a character down.
	afterDigit  = 700 * time.Millisecond
	beforeAgain = time.Second
	// pressWait is how long after each of the questions the key 1 is waited for.
	pressWait = 5 * time.Second
	// questions is how often the key is asked for.
	questions = 2
)

// Why a call ended without the code. Each text is the code of the receipt.
var (
	errNoPress  = errors.New("no_press")
	errHungUp   = errors.New("hung_up")
	errTooLong  = errors.New("too_long")
	errNoAnswer = errors.New("no_answer")
	errStopping = errors.New("stopping")
	errExpired  = errors.New("expired")
)

// plan is what a call shall do. It holds number and code, so it is never printed.
type plan struct {
	to, from string
	// The recordings.
	greeting, ask, lead, again, goodbye []byte
	// asks means that the greeting asks for the key itself.
	asks bool
	// intro says whose code it is and what for, a payment included; nil: that is not said.
	intro   []byte
	code    [][]byte
	repeat  int
	press   bool
	expires time.Time
}

// plan returns what the call of a message shall do.
func (s *sender) plan(ctx context.Context, m channel.Message) (*plan, error) {
	from, err := s.caller(m.From)
	if err != nil {
		return nil, err
	}
	p := &plan{
		to:      s.dialled(m.To.E164()),
		from:    from,
		repeat:  max(m.Spoken.Repeat, 2),
		press:   s.cfg.PressOne,
		expires: m.ExpiresAt,
	}
	locale := spokenIn(m)
	for _, r := range []struct {
		to   *[]byte
		name string
	}{{&p.greeting, prompts.Greeting}, {&p.ask, prompts.PressOne}, {&p.lead, prompts.Lead}, {&p.again, prompts.Again},
		{&p.goodbye, prompts.Goodbye}} {
		*r.to, _ = s.book.Find(locale, r.name) // English has them all
	}
	for _, c := range characters(m) {
		audio, ok := s.book.Find(locale, c)
		if !ok {
			return nil, &channel.Error{
				Kind:     channel.Refused,
				Provider: name,
				Code:     "recording",
				Detail:   "there is no recording of a character of the code",
			}
		}
		p.code = append(p.code, audio)
	}
	if len(p.code) == 0 {
		return nil, &channel.Error{
			Kind:     channel.Refused,
			Provider: name,
			Code:     "no_code",
			Detail:   "the message has no code to speak",
		}
	}
	return p, s.name(ctx, p, m, locale)
}

// spokenIn returns the locale of a call.
func spokenIn(m channel.Message) string { return cmp.Or(m.Spoken.Locale, m.Locale) }

// speakWait is how long the sentences of a call may take to be spoken; it takes some 50 ms.
const speakWait = 3 * time.Second

// name puts what recordings cannot say into a plan: the brand, and amount and payee of a payment. A call goes without
// the brand when it cannot be spoken; a payment without its amount is refused (Regulation (EU) 2018/389 Art. 5).
func (s *sender) name(ctx context.Context, p *plan, m channel.Message, locale string) error {
	payment := m.Purpose == message.Payment
	if !s.Speaks(locale, payment) {
		if payment {
			return &channel.Error{
				Kind:     channel.Refused,
				Provider: name,
				Code:     "transaction",
				Detail: "recordings cannot say amount and payee of a payment: install espeak-ng, or use a route whose " +
					"provider speaks texts",
			}
		}
		return nil
	}
	if s.speaker == nil || speech.Voice(locale) == "" || m.Spoken.Intro == "" || (s.cfg.Prompts != "" && !payment) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, speakWait)
	defer cancel()
	intro, err := s.say(ctx, locale, m.Spoken.Intro)
	var prompt []byte
	if err == nil && s.cfg.Prompts == "" && s.cfg.PressOne {
		prompt, err = s.say(ctx, locale, m.Spoken.Prompt)
	}
	switch {
	case err != nil && payment:
		return (&channel.Error{Kind: channel.Unavailable, Provider: name, Code: "speech", Detail: "the payment could not " +
			"be spoken"}).Because(err)
	case err != nil:
		s.log.Warn("brand not spoken", "locale", locale, "error", err)
		return nil
	case prompt != nil:
		p.greeting, p.asks = prompt, true
	}
	p.intro = intro
	return nil
}

// say returns a text as sound.
func (s *sender) say(ctx context.Context, locale, text string) ([]byte, error) {
	sound, err := s.speaker.Say(ctx, locale, text)
	out := make([]byte, len(sound))
	for i, v := range sound {
		out[i] = prompts.MuLaw(v)
	}
	return out, err
}

// Speaks implements channel.Linguist.
func (s *sender) Speaks(locale string, payment bool) bool {
	if !s.book.Speaks(locale) {
		return false
	}
	return !payment || s.speaker != nil && speech.Voice(locale) != ""
}

// characters returns the code one by one: of "B, Bravo" the B, as the recording has the spelling word in it.
func characters(m channel.Message) []string {
	var out []string
	for _, d := range m.Spoken.Digits {
		for _, r := range d {
			out = append(out, string(r))
			break
		}
	}
	if out == nil {
		for _, r := range m.Code.Reveal() {
			out = append(out, string(r))
		}
	}
	return out
}

// dialled returns the number as the trunk wants it, fit for an address: # is written %23 there.
func (s *sender) dialled(e164 string) string {
	if s.cfg.DialFormat == "digits" {
		e164 = strings.TrimPrefix(e164, "+")
	}
	return strings.ReplaceAll(s.cfg.DialPrefix, "#", "%23") + e164
}

// speak says what is to be said. spoken is called when the whole code was said once.
func (c *call) speak(ctx context.Context, spoken func()) error {
	if err := c.media.say(ctx, silence(beforeGreeting), nil); err != nil {
		return err
	}
	if err := c.greet(ctx); err != nil {
		return err
	}
	if !c.plan.expires.IsZero() && !c.t.s.now().Before(c.plan.expires) {
		return errExpired
	}
	if c.plan.intro != nil {
		if err := c.media.say(ctx, slices.Concat(c.plan.intro, silence(afterSentence)), nil); err != nil {
			return err
		}
	}
	for i := range c.plan.repeat {
		lead := c.plan.lead
		if i > 0 {
			lead = c.plan.again
		}
		if err := c.media.say(ctx, c.plan.round(lead), nil); err != nil {
			return err
		}
		if i == 0 {
			spoken()
		}
	}
	return c.media.say(ctx, slices.Concat(c.plan.goodbye, silence(afterSentence)), nil)
}

// round returns the code said once.
func (p *plan) round(lead []byte) []byte {
	out := slices.Concat(lead, silence(afterSentence))
	for _, audio := range p.code {
		out = slices.Concat(out, audio, silence(afterDigit))
	}
	return append(out, silence(beforeAgain)...)
}

// greet says who calls and waits for the key 1, which may be pressed at any time.
func (c *call) greet(ctx context.Context) error {
	greeting := slices.Concat(c.plan.greeting, silence(afterSentence))
	if !c.plan.press {
		return c.media.say(ctx, greeting, nil)
	}
	for i := range questions {
		ask := c.plan.ask
		if i == 0 && c.plan.asks {
			ask = nil
		}
		if err := c.media.say(ctx, slices.Concat(greeting, ask, silence(pressWait)), c.pressed); err != nil {
			return err
		}
		select {
		case <-c.pressed:
			return nil
		default:
		}
		greeting = nil
	}
	return errNoPress
}
