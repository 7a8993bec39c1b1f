package message

import "unicode/utf8"

// Encoding is how an SMS carries its characters.
type Encoding int

const (
	// GSM7 is the default alphabet with its extension table (3GPP TS 23.038 §6.2.1).
	GSM7 Encoding = iota
	// UCS2 is 16-bit units (3GPP TS 23.038 §6.2.3). Characters beyond the BMP go as surrogate pairs, as every
	// phone of today reads them.
	UCS2
)

// String returns "GSM-7" or "UCS-2".
func (e Encoding) String() string {
	if e == GSM7 {
		return "GSM-7"
	}
	return "UCS-2"
}

// Room in one part, in septets and in UTF-16 units. A part of several gives 6 of its 140 octets to the
// concatenation header with an 8-bit reference (3GPP TS 23.040 §9.2.3.24.1).
const (
	singleGSM7, joinedGSM7 = 160, 153
	singleUCS2, joinedUCS2 = 70, 67
)

const (
	basicGSM7 = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?" +
		"¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
	extensionGSM7 = "\f^{}\\[~]|€" // each costs an escape septet too
)

// septetTable holds the septets of each character below U+0100, 0 for none.
var septetTable = func() (t [256]uint8) {
	for _, r := range basicGSM7 {
		if r < 256 {
			t[r] = 1
		}
	}
	for _, r := range extensionGSM7 {
		if r < 256 {
			t[r] = 2
		}
	}
	return t
}()

// septets returns how many GSM-7 septets a character costs, 0 when the alphabet does not have it.
func septets(r rune) int {
	switch {
	case r < 0:
		return 0
	case r < 256:
		return int(septetTable[r])
	case r == '€':
		return 2
	}
	switch r {
	case 'Δ', 'Φ', 'Γ', 'Λ', 'Ω', 'Π', 'Ψ', 'Σ', 'Θ', 'Ξ':
		return 1
	}
	return 0
}

// units returns how many UTF-16 units a character costs.
func units(r rune) int {
	if r > 0xFFFF {
		return 2
	}
	return 1
}

// cost is what a text takes in each way of counting. Costs of pieces add up.
type cost struct {
	septets, units, bytes int
	ucs2                  bool // a character is outside GSM-7, so septets mean nothing
}

func costOf(s string) (c cost) {
	c.bytes = len(s)
	for _, r := range s {
		if r < utf8.RuneSelf && septetTable[r] == 1 { // most characters of most texts
			c.septets++
			c.units++
			continue
		}
		n := septets(r)
		c.septets += n
		c.units += units(r)
		c.ucs2 = c.ucs2 || n == 0
	}
	return c
}

func (c cost) plus(d cost) cost {
	return cost{c.septets + d.septets, c.units + d.units, c.bytes + d.bytes, c.ucs2 || d.ucs2}
}

// encoding returns the encoding and its units. The whole message changes with its first foreign character.
func (c cost) encoding() (e Encoding, units int) {
	if c.ucs2 {
		return UCS2, c.units
	}
	return GSM7, c.septets
}

func (c cost) onePart() bool {
	if c.ucs2 {
		return c.units <= singleUCS2
	}
	return c.septets <= singleGSM7
}

// Measure returns how an SMS carries body: the encoding, the number of parts (at least 1) and the units of all
// parts, septets or UTF-16 units. It counts parts of 153 or 67 units; a carrier that uses a 16-bit reference
// has one less in each. Bytes that are not UTF-8 count as U+FFFD.
func Measure(body string) (e Encoding, parts, total int) {
	c := costOf(body)
	e, total = c.encoding()
	if c.onePart() {
		return e, 1, total
	}
	for rest := body; rest != ""; parts++ {
		rest = rest[cut(rest, e):]
	}
	return e, parts, total
}

// Split returns the parts in which an SMS carries body. Joined they are body. No part ends inside an escape
// pair or a surrogate pair. An empty body is one empty part.
func Split(body string) []string {
	c := costOf(body)
	if c.onePart() {
		return []string{body}
	}
	e, _ := c.encoding()
	var out []string
	for body != "" {
		n := cut(body, e)
		out = append(out, body[:n])
		body = body[n:]
	}
	return out
}

// cut returns the bytes of the next part of several: as many whole characters as fit.
func cut(s string, e Encoding) int {
	size, room := units, joinedUCS2
	if e == GSM7 {
		size, room = septets, joinedGSM7
	}
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if room -= size(r); room < 0 {
			return i
		}
		i += n
	}
	return len(s)
}
