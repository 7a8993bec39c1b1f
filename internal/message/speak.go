package message

import (
	"strconv"
	"strings"
	"time"
)

// spokenTwice is how often the code is said: once to hear it, once to write it down.
const spokenTwice = 2

// spellingWords are the ICAO words for A to Z (ICAO Annex 10, volume II, §5.2.1.3), since B, D, P and T sound
// the same on a phone line.
var spellingWords = [26]string{
	"Alfa", "Bravo", "Charlie", "Delta", "Echo", "Foxtrot", "Golf", "Hotel", "India", "Juliett", "Kilo", "Lima",
	"Mike", "November", "Oscar", "Papa", "Quebec", "Romeo", "Sierra", "Tango", "Uniform", "Victor", "Whiskey",
	"X-ray", "Yankee", "Zulu",
}

// Speak makes the call of a request. Trailer and Templates mean nothing here: a voice has no last line, and an
// own text is written to be read. The error is an *Error with InvalidBrand, InvalidLocale or
// InvalidTransaction.
func Speak(r Request) (Spoken, error) {
	if err := r.check(); err != nil {
		return Spoken{}, err
	}
	l := editions()[Match(r.Locale, r.Country)]
	w := &l.wording
	intro := fillFor(w.intro, w.purpose(&r))
	if r.Transaction != nil {
		intro += " " + w.pay
	}
	var v values
	r.fill(&v, l.tag)
	if t := r.Transaction; t != nil {
		v.set(slotMoney, t.sum().Say(r.place(l.tag)))
	}
	return Spoken{
		Locale: l.tag, Prompt: say(w.prompt, &v), Intro: say(intro, &v), Lead: w.lead, Again: w.again,
		Digits: spell(r.Code), Repeat: spokenTwice,
	}, nil
}

// purpose returns what the code of a request is for, in words.
func (w *wording) purpose(r *Request) string {
	switch {
	case r.Transaction != nil:
		return w.any
	case r.Purpose == Registration:
		return w.reg
	case r.Purpose == Login:
		return w.login
	case r.Purpose == PasswordReset:
		return w.reset
	case r.Purpose == ProfileChange:
		return w.change
	}
	return w.any
}

func say(text string, v *values) string {
	c := compile(text)
	var b strings.Builder
	c.write(&b, v)
	return b.String()
}

// spell returns the characters of a code as a voice says them.
func spell(code Code) []string {
	s := code.Reveal()
	out := make([]string, 0, len(s))
	for _, r := range s {
		switch {
		case r >= 'A' && r <= 'Z':
			out = append(out, string(r)+", "+spellingWords[r-'A'])
		case r >= 'a' && r <= 'z':
			out = append(out, string(r-'a'+'A')+", "+spellingWords[r-'a'])
		default:
			out = append(out, string(r))
		}
	}
	return out
}

// minutesAtLeast1 returns whole minutes for a text that cannot do without.
func minutesAtLeast1(d time.Duration) string { return strconv.Itoa(max(1, int(d/time.Minute))) }
