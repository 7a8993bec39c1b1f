// Package webhook tells applications what happens: it keeps their endpoints, writes events down with the change that
// they tell of, signs them, and brings them there until they are taken.
//
// It follows Standard Webhooks 1.0 (github.com/standard-webhooks/standard-webhooks), so that receivers need nothing of
// ours. It does not know what an event is about, and it is not the provider of that name (internal/channel/webhook),
// which carries messages to people.
package webhook

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/dialproof/dialproof/internal/id"
)

// Kind says what an event tells. Receivers must expect kinds that they do not know.
type Kind string

// The kinds.
const (
	Started  Kind = "verification.started"
	Approved Kind = "verification.approved"
	Failed   Kind = "verification.failed"
	Expired  Kind = "verification.expired"
	Canceled Kind = "verification.canceled"
	// DeliveryUpdated tells that a delivery has got as far as to a provider, a carrier or a handset, or that it will not.
	DeliveryUpdated Kind = "delivery.updated"
	// Ping is sent on request, to try an endpoint.
	Ping Kind = "test.ping"
)

// deadline is the kind of a row that is no event: it comes due when a verification ends by itself.
const deadline Kind = "deadline"

// Kinds returns the kinds that an endpoint may ask for.
func Kinds() []Kind {
	return []Kind{Started, Approved, Failed, Expired, Canceled, DeliveryUpdated}
}

// Bounds of an endpoint and of what is sent to it.
const (
	MaxEndpoints   = 20   // of one application
	MaxURL         = 2048 // bytes
	MaxDescription = 256  // characters
	// MaxBody is the size below which a body stays, in bytes (Standard Webhooks asks for less than 20 kB).
	MaxBody = 20_000
	// Overlap is how long the secret before a rotation still signs.
	Overlap = 24 * time.Hour
	// maxSecrets bounds the secrets that sign at once.
	maxSecrets = 4
	// MaxPage is how many events one list answers.
	MaxPage = 100
)

// Endpoint is where an application wants its events.
type Endpoint struct {
	ID  id.ID `json:"id"`
	App id.ID `json:"app"`
	// Test endpoints get the events of keys in test mode, and the others those of live ones: a test proves nothing.
	Test        bool   `json:"test,omitzero"`
	URL         string `json:"url"`
	Description string `json:"description,omitzero"`
	// Kinds are those that it gets; empty: all.
	Kinds []Kind `json:"kinds,omitzero"`
	// Secrets sign, newest first.
	Secrets []Secret  `json:"secrets"`
	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"`
	// Disabled is since when nothing is sent, and Reason why; zero while it is enabled.
	Disabled time.Time `json:"disabled,omitzero"`
	Reason   Reason    `json:"reason,omitzero"`
	// Failing is since when it has taken nothing; zero when all is well.
	Failing time.Time `json:"failing,omitzero"`
}

// Secret is one signing secret, sealed by the key ring and bound to its endpoint.
type Secret struct {
	Sealed []byte `json:"sealed"`
	// Until is when it stops signing; zero for the newest.
	Until time.Time `json:"until,omitzero"`
}

// Reason is why an endpoint is disabled.
type Reason string

// The reasons.
const (
	ByOperator Reason = "operator" // somebody asked for it
	ByGone     Reason = "gone"     // it answered 410
	ByFailing  Reason = "failing"  // it has taken nothing for FailingFor
)

// FailingFor is how long an endpoint may take nothing before it is disabled.
const FailingFor = 5 * 24 * time.Hour

// Enabled reports whether events are sent to it.
func (e *Endpoint) Enabled() bool { return e.Disabled.IsZero() }

// Wants reports whether it gets events of a kind.
func (e *Endpoint) Wants(k Kind) bool {
	return len(e.Kinds) == 0 || k == Ping || slices.Contains(e.Kinds, k)
}

// State is how far an event has come on its way to an endpoint.
type State int

// The states. Their numbers stand in rows and never change.
const (
	Pending State = iota
	Delivered
	Dead // given up: only a replay sends it again
)

// String returns the word for it.
func (s State) String() string {
	switch s {
	case Pending:
		return "pending"
	case Delivered:
		return "delivered"
	case Dead:
		return "dead"
	}
	return "unknown"
}

// States returns every state.
func States() []State { return []State{Pending, Delivered, Dead} }

// Event is one event on its way to one endpoint, as it is kept.
type Event struct {
	// ID names the row, Event the event: it is the same for every endpoint and every attempt.
	ID    id.ID
	Event id.ID
	// Endpoint is zero for a deadline.
	Endpoint id.ID
	// Ref is what it is about. When that is forgotten, so is the event.
	Ref  id.ID
	Kind Kind
	// Sealed is the body under the key ring, bound to Event.
	Sealed []byte
	State  State
	// Due is when a pending one is sent next, or until when it is leased.
	Due time.Time
	// Claims is the fence, and Tries how often it was sent since it was made or replayed.
	Claims, Tries int
	// Log are the newest attempts, oldest first, at most maxLog.
	Log []Attempt
}

// maxLog bounds the attempts that an event remembers.
const maxLog = 12

// Attempt is one try to bring an event to its endpoint.
type Attempt struct {
	At time.Time `json:"at"`
	// Status is the HTTP status; 0 when there was no answer.
	Status int `json:"status,omitzero"`
	// Error says in words what was wrong; empty when it was taken.
	Error string `json:"error,omitzero"`
	// Took is in milliseconds.
	Took int64 `json:"took,omitzero"`
}

// Errors of the room.
var (
	ErrNotFound = errors.New("webhook: not found")
	// ErrDisabled is the answer to a test or replay of an endpoint that gets nothing.
	ErrDisabled = errors.New("webhook: the endpoint is disabled")
	// ErrTooMany is the answer to one endpoint more than MaxEndpoints.
	ErrTooMany = errors.New("webhook: the application has as many endpoints as it may")
	// ErrFenced is the answer to a finish by an older claim.
	ErrFenced = errors.New("webhook: the lease has passed to another attempt")
)

// FieldError is a field of an endpoint that cannot be taken.
type FieldError struct{ Field, Code, Detail string }

// Error reads "url: must be …".
func (e *FieldError) Error() string { return e.Field + ": " + e.Detail }

// Lane is an endpoint with pending events.
type Lane struct {
	Endpoint id.ID
	// First is when the first of them is due.
	First time.Time
}

// Backlog is what waits for an endpoint.
type Backlog struct {
	Lane
	Open int
}

// Share is how many events of an endpoint may be claimed.
type Share struct {
	Endpoint id.ID
	Most     int
}

// Page chooses events of an endpoint.
type Page struct {
	// State is a pointer because zero is a state; nil: any.
	State *State
	// Before continues a list; zero: from the newest.
	Before id.ID
	Limit  int
}

// Store keeps endpoints and events. Writes are durable when they return.
type Store interface {
	Webhooks(ctx context.Context) ([]Endpoint, error)
	PutWebhook(ctx context.Context, e Endpoint) error
	// DropWebhook forgets an endpoint and all its events.
	DropWebhook(ctx context.Context, endpoint id.ID) error
	// Version returns a number that grows with every change to endpoints.
	Version(ctx context.Context) (int64, error)

	// AddEvents writes events that no change makes.
	AddEvents(ctx context.Context, events []Event) error
	// Lanes returns the endpoints that have pending events, each once.
	Lanes(ctx context.Context) ([]Lane, error)
	// Backlogs returns what waits for each endpoint; it counts, and costs more than Lanes.
	Backlogs(ctx context.Context) ([]Backlog, error)
	// ClaimEvents leases due events, the oldest due of each endpoint first, each with Claims raised and Due set to
	// now+lease.
	ClaimEvents(ctx context.Context, now time.Time, shares []Share, lease time.Duration) ([]Event, error)
	// FinishEvent writes State, Due, Tries and Log of a claimed event; ErrFenced when its claim is not the newest.
	FinishEvent(ctx context.Context, e Event) error
	// DropEvent removes the row of a claimed event.
	DropEvent(ctx context.Context, e Event) error
	// Events returns events of an endpoint, newest first.
	Events(ctx context.Context, endpoint id.ID, p Page) ([]Event, error)
	// Replay makes the dead events of an endpoint that were made at or after since pending and due now; with event, that
	// one alone, dead or delivered. It answers how many.
	Replay(ctx context.Context, endpoint, event id.ID, since, now time.Time) (int, error)
	// PurgeEvents drops the delivered ones made before delivered and all made before rest, and answers how many.
	PurgeEvents(ctx context.Context, delivered, rest time.Time) (int, error)
}
