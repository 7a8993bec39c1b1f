package message

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestMeasure(t *testing.T) {
	t.Parallel()
	x := func(s string, n int) string { return strings.Repeat(s, n) }
	for _, tc := range []struct {
		name, body   string
		e            Encoding
		parts, units int
	}{
		{"empty", "", GSM7, 1, 0},
		{"whole alphabet", basicGSM7, GSM7, 1, 127},
		{"whole extension", extensionGSM7, GSM7, 1, 20},
		{"full part", x("a", 160), GSM7, 1, 160},
		{"one over", x("a", 161), GSM7, 2, 161},
		{"two full", x("a", 306), GSM7, 2, 306},
		{"three", x("a", 307), GSM7, 3, 307},
		{"euro fits", x("a", 158) + "€", GSM7, 1, 160},
		{"euro does not", x("a", 159) + "€", GSM7, 2, 161},
		{"escape pair at the border", x("a", 152) + "€" + x("a", 152), GSM7, 3, 306},
		{"escape pair ends the part", x("a", 151) + "€" + x("a", 153), GSM7, 2, 306},
		{"cedilla", "ç", UCS2, 1, 1},
		{"capital cedilla", "Ç", GSM7, 1, 1},
		{"backtick", "`", UCS2, 1, 1},
		{"full UCS-2", x("я", 70), UCS2, 1, 70},
		{"over UCS-2", x("я", 71), UCS2, 2, 71},
		{"emoji fits", x("я", 68) + "😀", UCS2, 1, 70},
		{"surrogate pair at the border", x("я", 66) + "😀" + x("я", 66), UCS2, 3, 134},
		{"surrogate pair ends the part", x("я", 65) + "😀" + x("я", 67), UCS2, 2, 134},
		{"not UTF-8", "\xff", UCS2, 1, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if e, parts, units := Measure(tc.body); e != tc.e || parts != tc.parts || units != tc.units {
				t.Errorf("got %v %d %d, want %v %d %d", e, parts, units, tc.e, tc.parts, tc.units)
			}
			holdsSplit(t, tc.body)
		})
	}
}

// holdsSplit checks that the parts of a body are the body and that each one fits.
func holdsSplit(t interface{ Errorf(string, ...any) }, body string) {
	e, parts, units := Measure(body)
	got := Split(body)
	if strings.Join(got, "") != body || len(got) != parts {
		t.Errorf("%q: %d parts of %d, joined %q", body, len(got), parts, strings.Join(got, ""))
	}
	room, single := joinedGSM7, singleGSM7
	if e == UCS2 {
		room, single = joinedUCS2, singleUCS2
	}
	if len(got) == 1 {
		room = single
	}
	sum := 0
	for _, p := range got {
		c := costOf(p)
		n := c.units
		if e == GSM7 {
			n = c.septets
		}
		if sum += n; n > room || utf8.ValidString(body) && !utf8.ValidString(p) {
			t.Errorf("%q: part %q has %d units", body, p, n)
		}
	}
	if sum != units {
		t.Errorf("%q: %d units in parts, %d in all", body, sum, units)
	}
}

func TestSplitProperty(t *testing.T) {
	t.Parallel()
	alphabet := []rune(basicGSM7 + extensionGSM7)
	rapid.Check(t, func(t *rapid.T) {
		plain := rapid.StringOfN(rapid.SampledFrom(alphabet), 0, 500, -1).Draw(t, "gsm7")
		holdsSplit(t, plain)
		holdsSplit(t, rapid.StringOfN(rapid.RuneFrom([]rune("aя€😀")), 0, 300, -1).Draw(t, "ucs2"))
	})
}

func FuzzMeasure(f *testing.F) {
	f.Add("hello")
	f.Add(strings.Repeat("€", 90))
	f.Add(strings.Repeat("😀", 36))
	f.Fuzz(func(t *testing.T, body string) { holdsSplit(t, body) })
}

func BenchmarkMeasure(b *testing.B) {
	body := strings.Repeat("123456 is your Acme code. ", 7)
	for b.Loop() {
		Measure(body)
	}
}
