package messagebird

import (
	"encoding/json"
	"strings"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/rest"
)

// errorTable has the errors of a request (developers.messagebird.com/api, "API errors"). Code 9 is said of a wrong
// number, but also of every number but one's own while the account is on trial: it does not speak against the number.
func errorTable() rest.Table {
	return rest.Table{
		"2": rest.Means(channel.Refused, "MessageBird does not accept our access key"),
		"9": rest.Means(channel.Refused,
			"a parameter is missing, or the account is on trial and may only write to its own number"),
		"10":  rest.Means(channel.Refused, "a parameter is not valid: see the sender"),
		"20":  rest.Means(channel.Refused, "the address is not known: see url"),
		"21":  rest.Means(channel.Refused, "the request is not understood"),
		"25":  rest.Means(channel.Refused, "the account's balance is too low"),
		"98":  rest.Means(channel.Refused, "the interface is not known: see url"),
		"99":  rest.Means(channel.Unavailable, "MessageBird failed"),
		"101": rest.Means(channel.Refused, "the message counts as sent twice"),
	}
}

// refused judges an answer that is no yes.
func (s *sender) refused(a channel.Answer) *channel.Error {
	var said struct {
		Errors []struct {
			Code json.Number `json:"code"`
		} `json:"errors"`
	}
	if a.JSON(&said) != nil || len(said.Errors) == 0 {
		return s.api.Status(a)
	}
	return s.api.Refusal(a, said.Errors[0].Code.String(), errorTable())
}

// networkErrors are the network's own errors of a message (statusErrorCode): those of MAP (3GPP TS 29.002, §17.6),
// which Bird lists by the same numbers. One that is not here may go away by itself or on another route.
func networkErrors() map[string]channel.ErrorKind {
	return map[string]channel.ErrorKind{
		"1":  channel.Rejected,    // unknown subscriber
		"5":  channel.Unavailable, // unidentified subscriber
		"6":  channel.Unavailable, // absent subscriber
		"9":  channel.Rejected,    // illegal subscriber
		"10": channel.Rejected,    // the subscription has no SMS (bearer service)
		"11": channel.Rejected,    // the subscription has no SMS (teleservice)
		"12": channel.Rejected,    // illegal equipment
		"13": channel.Rejected,    // calls barred
		"20": channel.Unavailable, // incompatible services
		"21": channel.Unavailable, // facility not supported
		"27": channel.Unavailable, // absent subscriber
		"31": channel.Unavailable, // busy with another SMS
		"32": channel.Unavailable, // the handset did not take it
		"33": channel.Unavailable, // message waiting list full
		"34": channel.Unavailable, // system failure
		"35": channel.Unavailable, // data missing
		"36": channel.Unavailable, // unexpected data
	}
}

// reasons are MessageBird's words for why a message failed (statusReason), where there is no number.
func reasons() map[string]channel.ErrorKind {
	return map[string]channel.ErrorKind{
		"unknown subscriber":       channel.Rejected,
		"incorrect number":         channel.Rejected,
		"opted out":                channel.Rejected,
		"unavailable subscriber":   channel.Unavailable,
		"expired":                  channel.Unavailable,
		"dlr not received":         channel.Unavailable,
		"received network error":   channel.Unavailable,
		"system failure":           channel.Unavailable,
		"capacity limit reached":   channel.Unavailable,
		"generic delivery failure": channel.Unavailable,
		"insufficient balance":     channel.Refused,
		"carrier rejected":         channel.Refused,
		"carrier violation":        channel.Refused,
		"content related":          channel.Refused,
	}
}

// failure returns code and kind of a message that failed.
func failure(number, reason string) (code string, kind channel.ErrorKind) {
	if kind, known := networkErrors()[number]; known {
		return number, kind
	}
	reason = strings.ToLower(reason)
	if kind, known := reasons()[reason]; known {
		return strings.ReplaceAll(reason, " ", "_"), kind
	}
	if code, ok := rest.Short(number, 5); ok {
		return code, channel.Unavailable
	}
	return "unknown", channel.Unavailable
}
