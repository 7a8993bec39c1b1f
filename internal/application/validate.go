package application

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/message"
)

// FieldError is a field that cannot be taken.
type FieldError struct {
	Field  string
	Code   string
	Detail string
}

// Error reads "policy.code_length: must be 6 to 10".
func (e *FieldError) Error() string { return e.Field + ": " + e.Detail }

func bad(field, code, format string, args ...any) *FieldError {
	return &FieldError{Field: field, Code: code, Detail: fmt.Sprintf(format, args...)}
}

// Validate returns the first field that is out of bounds.
func (a Application) Validate() error {
	if err := label("name", a.Name, 64); err != nil {
		return err
	}
	if err := label("brand", a.Brand, 32); err != nil {
		return err
	}
	return a.Policy.Validate()
}

// Validate returns the first field that is out of bounds. Zero fields are defaults and pass.
func (p Policy) Validate() error {
	for _, f := range []struct {
		name        string
		v, low, top int
	}{
		{"policy.code_length", p.CodeLength, MinCodeLength, MaxCodeLength},
		{"policy.expires_in", p.ExpiresIn, MinExpiresIn, MaxExpiresIn},
		{"policy.max_attempts", p.MaxAttempts, 1, MaxMaxAttempts},
		{"policy.max_sends", p.MaxSends, 1, MaxMaxSends},
		{"policy.starts_per_hour", p.StartsPerHour, 1, 10_000_000},
	} {
		if f.v != 0 && (f.v < f.low || f.v > f.top) {
			return bad(f.name, "out_of_range", "must be %d to %d", f.low, f.top)
		}
	}
	if p.Alphabet != "" && p.Alphabet != Digits && p.Alphabet != Alphanumeric {
		return bad("policy.code_alphabet", "invalid_value", "must be %q or %q", Digits, Alphanumeric)
	}
	if len(p.Channels) > len(channel.Kinds()) {
		return bad("policy.channels", "too_many", "at most %d channels", len(channel.Kinds()))
	}
	for _, c := range p.Channels {
		if !c.Valid() {
			return bad("policy.channels", "invalid_value", "%q is not a channel", string(c))
		}
	}
	if err := p.validateFallback(); err != nil {
		return err
	}
	if err := p.validatePage(); err != nil {
		return err
	}
	return p.validateTexts()
}

// validateFallback judges the order of channels. It must fit into the life of a code and the number of sends.
func (p Policy) validateFallback() error {
	if len(p.Fallback) == 0 {
		return nil
	}
	filled, total := p.Filled(), 0
	if n := len(p.Fallback); n < 2 || n > min(filled.MaxSends, MaxFallback) {
		return bad("policy.fallback", "out_of_range", "must have 2 to %d steps: each is a send, and max_sends is %d",
			min(filled.MaxSends, MaxFallback), filled.MaxSends)
	}
	for i, s := range p.Fallback {
		field, last := fmt.Sprintf("policy.fallback[%d]", i), i == len(p.Fallback)-1
		switch {
		case !s.Channel.Valid():
			return bad(field+".channel", "invalid_value", "%q is not a channel", string(s.Channel))
		case !slices.Contains(filled.Channels, s.Channel):
			return bad(field+".channel", "not_allowed", "%s is not among the policy's channels", s.Channel)
		case last && s.Wait != 0:
			return bad(field+".wait", "invalid_value", "nothing follows the last step: leave its wait out")
		case !last && (s.Wait < MinWait || s.Wait > MaxWait):
			return bad(field+".wait", "out_of_range", "must be %d to %d seconds", MinWait, MaxWait)
		}
		total += s.Wait
	}
	if total >= filled.ExpiresIn {
		return bad("policy.fallback", "out_of_range", "the waits add up to %d s, and a code lives for %d s", total,
			filled.ExpiresIn)
	}
	return nil
}

// ParseFallback reads an order as people write it: "sms 25s, sms 25s, voice".
func ParseFallback(text string) ([]Step, error) {
	var out []Step
	for part := range strings.SplitSeq(text, ",") {
		words := strings.Fields(part)
		if len(words) == 0 || len(words) > 2 {
			return nil,
				bad("fallback", "invalid_value", "%q: each step is a channel and a wait, like: sms 25s, sms 25s, voice",
					strings.TrimSpace(part))
		}
		s := Step{Channel: channel.Kind(words[0])}
		if len(words) == 2 {
			wait, err := time.ParseDuration(words[1])
			if err != nil || wait != wait.Truncate(time.Second) {
				return nil, bad("fallback", "invalid_value", "%q is no wait in whole seconds, like 25s", words[1])
			}
			s.Wait = int(wait / time.Second)
		}
		out = append(out, s)
	}
	return out, nil
}

func (p Policy) validateTexts() error {
	if len(p.Origins) > 32 {
		return bad("policy.origins", "too_many", "at most 32 origins")
	}
	for _, o := range p.Origins {
		if err := message.ParseTrailer(message.Trailer{Origin: o}); err != nil {
			return bad("policy.origins", "invalid_value", "%v", err)
		}
	}
	n := 0
	for _, texts := range p.Templates {
		for _, text := range texts {
			if n++; n > 256 {
				return bad("policy.templates", "too_many", "at most 256 templates")
			}
			if err := message.LintTemplate(text); err != nil {
				return bad("policy.templates", "invalid_value", "%v", err)
			}
		}
	}
	return nil
}

// label checks a short name for people.
func label(field, s string, most int) error {
	switch {
	case strings.TrimSpace(s) == "":
		return bad(field, "required", "must not be empty")
	case utf8.RuneCountInString(s) > most:
		return bad(field, "too_long", "must have at most %d characters", most)
	case !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl):
		return bad(field, "invalid_value", "must not have control characters")
	}
	return nil
}

func (n NewKey) validate(now time.Time) error {
	if err := label("name", n.Name, 64); err != nil {
		return err
	}
	if n.Mode != Live && n.Mode != Test {
		return bad("mode", "invalid_value", "must be %q or %q", Live, Test)
	}
	if len(n.Scopes) == 0 || len(n.Scopes) > 3 {
		return bad("scopes", "required", "name at least one of verify, read, admin")
	}
	for _, s := range n.Scopes {
		switch s {
		case Verify, Read:
			if n.App.IsZero() {
				return bad("application", "required", "a key with scope %s acts for an application", s)
			}
		case Admin:
			if !n.App.IsZero() {
				return bad("scopes", "invalid_value", "an admin key belongs to no application")
			}
		default:
			return bad("scopes", "invalid_value", "%q is not a scope", string(s))
		}
	}
	if !n.Expires.IsZero() && !n.Expires.After(now) {
		return bad("expires_at", "out_of_range", "must be in the future")
	}
	return nil
}
