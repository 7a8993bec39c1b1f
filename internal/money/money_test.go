package money

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// spaced writes no-break spaces so that they can be seen.
var spaced = strings.NewReplacer("\u00a0", "_", "\u202f", "~")

func TestWrite(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ number, currency, locale, region, want string }{
		{"1234.5", "EUR", "en", "", "EUR_1,234.50"},
		{"1234.5", "EUR", "de", "", "1.234,50_EUR"},
		{"5", "TND", "fr", "", "5,000_TND"},
		{"1234567.89", "EUR", "fr", "", "1~234~567,89_EUR"},
		{"1234.5", "EUR", "fr", "CH", "1'234.50_EUR"},
		{"1234.5", "CHF", "de", "CH", "CHF_1'234.50"},
		{"1234.5", "EUR", "es", "", "1234,50_EUR"},
		{"12345.5", "EUR", "es", "", "12.345,50_EUR"},
		{"1234.5", "MXN", "es-419", "MX", "MXN_1,234.50"},
		{"1234.5", "MXN", "es", "MX", "MXN_1,234.50"},
		{"1234.5", "ARS", "es-419", "AR", "ARS_1.234,50"},
		{"1234.5", "BRL", "pt", "BR", "BRL_1.234,50"},
		{"1234567.5", "INR", "en", "IN", "INR_12,34,567.50"},
		{"1234567", "INR", "hi", "", "INR_12,34,567.00"},
		{"1234", "PLN", "pl", "", "1234,00_PLN"},
		{"12345", "PLN", "pl", "", "12_345,00_PLN"},
		{"1234", "RSD", "sr", "", "1.234,00_RSD"},
		{"1500", "JPY", "ja", "", "JPY_1,500"},
		{"1500.00", "JPY", "ja", "", "JPY_1,500"},
		{"1500.50", "JPY", "ja", "", "JPY_1,500.5"}, // what is to be paid is never changed
		{"0.5", "KWD", "ar", "", "0.500_KWD"},
		{"0.5", "KWD", "ar", "MA", "0,500_KWD"},
		{"007", "EUR", "en", "", "EUR_7.00"},
		{"0", "EUR", "en", "", "EUR_0.00"},
		{"999999999999.999", "EUR", "en", "", "EUR_999,999,999,999.999"},
		{"1 234,50", "EUR", "de", "", "1 234,50_EUR"}, // no plain number: as it is
		{"1.", "EUR", "de", "", "1._EUR"},
		{"", "EUR", "de", "", "_EUR"},
		{"5", "EUR", "xx", "ZZ", "EUR_5.00"},
	} {
		a := Amount{c.number, c.currency}
		if got := spaced.Replace(a.Write(Place{c.locale, c.region})); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

func TestSay(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ number, currency, locale, want string }{
		{"1", "EUR", "en", "1 euro"},
		{"1.00", "EUR", "en", "1 euro"},
		{"39.9", "EUR", "en", "39.90 euros"},
		{"1234567.5", "EUR", "de", "1234567,50 Euro"},
		{"1", "JPY", "de", "1 Japanischer Yen"},
		{"5.5", "KWD", "en", "5.500 Kuwaiti dinars"},
		{"1", "PLN", "pl", "1 złoty polski"},
		{"3", "PLN", "pl", "3 złote polskie"},
		{"5", "PLN", "pl", "5 złotych polskich"},
		{"5.5", "PLN", "pl", "5,50 złotego polskiego"},
		{"21", "RUB", "ru", "21 российский рубль"},
		{"20", "RON", "ro", "20 de lei românești"},
		{"3", "RON", "ro", "3 lei românești"},
		{"1500", "JPY", "ja", "1500円"},
		{"5", "XXA", "fr", "5 XXA"},
		{"1000000000001", "RUB", "ru", "1000000000001 российский рубль"},
		{"x", "EUR", "en", "x EUR"},
	} {
		a := Amount{c.number, c.currency}
		if got := a.Say(Place{Locale: c.locale}); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

// TestNothingIsLost: in every place, what is written has the digits of the amount, in their order.
func TestNothingIsLost(t *testing.T) {
	t.Parallel()
	only := func(s string) string {
		return strings.Map(func(r rune) rune {
			if r < '0' || r > '9' {
				return -1
			}
			return r
		}, s)
	}
	rapid.Check(t, func(t *rapid.T) {
		a := Amount{
			rapid.StringMatching(`[1-9][0-9]{0,11}(\.[0-9]{1,3})?`).Draw(t, "number"),
			rapid.SampledFrom([]string{"EUR", "JPY", "KWD", "CLF"}).Draw(t, "currency"),
		}
		for tag, f := range formats {
			got := only(a.write(f))
			want := only(a.Number)
			if trimmed := strings.TrimRight(want, "0"); !strings.HasPrefix(got, trimmed) ||
				strings.Trim(got[len(trimmed):], "0") != "" {
				t.Fatalf("%s: %+v is written %q", tag, a, a.write(f))
			}
		}
	})
}

// TestData: every place can be written, and every language has names for the currencies of the world.
func TestData(t *testing.T) {
	t.Parallel()
	if !strings.Contains(names, "CLDR "+Version+".") {
		t.Error("names.txt and formats.go are of different versions")
	}
	for tag, f := range formats {
		if f.decimal == "" || f.decimal == f.group || f.primary != 3 || f.secondary < 2 || f.least < 1 || f.space == "" {
			t.Errorf("%s: %+v", tag, f)
		}
	}
	for section := range strings.SplitSeq(names, "\n=") {
		tag, lines, _ := strings.Cut(section, "\n")
		if strings.HasPrefix(tag, "#") {
			continue
		}
		if _, ok := formats[tag]; !ok {
			t.Errorf("%s has names and no format", tag)
		}
		if n := strings.Count(lines, "\n"); n < 140 || !strings.HasPrefix(lines, "*\t") {
			t.Errorf("%s has %d lines, beginning %.20q", tag, n, lines)
		}
	}
}

func BenchmarkWrite(b *testing.B) {
	for b.Loop() {
		Amount{"1234567.5", "EUR"}.Write(Place{Locale: "de"})
	}
}
