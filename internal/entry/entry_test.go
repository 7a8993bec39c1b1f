package entry_test

import (
	"strings"
	"testing"
	"unicode"

	"github.com/dialproof/dialproof/internal/entry"
)

// TestEveryDigit: each decimal digit of Unicode is read as its own value, which its name and its neighbours give.
func TestEveryDigit(t *testing.T) {
	t.Parallel()
	zeros := 0
	for _, r16 := range unicode.Nd.R16 {
		zeros += tens(t, rune(r16.Lo), rune(r16.Hi))
	}
	for _, r32 := range unicode.Nd.R32 {
		zeros += tens(t, rune(r32.Lo), rune(r32.Hi))
	}
	if zeros < 60 {
		t.Errorf("%d scripts", zeros)
	}
	for _, r := range "aO٫²①½Ⅷ一〇" {
		if d, ok := entry.Digit(r); ok {
			t.Errorf("%q is read as %c", r, d)
		}
	}
}

// tens reads a run of digits, which is whole tens.
func tens(t *testing.T, from, to rune) (zeros int) {
	t.Helper()
	for r := from; r <= to; r++ {
		want := '0' + byte(r-from)%10
		if got, ok := entry.Digit(r); !ok || got != want {
			t.Errorf("%U is read as %c, %v, want %c", r, got, ok, want)
		}
		if want == '0' {
			zeros++
		}
	}
	return zeros
}

func TestDigits(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"123456": "123456", " 123 456 ": "123456", "123-456": "123456", "123–456": "123456", "12 34 56": "123456",
		"123456\n": "123456", "\t123456\r\n": "123456", "123\n456": "123456", "1 2 3 4 5 6": "123456",
		"123\u2009456": "123456", "123\u202f456": "123456", "\ufeff123456": "123456", "\u200e123456\u200e": "123456",
		"\u2066123456\u2069": "123456", "1\u200b23456": "123456", "123\u00ad456": "123456", "123‑456": "123456",
		"123—456": "123456", "123−456": "123456", "123~456": "123456", "123·456": "123456", "(123) 456": "123456",
		"১২৩৪৫৬": "123456", "๑๒๓๔๕๖": "123456", "໑໒໓໔໕໖": "123456", "௧௨௩௪௫௬": "123456", "౧౨౩౪౫౬": "123456",
		"೧೨೩೪೫೬": "123456", "൧൨൩൪൫൬": "123456", "༡༢༣༤༥༦": "123456", "१२३४५६": "123456", "۱۲۳۴۵۶": "123456",
		"١٢٣٤٥٦": "123456", "１２３４５６": "123456", "၁၂၃၄၅၆": "123456", "១២៣៤៥៦": "123456", "𝟏𝟐𝟑𝟒𝟓𝟔": "123456",
		"123456 is your Shop code": "123456", "G-123456": "123456", "G-123456 is your code": "123456",
		"Your code: 123456.":                            "123456",
		"123 456 is your Shop code":                     "123456",
		"123-456 — Shop":                                "123456",
		"123456 is your code. It expires in 10 minutes": "123456",
		"Shop2go: 123456":                               "123456",
		"<#> 123456 is your code\nFA+9qCX9VSu":          "123456",
		"@shop.example #123456":                         "123456",
		"رمزك ١٢٣٤٥٦":                                   "123456",
		"123456 (again: 123456)":                        "123456",
		"":                                              "", " ": "", "12345": "", "1234567": "", "12345O": "", "abcdef": "",
		"123456 or 654321": "",
		"12:34:56":         "", "l23456": "", "²23456": "", "12345 is your code, 7 minutes": "", "一二三四五六": "",
	} {
		got, ok := entry.Digits(text, 6)
		if got != want && ok || ok != (want != "") {
			t.Errorf("%q: %q, %v, want %q", text, got, ok, want)
		}
	}
	if got, ok := entry.Digits("1234 5678 is your code", 8); !ok || got != "12345678" {
		t.Errorf("eight digits in two: %q, %v", got, ok)
	}
}

func TestLetters(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"AC3DEF": "AC3DEF", "ac3def": "AC3DEF", "AC3-DEF": "AC3DEF", " ac3 def\n": "AC3DEF", "ａｃ３ＤＥＦ": "AC3DEF",
		"AC٣DEF": "AC3DEF", "\u200fAC3DEF": "AC3DEF", "": "", "AC3DE": "", "AC3DEFG": "", "АС3DEF": "", "AC3DE!": "",
		"AC3DEF is your code": "",
	} {
		got, ok := entry.Letters(text, 6)
		if got != want && ok || ok != (want != "") {
			t.Errorf("%q: %q, %v, want %q", text, got, ok, want)
		}
	}
}

func TestTrim(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"a b", "\n\ta b\r\n", "\u2028a b\u00a0", "\ufeffa b\u200b", "\u202aa b\u202c"} {
		if got := entry.Trim(s); got != "a b" {
			t.Errorf("%q: %q", s, got)
		}
	}
}

// FuzzDigits: a code that is read has its length, and is in the text as digits in this order.
func FuzzDigits(f *testing.F) {
	for _, s := range []string{"123456", "G-123456", "১২৩৪৫৬ x", "12 34 56 78", "\xff123456"} {
		f.Add(s, 6)
	}
	f.Fuzz(func(t *testing.T, text string, length int) {
		length = 4 + (length%7+7)%7
		code, ok := entry.Digits(text, length)
		if !ok {
			return
		}
		var all strings.Builder
		for _, r := range text {
			if d, ok := entry.Digit(r); ok {
				all.WriteByte(d)
			}
		}
		if len(code) != length || !strings.Contains(all.String(), code) {
			t.Errorf("%q of length %d: %q", text, length, code)
		}
	})
}
