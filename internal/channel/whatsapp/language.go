package whatsapp

import (
	"slices"
	"strings"
)

// choose returns the template and the language for a person: the language as spoken in the country, the language
// itself, the same language of another country, and at last the first one of the settings.
func (c *Config) choose(locale, country string) (template, language string) {
	language = c.Languages[0]
	for _, want := range wishes(locale, country) {
		if slices.Contains(c.Languages, want) {
			language = want
			return c.template(language), language
		}
	}
	base := baseOf(locale)
	if base == "zh" { // the two scripts are not read by the same people
		return c.template(language), language
	}
	for _, l := range c.Languages {
		if head, _, _ := strings.Cut(l, "_"); head == base {
			return c.template(l), l
		}
	}
	return c.template(language), language
}

func (c *Config) template(language string) string {
	if t := c.Templates[language]; t != "" {
		return t
	}
	return c.Template
}

// wishes returns, the best first, how Meta may write a locale of Dialproof's texts.
func wishes(locale, country string) []string {
	switch locale {
	case "zh-Hans":
		return []string{"zh_CN"}
	case "zh-Hant":
		if country == "HK" || country == "MO" {
			return []string{"zh_HK", "zh_TW"}
		}
		return []string{"zh_TW", "zh_HK"}
	case "pt":
		return []string{"pt_PT", "pt"}
	}
	base := baseOf(locale)
	_, region, both := strings.Cut(locale, "-")
	var out []string
	if both {
		out = append(out, base+"_"+region)
	}
	return append(out, base+"_"+country, base)
}

// baseOf returns Meta's word for the language of a locale.
func baseOf(locale string) string {
	base, _, _ := strings.Cut(locale, "-")
	return base
}
