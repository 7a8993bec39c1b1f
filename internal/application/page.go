package application

import (
	"bytes"
	"encoding/base64"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

var colourForm = regexp.MustCompile(`^#[0-9a-fA-F]{6}$`)

// logoForms are the kinds of picture that a logo may be, and how its bytes begin. An SVG shown as a picture runs no
// script and loads nothing (HTML, "img"; SVG Integration §3.4).
var logoForms = map[string][]string{
	"image/png":     {"\x89PNG\r\n\x1a\n"},
	"image/jpeg":    {"\xff\xd8\xff"},
	"image/webp":    {"RIFF"},
	"image/svg+xml": {"<svg", "<?xml"},
}

// validatePage judges what the hosted page takes from the policy.
func (p Policy) validatePage() error {
	if len(p.ReturnURLs) > MaxReturnURLs {
		return bad("policy.return_urls", "too_many", "at most %d origins", MaxReturnURLs)
	}
	for _, u := range p.ReturnURLs {
		if o, ok := Origin(u); !ok || o != strings.TrimSuffix(u, "/") {
			return bad("policy.return_urls", "invalid_value",
				"must be origins like https://shop.example, without a path; http is for localhost alone")
		}
	}
	for _, c := range []struct{ field, v string }{{"policy.branding.accent", p.Branding.Accent},
		{"policy.branding.background", p.Branding.Background}} {
		if c.v != "" && !colourForm.MatchString(c.v) {
			return bad(c.field, "invalid_value", "must be a colour like #0b6e4f")
		}
	}
	for _, c := range []struct{ field, v string }{{"policy.branding.terms_url", p.Branding.TermsURL},
		{"policy.branding.privacy_url", p.Branding.PrivacyURL}} {
		if c.v == "" {
			continue
		}
		if _, ok := Origin(c.v); !ok || len(c.v) > MaxPageURL || !utf8.ValidString(c.v) {
			return bad(c.field, "invalid_value",
				"must be an address like https://shop.example/terms, at most %d bytes; http is for localhost alone", MaxPageURL)
		}
	}
	return validateLogo(p.Branding.Logo)
}

func validateLogo(logo string) error {
	const field = "policy.branding.logo"
	if logo == "" {
		return nil
	}
	if len(logo) > MaxLogo {
		return bad(field, "too_long", "must have at most %d bytes as a data URI", MaxLogo)
	}
	head, body, ok := strings.Cut(logo, ";base64,")
	kind, isData := strings.CutPrefix(head, "data:")
	data, err := base64.StdEncoding.DecodeString(body)
	known := slices.ContainsFunc(logoForms[kind],
		func(begin string) bool { return bytes.HasPrefix(bytes.TrimSpace(data), []byte(begin)) })
	if !ok || !isData || err != nil || !known {
		return bad(field, "invalid_value",
			"must be data:image/png;base64,… with a PNG, JPEG, WebP or SVG (image/svg+xml) in it")
	}
	return nil
}

// Origin returns scheme, host and port of an address ("https://shop.example"); ok is false for what nobody may be sent
// to: another scheme than https, or http to any host but this machine, or an address with a user in it.
func Origin(address string) (origin string, ok bool) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || u.Opaque != "" || strings.ContainsAny(address, "\\ \t\r\n") {
		return "", false
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
		return "", false
	}
	host := strings.ToLower(u.Host)
	if !hostForm.MatchString(host) {
		return "", false
	}
	if port := u.Port(); u.Scheme == "https" && port == "443" || u.Scheme == "http" && port == "80" {
		host = strings.TrimSuffix(host, ":"+port)
	}
	return u.Scheme + "://" + host, true
}

// hostForm keeps what could mean something in a header out of it: the origin stands in Content-Security-Policy.
var hostForm = regexp.MustCompile(`^([a-z0-9.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?$`)

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// MayReturn reports whether people may be sent to an address, and it may show the page in a frame: its origin is on the
// application's list, or it is this machine and the key is in test mode, as while an application is written.
func (c Caller) MayReturn(address string) bool {
	origin, ok := Origin(address)
	if !ok {
		return false
	}
	u, _ := url.Parse(origin) // Origin made it
	return c.Key.Mode == Test && loopback(u.Hostname()) ||
		slices.ContainsFunc(c.App.Policy.ReturnURLs, func(one string) bool { o, _ := Origin(one); return o == origin })
}

// Caller returns who acts with a key that made something which outlives its request, like a link. It is ErrKey once the
// key is revoked or has expired: what it made dies with it.
func (d *Directory) Caller(key [16]byte) (Caller, error) {
	s := d.snapshot.Load()
	k, ok := s.keys[key]
	if !ok || !k.Revoked.IsZero() || !k.Expires.IsZero() && !d.now().Before(k.Expires) {
		return Caller{}, ErrKey
	}
	return s.caller(k), nil
}
