package sinch

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/rest"
)

// How far a signature's time may be off. Sinch sends a callback again for hours when nobody takes it.
const (
	maxAhead = 5 * time.Minute
	maxAge   = 24 * time.Hour
)

// maxStatuses bounds the statuses of a summary. A batch of one person has one.
const maxStatuses = 32

// report is what Sinch says of a batch: of one recipient, or a summary of all, who are one here.
type report struct {
	Type      string `json:"type"`
	BatchID   string `json:"batch_id"`
	Reference string `json:"client_reference"`
	Status    string `json:"status"`
	Code      int    `json:"code"`
	Parts     int    `json:"number_of_message_parts"`
	Statuses  []struct {
		Status string `json:"status"`
		Code   int    `json:"code"`
		Count  int    `json:"count"`
	} `json:"statuses"`
}

// Receipts implements channel.Receiver. Where Sinch signs nothing, the address holds: it cannot be guessed and is
// checked before this is called.
func (s *sender) Receipts(_ context.Context, r channel.Callback) ([]channel.Receipt, error) {
	if !s.cfg.WebhookSecret.IsZero() && !signed(s.cfg.WebhookSecret.Reveal(), r) {
		return nil, rest.Refused(name, "signature", "the receipt's signature is missing, wrong or too old")
	}
	if r.Method != http.MethodPost {
		return nil, rest.Refused(name, "method", "a receipt comes by POST")
	}
	var said report
	if json.Unmarshal(r.Body, &said) != nil || said.Type == "" {
		return nil, rest.Refused(name, "body", "the receipt cannot be understood")
	}
	switch said.Type {
	case "recipient_delivery_report_sms":
		if said.Status != "" && said.BatchID != "" {
			return []channel.Receipt{said.receipt(said.Status, said.Code, r.Now)}, nil
		}
	case "delivery_report_sms":
		if out := said.summary(r.Now); len(out) > 0 && said.BatchID != "" {
			return out, nil
		}
	default:
		return nil, nil // an SMS that somebody sent to us, or other news
	}
	return nil, rest.Refused(name, "body", "the receipt names no batch or no status")
}

// receipt returns one status of a report.
func (r report) receipt(status string, code int, now time.Time) channel.Receipt {
	out := channel.Receipt{
		Token:      r.Reference,
		ProviderID: r.BatchID,
		Status:     statusOf(status),
		Parts:      max(r.Parts, 0),
		At:         now,
	}
	if out.Status == channel.Undelivered || out.Status == channel.Failed {
		out.Code, out.Kind = failure(code)
	}
	return out
}

// summary returns the statuses of a summary.
func (r report) summary(now time.Time) []channel.Receipt {
	var out []channel.Receipt
	for _, s := range r.Statuses[:min(len(r.Statuses), maxStatuses)] {
		if s.Count > 0 && s.Status != "" {
			out = append(out, r.receipt(s.Status, s.Code, now))
		}
	}
	return out
}

// signed reports whether a callback carries Sinch's signature: the base64 of HMAC-SHA-256 over the body as it came, the
// nonce and the time, with dots between.
func signed(key string, r channel.Callback) bool {
	nonce, at := r.Header.Get("X-Sinch-Webhook-Signature-Nonce"), r.Header.Get("X-Sinch-Webhook-Signature-Timestamp")
	seconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil || nonce == "" {
		return false
	}
	if age := r.Now.Sub(time.Unix(seconds, 0)); age > maxAge || age < -maxAhead {
		return false
	}
	got, err := base64.StdEncoding.DecodeString(r.Header.Get("X-Sinch-Webhook-Signature"))
	if err != nil {
		return false
	}
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write(r.Body)
	mac.Write([]byte("." + nonce + "." + at))
	return hmac.Equal(mac.Sum(nil), got)
}
