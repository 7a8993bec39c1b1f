package verify

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/dialproof/dialproof/internal/limit"
	"github.com/dialproof/dialproof/internal/message"
	"github.com/dialproof/dialproof/internal/phone"
)

// Code names a failure for machines. It never changes once published.
type Code string

// The failures of the core. docs/errors.md says what to do about each.
const (
	CodeInvalid       Code = "invalid_request"        // fields are wrong: see Fields
	CodeNotFound      Code = "not_found"              // no such verification in this application
	CodeLimited       Code = "rate_limited"           // see Refusal
	CodeLocked        Code = "number_locked"          // too many wrong codes: see Refusal
	CodeBlocked       Code = "number_blocked"         // this number is not sent to
	CodeFiction       Code = "number_reserved"        // reserved for fiction: test keys only
	CodeNoRoute       Code = "no_route"               // no route serves this number on this channel
	CodeNotPending    Code = "not_pending"            // the verification is final
	CodeResendsUsed   Code = "resends_used_up"        // no resend is left
	CodeEmailRequired Code = "email_required"         // the channel email needs an address
	CodeReused        Code = "idempotency_key_reused" // the key came with another request
	CodeMismatch      Code = "transaction_mismatch"   // the check names another payment than the start, or none
	CodeBusy          Code = "busy"                   // a queue is full: come back
	CodeUnavailable   Code = "store_unavailable"      // the store cannot be written
)

// Field is one field that is wrong. Detail never repeats the value.
type Field struct {
	Name   string
	Code   string
	Detail string
}

// Error is a refusal of the core. Its text is for people and holds neither a number nor a code.
type Error struct {
	Code   Code
	Detail string
	Fields []Field
	// Refusal is set with CodeLimited and CodeLocked.
	Refusal *limit.Refusal
	// Retry is when to come back; zero when that will not help.
	Retry time.Time
	// Status is the verification's final status with CodeNotPending.
	Status Status
}

// Error reads as the detail.
func (e *Error) Error() string { return "verify: " + string(e.Code) + ": " + e.Detail }

// Is tells errors of the same code apart from others, for errors.Is(err, &Error{Code: …}).
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error) // this is the comparison that errors.Is calls
	return ok && t.Code == e.Code
}

func fail(c Code, format string, args ...any) *Error {
	return &Error{Code: c, Detail: fmt.Sprintf(format, args...)}
}

func field(name, code, format string, args ...any) Field {
	return Field{Name: name, Code: code, Detail: fmt.Sprintf(format, args...)}
}

// invalid returns an error for wrong fields, or nil for none.
func invalid(fields []Field) error {
	if len(fields) == 0 {
		return nil
	}
	return &Error{Code: CodeInvalid, Detail: "the request has " + plural(len(fields), "invalid field"), Fields: fields}
}

func plural(n int, noun string) string {
	if n == 1 {
		return "one " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// limited returns the error for a refusal.
func limited(c Code, r *limit.Refusal) *Error {
	detail := "too many requests: the limit " + r.Name + " is used up"
	if c == CodeLocked {
		detail = "too many wrong codes for this number: it is locked for a while"
	}
	return &Error{Code: c, Detail: detail, Refusal: r, Retry: r.Retry}
}

// numberError returns the field error for a number that cannot be taken.
func numberError(err error) error {
	code, detail := "invalid_number", "is not a phone number"
	if e, ok := errors.AsType[*phone.Error](err); ok {
		code, detail = e.Code, e.Detail
	}
	return invalid([]Field{{Name: "to", Code: code, Detail: detail}})
}

// messageField returns the field error for a text that cannot be made.
func messageField(name string, err error) Field {
	if e, ok := errors.AsType[*message.Error](err); ok {
		return Field{Name: name, Code: e.Code, Detail: e.Detail}
	}
	return Field{Name: name, Code: "invalid_value", Detail: "cannot be used"}
}
