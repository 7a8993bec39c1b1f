package deliver_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/deliver"
)

// TestABatchOfReceipts: a provider may put the receipts of several messages into one request to the address of one of
// them. Each finds its own message by our token, and a token that is not ours leaves it at the address.
func TestABatchOfReceipts(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if _, err := b.Run(t.Context(), b.job, deliver.Work{}); err != nil {
		t.Fatal(err)
	}
	first := b.job
	b.renew("a") // and this one has no answer yet, so that nothing but the token tells the two apart
	second := b.job
	address := b.Callbacks.Address("a", b.Callbacks.Token("a", second.Ref, second.ID))
	send := func(status channel.Status, token string) {
		t.Helper()
		r := channel.Callback{
			Method: http.MethodPost,
			URL:    &url.URL{},
			Header: http.Header{"Token": {token}},
			Body:   []byte(status),
		}
		if code, _, _ := b.Callback(t.Context(), "a", address[strings.LastIndex(address, "/")+1:],
			r); code != http.StatusNoContent {
			t.Errorf("%s: %d", status, code)
		}
	}
	want := func(one, other string) {
		t.Helper()
		b.job = first
		got := b.deliveries()[0]
		b.job = second
		if got != one || b.deliveries()[0] != other {
			t.Errorf("%s and %s, want %s and %s", got, b.deliveries()[0], one, other)
		}
	}
	send(channel.Delivered, b.Callbacks.Token("a", first.Ref, first.ID))
	want("a delivered", "a sending")
	send(channel.Sent, "another program's")
	want("a delivered", "a sent")
	send(channel.Undelivered, b.Callbacks.Token("b", first.Ref, first.ID)) // of another route: not ours here
	want("a delivered", "a undelivered")
}
