package vonage

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/channeltest"
	"github.com/dialproof/dialproof/internal/deliver/delivertest"
)

// TestParts: each part of a text has an id and receipts of its own. The first one tells, the others change nothing.
func TestParts(t *testing.T) {
	t.Parallel()
	c := channeltest.NewCarrier(channeltest.Says(reply(200,
		`{"messages":[{"message-id":"`+classicID+`","status":"0"},{"message-id":"SECOND","status":"0"}]}`)))
	defer c.Close()
	trial, err := delivertest.New(classic(t, c.URL, c.Client(), nil), channeltest.Message(channel.SMS), time.Second, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := trial.Send(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, r := range []struct {
		status, id string
		want       channel.Status
	}{
		{"buffered", "SECOND", channel.Taken}, {"accepted", classicID, channel.Sent}, {"failed", "SECOND", channel.Sent},
		{"delivered", classicID, channel.Delivered},
		{"delivered", "SECOND", channel.Delivered}, {"failed", classicID, channel.Delivered},
	} {
		if status := trial.Receipt(t.Context(),
			as("form", report(r.status, url.Values{"messageId": {r.id}}))); status != http.StatusNoContent {
			t.Errorf("%s of %s is answered %d", r.status, r.id, status)
		}
		if d := trial.Deliveries(); len(d) != 1 || d[0].Status != r.want || d[0].Parts != 2 || d[0].ProviderID != classicID {
			t.Errorf("after %s of %s: %+v, want %s", r.status, r.id, d, r.want)
		}
	}
}
