package verify

import (
	"crypto/subtle"
	"time"
)

// Replay makes a request safe to repeat. It is nil without an Idempotency-Key.
type Replay struct {
	// Key hashes the caller's application and key; Fingerprint hashes the request.
	Key, Fingerprint [32]byte
	// Render makes the answer that a repetition gets. It is called in the transaction and must be pure.
	Render func(CheckAnswer) []byte
}

// Replayed is the error that carries the first answer of a repeated request.
type Replayed struct{ Body []byte }

// Error says what it is; callers unwrap it with errors.As.
func (*Replayed) Error() string { return "verify: answered before" }

// replayFor is how long an idempotency key is remembered.
const replayFor = 24 * time.Hour

// replayed returns the first answer of a repeated request as an error, or nil when it is the first.
func (s *Service) replayed(tx Tx, r *Replay) error {
	if r == nil {
		return nil
	}
	fingerprint, sealed, ok, err := tx.Replay(r.Key, s.Now())
	if err != nil || !ok {
		return err
	}
	if subtle.ConstantTimeCompare(fingerprint[:], r.Fingerprint[:]) != 1 {
		return fail(CodeReused, "this Idempotency-Key came before with another request: use a new one")
	}
	body, err := s.Ring.Open(sealed, r.Key[:])
	if err != nil {
		return err
	}
	return &Replayed{Body: body}
}

// keepReplay keeps the answer for a repetition. It is sealed: answers hold what the application put in.
func (s *Service) keepReplay(tx Tx, r *Replay, a CheckAnswer) {
	if r != nil {
		tx.PutReplay(r.Key, r.Fingerprint, s.Ring.Seal(r.Render(a), r.Key[:]), s.Now().Add(replayFor))
	}
}
