package twilio

import (
	"context"
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

// Receipts implements channel.Receiver.
func (s *sender) Receipts(_ context.Context, r channel.Callback) ([]channel.Receipt, error) {
	refuse := func(code, detail string) ([]channel.Receipt, error) {
		return nil, &channel.Error{Kind: channel.Refused, Provider: name, Code: code, Detail: detail}
	}
	form, err := url.ParseQuery(string(r.Body))
	if err != nil {
		return refuse("body", "the receipt is no form")
	}
	if !signed(s.cfg.AuthToken.Reveal(), r, form) {
		return refuse("signature", "the receipt's X-Twilio-Signature is missing or wrong")
	}
	status := first(form, "MessageStatus")
	if status == "" {
		status = first(form, "SmsStatus")
	}
	sid := first(form, "MessageSid")
	if sid == "" || status == "" {
		return refuse("body", "the receipt names no message or no status")
	}
	out := channel.Receipt{ProviderID: sid, Status: statusOf(status), At: r.Now}
	if code := first(form, "ErrorCode"); code != "" && code != "0" {
		e := coded(code, channel.Unavailable)
		out.Code, out.Kind = e.Code, e.Kind
	}
	return []channel.Receipt{out}, nil
}

// first answers the first value of a key, as Twilio's own SDK signs it.
func first(form url.Values, key string) string {
	if v := form[key]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// signed tells whether the request carries Twilio's signature (twilio.com/docs/usage/security): HMAC-SHA-1 over the
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

// addresses answers an address with and without its port.
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
