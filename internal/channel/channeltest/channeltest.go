// Package channeltest is the suite that every provider over HTTP passes.
//
// It puts a carrier of its own before the provider, one that takes messages, refuses them, hangs, hangs up and talks
// nonsense, and judges what the provider makes of it: the closed set of errors, the kind that says whether the message
// may have left, and that no secret, code or number shows anywhere. What only one provider has, its own tests judge.
package channeltest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/message"
	"github.com/dialproof/dialproof/internal/phone"
)

// The message that the suite sends.
const (
	number   = "+447700900123"
	code     = "90817263"
	delivery = "dlv_01m83v1cxqe00t2j6r8ja6cpz7"
	token    = "dG9rZW4"
	callback = "https://verify.example.com/callbacks/main/" + token
)

// Now is the suite's clock.
func Now() time.Time { return time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC) }

// Harness says how a provider is tested.
type Harness struct {
	Provider channel.Provider
	// Configure returns valid settings that use the carrier at the address.
	Configure func(base string) channel.Opener
	// Secrets stand in those settings and must show nowhere.
	Secrets []string
	// Channel is what is sent; SMS if empty.
	Channel channel.Kind
	// Accept is what the carrier says when it takes a message, and WantID the id that it gives.
	Accept Reply
	WantID string
	// WithoutID is what the carrier says when it takes a message and gives no id, where receipts do not need one: the
	// message counts as taken. Without it an answer that has no id is no yes.
	WithoutID Reply
	// Request judges the request of a message that was taken; it answers what is wrong with it.
	Request func(r *http.Request, body []byte) error
	// Testdata is the folder of errors.tsv and receipts.tsv; the test's own "testdata" if nil. What is expected of the
	// provider's errors stands there alone. Bare HTTP statuses are judged by the suite.
	Testdata fs.FS
	// Tables are the errors that the provider's code knows, by the places that their rows name (see Covers). They are
	// compared with the rows; nothing is expected because it stands here.
	Tables map[string][]string
	// Answer writes the body of a row that comes in an answer; nil when each row has its own.
	Answer func(e Expected) string
	// Report writes a row whose place begins with "receipt", as the provider reports it.
	Report func(e Expected) channel.Callback
	// News writes a row of receipts.tsv as the provider reports it; nil when there is no such file.
	News func(n News) channel.Callback
	// Receipts are what else the provider reports; nil when it reports nothing over HTTP.
	Receipts []ReceiptRow
	// OwnStatuses are HTTP statuses that the provider judges in its own way, so that the suite does not.
	OwnStatuses []int
}

// Reply is what a carrier answers.
type Reply struct {
	Status int
	Header map[string]string
	Body   string
}

// ReceiptRow is one receipt. With Refused, it must not be taken.
type ReceiptRow struct {
	Name    string
	Request channel.Callback
	Want    []channel.Receipt
	Refused bool
}

// Check is one thing that the suite holds.
type Check struct {
	Name string
	// Hold returns what is wrong, or nil.
	Hold func(ctx context.Context, h Harness) error
}

// Checks are all of them. What becomes of a message whose call failed is deliver's to test.
func Checks() []Check {
	return []Check{
		{"it says what it is", describes},
		{"a message is taken", taken},
		{"a message is taken without an id", takenWithoutID},
		{"the error table", errorTable},
		{"the words of receipts", news},
		{"every HTTP status", statuses},
		{"the carrier cannot be reached", unreachable},
		{"the carrier hangs up before it answers", hangsUp},
		{"the carrier hangs", hangs},
		{"the answer is cut off", truncated},
		{"the answer is nonsense", nonsense},
		{"the answer is huge", huge},
		{"there is no time left", noTime},
		{"many messages at once", atOnce},
		{"receipts", receipts},
		{"bad receipts", badReceipts},
		{"settings do not print their secrets", quietSettings},
	}
}

// Run runs the suite.
func Run(t *testing.T, h Harness) {
	t.Helper()
	for _, c := range Checks() {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			if err := c.Hold(t.Context(), h); err != nil {
				t.Error(err)
			}
		})
	}
}

// probe is a provider before a carrier, with ears for what it says.
type probe struct {
	h       Harness
	carrier *Carrier
	sender  channel.Sender
	log     *bytes.Buffer
}

// open opens the provider before a carrier that answers with the reply.
func (h Harness) open(script Script) (*probe, error) {
	if h.Channel == "" {
		h.Channel = channel.SMS
	}
	p := &probe{h: h, carrier: NewCarrier(script), log: &bytes.Buffer{}}
	settings := h.Configure(p.carrier.URL)
	if err := settings.Validate(); err != nil {
		p.carrier.Close()
		return nil, fmt.Errorf("the settings of the harness are refused: %w", err)
	}
	var err error
	p.sender, err = settings.Open(channel.Env{
		Route: "main", HTTP: p.carrier.Client(), Now: Now,
		Log: slog.New(slog.NewJSONHandler(p.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		p.carrier.Close()
		return nil, fmt.Errorf("the provider does not open: %w", err)
	}
	return p, nil
}

// Open opens the provider before a carrier with a script. The caller closes the carrier.
func (h Harness) Open(script Script) (channel.Sender, *Carrier, error) {
	p, err := h.open(script)
	if err != nil {
		return nil, nil, err
	}
	return p.sender, p.carrier, nil
}

// Message returns the message that the suite sends by a channel.
func Message(kind channel.Kind) channel.Message {
	to, err := phone.Parse(number, "")
	if err != nil {
		panic(err) // the number is ours
	}
	request := message.Request{Purpose: "login", Locale: "en", Country: "GB", Brand: "Acme", Code: message.NewCode(code)}
	m := channel.Message{
		Delivery:  delivery,
		Channel:   kind,
		To:        to,
		Email:     "person@example.com",
		Code:      request.Code,
		Brand:     "Acme",
		Purpose:   "login",
		Locale:    "en",
		ExpiresAt: Now().Add(5 * time.Minute),
		Callback:  callback,
		Token:     token,
	}
	m.Text, err = message.Render(request)
	if err == nil {
		m.Spoken, err = message.Speak(request)
	}
	if err != nil {
		panic(err) // the texts are ours
	}
	return m
}

// send sends the message and judges that nothing leaks.
func (p *probe) send(ctx context.Context) (channel.Accepted, error) {
	a, err := p.sender.Send(ctx, Message(p.h.Channel))
	if leak := p.leaks(err); leak != nil {
		return a, errLeak{leak}
	}
	return a, err
}

type errLeak struct{ error }

// leaks returns where a secret, the code or the whole number shows.
func (p *probe) leaks(err error) error {
	heard := p.log.String()
	if err != nil {
		dump, _ := json.Marshal(err)
		heard += fmt.Sprintf("\n%v\n%+v\n%s", err, err, dump)
	}
	return p.h.find("an error or the log", heard)
}

// find returns the first secret in a text.
func (h Harness) find(where, text string) error {
	for _, s := range append([]string{code, number, number[1:], number[3:]}, h.Secrets...) {
		if s != "" && strings.Contains(text, s) {
			return fmt.Errorf("%s shows %q: %.300s", where, s, text)
		}
	}
	return nil
}

// bare returns the error that a provider gave as the *channel.Error that the contract wants, and not one around it.
func bare(err error) (*channel.Error, error) {
	e, ok := err.(*channel.Error) //nolint:errorlint // an error around one is what must be found
	if !ok {
		return nil, fmt.Errorf("the error is a %T and no *channel.Error: %w", err, err)
	}
	return e, nil
}

// fails sends a message that must fail, and answers the error.
func (p *probe) fails(ctx context.Context) (*channel.Error, error) {
	_, err := p.send(ctx)
	if leak, ok := errors.AsType[errLeak](err); ok {
		return nil, leak
	}
	if err == nil {
		return nil, errors.New("the message counts as taken")
	}
	e, err := bare(err)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(channel.ErrorKinds(), e.Kind) {
		return nil, fmt.Errorf("the kind %q is none of the closed set", e.Kind)
	}
	if e.Provider != p.h.Provider.Name {
		return nil, fmt.Errorf("the error names the provider %q", e.Provider)
	}
	return e, nil
}

// failsAs holds the kind of a failure.
func (h Harness) failsAs(ctx context.Context, script Script, kinds ...channel.ErrorKind) error {
	p, err := h.open(script)
	if err != nil {
		return err
	}
	defer p.carrier.Close()
	e, err := p.fails(ctx)
	if err != nil {
		return err
	}
	if !slices.Contains(kinds, e.Kind) {
		return fmt.Errorf("the kind is %s, want %v (%w)", e.Kind, kinds, e)
	}
	return nil
}
