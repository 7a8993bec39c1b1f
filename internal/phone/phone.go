// Package phone reads phone numbers: what a person or a program wrote becomes one E.164 number
// with its country and line type, or a refusal with a stable code.
//
// It is not a lookup: it knows what ranges are for, from the metadata of libphonenumber, never
// whether one number is in service, who operates it or who holds it. It is not the policy of
// an application either: landlines, VoIP and numbers of fiction pass here and are judged where
// the channel and the key are known. It does not format numbers for display; every printed form
// of a Number is masked.
package phone

import (
	"fmt"
	"io"
	"log/slog"
	"strconv"
)

// shown is how many last digits a masked number keeps.
const shown = 3

// Number is an E.164 number that may be sent to, or one that is reserved for fiction. The zero
// value is no number. Two numbers are equal exactly when they are the same digits.
type Number struct {
	digits  uint64  // calling code and national number: at most 15 digits, so below 2^50
	call    uint16  // calling code, 1..999
	country [2]byte // ISO 3166-1 alpha-2, zero for none
	kind    LineType
	fiction bool
}

// E164 returns the number as it is dialled and stored, "+447700900123"; "" for no number.
func (n Number) E164() string { return e164(n.digits) }

// AppendE164 appends E164 to b.
func (n Number) AppendE164(b []byte) []byte {
	if n.IsZero() {
		return b
	}
	return appendE164(b, n.digits)
}

// Country returns the ISO 3166-1 alpha-2 country, "GB"; "" for a number of no country
// (satellite and other global services) and for no number.
func (n Number) Country() string {
	if n.country == [2]byte{} {
		return ""
	}
	return string(n.country[:])
}

// CallingCode returns the country calling code, 44 of +44; 0 for no number.
func (n Number) CallingCode() int { return int(n.call) }

// Type returns what the range of the number is for.
func (n Number) Type() LineType { return n.kind }

// Fiction reports whether the number is reserved for drama and examples, so that nobody has it.
func (n Number) Fiction() bool { return n.fiction }

// Key returns one text for all the ways to write the same handset. Limits, block lists and
// lookups must use it, or writing a number another way starts a fresh allowance. It is E.164
// except in Argentina, where the 9 after +54 only marks a call to a mobile and is dropped.
// (Mexico's 1 after +52 is already dropped when a number is parsed.)
func (n Number) Key() string {
	const national = 1e10 // ten digits follow +54 9
	if n.digits/national == 549 {
		return e164(54*national + n.digits%national)
	}
	return n.E164()
}

// Prefix returns E.164 without the last four digits, "+44770090": the block of ten thousand
// that neighbours share. "" for no number.
func (n Number) Prefix() string { return e164(n.digits / 1e4) }

// IsZero reports whether there is no number.
func (n Number) IsZero() bool { return n.digits == 0 }

// Mask returns the number for a reader who need not know it: the calling code, one bullet per
// hidden digit and the last three digits, "+44•••••••123"; "" for no number.
func (n Number) Mask() string {
	if n.IsZero() {
		return ""
	}
	var space [1 + maxDigits]byte
	whole := appendE164(space[:0], n.digits)
	begin, end := 1+callDigits(n.call), len(whole)-shown
	if end <= begin {
		end = len(whole)
	}
	var room [(1 + maxDigits) * len("•")]byte
	out := append(room[:0], whole[:begin]...)
	for range end - begin {
		out = append(out, "•"...)
	}
	return string(append(out, whole[end:]...))
}

// String is Mask: a number never prints whole by accident. Ask E164 for the digits.
func (n Number) String() string { return n.Mask() }

// GoString is Mask, for %#v.
func (n Number) GoString() string { return n.Mask() }

// Format writes Mask for every verb. Without it %d would print the digits.
func (n Number) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, n.Mask()) }

// LogValue is Mask, for slog.
func (n Number) LogValue() slog.Value { return slog.StringValue(n.Mask()) }

// MarshalText is Mask, for JSON and other encoders. There is no way back.
func (n Number) MarshalText() ([]byte, error) { return []byte(n.Mask()), nil }

// e164 returns "+" and the digits, "" for none.
func e164(digits uint64) string {
	if digits == 0 {
		return ""
	}
	var space [1 + maxDigits]byte
	return string(appendE164(space[:0], digits))
}

func appendE164(b []byte, digits uint64) []byte {
	return strconv.AppendUint(append(b, '+'), digits, 10)
}
