package twilio

import (
	"github.com/dialproof/dialproof/internal/channel"
	text "github.com/dialproof/dialproof/internal/message"
)

// voices has a voice for each locale of Dialproof's texts that Twilio can speak: a standard one of Amazon Polly where
// there is one, else one of Google. A locale that is not here has none, unless the settings name one.
func voices() map[string]string {
	return map[string]string{
		"af":      "Google.af-ZA-Standard-A",
		"ar":      "Polly.Zeina",
		"bg":      "Google.bg-BG-Standard-A",
		"bn":      "Google.bn-IN-Standard-A",
		"ca":      "Google.ca-ES-Standard-A",
		"cs":      "Google.cs-CZ-Standard-A",
		"da":      "Polly.Naja",
		"de":      "Polly.Marlene",
		"el":      "Google.el-GR-Standard-A",
		"en":      "Polly.Joanna",
		"es":      "Polly.Lucia",
		"es-419":  "Polly.Mia",
		"fi":      "Google.fi-FI-Standard-A",
		"fil":     "Google.fil-PH-Standard-A",
		"fr":      "Polly.Celine",
		"gu":      "Google.gu-IN-Standard-A",
		"he":      "Google.he-IL-Standard-A",
		"hi":      "Polly.Aditi",
		"hu":      "Google.hu-HU-Standard-A",
		"id":      "Google.id-ID-Standard-A",
		"it":      "Polly.Carla",
		"ja":      "Polly.Mizuki",
		"ko":      "Polly.Seoyeon",
		"lt":      "Google.lt-LT-Standard-A",
		"lv":      "Google.lv-LV-Standard-A",
		"mr":      "Google.mr-IN-Standard-A",
		"ms":      "Google.ms-MY-Standard-A",
		"nb":      "Polly.Liv",
		"nl":      "Polly.Lotte",
		"pl":      "Polly.Ewa",
		"pt":      "Polly.Ines",
		"pt-BR":   "Polly.Vitoria",
		"ro":      "Polly.Carmen",
		"ru":      "Polly.Tatyana",
		"sk":      "Google.sk-SK-Standard-A",
		"sr":      "Google.sr-RS-Standard-A",
		"sv":      "Polly.Astrid",
		"ta":      "Google.ta-IN-Standard-A",
		"te":      "Google.te-IN-Standard-A",
		"th":      "Google.th-TH-Standard-A",
		"tr":      "Polly.Filiz",
		"uk":      "Google.uk-UA-Standard-A",
		"vi":      "Google.vi-VN-Standard-A",
		"zh-Hans": "Polly.Zhiyu",
		"zh-Hant": "Google.cmn-TW-Standard-A",
	}
}

// accents are the voices that people of some countries understand better.
func accents() map[string]string {
	return map[string]string{
		"en-GB":     "Polly.Amy",
		"en-IE":     "Polly.Amy",
		"en-AU":     "Polly.Nicole",
		"en-NZ":     "Polly.Nicole",
		"en-IN":     "Polly.Raveena",
		"es-MX":     "Polly.Mia",
		"es-US":     "Polly.Penelope",
		"es-419-US": "Polly.Penelope",
		"es-419-PR": "Polly.Penelope",
		"fr-CA":     "Polly.Chantal",
	}
}

// Speaks implements channel.Linguist. Its voices read texts, payments among them.
func (s *sender) Speaks(locale string, _ bool) bool {
	_, ok := s.voice(channel.Message{Spoken: text.Spoken{Locale: locale}})
	return ok
}

// voice returns the voice for a message: the settings' own before ours.
func (s *sender) voice(m channel.Message) (name string, ok bool) {
	locale := m.Spoken.Locale
	if own := s.cfg.Voices[locale]; own != "" {
		return own, true
	}
	if accent := accents()[locale+"-"+m.To.Country()]; accent != "" {
		return accent, true
	}
	name, ok = voices()[locale]
	return name, ok
}
