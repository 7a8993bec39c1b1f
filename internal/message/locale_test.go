package message

import (
	"slices"
	"testing"
)

func TestMatch(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ locale, country, want string }{
		{"de", "", "de"},
		{"de-AT", "", "de"}, {"DE_at", "", "de"}, {"en-GB", "DE", "en"}, {"es-MX", "US", "es-419"}, {"es-ES", "MX", "es"},
		{"es-GQ", "", "es"}, {"es-419", "", "es-419"}, {"es", "MX", "es"}, {"es_mx", "", "es-419"},
		{"pt", "BR", "pt"}, {"pt-BR", "", "pt-BR"}, {"pt-br", "", "pt-BR"}, {"pt-AO", "", "pt"}, {"pt-PT", "", "pt"},
		{"zh", "", "zh-Hans"}, {"zh-TW", "", "zh-Hant"}, {"zh-HK", "", "zh-Hant"}, {"zh-SG", "", "zh-Hans"},
		{"zh-CN", "", "zh-Hans"}, {"zh-AU", "", "zh-Hant"}, {"zh-Hant-HK", "", "zh-Hant"}, {"cmn", "", "zh-Hans"},
		{"iw", "", "he"}, {"in", "", "id"}, {"tl", "", "fil"}, {"mo", "", "ro"}, {"sh", "", "sr"},
		{"no", "", "nb"}, {"nn-NO", "", "nb"}, {"nb-NO", "", "nb"}, {"bs", "", "hr"}, {"be-BY", "", "ru"},
		{"sr-Latn-RS", "", "sr"}, {"sr-Cyrl", "", "sr"}, {"ms-Arab", "", "en"}, {"en-u-ca-gregory", "", "en"},
		{"", "DE", "de"}, {"", "br", "pt-BR"}, {"", "PT", "pt"}, {"", "AO", "pt"}, {"", "TW", "zh-Hant"},
		{"", "CN", "zh-Hans"},
		{"", "SN", "fr"}, {"", "EG", "ar"}, {"", "TZ", "sw"}, {"", "IN", "en"}, {"", "KZ", "ru"}, {"", "NO", "nb"},
		{"", "GB", "en"}, {"", "MX", "es-419"}, {"", "ES", "es"}, {"", "US", "en"}, {"", "ET", "am"}, {"", "IS", "en"},
		{"", "ZZ", "en"}, {"", "", "en"},
		{"is", "DK", "da"}, {"xx", "FR", "fr"}, {"not a locale", "FR", "fr"}, {"und", "FR", "fr"}, {"eu", "ES", "es"},
	} {
		if got := Match(tc.locale, tc.country); got != tc.want {
			t.Errorf("Match(%q, %q) = %q, want %q", tc.locale, tc.country, got, tc.want)
		}
	}
}

func TestLocales(t *testing.T) {
	t.Parallel()
	all := Locales()
	if !slices.IsSorted(all) || len(all) < 46 || len(all) != len(western)+len(eastern)+len(wide) {
		t.Errorf("%d locales: %v", len(all), all)
	}
	for _, tag := range all {
		if Match(tag, "US") != tag {
			t.Errorf("%s is not its own match", tag)
		}
	}
}

func BenchmarkMatch(b *testing.B) {
	for b.Loop() {
		Match("zh-TW", "")
	}
}
