// Package channel is the seam between Dialproof and whoever carries its messages.
//
// It says what a message is, what a provider must be able to do with it, and what a provider may
// answer. It is not a router: choosing a route, failing over and recording are deliver's work.
// It keeps nothing and starts nothing.
package channel

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/dialproof/dialproof/internal/message"
	"github.com/dialproof/dialproof/internal/phone"
)

// Kind is how a person is reached.
type Kind string

// The channels.
const (
	SMS      Kind = "sms"
	Voice    Kind = "voice"
	WhatsApp Kind = "whatsapp"
	Telegram Kind = "telegram"
	Email    Kind = "email"
)

// Kinds returns every channel, in the order in which people know them.
func Kinds() []Kind { return []Kind{SMS, Voice, WhatsApp, Telegram, Email} }

// Message is one message to one person. It carries the code, so it is never logged or stored.
type Message struct {
	// Delivery is the id of the delivery ("dlv_…"). The same id comes again when an attempt whose
	// outcome is not known is repeated: providers with an idempotency key pass it on.
	Delivery string
	Channel  Kind
	To       phone.Number
	// Email is the address when Channel is Email; otherwise empty.
	Email string
	// From is the sender ID chosen for the country; empty means the provider's own default.
	From string
	// Text is the rendered SMS, mail or messenger text.
	Text message.Text
	// Spoken is what a voice call says. Zero for other channels.
	Spoken message.Spoken
	// Code is for providers that take the code apart from the text (WhatsApp, Telegram, MSG91).
	Code    message.Code
	Brand   string
	Purpose string
	Locale  string
	// ExpiresAt is when the code dies. A provider passes the rest of the life on as validity.
	ExpiresAt time.Time
	// Callback is where the provider sends receipts; empty when the deployment has no public address.
	Callback string
	// Token is the last part of Callback: it names the delivery and cannot be guessed (at most 46 characters of
	// A-Z a-z 0-9 - _). A provider whose receipts all come to one fixed address repeats it there.
	Token string
	// Regulatory holds the fields a country asks for, by the provider's own names
	// (for India "dlt_entity_id", "dlt_template_id"; for the US "campaign_id").
	Regulatory map[string]string
}

// Accepted is what a provider answers when it took the message.
type Accepted struct {
	// ID is the provider's own id of the message; at most 128 characters are kept.
	ID string
	// Parts is how many parts the provider says it bills; 0 when it does not say.
	Parts int
	// Price is what the provider says it costs, as a decimal number; empty when it does not say.
	Price    string
	Currency string
	// Status is Accepted unless the provider already knows more.
	Status Status
}

// Sender carries messages of the channels that it names.
//
// Send answers nil only when the provider took the message. Every other end is an *Error whose Kind
// says whether the message may have left. A context that ends after the request was written gives
// Unknown, before it gives Unavailable. Send is called by many goroutines at once.
type Sender interface {
	Channels() []Kind
	Send(ctx context.Context, m Message) (Accepted, error)
}

// Receiver is a Sender whose provider reports back over HTTP.
//
// Receipts checks the signature, where the provider signs, before it reads the body, and answers what
// the request says: none when it is a question of the provider's (see Answerer) or news of something else.
// A forged or malformed request is an *Error of kind Refused; the answer to the provider is then 403 and
// nothing is recorded. One that cannot be judged now, for want of the provider's certificate, is of kind
// Unavailable; the answer is 503, so that the provider asks again.
type Receiver interface {
	Receipts(ctx context.Context, r Callback) ([]Receipt, error)
}

// Callback is a receipt request as it came in, with its body already read (at most 256 KiB).
type Callback struct {
	Method string
	// URL is the public address as the provider called it: scheme, host, path and query.
	URL    *url.URL
	Header http.Header
	Body   []byte
	// Now is the clock, for signatures with a time.
	Now time.Time
	// Message returns again the message of the delivery that the address names: a call asks what to say only
	// when the person has picked up. ok is false when there is nothing left to say: the verification is over.
	// It is nil when the request came to the route's fixed address, which names no delivery.
	Message func(ctx context.Context) (m Message, ok bool, err error)
}

// Answerer is a Receiver whose provider wants a special answer (a challenge, a fixed text, NCCO or TwiML).
// It is asked only after Receipts has found the request genuine. ok is false when the common answer, 204
// without a body, will do.
type Answerer interface {
	Answer(ctx context.Context, r Callback) (a Reply, ok bool)
}

// Reply is what a provider is answered.
type Reply struct {
	Status      int
	ContentType string
	Body        []byte
}

// Checker is a Sender that can prove its credentials without sending (balance call, bind, REGISTER).
type Checker interface {
	Check(ctx context.Context) error
}

// Feedback is a Sender whose provider takes conversions: the code of this message was, or was not, typed.
type Feedback interface {
	Converted(ctx context.Context, providerID string, to phone.Number, ok bool) error
}

// Correlator is a Sender whose receipts name a message by the provider's id alone. What it accepts is kept by
// that id until its receipts are in.
type Correlator interface {
	ReceiptsByID() bool
}

// Linguist is a Sender of calls that does not speak every language. A sender of calls that is none speaks them all.
type Linguist interface {
	// Speaks reports whether a call can be spoken in a shipped locale; with payment, amount and payee too.
	Speaks(locale string, payment bool) bool
}

// Runner is a Sender with a life of its own (a bound SMPP session, a SIP registration).
// Run returns when ctx ends and everything is released; receipts that arrive go to sink.
type Runner interface {
	Run(ctx context.Context, sink func(Receipt)) error
}

// Receipt is what a provider later says became of a message.
type Receipt struct {
	// Token is the message's Token when the provider repeats it; else the address that was called tells, or,
	// for a Correlator, the ProviderID.
	Token string
	// ProviderID is the provider's id of the message.
	ProviderID string
	Status     Status
	// Code is the provider's own error code; at most 64 characters are kept.
	Code string
	// Kind says what an undelivered or failed message means for the next try. Empty when nothing is known.
	Kind     ErrorKind
	Parts    int
	Price    string
	Currency string
	At       time.Time
}

// Valid reports whether k is one of the channels.
func (k Kind) Valid() bool {
	switch k {
	case SMS, Voice, WhatsApp, Telegram, Email:
		return true
	}
	return false
}
