package channel

import (
	"errors"
	"fmt"
	"time"
)

// ErrorKind says what a failed send means for the next step, and above all whether the message may
// have left. The set is closed: every error row of every provider maps to one of these.
type ErrorKind string

// The kinds.
const (
	// Rejected: this number will not work on this channel. Stop the channel.
	Rejected ErrorKind = "rejected"
	// Refused: our account, sender ID or template. The next route now, and an alarm.
	Refused ErrorKind = "refused"
	// Throttled: too fast for this provider. Wait RetryAfter, or take another route.
	Throttled ErrorKind = "throttled"
	// Unavailable: surely not sent. The next route now.
	Unavailable ErrorKind = "unavailable"
	// MaybeSent: the answer was lost, the message may have left. Wait for the receipt.
	MaybeSent ErrorKind = "unknown"
)

// ErrorKinds answers the closed set.
func ErrorKinds() []ErrorKind {
	return []ErrorKind{Rejected, Refused, Throttled, Unavailable, MaybeSent}
}

// Error is the only error that leaves a Sender. Its text never holds a secret, a code, or a whole number.
type Error struct {
	Kind     ErrorKind
	Provider string
	// Code is the provider's own code ("21211", "ESME_RTHROTTLED", "HTTP 503").
	Code string
	// Detail is for the operator: what happened, in words of ours.
	Detail string
	// RetryAfter is how long a Throttled provider asked to be left alone; 0 when it did not say.
	RetryAfter time.Duration
	cause      error
}

// Error reads "twilio: 21211: the number cannot receive SMS (rejected)".
func (e *Error) Error() string {
	s := e.Provider
	if e.Code != "" {
		s += ": " + e.Code
	}
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	return fmt.Sprintf("%s (%s)", s, e.Kind)
}

// Unwrap answers the cause, if one was kept with Because. Its text may hold anything: never print it.
func (e *Error) Unwrap() error { return e.cause }

// Because keeps the cause for errors.Is.
func (e *Error) Because(err error) *Error { e.cause = err; return e }

// AsError answers err as an *Error. An error that is none means a fault in the provider's code after
// which nobody knows whether the message left: it becomes MaybeSent, without its text.
func AsError(provider string, err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return (&Error{Kind: MaybeSent, Provider: provider, Code: "internal", Detail: "the provider failed in an unforeseen way"}).Because(err)
}
