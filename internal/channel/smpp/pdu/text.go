package pdu

import (
	"encoding/binary"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Coding is a data_coding (§5.2.19).
type Coding byte

// The codings that texts are written in.
const (
	// Default is the SMSC's default alphabet: here GSM 03.38, one septet to an octet.
	Default Coding = 0x00
	Latin1  Coding = 0x03
	UCS2    Coding = 0x08
)

// Room of a part in octets as they stand in a PDU: alone, and as one of several beside a header of 6 octets
// (3GPP TS 23.040 §9.2.3.24.1). GSM septets are not packed, so they count as octets.
const (
	SingleGSM, JoinedGSM   = 160, 153
	SingleUCS2, JoinedUCS2 = 140, 134
)

const (
	// basic is the default alphabet in order, with the escape at 0x1B (3GPP TS 23.038 §6.2.1).
	basic = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?" +
		"¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
	escape = 0x1B
)

// extensionOf returns the septet that follows an escape (§6.2.1.1), 0 for none.
func extensionOf(r rune) byte {
	switch r {
	case '\f':
		return 0x0A
	case '^':
		return 0x14
	case '{':
		return 0x28
	case '}':
		return 0x29
	case '\\':
		return 0x2F
	case '[':
		return 0x3C
	case '~':
		return 0x3D
	case ']':
		return 0x3E
	case '|':
		return 0x40
	case '€':
		return 0x65
	}
	return 0
}

var (
	septetOf = func() map[rune]byte {
		out := make(map[rune]byte, 128)
		i := byte(0)
		for _, r := range basic {
			if r != escape {
				out[r] = i
			}
			i++
		}
		return out
	}()
	runeOf = []rune(basic)
)

// EncodeGSM writes a text in the default alphabet, one septet to an octet; ok is false when it has other characters.
func EncodeGSM(s string) (b []byte, ok bool) {
	b = make([]byte, 0, len(s)+8)
	for _, r := range s {
		if septet, known := septetOf[r]; known {
			b = append(b, septet)
		} else if extended := extensionOf(r); extended != 0 {
			b = append(b, escape, extended)
		} else {
			return nil, false
		}
	}
	return b, true
}

// DecodeGSM reads the default alphabet. An extension that is not known is shown as the plain character (§6.2.1);
// octets beyond the alphabet become U+FFFD.
func DecodeGSM(b []byte) string {
	var out strings.Builder
	for i := 0; i < len(b); i++ {
		c := b[i]
		switch {
		case c > 0x7F:
			out.WriteRune(utf8.RuneError)
		case c != escape:
			out.WriteRune(runeOf[c])
		case i+1 < len(b):
			i++
			out.WriteRune(extended(b[i]))
		default:
			out.WriteByte(' ')
		}
	}
	return out.String()
}

// extended returns the character of an escaped septet.
func extended(c byte) rune {
	for _, r := range "\f^{}\\[~]|€" {
		if extensionOf(r) == c {
			return r
		}
	}
	switch {
	case c > 0x7F:
		return utf8.RuneError
	case c == escape:
		return ' '
	}
	return runeOf[c]
}

// EncodeLatin1 writes a text in ISO 8859-1; ok is false when it has other characters.
func EncodeLatin1(s string) (b []byte, ok bool) {
	b = make([]byte, 0, len(s))
	for _, r := range s {
		if r > 0xFF {
			return nil, false
		}
		b = append(b, byte(r))
	}
	return b, true
}

// DecodeLatin1 reads ISO 8859-1.
func DecodeLatin1(b []byte) string {
	out := make([]rune, len(b))
	for i, c := range b {
		out[i] = rune(c)
	}
	return string(out)
}

// EncodeUCS2 writes a text in UTF-16, big-endian: characters beyond the BMP as surrogate pairs. What is not UTF-8
// becomes U+FFFD.
func EncodeUCS2(s string) []byte {
	units := utf16.Encode([]rune(s))
	b := make([]byte, 0, 2*len(units))
	for _, u := range units {
		b = binary.BigEndian.AppendUint16(b, u)
	}
	return b
}

// DecodeUCS2 reads UTF-16, big-endian. Half a pair becomes U+FFFD; an odd last octet is dropped.
func DecodeUCS2(b []byte) string {
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = binary.BigEndian.Uint16(b[2*i:])
	}
	return string(utf16.Decode(units))
}

// Split cuts an encoded text into parts of at most single octets if it fits into one, else of at most joined. It
// cuts neither behind an escape nor within a surrogate pair. Joined the parts are the text.
func Split(b []byte, coding Coding, single, joined int) [][]byte {
	if len(b) <= single {
		return [][]byte{b}
	}
	var out [][]byte
	for len(b) > joined {
		n := joined
		switch {
		case coding == UCS2 && utf16.IsSurrogate(rune(binary.BigEndian.Uint16(b[n-2:]))) && b[n-2] < 0xDC:
			n -= 2
		case coding == Default && b[n-1] == escape:
			n--
		}
		out, b = append(out, b[:n]), b[n:]
	}
	return append(out, b)
}

// headerSize8 is the size of a concatenation header with an 8-bit reference, in octets.
const headerSize8 = 6

// Join returns the user data of part number of total, both from 1: a concatenation header and the text
// (3GPP TS 23.040 §9.2.3.24.1).
func Join(reference, total, number byte, text []byte) []byte {
	return append([]byte{headerSize8 - 1, 0x00, 0x03, reference, total, number}, text...)
}

// SkipHeader returns user data without its header. One that is longer than the data leaves nothing.
func SkipHeader(b []byte) []byte {
	if len(b) == 0 || int(b[0])+1 > len(b) {
		return nil
	}
	return b[int(b[0])+1:]
}
