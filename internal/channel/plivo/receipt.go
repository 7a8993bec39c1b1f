package plivo

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/rest"
)

// Receipts implements channel.Receiver. Plivo counts a message's receipts in Sequence; the delivery's own statuses put
// them in order, so it is not read.
func (s *sender) Receipts(_ context.Context, r channel.Callback) ([]channel.Receipt, error) {
	form, err := params(r)
	if err != nil {
		return nil, rest.Refused(name, "body", "the receipt is no form")
	}
	// Messages are signed by version 2, calls by version 3. What has the stronger signature is judged by it, and a call,
	// whose address says how far it is, must have it.
	call, token := form.Get("CallUUID") != "", s.cfg.AuthToken.Reveal()
	if ok := signedV3(token, r, form); !ok && (call || hasV3(r.Header) || !signedV2(token, r)) {
		return nil, rest.Refused(name, "signature", "the receipt's X-Plivo-Signature is missing or wrong")
	}
	switch {
	case call:
		return progress(step(r), form, r.Now), nil
	case form.Get("MessageUUID") == "" || form.Get("Status") == "":
		return nil, rest.Refused(name, "body", "the receipt names no message or no status")
	}
	return []channel.Receipt{text(form, r.Now)}, nil
}

// params returns what Plivo says: in the body, or in the query of a GET.
func params(r channel.Callback) (url.Values, error) {
	if r.Method == http.MethodGet && r.URL != nil {
		return url.ParseQuery(r.URL.RawQuery)
	}
	return url.ParseQuery(string(r.Body))
}

// currency is what Plivo charges in.
const currency = "USD"

// text returns the receipt of a message.
func text(form url.Values, now time.Time) channel.Receipt {
	out := channel.Receipt{ProviderID: form.Get("MessageUUID"), Status: channel.Taken, At: now}
	switch form.Get("Status") {
	case "sent":
		out.Status = channel.Sent
	case "delivered", "read":
		out.Status = channel.Delivered
	case "undelivered":
		out.Status = channel.Undelivered
	case "failed", "rejected":
		out.Status = channel.Failed
	}
	out.Parts, _ = strconv.Atoi(form.Get("Units"))
	out.Price, out.Currency = rest.Price(form.Get("TotalAmount"), currency)
	if out.Status == channel.Undelivered || out.Status == channel.Failed {
		out.Code, out.Kind = coded(errorTable(), form.Get("ErrorCode"), form.Get("Status"))
	}
	return out
}

// progress returns what a request about a call says of it. One that is over without word that the code was spoken did
// not bring it.
func progress(step string, form url.Values, now time.Time) []channel.Receipt {
	out := channel.Receipt{ProviderID: callID(form), Status: channel.Sent, At: now}
	switch step {
	case atAnswer, atRing:
	case atSpoken:
		out.Status = channel.Delivered
	case atHangup:
		over(&out, form)
	default:
		return nil // a key was pressed
	}
	return []channel.Receipt{out}
}

// over notes how a call ended.
func over(out *channel.Receipt, form url.Values) {
	out.Status = channel.Undelivered
	out.Price, out.Currency = rest.Price(form.Get("TotalCost"), currency)
	status := form.Get("CallStatus")
	switch status {
	case "completed":
		out.Code = "not_spoken"
		return
	case "failed":
		out.Status = channel.Failed
	case "busy", "no-answer", "timeout", "cancel", "rejected":
	default:
		status = "unknown"
	}
	out.Code, out.Kind = coded(hangupTable(), form.Get("HangupCauseCode"), status)
}

// callID returns the id that the answer to the order gave.
func callID(form url.Values) string {
	if id := form.Get("RequestUUID"); id != "" {
		return id
	}
	return form.Get("CallUUID")
}
