package client

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// CodeBadAnswer is the SDK's own: what answered is no Dialproof server, or a proxy stands before it.
const CodeBadAnswer Code = "bad_answer"

// Error is a refusal of the server (RFC 9457). Act on its Code, which never changes; Detail is for people. Instance
// names the request in the server's log.
type Error struct {
	Problem
	// RetryAfter is when another try may pass; 0 when the server did not say.
	RetryAfter time.Duration `json:"-"`
}

// Error reads "dialproof: invalid_request (422): the request has one invalid field; to: is not a phone number".
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("dialproof: " + string(e.Code) + " (" + strconv.Itoa(e.Status) + ")")
	if d := e.Detail; d != "" {
		b.WriteString(": " + d)
	} else if e.Title != "" {
		b.WriteString(": " + e.Title)
	}
	for _, f := range e.Errors {
		b.WriteString("; " + f.Field + ": " + f.Detail)
	}
	return b.String()
}

// CodeOf returns the code of the *Error in err, and "" when there is none: the server gave no answer, or all is well.
//
//	switch client.CodeOf(err) {
//	case client.CodeRateLimited: // come back later
//	case client.CodeNumberBlocked: // ask for another number
//	}
func CodeOf(err error) Code {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return ""
}

// problem reads a refusal. What is no problem document becomes one of CodeBadAnswer, without its text.
func problem(resp *http.Response, body []byte) *Error {
	e := &Error{}
	if json.Unmarshal(body, &e.Problem) != nil || e.Code == "" {
		e = badAnswer(resp.StatusCode, "")
	}
	e.Status = resp.StatusCode
	e.RetryAfter = retryAfter(resp.Header, time.Now())
	return e
}

func badAnswer(status int, detail string) *Error {
	return &Error{Problem: Problem{Status: status, Code: CodeBadAnswer, Title: http.StatusText(status), Detail: detail}}
}

// retryAfter reads the header: seconds, which is how Dialproof writes it, or a date, as a proxy may (RFC 9110
// §10.2.3); a day at most.
func retryAfter(h http.Header, now time.Time) time.Duration {
	const day = 24 * time.Hour
	text := strings.TrimSpace(h.Get("Retry-After"))
	if n, err := strconv.Atoi(text); err == nil {
		return time.Duration(min(max(n, 0), 86400)) * time.Second
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now).Truncate(time.Second), 0), day)
}
