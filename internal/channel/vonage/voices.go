package vonage

// voice is one of Vonage's voices.
type voice struct {
	language string
	style    int
	// ssml reports whether the voice understands markup, and so pauses of a given length.
	ssml bool
}

// voices has a voice for each locale of Dialproof's texts that Vonage can speak, markup before none (Vonage's
// text-to-speech guide of June 2022). A locale that is not here has none.
func voices() map[string]voice {
	return map[string]voice{
		"af":      {"af-ZA", 0, true},
		"ar":      {"ar", 0, true},
		"bg":      {"bg-BG", 0, true},
		"bn":      {"bn-IN", 0, true},
		"ca":      {"ca-ES", 2, true},
		"cs":      {"cs-CZ", 0, true},
		"da":      {"da-DK", 0, true},
		"de":      {"de-DE", 0, true},
		"el":      {"el-GR", 0, true},
		"en":      {"en-US", 0, true},
		"es":      {"es-ES", 0, true},
		"es-419":  {"es-MX", 0, true},
		"fi":      {"fi-FI", 0, true},
		"fil":     {"fil-PH", 0, true},
		"fr":      {"fr-FR", 0, true},
		"he":      {"he-IL", 0, false},
		"hi":      {"hi-IN", 0, true},
		"hu":      {"hu-HU", 0, true},
		"id":      {"id-ID", 0, true},
		"it":      {"it-IT", 0, true},
		"ja":      {"ja-JP", 0, true},
		"ko":      {"ko-KR", 0, true},
		"lv":      {"lv-LV", 0, true},
		"ms":      {"ms-MY", 0, true},
		"nb":      {"nb-NO", 0, true},
		"nl":      {"nl-NL", 0, true},
		"pl":      {"pl-PL", 0, true},
		"pt":      {"pt-PT", 0, true},
		"pt-BR":   {"pt-BR", 0, true},
		"ro":      {"ro-RO", 0, true},
		"ru":      {"ru-RU", 0, true},
		"sk":      {"sk-SK", 0, true},
		"sr":      {"sr-RS", 0, true},
		"sv":      {"sv-SE", 0, true},
		"ta":      {"ta-IN", 0, true},
		"te":      {"te-IN", 0, true},
		"th":      {"th-TH", 1, true},
		"tr":      {"tr-TR", 0, true},
		"uk":      {"uk-UA", 0, true},
		"vi":      {"vi-VN", 0, true},
		"zh-Hans": {"cmn-CN", 0, true},
		"zh-Hant": {"cmn-TW", 1, true},
	}
}

// accents are the voices that people of some countries understand better.
func accents() map[string]string {
	return map[string]string{
		"en-GB": "en-GB", "en-IE": "en-GB", "en-AU": "en-AU", "en-NZ": "en-AU", "en-IN": "en-IN",
		"es-MX": "es-MX", "es-US": "es-US", "es-419-US": "es-US", "es-419-PR": "es-US", "fr-CA": "fr-CA",
	}
}

// Speaks implements channel.Linguist. Its voices read texts, payments among them.
func (*sender) Speaks(locale string, _ bool) bool {
	_, ok := voices()[locale]
	return ok
}

// voiceFor returns the voice for a locale in a country.
func voiceFor(locale, country string) (voice, bool) {
	v, ok := voices()[locale]
	if accent, better := accents()[locale+"-"+country]; better {
		v.language = accent
	}
	return v, ok
}
