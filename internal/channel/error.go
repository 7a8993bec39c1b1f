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

// ErrorKinds returns the closed set.
func ErrorKinds() []ErrorKind {
	return []ErrorKind{Rejected, Refused, Throttled, Unavailable, MaybeSent}
}

// Subject is what a failure is about, and so whom it is counted against: a number that a route refuses says nothing of
// the others.
type Subject string

// The subjects.
const (
	// OfDestination: the number, its prefix or its country.
	OfDestination Subject = "destination"
	// OfSender: the sender ID.
	OfSender Subject = "sender"
	// OfTemplate: the text, or the template that it is made of.
	OfTemplate Subject = "template"
	// OfMessage: the message in some way that the provider does not name: its destination, its sender or its text.
	OfMessage Subject = "message"
	// OfAccount: our account there, its credentials or its balance.
	OfAccount Subject = "account"
	// OfRoute: the provider or the line to it.
	OfRoute Subject = "route"
)

// Error is the only error that leaves a Sender. Its text never holds a secret, a code, or a whole number.
type Error struct {
	Kind     ErrorKind
	Provider string
	// About is what the failure is about, where the provider says more than Kind does; see Subject.
	About Subject
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

// codeAnswer stands with an answer that says yes without saying what was taken.
const codeAnswer = "answer"

// Subject returns what the failure is about. Where the provider does not say: a rejection is about the destination, a
// refusal about the message, and anything else about the route. An answer that cannot be read is about the message: the
// provider has answered.
func (e *Error) Subject() Subject {
	switch {
	case e.About != "":
		return e.About
	case e.Kind == Rejected:
		return OfDestination
	case e.Kind == Refused || (e.Kind == MaybeSent && e.Code == codeAnswer):
		return OfMessage
	}
	return OfRoute
}

// Lasting reports whether the same message would fail in the same way again: it is not worth a second call.
func (e *Error) Lasting() bool {
	switch e.Kind {
	case Rejected, Refused:
		return true
	case Unavailable:
		return e.Subject() != OfRoute && e.Subject() != OfAccount
	case Throttled, MaybeSent:
	}
	return false
}

// Unwrap returns the cause, if one was kept with Because. Its text may hold anything: never print it.
func (e *Error) Unwrap() error { return e.cause }

// Because keeps the cause for errors.Is.
func (e *Error) Because(err error) *Error { e.cause = err; return e }

// AsError returns err as an *Error. An error that is none means a fault in the provider's code after
// which nobody knows whether the message left: it becomes MaybeSent, without its text.
func AsError(provider string, err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return (&Error{Kind: MaybeSent, Provider: provider, Code: "internal", Detail: "the provider failed in an " +
		"unforeseen way"}).Because(err)
}
