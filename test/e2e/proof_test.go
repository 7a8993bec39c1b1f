package e2e

import (
	"crypto/ed25519"
	"encoding/base64"
	"net/url"
	"regexp"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// TestProof: an approved check answers a statement that the public keys alone confirm; only when asked, and only then.
func TestProof(t *testing.T) {
	t.Parallel()
	p, key, _ := dev(t)
	c := newClient(t, p, key)
	to := "+447700900123"
	id, _ := c.call(t, 201, "POST", "/v1/verifications", map[string]any{
		"to": to, "purpose": "transaction",
		"transaction": map[string]string{"amount": "39.90", "currency": "EUR", "payee": "Acme Ltd"},
	}).json(t)["id"].(string)
	var code string
	waitFor(t, 10*time.Second, "the message", func() bool {
		found := regexp.MustCompile(`"text":"(\d{6})`).
			FindSubmatch(c.call(t, 200, "GET", "/dev/messages?to="+url.QueryEscape(to), nil).body)
		if found != nil {
			code = string(found[1])
		}
		return found != nil
	})
	payment := map[string]string{"amount": "39.90", "currency": "EUR", "payee": "Acme Ltd"}
	wrong := c.call(t, 200, "POST", "/v1/verifications/"+id+"/check",
		map[string]any{"code": "xxxxxx", "transaction": payment, "proof": "number"}).json(t)
	if wrong["result"] != "incorrect" || wrong["proof"] != nil {
		t.Errorf("a wrong code answers %v", wrong)
	}
	c.call(t, 422, "POST", "/v1/verifications/"+id+"/check",
		map[string]any{"code": code, "transaction": payment, "proof": "please"})
	right := c.call(t, 200, "POST", "/v1/verifications/"+id+"/check",
		map[string]any{"code": code, "transaction": payment, "proof": "number"}).json(t)
	text, _ := right["proof"].(string)
	claims := jwt.MapClaims{}
	_, err := jwt.ParseWithClaims(text, claims, func(k *jwt.Token) (any, error) {
		set := c.call(t, 200, "GET", "/.well-known/jwks.json", nil).json(t)["keys"].([]any)
		x, err := base64.RawURLEncoding.DecodeString(set[0].(map[string]any)["x"].(string))
		return ed25519.PublicKey(x), err
	}, jwt.WithValidMethods([]string{"EdDSA"}), jwt.WithIssuer(p.url), jwt.WithExpirationRequired())
	if err != nil {
		t.Fatalf("%v\n%v", err, right)
	}
	if claims["phone_number"] != to || claims["mode"] != "test" || claims["jti"] != id ||
		claims["purpose"] != "transaction" {
		t.Errorf("%v", claims)
	}
	if used := c.call(t, 200, "POST", "/v1/verifications/"+id+"/check",
		map[string]any{"code": code, "transaction": payment, "proof": "number"}).json(t); used["result"] != "used" ||
		used["proof"] != nil {
		t.Errorf("a second check answers %v", used)
	}
}
