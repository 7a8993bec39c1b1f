package link_test

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/keyring"
	"github.com/dialproof/dialproof/internal/link"
	"github.com/dialproof/dialproof/internal/message"
)

func ring(t testing.TB, keys ...keyring.Key) *keyring.Ring {
	t.Helper()
	r, err := keyring.New(keys)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func key(n byte) keyring.Key { return keyring.Key{ID: n, Secret: bytes.Repeat([]byte{n}, 32)} }

func whole() link.Link {
	ids := id.NewSource(id.ID{})
	now := time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)
	return link.Link{
		ID:           ids.New(now),
		Key:          ids.New(now),
		Expires:      now.Add(time.Hour),
		To:           "+447700900123",
		Region:       "GB",
		Purpose:      "login",
		Locale:       "en",
		Channel:      "voice",
		Return:       "https://shop.example/back",
		State:        "s",
		Transaction:  &message.Transaction{Amount: "1", Currency: "EUR", Payee: "Acme"},
		Metadata:     map[string]string{"a": "b"},
		Verification: ids.New(now),
	}
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	s := link.Sealer{Ring: ring(t, key(1))}
	token := s.Seal(whole())
	got, err := s.Open(token)
	want := whole()
	want.ID, want.Key, want.Verification = got.ID, got.Key, got.Verification // random
	if err != nil || !reflect.DeepEqual(got, want) || got.Verification.IsZero() {
		t.Errorf("%v\n%+v", err, got)
	}
	if strings.Contains(token, "7700900123") || s.Seal(got) == token {
		t.Error("a token shows what is in it, or is the same twice")
	}
	if strings.Trim(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
		t.Errorf("a token must stand in an address as it is: %s", token)
	}
}

// TestForgery: every changed character, another ring and what the ring sealed for something else are refused.
func TestForgery(t *testing.T) {
	t.Parallel()
	r := ring(t, key(1))
	s := link.Sealer{Ring: r}
	token := s.Seal(whole())
	for i := range token {
		other := byte('A')
		if token[i] == other {
			other = 'B'
		}
		if _, err := s.Open(token[:i] + string(other) + token[i+1:]); !errors.Is(err, link.ErrInvalid) {
			t.Fatalf("opened with character %d changed: %v", i, err)
		}
	}
	for name, text := range map[string]string{"empty": "", "no base64": "é", "cut": token[:len(token)-4],
		"longer": token + "AAAA", "too long": strings.Repeat("A", link.MaxToken+1)} {
		if _, err := s.Open(text); !errors.Is(err, link.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := (link.Sealer{Ring: ring(t, key(2))}).Open(token); !errors.Is(err, link.ErrInvalid) {
		t.Errorf("another ring opens it: %v", err)
	}
	if _, err := (link.Sealer{Ring: ring(t, key(2), key(1))}).Open(token); err != nil {
		t.Errorf("after a rotation it is dead: %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	s := link.Sealer{Ring: ring(f, key(1))}
	f.Add(s.Seal(whole()))
	f.Fuzz(func(t *testing.T, token string) {
		if l, err := s.Open(token); err == nil && l.Key.IsZero() {
			t.Error("a link of nobody")
		}
	})
}

// TestLongestToken holds that a token of exactly MaxToken characters is read, and no longer one.
func TestLongestToken(t *testing.T) {
	t.Parallel()
	s := link.Sealer{Ring: ring(t, key(1))}
	l := whole()
	l.State = ""
	l.State = strings.Repeat("s", (link.MaxToken-len(s.Seal(l)))*3/4-8)
	for range 40 {
		token := s.Seal(l)
		if _, err := s.Open(token); (err == nil) != (len(token) <= link.MaxToken) {
			t.Fatalf("%d characters: %v", len(token), err)
		}
		if len(token) == link.MaxToken {
			return
		}
		l.State += "s"
	}
	t.Fatal("no token had the greatest length")
}
