package verify

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"strings"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/entry"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/keyring"
	"github.com/dialproof/dialproof/internal/message"
)

// alphanumerics leaves out what people confuse when they read or hear it: 0 O, 1 I L, 2 Z, 5 S, 8 B, U V.
const alphanumerics = "34679ACDEFGHJKMNPQRTWXY"

const digits = "0123456789"

// code returns the code that is valid now.
func (s *Service) code(v *Verification, p *Private) (message.Code, error) {
	switch {
	case p.Supplied != "":
		return message.NewCode(p.Supplied), nil
	case v.Spec.Magic == MagicApproved && v.Spec.Alphabet == application.Digits:
		return magicCode(v.Spec.CodeLength), nil
	}
	return deriveCode(s.Ring, v.ID, &v.Spec, v.Generation, p.Transaction)
}

// deriveCode returns the code of a verification: characters of HMAC-SHA-256 over its id, nonce and
// generation, and over the payment when there is one (PSD2 RTS Art. 5: the code is specific to amount and
// payee). Nothing of it is kept. Bytes that would favour some characters are skipped, and when the hash runs
// out, a counter makes another one.
func deriveCode(ring *keyring.Ring, v id.ID, s *Spec, generation int, t *message.Transaction) (message.Code, error) {
	set := digits
	if s.Alphabet == application.Alphanumeric {
		set = alphanumerics
	}
	fair := 256 - 256%len(set)
	var n [8]byte
	binary.BigEndian.PutUint32(n[:4], uint32(generation)) // at most MaxSends
	out := make([]byte, 0, application.MaxCodeLength)
	for round := uint32(0); ; round++ {
		binary.BigEndian.PutUint32(n[4:], round)
		sum, err := ring.MAC(s.Key, []byte("code"), v[:], s.Nonce[:], n[:], linked(t))
		if err != nil {
			return message.Code{}, err
		}
		for _, b := range sum {
			if int(b) >= fair {
				continue
			}
			if out = append(out, set[int(b)%len(set)]); len(out) == s.CodeLength {
				return message.NewCode(string(out)), nil
			}
		}
	}
}

// linked returns the payment as bytes that no other payment has.
func linked(t *message.Transaction) []byte {
	if t == nil {
		return nil
	}
	return []byte(t.Amount + "\x00" + t.Currency + "\x00" + t.Payee)
}

// sameCode compares in constant time.
func sameCode(want message.Code, typed string) bool {
	return subtle.ConstantTimeCompare([]byte(want.Reveal()), []byte(typed)) == 1
}

// readCode returns the code that a person typed or pasted, and reports whether it can be that of the verification: what
// has another length, or letters where all are digits, is no guess.
func readCode(v *Verification, p *Private, typed string) (string, bool) {
	length, letters := v.Spec.CodeLength, v.Spec.Alphabet == application.Alphanumeric
	if p.Supplied != "" {
		length, letters = len(p.Supplied), strings.ContainsFunc(p.Supplied, func(r rune) bool { return r > '9' })
	}
	if letters {
		return entry.Letters(typed, length)
	}
	return entry.Digits(typed, length)
}

func newNonce() (n [16]byte) {
	rand.Read(n[:]) // crypto/rand.Read never fails (it ends the process)
	return n
}
