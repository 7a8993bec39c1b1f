package message

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/publicsuffix"
)

// Bounds of a Transaction, in characters.
const (
	maxAmount = 32
	maxPayee  = 140
)

// check is what Render and Speak refuse at the door.
func (r *Request) check() error {
	if !wellFormed(r.Locale) {
		return refuse(InvalidLocale, "must be a BCP 47 language tag like pt-BR")
	}
	if err := checkBrand(r.Brand); err != nil {
		return err
	}
	t := r.Transaction
	switch {
	case t == nil && r.Purpose == Payment:
		return refuse(InvalidTransaction, "the purpose transaction needs amount, currency and payee")
	case t == nil:
		return nil
	case !line(t.Amount, maxAmount):
		return refuse(InvalidTransaction, "the amount must be 1 to 32 characters of plain text")
	case len(t.Currency) != 3 || strings.ContainsFunc(t.Currency, func(c rune) bool { return c < 'A' || c > 'Z' }):
		return refuse(InvalidTransaction, "the currency must be an ISO 4217 code like EUR")
	case !line(t.Payee, maxPayee) || strings.Contains(t.Payee, "://"):
		return refuse(InvalidTransaction, "the payee must be 1 to 140 characters of plain text and no URL")
	}
	return nil
}

func checkBrand(brand string) error {
	switch {
	case !line(brand, MaxBrand):
		return refuse(InvalidBrand, "must be 1 to 32 characters of plain text")
	case addressLike(brand):
		// A name that phones show as a link makes our sender a phisher's.
		return refuse(InvalidBrand, "brand_url: must be a name and not a web address")
	}
	return nil
}

// line reports whether s is 1 to most characters of one line without hidden ones.
func line(s string, most int) bool {
	return strings.TrimSpace(s) == s && s != "" && utf8.ValidString(s) && utf8.RuneCountInString(s) <= most &&
		!strings.ContainsFunc(s, hiddenRune)
}

// hiddenRune reports whether a character changes a line without being seen: controls, line separators, bidi
// controls and other format characters. ZWNJ and ZWJ are letters' business in Persian and in Indic scripts.
func hiddenRune(r rune) bool {
	if r < unicode.MaxASCII {
		return r < ' '
	}
	return !unicode.IsLetter(r) && r != '\u200c' && r != '\u200d' &&
		(unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp))
}

// addressLike reports whether a phone would show a part of s as a link: a scheme, "www.", or a word that ends in
// a top-level domain of the public suffix list (publicsuffix.org, ICANN section). An @ at the start would let a
// text without a trailer be read as one.
func addressLike(s string) bool {
	if strings.HasPrefix(s, "@") {
		return true
	}
	if !strings.ContainsAny(s, ".:。．") {
		return false
	}
	s = strings.NewReplacer("。", ".", "．", ".").Replace(strings.ToLower(s))
	if strings.Contains(s, "://") || strings.Contains(s, "www.") {
		return true
	}
	words := strings.FieldsFunc(s, func(r rune) bool {
		return r != '.' && r != '-' && !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r)
	})
	for _, w := range words {
		w = strings.Trim(w, ".")
		if !strings.Contains(w, ".") {
			continue
		}
		if _, icann := publicsuffix.PublicSuffix(w); icann {
			return true
		}
	}
	return false
}

// shortenBrand cuts letters off the brand until the text fits, down to none.
func (v *values) shortenBrand(c *candidate, tail string, retriever bool) {
	end := costOf(tail)
	brand := v.text[slotBrand]
	for brand != "" {
		size := c.cost(v).plus(end)
		if size.onePart() && (!retriever || size.bytes <= maxRetrieverBytes) {
			return
		}
		brand = dropLast(brand)
		v.set(slotBrand, brand)
		v.set(slotHyphen, hyphen(brand))
	}
}

// dropLast takes the last letter off with the marks and joiners that belong to it.
func dropLast(s string) string {
	for s != "" {
		r, n := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-n]
		if !unicode.IsMark(r) && r != '\u200c' && r != '\u200d' {
			break
		}
	}
	return strings.TrimRight(s, " \u200c\u200d")
}
