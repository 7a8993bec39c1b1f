package verify_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/message"
	"github.com/dialproof/dialproof/internal/store/memstore"
	"github.com/dialproof/dialproof/internal/verify"
)

// TestCompose: the message of each channel has what that channel needs.
func TestCompose(t *testing.T) {
	t.Parallel()
	for kind, form := range map[channel.Kind]func(m channel.Message, code string) bool{
		channel.SMS: func(m channel.Message, code string) bool {
			return strings.HasSuffix(m.Text.Body, "\n@shop.example.com #"+code)
		},
		channel.WhatsApp: func(m channel.Message, code string) bool { return strings.Contains(m.Text.Body, code) },
		channel.Telegram: func(m channel.Message, code string) bool { return strings.Contains(m.Text.Body, code) },
		channel.Voice:    func(m channel.Message, _ string) bool { return m.Text.Body == "" && m.Spoken.Lead != "" },
		channel.Email: func(m channel.Message, code string) bool {
			return m.Email == "Person@example.com" && strings.Contains(m.Text.Body, code) &&
				!strings.Contains(m.Text.Body, "@shop")
		},
	} {
		w := newWorld(t, withOrigins)
		v := w.start(t, verify.StartRequest{
			To:       drama(100),
			Channel:  kind,
			Email:    "Person@EXAMPLE.com",
			Purpose:  verify.Registration,
			Autofill: message.Trailer{Origin: "shop.example.com"},
		})
		m, test, open, err := w.composer().Compose(t.Context(), v.ID, v.Deliveries[0])
		if err != nil || test || !open || m.Channel != kind || m.To.E164() != drama(100) || m.Brand != "shop" ||
			m.Purpose != verify.Registration || !m.ExpiresAt.Equal(v.Expires) || kind != channel.Email && m.Email != "" {
			t.Errorf("%s: %+v, test %t, open %t, %v", kind, m, test, open, err)
		}
		if !form(m, m.Code.Reveal()) {
			t.Errorf("%s: %+v", kind, m)
		}
	}
}

// TestNothingToCompose: there is no message for what is final, expired, unknown or forgotten.
func TestNothingToCompose(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]func(*testing.T, *world, *verify.Verification){
		"approved": func(t *testing.T, w *world, v *verify.Verification) { w.check(t, v, w.code(t, v)) },
		"canceled": func(t *testing.T, w *world, v *verify.Verification) { w.cancel(t, v) },
		"failed":   func(t *testing.T, w *world, v *verify.Verification) { w.exhaust(t, v) },
		"expired":  func(_ *testing.T, w *world, _ *verify.Verification) { w.advance(5 * time.Minute) },
		"unknown":  func(_ *testing.T, _ *world, v *verify.Verification) { v.ID = id.ID{1} },
		"forgotten": func(t *testing.T, w *world, _ *verify.Verification) {
			if _, n, err := w.db.Forget(t.Context(), id.ID{}, epoch.Add(time.Hour)); n != 1 || err != nil {
				t.Fatalf("%d forgotten, %v", n, err)
			}
		},
	} {
		w := newWorld(t)
		v := w.start(t, verify.StartRequest{To: drama(100)})
		before(t, w, v)
		if _, _, open, err := w.composer().Compose(t.Context(), v.ID, v.Deliveries[0]); open || err != nil {
			t.Errorf("%s: open %t, %v", name, open, err)
		}
	}
	w := newWorld(t)
	v := w.start(t, verify.StartRequest{To: drama(100)})
	mail := channel.Delivery{Channel: channel.Email}
	if _, _, open, err := w.composer().Compose(t.Context(), v.ID, mail); open || outcome(err) != "email_required" {
		t.Errorf("mail without an address: open %t, %v", open, err)
	}
	w.live = w.tenant("other")
	if _, _, open, err := w.composer().Compose(t.Context(), v.ID, v.Deliveries[0]); open ||
		!errors.Is(err, application.ErrNotFound) {
		t.Errorf("an unknown application: open %t, %v", open, err)
	}
	w.readFault = memstore.Fault{Before: true}
	if _, _, open, err := w.composer().Compose(t.Context(), v.ID, v.Deliveries[0]); open ||
		outcome(err) != "store_unavailable" {
		t.Errorf("a store that fails: open %t, %v", open, err)
	}
}

// TestWhatIsKeptIsSealed: neither the number nor the address, the code or the payment can be read in what is kept.
func TestWhatIsKeptIsSealed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v := w.start(t, verify.StartRequest{
		To:          drama(100),
		Email:       "Secret.Name@example.com",
		Code:        message.NewCode("A7K9P3XQ"),
		Client:      &verify.Client{IP: "203.0.113.77"},
		Transaction: &message.Transaction{Amount: "4711.99", Currency: "EUR", Payee: "Hidden Ltd"},
	})
	kept := w.kept(t, v)
	rows, err := json.Marshal([]any{kept, kept.Spec, w.number(t, v)})
	if err != nil {
		t.Fatal(err)
	}
	rows = append(append(rows, kept.Sealed...), kept.Spec.Number[:]...)
	for _, private := range []string{"7700900100", "Secret", "A7K9P3XQ", "4711.99", "Hidden", "203.0.113.77"} {
		if bytes.Contains(rows, []byte(private)) {
			t.Errorf("%q can be read in what is kept", private)
		}
	}
	want(t, "masked address", kept.Spec.Email, "S•••@example.com")
}

// TestSealsAreBound: what is sealed opens for its own verification and with its own key; everything else is an error,
// not a wrong code.
func TestSealsAreBound(t *testing.T) {
	t.Parallel()
	change := func(t *testing.T, w *world, v *verify.Verification, f func(*verify.Verification)) {
		t.Helper()
		err := w.db.Do(t.Context(), verify.Needs{Verification: v.ID}, func(tx verify.Tx) error {
			kept, err := tx.Verification(v.ID)
			if err == nil {
				f(kept)
				tx.PutVerification(kept, false)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, spoil := range map[string]func(*testing.T, *world, *verify.Verification){
		"another's": func(t *testing.T, w *world, v *verify.Verification) {
			other := w.start(t, verify.StartRequest{To: drama(101)})
			change(t, w, v, func(kept *verify.Verification) { kept.Sealed = other.Sealed })
		},
		"another key": func(t *testing.T, w *world, _ *verify.Verification) { w.Ring = ring(t, 2) },
		"no longer JSON": func(t *testing.T, w *world, v *verify.Verification) {
			change(t, w, v, func(kept *verify.Verification) { kept.Sealed = w.Ring.Seal([]byte("{"), v.ID[:]) })
		},
	} {
		w := newWorld(t, inTurn)
		v := w.start(t, verify.StartRequest{To: drama(100)})
		timer := *w.took(t, v, nil)
		spoil(t, w, v)
		w.advance(30 * time.Second)
		if _, err := w.Check(t.Context(), w.live, verify.CheckRequest{ID: v.ID, Code: "123456"}); err == nil {
			t.Errorf("%s: a check is answered", name)
		}
		if _, err := w.Resend(t.Context(), w.live, verify.ResendRequest{ID: v.ID}); err == nil || w.reserved != 0 {
			t.Errorf("%s: a resend is done, %d reservations", name, w.reserved)
		}
		if _, err := (verify.Fallback{Service: w.Service}).Run(t.Context(), timer); err == nil {
			t.Errorf("%s: the order goes on", name)
		}
		if _, _, open, err := w.composer().Compose(t.Context(), v.ID, v.Deliveries[0]); err == nil || open {
			t.Errorf("%s: there is a message", name)
		}
		if _, err := w.composer().Number(t.Context(), v.ID); err == nil {
			t.Errorf("%s: there is a number", name)
		}
		want(t, name+": attempts", w.kept(t, v).Attempts, 0)
	}
}

// TestMailProvesAnAddress: what went by mail never counts as a proof of the number.
func TestMailProvesAnAddress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v := w.start(t, verify.StartRequest{To: drama(100), Channel: channel.Email, Email: "person@example.com"})
	want(t, "by mail", w.kept(t, v).Proves(), verify.ProvesEmail)
	w.advance(30 * time.Second)
	want(t, "resend by SMS", w.tryResend(t, v, channel.SMS), "ok")
	want(t, "both ways", w.kept(t, v).Proves(), verify.ProvesEither)
	want(t, "an SMS beside an address",
		w.start(t, verify.StartRequest{To: drama(101), Email: "person@example.com"}).Proves(), verify.ProvesPhone)
}
