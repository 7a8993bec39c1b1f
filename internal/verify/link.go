package verify

import (
	"context"
	"time"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/limit"
	"github.com/dialproof/dialproof/internal/phone"
)

// LinkLife is the longest that anything of a link lives: the link itself and the last code that it started.
const LinkLife = time.Hour + application.MaxExpiresIn*time.Second

// linkStarts bounds the verifications of one link: a person may mistype the number a few times.
func linkStarts() limit.Rate { return limit.Rate{Name: "link", Burst: 5, Period: 3 * LinkLife} }

func (s *Service) linkKey(link id.ID) [16]byte { return s.Ring.Lookup([]byte("link"), link[:]) }

// linkLimits returns the limit that a start from a link takes. An approval uses all of it up, so that a link is
// approved once; and it is kept where the other limits are, so that a link needs no row of its own.
func (s *Service) linkLimits(link id.ID) []keyedRate {
	if link.IsZero() {
		return nil
	}
	return []keyedRate{{s.linkKey(link), linkStarts()}}
}

// spend makes a link start and approve nothing more.
func (s *Service) spend(tx Tx, link id.ID, now time.Time) {
	if !link.IsZero() {
		tx.PutLimit(s.linkKey(link), now.Add(linkStarts().Period+LinkLife).UnixMilli())
	}
}

// spent reports whether a link has been approved. Starts alone never take it that far: five of them end where the
// period does.
func (s *Service) spent(tx Tx, link id.ID, now time.Time) (bool, error) {
	if link.IsZero() {
		return false, nil
	}
	tat, err := tx.Limit(s.linkKey(link))
	return tat > now.Add(linkStarts().Period).UnixMilli(), err
}

// LinkUsed reports whether a link has been approved, so that nothing more can be done with it.
func (s *Service) LinkUsed(ctx context.Context, link id.ID) (bool, error) {
	used := false
	err := s.Store.Do(ctx, Needs{Limits: [][16]byte{s.linkKey(link)}}, func(tx Tx) (err error) {
		used, err = s.spent(tx, link, s.Now())
		return err
	})
	return used, err
}

// outrun ends a verification whose link was approved by another one.
func (s *Service) outrun(tx Tx, v *Verification, now time.Time) Result {
	v.end(Canceled, now)
	halt(tx, v)
	tx.PutVerification(v, false)
	return ResultCanceled
}

// Vet returns what would be wrong with a start, and does nothing. The number may still be missing.
func (s *Service) Vet(c application.Caller, r StartRequest) error {
	if r.To != "" {
		_, err := s.plan(c, r)
		return err
	}
	email, _ := ParseEmail(r.Email) // spec refuses what is none
	_, err := s.spec(c, r, phone.Number{}, email, s.Now(), &Spec{})
	return err
}

// Proven returns an approved verification and what it proves, for a proof that was lost on its way. It is not found
// when it is not approved, or when it is so long ago that the number is forgotten.
func (s *Service) Proven(ctx context.Context, c application.Caller, vid id.ID) (*Verification, *Proven, error) {
	v, err := s.Get(ctx, c, vid)
	if err != nil {
		return nil, nil, err
	}
	if v.Status != Approved || len(v.Sealed) == 0 {
		return nil, nil, notFound()
	}
	p, err := s.unseal(v)
	if err != nil {
		return nil, nil, err
	}
	return v, &Proven{To: p.To, Transaction: p.Transaction}, nil
}
