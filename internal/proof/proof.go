// Package proof makes signed statements that somebody holds a number: what an approved check can answer, so that
// another back end believes it without asking us.
//
// A statement is a JWT (RFC 7519) signed with EdDSA (RFC 8037). The keys that check it are public (JWKS, RFC 7517). It
// is not a session and not an access token: it says what was proven, when and how, and is over after five minutes.
package proof

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/keyring"
	"github.com/dialproof/dialproof/internal/message"
)

// Life is how long a proof is good after the approval: long enough to hand it over, once.
const Life = 5 * time.Minute

// Form says how a proof names the number.
type Form string

// The forms.
const (
	// Hash names the number by its SHA-256 alone, which whoever knows the number can compare. It may travel through
	// browsers and logs without telling the number to who does not try all of them.
	Hash Form = "hash"
	// Number names the number in full as well.
	Number Form = "number"
)

// Valid reports whether f is one of the forms.
func (f Form) Valid() bool { return f == Hash || f == Number }

// Statement is what is proven.
type Statement struct {
	// Verification and Application are their ids as text ("vrf_…", "app_…").
	Verification, Application string
	// Test tells that the key was in test mode: the statement says nothing about any real phone.
	Test        bool
	To          string // E.164
	Country     string
	Purpose     string
	Channel     channel.Kind
	Transaction *message.Transaction
	At          time.Time // of the approval
	// Link is the id of the link that led the person to the hosted page ("lnk_…"); empty without one.
	Link string
}

// Signer makes proofs.
type Signer struct {
	Ring *keyring.Ring
	// Issuer is the deployment's public address; "dialproof" when it has none.
	Issuer string
}

// claims are those of OpenID Connect where it has a word, and the contract's own for the rest.
type claims struct {
	jwt.RegisteredClaims
	AuthTime     int64                `json:"auth_time"`
	AMR          []string             `json:"amr"`
	Mode         string               `json:"mode"`
	Purpose      string               `json:"purpose"`
	Channel      channel.Kind         `json:"channel"`
	Country      string               `json:"country"`
	Verification string               `json:"verification"`
	Number       string               `json:"phone_number,omitempty"`
	Verified     bool                 `json:"phone_number_verified,omitempty"`
	Transaction  *message.Transaction `json:"transaction,omitempty"`
	Link         string               `json:"link,omitempty"`
}

// Sign returns the proof of a statement. The same statement gives the same proof, so that a repeated request gets the
// answer of the first.
func (s Signer) Sign(st Statement, f Form) (string, error) {
	sum := sha256.Sum256([]byte(st.To))
	c := claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer:    s.issuer(),
			Audience:  jwt.ClaimStrings{st.Application},
			Subject:   hex.EncodeToString(sum[:]),
			ID:        st.Verification,
			IssuedAt:  jwt.NewNumericDate(st.At),
			ExpiresAt: jwt.NewNumericDate(st.At.Add(Life)),
		},
		AuthTime:     st.At.Unix(),
		AMR:          methods(st.Channel),
		Mode:         "live",
		Purpose:      st.Purpose,
		Channel:      st.Channel,
		Country:      st.Country,
		Verification: st.Verification,
		Transaction:  st.Transaction,
		Link:         st.Link,
	}
	if st.Test {
		c.Mode = "test"
	}
	if f == Number {
		c.Number, c.Verified = st.To, true
	}
	id, key := s.Ring.SigningKey()
	t := jwt.NewWithClaims(jwt.SigningMethodEdDSA, c)
	t.Header["kid"] = keyID(id)
	text, err := t.SignedString(key)
	if err != nil {
		return "", fmt.Errorf("proof: %w", err)
	}
	return text, nil
}

func (s Signer) issuer() string {
	if s.Issuer == "" {
		return "dialproof"
	}
	return s.Issuer
}

// methods returns the authentication methods (RFC 8176 §2).
func methods(k channel.Kind) []string {
	switch k {
	case channel.SMS:
		return []string{"otp", "sms"}
	case channel.Voice:
		return []string{"otp", "tel"}
	case channel.WhatsApp, channel.Telegram, channel.Email:
	}
	return []string{"otp"}
}

func keyID(id byte) string { return strconv.Itoa(int(id)) }

// jwk is one public key (RFC 8037 §2).
type jwk struct {
	Type      string `json:"kty"`
	Curve     string `json:"crv"`
	X         string `json:"x"`
	ID        string `json:"kid"`
	Use       string `json:"use"`
	Algorithm string `json:"alg"`
}

// JWKS returns the set of the keys that check proofs: those of the whole ring, so that a proof outlives a rotation.
func (s Signer) JWKS() []byte {
	set := struct {
		Keys []jwk `json:"keys"`
	}{}
	for id, key := range s.Ring.PublicKeys() {
		set.Keys = append(set.Keys, jwk{
			Type:      "OKP",
			Curve:     "Ed25519",
			X:         base64.RawURLEncoding.EncodeToString(key),
			ID:        keyID(id),
			Use:       "sig",
			Algorithm: "EdDSA",
		})
	}
	slices.SortFunc(set.Keys, func(a, b jwk) int {
		return cmp.Or(cmp.Compare(len(a.ID), len(b.ID)), cmp.Compare(a.ID, b.ID))
	})
	body, _ := json.Marshal(set) // strings
	return body
}
