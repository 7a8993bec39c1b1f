package plivo

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/dialproof/dialproof/internal/channel"
)

// signedV3 reports whether a request carries Plivo's signature, version 3: it covers address, query, form and a nonce.
func signedV3(token string, r channel.Callback, form url.Values) bool {
	nonce := r.Header.Get("X-Plivo-Signature-V3-Nonce")
	if r.URL == nil || nonce == "" {
		return false
	}
	text := textV3(r.Method, r.URL, form) + "." + nonce
	return carries(r.Header, "V3", token, text)
}

// hasV3 reports whether a request has a signature of version 3, right or wrong.
func hasV3(h http.Header) bool {
	return h.Get("X-Plivo-Signature-V3") != "" || h.Get("X-Plivo-Signature-Ma-V3") != ""
}

// signedV2 reports whether a request carries Plivo's signature, version 2, which covers only the bare address and a
// nonce.
func signedV2(token string, r channel.Callback) bool {
	nonce := r.Header.Get("X-Plivo-Signature-V2-Nonce")
	if r.URL == nil || nonce == "" {
		return false
	}
	return carries(r.Header, "V2", token, bare(r.URL)+nonce)
}

// carries reports whether a header holds the signature of a text. A header may list several, one for each token that is
// good while one is changed; the Ma header has those of a subaccount's main account.
func carries(h http.Header, version, token, text string) bool {
	mac := hmac.New(sha256.New, []byte(token))
	mac.Write([]byte(text))
	want := mac.Sum(nil)
	ok := false
	for _, header := range []string{"X-Plivo-Signature-" + version, "X-Plivo-Signature-Ma-" + version} {
		for given := range strings.SplitSeq(h.Get(header), ",") {
			raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(given))
			ok = (err == nil && hmac.Equal(raw, want)) || ok
		}
	}
	return ok
}

func bare(u *url.URL) string { return u.Scheme + "://" + u.Host + u.Path }

// textV3 returns what version 3 signs, without the nonce: the address, its sorted query, and the sorted form after a
// dot.
func textV3(method string, u *url.URL, form url.Values) string {
	query := u.Query()
	if method == http.MethodGet {
		form = nil // it is the query
	}
	text := bare(u)
	if len(query) > 0 || len(form) > 0 {
		text += "?"
	}
	text += joined(query, "=", "&")
	if len(query) > 0 && len(form) > 0 {
		text += "."
	}
	return text + joined(form, "", "")
}

// joined returns keys and values in order.
func joined(values url.Values, between, after string) string {
	keys := make([]string, 0, len(values))
	for key := range values {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	var parts []string
	for _, key := range keys {
		for _, v := range slices.Sorted(slices.Values(values[key])) {
			parts = append(parts, key+between+v)
		}
	}
	return strings.Join(parts, after)
}
