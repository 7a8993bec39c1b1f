package message

import (
	"strings"
	"unicode/utf8"
)

// maxTemplateParts bounds an application's own text, in SMS parts with values of common length.
const maxTemplateParts = 3

// sample is what LintTemplate puts for placeholders to measure a text: a code and a brand as long as they get,
// a payment of common length.
var sample = func() (v values) {
	v.set(slotCode, strings.Repeat("0", 10))
	v.set(slotBrand, strings.Repeat("B", MaxBrand))
	v.set(slotAmount, "1,234,567.89")
	v.set(slotCurrency, "EUR")
	v.set(slotPayee, strings.Repeat("P", 20))
	v.set(slotMinutes, "10")
	v.set(slotMoney, "1,234,567.89 EUR")
	return v
}()

// LintTemplate checks an application's own text: one line of plain text with {code} exactly once and otherwise
// only {brand}, {money}, {amount}, {currency}, {payee} and {minutes}; no other braces; no web address, since only the
// trailer may name a host; at most 3 SMS parts with a 10-character code and a 32-character brand.
//
// The error is an *Error with InvalidTemplate.
func LintTemplate(text string) error {
	c := compile(text)
	switch {
	case strings.TrimSpace(text) == "" || len(text) > 2000:
		return refuse(InvalidTemplate, "must be 1 to 2000 bytes")
	case !utf8.ValidString(text) || strings.ContainsFunc(text, hiddenRune):
		return refuse(InvalidTemplate, "must be one line without control or other hidden characters")
	case c.uses[slotCode] != 1:
		return refuse(InvalidTemplate, "must have {code} exactly once")
	case strayBrace(&c) || c.uses[slotHyphen] > 0:
		return refuse(InvalidTemplate, "knows only {code} {brand} {money} {amount} {currency} {payee} {minutes}")
	}
	filled := finish(&c, &sample, "", "") // "{brand}.com" is an address only when it is filled
	switch {
	case addressLike(filled.Body):
		return refuse(InvalidTemplate, "must not have a web address: only the trailer names a host")
	case filled.Parts > maxTemplateParts:
		return refuse(InvalidTemplate, "must be at most 3 SMS parts")
	}
	return nil
}

func strayBrace(c *candidate) bool {
	for _, s := range c.segments {
		if strings.ContainsAny(s.literal, "{}") {
			return true
		}
	}
	return false
}

// own returns the application's text for a request: for the locale asked for or one of its parents, and
// otherwise for the shipped locale that would be used or one of its parents.
func (r *Request) own() (text, locale string, ok bool) {
	texts := r.Templates[r.Purpose]
	if len(texts) == 0 {
		return "", "", false
	}
	for _, tag := range []string{r.Locale, Match(r.Locale, r.Country)} {
		for ; tag != ""; tag = parent(tag) {
			if text, ok := texts[tag]; ok {
				return text, tag, true
			}
		}
	}
	return "", "", false
}

// parent cuts the last subtag off.
func parent(tag string) string { return tag[:max(0, strings.LastIndexAny(tag, "-_"))] }

// checkOwn refuses an own text that cannot carry this request.
func (r *Request) checkOwn(c *candidate, v *values) error {
	if c.uses[slotCode] != 1 {
		return refuse(InvalidTemplate, "must have {code} exactly once")
	}
	pays := [...]slot{slotAmount, slotCurrency, slotPayee, slotMoney}
	for _, s := range pays {
		named := c.uses[s] > 0 || s == slotMoney || s != slotPayee && c.uses[slotMoney] > 0 // {money} is amount and currency
		// Regulation (EU) 2018/389 Art. 5(1)(a)
		if r.Transaction != nil && !named {
			return refuse(InvalidTemplate, "a payment's text must have "+slotNames[s])
		}
		if r.Transaction == nil && c.uses[s] > 0 {
			return refuse(InvalidTransaction, "the text has "+slotNames[s]+" and the request no transaction")
		}
	}
	if c.uses[slotMinutes] > 0 && v.text[slotMinutes] == "" {
		v.set(slotMinutes, minutesAtLeast1(r.ExpiresIn))
	}
	return nil
}
