// Package entry reads what people type or paste into a field: digits of any script, and the marks that keyboards and
// copying put between them. Phone numbers and codes are read by the same rules.
//
// It judges nothing: whether digits are a phone number is phone's to say, and whether they are the right code verify's.
package entry

import (
	"strings"
	"unicode"
)

// Digit returns the ASCII digit of a decimal digit of any script (Unicode category Nd), and reports whether r is one.
func Digit(r rune) (byte, bool) {
	if r >= '0' && r <= '9' {
		return byte(r), true
	}
	if r < 0x80 || !unicode.IsDigit(r) {
		return 0, false
	}
	// Unicode keeps the ten digits of a script together and in order, and blocks that touch are whole tens (Unicode 4.6),
	// so the distance to the start of the run is the value.
	start := r
	for unicode.IsDigit(start - 1) {
		start--
	}
	return '0' + byte((r-start)%10), true
}

// Separates reports whether r may stand between digits without a meaning: a space, a dash, a bracket or a dot of any
// script, or a mark that nobody sees. Line ends and tabs are not among them: see Trim.
func Separates(r rune) bool {
	switch r {
	case ' ', '-', '.', '/', '(', ')', '[', ']', '．', '／', '（', '）', '［', '］':
		return true
	case '~', '\u223c', '\uff5e', '\u301c': // tildes, which some keyboards give for a dash
		return true
	case '\u2212', '\u30fc': // minus, and the long-vowel mark that Japanese keyboards give for a dash
		return true
	case '\u2022', '\u00b7', '\u30fb': // dots in the middle, with which pages group digits
		return true
	}
	return r >= 0x80 && (unicode.In(r, unicode.Zs, unicode.Pd) || Invisible(r))
}

// Invisible reports whether nobody sees r: marks of direction, joiners, zero-width spaces, byte order marks and
// variation selectors, which copying brings along.
func Invisible(r rune) bool {
	return r >= 0x80 && unicode.In(r, unicode.Cf, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point)
}

// Trim returns s without the white space, line ends and invisible marks at its ends.
func Trim(s string) string {
	return strings.TrimFunc(s, func(r rune) bool { return unicode.IsSpace(r) || Invisible(r) })
}
