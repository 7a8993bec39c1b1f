package client

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// WebhookTolerance is how far a webhook's time may be from ours: an older one could be a replay.
const WebhookTolerance = 5 * time.Minute

// maxWebhook bounds the body of a webhook, in bytes. Events have less than 20 kB (Standard Webhooks).
const maxWebhook = 64 << 10

// ErrWebhook is in each error of Webhooks: the request is not to be believed. Answer it with 400.
var ErrWebhook = errors.New("dialproof: webhook refused")

// Event is what Dialproof tells an application. The same ID may come twice: keep it with what you did.
type Event struct {
	// ID stays the same when the event is sent again.
	ID string `json:"-"`
	// Type is a dotted word ("verification.approved"). Expect types that are not known yet.
	Type string `json:"type"`
	// Timestamp is when it happened.
	Timestamp time.Time `json:"timestamp"`
	// Sequence grows with each event of one verification: a smaller one than you have seen is older news. 0 for none.
	Sequence int `json:"sequence"`
	// Delivery is the id of the delivery that has changed, with "delivery.updated".
	Delivery string `json:"delivery"`
	// Data depends on Type: see Verification.
	Data json.RawMessage `json:"data"`
}

// Verification returns the verification as it was then, for the types "verification.…" and "delivery.updated". It
// fails for others.
func (e *Event) Verification() (*Verification, error) {
	v := &Verification{}
	if json.Unmarshal(e.Data, v) != nil || !strings.HasPrefix(v.ID, "vrf_") {
		return nil, errors.New("dialproof: an event of the type " + e.Type + " is about no verification")
	}
	return v, nil
}

// Webhooks tells events that Dialproof signed from all else (Standard Webhooks 1.0, HMAC-SHA-256). It is safe for many
// goroutines.
type Webhooks struct {
	secrets [][]byte
	now     func() time.Time
}

// NewWebhooks returns a Webhooks that knows the secrets of an endpoint ("whsec_…"): while they are rotated, the old one
// and the new one.
func NewWebhooks(secrets ...string) (*Webhooks, error) {
	w := &Webhooks{now: time.Now}
	for _, s := range secrets {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(s, "whsec_"))
		if err != nil || len(key) == 0 {
			return nil, errors.New("dialproof: a webhook's secret is whsec_ and base64")
		}
		w.secrets = append(w.secrets, key)
	}
	if len(w.secrets) == 0 {
		return nil, errors.New("dialproof: a webhook's secret is needed")
	}
	return w, nil
}

// Read returns the event of a request. It reads the body.
func (w *Webhooks) Read(r *http.Request) (*Event, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxWebhook+1))
	if err != nil {
		return nil, fmt.Errorf("%w: its body broke off", ErrWebhook)
	}
	return w.Verify(r.Header, body)
}

// Verify returns the event in a body, byte for byte as it arrived, with the headers that came with it.
func (w *Webhooks) Verify(h http.Header, body []byte) (*Event, error) {
	return w.VerifyAt(h, body, w.now())
}

// VerifyAt is Verify at a time of your own, for tests.
func (w *Webhooks) VerifyAt(h http.Header, body []byte, now time.Time) (*Event, error) {
	id, stamp := h.Get("Webhook-Id"), h.Get("Webhook-Timestamp")
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if id == "" || err != nil {
		return nil, fmt.Errorf("%w: webhook-id or webhook-timestamp is missing", ErrWebhook)
	}
	if d := now.Sub(time.Unix(seconds, 0)); d > WebhookTolerance || d < -WebhookTolerance {
		return nil, fmt.Errorf("%w: its time is %v from ours", ErrWebhook, d.Round(time.Second))
	}
	if len(body) > maxWebhook {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrWebhook, maxWebhook)
	}
	if !w.signed(id+"."+stamp+".", body, h.Get("Webhook-Signature")) {
		return nil, fmt.Errorf("%w: no signature fits", ErrWebhook)
	}
	e := &Event{ID: id}
	if json.Unmarshal(body, e) != nil {
		return nil, fmt.Errorf("%w: the body is no event", ErrWebhook)
	}
	return e, nil
}

// signed reports whether one of the signatures is one of our secrets'.
func (w *Webhooks) signed(head string, body []byte, signatures string) bool {
	for _, secret := range w.secrets {
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(head))
		mac.Write(body)
		want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
		for got := range strings.FieldsSeq(signatures) {
			if subtle.ConstantTimeCompare([]byte(got), []byte(want)) == 1 {
				return true
			}
		}
	}
	return false
}
