package api

import (
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/keyring"
	"github.com/dialproof/dialproof/internal/proof"
	"github.com/dialproof/dialproof/internal/verify"
)

// TestProofOfAPhoneAlone: a proof is for a code that can only have come to the phone, for an approval, and for who
// asked.
func TestProofOfAPhoneAlone(t *testing.T) {
	t.Parallel()
	ring, err := keyring.New([]keyring.Key{{ID: 1, Secret: keyring.NewSecret()}})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)
	a := &api{Options: Options{Prover: proof.Signer{Ring: ring}, Now: func() time.Time { return now }}}
	proven := &verify.Proven{To: "+447700900123"}
	for name, c := range map[string]struct {
		channels []channel.Kind
		proven   *verify.Proven
		form     proof.Form
		want     bool
	}{
		"SMS":                  {[]channel.Kind{channel.SMS}, proven, proof.Hash, true},
		"a call after an SMS":  {[]channel.Kind{channel.SMS, channel.Voice}, proven, proof.Number, true},
		"mail":                 {[]channel.Kind{channel.Email}, proven, proof.Hash, false},
		"mail after an SMS":    {[]channel.Kind{channel.SMS, channel.Email}, proven, proof.Hash, false},
		"an SMS after mail":    {[]channel.Kind{channel.Email, channel.SMS}, proven, proof.Number, false},
		"nobody asked":         {[]channel.Kind{channel.SMS}, proven, "", false},
		"nothing was approved": {[]channel.Kind{channel.SMS}, nil, proof.Hash, false},
	} {
		v := &verify.Verification{
			ID:      id.NewSource(id.ID{}).New(now),
			Status:  verify.Approved,
			Ended:   now,
			Channel: c.channels[len(c.channels)-1],
		}
		for _, kind := range c.channels {
			v.Deliveries = append(v.Deliveries, channel.Delivery{Channel: kind})
		}
		got, err := a.checked(application.Caller{App: &application.Application{}},
			verify.CheckAnswer{Verification: v, Result: verify.ResultApproved, Proven: c.proven}, c.form)
		if err != nil || (got.Proof != "") != c.want {
			t.Errorf("%s: a proof is there: %t, want %t (%v)", name, got.Proof != "", c.want, err)
		}
	}
}
