package verify_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/verify"
)

// replay returns an idempotency key with the request that it came with.
func replay(key, request byte) *verify.Replay {
	return &verify.Replay{
		Key: [32]byte{key}, Fingerprint: [32]byte{request},
		Render: func(a verify.CheckAnswer) []byte {
			return fmt.Appendf(nil, "%s after %d attempts and %d sends, result %s", a.Verification.Status,
				a.Verification.Attempts, a.Verification.Sends, a.Result)
		},
	}
}

// repeatable are the requests that an idempotency key makes safe to repeat. Each is judged on a pending verification.
func repeatable() map[string]func(context.Context, *world, *verify.Verification, *verify.Replay) error {
	return map[string]func(context.Context, *world, *verify.Verification, *verify.Replay) error{
		"start": func(ctx context.Context, w *world, _ *verify.Verification, r *verify.Replay) error {
			_, err := w.Start(ctx, w.live, verify.StartRequest{To: drama(101), Replay: r})
			return err
		},
		"check": func(ctx context.Context, w *world, v *verify.Verification, r *verify.Replay) error {
			_, err := w.Check(ctx, w.live, verify.CheckRequest{ID: v.ID, Code: "no code 000000", Replay: r})
			return err
		},
		"resend": func(ctx context.Context, w *world, v *verify.Verification, r *verify.Replay) error {
			_, err := w.Resend(ctx, w.live, verify.ResendRequest{ID: v.ID, Replay: r})
			return err
		},
		"cancel": func(ctx context.Context, w *world, v *verify.Verification, r *verify.Replay) error {
			_, err := w.Cancel(ctx, w.live, v.ID, r)
			return err
		},
	}
}

// TestRepetitions: a repeated request gets the first answer for a day and does nothing; another request with its key is
// refused.
func TestRepetitions(t *testing.T) {
	t.Parallel()
	answers := map[string]string{
		"start":  "pending after 0 attempts and 1 sends, result ",
		"check":  "pending after 1 attempts and 1 sends, result incorrect",
		"resend": "pending after 0 attempts and 2 sends, result ",
		"cancel": "canceled after 0 attempts and 1 sends, result ",
	}
	for name, do := range repeatable() {
		w := newWorld(t)
		w.unlimited()
		v := w.start(t, verify.StartRequest{To: drama(100)})
		want(t, name, outcome(do(t.Context(), w, v, replay(1, 1))), "ok")
		after, jobs := w.kept(t, v), len(w.jobs)
		for _, later := range []time.Duration{0, time.Minute, 24*time.Hour - time.Minute - time.Millisecond} {
			w.advance(later)
			first, ok := errors.AsType[*verify.Replayed](do(t.Context(), w, v, replay(1, 1)))
			if !ok || string(first.Body) != answers[name] || first.Error() == "" {
				t.Errorf("%s, repeated: %+v", name, first)
			}
			want(t, name+" of another request", outcome(do(t.Context(), w, v, replay(1, 2))), "idempotency_key_reused")
		}
		if now := w.kept(t, v); now.Attempts != after.Attempts || now.Sends != after.Sends || now.Status != after.Status ||
			len(w.jobs) != jobs || w.reserved != 0 {
			t.Errorf("%s: a repetition did something: %+v, %d jobs", name, now, len(w.jobs))
		}
		w.advance(time.Millisecond)
		if err := do(t.Context(), w, v, replay(1, 2)); errors.As(err, new(*verify.Replayed)) ||
			outcome(err) == "idempotency_key_reused" {
			t.Errorf("%s: the key is still remembered after a day: %v", name, err)
		}
	}
}

// TestOnlyAnswersAreRemembered: a refusal is no answer, so that a repetition tries again; and keys do not meet.
func TestOnlyAnswersAreRemembered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v := w.start(t, verify.StartRequest{To: drama(100)})
	resend := repeatable()["resend"]
	want(t, "in the gap", outcome(resend(t.Context(), w, v, replay(1, 1))), "rate_limited number_gap")
	w.advance(30 * time.Second)
	want(t, "after the gap", outcome(resend(t.Context(), w, v, replay(1, 1))), "ok")
	w.advance(time.Minute)
	want(t, "another key", outcome(resend(t.Context(), w, v, replay(2, 1))), "ok")
	want(t, "no key", outcome(resend(t.Context(), w, v, nil)), "rate_limited number_gap")
}

// TestAnswersAreSealed: what is kept for a repetition cannot be read, and opens under its own key alone.
func TestAnswersAreSealed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := replay(1, 1)
	w.start(t, verify.StartRequest{To: drama(100), Replay: r})
	var sealed []byte
	err := w.db.Do(t.Context(), verify.Needs{Replay: r.Key}, func(tx verify.Tx) (err error) {
		_, sealed, _, err = tx.Replay(r.Key, w.Clock())
		return err
	})
	if err != nil || len(sealed) == 0 || bytes.Contains(sealed, []byte("pending")) {
		t.Fatalf("%q, %v", sealed, err)
	}
	if _, err := w.Ring.Open(sealed, r.Key[1:]); err == nil {
		t.Error("it opens under another key")
	}
	moved := replay(2, 1)
	err = w.db.Do(t.Context(), verify.Needs{Replay: moved.Key}, func(tx verify.Tx) error {
		tx.PutReplay(moved.Key, moved.Fingerprint, sealed, w.Clock().Add(time.Hour))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Start(t.Context(), w.live, verify.StartRequest{To: drama(101), Replay: moved}); err == nil ||
		errors.As(err, new(*verify.Replayed)) {
		t.Errorf("an answer that was moved to another key: %v", err)
	}
}
