package message

import (
	"errors"
	"strings"
	"testing"
)

func TestParseTrailer(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		trailer Trailer
		want    string
	}{
		{Trailer{}, ""},
		{Trailer{Origin: "example.com"}, ""},
		{Trailer{Origin: "a.b.example.co.uk"}, ""},
		{Trailer{Origin: "xn--bcher-kva.example"}, ""},
		{Trailer{Origin: "shop.github.io"}, ""},
		{Trailer{AppHash: "FA+9qCX9VSu"}, ""},
		{Trailer{Origin: "shop.example", Embedded: "verify.example.com"}, ""},
		{Trailer{Origin: "shop.example", Embedded: "localhost"}, InvalidOrigin},
		{Trailer{Embedded: "verify.example.com"}, InvalidOrigin},
		{Trailer{Origin: "example.com", AppHash: "FA+9qCX9VSu"}, TrailerConflict},
		{Trailer{Origin: "https://example.com"}, InvalidOrigin},
		{Trailer{Origin: "example.com:443"}, InvalidOrigin},
		{Trailer{Origin: "example.com/login"}, InvalidOrigin},
		{Trailer{Origin: "example.com #1"}, InvalidOrigin},
		{Trailer{Origin: "Example.com"}, InvalidOrigin},
		{Trailer{Origin: "bücher.example"}, InvalidOrigin},
		{Trailer{Origin: "co.uk"}, InvalidOrigin},
		{Trailer{Origin: "github.io"}, InvalidOrigin},
		{Trailer{Origin: "localhost"}, InvalidOrigin},
		{Trailer{Origin: "127.0.0.1"}, InvalidOrigin},
		{Trailer{Origin: "[::1]"}, InvalidOrigin},
		{Trailer{Origin: "example.com."}, InvalidOrigin},
		{Trailer{Origin: ".example.com"}, InvalidOrigin},
		{Trailer{Origin: "-a.example.com"}, InvalidOrigin},
		{Trailer{Origin: strings.Repeat("a.", 50) + "com"}, InvalidOrigin},
		{Trailer{AppHash: "FA+9qCX9VS"}, InvalidAppHash},
		{Trailer{AppHash: "FA+9qCX9VSuu"}, InvalidAppHash},
		{Trailer{AppHash: "FA-9qCX9VSu"}, InvalidAppHash},
	} {
		err := ParseTrailer(tc.trailer)
		got := ""
		if e, ok := errors.AsType[*Error](err); ok {
			got = e.Code
		}
		if got != tc.want || (err == nil) != (tc.want == "") {
			t.Errorf("%+v: %v, want %q", tc.trailer, err, tc.want)
		}
	}
}

// The failures are the kinds that the WICG draft names.
func TestParseOriginBound(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		body, host, code string
		ok               bool
	}{
		{"@a.example #123", "a.example", "123", true},
		{"text\n\n@a.example #123", "a.example", "123", true},
		{"text\r\n@a.example #123", "a.example", "123", true},
		{"text\r@a.example #123", "a.example", "123", true},
		{"@a.example #123 @b.example", "a.example", "123", true},
		{"@a.example #123 later", "a.example", "123", true},
		{"@a.example #123\tlater", "a.example", "123", true},
		{"@a.example #123 @b.example later", "a.example", "123", true},
		{"@a.example #1#2", "a.example", "1#2", true},
		{"", "", "", false},
		{"@a.example #123\n", "", "", false},
		{"x @a.example #123", "", "", false},
		{"#123 @a.example", "", "", false},
		{"@a.example  #123", "", "", false},
		{"@a.example\t#123", "", "", false},
		{"@a.example code #123", "", "", false},
		{"@a.example#123", "", "", false},
		{"@ #123", "", "", false},
		{"@a.example #", "", "", false},
		{"@a.example ", "", "", false},
		{"@a.example", "", "", false},
	} {
		if host, code, ok := ParseOriginBound(tc.body); host != tc.host || code != tc.code || ok != tc.ok {
			t.Errorf("%q: %q %q %v", tc.body, host, code, ok)
		}
	}
}

func FuzzParseOriginBound(f *testing.F) {
	f.Add("text\n@a.example #123 @b.example")
	f.Add("@\r#")
	f.Fuzz(func(t *testing.T, body string) {
		host, code, ok := ParseOriginBound(body)
		if ok != (host != "" && code != "") || strings.ContainsAny(host+code, " \t\n\f\r") {
			t.Fatalf("%q: %q %q %v", body, host, code, ok)
		}
		if ok && !strings.HasPrefix(body[strings.LastIndexAny(body, "\r\n")+1:], "@"+host+" #"+code) {
			t.Fatalf("%q: %q %q is not its last line", body, host, code)
		}
	})
}
