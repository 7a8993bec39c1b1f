package web

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/keyring"
	"github.com/dialproof/dialproof/internal/link"
	"github.com/dialproof/dialproof/internal/message"
	"github.com/dialproof/dialproof/internal/verify"
)

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// core is a verification that stands as a test says.
type core struct {
	Core
	v      *verify.Verification
	used   bool
	broken error
	resend error
}

func (c *core) Get(context.Context, application.Caller, id.ID) (*verify.Verification, error) {
	return c.v, c.broken
}
func (c *core) LinkUsed(context.Context, id.ID) (bool, error) { return c.used, c.broken }
func (c *core) Resend(context.Context, application.Caller, verify.ResendRequest) (*verify.Verification, error) {
	return c.v, c.resend
}

// owner is the application of every key.
type owner struct{ app *application.Application }

func (o owner) Caller([16]byte) (application.Caller, error) {
	return application.Caller{Key: &application.Key{}, App: o.app}, nil
}

// hosted is the page over a core, and a way to make links to it.
type hosted struct {
	http.Handler
	links link.Sealer
}

func host(t *testing.T, c *core, branding application.Branding) hosted {
	t.Helper()
	ring, err := keyring.New([]keyring.Key{{ID: 1, Secret: keyring.NewSecret()}})
	if err != nil {
		t.Fatal(err)
	}
	app := &application.Application{Brand: "Acme", Policy: application.Policy{Branding: branding}}
	p := Page{
		Core:    c,
		Callers: owner{app},
		Links:   link.Sealer{Ring: ring},
		Log:     slog.New(slog.DiscardHandler),
		Now:     func() time.Time { return noon },
	}
	h, err := p.Handler()
	if err != nil {
		t.Fatal(err)
	}
	return hosted{h, p.Links}
}

// ask returns what the page of a link is; path follows its address.
func (h hosted) ask(method, path string, l link.Link) *httptest.ResponseRecorder {
	l.ID[0], l.Expires = 1, noon.Add(time.Minute)
	w := httptest.NewRecorder()
	r := httptest.NewRequest(method, "/verify/"+h.links.Seal(l)+path, nil)
	if method == http.MethodPost {
		r = httptest.NewRequest(method, "/verify/"+h.links.Seal(l), strings.NewReader(path))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r.Header.Set("Accept-Language", "en-GB")
	h.ServeHTTP(w, r)
	return w
}

// TestUsedLink: a link that was approved says so, and asks for nothing.
func TestUsedLink(t *testing.T) {
	t.Parallel()
	c := &core{used: true}
	w := host(t, c, application.Branding{}).ask(http.MethodGet, "", link.Link{Locale: "de"})
	if body := w.Body.String(); w.Code != http.StatusNotFound ||
		!strings.Contains(body, "<h1>Dieser Link wurde schon benutzt</h1>") || strings.Contains(body, "<input") {
		t.Errorf("%d: %s", w.Code, body)
	}
	c.broken = errors.New("no store")
	if w := host(t, c, application.Branding{}).ask(http.MethodGet, "",
		link.Link{}); w.Code != http.StatusServiceUnavailable {
		t.Errorf("without a store: %d", w.Code)
	}
	c.used, c.broken = false, nil
	w = host(t, c, application.Branding{}).ask(http.MethodGet, "", link.Link{Locale: "de"})
	if body := w.Body.String(); w.Code != http.StatusOK ||
		!strings.Contains(body, `<option value="DE" selected>Deutschland (+49)`) {
		t.Errorf("the country is not that of the link's language: %d %s", w.Code, body)
	}
}

// TestConsent: what requesting a code means is said where the button is, if the application has such pages.
func TestConsent(t *testing.T) {
	t.Parallel()
	for want, b := range map[string]application.Branding{
		`By requesting a code, you accept: <a href="https://a.example/terms" target="_blank" rel="noopener ` +
			`noreferrer">Terms of service</a> · <a href="https://a.example/p" target="_blank" rel="noopener ` +
			`noreferrer">Privacy policy</a>`: {TermsURL: "https://a.example/terms", PrivacyURL: "https://a.example/p"},
		`you accept: <a href="https://a.example/p" target="_blank" rel="noopener noreferrer">Privacy ` +
			`policy</a></p>`: {PrivacyURL: "https://a.example/p"},
	} {
		if body := host(t, &core{}, b).ask(http.MethodGet, "", link.Link{}).Body.String(); !strings.Contains(body, want) {
			t.Errorf("%+v: %s", b, body)
		}
	}
	if body := host(t, &core{}, application.Branding{}).ask(http.MethodGet, "",
		link.Link{}).Body.String(); strings.Contains(body, "you accept") {
		t.Error("there is nothing to accept")
	}
}

// TestMoneyOnThePage: the payment is written as the reader writes money.
func TestMoneyOnThePage(t *testing.T) {
	t.Parallel()
	pay := &message.Transaction{Amount: "1234.5", Currency: "CHF", Payee: "Kiosk"}
	for locale, want := range map[string]string{
		"de": "<bdi dir=\"auto\">1.234,50\u00a0CHF</bdi>", "de-CH": "<bdi dir=\"auto\">CHF\u00a01&#39;" +
			"234.50</bdi>", "fr": "<bdi dir=\"auto\">1\u202f234,50\u00a0CHF</bdi>",
		"": "<bdi dir=\"auto\">CHF\u00a01,234.50</bdi>",
	} {
		if body := host(t, &core{}, application.Branding{}).ask(http.MethodGet, "",
			link.Link{Locale: locale, Transaction: pay}).Body.String(); !strings.Contains(body, want) {
			t.Errorf("%s: %s", locale, body)
		}
	}
}

// pending returns a verification whose newest message was made some time ago.
func pending(kind channel.Kind, status channel.Status, ago time.Duration) *verify.Verification {
	return &verify.Verification{
		Spec:   verify.Spec{MaxAttempts: 5, MaxSends: 5, Masked: "+44•••123"},
		Status: verify.Pending, Channel: kind, Expires: noon.Add(5 * time.Minute), Sends: 1,
		Deliveries: []channel.Delivery{{Channel: kind, Status: status, Created: noon.Add(-ago)}},
	}
}

// TestWhatBecameOfIt: a call has words of its own, and when nothing arrives the page says what to do next.
func TestWhatBecameOfIt(t *testing.T) {
	t.Parallel()
	const help = "Nothing yet? Check the number and that your phone has a signal, then request another code."
	used := pending(channel.SMS, channel.Sent, time.Minute)
	used.Sends = 5
	for name, c := range map[string]struct {
		v          *verify.Verification
		live, help string
	}{
		"sms sent": {pending(channel.SMS, channel.Sent, 0), "Your mobile network has the message.", ""},
		"sms sent long ago": {pending(channel.SMS, channel.Sent, 20*time.Second), "Your mobile network has the " +
			"message.", help},
		"sms there": {pending(channel.SMS, channel.Delivered, time.Minute), "Message delivered.", ""},
		"sms not there": {pending(channel.SMS, channel.Undelivered, time.Second), "It could not be delivered. " +
			"Please check the number.", help},
		"sms waiting":        {pending(channel.SMS, channel.Queued, 19*time.Second), "Your code is on its way.", ""},
		"no other":           {used, "Your mobile network has the message.", ""},
		"messenger sent":     {pending(channel.WhatsApp, channel.Sent, 0), "Your code is on its way.", ""},
		"call rings":         {pending(channel.Voice, channel.Sent, 0), "Calling …", ""},
		"call begins":        {pending(channel.Voice, channel.Sending, 0), "Calling …", ""},
		"call was heard":     {pending(channel.Voice, channel.Delivered, time.Minute), "Call answered.", ""},
		"call was not heard": {pending(channel.Voice, channel.Undelivered, 0), "The call was not answered.", help},
	} {
		l := link.Link{}
		l.Verification[0] = 7
		var got struct{ Live, Help string }
		if err := json.Unmarshal(host(t, &core{v: c.v}, application.Branding{}).ask(http.MethodGet, "/status",
			l).Body.Bytes(), &got); err != nil || got.Live != c.live || got.Help != c.help {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// TestTooEarly: who asks for another code before the wait is over reads how many seconds are left.
func TestTooEarly(t *testing.T) {
	t.Parallel()
	c := &core{
		v:      pending(channel.SMS, channel.Sent, 0),
		resend: &verify.Error{Code: verify.CodeLimited, Retry: noon.Add(27 * time.Second)},
	}
	c.v.ResendAt = noon.Add(27 * time.Second)
	h := host(t, c, application.Branding{})
	l := link.Link{}
	l.Verification[0] = 7
	w := h.ask(http.MethodPost, "do=resend", l)
	at := w.Header().Get("Location")
	if w.Code != http.StatusSeeOther || !strings.HasSuffix(at, "?say=early") {
		t.Fatalf("%d %s", w.Code, at)
	}
	body := h.ask(http.MethodGet, "?say=early", l).Body.String()
	if !strings.Contains(body, `role="alert">You can request another code in 27 s.</p>`) {
		t.Error(body)
	}
	c.v.ResendAt = time.Time{}
	c.resend = &verify.Error{Code: verify.CodeLimited, Retry: noon.Add(time.Hour)}
	if at := h.ask(http.MethodPost, "do=resend", l).Header().Get("Location"); !strings.Contains(at, "say=limited") {
		t.Error(at)
	}
	c.v.Attempts = 4
	if body := h.ask(http.MethodGet, "?say=incorrect", l).Body.String(); !strings.Contains(body,
		"Wrong code. 1 attempt left.") {
		t.Error(body)
	}
}
