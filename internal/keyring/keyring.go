// Package keyring holds the deployment's secret keys and what is done with them: derive codes, seal
// personal data, hash numbers for look-up, sign proofs.
//
// The keys live outside the database, so that a stolen database holds no code and no number. It is not
// a key store: keys come from the configuration and never change while the process runs.
package keyring

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"sync"
)

// MinKey is the least length of a key, in bytes.
const MinKey = 32

// Key is one secret of the ring. ID is 1 to 255 and stands in every row that the key made.
type Key struct {
	ID     byte
	Secret []byte
}

// Ring is an ordered set of keys. The first one makes what is new; the others read what is old. The last
// one hashes numbers for look-up, so that limits survive a rotation.
type Ring struct {
	keys   map[byte]*subkeys
	first  byte
	lookup *sync.Pool
}

type subkeys struct {
	seal cipher.AEAD
	code *sync.Pool
	sign ed25519.PrivateKey
}

// ErrUnknownKey is the answer when a row was made with a key that is not on the ring.
var ErrUnknownKey = errors.New("keyring: made with a key that is not configured")

// ErrCorrupt is the answer when sealed bytes do not open.
var ErrCorrupt = errors.New("keyring: sealed data does not open")

// New returns a ring, or what is wrong with the keys.
func New(keys []Key) (*Ring, error) {
	if len(keys) == 0 {
		return nil, errors.New("keyring: at least one key is needed")
	}
	r := &Ring{keys: make(map[byte]*subkeys, len(keys)), first: keys[0].ID}
	for _, k := range keys {
		if k.ID == 0 {
			return nil, errors.New("keyring: a key needs an id from 1 to 255")
		}
		if r.keys[k.ID] != nil {
			return nil, fmt.Errorf("keyring: two keys have the id %d", k.ID)
		}
		if len(k.Secret) < MinKey {
			return nil, fmt.Errorf("keyring: key %d has %d bytes, at least %d are needed", k.ID, len(k.Secret), MinKey)
		}
		sub, err := derive(k.Secret)
		if err != nil {
			return nil, err
		}
		r.keys[k.ID] = sub
	}
	lookup, err := hkdf.Key(sha256.New, keys[len(keys)-1].Secret, nil, "dialproof lookup v1", 32)
	if err != nil {
		return nil, fmt.Errorf("keyring: %w", err)
	}
	r.lookup = macPool(lookup)
	return r, nil
}

func derive(secret []byte) (*subkeys, error) {
	seal, err := hkdf.Key(sha256.New, secret, nil, "dialproof seal v1", 32)
	if err != nil {
		return nil, fmt.Errorf("keyring: %w", err)
	}
	code, err := hkdf.Key(sha256.New, secret, nil, "dialproof code v1", 32)
	if err != nil {
		return nil, fmt.Errorf("keyring: %w", err)
	}
	block, err := aes.NewCipher(seal)
	if err != nil {
		return nil, fmt.Errorf("keyring: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("keyring: %w", err)
	}
	seed, err := hkdf.Key(sha256.New, secret, nil, "dialproof sign v1", ed25519.SeedSize)
	if err != nil {
		return nil, fmt.Errorf("keyring: %w", err)
	}
	return &subkeys{seal: aead, code: macPool(code), sign: ed25519.NewKeyFromSeed(seed)}, nil
}

// mac is a keyed hash with room for what goes in and what comes out: what a hash.Hash is handed is on the heap.
type mac struct {
	hash.Hash
	in  []byte
	out [sha256.Size]byte
}

// macPool keeps keyed hashes: setting one up costs as much as using it.
func macPool(key []byte) *sync.Pool {
	return &sync.Pool{New: func() any { return &mac{Hash: hmac.New(sha256.New, key)} }}
}

// Current returns the id of the key that makes what is new.
func (r *Ring) Current() byte { return r.first }

// overhead is what AES-256-GCM adds: a nonce of 12 bytes and a tag of 16.
const overhead = 28

// Seal encrypts plain with AES-256-GCM under a fresh nonce; bound is authenticated but not kept, so that
// sealed bytes open only in the row they were made for.
func (r *Ring) Seal(plain, bound []byte) []byte {
	out := make([]byte, 1, 1+len(plain)+overhead)
	out[0] = r.first
	return r.keys[r.first].seal.Seal(out, nil, plain, bound)
}

// Open returns what Seal sealed.
func (r *Ring) Open(sealed, bound []byte) ([]byte, error) {
	if len(sealed) == 0 {
		return nil, ErrCorrupt
	}
	k := r.keys[sealed[0]]
	if k == nil {
		return nil, ErrUnknownKey
	}
	plain, err := k.seal.Open(nil, nil, sealed[1:], bound)
	if err != nil {
		return nil, ErrCorrupt
	}
	return plain, nil
}

// Lookup returns 128 bits that stand for parts in an index. Without the key nobody can go back, not even
// by trying every number there is.
func (r *Ring) Lookup(parts ...[]byte) [16]byte {
	m := r.lookup.Get().(*mac) // the pool holds nothing else
	defer r.lookup.Put(m)
	whole := m.sum(parts)
	return [16]byte(whole[:16])
}

// MAC returns HMAC-SHA-256 of parts under the code key named id.
func (r *Ring) MAC(id byte, parts ...[]byte) ([32]byte, error) {
	k := r.keys[id]
	if k == nil {
		return [32]byte{}, ErrUnknownKey
	}
	m := k.code.Get().(*mac) // the pool holds nothing else
	defer k.code.Put(m)
	return m.sum(parts), nil
}

// SigningKey returns the Ed25519 key that signs what is new, and its id.
func (r *Ring) SigningKey() (id byte, key ed25519.PrivateKey) { return r.first, r.keys[r.first].sign }

// PublicKeys returns by id what checks the signatures of every key on the ring.
func (r *Ring) PublicKeys() map[byte]ed25519.PublicKey {
	out := make(map[byte]ed25519.PublicKey, len(r.keys))
	for id, k := range r.keys {
		out[id], _ = k.sign.Public().(ed25519.PublicKey)
	}
	return out
}

// sum hashes the parts, each behind its length, so that no two lists give the same input.
func (m *mac) sum(parts [][]byte) [sha256.Size]byte {
	m.in = m.in[:0]
	for _, p := range parts {
		m.in = append(binary.BigEndian.AppendUint32(m.in, uint32(len(p))), p...)
	}
	m.Reset()
	m.Write(m.in)
	m.Sum(m.out[:0])
	return m.out
}

// NewSecret returns 32 random bytes for a new key.
func NewSecret() []byte {
	b := make([]byte, 32)
	rand.Read(b) // crypto/rand.Read never fails
	return b
}
