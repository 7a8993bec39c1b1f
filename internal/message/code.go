package message

import (
	"fmt"
	"log/slog"
)

// hidden is what a printed Code shows, whatever its length, so that not even the length leaks.
const hidden = "••••••"

// Code is the secret that the person types. Every printed form of it is "••••••".
type Code struct{ value string }

// NewCode wraps the characters of a code.
func NewCode(value string) Code { return Code{value} }

// Reveal returns the characters themselves, for the message and the comparison only.
func (c Code) Reveal() string { return c.value }

// IsZero reports whether there is no code.
func (c Code) IsZero() bool { return c.value == "" }

// String returns "••••••".
func (c Code) String() string { return hidden }

// GoString is String, for %#v.
func (c Code) GoString() string { return hidden }

// LogValue is String, for slog.
func (c Code) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText is String, so that no encoder prints the code.
func (c Code) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// Format writes "••••••" for every verb; %d would otherwise print the field.
func (c Code) Format(f fmt.State, _ rune) { conceal(f) }
