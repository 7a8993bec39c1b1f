package smtp

import (
	"regexp"
	"strconv"

	"github.com/dialproof/dialproof/internal/channel"
)

var enhancedForm = regexp.MustCompile(`^([245])\.([0-9]{1,3})\.([0-9]{1,3})(?:[^0-9.]|$)`)

// enhanced returns the enhanced status code (RFC 3463) that a reply's text begins with; empty for none.
func enhanced(text string) string {
	m := enhancedForm.FindStringSubmatch(text)
	if m == nil {
		return ""
	}
	return m[1] + "." + m[2] + "." + m[3]
}

// errorRow says what a reply means for the next step.
type errorRow struct {
	kind   channel.ErrorKind
	detail string
}

// subjects say what the second number of an enhanced code is about (RFC 3463 §3), when the reply is final (5) and when
// it is not (4). Only what is said of the recipient speaks against the address.
func subjects() map[string][2]errorRow {
	return map[string][2]errorRow{
		"1": {{channel.Rejected, "the address does not exist"}, {channel.Unavailable, "the address cannot be looked up now"}},
		"2": {{channel.Rejected, "the mailbox is closed or full"}, {channel.Unavailable, "the mailbox takes nothing now"}},
		"3": {{channel.Refused, "the server does not take such mails"}, {channel.Unavailable, "the server has no room now"}},
		"4": {
			{channel.Unavailable, "the way to the address is broken"},
			{channel.Unavailable, "the way to the address is broken now"},
		},
		"5": {{channel.Refused, "the server did not understand"}, {channel.Unavailable, "the server did not understand now"}},
		"6": {
			{channel.Refused, "the server does not take the text"},
			{channel.Unavailable, "the server does not take the text now"},
		},
		"7": {
			{channel.Refused, "the server's rules do not let it pass: see SPF, DKIM and the sender's reputation"},
			{channel.Throttled, "the server asks for patience: too many mails, or it does not know us yet"},
		},
	}
}

// replies are those that say more than their first digit (RFC 5321 §4.2.3, RFC 4954 §6), by stage. A reply that is not
// here is Refused when it is final, and Unavailable when it is not: nothing was taken.
func replies() map[stage]map[int]errorRow {
	return map[stage]map[int]errorRow{
		greeting: {
			421: {channel.Unavailable, "the server is closing"},
			554: {channel.Refused, "the server does not talk to this machine: its address may be on a list"},
		},
		loggingIn: {
			432: {channel.Refused, "the password must be changed"},
			454: {channel.Unavailable, "the server cannot check passwords now"},
			530: {channel.Refused, "the server wants a login"},
			534: {channel.Refused, "the server wants a stronger login"},
			535: {channel.Refused, "the server does not accept the name and the password"},
			538: {channel.Refused, "the server wants a login over TLS"},
		},
		naming: {
			530: {channel.Refused, "the server wants a login, or TLS"},
			550: {channel.Refused, "the server does not accept the sender"},
			553: {channel.Refused, "the server does not accept the sender"},
		},
		addressing: {
			421: {channel.Throttled, "too many mails at once"},
			450: {channel.Throttled, "the mailbox takes nothing now, or the server does not know us yet"},
			451: {channel.Throttled, "the server asks to be tried again"},
			452: {channel.Unavailable, "the server has no room now"},
			550: {channel.Rejected, "the address does not exist"},
			551: {channel.Rejected, "the address is not here"},
			552: {channel.Rejected, "the mailbox is full"},
			553: {channel.Rejected, "the address is not valid"},
			556: {channel.Rejected, "the domain takes no mail"},
		},
	}
}

// judge returns the error of a reply.
func judge(at stage, code int, more string) *channel.Error {
	e := &channel.Error{
		Kind:     channel.Refused,
		Provider: name,
		Code:     strconv.Itoa(code),
		Detail:   "the mail server does not accept it",
	}
	if code < 500 {
		e.Kind, e.Detail = channel.Unavailable, "the mail server cannot take it now"
	}
	if row, ok := replies()[at][code]; ok {
		e.Kind, e.Detail = row.kind, row.detail
	}
	if more == "" {
		return e
	}
	e.Code += " " + more
	m := enhancedForm.FindStringSubmatch(more)
	rows, ok := subjects()[m[2]]
	if !ok || at == loggingIn || at == greeting || at == securing || (code < 500) != (m[1] == "4") {
		return e
	}
	row := rows[0]
	if m[1] == "4" {
		row = rows[1]
	}
	if row.kind == channel.Rejected && (at == naming || senders(more)) {
		row = errorRow{channel.Refused, "the server does not accept the sender"}
	}
	e.Kind, e.Detail = row.kind, row.detail
	return e
}

// senders reports whether an enhanced code is about the sender's address (RFC 3463 §3.2, X.1.7 and X.1.8).
func senders(code string) bool { return code == "5.1.7" || code == "5.1.8" }
