package web

import (
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/dialproof/dialproof/internal/country"
	"github.com/dialproof/dialproof/internal/message"
)

// TestWords holds every language against English: the same texts, the same placeholders, no text much longer, and none
// left over.
func TestWords(t *testing.T) {
	t.Parallel()
	placeholders := regexp.MustCompile(`\{[a-z]+\}`)
	sorted := func(s string) []string { out := placeholders.FindAllString(s, -1); slices.Sort(out); return out }
	english := wording("en")
	files, err := filepath.Glob("page/words/*.txt")
	if err != nil || len(files) != len(message.Locales()) {
		t.Errorf("%d files for %d languages, %v", len(files), len(message.Locales()), err)
	}
	same := 0
	for _, locale := range message.Locales() {
		text, err := os.ReadFile("page/words/" + locale + ".txt")
		if err != nil {
			t.Error(err)
			continue
		}
		w, err := parseWords(text)
		if err != nil {
			t.Errorf("%s: %v", locale, err)
			continue
		}
		for name := range w {
			if english[name] == "" {
				t.Errorf("%s has the text %s, English none", locale, name)
			}
		}
		for name, en := range english {
			got := w[name]
			if name == "incorrect_one" && got == "" { // where one is said like several
				continue
			}
			if !slices.Equal(sorted(got), sorted(en)) {
				t.Errorf("%s: %s has %v, English %v: %q", locale, name, sorted(got), sorted(en), got)
			}
			if n, most := utf8.RuneCountInString(got), 2*utf8.RuneCountInString(en)+12; n > most || n < 1 {
				t.Errorf("%s: %s has %d characters, at most %d fit: %q", locale, name, n, most, got)
			}
			if strings.ContainsAny(got, "<>\u200e\u200f") || !utf8.ValidString(got) {
				t.Errorf("%s: %s has marks that the page sets itself: %q", locale, name, got)
			}
			if locale != "en" && got == en && len(en) > 10 {
				same++
				t.Logf("%s: %s is as in English: %q", locale, name, got)
			}
		}
	}
	if same > 3 {
		t.Errorf("%d texts are as in English", same)
	}
}

// TestTemplateKnowsItsWords: no page asks for a text that is not there.
func TestTemplateKnowsItsWords(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("page/page.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`\.T "([a-z_]+)"`).FindAllStringSubmatch(string(page), -1) {
		if wording("en")[m[1]] == "" {
			t.Errorf("the page asks for %q", m[1])
		}
	}
}

// TestDirections: who writes from right to left gets a page that does.
func TestDirections(t *testing.T) {
	t.Parallel()
	arabicOrHebrew := regexp.MustCompile(`[\p{Arabic}\p{Hebrew}]`)
	for _, locale := range message.Locales() {
		if rtl := arabicOrHebrew.MatchString(wording(locale)["title_code"]); rtl != (direction(locale) == "rtl") {
			t.Errorf("%s is %s", locale, direction(locale))
		}
	}
}

func TestClientIP(t *testing.T) {
	t.Parallel()
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}
	for _, c := range []struct {
		name, remote string
		forwarded    []string
		want         string
	}{
		{"no proxy", "203.0.113.7:4000", nil, "203.0.113.7"},
		{"a stranger's header", "203.0.113.7:4000", []string{"198.51.100.1"}, "203.0.113.7"},
		{"our proxy", "10.1.1.1:4000", []string{"198.51.100.1"}, "198.51.100.1"},
		{"our proxy, a forged beginning", "10.1.1.1:4000", []string{"1.1.1.1, 198.51.100.1"}, "198.51.100.1"},
		{"two of our proxies", "10.1.1.1:4000", []string{"198.51.100.1, 10.2.2.2"}, "198.51.100.1"},
		{"two headers", "10.1.1.1:4000", []string{"9.9.9.9", "198.51.100.1"}, "198.51.100.1"},
		{"nonsense", "10.1.1.1:4000", []string{"unknown"}, "10.1.1.1"},
		{"only proxies", "10.1.1.1:4000", []string{"10.9.9.9"}, "10.9.9.9"},
		{"mapped", "[::ffff:10.1.1.1]:4000", []string{"::ffff:198.51.100.1"}, "198.51.100.1"},
		{"v6", "[2001:db8::1]:4000", []string{"2001:db9::7"}, "2001:db9::7"},
		{"a port in it", "10.1.1.1:4000", []string{"198.51.100.1:80"}, "10.1.1.1"},
		{"no address", "@", nil, ""},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = c.remote
		r.Header["X-Forwarded-For"] = c.forwarded
		if got := ClientIP(r, trusted); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestColours: whatever colour an application has, what stands on it and what is written in it can be read.
func TestColours(t *testing.T) {
	t.Parallel()
	for n := range 512 {
		accent := string([]byte{hex(n >> 6), hex(n >> 6), hex(n >> 3 & 7), hex(n >> 3 & 7), hex(n & 7), hex(n & 7)})
		for _, card := range []string{cardLight, cardDark} {
			if link := apart(accent, card, 4.5); contrast(link, card) < 4.5 || contrast(over(accent), accent) < 4.5 {
				t.Errorf("%s on %s: link %s, text on it %s", accent, card, link, over(accent))
			}
		}
	}
	if got := apart("0b6e4f", cardLight, 4.5); got != "0b6e4f" {
		t.Errorf("a colour that can be read becomes %s", got)
	}
}

// hex spreads 0 to 7 over the hexadecimal digits.
func hex(n int) byte { return "02468ace"[n] }

func TestLanguageAndCountry(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ wished, usual, accepted, region, locale, country string }{
		{"de-AT", "fr", "en-GB", "", "de", "AT"},
		{"de", "", "en-GB", "", "de", "DE"},
		{"de", "", "en-GB,de-CH", "", "de", "CH"},
		{"es-419", "", "es-MX", "", "es-419", "MX"},
		{"pt-BR", "", "pt-PT", "", "pt-BR", "BR"},
		{"de", "", "en-GB", "FR", "de", "FR"},
		{"xx", "", "en-GB", "", "en", "GB"},
		{"", "fr", "en-GB", "", "fr", "GB"},
		{"", "", "pt-BR,pt;q=0.9", "", "pt-BR", "BR"},
		{"", "", "xx,ar-EG;q=0.5", "", "ar", "EG"},
		{"", "", "sv", "", "sv", "SE"},
		{"", "", "", "JP", "ja", "JP"},
		{"", "", "", "", "en", "US"},
		{"", "", "zh-TW", "", "zh-Hant", "TW"},
		{"", "", strings.Repeat("de,", 200), "", "en", "US"},
		{"", "", "';--", "", "en", "US"},
	} {
		locale := chooseLocale(c.wished, c.usual, c.accepted, c.region)
		if got := chooseCountry("", c.region, c.wished, c.accepted, locale); locale != c.locale || got != c.country {
			t.Errorf("%+v: %s, %s", c, locale, got)
		}
	}
	if chooseCountry("FR", "GB", "", "", "en") != "FR" || chooseCountry("<b>", "", "", "", "en") != "US" {
		t.Error("the country that was typed stays, if it is one")
	}
	if list := country.List("de"); len(list) < 240 || list[0].Name != "Afghanistan" {
		t.Errorf("%d countries, the first is %v", len(list), list[0])
	}
}

// TestOneWidget: the package for bundlers has the file that the program serves.
func TestOneWidget(t *testing.T) {
	t.Parallel()
	served, err := os.ReadFile("page/widget.js")
	if err != nil {
		t.Fatal(err)
	}
	if packed, err := os.ReadFile("../../sdk/widget/dialproof-verify.js"); err != nil || string(packed) != string(served) {
		t.Errorf("copy internal/web/page/widget.js to sdk/widget/dialproof-verify.js (%v)", err)
	}
}
