package telnyx

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/rest"
)

// tolerance is how far a webhook's time may be off, as in Telnyx's own libraries.
const tolerance = 5 * time.Minute

// The headers of a signed webhook.
const (
	timeHeader      = "Telnyx-Timestamp"
	signatureHeader = "Telnyx-Signature-Ed25519"
)

// Receipts implements channel.Receiver.
func (s *sender) Receipts(_ context.Context, r channel.Callback) ([]channel.Receipt, error) {
	if !signed(s.key, r) {
		return nil, rest.Refused(name, "signature", "the receipt's telnyx-signature-ed25519 is missing, wrong or too old")
	}
	var event struct {
		Data struct {
			Type    string  `json:"event_type"`
			Payload payload `json:"payload"`
		} `json:"data"`
	}
	if json.Unmarshal(r.Body, &event) != nil {
		return nil, rest.Refused(name, "body", "the receipt cannot be understood")
	}
	if t := event.Data.Type; t != "message.sent" && t != "message.finalized" {
		return nil, nil // a message that came in, or news of the profile
	}
	p := event.Data.Payload
	if p.ID == "" || p.status() == "" {
		return nil, rest.Refused(name, "body", "the receipt names no message or no status")
	}
	out := channel.Receipt{ProviderID: p.ID, Status: statusOf(p.status()), Parts: p.Parts, At: r.Now}
	out.Price, out.Currency = p.price()
	if out.Status == channel.Undelivered || out.Status == channel.Failed {
		code, row := failure(p)
		out.Code, out.Kind = code, row.Kind
		if out.Kind == channel.Throttled || out.Kind == channel.MaybeSent {
			out.Kind = channel.Unavailable // it is over for this message: nothing is left to wait for
		}
	}
	return []channel.Receipt{out}, nil
}

// signed reports whether a webhook carries Telnyx's signature of its time and body.
func signed(key ed25519.PublicKey, r channel.Callback) bool {
	stamp := r.Header.Get(timeHeader)
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || len(key) != ed25519.PublicKeySize {
		return false
	}
	if off := r.Now.Sub(time.Unix(seconds, 0)); off > tolerance || off < -tolerance {
		return false
	}
	signature, err := base64.StdEncoding.DecodeString(r.Header.Get(signatureHeader))
	if err != nil {
		return false
	}
	return ed25519.Verify(key, append([]byte(stamp+"|"), r.Body...), signature)
}
