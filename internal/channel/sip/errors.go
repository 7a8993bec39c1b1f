package sip

import (
	"errors"
	"strconv"
	"strings"
	"time"

	gosip "github.com/emiago/sipgo/sip"

	"github.com/dialproof/dialproof/internal/channel"
)

// errorRow says what a final response to a call means for the next step. An empty kind is no fault of the trunk's:
// it did its part, and the phone was not reached.
type errorRow struct {
	kind   channel.ErrorKind
	detail string
}

// errorTable has the final responses of RFC 3261 §21 and of later RFCs that a gateway to the telephone network sends
// (RFC 3398 §7.2.4.1 maps the network's causes to them). A response that is not here is judged by its first digit. A
// redirection speaks of the number, which its owner has forwarded: the trunk did its part, and the code must not
// follow.
func errorTable() map[int]errorRow {
	return map[int]errorRow{
		301: {channel.Rejected, "the number has moved for good"},
		305: {channel.Refused, "the trunk wants our calls at another server: see server"},
		400: {channel.Refused, "the trunk cannot read the call"},
		401: {channel.Refused, "the trunk does not accept our credentials"},
		402: {channel.Refused, "the account is empty"},
		403: {channel.Refused, "the trunk forbids the call: see the account, the caller's number and the allowed countries"},
		404: {channel.Rejected, "the number does not exist"},
		407: {channel.Refused, "the trunk does not accept our credentials"},
		408: {"", "the phone did not answer"},
		410: {channel.Rejected, "the number is no longer in use"},
		415: {channel.Refused, "the trunk does not take our session description"},
		421: {channel.Refused, "the trunk demands an extension that we do not have"},
		433: {channel.Refused, "the trunk wants to know the caller's number"},
		480: {"", "the phone is switched off or does not answer"},
		484: {channel.Rejected, "the number is incomplete"},
		485: {channel.Rejected, "the number is ambiguous"},
		486: {"", "the phone is busy"},
		487: {"", "the call was taken back"},
		488: {channel.Refused, "the trunk takes neither of our codecs"},
		491: {channel.Unavailable, "the trunk was busy with the same call"},
		500: {channel.Unavailable, "the trunk has a fault"},
		501: {channel.Refused, "the trunk cannot make calls"},
		502: {channel.Unavailable, "the network behind the trunk is out of order"},
		503: {channel.Unavailable, "the trunk takes no calls now"},
		504: {channel.Unavailable, "the network behind the trunk does not answer"},
		580: {channel.Unavailable, "the trunk has no capacity for the sound"},
		600: {"", "the phone is busy"},
		603: {channel.Rejected, "the person declined the call"},
		604: {channel.Rejected, "the number does not exist"},
		606: {channel.Refused, "the trunk takes neither of our codecs"},
		607: {channel.Rejected, "the person does not want calls from us"},
		608: {channel.Refused, "the network takes our calls for unwanted ones"},
	}
}

// rowOf returns the row of a final response.
func rowOf(status int) errorRow {
	if row, ok := errorTable()[status]; ok {
		return row
	}
	switch {
	case status >= 600:
		return errorRow{channel.Rejected, "the number takes no calls"}
	case status >= 500:
		return errorRow{channel.Unavailable, "the trunk has a fault"}
	case status >= 400:
		return errorRow{channel.Refused, "the trunk does not accept the call"}
	}
	return errorRow{"", "the number is forwarded elsewhere, and that is not followed"}
}

// refusal returns the error of a final response, or nil for one that is no fault of the trunk's. Its reason phrase is
// left out: it may hold anything.
func refusal(res *gosip.Response) *channel.Error {
	row := rowOf(res.StatusCode)
	if row.kind == "" {
		return nil
	}
	e := &channel.Error{Kind: row.kind, Provider: name, Code: strconv.Itoa(res.StatusCode), Detail: row.detail}
	if wait := retryAfter(res); res.StatusCode == 503 && wait > 0 {
		e.Kind, e.RetryAfter = channel.Throttled, wait
	}
	return e
}

// maxRetryAfter bounds what a trunk may ask for.
const maxRetryAfter = time.Hour

// retryAfter reads "18000;duration=3600" and "120 (in a meeting)" (RFC 3261 §20.33); 0 when there is none.
func retryAfter(res *gosip.Response) time.Duration {
	h := res.GetHeader("Retry-After")
	if h == nil {
		return 0
	}
	text := strings.TrimSpace(h.Value())
	if i := strings.IndexAny(text, " ;("); i >= 0 {
		text = text[:i]
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0
	}
	return min(time.Duration(min(n, 86400))*time.Second, maxRetryAfter)
}

// unreachable returns the error of a request that could not be sent at all.
func unreachable(err error) *channel.Error {
	e := &channel.Error{
		Kind:     channel.Unavailable,
		Provider: name,
		Code:     "transport",
		Detail:   "the trunk cannot be reached",
	}
	if errors.Is(err, gosip.ErrUDPMTUCongestion) {
		e.Kind, e.Code, e.Detail = channel.Refused, "too_large", "the request does not fit into a packet: use the "+
			"transport tcp"
	}
	return e.Because(err)
}

// silent returns the error of a request that nobody answered and that no phone can have heard.
func silent() *channel.Error {
	return &channel.Error{
		Kind:     channel.Unavailable,
		Provider: name,
		Code:     "no_response",
		Detail:   "the trunk does not answer",
	}
}
