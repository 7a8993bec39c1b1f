package messagebird

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/rest"
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
	if !signed(s.cfg.SigningKey.Reveal(), r) {
		return nil, rest.Refused(name, "signature", "the receipt's MessageBird-Signature-JWT is missing, wrong or too old")
	}
	q := r.URL.Query()
	if q.Get("id") == "" || q.Get("status") == "" {
		return nil, rest.Refused(name, "query", "the receipt names no message or no status")
	}
	out := channel.Receipt{
		Token:      q.Get("reference"),
		ProviderID: q.Get("id"),
		Status:     statusOf(q.Get("status")),
		At:         r.Now,
	}
	out.Parts, _ = strconv.Atoi(q.Get("messagePartCount"))
	out.Price, out.Currency = rest.Price(q.Get("price[amount]"), q.Get("price[currency]"))
	if out.Status == channel.Undelivered {
		out.Code, out.Kind = failure(q.Get("statusErrorCode"), q.Get("statusReason"))
	}
	return []channel.Receipt{out}, nil
}

// signed reports whether a request carries MessageBird's signature of its address and body.
func signed(key string, r channel.Callback) bool {
	if r.URL == nil {
		return false
	}
	var c claims
	_, err := jwt.NewParser(
		jwt.WithValidMethods([]string{"HS256", "HS384", "HS512"}), jwt.WithIssuer(issuer), jwt.WithExpirationRequired(),
		jwt.WithNotBeforeRequired(), jwt.WithLeeway(skew), jwt.WithTimeFunc(func() time.Time { return r.Now }),
	).ParseWithClaims(r.Header.Get("MessageBird-Signature-JWT"), &c,
		func(*jwt.Token) (any, error) { return []byte(key), nil })
	if err != nil || c.ID == "" || !hashOf([]byte(r.URL.String()), c.URLHash) {
		return false
	}
	if len(r.Body) == 0 {
		return c.PayloadHash == ""
	}
	return hashOf(r.Body, c.PayloadHash)
}

// hashOf reports whether hash is that of data.
func hashOf(data []byte, hash string) bool {
	sum := sha256.Sum256(data)
	return subtle.ConstantTimeCompare([]byte(hex.EncodeToString(sum[:])), []byte(strings.ToLower(hash))) == 1
}
