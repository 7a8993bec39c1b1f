package telegram

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/rest"
)

// How far a receipt's time may be off. Telegram tries ten times, with growing delays.
const (
	maxAhead = 5 * time.Minute
	maxAge   = 24 * time.Hour
)

// currency is what Telegram's prices are in.
const currency = "USD"

// requestStatus is what Telegram says of a message, in its answers and its receipts.
type requestStatus struct {
	RequestID   string    `json:"request_id"`
	RequestCost price     `json:"request_cost"`
	Refunded    bool      `json:"is_refunded"`
	Delivery    *delivery `json:"delivery_status"`
	Payload     string    `json:"payload"`
}

type delivery struct {
	Status  string `json:"status"`
	Updated int64  `json:"updated_at"`
}

// price is a decimal number as Telegram writes it.
type price json.Number

// UnmarshalJSON takes a number, also one in quotes.
func (p *price) UnmarshalJSON(b []byte) error { return json.Unmarshal(b, (*json.Number)(p)) }

// decimal returns the price as a decimal number with its currency; empty when it is none.
func (p price) decimal() (amount, in string) {
	f, err := strconv.ParseFloat(string(p), 64)
	if err != nil || f < 0 || f > 1000 {
		return "", ""
	}
	return strconv.FormatFloat(f, 'f', -1, 64), currency
}

// statusOf returns our word for one of Telegram's; the unknown one says nothing new.
func statusOf(s string) channel.Status {
	switch s {
	case "sent":
		return channel.Sent
	case "delivered", "read":
		return channel.Delivered
	case "expired":
		return channel.Undelivered
	case "revoked":
		return channel.Failed
	}
	return channel.Taken
}

// Receipts implements channel.Receiver.
func (s *sender) Receipts(_ context.Context, r channel.Callback) ([]channel.Receipt, error) {
	if !signed(s.cfg.Token.Reveal(), r) {
		return nil, rest.Refused(name, "signature", "the receipt's X-Request-Signature is missing, wrong or too old")
	}
	var st requestStatus
	if json.Unmarshal(r.Body, &st) != nil || st.RequestID == "" {
		return nil, rest.Refused(name, "body", "the receipt names no request")
	}
	if st.Delivery == nil || st.Delivery.Status == "" {
		return nil, nil // news of a check, which is not Telegram's to make
	}
	out := channel.Receipt{Token: st.Payload, ProviderID: st.RequestID, Status: statusOf(st.Delivery.Status), At: r.Now}
	if at := time.Unix(st.Delivery.Updated, 0).UTC(); st.Delivery.Updated > 0 && at.Before(r.Now.Add(maxAhead)) {
		out.At = at
	}
	if out.Price, out.Currency = st.RequestCost.decimal(); st.Refunded && out.Price != "" {
		out.Price = "0"
	}
	if out.Status == channel.Undelivered || out.Status == channel.Failed {
		out.Code, out.Kind = st.Delivery.Status, channel.Unavailable
	}
	return []channel.Receipt{out}, nil
}

// signed reports whether a receipt carries Telegram's signature (core.telegram.org/gateway/api, "Checking report
// integrity"): HMAC-SHA-256 over the time and the body, under the hash of the token.
func signed(token string, r channel.Callback) bool {
	stamp := r.Header.Get("X-Request-Timestamp")
	given, err := hex.DecodeString(r.Header.Get("X-Request-Signature"))
	if err != nil || stamp == "" {
		return false
	}
	key := sha256.Sum256([]byte(token))
	mac := hmac.New(sha256.New, key[:])
	mac.Write([]byte(stamp + "\n"))
	mac.Write(r.Body)
	if !hmac.Equal(mac.Sum(nil), given) {
		return false
	}
	at, err := strconv.ParseInt(stamp, 10, 64)
	return err == nil && at > r.Now.Add(-maxAge).Unix() && at < r.Now.Add(maxAhead).Unix()
}

// Answer implements channel.Answerer. Telegram counts 200 alone as taken.
func (*sender) Answer(context.Context, channel.Callback) (channel.Reply, bool) {
	return channel.Reply{Status: http.StatusOK, ContentType: "text/plain; charset=utf-8"}, true
}
