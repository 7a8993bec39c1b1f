package sip

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/sip/prompts"
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
	code                                [][]byte
	repeat                              int
	press                               bool
	expires                             time.Time
}

// plan answers what the call of a message shall do.
func (s *sender) plan(m channel.Message) (*plan, error) {
	if m.Purpose == message.Payment {
		return nil, &channel.Error{Kind: channel.Refused, Provider: name, Code: "transaction", Detail: "recordings cannot say amount and payee of a payment: use a route whose provider speaks texts"}
	}
	from, err := s.caller(m.From)
	if err != nil {
		return nil, err
	}
	p := &plan{to: s.dialled(m.To.E164()), from: from, repeat: max(m.Spoken.Repeat, 2), press: s.cfg.PressOne, expires: m.ExpiresAt}
	locale := m.Spoken.Locale
	if locale == "" {
		locale = m.Locale
	}
	for _, r := range []struct {
		to   *[]byte
		name string
	}{{&p.greeting, prompts.Greeting}, {&p.ask, prompts.PressOne}, {&p.lead, prompts.Lead}, {&p.again, prompts.Again}, {&p.goodbye, prompts.Goodbye}} {
		*r.to, _ = s.book.Find(locale, r.name) // English has them all
	}
	for _, c := range characters(m) {
		audio, ok := s.book.Find(locale, c)
		if !ok {
			return nil, &channel.Error{Kind: channel.Refused, Provider: name, Code: "recording", Detail: "there is no recording of a character of the code"}
		}
		p.code = append(p.code, audio)
	}
	if len(p.code) == 0 {
		return nil, &channel.Error{Kind: channel.Refused, Provider: name, Code: "no_code", Detail: "the message has no code to speak"}
	}
	return p, nil
}

// characters answers the code one by one: of "B, Bravo" the B, as the recording has the spelling word in it.
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

// dialled answers the number as the trunk wants it, fit for an address: # is written %23 there.
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

// round answers the code said once.
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
	for range questions {
		if err := c.media.say(ctx, slices.Concat(greeting, c.plan.ask, silence(pressWait)), c.pressed); err != nil {
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
