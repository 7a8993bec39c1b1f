package message

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestLintTemplate(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"{code}", "{code} for {brand}. Valid {minutes} min.", "Pay {amount} {currency} to {payee}: " +
			"{code}", "Pay {money} to {payee}: {code}", "Ваш код: {code}.Никому",
	} {
		if err := LintTemplate(text); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, text := range []string{
		"", "no code", "{code}{code}", "{code} {name}", "{code} {brand}{-}koodi", "{code} {", "{code} }", "{CODE}",
		"{{code}}", "{code}\n@evil.example #1", "@{brand} #{code}", "{code} at evil.com", "{code} at www.x",
		"{code} http://x", "{code} \u202e", "{code} \xff", "{code} on {brand}.com", "{code} " + strings.Repeat("a", 459),
		"{code} " + strings.Repeat("я", 201), strings.Repeat("a", 3000),
	} {
		err := LintTemplate(text)
		if e, ok := errors.AsType[*Error](err); !ok || e.Code != InvalidTemplate {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestOwnTemplates(t *testing.T) {
	t.Parallel()
	own := Templates{
		Login:   {"de": "{code} {brand} auf Deutsch, {minutes} Min.", "en-GB": "{code} in Britain"},
		Payment: {"en": "{code} {amount} {currency} {payee}", "de": "{code} {amount}", "fr": "{code} {money} {payee}"},
		"vote":  {"en": "{code} to pay {amount}"},
	}
	pay := &Transaction{"1", "EUR", "Kiosk"}
	for _, tc := range []struct {
		name, purpose, locale, country string
		pay                            *Transaction
		want, err                      string
	}{
		{"exact", Login, "de", "", nil, "492817 Acme auf Deutsch, 5 Min.", ""},
		{"parent", Login, "de-AT", "", nil, "492817 Acme auf Deutsch, 5 Min.", ""},
		{"country", Login, "", "DE", nil, "492817 Acme auf Deutsch, 5 Min.", ""},
		{"region", Login, "en-GB", "", nil, "492817 in Britain", ""},
		{"not this region", Login, "en-US", "", nil, "492817 is your Acme code to sign in.", ""},
		{"payment", Payment, "en", "", pay, "492817 1.00 EUR Kiosk", ""},
		{"payment in one", Payment, "fr-CA", "", pay, "492817 1,00 EUR Kiosk", ""},
		{"payment half named", Payment, "de", "", pay, "", InvalidTemplate},
		{"payment not given", "vote", "en", "", nil, "", InvalidTransaction},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			text, err := Render(Request{
				Purpose: tc.purpose, Locale: tc.locale, Country: tc.country, Brand: "Acme", Code: NewCode("492817"),
				ExpiresIn: 5 * time.Minute, Transaction: tc.pay, Templates: own,
			})
			code := ""
			if e, ok := errors.AsType[*Error](err); ok {
				code = e.Code
			}
			if !strings.HasPrefix(text.Body, tc.want) || code != tc.err {
				t.Errorf("got %q, %v", text.Body, err)
			}
		})
	}
}
