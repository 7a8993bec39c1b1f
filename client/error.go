package client

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The codes that an *Error most often carries. They never change; the server's documentation lists them all.
const (
	CodeInvalid         = "invalid_request"        // fields are wrong: see Fields
	CodeUnauthenticated = "unauthenticated"        // the API key is unknown or revoked
	CodeKeyExpired      = "key_expired"            // the API key has expired
	CodeForbidden       = "forbidden"              // the key lacks the scope
	CodeNotFound        = "not_found"              // no such verification in the key's application
	CodeLimited         = "rate_limited"           // too fast: see Limit and RetryAfter
	CodeLocked          = "number_locked"          // too many wrong codes for this number: see RetryAfter
	CodeBlocked         = "number_blocked"         // this number is not sent to
	CodeFiction         = "number_reserved"        // reserved for fiction: dev and test keys only
	CodeNoRoute         = "no_route"               // no route serves this number on this channel
	CodeNotPending      = "not_pending"            // the verification is final
	CodeResendsUsed     = "resends_used_up"        // no resend is left
	CodeEmailRequired   = "email_required"         // the channel email needs StartRequest.Email
	CodeReused          = "idempotency_key_reused" // the key came with another request
	CodeInFlight        = "idempotency_in_flight"  // the first request with this key is not answered yet
	CodeBusy            = "busy"                   // the server is full: see RetryAfter
	CodeUnavailable     = "store_unavailable"      // the server cannot write
	CodeInternal        = "internal"               // a fault of the server: RequestID names it in the log
	// CodeBadAnswer is the SDK's own: what answered is no Dialproof server, or a proxy stands before it.
	CodeBadAnswer = "bad_answer"
)

// Error is a refusal of the server (RFC 9457). Act on Code; Detail is for people.
type Error struct {
	// Status is the HTTP status.
	Status int `json:"status"`
	// Code is stable and made for machines.
	Code string `json:"code"`
	// Title and Detail say in words what is wrong. They hold no code and no whole number.
	Title  string `json:"title"`
	Detail string `json:"detail"`
	// Fields are the fields that are wrong, with CodeInvalid.
	Fields []Field `json:"errors"`
	// Limit names the limit that refused, with CodeLimited and CodeLocked ("number_hour").
	Limit string `json:"limit"`
	// RequestID names the request in the server's log; empty when the server did not say.
	RequestID string `json:"instance"`
	// RetryAfter is when another try may pass; 0 when the server did not say.
	RetryAfter time.Duration `json:"-"`
}

// Field is one field of a request that is wrong.
type Field struct {
	Field  string `json:"field"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// Error reads "dialproof: invalid_request (422): the request has one invalid field; to: is not a phone number".
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("dialproof: " + e.Code + " (" + strconv.Itoa(e.Status) + ")")
	if d := e.Detail; d != "" {
		b.WriteString(": " + d)
	} else if e.Title != "" {
		b.WriteString(": " + e.Title)
	}
	for _, f := range e.Fields {
		b.WriteString("; " + f.Field + ": " + f.Detail)
	}
	return b.String()
}

// problem reads a refusal. What is no problem document becomes one of CodeBadAnswer, without its text.
func problem(resp *http.Response, body []byte) *Error {
	e := &Error{}
	if json.Unmarshal(body, e) != nil || e.Code == "" {
		e = &Error{Code: CodeBadAnswer, Title: http.StatusText(resp.StatusCode)}
	}
	e.Status = resp.StatusCode
	e.RetryAfter = retryAfter(resp.Header)
	return e
}

// retryAfter reads the header in seconds, which is how Dialproof writes it; a day at most.
func retryAfter(h http.Header) time.Duration {
	n, err := strconv.Atoi(strings.TrimSpace(h.Get("Retry-After")))
	if err != nil || n <= 0 {
		return 0
	}
	return time.Duration(min(n, 86400)) * time.Second
}
