// Package message is the text of a message: what a person reads or hears together with a one-time code, in
// their language, in as few SMS parts as it can be.
//
// It is NOT a channel: it sends nothing and knows no provider. It is NOT a template language: an application's
// own text has a handful of placeholders and no logic. It keeps nothing: the same request gives the same text.
package message

import "time"

// Purposes with a text of their own. Any other word gets the generic text.
const (
	Registration  = "registration"
	Login         = "login"
	PasswordReset = "password_reset"
	Payment       = "transaction"
	ProfileChange = "profile_change"
)

// MaxBrand bounds Request.Brand, in characters.
const MaxBrand = 32

// Request says what a message must carry.
type Request struct {
	// Purpose is one of the constants above or a word of the application's own.
	Purpose string
	// Locale is a BCP 47 tag or "".
	Locale string
	// Country is the ISO 3166 code of the number's country. It chooses the language when Locale does not.
	Country string
	// Brand is who asks, 1 to MaxBrand characters, and never a web address.
	Brand string
	Code  Code
	// ExpiresIn is the remaining life of the code. It is mentioned, in whole minutes, only if there is room;
	// under a minute it is not.
	ExpiresIn time.Duration
	// Transaction makes the text that of a payment, whatever the purpose (Regulation (EU) 2018/389 Art. 5).
	Transaction *Transaction
	Trailer     Trailer
	Templates   Templates
}

// Transaction is the payment that a code approves. All three are always in the text.
type Transaction struct {
	// Amount is a decimal number, at most 32 characters. A plain one ("1234.5") is shown as the language writes it
	// ("1.234,50"); anything else as it is.
	Amount string `json:"amount"`
	// Currency is an ISO 4217 code.
	Currency string `json:"currency"`
	// Payee is who gets the money, at most 140 characters (ISO 20022 Max140Text).
	Payee string `json:"payee"`
}

// Templates are the texts of an application's own: purpose → locale → text. See LintTemplate for the form.
type Templates map[string]map[string]string

// Error says why a message cannot be made. It never contains the code.
type Error struct {
	// Code is one of the Invalid… and TrailerConflict constants.
	Code string
	// Detail is for a developer to read.
	Detail string
}

// The values of Error.Code. They are stable.
const (
	InvalidBrand       = "invalid_brand"
	InvalidOrigin      = "invalid_origin"
	InvalidAppHash     = "invalid_app_hash"
	TrailerConflict    = "trailer_conflict"
	InvalidTemplate    = "invalid_template"
	InvalidLocale      = "invalid_locale"
	InvalidTransaction = "invalid_transaction"
)

// Error returns "code: detail".
func (e *Error) Error() string { return e.Code + ": " + e.Detail }

func refuse(code, detail string) error { return &Error{Code: code, Detail: detail} }
