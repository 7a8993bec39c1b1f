package sinch

import (
	"net/http"
	"strconv"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/rest"
)

// errorTable has the errors of a request (developers.sinch.com, SMS, "HTTP status codes").
func errorTable() rest.Table {
	return rest.Table{
		"syntax_invalid_json":             rest.Means(channel.Refused, "the request is not understood"),
		"syntax_invalid_parameter_format": rest.Means(channel.Refused, "a parameter is not valid: see the sender"),
		"syntax_constraint_violation": rest.Means(channel.Refused,
			"the request breaks a rule of Sinch's: see the sender, which the plan may not be without"),
		"unknown_group":        rest.Means(channel.Refused, "the group is not known"),
		"unknown_campaign":     rest.Means(channel.Refused, "the campaign does not fit the sender (10DLC)"),
		"missing_callback_url": rest.Means(channel.Refused, "there is no address for receipts"),
	}
}

// refused judges an answer that is no yes.
func (s *sender) refused(a channel.Answer) *channel.Error {
	var said struct {
		Code string `json:"code"`
	}
	_ = a.JSON(&said) // without a body the status says it all
	e := s.api.Refusal(a, said.Code, errorTable())
	if a.Status == http.StatusNotFound && e.Code == "HTTP 404" {
		e.Detail = "the service plan is not known: see service_plan_id and region"
	}
	return e
}

// deliveryCodes are the codes of a message that failed: those of the REST API ("Delivery report error codes") and those
// that it shares with Sinch's SMPP service ("Status reports error codes"). Where Sinch calls an error permanent and it
// speaks of the number, it is Rejected; where it speaks of us, Refused. One that is not here may go away on another
// route.
func deliveryCodes() map[int]channel.ErrorKind {
	return map[int]channel.ErrorKind{
		402: channel.Rejected,    // unroutable
		403: channel.Unavailable, // internal error
		404: channel.Unavailable, // temporary failure
		405: channel.Refused,     // a parameter of the text has no value
		406: channel.Unavailable, // expired before it reached the carrier
		407: channel.Refused,     // canceled in our account
		408: channel.Unavailable, // rejected by the carrier
		410: channel.Refused,     // no default originator
		411: channel.Refused,     // too many parts
		412: channel.Refused,     // region not provisioned
		413: channel.Refused,     // account blocked

		9:   channel.Rejected, // numbering plan not supported
		10:  channel.Rejected, // type of number not supported
		15:  channel.Refused,  // screened
		16:  channel.Rejected, // IMSI blocked
		60:  channel.Refused,  // sender blocked
		61:  channel.Rejected, // number blocked
		62:  channel.Refused,  // word blocked
		63:  channel.Refused,  // service centre blocked
		64:  channel.Refused,  // quota used up
		100: channel.Rejected, // unidentified subscriber
		150: channel.Rejected, // unknown subscriber
		151: channel.Rejected, // calls barred
		152: channel.Rejected, // the subscription has no SMS
		154: channel.Rejected, // no SMS in the visited network
		204: channel.Rejected, // no SMS on the SIM
		205: channel.Rejected, // illegal subscriber
		206: channel.Rejected, // illegal equipment
		254: channel.Rejected, // barred by the person
		255: channel.Rejected, // barred by the person
		256: channel.Rejected, // barred by the operator
		257: channel.Rejected, // barred by the operator
		300: channel.Rejected, // destination not valid
		301: channel.Rejected, // destination's numbering plan not valid
		302: channel.Rejected, // destination's type of number not valid
		310: channel.Refused,  // source not valid
		311: channel.Refused,  // source's numbering plan not valid
		312: channel.Refused,  // source's type of number not valid
		343: channel.Refused,  // message length not valid
	}
}

// statusOf returns our word for one of Sinch's statuses; the unknown one says nothing new. Sinch's Unknown is a message
// that the carrier has and never reported on.
func statusOf(s string) channel.Status {
	switch s {
	case "Dispatched", "Unknown":
		return channel.Sent
	case "Delivered":
		return channel.Delivered
	case "Failed", "Expired":
		return channel.Undelivered
	case "Aborted", "Cancelled", "Rejected", "Deleted":
		return channel.Failed
	}
	return channel.Taken
}

// failure returns code and kind of a message that failed.
func failure(n int) (code string, kind channel.ErrorKind) {
	code = "unknown"
	if n > 0 && n < 100_000 {
		code = strconv.Itoa(n)
	}
	if kind, known := deliveryCodes()[n]; known {
		return code, kind
	}
	return code, channel.Unavailable
}
