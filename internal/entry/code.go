package entry

import (
	"strings"
	"unicode"
)

// Digits returns the code of length decimal digits that a person typed or pasted, in ASCII. The text is that code with
// separators, or a message around it ("123456 is your Shop code", "G-123456") in which one run of digits, and no other,
// has the length. It reports false when the text cannot be the code.
func Digits(text string, length int) (code string, ok bool) {
	if code, ok := whole(text, length); ok {
		return code, true
	}
	runs := runsOf(text)
	if code, ok := only(runs, length); ok {
		return code, true
	}
	return only(joined(runs), length)
}

// Letters returns the code of length digits and Latin letters that a person typed, in ASCII and upper case. It reports
// false when the text cannot be the code: such a code is not looked for in a message, whose words look like codes too.
func Letters(text string, length int) (code string, ok bool) {
	out := make([]byte, 0, length)
	for _, r := range text {
		d, isDigit := Digit(r)
		switch {
		case isDigit:
		case r >= 'a' && r <= 'z':
			d = byte(r - 'a' + 'A')
		case r >= 'A' && r <= 'Z':
			d = byte(r)
		case r >= 'ａ' && r <= 'ｚ':
			d = byte(r - 'ａ' + 'A')
		case r >= 'Ａ' && r <= 'Ｚ':
			d = byte(r - 'Ａ' + 'A')
		case unicode.IsSpace(r) || Separates(r):
			continue
		default:
			return "", false
		}
		if len(out) == length {
			return "", false
		}
		out = append(out, d)
	}
	return string(out), len(out) == length
}

// whole returns the digits of a text that has nothing else but separators.
func whole(text string, length int) (string, bool) {
	out := make([]byte, 0, length)
	for _, r := range text {
		if d, ok := Digit(r); ok {
			if len(out) == length {
				return "", false
			}
			out = append(out, d)
		} else if !unicode.IsSpace(r) && !Separates(r) {
			return "", false
		}
	}
	return string(out), len(out) == length
}

// run is digits that stand together. next reports whether one space or dash alone is between it and the next run.
type run struct {
	digits string
	next   bool
}

// runsOf returns the runs of digits of a text, in order. Marks that nobody sees do not end a run.
func runsOf(text string) []run {
	var out []run
	var digits, between strings.Builder
	flush := func() {
		if digits.Len() > 0 {
			out = append(out, run{digits: digits.String()})
			digits.Reset()
			between.Reset()
		}
	}
	for _, r := range text {
		d, ok := Digit(r)
		switch {
		case ok && digits.Len() == 0:
			if n := len(out); n > 0 {
				gap := between.String()
				out[n-1].next = gap == " " || gap == "-"
			}
			digits.WriteByte(d)
		case ok:
			digits.WriteByte(d)
		case Invisible(r):
		default:
			flush()
			switch {
			case unicode.IsSpace(r) || unicode.In(r, unicode.Zs):
				between.WriteByte(' ')
			case unicode.In(r, unicode.Pd) || r == '\u2212':
				between.WriteByte('-')
			default:
				between.WriteRune(r)
			}
		}
	}
	flush()
	return out
}

// joined returns the runs with those put together that one space or dash separates: a code written as "123 456".
func joined(runs []run) []run {
	var out []run
	open := false
	for _, r := range runs {
		if open {
			out[len(out)-1].digits += r.digits
		} else {
			out = append(out, run{digits: r.digits})
		}
		open = r.next
	}
	return out
}

// only returns the one code of a length among runs; the same code twice is one.
func only(runs []run, length int) (code string, ok bool) {
	for _, r := range runs {
		if len(r.digits) != length || r.digits == code {
			continue
		}
		if code != "" {
			return "", false
		}
		code = r.digits
	}
	return code, code != ""
}
