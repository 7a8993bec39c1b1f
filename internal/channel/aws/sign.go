package aws

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/dialproof/dialproof/internal/secret"
)

const algorithm = "AWS4-HMAC-SHA256"

// credentials are a key of an account. token is there only with temporary ones.
type credentials struct {
	id     string
	secret secret.Text
	token  secret.Text
}

// sign signs a request with Signature Version 4 (IAM User Guide, "Create a signed AWS API request"). It signs the host,
// the content type and every x-amz header. The path must be "/" and the query empty, as they are in JSON 1.0.
func sign(r *http.Request, body []byte, c credentials, region, service string, now time.Time) {
	stamp := now.UTC().Format("20060102T150405Z")
	r.Header.Set("X-Amz-Date", stamp)
	if !c.token.IsZero() {
		r.Header.Set("X-Amz-Security-Token", c.token.Reveal())
	}
	names, lines := signedHeaders(r)
	request := strings.Join([]string{r.Method, "/", "", lines, names, sum(body)}, "\n")
	scope := strings.Join([]string{stamp[:8], region, service, "aws4_request"}, "/")
	text := strings.Join([]string{algorithm, stamp, scope, sum([]byte(request))}, "\n")

	key := []byte("AWS4" + c.secret.Reveal())
	for part := range strings.SplitSeq(scope, "/") {
		key = mac(key, part)
	}
	r.Header.Set("Authorization",
		algorithm+" Credential="+c.id+"/"+scope+", SignedHeaders="+names+", Signature="+hex.EncodeToString(mac(key, text)))
}

// signedHeaders returns the names of the headers that are signed, and their lines.
func signedHeaders(r *http.Request) (names, lines string) {
	values := map[string]string{"host": r.URL.Host}
	for key, v := range r.Header {
		if key = strings.ToLower(key); key == "content-type" || strings.HasPrefix(key, "x-amz-") {
			values[key] = strings.TrimSpace(strings.Join(v, ","))
		}
	}
	keys := make([]string, 0, len(values))
	for key := range values {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	var b strings.Builder
	for _, key := range keys {
		b.WriteString(key + ":" + values[key] + "\n")
	}
	return strings.Join(keys, ";"), b.String()
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

func mac(key []byte, text string) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(text))
	return m.Sum(nil)
}
