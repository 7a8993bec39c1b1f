package twofactor

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/rest"
)

// ReceiptsByID implements channel.Correlator: a report names its message by 2Factor's session id and nothing else.
func (*sender) ReceiptsByID() bool { return true }

// Receipts implements channel.Receiver. 2Factor does not sign: who knows the route's address is believed.
func (*sender) Receipts(_ context.Context, r channel.Callback) ([]channel.Receipt, error) {
	form, err := url.ParseQuery(string(r.Body))
	if err != nil || r.Method != http.MethodPost {
		return nil, rest.Refused(name, "body", "the report cannot be understood")
	}
	// Transactional SMS says SmsStatus; the OTP interface, whose reports may come to the same address, says Status.
	id, status := form.Get("SessionId"), form.Get("SmsStatus")
	if status == "" {
		status = form.Get("Status")
	}
	if id == "" || status == "" {
		return nil, rest.Refused(name, "body", "the report names no message or no status")
	}
	out := channel.Receipt{ProviderID: id, Status: statusOf(status), At: r.Now}
	if out.Status == channel.Undelivered || out.Status == channel.Failed {
		out.Code, out.Kind = failure(status, form)
	}
	return []channel.Receipt{out}, nil
}

// dlt begins the statuses of messages that the Indian registry (DLT) refused, like DLT-CNT-REJECT.
const dlt = "DLT-"

// statusOf returns our word for one of 2Factor's statuses; an unknown one says nothing new.
func statusOf(s string) channel.Status {
	s = strings.ToUpper(s)
	switch s {
	case "SENT", "SUBMITTED":
		return channel.Sent
	case "DELIVERED":
		return channel.Delivered
	case "FAILED", "UNDELIVERED", "UNDELIVERABLE", "EXPIRED", "DELETED":
		return channel.Undelivered
	case "REJECTED":
		return channel.Failed
	}
	if strings.HasPrefix(s, dlt) {
		return channel.Failed
	}
	return channel.Taken
}

// handset is the group of errors that speak of the person's number or telephone (ErrorGroupId).
const handset = "1"

// failure returns code and kind of a message that failed. A fault of the handset that 2Factor calls permanent ends the
// channel; one of the registry is ours to mend.
func failure(status string, form url.Values) (code string, kind channel.ErrorKind) {
	code = plain(form.Get("ErrorName"))
	if code == "" || code == "NO_ERROR" {
		code = plain(strings.ToUpper(status))
	}
	switch {
	case strings.HasPrefix(strings.ToUpper(status), dlt):
		return code, channel.Refused
	case form.Get("ErrorGroupId") == handset && strings.EqualFold(form.Get("ErrorPermanent"), "true"):
		return code, channel.Rejected
	}
	return code, channel.Unavailable
}

// plain keeps the letters of a name, so that no number comes along; at most 64.
func plain(s string) string {
	s = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '_' || r == '-' {
			return r
		}
		return -1
	}, s)
	return s[:min(len(s), 64)]
}
