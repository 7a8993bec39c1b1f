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
			all := s.Prompt + s.Intro + s.Lead + s.Again
			switch {
			case s.Locale != locale || s.Repeat != 2 || strings.Join(s.Digits, "") != longCode:
				t.Errorf("%s %s: %s %d", locale, purpose, s.Locale, s.Repeat)
			case s.Prompt == "" || s.Intro == "" || s.Lead == "" || s.Again == "":
				t.Errorf("%s %s: a sentence is missing", locale, purpose)
			case strings.ContainsAny(all, "{}\n") || strings.Contains(all, "  ") || strings.Contains(all, longCode):
				t.Errorf("%s %s: %s", locale, purpose, all)
			case !strings.Contains(s.Prompt, "Acme") || !strings.ContainsAny(s.Prompt, "1১") ||
				!strings.Contains(s.Intro, "Acme"):
				t.Errorf("%s %s: %s %s", locale, purpose, s.Prompt, s.Intro)
			case purpose == Payment && !(hasMoney(s.Intro) && strings.Contains(s.Intro, payee20) &&
				!strings.Contains(s.Intro, "EUR")):
				t.Errorf("%s: the payment is not said: %s", locale, s.Intro)
			}
		}
	}
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
