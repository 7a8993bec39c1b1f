package whatsapp

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/rest"
)

// maxStatuses bounds the statuses of one webhook; Meta sends far fewer.
const maxStatuses = 1000

// maxChallenge bounds what is repeated to Meta, in characters.
const maxChallenge = 128

// webhook is what Meta reports, as far as it is read.
type webhook struct {
	Object string `json:"object"`
	Entry  []struct {
		Changes []struct {
			Value struct {
				Metadata struct {
					PhoneNumberID string `json:"phone_number_id"`
				} `json:"metadata"`
				Statuses []status `json:"statuses"`
			} `json:"value"`
		} `json:"changes"`
	} `json:"entry"`
}

type status struct {
	ID        string `json:"id"`
	Status    string `json:"status"`
	Timestamp string `json:"timestamp"`
	Data      string `json:"biz_opaque_callback_data"`
	Errors    []struct {
		Code int `json:"code"`
	} `json:"errors"`
}

// ReceiptsByID implements channel.Correlator: a webhook comes to the app's address, and repeats our token only where
// Meta keeps it.
func (*sender) ReceiptsByID() bool { return true }

// Receipts implements channel.Receiver.
func (s *sender) Receipts(_ context.Context, r channel.Callback) ([]channel.Receipt, error) {
	if r.Method == http.MethodGet {
		if _, ok := s.challenge(r.URL); !ok {
			return nil, rest.Refused(name, "verify_token", "the handshake's verify token is missing or another one")
		}
		return nil, nil
	}
	if !signed(s.cfg.AppSecret.Reveal(), r) {
		return nil, rest.Refused(name, "signature", "the receipt's X-Hub-Signature-256 is missing or wrong")
	}
	var w webhook
	if json.Unmarshal(r.Body, &w) != nil || w.Object != "whatsapp_business_account" {
		return nil, rest.Refused(name, "body", "the receipt cannot be understood")
	}
	var out []channel.Receipt
	for _, e := range w.Entry {
		for _, c := range e.Changes {
			if c.Value.Metadata.PhoneNumberID != s.cfg.PhoneNumberID {
				continue // another number of the same app
			}
			for _, st := range c.Value.Statuses {
				if st.ID != "" && len(out) < maxStatuses {
					out = append(out, st.receipt(r.Now))
				}
			}
		}
	}
	return out, nil
}

// signed reports whether a webhook carries the app's signature of its body.
func signed(secret string, r channel.Callback) bool {
	given, ok := strings.CutPrefix(r.Header.Get("X-Hub-Signature-256"), "sha256=")
	sum, err := hex.DecodeString(given)
	if !ok || err != nil {
		return false
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(r.Body)
	return hmac.Equal(mac.Sum(nil), sum)
}

// receipt returns the news of one message. A message has no price here: Meta names the category alone.
func (s status) receipt(now time.Time) channel.Receipt {
	out := channel.Receipt{Token: s.Data, ProviderID: s.ID, Status: channel.Taken, At: now}
	if at, err := strconv.ParseInt(s.Timestamp, 10, 64); err == nil && at > 0 && at < now.Add(time.Hour).Unix() {
		out.At = time.Unix(at, 0).UTC()
	}
	switch s.Status {
	case "sent":
		out.Status = channel.Sent
	case "delivered", "read":
		out.Status = channel.Delivered
	case "failed":
		out.Status, out.Code, out.Kind = channel.Undelivered, "unknown", channel.Unavailable
		if len(s.Errors) > 0 {
			out.Code = strconv.Itoa(s.Errors[0].Code)
			if row, ok := known(s.Errors[0].Code); ok {
				out.Kind = row.Kind
			}
		}
	}
	return out
}

// challenge returns what Meta wants to hear again when the callback address is entered in the app's dashboard.
func (s *sender) challenge(u *url.URL) (string, bool) {
	if u == nil {
		return "", false
	}
	q := u.Query()
	text := q.Get("hub.challenge")
	same := subtle.ConstantTimeCompare([]byte(q.Get("hub.verify_token")), []byte(s.cfg.VerifyToken.Reveal())) == 1
	plain := text != "" && len(text) <= maxChallenge && !strings.ContainsFunc(text, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '-' && r != '_' && r != '.'
	})
	return text, q.Get("hub.mode") == "subscribe" && same && plain
}

// Answer implements channel.Answerer. Meta counts 200 alone as taken.
func (s *sender) Answer(_ context.Context, r channel.Callback) (channel.Reply, bool) {
	out := channel.Reply{Status: http.StatusOK, ContentType: "text/plain; charset=utf-8"}
	if r.Method == http.MethodGet {
		text, ok := s.challenge(r.URL)
		if !ok {
			return channel.Reply{}, false
		}
		out.Body = []byte(text)
	}
	return out, true
}
