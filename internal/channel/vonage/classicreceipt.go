package vonage

import (
	"crypto/hmac"
	"crypto/md5"  //nolint:gosec // one of the methods that Vonage offers
	"crypto/sha1" //nolint:gosec // one of the methods that Vonage offers
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"hash"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/rest"
)

// unsigned is the method of accounts whose receipts Vonage does not sign.
const unsigned = "none"

// methods are the ways in which Vonage signs receipts of the SMS API, as the dashboard names them.
func methods() []string { return []string{"sha256", "sha512", "sha1", "md5", "md5hash", unsigned} }

// networkCodes are the carriers' errors in receipts of the SMS API (err-code).
func networkCodes() map[string]channel.ErrorKind {
	return map[string]channel.ErrorKind{
		"1":  channel.Unavailable, // unknown
		"2":  channel.Unavailable, // absent for a time
		"3":  channel.Rejected,    // absent for good
		"4":  channel.Rejected,    // barred by the person
		"5":  channel.Unavailable, // porting
		"6":  channel.Refused,     // taken for spam
		"7":  channel.Unavailable, // handset busy
		"8":  channel.Unavailable, // network error
		"9":  channel.Rejected,    // no such number
		"10": channel.Refused,     // the message is not valid
		"11": channel.Unavailable, // no way to the network
		"12": channel.Rejected,    // cannot be reached
		"13": channel.Rejected,    // the person's age
		"14": channel.Rejected,    // blocked by the carrier
		"15": channel.Rejected,    // no credit
		"50": channel.Refused,     // India: entity
		"51": channel.Refused,     // India: header
		"52": channel.Refused,     // India: content
		"53": channel.Rejected,    // India: consent
		"54": channel.Refused,     // regulation
		"99": channel.Unavailable, // no reason
	}
}

// fieldsOf returns the fields of a receipt of the SMS API, which comes as a query, a form or JSON as the account has
// it. A field that stands twice makes it none, as nobody knows which one is signed.
func fieldsOf(r channel.Callback) (map[string]string, bool) {
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); r.Method != http.MethodGet &&
		kind == "application/json" {
		return flat(r.Body)
	}
	query := string(r.Body)
	if r.Method == http.MethodGet && r.URL != nil {
		query = r.URL.RawQuery
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return nil, false
	}
	out := map[string]string{}
	for k, v := range values {
		if len(v) != 1 {
			return nil, false
		}
		out[k] = v[0]
	}
	return out, true
}

// flat returns the fields of a JSON object, whose values are texts or numbers.
func flat(body []byte) (map[string]string, bool) {
	var raw map[string]json.RawMessage
	if json.Unmarshal(body, &raw) != nil {
		return nil, false
	}
	out := map[string]string{}
	for k, v := range raw {
		text := string(v)
		if strings.HasPrefix(text, `"`) && json.Unmarshal(v, &text) != nil {
			return nil, false
		}
		out[k] = text
	}
	return out, true
}

// classicReceipts reads a receipt of the SMS API.
func (s *sender) classicReceipts(r channel.Callback) ([]channel.Receipt, error) {
	f, ok := fieldsOf(r)
	if !ok {
		return nil, rest.Refused(name, "body", "the receipt cannot be understood")
	}
	if s.cfg.SignatureMethod != unsigned && !fresh(f["timestamp"], r.Now) {
		return nil, rest.Refused(name, "signature", "the receipt has no time, or is too old")
	}
	if s.cfg.SignatureMethod != unsigned && !signedFields(s.cfg.SignatureMethod, s.cfg.SignatureSecret.Reveal(), f) {
		return nil,
			rest.Refused(name, "signature",
				"the receipt's sig is missing or wrong: does signature_method say what the account has?")
	}
	if f["messageId"] == "" || f["status"] == "" {
		return nil, nil // an incoming message
	}
	out := channel.Receipt{Token: f["client-ref"], ProviderID: f["messageId"], Status: channel.Taken, At: r.Now}
	if price, err := strconv.ParseFloat(f["price"], 64); err == nil && price >= 0 && price < 1000 {
		out.Price, out.Currency = strconv.FormatFloat(price, 'f', -1, 64), "EUR"
	}
	switch f["status"] {
	case "accepted", "buffered":
		out.Status = channel.Sent
	case "delivered":
		out.Status = channel.Delivered
	case "expired", "failed":
		out.Status = channel.Undelivered
	case "rejected":
		out.Status = channel.Failed
	case "unknown":
		out.Status = channel.Unknown
	}
	if out.Status == channel.Undelivered || out.Status == channel.Failed {
		out.Code, out.Kind = f["status"], channel.Unavailable
		if kind, known := networkCodes()[f["err-code"]]; known {
			out.Code, out.Kind = f["err-code"], kind
		}
	}
	return []channel.Receipt{out}, nil
}

// fresh reports whether a receipt's time, in Unix seconds, is near enough.
func fresh(stamp string, now time.Time) bool {
	at, err := strconv.ParseInt(stamp, 10, 64)
	return err == nil && at > now.Add(-maxAge).Unix() && at < now.Add(maxAhead).Unix()
}

// signedFields reports whether the fields carry Vonage's signature (developer.vonage.com, "Signing messages"): over the
// sorted fields but sig, each as &key=value, with _ for & and = in values.
func signedFields(method, secret string, fields map[string]string) bool {
	given, err := hex.DecodeString(fields["sig"])
	if err != nil || len(given) == 0 {
		return false
	}
	var b strings.Builder
	clean := strings.NewReplacer("&", "_", "=", "_")
	for _, k := range slices.Sorted(maps.Keys(fields)) {
		if k != "sig" {
			b.WriteString("&" + k + "=" + clean.Replace(fields[k]))
		}
	}
	if method == "md5hash" {
		sum := md5.Sum([]byte(b.String() + secret)) //nolint:gosec // Vonage's choice
		return hmac.Equal(sum[:], given)
	}
	makers := map[string]func() hash.Hash{"md5": md5.New, "sha1": sha1.New, "sha256": sha256.New, "sha512": sha512.New}
	maker, ok := makers[method]
	if !ok {
		return false
	}
	mac := hmac.New(maker, []byte(secret))
	mac.Write([]byte(b.String()))
	return hmac.Equal(mac.Sum(nil), given)
}
