package keyring_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/dialproof/dialproof/internal/keyring"
)

func ring(t *testing.T, keys ...keyring.Key) *keyring.Ring {
	t.Helper()
	r, err := keyring.New(keys)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRotation(t *testing.T) {
	t.Parallel()
	first, second := keyring.Key{ID: 1, Secret: keyring.NewSecret()}, keyring.Key{ID: 2, Secret: keyring.NewSecret()}
	before, after := ring(t, first), ring(t, second, first)
	sealed := before.Seal([]byte("+447700900123"), []byte("row"))
	if plain, err := after.Open(sealed, []byte("row")); err != nil || string(plain) != "+447700900123" {
		t.Errorf("after the rotation: %q, %v", plain, err)
	}
	if before.Lookup([]byte("n")) != after.Lookup([]byte("n")) {
		t.Error("the rotation lost every limit")
	}
	old, _ := before.MAC(1, []byte("x"))
	if kept, err := after.MAC(1, []byte("x")); err != nil || kept != old {
		t.Errorf("codes died in the rotation: %v", err)
	}
	if after.Current() != 2 {
		t.Error("the first key does not make what is new")
	}
	if _, err := ring(t, second).Open(sealed, []byte("row")); !errors.Is(err, keyring.ErrUnknownKey) {
		t.Errorf("without its key: %v", err)
	}
}

func TestSealedBytesAreBound(t *testing.T) {
	t.Parallel()
	r := ring(t, keyring.Key{ID: 1, Secret: keyring.NewSecret()})
	sealed := r.Seal([]byte("secret"), []byte("row 1"))
	if bytes.Contains(sealed, []byte("secret")) {
		t.Error("sealed bytes hold the plain text")
	}
	if bytes.Equal(sealed, r.Seal([]byte("secret"), []byte("row 1"))) {
		t.Error("two seals of one text are alike")
	}
	if _, err := r.Open(sealed, []byte("row 2")); !errors.Is(err, keyring.ErrCorrupt) {
		t.Errorf("in another row: %v", err)
	}
	for i := range sealed {
		broken := bytes.Clone(sealed)
		broken[i] ^= 1
		if _, err := r.Open(broken, []byte("row 1")); err == nil {
			t.Fatalf("with byte %d changed it opened", i)
		}
	}
	if _, err := r.Open(nil, nil); !errors.Is(err, keyring.ErrCorrupt) {
		t.Errorf("nothing: %v", err)
	}
}

func TestPartsDoNotRunTogether(t *testing.T) {
	t.Parallel()
	r := ring(t, keyring.Key{ID: 1, Secret: keyring.NewSecret()})
	if r.Lookup([]byte("ab"), []byte("c")) == r.Lookup([]byte("a"), []byte("bc")) {
		t.Error("two lists of parts have one hash")
	}
}

func TestBadKeys(t *testing.T) {
	t.Parallel()
	good := keyring.NewSecret()
	for name, keys := range map[string][]keyring.Key{
		"none": nil, "no id": {{Secret: good}}, "short": {{ID: 1, Secret: good[:31]}},
		"twice": {{ID: 1, Secret: good}, {ID: 1, Secret: good}},
	} {
		if _, err := keyring.New(keys); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
