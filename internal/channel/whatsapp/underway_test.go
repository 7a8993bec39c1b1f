package whatsapp

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

// TestUnderWay: Meta reports to one address for all messages, before its own answer, twice, out of order, without our
// token and of messages that are not ours.
func TestUnderWay(t *testing.T) {
	t.Parallel()
	var trial *delivertest.Trial
	var statuses []int
	tell := func(token string, changes ...string) {
		body := news(value(phoneID,
			strings.NewReplacer(changes...).Replace(strings.Replace(state("delivered", ""), "dG9rZW4", token, 1))))
		fixed := trial.Callbacks.Fixed(delivertest.First)
		status, _, _ := trial.Callback(t.Context(), delivertest.First, fixed[strings.LastIndex(fixed, "/")+1:], hook(body))
		statuses = append(statuses, status)
	}
	token := ""
	c := channeltest.NewCarrier(nil)
	c.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var o order
		if err := json.NewDecoder(r.Body).Decode(&o); err != nil {
			t.Error(err)
		}
		token = o.Data
		tell(token, `"delivered"`, `"sent"`) // before the answer
		channeltest.Says(reply(200, `{"messages":[{"id":"`+wamid+`"}]}`))(w, r)
	})
	defer c.Close()
	s, err := config(c.URL).Open(channel.Env{HTTP: c.Client(), Now: channeltest.Now})
	if err != nil {
		t.Fatal(err)
	}
	if trial, err = delivertest.New(s, channeltest.Message(channel.WhatsApp), time.Second, false); err != nil {
		t.Fatal(err)
	}
	if err := trial.Send(t.Context()); err != nil {
		t.Fatal(err)
	}
	holds := func(what string, want channel.Status) {
		t.Helper()
		if d := trial.Deliveries(); len(d) != 1 || d[0].Status != want || d[0].ProviderID != wamid ||
			trial.Other.Calls() != 0 {
			t.Errorf("%s: %+v, want %s", what, d, want)
		}
	}
	holds("before the answer", channel.Sent)
	tell(strings.Repeat("A", len(token)), `"delivered"`, `"failed"`)
	tell(token, `"delivered"`, `"failed"`, wamid, "wamid.another")
	holds("of another's message", channel.Sent)
	tell("", `"biz_opaque_callback_data":"",`, "")
	holds("without our token, by the id", channel.Delivered)
	tell(token, `"delivered"`, `"sent"`)
	tell(token)
	tell(token, `"delivered"`, `"failed"`)
	holds("late, twice and against itself", channel.Delivered)
	for _, status := range statuses {
		if status != http.StatusOK {
			t.Errorf("Meta is answered %v, and would send it all again", statuses)
		}
	}
}
