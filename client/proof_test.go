package client

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// notary signs proofs as the server does, and serves its keys.
type notary struct {
	*httptest.Server
	private ed25519.PrivateKey
	asked   atomic.Int32
}

func newNotary(t *testing.T) *notary {
	t.Helper()
	n := &notary{private: ed25519.NewKeyFromSeed([]byte(strings.Repeat("s", 32)))}
	x := base64.RawURLEncoding.EncodeToString(n.private.Public().(ed25519.PublicKey))
	n.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n.asked.Add(1)
		w.Write([]byte(`{"keys":[{"kty":"EC","kid":"9"},{"kty":"OKP","crv":"Ed25519","kid":"1","use":"sig","alg":"EdDSA",` +
			`"x":"` + x + `"}]}`))
	}))
	t.Cleanup(n.Close)
	return n
}

var notaryTime = time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)

// sign makes a good proof with some claims changed.
func (n *notary) sign(head string, change map[string]any) string {
	claims := map[string]any{
		"iss":          "https://verify.example.com",
		"aud":          []string{"app_1"},
		"jti":          "vrf_1",
		"iat":          notaryTime.Unix(),
		"exp":          notaryTime.Unix() + 300,
		"sub":          "a8acc3a90a7b4e4dc65e93db9240ed26523050ef754d63b75b5161de76781436",
		"purpose":      "login",
		"channel":      "sms",
		"country":      "GB",
		"amr":          []string{"otp", "sms"},
		"mode":         "live",
		"verification": "vrf_1",
	}
	maps.Copy(claims, change)
	body, _ := json.Marshal(claims)
	text := base64.RawURLEncoding.EncodeToString([]byte(head)) + "." + base64.RawURLEncoding.EncodeToString(body)
	return text + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(n.private, []byte(text)))
}

const goodHead = `{"alg":"EdDSA","kid":"1","typ":"JWT"}`

func (n *notary) verifier(t *testing.T, opts ...ProofOption) *ProofVerifier {
	t.Helper()
	v, err := NewProofVerifier(n.URL+"/", "app_1", opts...)
	if err != nil {
		t.Fatal(err)
	}
	v.now = func() time.Time { return notaryTime.Add(time.Minute) }
	return v
}

func TestProof(t *testing.T) {
	t.Parallel()
	n := newNotary(t)
	pay := map[string]any{"amount": "39.90", "currency": "EUR", "payee": "Acme Ltd"}
	payment := Transaction{Amount: "39.90", Currency: "EUR", Payee: "Acme Ltd"}
	for _, tc := range []struct {
		name, head string
		change     map[string]any
		want       Expected
		why        string // "" for a good one
	}{
		{"good", goodHead, nil, Expected{To: "+447700900123", Purpose: "login", Verification: "vrf_1"}, ""},
		{"one audience as text", goodHead, map[string]any{"aud": "app_1"}, Expected{}, ""},
		{"a payment", goodHead, map[string]any{"transaction": pay}, Expected{Transaction: payment}, ""},
		{"another payment", goodHead, map[string]any{"transaction": pay},
			Expected{Transaction: Transaction{Amount: "99.90", Currency: "EUR", Payee: "Acme Ltd"}}, "another transaction"},
		{"no payment", goodHead, nil, Expected{Transaction: payment}, "another transaction"},
		{"another number", goodHead, nil, Expected{To: "+447700900124"}, "another number"},
		{"another purpose", goodHead, nil, Expected{Purpose: "password_reset"}, "another purpose"},
		{"another verification", goodHead, nil, Expected{Verification: "vrf_2"}, "another verification"},
		{"another application", goodHead, map[string]any{"aud": "app_2"}, Expected{}, "another application"},
		{"over", goodHead, map[string]any{"iat": notaryTime.Unix() - 600, "exp": notaryTime.Unix() - 300}, Expected{},
			"it is over"},
		{"from the future", goodHead, map[string]any{"iat": notaryTime.Unix() + 600, "exp": notaryTime.Unix() + 900},
			Expected{}, "from the future"},
		{"without an end", goodHead, map[string]any{"exp": 0}, Expected{}, "not those of a proof"},
		{"of a test key", goodHead, map[string]any{"mode": "test"}, Expected{}, "test key"},
		{"of no mode", goodHead, map[string]any{"mode": ""}, Expected{}, "test key"},
		{"of no algorithm", `{"alg":"none","kid":"1"}`, nil, Expected{}, "not signed with EdDSA"},
		{"of another algorithm", `{"alg":"HS256","kid":"1"}`, nil, Expected{}, "not signed with EdDSA"},
		{"with a duty that is not known", `{"alg":"EdDSA","kid":"1","crit":["b64"]}`, nil, Expected{},
			"not signed with EdDSA"},
		{"of another key", `{"alg":"EdDSA","kid":"2"}`, nil, Expected{}, "no such key"},
		{"of a key of another kind", `{"alg":"EdDSA","kid":"9"}`, nil, Expected{}, "no such key"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			p, err := n.verifier(t).Verify(t.Context(), n.sign(tc.head, tc.change), tc.want)
			if tc.why == "" &&
				(err != nil || p.ID != "vrf_1" || p.Application != "app_1" || !p.ApprovedAt.Equal(notaryTime) ||
					len(p.Methods) != 2) {
				t.Errorf("got %+v, %v", p, err)
			}
			if tc.why != "" && (!errors.Is(err, ErrProof) || !strings.Contains(err.Error(), tc.why)) {
				t.Errorf("got %v, want: %s", err, tc.why)
			}
		})
	}
}

func TestProofIsTakenOnce(t *testing.T) {
	t.Parallel()
	n := newNotary(t)
	v := n.verifier(t, ProofsOfTestKeys())
	good := n.sign(goodHead, map[string]any{"mode": "test"})
	if _, err := v.Verify(t.Context(), good, Expected{Purpose: "other"}); err == nil {
		t.Error("another purpose passed")
	}
	if _, err := v.Verify(t.Context(), good, Expected{}); err != nil {
		t.Errorf("a proof that was refused is still good: %v", err)
	}
	if _, err := v.Verify(t.Context(), good, Expected{}); !errors.Is(err, ErrProof) ||
		!strings.Contains(err.Error(), "taken before") {
		t.Errorf("the second time: %v", err)
	}
	for _, bad := range []string{"", "a.b", good[:len(good)-4] + "AAAA", good + ".x", strings.Repeat("a", 5000)} {
		if _, err := v.Verify(t.Context(), bad, Expected{}); !errors.Is(err, ErrProof) {
			t.Errorf("%.20s: %v", bad, err)
		}
	}
	// Proofs of unknown keys do not make it ask the server each time.
	for range 5 {
		_, _ = v.Verify(t.Context(), n.sign(`{"alg":"EdDSA","kid":"7"}`, nil), Expected{})
	}
	if got := n.asked.Load(); got != 1 {
		t.Errorf("the keys were fetched %d times in an instant", got)
	}
	v.now = func() time.Time { return notaryTime.Add(6 * time.Minute) }
	if len(v.taken) != 1 {
		t.Fatalf("%v are remembered", v.taken)
	}
	fresh := n.sign(goodHead,
		map[string]any{"jti": "vrf_2", "iat": notaryTime.Unix() + 300, "exp": notaryTime.Unix() + 600})
	if _, err := v.Verify(t.Context(), fresh, Expected{}); err != nil || len(v.taken) != 1 || n.asked.Load() != 2 {
		t.Errorf("%v; remembered %v, fetched %d times", err, v.taken, n.asked.Load())
	}
}
