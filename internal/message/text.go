package message

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// Text is a message to read. Body holds the code, so no printed form of a Text shows more than "••••••".
type Text struct {
	// Body is the whole text, trailer included, with "\n" between lines.
	Body string
	// Locale is the shipped locale of the text, or that of the application's own template.
	Locale string
	// Encoding, Parts and Units are what Measure answers for Body.
	Encoding Encoding
	Parts    int
	Units    int
}

// Format writes "••••••" for every verb.
func (t Text) Format(f fmt.State, _ rune) { conceal(f) }

// String returns "••••••".
func (t Text) String() string { return hidden }

// GoString is String, for %#v.
func (t Text) GoString() string { return hidden }

// LogValue is String, for slog.
func (t Text) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText is String, so that no encoder prints the body.
func (t Text) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// Spoken is a call to hear. Digits is the code, so no printed form of a Spoken shows more than "••••••".
//
// The order of a call is: Prompt, wait for the key 1 (a mailbox does not press it), Intro, then Repeat times
// Lead and Digits, with Again instead of Lead from the second time on.
type Spoken struct {
	// Locale is the shipped locale of all texts.
	Locale string
	// Prompt says who calls and asks for the key 1. It may be heard by anyone and has no code.
	Prompt string
	// Intro says who sends the code and for what, payment included.
	Intro string
	// Lead is "Your code is:".
	Lead string
	// Digits are the characters of the code, one by one. A letter comes with its ICAO spelling word: "B, Bravo".
	Digits []string
	// Again is "Once more:".
	Again string
	// Repeat is how many times the code is to be said, at least 2.
	Repeat int
}

// Script returns everything after the key press as one text with commas and full stops for pauses. It holds
// the code.
func (s Spoken) Script() string {
	var b strings.Builder
	b.WriteString(s.Intro)
	for i := range s.Repeat {
		lead := s.Lead
		if i > 0 {
			lead = s.Again
		}
		b.WriteString(" " + lead + " " + strings.Join(s.Digits, ", ") + ".")
	}
	return b.String()
}

// Format writes "••••••" for every verb.
func (s Spoken) Format(f fmt.State, _ rune) { conceal(f) }

// String returns "••••••".
func (s Spoken) String() string { return hidden }

// GoString is String, for %#v.
func (s Spoken) GoString() string { return hidden }

// LogValue is String, for slog.
func (s Spoken) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText is String, so that no encoder prints the code.
func (s Spoken) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// conceal is every verb of every secret: %d on a struct would otherwise print its fields.
func conceal(f fmt.State) { _, _ = io.WriteString(f, hidden) }
