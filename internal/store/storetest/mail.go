package storetest

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/verify"
)

// mail: the address is asked for where it is needed, comes to the message and nowhere else, and what went by mail never
// counts as proof of the number.
func mail(t *testing.T, open Open) {
	b := newBench(t, open)
	const address = "Person.Name@example.com"
	_, err := b.Start(t.Context(), b.live, verify.StartRequest{To: drama(100), Channel: channel.Email})
	if outcome(err) != string(verify.CodeEmailRequired) {
		t.Errorf("without an address: %v", err)
	}
	_, err = b.Start(t.Context(), b.live, verify.StartRequest{To: drama(100), Channel: channel.Email, Email: "person@"})
	if outcome(err) != "invalid_request email invalid_value" {
		t.Errorf("with a wrong address: %v", err)
	}
	v := b.start(t, verify.StartRequest{To: drama(100), Channel: channel.Email, Email: "Person.Name@EXAMPLE.com"})
	kept, err := b.store.Find(t.Context(), v.ID)
	if err != nil || kept.Spec.Email != "P•••@example.com" || kept.Proves() != verify.ProvesEmail {
		t.Fatalf("%q proves %q, %v", kept.Spec.Email, kept.Proves(), err)
	}
	spec, _ := json.Marshal(kept)
	if bytes.Contains(bytes.ToLower(append(spec, kept.Sealed...)), []byte("name@")) {
		t.Error("the address can be read in what is kept")
	}
	last := kept.Deliveries[0]
	m, _, _, err := verify.Composer{Service: b.Service, Apps: b}.Compose(t.Context(), v.ID, last)
	if err != nil || m.Email != address || m.Channel != channel.Email || !strings.Contains(m.Text.Body, m.Code.Reveal()) {
		t.Errorf("the message goes to %q by %q, %v", m.Email, m.Channel, err)
	}
	b.clock.Advance(30 * time.Second)
	if v, err = b.Resend(t.Context(), b.live, verify.ResendRequest{ID: v.ID, Channel: channel.SMS}); err != nil ||
		v.Proves() != verify.ProvesEither {
		t.Errorf("after a resend by SMS it proves %q, %v", v.Proves(), err)
	}
	if r := b.check(t, v, m.Code.Reveal()); r != verify.ResultApproved {
		t.Errorf("the code of the mail: %s", r)
	}
	plain := b.start(t, verify.StartRequest{To: drama(101), Email: address})
	if plain.Proves() != verify.ProvesPhone {
		t.Errorf("an SMS proves %q", plain.Proves())
	}
	bare := b.start(t, verify.StartRequest{To: drama(102)})
	b.clock.Advance(30 * time.Second)
	if _, err = b.Resend(t.Context(), b.live,
		verify.ResendRequest{ID: bare.ID, Channel: channel.Email}); outcome(err) != string(verify.CodeEmailRequired) {
		t.Errorf("a resend by mail without an address: %v", err)
	}
}

// mailLimit: many numbers do not fill one mailbox, however its address is written.
func mailLimit(t *testing.T, open Open) {
	b := newBench(t, open)
	var got tally
	for i := range 7 {
		address := "person@example.com"
		if i%2 == 1 {
			address = "PERSON@Example.com"
		}
		_, err := b.Start(t.Context(), b.live,
			verify.StartRequest{To: drama(100 + i), Channel: channel.Email, Email: address})
		got.add(outcome(err))
	}
	got.want(t, map[string]int{"ok": 5, "rate_limited email_hour": 2})
}
