package webhook

import (
	"net/http"
	"net/netip"
	"time"

	"github.com/dialproof/dialproof/internal/keyring"
)

// NewTestSender returns a Sender for https whose connections are made by dial and carry no TLS.
func NewTestSender(dial Dial) *Sender {
	c := newClient(dial)
	c.Transport.(*http.Transport).DialTLSContext = dial
	return &Sender{secure: c}
}

// PublicControl is what the dialer of a Sender asks before it connects.
func PublicControl(network, address string) error { return control(public)(network, address, nil) }

// Public reports whether an address is one that is called.
func Public(a netip.Addr) bool { return public(a) }

// Keys returns what signs for an endpoint.
func Keys(ring *keyring.Ring, e *Endpoint, now time.Time) ([][]byte, error) { return e.keys(ring, now) }
