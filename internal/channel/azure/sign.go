package azure

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// sign adds the headers of Azure Communication Services' shared-key scheme ("Sign an HTTP request with HMAC"): the hash
// of the body, and a signature over method, path and query, date, host and that hash. It is good for 15 minutes.
func sign(req *http.Request, body, key []byte, now time.Time) {
	sum := sha256.Sum256(body)
	hash := base64.StdEncoding.EncodeToString(sum[:])
	date := now.UTC().Format(http.TimeFormat)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(req.Method + "\n" + req.URL.RequestURI() + "\n" + date + ";" + req.URL.Host + ";" + hash))
	req.Header.Set("X-Ms-Date", date)
	req.Header.Set("X-Ms-Content-Sha256", hash)
	req.Header.Set("Authorization",
		"HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature="+
			base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}

// requestID returns the id by which Azure knows a repeat: a UUID of our own making (RFC 9562, version 8) that follows
// from the delivery, so that the same delivery never goes out twice.
func requestID(delivery string) string {
	sum := sha256.Sum256([]byte("dialproof azure repeatability\n" + delivery))
	u := sum[:16]
	u[6] = u[6]&0x0f | 0x80
	u[8] = u[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}

// maxSince is how long ago a delivery can have been made for its time to be believed; no code lives longer.
const maxSince = 24 * time.Hour

// firstSent returns when a delivery was sent for the first time, which a repeat must say as the first one did. The id
// of a delivery begins with the time at which it was made, in milliseconds: ten characters of Crockford's base 32. For
// an id of another form it is now.
func firstSent(delivery string, now time.Time) time.Time {
	const alphabet, length = "0123456789abcdefghjkmnpqrstvwxyz", 10
	_, text, _ := strings.Cut(delivery, "_")
	if len(text) < length {
		return now.UTC()
	}
	var ms int64
	for _, c := range text[:length] {
		digit := strings.IndexRune(alphabet, c)
		if digit < 0 {
			return now.UTC()
		}
		ms = ms<<5 | int64(digit)
	}
	at := time.UnixMilli(ms).UTC()
	if age := now.Sub(at); age < 0 || age > maxSince {
		return now.UTC()
	}
	return at
}
