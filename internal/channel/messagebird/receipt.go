package messagebird

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/dialproof/dialproof/internal/channel"
)

// skew is how far MessageBird's clock and ours may be apart. A signature is good for about a minute.
const skew = time.Second

// issuer is who the signatures say they are from.
const issuer = "MessageBird"

// claims are what MessageBird signs of a request ("Verify HTTP requests").
type claims struct {
	jwt.RegisteredClaims
	// URLHash and PayloadHash are SHA-256, in hexadecimal, of the whole address and of the body.
	URLHash     string `json:"url_hash"`
	PayloadHash string `json:"payload_hash"`
}

// Receipts implements channel.Receiver. MessageBird reports in the query of a GET.
func (s *sender) Receipts(_ context.Context, r channel.Callback) ([]channel.Receipt, error) {
	refuse := func(code, detail string) ([]channel.Receipt, error) {
		return nil, &channel.Error{Kind: channel.Refused, Provider: name, Code: code, Detail: detail}
	}
	if !signed(s.cfg.SigningKey.Reveal(), r) {
		return refuse("signature", "the receipt's MessageBird-Signature-JWT is missing, wrong or too old")
	}
	q := r.URL.Query()
	if q.Get("id") == "" || q.Get("status") == "" {
		return refuse("query", "the receipt names no message or no status")
	}
	out := channel.Receipt{Token: q.Get("reference"), ProviderID: q.Get("id"), Status: statusOf(q.Get("status")), At: r.Now}
	out.Parts, _ = strconv.Atoi(q.Get("messagePartCount"))
	out.Price, out.Currency = price(q)
	if out.Status == channel.Undelivered {
		out.Code, out.Kind = failure(q.Get("statusErrorCode"), q.Get("statusReason"))
	}
	return []channel.Receipt{out}, nil
}

// price answers what the message cost, when that is said and is a number.
func price(q url.Values) (amount, currency string) {
	amount, currency = q.Get("price[amount]"), q.Get("price[currency]")
	// ParseFloat alone takes NaN, Inf and 0x1p-2, too.
	if f, err := strconv.ParseFloat(amount, 64); err != nil || f <= 0 || strings.Trim(amount, "0123456789.") != "" || len(currency) != 3 {
		return "", ""
	}
	return amount, currency
}

// signed tells whether a request carries MessageBird's signature of its address and body.
func signed(key string, r channel.Callback) bool {
	if r.URL == nil {
		return false
	}
	var c claims
	_, err := jwt.NewParser(
		jwt.WithValidMethods([]string{"HS256", "HS384", "HS512"}), jwt.WithIssuer(issuer), jwt.WithExpirationRequired(),
		jwt.WithNotBeforeRequired(), jwt.WithLeeway(skew), jwt.WithTimeFunc(func() time.Time { return r.Now }),
	).ParseWithClaims(r.Header.Get("MessageBird-Signature-JWT"), &c, func(*jwt.Token) (any, error) { return []byte(key), nil })
	if err != nil || c.ID == "" || !hashOf([]byte(r.URL.String()), c.URLHash) {
		return false
	}
	if len(r.Body) == 0 {
		return c.PayloadHash == ""
	}
	return hashOf(r.Body, c.PayloadHash)
}

// hashOf tells whether hash is that of data.
func hashOf(data []byte, hash string) bool {
	sum := sha256.Sum256(data)
	return subtle.ConstantTimeCompare([]byte(hex.EncodeToString(sum[:])), []byte(strings.ToLower(hash))) == 1
}
