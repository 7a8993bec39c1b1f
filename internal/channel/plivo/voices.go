package plivo

// voice is the name of one of Amazon Polly's voices, which speak for Plivo and understand markup.
type voice string

// voices has a voice for each locale of Dialproof's texts that Plivo can speak with pauses. A locale that is not here
// has none.
func voices() map[string]voice {
	return map[string]voice{
		"ar":      "Zeina",
		"da":      "Naja",
		"de":      "Vicki",
		"en":      "Joanna",
		"es":      "Lucia",
		"es-419":  "Mia",
		"fr":      "Celine",
		"hi":      "Aditi",
		"it":      "Carla",
		"ja":      "Mizuki",
		"ko":      "Seoyeon",
		"nb":      "Liv",
		"nl":      "Lotte",
		"pl":      "Ewa",
		"pt":      "Ines",
		"pt-BR":   "Vitoria",
		"ro":      "Carmen",
		"ru":      "Tatyana",
		"sv":      "Astrid",
		"tr":      "Filiz",
		"zh-Hans": "Zhiyu",
	}
}

// accents are the voices that people of some countries understand better.
func accents() map[string]voice {
	return map[string]voice{
		"en-GB": "Amy", "en-IE": "Amy", "en-AU": "Nicole", "en-NZ": "Nicole", "en-IN": "Raveena",
		"es-MX": "Mia", "es-US": "Penelope", "es-419-US": "Penelope", "es-419-PR": "Penelope", "fr-CA": "Chantal",
	}
}

// Speaks implements channel.Linguist. Its voices read texts, payments among them.
func (*sender) Speaks(locale string, _ bool) bool {
	_, ok := voices()[locale]
	return ok
}

// voiceFor returns the voice for a locale in a country.
func voiceFor(locale, country string) (voice, bool) {
	if v, ok := accents()[locale+"-"+country]; ok {
		return v, true
	}
	v, ok := voices()[locale]
	return v, ok
}
