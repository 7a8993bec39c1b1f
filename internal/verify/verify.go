// Package verify is the core: it starts, checks, resends and cancels verifications.
//
// All rules about codes, attempts, deadlines and who may be sent what live here, once. It does not know
// HTTP, SQL or any provider: it works on a Store that it declares, gives written-down work to a Dispatcher,
// and takes its time from whoever calls.
package verify

import (
	"slices"
	"time"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/limit"
	"github.com/dialproof/dialproof/internal/message"
	"github.com/dialproof/dialproof/internal/phone"
)

// Status is how far a verification has come. All but Pending are final.
type Status string

// The statuses.
const (
	Pending  Status = "pending"
	Approved Status = "approved"
	Failed   Status = "failed" // the attempts are used up
	Expired  Status = "expired"
	Canceled Status = "canceled"
)

// Statuses answers every status.
func Statuses() []Status { return []Status{Pending, Approved, Failed, Expired, Canceled} }

// Result is the answer to one check.
type Result string

// The results.
const (
	ResultApproved  Result = "approved"
	ResultIncorrect Result = "incorrect"
	ResultExpired   Result = "expired"
	ResultExhausted Result = "exhausted"
	ResultCanceled  Result = "canceled"
	ResultUsed      Result = "used" // approved before
)

// Results answers every result.
func Results() []Result {
	return []Result{ResultApproved, ResultIncorrect, ResultExpired, ResultExhausted, ResultCanceled, ResultUsed}
}

// The purposes that have texts of their own. An application may use its own word as well.
const (
	Registration  = "registration"
	Login         = "login"
	PasswordReset = "password_reset"
	PurposeMoney  = "transaction"
	ProfileChange = "profile_change"
)

// NumberKey stands for a number within an application: a keyed hash, useless without the key ring.
type NumberKey [16]byte

// Verification is one try to prove one number, as it is kept. The number itself, the payment and a code
// that the application supplied are in Sealed.
type Verification struct {
	ID   id.ID `json:"-"`
	App  id.ID `json:"-"`
	Spec Spec  `json:"-"`
	// Sealed is Private under the key ring, bound to the ID. Empty once the retention time is over.
	Sealed []byte `json:"-"`

	Status   Status       `json:"-"`
	Attempts int          `json:"-"` // codes compared so far
	Sends    int          `json:"s"`
	Channel  channel.Kind `json:"c"` // of the newest send
	ResendAt time.Time    `json:"r,omitzero"`
	Expires  time.Time    `json:"-"`
	Ended    time.Time    `json:"e,omitzero"` // when it became final; zero while pending
	// Generation counts fresh codes; it is part of what a code is derived from.
	Generation int `json:"g,omitzero"`
	// Step is how far the order of Spec.Fallback has come. Timer is the job that goes on to its next step; zero: the order has ended.
	Step  int   `json:"n,omitzero"`
	Timer id.ID `json:"t,omitzero"`
	// Events counts the events that have told of it. They bear this number, so that a receiver can put them in order.
	Events     int                `json:"q,omitzero"`
	Deliveries []channel.Delivery `json:"d"`
}

// Spec is what never changes between the start and Forget. It holds no personal data but the mask.
type Spec struct {
	Test    bool      `json:"test,omitzero"`
	Number  NumberKey `json:"number"`
	Masked  string    `json:"masked,omitzero"`
	Country string    `json:"country,omitzero"`
	Prefix  string    `json:"prefix,omitzero"` // the number without its last four digits
	Email   string    `json:"email,omitzero"`  // masked; empty without one
	Purpose string    `json:"purpose"`
	Locale  string    `json:"locale,omitzero"`
	Created time.Time `json:"created"`

	Nonce       [16]byte `json:"nonce"`
	Key         byte     `json:"key"` // of the ring
	CodeLength  int      `json:"code_length"`
	Alphabet    string   `json:"alphabet"`
	MaxAttempts int      `json:"max_attempts"`
	MaxSends    int      `json:"max_sends"`
	Fresh       bool     `json:"fresh,omitzero"`
	// Fallback is the application's order of channels when it was started.
	Fallback []application.Step `json:"fallback,omitzero"`
	Magic    Magic              `json:"magic,omitzero"`

	Trailer  message.Trailer   `json:"trailer,omitzero"`
	Metadata map[string]string `json:"metadata,omitzero"`
	// Previous is the verification of the same number before this one; zero for none.
	Previous id.ID `json:"previous,omitzero"`
	// Link is the link to the hosted page that it was started from; zero for none.
	Link id.ID `json:"link,omitzero"`
}

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

// Forget takes out what is personal: country and prefix of the number stay, and what became of it.
func (v *Verification) Forget() {
	v.Sealed = nil
	v.Spec.Number, v.Spec.Masked, v.Spec.Email, v.Spec.Metadata, v.Spec.Previous = NumberKey{}, "", "", nil, id.ID{}
	for i := range v.Deliveries {
		v.Deliveries[i].ProviderID = ""
	}
}

// At answers the status at a time: a pending verification past its deadline is expired, written or not.
func (v *Verification) At(now time.Time) Status {
	if v.Status == Pending && !now.Before(v.Expires) {
		return Expired
	}
	return v.Status
}

// AttemptsLeft answers how many codes may still be compared.
func (v *Verification) AttemptsLeft() int { return max(v.Spec.MaxAttempts-v.Attempts, 0) }

// ResendsLeft answers how many resends remain.
func (v *Verification) ResendsLeft() int { return max(v.Spec.MaxSends-v.Sends, 0) }

// lastRoute answers the route that carried the newest message of a channel; empty for none. Who asks again has not got it.
func (v *Verification) lastRoute(kind channel.Kind) string {
	for _, d := range slices.Backward(v.Deliveries) {
		if d.Channel == kind {
			return d.Route
		}
	}
	return ""
}

// clone answers a copy whose slices are its own.
func (v *Verification) clone() *Verification {
	c := *v
	c.Deliveries = slices.Clone(v.Deliveries)
	return &c
}

// Number is what is kept of one number in one application: its limits, its wrong codes and where its
// verifications are. It has no digit in it.
type Number struct {
	Key NumberKey `json:"-"`
	// Sends is the log that the send limits need.
	Sends limit.Log `json:"s,omitzero"`
	// Wrong is the GCRA state of wrong codes; Streak counts them since the last success; Last is the newest,
	// Unix milliseconds.
	Wrong  int64 `json:"w,omitzero"`
	Streak int   `json:"k,omitzero"`
	Last   int64 `json:"l,omitzero"`
	// Head is the newest verification; each one names the one before it.
	Head id.ID `json:"h,omitzero"`
	// Latest is the newest verification of each purpose, newest first, at most latestMax.
	Latest []Latest `json:"p,omitzero"`
}

// Latest is the newest verification of a purpose.
type Latest struct {
	Purpose string `json:"p"`
	ID      id.ID  `json:"i"`
}

// latestMax bounds the purposes remembered per number.
const latestMax = 8

// latest answers the newest verification of the purpose; zero for none.
func (n *Number) latest(purpose string) id.ID {
	for _, l := range n.Latest {
		if l.Purpose == purpose {
			return l.ID
		}
	}
	return id.ID{}
}

// remember makes v the newest of its purpose.
func (n *Number) remember(purpose string, v id.ID) {
	keep := []Latest{{Purpose: purpose, ID: v}}
	for _, l := range n.Latest {
		if l.Purpose != purpose && len(keep) < latestMax {
			keep = append(keep, l)
		}
	}
	n.Latest, n.Head = keep, v
}

// StartRequest is what an application asks for. Zero fields take the application's policy.
type StartRequest struct {
	To, Region  string
	Email       string // for the channel Email
	Channel     channel.Kind
	Purpose     string
	Locale      string
	CodeLength  int
	Alphabet    string
	Code        message.Code // supplied by the application; zero: Dialproof makes one
	ExpiresIn   int          // seconds
	MaxAttempts int
	Transaction *message.Transaction
	Autofill    message.Trailer
	Client      *Client
	Metadata    map[string]string
	Link        id.ID // that it comes from; zero for none
	Replay      *Replay
}

// CheckRequest is one submission of a code, for a verification by ID or by To and Purpose.
type CheckRequest struct {
	ID          id.ID
	To, Region  string
	Purpose     string
	Code        string
	Transaction *message.Transaction
	Replay      *Replay
}

// ResendRequest asks for one more message.
type ResendRequest struct {
	ID      id.ID
	Channel channel.Kind // empty: the same again
	Replay  *Replay
}

// CheckAnswer is what became of a check.
type CheckAnswer struct {
	Verification *Verification
	Result       Result
	// Proven is what the approval proves; nil for every other result.
	Proven *Proven
}

// Proven is what an approval proves, in full: it is for a proof and never for a log.
type Proven struct {
	To          string // E.164
	Transaction *message.Transaction
}

// Replay makes a request safe to repeat. It is nil without an Idempotency-Key.
type Replay struct {
	// Key hashes the caller's application and key; Fingerprint hashes the request.
	Key, Fingerprint [32]byte
	// Render makes the answer that a repetition gets. It is called in the transaction and must be pure.
	Render func(CheckAnswer) []byte
}

// Replayed is the error that carries the first answer of a repeated request.
type Replayed struct{ Body []byte }

// Error says what it is; callers unwrap it with errors.As.
func (*Replayed) Error() string { return "verify: answered before" }

// Filter chooses verifications of one application.
type Filter struct {
	To, Region    string
	Status        Status
	Purpose       string
	After, Before time.Time // of creation
	Limit         int       // 1 to 100
	Cursor        id.ID     // continue after this one
}

// Page is a part of a list, newest first.
type Page struct {
	Items []*Verification
	// Next continues the list; zero at its end.
	Next id.ID
}

// Magic is a fixed outcome of a number in test mode. docs/testing.md lists the numbers.
type Magic string

// The magic outcomes.
const (
	MagicNone        Magic = ""
	MagicApproved    Magic = "approved"    // the code is MagicCode
	MagicUndelivered Magic = "undelivered" // the message comes back undelivered
	MagicExpired     Magic = "expired"     // it is expired as soon as it is started
	MagicBlocked     Magic = "blocked"     // the start is refused as blocked
	MagicLimited     Magic = "limited"     // the start is refused as too fast
)

// number returns whom it is for. The number was judged when it was written down: newer metadata that would refuse it does not
// make it unreadable.
func (p *Private) number() (phone.Number, error) {
	n, err := phone.FromE164(p.To)
	if n.IsZero() {
		return n, err
	}
	return n, nil
}

// number parses what the request named.
func number(to, region string) (phone.Number, error) {
	n, err := phone.Parse(to, region)
	if err != nil {
		return phone.Number{}, numberError(err)
	}
	return n, nil
}
