package message

import (
	"slices"
	"strings"
	"testing"
)

func TestSpeakEverywhere(t *testing.T) {
	t.Parallel()
	for _, locale := range Locales() {
		for _, purpose := range purposes() {
			r := requestFor(locale, purpose, "Acme", Trailer{})
			s, err := Speak(r)
			if err != nil {
				t.Fatal(err)
			}
			if problem := lintSpoken(r, s); problem != "" {
				t.Errorf("%s %s: %s: %+v", locale, purpose, problem, s)
			}
		}
	}
}

// lintSpoken returns what is wrong with a spoken text of ours.
func lintSpoken(r Request, s Spoken) string {
	all := s.Prompt + s.Intro + s.Lead + s.Again
	switch {
	case s.Locale != r.Locale || s.Repeat != 2 || strings.Join(s.Digits, "") != longCode:
		return "another locale, or not the code twice"
	case s.Prompt == "" || s.Intro == "" || s.Lead == "" || s.Again == "":
		return "a sentence is missing"
	case strings.ContainsAny(all, "{}\n") || strings.Contains(all, "  ") || strings.Contains(all, longCode):
		return "a placeholder, a gap, or the code in one piece"
	case !strings.Contains(s.Prompt, "Acme") || !strings.ContainsAny(s.Prompt, "1১") || !strings.Contains(s.Intro, "Acme"):
		return "the brand or the key to press is not said"
	case r.Purpose == Payment && !(hasMoney(s.Intro) && strings.Contains(s.Intro, payee20) &&
		!strings.Contains(s.Intro, "EUR")):
		return "the payment is not said"
	}
	return ""
}

func TestSpeakLetters(t *testing.T) {
	t.Parallel()
	s, err := Speak(Request{Locale: "en", Purpose: Login, Brand: "Acme", Code: NewCode("B7z")})
	want := []string{"B, Bravo", "7", "Z, Zulu"}
	if err != nil || !slices.Equal(s.Digits, want) {
		t.Errorf("%q %v", s.Digits, err)
	}
	script := "Here is your Acme code to sign in. Your code is: B, Bravo, 7, Z, Zulu. Once more: B, Bravo, 7, Z, Zulu."
	if got := s.Script(); got != script {
		t.Errorf("%q", got)
	}
}
