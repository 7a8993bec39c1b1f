// Package link makes and opens the links that lead a person to the hosted page.
//
// A link is sealed with the key ring and kept nowhere: it carries the application's request, which nobody can read or
// change, and whoever has it may act on it until it expires. It dies with the API key that made it. What it starts is
// bounded by the core.
package link

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/keyring"
	"github.com/dialproof/dialproof/internal/message"
)

// The life of a link.
const (
	MinLife     = time.Minute
	MaxLife     = time.Hour
	DefaultLife = 15 * time.Minute
)

// Bounds of a link. MaxToken keeps its address within what proxies take.
const (
	MaxReturn = 1024 // bytes
	MaxState  = 512  // bytes
	MaxToken  = 4096 // characters
)

// ErrInvalid is every reason not to open a token; who has it is not told which.
var ErrInvalid = errors.New("link: not valid")

// Link is a request to verify a number on the hosted page.
type Link struct {
	ID id.ID `json:"-"`
	// Key is the API key that made it, and with it the application.
	Key     id.ID     `json:"-"`
	Expires time.Time `json:"-"` // to the second

	To      string       `json:"t,omitempty"` // as the application wrote it; empty: the person types it
	Region  string       `json:"r,omitempty"`
	Purpose string       `json:"p,omitempty"`
	Locale  string       `json:"l,omitempty"`
	Channel channel.Kind `json:"c,omitempty"`
	// Return is where the person goes at the end. Embed is the origin of the page that shows this one in a frame, and is
	// told the end instead. One of the two is set.
	Return string `json:"u,omitempty"`
	Embed  string `json:"f,omitempty"`
	State  string `json:"s,omitempty"`
	// Bare leaves out the line that fills the code in by itself.
	Bare        bool                 `json:"b,omitempty"`
	Transaction *message.Transaction `json:"x,omitempty"`
	Metadata    map[string]string    `json:"m,omitempty"`

	// Verification is the one that the person is in; zero before the start.
	Verification id.ID `json:"-"`
}

// wire is a link as it is sealed: short, because it stands in an address.
type wire struct {
	Link
	I []byte `json:"i"`
	K []byte `json:"k"`
	V []byte `json:"v,omitempty"`
	E int64  `json:"e"`
}

// Sealer turns links into tokens and back.
type Sealer struct{ Ring *keyring.Ring }

// bound keeps a token from being taken for anything else that the ring has sealed.
const bound = "dialproof link v1"

// Seal returns the token of a link, in characters that an address takes as they are. Two tokens of one link differ.
func (s Sealer) Seal(l Link) string {
	w := wire{Link: l, I: l.ID[:], K: l.Key[:], E: l.Expires.Unix()}
	if !l.Verification.IsZero() {
		w.V = l.Verification[:]
	}
	plain, _ := json.Marshal(w) // strings and numbers
	return base64.RawURLEncoding.EncodeToString(s.Ring.Seal(plain, []byte(bound)))
}

// Open returns the link of a token, expired or not, or ErrInvalid.
func (s Sealer) Open(token string) (Link, error) {
	if len(token) > MaxToken {
		return Link{}, ErrInvalid
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil {
		return Link{}, ErrInvalid
	}
	plain, err := s.Ring.Open(sealed, []byte(bound))
	if err != nil {
		return Link{}, ErrInvalid
	}
	var w wire
	if err := json.Unmarshal(plain, &w); err != nil {
		return Link{}, ErrInvalid
	}
	l := w.Link
	l.Expires = time.Unix(w.E, 0).UTC()
	copy(l.ID[:], w.I)
	copy(l.Key[:], w.K)
	copy(l.Verification[:], w.V)
	return l, nil
}
