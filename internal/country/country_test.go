package country_test

import (
	"encoding/json"
	"regexp"
	"slices"
	"testing"

	"github.com/nyaruka/phonenumbers"

	"github.com/dialproof/dialproof/internal/country"
	"github.com/dialproof/dialproof/internal/message"
)

// TestEveryCountry: each has a name in each language, a calling code, and rules that compile.
func TestEveryCountry(t *testing.T) {
	t.Parallel()
	regions := phonenumbers.GetSupportedRegions()
	for _, locale := range message.Locales() {
		list := country.List(locale)
		if len(list) != len(regions) {
			t.Errorf("%s: %d countries of %d", locale, len(list), len(regions))
		}
		named := 0
		for _, c := range list {
			if c.Name != c.Code {
				named++
			}
			if !regions[c.Code] || c.Calling == "" || c.Name == "" {
				t.Errorf("%s: %+v", locale, c)
			}
		}
		if named < len(list)-2 {
			t.Errorf("%s: only %d of %d have a name", locale, named, len(list))
		}
	}
	for code := range regions {
		r, ok := country.RulesOf(code)
		if !ok || r.Calling == "" {
			t.Fatalf("%s has no rules", code)
		}
		for _, f := range slices.Concat(r.National, r.International) {
			for _, pattern := range append([]string{f.Pattern}, f.Leading...) {
				if _, err := regexp.Compile(pattern); err != nil {
					t.Errorf("%s: %v", code, err)
				}
			}
		}
		if body, _ := json.Marshal(r); len(body) > 16<<10 {
			t.Errorf("%s: the rules have %d bytes", code, len(body))
		}
	}
}

func TestUnknown(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"", "XX", "gb", "001", "../GB"} {
		if _, ok := country.RulesOf(code); ok || country.Known(code) {
			t.Errorf("%q is a country", code)
		}
	}
	for calling, want := range map[string]string{"44": "GB", "1": "US", "7": "RU", "999": "", "": "", "x": "", "800": ""} {
		if got := country.Main(calling); got != want {
			t.Errorf("%q: %q, want %q", calling, got, want)
		}
	}
}

// TestNames: the names are those that the CLDR has today, in the language and in its letters.
func TestNames(t *testing.T) {
	t.Parallel()
	for locale, want := range map[string]string{
		"en": "Türkiye", "de": "Türkei", "es-419": "Turquía", "sr": "Турска", "ja": "トルコ", "ar": "تركيا", "zh-Hant": "土耳其",
		"nn": "Türkiye",
	} {
		list := country.List(locale)
		i := slices.IndexFunc(list, func(c country.Country) bool { return c.Code == "TR" })
		if i < 0 || list[i].Name != want {
			t.Errorf("%s: %+v, want %s", locale, list[i], want)
		}
	}
}

// TestListIsShared: asking twice makes one list.
func TestListIsShared(t *testing.T) {
	t.Parallel()
	if a, b := country.List("sv"), country.List("sv"); &a[0] != &b[0] {
		t.Error("the list is made twice")
	}
}
