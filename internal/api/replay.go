package api

import (
	"crypto/sha256"
	"errors"
	"net/http"
	"strings"
	"sync"

	"github.com/dialproof/dialproof/internal/verify"
)

// maxKey bounds an Idempotency-Key, in characters.
const maxKey = 128

// inFlight are the idempotency keys whose first request is under way on this node.
type inFlight struct {
	mu   sync.Mutex
	keys map[[32]byte]struct{}
}

func (f *inFlight) enter(k [32]byte) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, there := f.keys[k]; there {
		return false
	}
	f.keys[k] = struct{}{}
	return true
}

func (f *inFlight) leave(k [32]byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.keys, k)
}

// idempotencyKey reads the header (draft-ietf-httpapi-idempotency-key-header): a quoted string, or the bare one that
// most clients send.
func idempotencyKey(r *http.Request) (string, error) {
	values := r.Header.Values("Idempotency-Key")
	if len(values) == 0 {
		return "", nil
	}
	key := strings.TrimSpace(values[0])
	if len(key) >= 2 && key[0] == '"' && key[len(key)-1] == '"' {
		key = key[1 : len(key)-1]
	}
	if len(values) > 1 || key == "" || len(key) > maxKey ||
		strings.ContainsFunc(key, func(c rune) bool { return c <= ' ' || c > '~' || c == '"' || c == '\\' }) {
		return "", newProblem("invalid_idempotency_key", "an Idempotency-Key has 1 to 128 visible ASCII characters")
	}
	return key, nil
}

// enter returns what makes a request safe to repeat, or nil when it has no Idempotency-Key. Its Render is the caller's
// to set, and leave must follow.
func (a *api) enter(r *http.Request, body []byte) (*verify.Replay, error) {
	key, err := idempotencyKey(r)
	if err != nil || key == "" {
		return nil, err
	}
	caller := callOf(r).caller
	replay := &verify.Replay{
		Key:         sha256.Sum256([]byte(string(caller.App.ID[:]) + string(caller.Key.Mode) + "\x00" + key)),
		Fingerprint: sha256.Sum256([]byte(r.Method + " " + r.URL.Path + "\x00" + string(body))),
	}
	if !a.inFlight.enter(replay.Key) {
		return nil,
			newProblem("idempotency_in_flight",
				"the first request with this Idempotency-Key is still under way: try again in a moment")
	}
	return replay, nil
}

// leave ends what enter began.
func (a *api) leave(r *verify.Replay) {
	if r != nil {
		a.inFlight.leave(r.Key)
	}
}

// replayed answers a repeated request as the first one was answered, when that is what the error says.
func replayed(w http.ResponseWriter, status int, err error) error {
	again, ok := errors.AsType[*verify.Replayed](err)
	if !ok {
		return err
	}
	w.Header().Set("Idempotency-Replayed", "true")
	send(w, status, again.Body)
	return nil
}
