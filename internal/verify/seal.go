package verify

import (
	"bytes"
	"encoding/json"

	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/message"
	"github.com/dialproof/dialproof/internal/phone"
)

// Private is what is sealed.
type Private struct {
	To          string               `json:"to"` // E.164
	Email       string               `json:"email,omitzero"`
	Supplied    string               `json:"code,omitzero"`
	Transaction *message.Transaction `json:"transaction,omitzero"`
	Client      *Client              `json:"client,omitzero"`
}

// Client is what the application knows of the person's side.
type Client struct {
	IP        string `json:"ip,omitzero"`
	UserAgent string `json:"user_agent,omitzero"`
	DeviceID  string `json:"device_id,omitzero"`
}

// number returns whom it is for. The number was judged when it was written down: newer metadata that would refuse it
// does not make it unreadable.
func (p *Private) number() (phone.Number, error) {
	n, err := phone.FromE164(p.To)
	if n.IsZero() {
		return n, err
	}
	return n, nil
}

// Forget takes out what is personal: country and prefix of the number stay, and what became of it.
func (v *Verification) Forget() {
	v.Sealed = nil
	v.Spec.Number, v.Spec.Masked, v.Spec.Email, v.Spec.Metadata, v.Spec.Previous = NumberKey{}, "", "", nil, id.ID{}
	for i := range v.Deliveries {
		v.Deliveries[i].ProviderID = ""
	}
}

// numberKey returns the key under which a number is kept.
func (s *Service) numberKey(app id.ID, n phone.Number) NumberKey {
	return NumberKey(s.Ring.Lookup([]byte("number"), app[:], []byte(n.Key())))
}

// seal returns the private part of a verification as it is kept: JSON under the key ring.
func (s *Service) seal(v *Verification, p *Private) ([]byte, error) {
	if *p == (Private{To: p.To}) { // most of them; the digits of a number need no escapes
		var space [64]byte
		return s.Ring.Seal(append(append(append(space[:0], onlyTo...), p.To...), onlyEnd...), v.ID[:]), nil
	}
	whole := *p
	plain, err := json.Marshal(&whole)
	if err != nil {
		return nil, err
	}
	return s.Ring.Seal(plain, v.ID[:]), nil
}

// unseal returns the private part of a verification.
func (s *Service) unseal(v *Verification) (*Private, error) {
	plain, err := s.Ring.Open(v.Sealed, v.ID[:])
	if err != nil {
		return nil, err
	}
	if to, ok := bytes.CutPrefix(plain, []byte(onlyTo)); ok {
		if to, ok = bytes.CutSuffix(to, []byte(onlyEnd)); ok && !bytes.ContainsAny(to, `"\`) {
			return &Private{To: string(to)}, nil
		}
	}
	p := &Private{}
	return p, json.Unmarshal(plain, p)
}

// What stands around the number in a Private that has nothing else.
const onlyTo, onlyEnd = `{"to":"`, `"}`
