package verify

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"strings"

	"github.com/dialproof/dialproof/internal/application"
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

// sameCode compares in constant time, after taking out what people and keyboards put in.
func sameCode(want message.Code, typed string) bool {
	return subtle.ConstantTimeCompare([]byte(want.Reveal()), []byte(normalise(typed))) == 1
}

// normalise returns a typed code without spaces and hyphens, with full-width and other decimal digits as
// ASCII and letters in upper case.
func normalise(typed string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ' || r == '-' || r == '\u00a0' || r == '\u202f' || r == '\u2007':
			return -1
		case r >= '０' && r <= '９':
			return r - '０' + '0'
		case r >= '٠' && r <= '٩':
			return r - '٠' + '0'
		case r >= '۰' && r <= '۹':
			return r - '۰' + '0'
		case r >= '०' && r <= '९':
			return r - '०' + '0'
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		}
		return r
	}, typed)
}

func newNonce() (n [16]byte) {
	rand.Read(n[:]) // crypto/rand.Read never fails (it ends the process)
	return n
}
