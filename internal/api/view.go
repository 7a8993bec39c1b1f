package api

import (
	"time"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/proof"
	"github.com/dialproof/dialproof/internal/verify"
)

// verificationView is a verification as it is answered. The code never is, and the number only masked.
type verificationView struct {
	ID           string            `json:"id"`
	Status       verify.Status     `json:"status"`
	To           string            `json:"to"`
	Country      string            `json:"country"`
	Email        string            `json:"email,omitempty"`
	Proves       verify.Proof      `json:"proves"`
	Purpose      string            `json:"purpose"`
	Channel      channel.Kind      `json:"channel"`
	CodeLength   int               `json:"code_length"`
	CreatedAt    time.Time         `json:"created_at"`
	ExpiresAt    time.Time         `json:"expires_at"`
	EndedAt      time.Time         `json:"ended_at,omitzero"`
	AttemptsLeft int               `json:"attempts_left"`
	ResendsLeft  int               `json:"resends_left"`
	ResendAt     time.Time         `json:"resend_at,omitzero"`
	Next         *nextView         `json:"next,omitempty"`
	Deliveries   []deliveryView    `json:"deliveries"`
	Metadata     map[string]string `json:"metadata"`
}

// nextView is what an order of channels goes on with.
type nextView struct {
	Channel channel.Kind `json:"channel"`
	At      time.Time    `json:"at"`
}

type deliveryView struct {
	ID        string            `json:"id"`
	Channel   channel.Kind      `json:"channel"`
	Route     string            `json:"route"`
	Status    channel.Status    `json:"status"`
	Reason    string            `json:"reason,omitempty"`
	Error     channel.ErrorKind `json:"error,omitempty"`
	ErrorCode string            `json:"error_code,omitempty"`
	Parts     int               `json:"parts,omitzero"`
	Price     string            `json:"price,omitempty"`
	Currency  string            `json:"currency,omitempty"`
	CreatedAt time.Time         `json:"created_at"`
	UpdatedAt time.Time         `json:"updated_at"`
}

type checkView struct {
	ID           string            `json:"id"`
	Status       verify.Status     `json:"status"`
	Result       verify.Result     `json:"result"`
	Counted      bool              `json:"counted"`
	To           string            `json:"to"`
	Proves       verify.Proof      `json:"proves"`
	Purpose      string            `json:"purpose"`
	AttemptsLeft int               `json:"attempts_left"`
	ExpiresAt    time.Time         `json:"expires_at"`
	Metadata     map[string]string `json:"metadata"`
	Proof        string            `json:"proof,omitempty"`
}

func (a *api) verification(v *verify.Verification) verificationView {
	return viewVerification(v, a.Now())
}

func viewVerification(v *verify.Verification, now time.Time) verificationView {
	out := verificationView{
		ID: v.ID.Text(id.Verification), Status: v.At(now), To: v.Spec.Masked, Country: v.Spec.Country, Email: v.Spec.Email,
		Proves: v.Proves(), Purpose: v.Spec.Purpose,
		Channel: v.Channel, CodeLength: v.Spec.CodeLength, CreatedAt: v.Spec.Created, ExpiresAt: v.Expires, EndedAt: v.Ended,
		AttemptsLeft: v.AttemptsLeft(), ResendsLeft: v.ResendsLeft(), ResendAt: v.ResendAt, Metadata: v.Spec.Metadata,
		Deliveries: make([]deliveryView, len(v.Deliveries)),
	}
	if out.Status == verify.Expired {
		out.EndedAt = v.Expires
	}
	if out.Status != verify.Pending {
		out.ResendAt = time.Time{}
	}
	if kind, at, ok := v.Next(); ok && out.Status == verify.Pending {
		out.Next = &nextView{kind, at}
	}
	for i, d := range v.Deliveries {
		out.Deliveries[i] = deliveryView{
			ID:        d.ID.Text(id.Delivery),
			Channel:   d.Channel,
			Route:     d.Route,
			Status:    d.Status,
			Reason:    d.Reason,
			Error:     d.Kind,
			ErrorCode: d.Code,
			Parts:     d.Parts,
			Price:     d.Price,
			Currency:  d.Currency,
			CreatedAt: d.Created,
			UpdatedAt: d.Updated,
		}
	}
	return out
}

// checked returns a check, with a proof when it was approved and one was asked for.
func (a *api) checked(c application.Caller, answer verify.CheckAnswer, f proof.Form) (checkView, error) {
	v := answer.Verification
	out := checkView{
		ID:           v.ID.Text(id.Verification),
		Status:       v.At(a.Now()),
		Result:       answer.Result,
		Counted:      answer.Counted,
		To:           v.Spec.Masked,
		Proves:       v.Proves(),
		Purpose:      v.Spec.Purpose,
		AttemptsLeft: v.AttemptsLeft(),
		ExpiresAt:    v.Expires,
		Metadata:     v.Spec.Metadata,
	}
	// Whoever reads a proof takes its subject for the holder of the number: one that went by mail proves no such thing.
	if f == "" || answer.Proven == nil || out.Proves != verify.ProvesPhone {
		return out, nil
	}
	var err error
	out.Proof, err = a.Prover.Sign(proof.Statement{
		Verification: out.ID,
		Application:  c.App.ID.Text(id.Application),
		Test:         v.Spec.Test,
		To:           answer.Proven.To,
		Country:      v.Spec.Country,
		Purpose:      v.Spec.Purpose,
		Channel:      v.Channel,
		Transaction:  answer.Proven.Transaction,
		At:           v.Ended,
	}, f)
	return out, err
}
