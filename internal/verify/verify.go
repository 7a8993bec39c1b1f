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

// Statuses returns every status.
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

// Results returns every result.
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
	// Step is how far the order of Spec.Fallback has come. Timer is the job that goes on to its next step; zero: the order
	// has ended.
	Step  int   `json:"n,omitzero"`
	Timer id.ID `json:"t,omitzero"`
	// Events counts the events that have told of it. They bear this number, so that a receiver can put them in order.
	Events int `json:"q,omitzero"`
	// Misread are the times of the last minute's submissions that could not be its code, Unix milliseconds.
	Misread    []int64            `json:"u,omitzero"`
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

// At returns the status at a time: a pending verification past its deadline is expired, written or not.
func (v *Verification) At(now time.Time) Status {
	if v.Status == Pending && !now.Before(v.Expires) {
		return Expired
	}
	return v.Status
}

// end makes v final, if st is final.
func (v *Verification) end(st Status, now time.Time) {
	if st == Pending {
		return
	}
	v.Status, v.Ended, v.ResendAt = st, now.UTC().Truncate(time.Millisecond), time.Time{}
	if st == Expired {
		v.Ended = v.Expires
	}
}

// AttemptsLeft returns how many codes may still be compared.
func (v *Verification) AttemptsLeft() int { return max(v.Spec.MaxAttempts-v.Attempts, 0) }

// ResendsLeft returns how many resends remain.
func (v *Verification) ResendsLeft() int { return max(v.Spec.MaxSends-v.Sends, 0) }

// lastRoute returns the route that carried the newest message of a channel; empty for none. Who asks again has not got
// it.
func (v *Verification) lastRoute(kind channel.Kind) string {
	for _, d := range slices.Backward(v.Deliveries) {
		if d.Channel == kind {
			return d.Route
		}
	}
	return ""
}

// clone returns a copy whose slices are its own.
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

// latest returns the newest verification of the purpose; zero for none.
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

// number parses what the request named.
func number(to, region string) (phone.Number, error) {
	n, err := phone.Parse(to, region)
	if err != nil {
		return phone.Number{}, numberError(err)
	}
	return n, nil
}
