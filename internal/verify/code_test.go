package verify

import (
	"strings"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/keyring"
	"github.com/dialproof/dialproof/internal/message"
)

func testRing(t testing.TB) *keyring.Ring {
	t.Helper()
	ring, err := keyring.New([]keyring.Key{{ID: 7, Secret: keyring.NewSecret()}})
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// TestCodesAreFair draws many codes and holds every digit and the pair (first, last) against the uniform
// distribution by chi-square. The bounds are the quantiles at p = 10⁻⁹, so that a fair source fails once in a
// hundred million runs, while a source with modulo bias (256 mod 10) is off by a hundred.
func TestCodesAreFair(t *testing.T) {
	t.Parallel()
	const draws = 300_000
	ring, ids := testRing(t), id.NewSource(id.ID{})
	spec := &Spec{Key: 7, CodeLength: 6, Alphabet: application.Digits}
	now := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	var digit [6][10]int
	var pair [100]int
	zeros := 0
	for range draws {
		spec.Nonce = newNonce()
		code, err := deriveCode(ring, ids.New(now), spec, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		c := code.Reveal()
		if len(c) != 6 {
			t.Fatalf("a code of %d characters", len(c))
		}
		for i := range 6 {
			digit[i][c[i]-'0']++
		}
		pair[int(c[0]-'0')*10+int(c[5]-'0')]++
		if c[0] == '0' {
			zeros++
		}
	}
	for i := range digit {
		if x := chiSquare(digit[i][:], draws); x > 60.7 { // 9 degrees of freedom
			t.Errorf("digit %d: chi-square %.1f", i, x)
		}
	}
	if x := chiSquare(pair[:], draws); x > 206 { // 99 degrees of freedom
		t.Errorf("first and last digit: chi-square %.1f", x)
	}
	if zeros < draws/11 {
		t.Errorf("%d codes begin with 0, about %d should", zeros, draws/10)
	}
}

func chiSquare(counts []int, draws int) (x float64) {
	want := float64(draws) / float64(len(counts))
	for _, n := range counts {
		x += (float64(n) - want) * (float64(n) - want) / want
	}
	return x
}

// TestCodesDependOnEverything changes one input at a time.
func TestCodesDependOnEverything(t *testing.T) {
	t.Parallel()
	ring, ids := testRing(t), id.NewSource(id.ID{})
	spec := Spec{Key: 7, CodeLength: 10, Alphabet: application.Digits, Nonce: newNonce()}
	v := ids.New(time.Now())
	paid := &message.Transaction{Amount: "1.00", Currency: "EUR", Payee: "A"}
	derive := func(r *keyring.Ring, v id.ID, s Spec, generation int, p *message.Transaction) string {
		code, err := deriveCode(r, v, &s, generation, p)
		if err != nil {
			t.Fatal(err)
		}
		return code.Reveal()
	}
	base := derive(ring, v, spec, 0, paid)
	if base != derive(ring, v, spec, 0, paid) {
		t.Error("the same inputs give another code")
	}
	other := spec
	other.Nonce[0] ^= 1
	for name, code := range map[string]string{
		"key":        derive(testRing(t), v, spec, 0, paid),
		"id":         derive(ring, ids.New(time.Now()), spec, 0, paid),
		"nonce":      derive(ring, v, other, 0, paid),
		"generation": derive(ring, v, spec, 1, paid),
		"amount":     derive(ring, v, spec, 0, &message.Transaction{Amount: "1.01", Currency: "EUR", Payee: "A"}),
		"payment":    derive(ring, v, spec, 0, nil),
	} {
		if code == base {
			t.Errorf("another %s gives the same code", name)
		}
	}
	if _, err := deriveCode(ring, v, &Spec{Key: 9, CodeLength: 6, Alphabet: application.Digits}, 0, nil); err == nil {
		t.Error("a key that is not on the ring made a code")
	}
}

func TestAlphanumericsAreClear(t *testing.T) {
	t.Parallel()
	if strings.ContainsAny(alphanumerics, "01258OILZSBUV") {
		t.Error("the alphabet has characters that people confuse")
	}
}

func BenchmarkDeriveCode(b *testing.B) {
	ring, spec := testRing(b), &Spec{Key: 7, CodeLength: 6, Alphabet: application.Digits, Nonce: newNonce()}
	v := id.NewSource(id.ID{}).New(time.Now())
	for b.Loop() {
		if _, err := deriveCode(ring, v, spec, 0, nil); err != nil {
			b.Fatal(err)
		}
	}
}
