// Package money writes an amount the way a language writes it, and says it the way a language says it.
//
// It calculates nothing and rounds nothing: people must see the amount that they approve. How amounts look and what
// currencies are called comes from the Unicode CLDR (formats.go and names.txt, made by scripts/cldr.sh); how many
// decimals a currency has comes from ISO 4217. Digits are ASCII in every language, like the code beside them. The
// currency is its ISO 4217 code, since "$" means a different currency in each of 20 countries.
package money

import (
	_ "embed"
	"strconv"
	"strings"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
)

// Amount is a sum of money.
type Amount struct {
	// Number is a plain decimal number: digits, and a full stop before the decimals ("1234.5"). Anything else is shown as
	// it is.
	Number string
	// Currency is an ISO 4217 code.
	Currency string
}

// Place is where an amount is read: a shipped locale, and the ISO 3166 code of the region or "".
type Place struct{ Locale, Region string }

// format is how a place writes amounts.
type format struct {
	decimal, group string
	// least is how many digits must stand before the first separator of groups.
	least int
	// primary is the size of the group before the decimals, secondary that of the others; 0 means no groups.
	primary, secondary int
	// before means that the currency stands before the number, with space between them.
	before bool
	space  string
}

// format returns how the place writes amounts: how the region does, or else the language.
func (p Place) format() format {
	if p.Region != "" {
		if f, ok := formats[family(p.Locale)+"-"+p.Region]; ok {
			return f
		}
	}
	if f, ok := formats[p.Locale]; ok {
		return f
	}
	return formats["en"]
}

// family returns the locale under which regions are listed: es-AR is one of es, though its texts are those of es-419.
func family(locale string) string {
	switch locale {
	case "es-419":
		return "es"
	case "pt-BR":
		return "pt"
	}
	return locale
}

// Write returns number and currency: "1.234,50 EUR". Spaces in it are no-break spaces (U+00A0 and U+202F).
func (a Amount) Write(p Place) string {
	f := p.format()
	if f.before {
		return a.Currency + f.space + a.write(f)
	}
	return a.write(f) + f.space + a.Currency
}

// WriteNumber returns the number alone: "1.234,50".
func (a Amount) WriteNumber(p Place) string { return a.write(p.format()) }

func (a Amount) write(f format) string {
	whole, decimals, ok := a.split()
	if !ok {
		return a.Number
	}
	var b strings.Builder
	for i := range len(whole) {
		if left := len(whole) - i; i > 0 && f.separates(left, len(whole)) {
			b.WriteString(f.group)
		}
		b.WriteByte(whole[i])
	}
	if decimals != "" {
		b.WriteString(f.decimal + decimals)
	}
	return b.String()
}

// separates reports whether a separator stands before the last left digits of a whole number.
func (f format) separates(left, digits int) bool {
	if f.primary == 0 || digits < f.primary+f.least || left < f.primary {
		return false
	}
	return (left-f.primary)%f.secondary == 0
}

// split returns the digits before and after the decimal separator. There are as many decimals as the currency has:
// fewer are filled up with zeros, and of more only zeros are left out. ok is false for what is no plain decimal number.
func (a Amount) split() (whole, decimals string, ok bool) {
	whole, decimals, point := strings.Cut(a.Number, ".")
	if !digits(whole) || point && !digits(decimals) {
		return "", "", false
	}
	if whole = strings.TrimLeft(whole, "0"); whole == "" {
		whole = "0"
	}
	n := Decimals(a.Currency)
	for len(decimals) > n && strings.HasSuffix(decimals, "0") {
		decimals = decimals[:len(decimals)-1]
	}
	return whole, decimals + strings.Repeat("0", max(n-len(decimals), 0)), true
}

func digits(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
}

// Decimals returns how many decimals a currency has (ISO 4217:2015, minor unit). For codes that are not in the list it
// returns 2.
func Decimals(currency string) int {
	switch currency {
	case "BIF",
		"CLP",
		"DJF",
		"GNF",
		"ISK",
		"JPY",
		"KMF",
		"KRW",
		"PYG",
		"RWF",
		"UGX",
		"UYI",
		"VND",
		"VUV",
		"XAF",
		"XOF",
		"XPF":
		return 0
	case "BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND":
		return 3
	case "CLF", "UYW":
		return 4
	}
	return 2
}

// Say returns the amount to be read out: "1234,50 Euro". It has no separators of groups, which voices stumble over, and
// no decimals when all are zero. A currency that has no name in the language is its code.
func (a Amount) Say(p Place) string {
	whole, decimals, ok := a.split()
	if !ok {
		return a.Number + " " + a.Currency
	}
	decimals = strings.TrimSuffix(decimals, strings.Repeat("0", Decimals(a.Currency)))
	number := whole
	if decimals != "" {
		number += p.format().decimal + decimals
	}
	section := sectionOf(p.Locale)
	form := pluralForm(p.Locale, whole, decimals)
	name := a.Currency
	if names := line(section, a.Currency); names != "" {
		name = choose(names, form)
	}
	return strings.NewReplacer("{0}", number, "{1}", name).Replace(choose(line(section, "*"), form))
}

//go:embed names.txt
var names string

// sectionOf returns the lines of a locale in names.txt.
func sectionOf(locale string) string {
	_, section, ok := strings.Cut(names, "\n="+locale+"\n")
	if !ok {
		_, section, _ = strings.Cut(names, "\n=en\n")
	}
	section, _, _ = strings.Cut(section, "\n=")
	return "\n" + section
}

// line returns what a section says of a currency, "" for nothing.
func line(section, currency string) string {
	_, rest, _ := strings.Cut(section, "\n"+currency+"\t")
	rest, _, _ = strings.Cut(rest, "\n")
	return rest
}

// choose returns the text of a plural form, or else the usual one.
func choose(texts, form string) string {
	usual, rest, _ := strings.Cut(texts, "\t")
	for one := range strings.SplitSeq(rest, "\t") {
		if text, ok := strings.CutPrefix(one, form+"="); ok {
			return text
		}
	}
	return usual
}

// pluralForm returns the CLDR's plural category of a number.
func pluralForm(locale, whole, decimals string) string {
	i, err := strconv.Atoi(whole[max(len(whole)-9, 0):])
	if err != nil {
		return "other"
	}
	if len(whole) > 9 {
		i += 1_000_000_000 // no rule looks further than at the last six digits and at being greater than 6
	}
	trimmed := strings.TrimRight(decimals, "0")
	f, _ := strconv.Atoi("0" + decimals)
	t, _ := strconv.Atoi("0" + trimmed)
	switch plural.Cardinal.MatchPlural(language.Make(locale), i, len(decimals), len(trimmed), f, t) {
	case plural.Zero:
		return "zero"
	case plural.One:
		return "one"
	case plural.Two:
		return "two"
	case plural.Few:
		return "few"
	case plural.Many:
		return "many"
	case plural.Other:
	}
	return "other"
}
