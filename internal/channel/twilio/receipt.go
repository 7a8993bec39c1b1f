package twilio

import (
	"context"
	"net/url"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/rest"
)

// Receipts implements channel.Receiver.
func (s *sender) Receipts(_ context.Context, r channel.Callback) ([]channel.Receipt, error) {
	form, err := url.ParseQuery(string(r.Body))
	if err != nil {
		return nil, rest.Refused(name, "body", "the receipt is no form")
	}
	if !signed(s.cfg.AuthToken.Reveal(), r, form) {
		return nil, rest.Refused(name, "signature", "the receipt's X-Twilio-Signature is missing or wrong")
	}
	if first(form, "CallSid") != "" {
		return callReceipts(step(r), form, r.Now), nil
	}
	status := first(form, "MessageStatus")
	if status == "" {
		status = first(form, "SmsStatus")
	}
	sid := first(form, "MessageSid")
	if sid == "" || status == "" {
		return nil, rest.Refused(name, "body", "the receipt names no message or no status")
	}
	out := channel.Receipt{ProviderID: sid, Status: statusOf(status), At: r.Now}
	note(&out, first(form, "ErrorCode"))
	return []channel.Receipt{out}, nil
}

// note takes one of Twilio's codes into a receipt.
func note(r *channel.Receipt, code string) {
	if code != "" && code != "0" {
		e := coded(code, channel.Unavailable)
		r.Code, r.Kind = e.Code, e.Kind
	}
}

// callReceipts returns the news of a call. One that is over without word that the code was said did not bring it. The
// questions of a call are no news but one: who asks for the second reading has heard the first.
func callReceipts(at string, form url.Values, now time.Time) []channel.Receipt {
	out := channel.Receipt{ProviderID: first(form, "CallSid"), Status: channel.Taken, At: now}
	switch at {
	case saidOnce:
		out.Status = channel.Delivered
		return []channel.Receipt{out}
	case progress:
	default:
		return nil
	}
	switch status := first(form, "CallStatus"); status {
	case "ringing", "in-progress":
		out.Status = channel.Sent
	case "busy", "no-answer":
		out.Status, out.Code, out.Kind = channel.Undelivered, status, channel.Unavailable
	case "failed", "canceled":
		out.Status, out.Code, out.Kind = channel.Failed, status, channel.Unavailable
		note(&out, first(form, "ErrorCode"))
		if sip := first(form, "SipResponseCode"); sip == "404" || sip == "484" || sip == "604" {
			out.Code, out.Kind = "SIP "+sip, channel.Rejected // the number does not exist
		}
	case "completed":
		out.Status, out.Code = channel.Undelivered, "not_spoken"
	}
	return []channel.Receipt{out}
}
