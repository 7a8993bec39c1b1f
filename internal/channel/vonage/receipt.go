package vonage

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/rest"
)

// How far a receipt's time may be off: Vonage's clock may go before ours a little, and it sends a receipt that it could
// not deliver again for up to a day.
const (
	maxAhead = 5 * time.Minute
	maxAge   = 24 * time.Hour
)

// issuer is who Vonage's webhooks say they are from.
const issuer = "Vonage"

// claims are what Vonage signs of a webhook.
type claims struct {
	jwt.RegisteredClaims
	// PayloadHash is the SHA-256 of the body, in hexadecimal.
	PayloadHash   string `json:"payload_hash"`
	ApplicationID string `json:"application_id"`
}

// event is what Vonage reports, of a message or of a call, or asks.
type event struct {
	MessageID string `json:"message_uuid"`
	CallID    string `json:"uuid"`
	// CallID2 is how some events of a call name it.
	CallID2   string `json:"call_uuid"`
	Status    string `json:"status"`
	ClientRef string `json:"client_ref"`
	Error     struct {
		Title label `json:"title"`
	} `json:"error"`
	Usage struct {
		Currency string `json:"currency"`
		Price    string `json:"price"`
	} `json:"usage"`
	SMS struct {
		Parts label `json:"count_total"`
	} `json:"sms"`
	// Price is that of a call, in euros.
	Price string `json:"price"`
	DTMF  struct {
		Digits string `json:"digits"`
	} `json:"dtmf"`
}

// label is a number that Vonage writes with or without quotes.
type label string

// UnmarshalJSON takes both forms.
func (l *label) UnmarshalJSON(b []byte) error {
	*l = label(strings.Trim(string(b), `"`))
	return nil
}

// Receipts implements channel.Receiver.
func (s *sender) Receipts(_ context.Context, r channel.Callback) ([]channel.Receipt, error) {
	if s.cfg.SMSAPI == bySMS && r.Header.Get("Authorization") == "" && step(r) == "" {
		return s.classicReceipts(r)
	}
	if !s.signed(r) {
		return nil, rest.Refused(name, "signature", "the receipt's signature is missing, wrong or too old")
	}
	var e event
	if json.Unmarshal(r.Body, &e) != nil {
		return nil, rest.Refused(name, "body", "the receipt cannot be understood")
	}
	switch {
	case e.MessageID != "" && e.Status != "":
		return []channel.Receipt{e.message(r.Now)}, nil
	case step(r) == wasSpoken:
		return []channel.Receipt{{ProviderID: e.call(), Status: channel.Delivered, At: r.Now}}, nil
	case e.call() != "" && e.Status != "":
		return []channel.Receipt{e.progress(r.Now)}, nil
	}
	return nil, nil // a question of a call, or news of something else
}

// signed reports whether a webhook carries a signature of Vonage's for this application and body.
func (s *sender) signed(r channel.Callback) bool {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return false
	}
	var c claims
	_, err := jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), jwt.WithIssuer(issuer), jwt.WithIssuedAt(),
		jwt.WithLeeway(maxAhead), jwt.WithTimeFunc(func() time.Time { return r.Now }),
	).ParseWithClaims(token, &c, func(*jwt.Token) (any, error) { return []byte(s.cfg.SignatureSecret.Reveal()), nil })
	if err != nil || c.IssuedAt == nil || c.IssuedAt.Before(r.Now.Add(-maxAge)) {
		return false
	}
	if c.ApplicationID != "" && !strings.EqualFold(c.ApplicationID, s.cfg.ApplicationID) {
		return false
	}
	sum := sha256.Sum256(r.Body)
	return subtle.ConstantTimeCompare([]byte(hex.EncodeToString(sum[:])), []byte(strings.ToLower(c.PayloadHash))) == 1
}

// message returns the receipt of an SMS.
func (e event) message(now time.Time) channel.Receipt {
	out := channel.Receipt{
		Token: e.ClientRef, ProviderID: e.MessageID, Status: channel.Taken,
		Price: e.Usage.Price, Currency: e.Usage.Currency, At: now,
	}
	out.Parts, _ = strconv.Atoi(string(e.SMS.Parts))
	switch e.Status {
	case "submitted":
		out.Status = channel.Sent
	case "delivered", "read":
		out.Status = channel.Delivered
	case "undeliverable":
		out.Status = channel.Undelivered
	case "rejected":
		out.Status = channel.Failed
	}
	if out.Status != channel.Undelivered && out.Status != channel.Failed {
		return out // an error that is tried again by Vonage itself is no news
	}
	out.Code, out.Kind = e.Status, channel.Unavailable
	if row, known := errorTable()[string(e.Error.Title)]; known {
		out.Code, out.Kind = string(e.Error.Title), row.Kind
	}
	return out
}

// call returns the id of the call that an event is about.
func (e event) call() string {
	return cmp.Or(e.CallID, e.CallID2)
}

// progress returns the receipt of a call. One that is over without word that the code was spoken did not bring it.
func (e event) progress(now time.Time) channel.Receipt {
	out := channel.Receipt{ProviderID: e.call(), Status: channel.Taken, At: now}
	switch e.Status {
	case "ringing", "answered", "human", "machine":
		out.Status = channel.Sent
	case "busy", "timeout", "unanswered", "cancelled":
		out.Status, out.Code, out.Kind = channel.Undelivered, e.Status, channel.Unavailable
	case "failed", "rejected":
		out.Status, out.Code, out.Kind = channel.Failed, e.Status, channel.Unavailable
	case "completed":
		out.Status, out.Code = channel.Undelivered, "not_spoken"
		if e.Price != "" {
			out.Price, out.Currency = e.Price, "EUR"
		}
	}
	return out
}

// step returns which question of a call a request is.
func step(r channel.Callback) string {
	if r.URL == nil {
		return ""
	}
	return r.URL.Query().Get(stepKey)
}

// Answer implements channel.Answerer: it says what the call does next.
func (s *sender) Answer(ctx context.Context, r channel.Callback) (channel.Reply, bool) {
	var e event
	if r.Message == nil || json.Unmarshal(r.Body, &e) != nil || e.call() == "" || e.MessageID != "" || e.Status != "" {
		return channel.Reply{}, false
	}
	at := step(r)
	pressed := strings.HasPrefix(e.DTMF.Digits, pressedKey)
	if at == wasSpoken || (at == secondKey && !pressed) {
		return channel.Reply{}, false // the call goes on with what it has, or ends
	}
	m, open, err := r.Message(ctx)
	if err != nil {
		return channel.Reply{Status: http.StatusServiceUnavailable}, true // Vonage asks once more
	}
	v, spoken := voiceFor(m.Spoken.Locale, m.To.Country())
	actions := []action{} // none: the call ends
	switch {
	case !open || !spoken || m.Callback == "":
	case at == "":
		actions = v.ask(m, firstKey)
	case pressed:
		actions = v.tell(m, wasSpoken)
	case at == firstKey:
		actions = v.ask(m, secondKey)
	}
	body, err := json.Marshal(actions)
	if err != nil {
		return channel.Reply{Status: http.StatusServiceUnavailable}, true
	}
	return channel.Reply{Status: http.StatusOK, ContentType: "application/json", Body: body}, true
}
