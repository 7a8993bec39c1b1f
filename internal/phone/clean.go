package phone

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/dialproof/dialproof/internal/entry"
)

const (
	maxInput  = 64 // bytes; the longest honest form with every mark and space is half of it
	maxDigits = 15 // ITU-T E.164, 6.1: digits of a whole international number
	minDigits = 5  // CAMARA one-time-password-sms, ^\+[1-9][0-9]{4,14}$
	maxDialed = 24 // digits as dialled: maxDigits behind an international and a trunk prefix
)

// strict returns the digits of s when it is in canonical form already, without a copy.
func strict(s string) (digits string, ok bool) {
	if len(s) < 1+minDigits || len(s) > 1+maxDigits || s[0] != '+' || s[1] == '0' {
		return "", false
	}
	for i := 1; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return "", false
		}
	}
	return s[1:], true
}

// clean returns the ASCII digits of s and whether a plus sign stood before them. It drops what
// people write between digits (ITU-T E.123) and what copying brings along, and refuses the rest:
// a letter or an extension dropped in silence would make another number.
func clean(s string) (digits string, plus bool, fault *Error) {
	if len(s) > maxInput {
		return "", false, malformed("is too long")
	}
	if !utf8.ValidString(s) {
		return "", false, malformed("is not well-formed text")
	}
	if s = entry.Trim(s); len(s) >= 4 && strings.EqualFold(s[:4], "tel:") {
		s = s[4:]
	}
	buf := make([]byte, 0, maxDialed)
	for _, r := range s {
		d, isDigit := entry.Digit(r)
		switch {
		case isDigit:
			if len(buf) == maxDialed {
				return "", false, malformed("has too many digits")
			}
			buf = append(buf, d)
		case r == '+' || r == '＋':
			if plus || len(buf) > 0 {
				return "", false, malformed("has a plus sign inside")
			}
			plus = true
		case !entry.Separates(r):
			return "", false, malformed(unwanted(r))
		}
	}
	if len(buf) == 0 {
		return "", false, malformed("has no digits")
	}
	return string(buf), plus, nil
}

// unwanted says what is wrong with r, without quoting it.
func unwanted(r rune) string {
	switch {
	case r == ';' || r == ',' || r == '#' || r == '*':
		return "has an extension or a dialling code"
	case unicode.IsLetter(r):
		return "has letters"
	case unicode.IsControl(r):
		return "has control characters"
	default:
		return "has characters that are no part of a number"
	}
}
