package azure

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

// signature recomputes the Authorization of a request as it came in, apart from the code under test.
func signature(t *testing.T, r *http.Request, body []byte) string {
	t.Helper()
	if got, err := http.ParseTime(r.Header.Get("x-ms-date")); err != nil || got.IsZero() {
		t.Errorf("the date is %q", r.Header.Get("x-ms-date"))
	}
	digest := sha256.New()
	_, _ = digest.Write(body)
	hash := base64.StdEncoding.EncodeToString(digest.Sum(nil))
	if r.Header.Get("x-ms-content-sha256") != hash {
		t.Errorf("the hash is %q, want %q", r.Header.Get("x-ms-content-sha256"), hash)
	}
	path := r.URL.Path
	if r.URL.RawQuery != "" {
		path += "?" + r.URL.RawQuery
	}
	key, err := base64.StdEncoding.DecodeString(accessKey)
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, key)
	_, _ = io.WriteString(mac,
		strings.Join([]string{r.Method, path, strings.Join([]string{r.Header.Get("x-ms-date"), r.Host, hash}, ";")}, "\n"))
	return "HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature=" +
		base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// TestSign holds the signature against values computed by OpenSSL:
//
//	printf 'POST\n/sms?api-version=2026-01-23\nMon, 23 Nov 2026 08:00:00 GMT;acme.communication.azure.com;HASH' |
//	    openssl dgst -sha256 -mac HMAC -macopt hexkey:KEY -binary | base64
func TestSign(t *testing.T) {
	t.Parallel()
	key := []byte("0123456789abcdef0123456789abcdef")
	now := time.Date(2026, 11, 23, 9, 0, 0, 0, time.FixedZone("", 3600))
	for _, c := range []struct{ method, path, body, hash, signature string }{
		{http.MethodPost, "/sms?api-version=2026-01-23", `{"from":"Acme"}`, "F2ROw7/OMxoI+hyQjIwMGEZRDRIG7UuOOgV2Jen5Nz4=",
			"Pt4HJgI9lD1a7V4QNakQxpHqC8Ub+WKCY5pCxYe1Zxs="},
		{http.MethodGet, "/phoneNumbers?skip=0&top=1&api-version=2022-12-01", "",
			"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", "q0LludWtToh0WxxUttX60KENlTy7CtuZ8UetBXqOFrU="},
	} {
		req, err := http.NewRequestWithContext(t.Context(), c.method, "https://acme.communication.azure.com"+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		sign(req, []byte(c.body), key, now)
		if got := req.Header.Get("X-Ms-Date"); got != "Mon, 23 Nov 2026 08:00:00 GMT" {
			t.Errorf("the date is %q", got)
		}
		if got := req.Header.Get("X-Ms-Content-Sha256"); got != c.hash {
			t.Errorf("the hash is %q, want %q", got, c.hash)
		}
		if got, want := req.Header.Get(
			"Authorization",
		), "HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature="+c.signature; got != want {
			t.Errorf("%s: %q, want %q", c.path, got, want)
		}
	}
}

func TestRequestID(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	seen := map[string]bool{}
	for _, delivery := range []string{"", "dlv_01m83v1cxqe00t2j6r8ja6cpz7", "dlv_01m83v1cxqe00t2j6r8ja6cpz8"} {
		u := requestID(delivery)
		if !form.MatchString(u) || seen[u] || u != requestID(delivery) {
			t.Errorf("%q: %s", delivery, u)
		}
		seen[u] = true
	}
}

// TestFirstSent: the time stands in the delivery's id (1 ms resolution; RFC 9562 §5.7 and Crockford's base 32).
func TestFirstSent(t *testing.T) {
	t.Parallel()
	// 0x019e_1234_5678 ms is 2026-05-10T14:04:40.440Z; as 50 bits in groups of five it is 01kr938nkr.
	made := time.UnixMilli(0x019e12345678).UTC()
	const delivery = "dlv_01kr938nkre00t2j6r8ja6cpz7"
	for _, c := range []struct {
		name, delivery string
		now, want      time.Time
	}{
		{"at once", delivery, made, made},
		{"ten minutes later", delivery, made.Add(10 * time.Minute), made},
		{"before it was made", delivery, made.Add(-time.Second), made.Add(-time.Second)},
		{"two days later", delivery, made.Add(48 * time.Hour), made.Add(48 * time.Hour)},
		{"no id", "", made, made},
		{"a short id", "dlv_01", made.Add(time.Second), made.Add(time.Second)},
		{"another alphabet", "dlv_!!!!!!!!!!!!", made.Add(time.Second), made.Add(time.Second)},
	} {
		if got := firstSent(c.delivery, c.now); !got.Equal(c.want) || got.Location() != time.UTC {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}
