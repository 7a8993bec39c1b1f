package message

import (
	"strconv"
	"strings"
	"time"

	"github.com/dialproof/dialproof/internal/money"
)

// maxMinutes is the longest life that a text mentions. Beyond an hour minutes say nothing to a person.
const maxMinutes = 60

// Render makes the text of a request. Dialproof's own texts are at most one SMS part; when not all fits, the
// text loses first its warning, then the mention of the purpose, then letters at the end of the brand. A payment
// keeps amount, currency and payee, if need be in more parts. An application's own text is taken as it is.
//
// With an app hash a text of ours is also at most 140 bytes of UTF-8 (Android SMS Retriever), unless a payment
// needs more.
//
// The error is an *Error with InvalidBrand, InvalidLocale, InvalidTransaction, InvalidTemplate or one of
// ParseTrailer's codes.
func Render(r Request) (Text, error) {
	if err := r.check(); err != nil {
		return Text{}, err
	}
	if err := ParseTrailer(r.Trailer); err != nil {
		return Text{}, err
	}
	var v values
	tail := r.tail()
	if own, locale, ok := r.own(); ok {
		r.fill(&v, locale)
		c := compile(own)
		if err := r.checkOwn(&c, &v); err != nil {
			return Text{}, err
		}
		return r.keepTogether(finish(&c, &v, tail, locale), &v), nil
	}
	l := editions()[Match(r.Locale, r.Country)]
	r.fill(&v, l.tag)
	c, fits := r.choose(l.candidates(&r), &v, tail)
	if !fits && r.Transaction == nil {
		if v.shortenBrand(c, tail, r.Trailer.AppHash != ""); v.text[slotBrand] == "" {
			return finish(&codeOnly, &v, tail, l.tag), nil
		}
	}
	return r.keepTogether(finish(c, &v, tail, l.tag), &v), nil
}

// keepTogether has no line break in an amount where that costs nothing: in UCS-2, which has a no-break space.
func (r *Request) keepTogether(t Text, v *values) Text {
	if r.Transaction != nil && t.Encoding == UCS2 && r.Trailer.AppHash == "" {
		for _, s := range [...]slot{slotMoney, slotAmount} {
			t.Body = strings.ReplaceAll(t.Body, v.text[s], strings.ReplaceAll(v.text[s], " ", "\u00a0"))
		}
	}
	return t
}

// candidates returns the texts for a request, the best first.
func (l *edition) candidates(r *Request) []candidate {
	if r.Transaction != nil {
		return l.payment
	}
	if own, ok := l.purposes[r.Purpose]; ok {
		return own
	}
	return l.other
}

// noBreaks are the spaces in amounts that GSM-7 lacks.
var noBreaks = strings.NewReplacer("\u00a0", " ", "\u202f", " ")

// fill sets what the placeholders stand for in a text of a locale.
func (r *Request) fill(v *values, locale string) {
	v.set(slotCode, r.Code.Reveal())
	v.set(slotBrand, r.Brand)
	v.set(slotHyphen, hyphen(r.Brand))
	if t := r.Transaction; t != nil {
		sum, at := t.sum(), r.place(locale)
		v.set(slotAmount, noBreaks.Replace(sum.WriteNumber(at)))
		v.set(slotMoney, noBreaks.Replace(sum.Write(at)))
		v.set(slotCurrency, t.Currency)
		v.set(slotPayee, t.Payee)
	}
	if m := int(r.ExpiresIn / time.Minute); m >= 1 && m <= maxMinutes {
		v.set(slotMinutes, strconv.Itoa(m))
	}
}

// hyphen returns what joins a brand to a noun: Finnish writes "Acme-koodi" and "Acme Bank -koodi".
func hyphen(brand string) string {
	if strings.ContainsAny(brand, " \u00a0") {
		return " -"
	}
	return "-"
}

// sum returns the amount of a payment.
func (t *Transaction) sum() money.Amount { return money.Amount{Number: t.Amount, Currency: t.Currency} }

// Money returns the amount of the payment as the text of a request has it, with no-break spaces; "" without a payment.
func (r *Request) Money() string {
	if r.Transaction == nil {
		return ""
	}
	return r.Transaction.sum().Write(r.place(Match(r.Locale, r.Country)))
}

// place returns where the amounts of a text in a locale are read.
func (r *Request) place(locale string) money.Place {
	return money.Place{Locale: Match(locale, ""), Region: region(r.Locale, r.Country, locale)}
}

// tail returns the trailer as it stands at the end of the text. The empty line before an origin is how the WICG
// draft writes it.
func (r *Request) tail() string {
	switch {
	case r.Trailer.Embedded != "":
		return "\n\n@" + r.Trailer.Origin + " #" + r.Code.Reveal() + " @" + r.Trailer.Embedded
	case r.Trailer.Origin != "":
		return "\n\n@" + r.Trailer.Origin + " #" + r.Code.Reveal()
	case r.Trailer.AppHash != "":
		return "\n" + r.Trailer.AppHash
	}
	return ""
}

// choose returns the first candidate that fits. When none does it answers the last one, which is the barest;
// for a payment, which then takes several parts anyhow, the first one with the fewest.
func (r *Request) choose(all []candidate, v *values, tail string) (c *candidate, fits bool) {
	end := costOf(tail)
	best := 0
	for i := range all {
		if all[i].uses[slotMinutes] > 0 && v.text[slotMinutes] == "" {
			continue
		}
		size := all[i].cost(v).plus(end)
		if size.onePart() && (r.Trailer.AppHash == "" || size.bytes <= maxRetrieverBytes) {
			return &all[i], true
		}
		if n := size.atLeast(); best == 0 || n < best {
			c, best = &all[i], n
		}
	}
	if r.Transaction == nil {
		c = &all[len(all)-1]
	}
	return c, false
}

// atLeast returns about how many parts a text takes; at a border it may be one more.
func (c cost) atLeast() int {
	switch {
	case c.onePart():
		return 1
	case c.ucs2:
		return (c.units + joinedUCS2 - 1) / joinedUCS2
	}
	return (c.septets + joinedGSM7 - 1) / joinedGSM7
}

// finish writes the text out and measures it.
func finish(c *candidate, v *values, tail, locale string) Text {
	var b strings.Builder
	size := c.cost(v).plus(costOf(tail))
	b.Grow(size.bytes)
	c.write(&b, v)
	b.WriteString(tail)
	t := Text{Body: b.String(), Locale: locale}
	if len(t.Body) == size.bytes && size.onePart() { // the sum is exact
		t.Parts = 1
		t.Encoding, t.Units = size.encoding()
		return t
	}
	t.Encoding, t.Parts, t.Units = Measure(t.Body)
	return t
}
