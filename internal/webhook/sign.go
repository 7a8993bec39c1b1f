package webhook

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"github.com/dialproof/dialproof/internal/keyring"
	"github.com/dialproof/dialproof/internal/secret"
)

// secretPrefix and secretSize are those of Standard Webhooks: 24 to 64 random bytes in base64 behind a prefix.
const (
	secretPrefix = "whsec_"
	secretSize   = 32
)

// newSecret returns a fresh secret, as its receiver gets it.
func newSecret() secret.Text {
	b := make([]byte, secretSize)
	rand.Read(b) // crypto/rand.Read never fails (it ends the process)
	return secret.New(secretPrefix + base64.StdEncoding.EncodeToString(b))
}

// seal makes a secret fit to be kept.
func seal(ring *keyring.Ring, e *Endpoint, s secret.Text) Secret {
	return Secret{Sealed: ring.Seal([]byte(s.Reveal()), secretBound(e))}
}

func secretBound(e *Endpoint) []byte { return append([]byte("webhook secret "), e.ID[:]...) }

// keys returns what signs for an endpoint at a time, newest first.
func (e *Endpoint) keys(ring *keyring.Ring, now time.Time) ([][]byte, error) {
	var out [][]byte
	for _, s := range e.Secrets {
		if !s.Until.IsZero() && !now.Before(s.Until) {
			continue
		}
		text, err := ring.Open(s.Sealed, secretBound(e))
		if err != nil {
			return nil, err
		}
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(string(text), secretPrefix))
		if err != nil {
			return nil, err
		}
		out = append(out, key)
	}
	return out, nil
}

// Sign returns the header webhook-signature: HMAC-SHA-256 over "id.timestamp.body" by each key, newest first (Standard
// Webhooks 1.0, "Signature scheme").
func Sign(keys [][]byte, event string, at time.Time, body []byte) string {
	head := event + "." + strconv.FormatInt(at.Unix(), 10) + "."
	out := make([]string, len(keys))
	for i, k := range keys {
		mac := hmac.New(sha256.New, k)
		mac.Write([]byte(head))
		mac.Write(body)
		out[i] = "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	return strings.Join(out, " ")
}
