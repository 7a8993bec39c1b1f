package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Status of a verification. All but Pending are final.
type Status string

// The statuses.
const (
	StatusPending  Status = "pending"
	StatusApproved Status = "approved"
	StatusFailed   Status = "failed" // the attempts are used up
	StatusExpired  Status = "expired"
	StatusCanceled Status = "canceled"
)

// Result is what a check came to.
type Result string

// The results. Only Approved proves anything.
const (
	Approved  Result = "approved"
	Incorrect Result = "incorrect"
	Expired   Result = "expired"
	Exhausted Result = "exhausted" // no attempt is left
	Canceled  Result = "canceled"
	Used      Result = "used" // the code was accepted before
)

// Proof is what an approved code shows that the person holds.
type Proof string

// The proofs.
const (
	ProvesPhone  Proof = "phone"
	ProvesEmail  Proof = "email"          // the code went by mail alone
	ProvesEither Proof = "phone_or_email" // it went both ways, and nobody knows which one the person read
)

// StartRequest asks for a verification. Only To is needed; what is left empty is the application's default.
type StartRequest struct {
	// To is an E.164 number ("+447700900123"), or a national one with Region.
	To string `json:"to"`
	// Region is the ISO 3166 country of a national number ("GB").
	Region string `json:"region,omitempty"`
	// Channel is "sms", "voice", "whatsapp", "telegram" or "email".
	Channel string `json:"channel,omitempty"`
	// Email is the person's mail address, which the channel "email" needs. A code that went there proves the address and not
	// the number: see Answer.Proves.
	Email string `json:"email,omitempty"`
	// Purpose is why: "registration", "login" (the default), "password_reset", "transaction", "profile_change" or your own word.
	Purpose string `json:"purpose,omitempty"`
	// Locale is the language of the message ("en-GB").
	Locale string `json:"locale,omitempty"`
	// CodeLength is 6 to 10 characters.
	CodeLength int `json:"code_length,omitempty"`
	// CodeAlphabet is "digits" or "alphanumeric".
	CodeAlphabet string `json:"code_alphabet,omitempty"`
	// Code is a code of your own instead of a made one.
	Code string `json:"code,omitempty"`
	// ExpiresIn is 60 to 600 seconds.
	ExpiresIn int `json:"expires_in,omitempty"`
	// MaxAttempts is 1 to 10 codes.
	MaxAttempts int `json:"max_attempts,omitempty"`
	// Transaction binds the code to a payment, with the purpose "transaction".
	Transaction *Transaction `json:"transaction,omitempty"`
	// Autofill lets the code fill itself in on a web page or in an Android app.
	Autofill *Autofill `json:"autofill,omitempty"`
	// Client tells who asked, for the limits and fraud rules.
	Client *Device `json:"client,omitempty"`
	// Metadata is yours, and comes back with the verification: at most 20 entries.
	Metadata map[string]string `json:"metadata,omitempty"`
}

// Transaction is a payment that the person agrees to by typing the code.
type Transaction struct {
	// Amount is a decimal number ("39.90").
	Amount string `json:"amount"`
	// Currency is an ISO 4217 code ("EUR").
	Currency string `json:"currency"`
	Payee    string `json:"payee"`
}

// Autofill names where the code may fill itself in: one of the two.
type Autofill struct {
	// Origin is the host of a web page ("example.com").
	Origin string `json:"origin,omitempty"`
	// AppHash is an Android app's hash of 11 characters.
	AppHash string `json:"app_hash,omitempty"`
}

// Device is what is known of the person's device.
type Device struct {
	IP        string `json:"ip,omitempty"`
	UserAgent string `json:"user_agent,omitempty"`
	DeviceID  string `json:"device_id,omitempty"`
}

// Verification is one try to prove one number. It never holds the code.
type Verification struct {
	ID     string `json:"id"`
	Status Status `json:"status"`
	// To is the number, masked ("+44•••••••123").
	To      string `json:"to"`
	Country string `json:"country"`
	// Email is the mail address, masked; empty without one.
	Email string `json:"email"`
	// Proves is what a right code shows now: see Answer.Proves.
	Proves       Proof             `json:"proves"`
	Purpose      string            `json:"purpose"`
	Channel      string            `json:"channel"`
	CodeLength   int               `json:"code_length"`
	CreatedAt    time.Time         `json:"created_at"`
	ExpiresAt    time.Time         `json:"expires_at"`
	EndedAt      time.Time         `json:"ended_at"` // zero while it is pending
	AttemptsLeft int               `json:"attempts_left"`
	ResendsLeft  int               `json:"resends_left"`
	ResendAt     time.Time         `json:"resend_at"` // zero when no resend is left
	Next         *Next             `json:"next"`      // nil when nothing follows by itself
	Deliveries   []Delivery        `json:"deliveries"`
	Metadata     map[string]string `json:"metadata"`
}

// Next is what the application's order of channels goes on with, unless a message arrives before.
type Next struct {
	Channel string    `json:"channel"`
	At      time.Time `json:"at"`
}

// Delivery is one attempt to bring the code to the person.
type Delivery struct {
	ID      string `json:"id"`
	Channel string `json:"channel"`
	// Route is the operator's name for the way out.
	Route string `json:"route"`
	// Status is "queued", "sending", "accepted", "sent", "delivered", "undelivered", "failed" or "unknown".
	Status string `json:"status"`
	// Reason says why this route.
	Reason string `json:"reason"`
	// Error is the kind of failure, empty for none: "rejected", "refused", "throttled", "unavailable" or "unknown".
	Error string `json:"error"`
	// ErrorCode is the provider's own code.
	ErrorCode string `json:"error_code"`
	// Parts is how many SMS the provider bills; 0 when it did not say.
	Parts int `json:"parts"`
	// Price is a decimal number in Currency; empty when the provider did not say.
	Price     string    `json:"price"`
	Currency  string    `json:"currency"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// Answer is what a check came to. A wrong code is an answer, not an error.
type Answer struct {
	ID     string `json:"id"`
	Status Status `json:"status"`
	Result Result `json:"result"`
	// To is the number, masked.
	To string `json:"to"`
	// Proves is what an approved code shows. Where the number matters, ask for ProvesPhone: mail confirms an address and is no
	// second factor.
	Proves       Proof             `json:"proves"`
	Purpose      string            `json:"purpose"`
	AttemptsLeft int               `json:"attempts_left"`
	ExpiresAt    time.Time         `json:"expires_at"`
	Metadata     map[string]string `json:"metadata"`
	// Proof is a signed statement (JWT) of an approval that was asked to be proven; empty otherwise.
	Proof string `json:"proof,omitempty"`
}

// CheckRequest submits a code, for the verification named ID, or else for the latest one of To and Purpose.
type CheckRequest struct {
	ID      string `json:"-"`
	To      string `json:"to,omitempty"`
	Region  string `json:"region,omitempty"`
	Purpose string `json:"purpose,omitempty"`
	Code    string `json:"code"`
	// Transaction must be the one of the start.
	Transaction *Transaction `json:"transaction,omitempty"`
	// Proof asks for a proof of an approval: "hash" names the number by its SHA-256 alone, "number" in full as well.
	Proof string `json:"proof,omitempty"`
}

// Filter narrows List. Empty fields let everything through.
type Filter struct {
	To            string
	Status        Status
	Purpose       string
	CreatedAfter  time.Time
	CreatedBefore time.Time
	// PageSize is how many come with one call, 1 to 100; 0 is the server's default.
	PageSize int
}

const verifications = "/v1/verifications"

// Start asks for a verification and answers it when it is durable and on its way.
func (c *Client) Start(ctx context.Context, r StartRequest) (*Verification, error) {
	return c.verification(ctx, http.MethodPost, verifications, r)
}

// Check submits the code that the person typed for the verification named id. Look at Answer.Result:
//
//	a, err := c.Check(ctx, id, typed)
//	switch {
//	case err != nil: // the server could not be asked, or refused the request
//	case a.Result == client.Approved: // the person holds the number
//	default: // a.AttemptsLeft says how often they may still try
//	}
func (c *Client) Check(ctx context.Context, id, code string) (*Answer, error) {
	return c.CheckWith(ctx, CheckRequest{ID: id, Code: code})
}

// CheckWith is Check by number and purpose, or with a transaction.
func (c *Client) CheckWith(ctx context.Context, r CheckRequest) (*Answer, error) {
	path := verifications + "/check"
	if r.ID != "" {
		path = verifications + "/" + url.PathEscape(r.ID) + "/check"
	}
	a := &Answer{}
	if err := c.call(ctx, http.MethodPost, path, nil, r, a); err != nil {
		return nil, err
	}
	return a, nil
}

// Resend sends the code again, over channel if it is not empty. Too early, it fails with CodeLimited.
func (c *Client) Resend(ctx context.Context, id, channel string) (*Verification, error) {
	in := struct {
		Channel string `json:"channel,omitempty"`
	}{channel}
	return c.verification(ctx, http.MethodPost, verifications+"/"+url.PathEscape(id)+"/resend", in)
}

// Cancel ends a pending verification. Its code is dead when Cancel returns.
func (c *Client) Cancel(ctx context.Context, id string) (*Verification, error) {
	return c.verification(ctx, http.MethodPost, verifications+"/"+url.PathEscape(id)+"/cancel", struct{}{})
}

// Get answers the verification named id.
func (c *Client) Get(ctx context.Context, id string) (*Verification, error) {
	return c.verification(ctx, http.MethodGet, verifications+"/"+url.PathEscape(id), nil)
}

func (c *Client) verification(ctx context.Context, method, path string, in any) (*Verification, error) {
	v := &Verification{}
	if err := c.call(ctx, method, path, nil, in, v); err != nil {
		return nil, err
	}
	return v, nil
}

// List answers the verifications of the key's application, newest first, page after page as they are read:
//
//	for v, err := range c.List(ctx, client.Filter{Status: client.StatusPending}) {
//		if err != nil { return err }
//		fmt.Println(v.ID, v.To)
//	}
//
// After an error it ends.
func (c *Client) List(ctx context.Context, f Filter) iter.Seq2[*Verification, error] {
	return func(yield func(*Verification, error) bool) {
		query := f.values()
		for {
			page := struct {
				Data []*Verification `json:"data"`
				Next string          `json:"next_cursor"`
			}{}
			if err := c.call(ctx, http.MethodGet, verifications, query, nil, &page); err != nil {
				yield(nil, err)
				return
			}
			for _, v := range page.Data {
				if !yield(v, nil) {
					return
				}
			}
			if page.Next == "" {
				return
			}
			query.Set("cursor", page.Next)
		}
	}
}

func (f Filter) values() url.Values {
	q := url.Values{}
	set := func(name, value string) {
		if value != "" {
			q.Set(name, value)
		}
	}
	set("to", f.To)
	set("status", string(f.Status))
	set("purpose", f.Purpose)
	for name, t := range map[string]time.Time{"created_after": f.CreatedAfter, "created_before": f.CreatedBefore} {
		if !t.IsZero() {
			q.Set(name, t.UTC().Format(time.RFC3339Nano))
		}
	}
	if f.PageSize > 0 {
		q.Set("limit", strconv.Itoa(f.PageSize))
	}
	return q
}
