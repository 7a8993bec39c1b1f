package client

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// ErrProof is in each error of a ProofVerifier: the proof proves nothing.
var ErrProof = errors.New("dialproof: proof refused")

// Bounds of a ProofVerifier.
const (
	maxProof = 4096 // bytes
	// proofLeeway is how far the clocks of two machines may be apart.
	proofLeeway = 30 * time.Second
	// keysKept is how long the server's keys are used before they are fetched again.
	keysKept = 5 * time.Minute
	// keysGap is the least time between two fetches, whatever keys the proofs name.
	keysGap = 10 * time.Second
)

// Proof is what a signed statement of an approval says.
type Proof struct {
	// ID is taken once (jti).
	ID           string
	Issuer       string
	Application  string // aud
	Verification string
	// NumberHash is the SHA-256 of the number in E.164, in lower-case hexadecimal (sub).
	NumberHash string
	// Number is there when the check asked for ProofFormNumber.
	Number  string
	Country string
	Purpose Purpose
	Channel Channel
	// Methods are the authentication methods of RFC 8176 ("otp", "sms").
	Methods []string
	// Mode is "live", or "test" when the key was in test mode: then it says nothing about any real phone.
	Mode string
	// Transaction is the payment that the person agreed to; empty for none.
	Transaction Transaction
	ApprovedAt  time.Time
	ExpiresAt   time.Time
}

// Expected is what a proof must say. What is left empty may be anything.
type Expected struct {
	// To is the number in E.164.
	To          string
	Purpose     Purpose
	Transaction Transaction
	// Verification is the id that your start answered.
	Verification string
}

// ProofVerifier checks proofs with the server's public keys, without asking the server about each. It is safe for many
// goroutines; make one and keep it, because it also remembers which proofs were taken.
type ProofVerifier struct {
	base, application string
	test              bool
	http              *http.Client
	once              func(ctx context.Context, id string, expires time.Time) (bool, error)
	now               func() time.Time

	mu      sync.Mutex
	keys    map[string]ed25519.PublicKey
	fetched time.Time
	taken   map[string]time.Time // id → expiry
}

// ProofOption changes a ProofVerifier from its defaults.
type ProofOption func(*ProofVerifier)

// ProofsOfTestKeys takes proofs of test keys too, which say nothing about any real phone.
func ProofsOfTestKeys() ProofOption { return func(v *ProofVerifier) { v.test = true } }

// ProofsOnce gives a memory of taken proofs that several processes share: it answers whether id is new, and keeps it
// until expires. Without it each ProofVerifier has its own.
func ProofsOnce(f func(ctx context.Context, id string, expires time.Time) (bool, error)) ProofOption {
	return func(v *ProofVerifier) { v.once = f }
}

// ProofsByHTTPClient fetches the keys through h.
func ProofsByHTTPClient(h *http.Client) ProofOption { return func(v *ProofVerifier) { v.http = h } }

// NewProofVerifier returns a ProofVerifier for the proofs that the server at baseURL makes for an application
// ("app_…"). It makes no call yet.
func NewProofVerifier(baseURL, application string, opts ...ProofOption) (*ProofVerifier, error) {
	if !strings.HasPrefix(baseURL, "http://") && !strings.HasPrefix(baseURL, "https://") {
		return nil, errors.New("dialproof: the server's address must look like https://verify.example.com")
	}
	if !strings.HasPrefix(application, "app_") {
		return nil,
			errors.New("dialproof: the application's id is needed (app_…): a proof for another application proves nothing here")
	}
	v := &ProofVerifier{
		base: strings.TrimSuffix(baseURL, "/"), application: application, now: time.Now,
		http: &http.Client{Timeout: DefaultTimeout, CheckRedirect: noRedirect}, taken: map[string]time.Time{},
	}
	for _, o := range opts {
		o(v)
	}
	return v, nil
}

// Verify returns what a proof says, once: a second call with the same proof fails. An error that is ErrProof means that
// it proves nothing; another one, that the keys could not be fetched.
func (v *ProofVerifier) Verify(ctx context.Context, proof string, want Expected) (*Proof, error) {
	p, err := v.read(ctx, proof)
	if err != nil {
		return nil, err
	}
	if why := v.objection(p, want); why != "" {
		return nil, fmt.Errorf("%w: %s", ErrProof, why)
	}
	once := v.once
	if once == nil {
		once = v.takeOnce
	}
	fresh, err := once(ctx, p.ID, p.ExpiresAt.Add(proofLeeway))
	if err != nil {
		return nil, fmt.Errorf("dialproof: %w", err)
	}
	if !fresh {
		return nil, fmt.Errorf("%w: it was taken before", ErrProof)
	}
	return p, nil
}

// read checks the signature (RFC 7515, RFC 8037) and answers the claims.
func (v *ProofVerifier) read(ctx context.Context, proof string) (*Proof, error) {
	parts := strings.Split(proof, ".")
	if len(proof) > maxProof || len(parts) != 3 {
		return nil, fmt.Errorf("%w: it is no JWT", ErrProof)
	}
	var head struct {
		Algorithm string          `json:"alg"`
		Key       string          `json:"kid"`
		Critical  json.RawMessage `json:"crit"`
	}
	if !segment(parts[0], &head) || head.Algorithm != "EdDSA" || head.Critical != nil {
		return nil, fmt.Errorf("%w: it is not signed with EdDSA", ErrProof)
	}
	key, err := v.key(ctx, head.Key)
	if err != nil {
		return nil, err
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || !ed25519.Verify(key, []byte(parts[0]+"."+parts[1]), signature) {
		return nil, fmt.Errorf("%w: its signature does not hold", ErrProof)
	}
	c := &claims{}
	if !segment(parts[1], c) {
		return nil, fmt.Errorf("%w: its claims cannot be read", ErrProof)
	}
	return c.proof(v.application), nil
}

// claims are a proof's, as they stand in it.
type claims struct {
	Issuer       string      `json:"iss"`
	Audience     audience    `json:"aud"`
	Subject      string      `json:"sub"`
	ID           string      `json:"jti"`
	IssuedAt     int64       `json:"iat"`
	ExpiresAt    int64       `json:"exp"`
	Methods      []string    `json:"amr"`
	Mode         string      `json:"mode"`
	Purpose      Purpose     `json:"purpose"`
	Channel      Channel     `json:"channel"`
	Country      string      `json:"country"`
	Verification string      `json:"verification"`
	Number       string      `json:"phone_number"`
	Transaction  Transaction `json:"transaction"`
}

// proof returns the claims by their names here. The application is ours if it is among the audience.
func (c *claims) proof(application string) *Proof {
	p := &Proof{
		ID: c.ID, Issuer: c.Issuer, Verification: c.Verification, NumberHash: c.Subject, Number: c.Number, Country: c.Country,
		Purpose: c.Purpose, Channel: c.Channel, Methods: c.Methods, Mode: c.Mode, Transaction: c.Transaction,
		ApprovedAt: time.Unix(c.IssuedAt, 0).UTC(), ExpiresAt: time.Unix(c.ExpiresAt, 0).UTC(),
	}
	if slices.Contains(c.Audience, application) {
		p.Application = application
	}
	return p
}

// audience is one text or a list of them (RFC 7519 §4.1.3).
type audience []string

func (a *audience) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*a = audience{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(a))
}

// objection returns why a well-signed proof is not taken, and "" when it is.
func (v *ProofVerifier) objection(p *Proof, want Expected) string {
	now := v.now()
	sum := sha256.Sum256([]byte(want.To))
	switch {
	case p.Application == "":
		return "it is for another application"
	case p.ID == "" || !p.ExpiresAt.After(p.ApprovedAt):
		return "its claims are not those of a proof"
	case now.After(p.ExpiresAt.Add(proofLeeway)):
		return "it is over"
	case now.Before(p.ApprovedAt.Add(-proofLeeway)):
		return "it is from the future"
	case p.Mode != "live" && !(v.test && p.Mode == "test"):
		return "it is of a test key"
	case want.To != "" && subtle.ConstantTimeCompare([]byte(p.NumberHash), []byte(hex.EncodeToString(sum[:]))) != 1:
		return "it is about another number"
	case want.Purpose != "" && p.Purpose != want.Purpose:
		return "it is for another purpose"
	case want.Transaction != Transaction{} && p.Transaction != want.Transaction:
		return "it is about another transaction"
	case want.Verification != "" && p.Verification != want.Verification:
		return "it is of another verification"
	}
	return ""
}

// takeOnce reports whether a proof is new, and drops those that are over.
func (v *ProofVerifier) takeOnce(_ context.Context, id string, expires time.Time) (bool, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := v.now()
	for old, end := range v.taken {
		if end.Before(now) {
			delete(v.taken, old)
		}
	}
	_, taken := v.taken[id]
	v.taken[id] = expires
	return !taken, nil
}

// key returns the public key of a name. An unknown name makes it fetch the keys again, but not all the time.
func (v *ProofVerifier) key(ctx context.Context, name string) (ed25519.PublicKey, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	age := v.now().Sub(v.fetched)
	if key, ok := v.keys[name]; ok && age < keysKept {
		return key, nil
	}
	if v.keys == nil || age >= keysGap {
		keys, err := v.fetch(ctx)
		if _, known := v.keys[name]; err != nil && !known {
			return nil, err
		}
		if err == nil {
			v.keys, v.fetched = keys, v.now()
		}
	}
	key, ok := v.keys[name]
	if !ok {
		return nil, fmt.Errorf("%w: the server has no such key", ErrProof)
	}
	return key, nil
}

// fetch gets the server's keys (RFC 7517).
func (v *ProofVerifier) fetch(ctx context.Context) (map[string]ed25519.PublicKey, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, v.base+"/.well-known/jwks.json", nil)
	if err != nil {
		return nil, fmt.Errorf("dialproof: %w", err)
	}
	resp, err := v.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("dialproof: no keys from %s: %w", v.base, err)
	}
	defer resp.Body.Close()
	var set struct {
		Keys []struct {
			Type  string `json:"kty"`
			Curve string `json:"crv"`
			ID    string `json:"kid"`
			X     string `json:"x"`
		} `json:"keys"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 256<<10)).Decode(&set); err != nil ||
		resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("dialproof: no keys from %s: it answers %s", v.base, resp.Status)
	}
	keys := map[string]ed25519.PublicKey{}
	for _, k := range set.Keys {
		x, err := base64.RawURLEncoding.DecodeString(k.X)
		if err == nil && k.Type == "OKP" && k.Curve == "Ed25519" && len(x) == ed25519.PublicKeySize {
			keys[k.ID] = x
		}
	}
	return keys, nil
}

// segment decodes one part of a JWT.
func segment(text string, out any) bool {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	return err == nil && json.Unmarshal(raw, out) == nil
}
