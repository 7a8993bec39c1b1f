package storetest

import (
	"sync"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/phone"
	"github.com/dialproof/dialproof/internal/verify"
)

// metadata is held while a test has changed it: stores are tested at once.
var metadata sync.Mutex

// readable: the metadata changes between a start and what follows it, so that the number could not be started any more.
// It is read as it was written down: the message goes out, a resend and the next step of the order go on, and the code
// is accepted.
func readable(t *testing.T, open Open) {
	const number = "+298211234" // of the Faroe Islands, which no other test uses
	metadata.Lock()
	defer metadata.Unlock()
	b := newBench(t, open, inTurn)
	v := b.start(t, verify.StartRequest{To: number})
	restore := phone.Retire(298)
	defer restore()
	if _, err := b.Start(t.Context(), b.live, verify.StartRequest{To: number}); err == nil {
		t.Fatal("the metadata did not change")
	}
	composer, last := verify.Composer{Service: b.Service, Apps: b}, v.Deliveries[0]
	m, _, alive, err := composer.Compose(t.Context(), v.ID, last)
	if err != nil || !alive || m.To.E164() != number {
		t.Errorf("the message goes to %q, open %t, %v", m.To.E164(), alive, err)
	}
	if to, err := composer.Number(t.Context(), v.ID); err != nil || to.E164() != number {
		t.Errorf("the number is %q, %v", to.E164(), err)
	}
	b.took(t, v, nil)
	b.clock.Advance(25 * time.Second)
	b.due(t)
	if now := b.find(t, v); len(now.Deliveries) != 2 {
		t.Errorf("the order did not go on: %d deliveries", len(now.Deliveries))
	}
	b.clock.Advance(2 * time.Minute)
	if now, err := b.Resend(t.Context(), b.live, verify.ResendRequest{ID: v.ID, Channel: channel.SMS}); err != nil ||
		len(now.Deliveries) != 3 {
		t.Errorf("the resend: %v", err)
	}
	if r := b.check(t, v, m.Code.Reveal()); r != verify.ResultApproved {
		t.Errorf("the code: %s", r)
	}
}
