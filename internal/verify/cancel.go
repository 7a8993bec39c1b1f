package verify

import (
	"context"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/id"
)

// Cancel ends a pending verification.
func (s *Service) Cancel(ctx context.Context, c application.Caller, v id.ID, replay *Replay) (*Verification, error) {
	needs := Needs{Verification: v}
	if replay != nil {
		needs.Replay = replay.Key
	}
	var out *Verification
	err := s.Store.Do(ctx, needs, func(tx Tx) error {
		if err := s.replayed(tx, replay); err != nil {
			return err
		}
		v, _, err := s.load(tx, c, needs.Verification)
		if err != nil {
			return err
		}
		out = v
		if st := v.At(s.Now()); st != Pending {
			if st == Canceled {
				return nil // canceled before: the same answer again
			}
			return notPending(st)
		}
		v.end(Canceled, s.Now())
		halt(tx, v)
		tx.PutVerification(v, false)
		s.keepReplay(tx, replay, CheckAnswer{Verification: v})
		return nil
	})
	return out, err
}

func notPending(st Status) *Error {
	e := fail(CodeNotPending, "the verification is %s", st)
	e.Status = st
	return e
}
