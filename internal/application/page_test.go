package application_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/dialproof/dialproof/internal/application"
)

func TestOrigin(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"https://shop.example":                   "https://shop.example",
		"https://Shop.Example:443/a?b#c":         "https://shop.example",
		"https://shop.example:8443/x":            "https://shop.example:8443",
		"http://localhost:3000/back":             "http://localhost:3000",
		"http://127.0.0.1:80/":                   "http://127.0.0.1",
		"http://[::1]:5/":                        "http://[::1]:5",
		"http://shop.example":                    "",
		"javascript:alert(1)":                    "",
		"data:text/html,x":                       "",
		"//shop.example":                         "",
		"/relative":                              "",
		"https://user@shop.example":              "",
		"https://shop.example\\.evil.example":    "",
		"https://shop.example; script-src *":     "",
		"https://shop.example'":                  "",
		"https://shop.example,https://b.example": "",
		"":                                       "",
	} {
		got, ok := application.Origin(in)
		if got != want || ok != (want != "") {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestMayReturn(t *testing.T) {
	t.Parallel()
	c := application.Caller{
		Key: &application.Key{Mode: application.Live},
		App: &application.Application{Policy: application.Policy{ReturnURLs: []string{"https://shop.example"}}},
	}
	for address, want := range map[string]bool{
		"https://shop.example/done?x=1":     true,
		"https://SHOP.example:443":          true,
		"https://shop.example.evil.example": false,
		"https://shop.example@evil.example": false,
		"https://sub.shop.example":          false,
		"https://shop.example:444":          false,
		"http://shop.example":               false,
		"http://localhost:3000":             false,
	} {
		if got := c.MayReturn(address); got != want {
			t.Errorf("%s: %v", address, got)
		}
	}
	c.Key.Mode = application.Test
	if !c.MayReturn("http://localhost:3000/x") || c.MayReturn("https://evil.example") {
		t.Error("a test key returns to this machine, and nowhere else")
	}
}

func TestPagePolicy(t *testing.T) {
	t.Parallel()
	uri := func(kind, data string) string {
		return "data:" + kind + ";base64," + base64.StdEncoding.EncodeToString([]byte(data))
	}
	png := uri("image/png", "\x89PNG\r\n\x1a\nrest")
	for name, c := range map[string]struct {
		p     application.Policy
		field string
	}{
		"all of it": {application.Policy{ReturnURLs: []string{"https://a.example", "http://localhost:3000"},
			Branding: application.Branding{Logo: png, Accent: "#0B6e4f", Background: "#ffffff"}}, ""},
		"svg": {application.Policy{Branding: application.Branding{Logo: uri("image/svg+xml",
			" <svg xmlns='x'/>")}}, ""},
		"a path":          {application.Policy{ReturnURLs: []string{"https://a.example/path"}}, "policy.return_urls"},
		"no scheme":       {application.Policy{ReturnURLs: []string{"a.example"}}, "policy.return_urls"},
		"a star":          {application.Policy{ReturnURLs: []string{"https://*.example"}}, "policy.return_urls"},
		"a colour's name": {application.Policy{Branding: application.Branding{Accent: "red"}}, "policy.branding.accent"},
		"more than colour": {application.Policy{Branding: application.Branding{Background: "#ffffff}"}},
			"policy.branding.background"},
		"logo elsewhere": {application.Policy{Branding: application.Branding{Logo: "https://a.example/logo.png"}},
			"policy.branding.logo"},
		"page as logo": {application.Policy{Branding: application.Branding{Logo: uri("text/html", "<svg")}},
			"policy.branding.logo"},
		"png that is not": {application.Policy{Branding: application.Branding{Logo: uri("image/png", "<svg")}},
			"policy.branding.logo"},
		"pages": {application.Policy{Branding: application.Branding{TermsURL: "https://a.example/terms?v=2#top",
			PrivacyURL: "http://localhost:3000/p"}}, ""},
		"terms by script": {application.Policy{Branding: application.Branding{TermsURL: "javascript:alert(1)"}},
			"policy.branding.terms_url"},
		"terms in clear": {application.Policy{Branding: application.Branding{TermsURL: "http://a.example/terms"}},
			"policy.branding.terms_url"},
		"terms by a user": {application.Policy{Branding: application.Branding{TermsURL: "https://a@b.example/"}},
			"policy.branding.terms_url"},
		"long privacy": {application.Policy{Branding: application.Branding{PrivacyURL: "https://a.example/" +
			strings.Repeat("a", application.MaxPageURL)}}, "policy.branding.privacy_url"},
		"large logo": {application.Policy{Branding: application.Branding{Logo: png +
			strings.Repeat("A", application.MaxLogo)}}, "policy.branding.logo"},
	} {
		err, _ := errors.AsType[*application.FieldError](c.p.Validate())
		if (err == nil) != (c.field == "") || err != nil && err.Field != c.field {
			t.Errorf("%s: %v", name, err)
		}
	}
}
