package message

import (
	"strings"

	"golang.org/x/net/publicsuffix"
)

// Trailer is the last line of a text, which a phone reads to fill the code in by itself. At most one of the two
// is set: both must be last.
type Trailer struct {
	// Origin is the host that may have the code, for the last line "@host #code" (WICG Origin-bound one-time
	// codes delivered via SMS). At most MaxOrigin bytes.
	Origin string `json:"origin,omitempty"`
	// Embedded is the host of a frame in Origin's page that may have the code as well: "@host #code @embedded".
	Embedded string `json:"embedded,omitempty"`
	// AppHash is the 11 characters by which Android's SMS Retriever knows the app.
	AppHash string `json:"app_hash,omitempty"`
}

// MaxOrigin bounds Trailer.Origin, in bytes. DNS allows 253, but such a line alone fills an SMS.
const MaxOrigin = 100

// maxRetrieverBytes bounds a text with an app hash, in bytes of UTF-8 (Android SMS Retriever).
const maxRetrieverBytes = 140

// ParseTrailer checks a trailer; the zero Trailer is fine. The error is an *Error with TrailerConflict,
// InvalidOrigin or InvalidAppHash.
//
// An origin is a lower-case host of or under a registrable domain: no scheme, port, path, address or bare
// public suffix. A host with other letters is written in its xn-- form.
func ParseTrailer(t Trailer) error {
	switch {
	case t.Origin != "" && t.AppHash != "":
		return refuse(TrailerConflict, "an origin and an app hash must both be last: choose one")
	case t.Origin != "" && !bindable(t.Origin):
		return refuse(InvalidOrigin, "must be a registrable host like login.example.com, without scheme, port and path")
	case t.Embedded != "" && (t.Origin == "" || !bindable(t.Embedded)):
		return refuse(InvalidOrigin, "a frame's host must be a registrable one, beside the origin of its page")
	case t.AppHash != "" && !hashForm(t.AppHash):
		return refuse(InvalidAppHash, "must be 11 characters of base64")
	}
	return nil
}

// hashForm is ^[A-Za-z0-9+/]{11}$.
func hashForm(s string) bool {
	if len(s) != 11 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !isAlnum(c) && c != '+' && c != '/' {
			return false
		}
	}
	return true
}

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// bindable reports whether a host may have codes bound to it.
func bindable(host string) bool {
	if len(host) > MaxOrigin {
		return false
	}
	last := ""
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			if c := label[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
				return false
			}
		}
		last = label
	}
	if last[0] >= '0' && last[0] <= '9' { // an IPv4 address
		return false
	}
	_, err := publicsuffix.EffectiveTLDPlusOne(host)
	return err == nil
}

// ParseOriginBound reads the last line of a text the way a browser does (WICG Origin-bound one-time codes
// delivered via SMS, §3.1 Parsing). ok is false when the line is not "@host #code". The embedded host that may
// follow is not answered.
func ParseOriginBound(body string) (host, code string, ok bool) {
	line := body[strings.LastIndexAny(body, "\r\n")+1:]
	host, rest, ok := markedToken(line, '@')
	if !ok || rest == "" || rest[0] != ' ' {
		return "", "", false
	}
	if code, _, ok = markedToken(rest[1:], '#'); !ok {
		return "", "", false
	}
	return host, code, true
}

// markedToken takes a marker and what follows up to ASCII whitespace.
func markedToken(s string, marker byte) (token, rest string, ok bool) {
	if s == "" || s[0] != marker {
		return "", "", false
	}
	end := strings.IndexAny(s, "\t\n\f\r ")
	if end < 0 {
		end = len(s)
	}
	return s[1:end], s[end:], end > 1
}
