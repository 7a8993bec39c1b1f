package channel

import (
	"time"

	"github.com/dialproof/dialproof/internal/id"
)

// Delivery is the record of one attempt to bring a code to a person: a channel, a route, a status.
// It holds neither the code nor the number.
type Delivery struct {
	ID      id.ID  `json:"id"`
	Channel Kind   `json:"channel"`
	Route   string `json:"route,omitzero"`
	Status  Status `json:"status"`
	// Attempt counts the calls made for this delivery; it is written before each call.
	Attempt    int    `json:"attempt,omitzero"`
	ProviderID string `json:"provider_id,omitzero"`
	// Kind and Code say why it failed or is unknown; Code is the provider's own.
	Kind ErrorKind `json:"kind,omitzero"`
	Code string    `json:"code,omitzero"`
	// Reason says in words why this route was chosen.
	Reason   string    `json:"reason,omitzero"`
	Parts    int       `json:"parts,omitzero"`
	Price    string    `json:"price,omitzero"`
	Currency string    `json:"currency,omitzero"`
	Created  time.Time `json:"created"`
	Updated  time.Time `json:"updated"`
}
