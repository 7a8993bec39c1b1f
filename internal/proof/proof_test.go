package proof_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/keyring"
	"github.com/dialproof/dialproof/internal/message"
	"github.com/dialproof/dialproof/internal/proof"
)

func ring(t *testing.T, ids ...byte) *keyring.Ring {
	t.Helper()
	var keys []keyring.Key
	for _, id := range ids {
		keys = append(keys, keyring.Key{ID: id, Secret: []byte(strings.Repeat(string(rune('a'+id)), 32))})
	}
	r, err := keyring.New(keys)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func statement() proof.Statement {
	return proof.Statement{
		Verification: "vrf_1",
		Application:  "app_1",
		To:           "+447700900123",
		Country:      "GB",
		Purpose:      "transaction",
		Channel:      channel.SMS,
		Transaction:  &message.Transaction{Amount: "39.90", Currency: "EUR", Payee: "Acme Ltd"},
		At:           time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC),
	}
}

// check reads a proof as a stranger would: with the standard library and the public keys alone.
func check(t *testing.T, text string, jwks []byte) map[string]any {
	t.Helper()
	part := strings.Split(text, ".")
	if len(part) != 3 {
		t.Fatalf("%d parts", len(part))
	}
	raw := make([][]byte, 3)
	for i := range part {
		var err error
		if raw[i], err = base64.RawURLEncoding.DecodeString(part[i]); err != nil {
			t.Fatal(err)
		}
	}
	var head struct{ Alg, Kid string }
	var set struct{ Keys []struct{ Kid, X string } }
	var claims map[string]any
	for i, v := range map[int]any{0: &head, 1: &claims} {
		if err := json.Unmarshal(raw[i], v); err != nil {
			t.Fatal(err)
		}
	}
	if err := json.Unmarshal(jwks, &set); err != nil {
		t.Fatal(err)
	}
	for _, k := range set.Keys {
		if k.Kid != head.Kid {
			continue
		}
		x, err := base64.RawURLEncoding.DecodeString(k.X)
		if err != nil || head.Alg != "EdDSA" || !ed25519.Verify(x, []byte(part[0]+"."+part[1]), raw[2]) {
			t.Fatalf("%s: the signature does not hold (%v)", head.Alg, err)
		}
		return claims
	}
	t.Fatalf("no key %q in %s", head.Kid, jwks)
	return nil
}

func TestProof(t *testing.T) {
	t.Parallel()
	s := proof.Signer{Ring: ring(t, 2, 1), Issuer: "https://verify.example.com"}
	for _, form := range []proof.Form{proof.Hash, proof.Number} {
		text, err := s.Sign(statement(), form)
		if err != nil {
			t.Fatal(err)
		}
		c := check(t, text, s.JWKS())
		sum := sha256.Sum256([]byte("+447700900123"))
		for name, want := range map[string]any{
			"iss": "https://verify.example.com", "sub": hex.EncodeToString(sum[:]), "jti": "vrf_1", "verification": "vrf_1",
			"mode":    "live",
			"purpose": "transaction", "channel": "sms", "country": "GB", "iat": 1795507200.0, "auth_time": 1795507200.0,
			"exp": 1795507500.0,
		} {
			if c[name] != want {
				t.Errorf("%s: %s is %v, want %v", form, name, c[name], want)
			}
		}
		if got, _ := json.Marshal(
			[]any{c["aud"], c["amr"], c["transaction"]},
		); string(
			got,
		) != `[["app_1"],["otp","sms"],{"amount":"39.90","currency":"EUR","payee":"Acme Ltd"}]` {
			t.Errorf("%s: %s", form, got)
		}
		if _, named := c["phone_number"]; named != (form == proof.Number) || named != (c["phone_number_verified"] == true) {
			t.Errorf("%s: phone_number is %v", form, c["phone_number"])
		}
		again, _ := s.Sign(statement(), form)
		if again != text {
			t.Errorf("%s: the same statement gave another proof", form)
		}
	}
}

// TestProofOutlivesRotation: what the old key signed still checks after a new key came first.
func TestProofOutlivesRotation(t *testing.T) {
	t.Parallel()
	st := statement()
	st.Test, st.Channel = true, channel.Voice
	old, err := proof.Signer{Ring: ring(t, 1)}.Sign(st, proof.Hash)
	if err != nil {
		t.Fatal(err)
	}
	after := proof.Signer{Ring: ring(t, 2, 1)}
	c := check(t, old, after.JWKS())
	if c["mode"] != "test" || c["iss"] != "dialproof" {
		t.Errorf("%v", c)
	}
	now, _ := after.Sign(st, proof.Hash)
	if check(t, now, after.JWKS()); now == old {
		t.Error("the new key signed as the old one")
	}
	if s := string(after.JWKS()); strings.Count(s, `"kid"`) != 2 || strings.Contains(s, `"d"`) {
		t.Errorf("%s", s)
	}
}

func TestForms(t *testing.T) {
	t.Parallel()
	for form, want := range map[proof.Form]bool{proof.Hash: true, proof.Number: true, "": false, "full": false} {
		if form.Valid() != want {
			t.Errorf("%q is valid: %v", form, !want)
		}
	}
}

// TestKeysAreInOrder holds the order of the published keys by number, also where the first digit is the same.
func TestKeysAreInOrder(t *testing.T) {
	t.Parallel()
	body := proof.Signer{Ring: ring(t, 12, 2, 11, 1, 10, 13)}.JWKS()
	var set struct{ Keys []struct{ Kid string } }
	if err := json.Unmarshal(body, &set); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, k := range set.Keys {
		got = append(got, k.Kid)
	}
	if s := strings.Join(got, " "); s != "1 2 10 11 12 13" {
		t.Error(s)
	}
}
