package africastalking

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/rest"
)

// ReceiptsByID implements channel.Correlator: a report names its message by Africa's Talking's id and nothing else.
func (*sender) ReceiptsByID() bool { return true }

// Receipts implements channel.Receiver. Africa's Talking does not sign: who knows the route's address is believed.
func (*sender) Receipts(_ context.Context, r channel.Callback) ([]channel.Receipt, error) {
	form, err := url.ParseQuery(string(r.Body))
	if err != nil || r.Method != http.MethodPost {
		return nil, rest.Refused(name, "body", "the report cannot be understood")
	}
	id, status := form.Get("id"), form.Get("status")
	if id == "" || status == "" {
		return nil, rest.Refused(name, "body", "the report names no message or no status")
	}
	out := channel.Receipt{ProviderID: id, Status: statusOf(status), At: r.Now}
	if out.Status == channel.Undelivered || out.Status == channel.Failed {
		out.Code, out.Kind = failure(form.Get("failureReason"), status)
	}
	return []channel.Receipt{out}, nil
}

// statusOf returns our word for one of Africa's Talking's statuses; an unknown one says nothing new.
func statusOf(s string) channel.Status {
	switch strings.ToLower(s) {
	case "sent", "submitted", "buffered":
		return channel.Sent
	case "success":
		return channel.Delivered
	case "failed", "absentsubscriber", "expired":
		return channel.Undelivered
	case "rejected":
		return channel.Failed
	}
	return channel.Taken
}

// failure returns code and kind of a message that failed, by the first of the words that is known.
func failure(words ...string) (code string, kind channel.ErrorKind) {
	for _, word := range words {
		if kind, known := failures()[strings.ToLower(word)]; known {
			return word, kind
		}
	}
	return "unknown", channel.Unavailable
}
