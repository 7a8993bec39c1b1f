package phone

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
)

func FuzzParse(f *testing.F) {
	for _, seed := range []struct{ s, region string }{
		{"+447700900123", ""}, {"+44 (0)7700 900123", "GB"}, {"07700 900123", "GB"}, {"＋４４７７００９００１２３", ""},
		{"+٤٤٧٧٠٠٩٠٠١٢٣", ""}, {"+390669881234", ""}, {"+2901234", ""}, {"999", "GB"}, {"+\xff", ""},
		{"tel:+54-11-15-2345-6789", ""}, {"011 15 2345-6789", "AR"}, {"+52 1 55 1234 5678", "MX"},
		{"0044 7700 900123", "FR"}, {"+1 (201) 555-0123;ext=1", "US"}, {"\u202a+8613812345678\u202c", ""},
		{"179110 13812345678", "CN"}, {"90 15 11 96123 4567", "BR"}, {"+888 12345678901", ""},
	} {
		f.Add(seed.s, seed.region)
	}
	form := regexp.MustCompile(`^\+[1-9]\d{4,14}$`)
	f.Fuzz(func(t *testing.T, s, region string) {
		n, err := Parse(s, region)
		if err != nil {
			e, ok := errors.AsType[*Error](err)
			if !ok || e.Code == "" || !n.IsZero() {
				t.Fatalf("%q in %q: error %v, number %v", s, region, err, n)
			}
			if strings.ContainsAny(strings.ReplaceAll(e.Detail, "ISO 3166-1 alpha-2", ""), "0123456789") {
				t.Fatalf("%q in %q: the error quotes digits: %v", s, region, err)
			}
			return
		}
		whole := n.E164()
		if !form.MatchString(whole) {
			t.Fatalf("%q in %q: got %s", s, region, whole)
		}
		for _, way := range []string{whole, n.Key()} {
			again, err := Parse(way, "")
			if err != nil || again.Key() != n.Key() || way == whole && again != n {
				t.Fatalf("%q in %q: %s reads as %s, %v", s, region, way, again.E164(), err)
			}
		}
		if again, err := FromE164(whole); err != nil || again != n {
			t.Fatalf("%q in %q: FromE164(%s) answers %s, %v", s, region, whole, again.E164(), err)
		}
		want := fmt.Sprintf("+%d", n.CallingCode())
		want += strings.Repeat("•", max(0, len(whole)-len(want)-3)) + whole[len(whole)-3:]
		if n.String() != want || len(n.Prefix()) != len(whole)-4 {
			t.Fatalf("%q in %q: %s prints as %s, prefix %s", s, region, whole, n, n.Prefix())
		}
	})
}
