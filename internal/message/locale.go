package message

import (
	"errors"
	"maps"
	"strings"
	"sync"

	"golang.org/x/text/language"
)

// fallbackLocale is the language when nothing else is known.
const fallbackLocale = "en"

// near are shipped languages that readers of another language read with ease.
var near = map[string]string{
	"no": "nb", "nn": "nb", "bs": "hr", "cnr": "sr", "be": "ru", "prs": "fa",
}

// official are countries where the language that most people speak at home is not the one in which they expect
// a service's SMS, and countries whose language is not shipped but that share another.
var official = map[string]string{
	"IN": "en", "PK": "en", "PH": "en", "KE": "en", "UG": "en", "RW": "en",
	"BY": "ru", "KZ": "ru", "KG": "ru", "TJ": "ru", "BA": "hr", "ME": "sr", "XK": "sr",
}

// Match returns the shipped locale for a wish and the country of the number: the tag itself, else its parents
// (BCP 47 lookup with CLDR parents, zh-TW → zh-Hant), else a language near to it, else the language of the
// country, else "en". It takes any text; nonsense is no wish.
func Match(locale, country string) string {
	if tag := matchPlain(locale); tag != "" {
		return tag
	}
	if tag := matchParsed(locale); tag != "" {
		return tag
	}
	if len(country) == 2 {
		if tag, ok := countries()[strings.ToUpper(country)]; ok {
			return tag
		}
	}
	return fallbackLocale
}

// matchPlain matches without parsing what applications mostly send: a shipped tag, and a language with a region
// as in "de-AT". It answers "" for none.
func matchPlain(locale string) string {
	all := editions()
	if _, ok := all[locale]; ok {
		return locale
	}
	i := strings.LastIndexByte(locale, '-')
	if i < 0 || len(locale)-i-1 != 2 {
		return ""
	}
	if a, b := locale[i+1], locale[i+2]; a < 'A' || a > 'Z' || b < 'A' || b > 'Z' { // pt-br is pt-BR and not pt
		return ""
	}
	if locale[:i] == "es" {
		return spanish(locale[i+1:])
	}
	if _, ok := all[locale[:i]]; ok {
		return locale[:i]
	}
	if locale[:i] == "zh" {
		return chinese(locale[i+1:])
	}
	return ""
}

// spanish returns the locale of a region: that of the Americas, for those of which CLDR says so, else that of Spain.
func spanish(region string) string {
	switch region {
	case "419",
		"AR",
		"BO",
		"BR",
		"BZ",
		"CL",
		"CO",
		"CR",
		"CU",
		"DO",
		"EC",
		"GT",
		"HN",
		"MX",
		"NI",
		"PA",
		"PE",
		"PR",
		"PY",
		"SV",
		"US",
		"UY",
		"VE":
		return "es-419"
	}
	return "es"
}

// chinese returns the locale of the regions where Chinese is official, "" for others (CLDR likely subtags).
func chinese(region string) string {
	switch region {
	case "TW", "HK", "MO":
		return "zh-Hant"
	case "CN", "SG":
		return "zh-Hans"
	}
	return ""
}

// matchParsed matches what needs BCP 47 knowledge: deprecated tags, scripts, letter case. It answers "" for
// none.
func matchParsed(locale string) string {
	if locale == "" {
		return ""
	}
	t, err := language.All.Parse(locale)
	if err != nil || t == language.Und {
		return ""
	}
	all := editions()
	for p := t; p != language.Und; p = p.Parent() {
		if _, ok := all[p.String()]; ok {
			return p.String()
		}
	}
	base, _ := t.Base()
	script, _ := t.Script()
	name := base.String()
	if to, ok := near[name]; ok {
		return to
	}
	if _, ok := all[name+"-"+script.String()]; ok {
		return name + "-" + script.String()
	}
	// Serbian readers know both scripts; for others a text in another script is no match.
	usual, _ := language.Make(name).Script()
	if _, ok := all[name]; ok && (usual == script || name == "sr") {
		return name
	}
	return ""
}

// countries is the shipped language of each ISO 3166 country that has one (CLDR likely subtags), made at first
// use and never changed.
var countries = sync.OnceValue(func() map[string]string {
	out := make(map[string]string)
	for a := 'A'; a <= 'Z'; a++ {
		for b := 'A'; b <= 'Z'; b++ {
			country := string(a) + string(b)
			if _, err := language.ParseRegion(country); err != nil {
				continue
			}
			t := language.Make("und-" + country)
			base, _ := t.Base()
			script, _ := t.Script()
			if tag := matchParsed(base.String() + "-" + script.String() + "-" + country); tag != "" {
				out[country] = tag
			}
		}
	}
	maps.Copy(out, official)
	return out
})

// region returns the country by whose custom amounts are written in a text of a locale: that of the tag that was asked
// for, or else the number's, if the language is spoken there. "" means that the language's own custom holds.
func region(wish, country, locale string) string {
	if t, err := language.All.Parse(wish); err == nil {
		if r, confidence := t.Region(); confidence == language.Exact && r.IsCountry() {
			return r.String()
		}
	}
	if len(country) != 2 {
		return ""
	}
	country = strings.ToUpper(country)
	spoken, _, _ := strings.Cut(countries()[country], "-")
	if base, _, _ := strings.Cut(locale, "-"); base == spoken && spoken != "zh" {
		return country
	}
	return ""
}

// wellFormed reports whether a locale has the form of a BCP 47 tag; it need not be known. "" is fine.
func wellFormed(locale string) bool {
	if locale == "" || matchPlain(locale) != "" {
		return true
	}
	if len(locale) > 35 { // RFC 5646 §4.4.1
		return false
	}
	_, err := language.Parse(locale)
	_, unknown := errors.AsType[language.ValueError](err)
	return err == nil || unknown
}
