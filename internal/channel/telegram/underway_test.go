package telegram

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/channeltest"
	"github.com/dialproof/dialproof/internal/deliver/delivertest"
)

// TestUnderWay: Telegram reports before its own answer, twice and out of order, to the message's address; and to the
// route's, with our payload.
func TestUnderWay(t *testing.T) {
	t.Parallel()
	var trial *delivertest.Trial
	tell := func(address, status, payload string) int {
		got, _, _ := trial.Callback(t.Context(), delivertest.First, address[strings.LastIndex(address, "/")+1:],
			report(strings.Replace(state(status, ""), "dG9rZW4", payload, 1)))
		return got
	}
	var o order
	c := channeltest.NewCarrier(nil)
	c.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := json.NewDecoder(r.Body).Decode(&o); err != nil {
			t.Error(err)
		}
		if got := tell(o.CallbackURL, "sent", o.Payload); got != http.StatusOK {
			t.Errorf("before the answer: %d", got)
		}
		channeltest.Says(reply(200, strings.Replace(accepted, `"sent"`, `"delivered"`, 1)))(w, r)
	})
	defer c.Close()
	var err error
	if trial, err = delivertest.New(open(t, c.URL, c.Client(), nil), channeltest.Message(channel.Telegram), time.Second,
		false); err != nil {
		t.Fatal(err)
	}
	if err := trial.Send(t.Context()); err != nil {
		t.Fatal(err)
	}
	fixed := trial.Callbacks.Fixed(delivertest.First)
	for _, status := range []string{"expired", "sent", "read", "read"} {
		if got := tell(o.CallbackURL, status, o.Payload); got != http.StatusOK {
			t.Errorf("%s: %d", status, got)
		}
		if got := tell(fixed, status, strings.Repeat("A", len(o.Payload))); got != http.StatusOK {
			t.Errorf("of a message that is not ours: %d", got)
		}
	}
	d := trial.Deliveries()
	if len(d) != 1 || d[0].Status != channel.Delivered || d[0].ProviderID != request || d[0].Price != "0.01" ||
		d[0].Code != "" || trial.Other.Calls() != 0 {
		t.Errorf("%+v", d)
	}
	again := tell(fixed, "delivered", o.Payload)
	if d := trial.Deliveries(); again != http.StatusOK || d[0].Status != channel.Delivered {
		t.Errorf("to the route's address: %d, %+v", again, d)
	}
}
