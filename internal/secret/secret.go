// Package secret holds text that must never be printed: a password, a token, a signing key.
//
// It is not a vault: it keeps nothing safe in memory or at rest. It only makes sure that a
// careless %v, slog attribute, JSON or YAML dump shows "<secret>" and not the value.
package secret

import "log/slog"

// Redacted is what every printed form of a Text shows.
const Redacted = "<secret>"

// Text is a secret string. The zero value is empty.
type Text struct{ value string }

// New wraps value.
func New(value string) Text { return Text{value} }

// Reveal returns the secret itself. Call it only where the value leaves for its one purpose.
func (t Text) Reveal() string { return t.value }

// IsZero reports whether there is no secret at all.
func (t Text) IsZero() bool { return t.value == "" }

// String returns "<secret>", or "" for an empty secret.
func (t Text) String() string {
	if t.value == "" {
		return ""
	}
	return Redacted
}

// GoString is String, for %#v.
func (t Text) GoString() string { return t.String() }

// LogValue is String, for slog.
func (t Text) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalText is String, so that no encoder prints the value.
func (t Text) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText takes the value as it stands in a file.
func (t *Text) UnmarshalText(b []byte) error { t.value = string(b); return nil }
