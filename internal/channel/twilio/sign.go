package twilio

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // the algorithm is Twilio's choice; as an HMAC it stands
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/dialproof/dialproof/internal/channel"
)

// first returns the first value of a key, as Twilio's own SDK signs it.
func first(form url.Values, key string) string {
	if v := form[key]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// signed reports whether the request carries Twilio's signature (twilio.com/docs/usage/security): HMAC-SHA-1 over the
// address and the sorted form, or, for another body, over the address alone, which then holds the body's hash.
// Twilio signs the address with or without the port.
func signed(token string, r channel.Callback, form url.Values) bool {
	given, err := base64.StdEncoding.DecodeString(r.Header.Get("X-Twilio-Signature"))
	if err != nil || r.URL == nil {
		return false
	}
	params := ""
	if want := r.URL.Query().Get("bodySHA256"); want != "" {
		sum := sha256.Sum256(r.Body)
		if !hmac.Equal([]byte(hex.EncodeToString(sum[:])), []byte(strings.ToLower(want))) {
			return false
		}
	} else {
		keys := make([]string, 0, len(form))
		for k := range form {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		var all strings.Builder
		for _, k := range keys {
			all.WriteString(k + first(form, k))
		}
		params = all.String()
	}
	ok := false
	for _, address := range addresses(*r.URL) {
		mac := hmac.New(sha1.New, []byte(token))
		mac.Write([]byte(address + params))
		ok = hmac.Equal(mac.Sum(nil), given) || ok
	}
	return ok
}

// addresses returns an address with and without its port.
func addresses(u url.URL) []string {
	host, port := u.Hostname(), u.Port()
	if port == "" {
		port = "443"
		if u.Scheme == "http" {
			port = "80"
		}
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	bare, full := u, u
	bare.Host, full.Host = host, net.JoinHostPort(u.Hostname(), port)
	return []string{bare.String(), full.String()}
}
