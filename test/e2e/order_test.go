package e2e

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// report sends a receipt to where a message wants it, signed as the webhook provider asks.
func (m sunk) report(t testing.TB, status string) {
	t.Helper()
	body := []byte(fmt.Sprintf(`{"id":%q,"status":%q}`, m.Delivery, status))
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(sinkSecret, "whsec_"))
	if err != nil {
		t.Fatal(err)
	}
	at := strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", m.Delivery, at, body)
	req, err := http.NewRequest(http.MethodPost, m.Callback, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Webhook-Id", m.Delivery)
	req.Header.Set("Webhook-Timestamp", at)
	req.Header.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		t.Errorf("the receipt is answered with %d", resp.StatusCode)
	}
}

// to returns the messages that a number got.
func (s *sink) to(number string) (out []sunk) {
	for _, m := range s.got() {
		if m.To == number {
			out = append(out, m)
		}
	}
	return out
}

// steps returns "channel route status" of each delivery, and what follows.
func steps(t testing.TB, a answer) (deliveries []string, next string) {
	t.Helper()
	var v struct {
		Deliveries []struct{ Channel, Route, Status string } `json:"deliveries"`
		Next       *struct{ Channel string }                 `json:"next"`
	}
	if err := json.Unmarshal(a.body, &v); err != nil {
		t.Fatal(err)
	}
	for _, d := range v.Deliveries {
		deliveries = append(deliveries, d.Channel+" "+d.Route+" "+d.Status)
	}
	if v.Next != nil {
		next = v.Next.Channel
	}
	return deliveries, next
}

// TestTheOrderOfChannels lets one verification take every step: a message that nobody hears of again while the program
// is killed, one that does not arrive, and a call that does.
func TestTheOrderOfChannels(t *testing.T) {
	t.Parallel()
	first, second, phone := newSink(t), newSink(t), newSink(t)
	d := deploy(t, first.URL, fmt.Sprintf(`    channels: [sms]
  - {name: other, provider: webhook, test: true, priority: 1, channels: [sms], settings: {url: %q, secret: %q}}
  - {name: phone, provider: webhook, test: true, channels: [voice], settings: {url: %q, secret: %q}}
`, second.URL, sinkSecret, phone.URL, sinkSecret))
	d.run(t, "app", "update", "--config", d.config, "shop", "--fallback", "sms 5s, sms 25s, voice")
	p := d.serve(t)
	c := newClient(t, p, d.key)
	to := drama(21)
	start := c.call(t, http.StatusCreated, http.MethodPost, "/v1/verifications", map[string]any{"to": to})
	v := "/v1/verifications/" + field(start, "id")
	waitFor(t, 10*time.Second, "the first message", func() bool { return len(first.to(to)) == 1 })
	waitFor(t, 10*time.Second, "the record of it", func() bool {
		got, next := steps(t, c.call(t, http.StatusOK, http.MethodGet, v, nil))
		return next == "sms" && slices.Equal(got, []string{"sms sink accepted"})
	})
	p.kill()
	c = newClient(t, d.serve(t), d.key)
	// The wait is over while the program is down or soon after. 30 s more if it died with the job in its hands.
	waitFor(t, 45*time.Second, "the message by another route", func() bool { return len(second.to(to)) > 0 })
	second.to(to)[0].report(t, "undelivered")
	waitFor(t, 10*time.Second, "the call at once", func() bool { return len(phone.to(to)) == 1 })
	phone.to(to)[0].report(t, "delivered")
	got, next := steps(t, c.call(t, http.StatusOK, http.MethodGet, v, nil))
	if next != "" || !slices.Equal(got, []string{"sms sink accepted", "sms other undelivered", "voice phone delivered"}) {
		t.Errorf("the record says %v, next %q", got, next)
	}
	if n := len(first.to(to)) + len(second.to(to)) + len(phone.to(to)); n != 3 {
		t.Errorf("%d messages, want 3", n)
	}
	code := first.codeFor(to)
	if code == "" || second.codeFor(to) != code || phone.codeFor(to) != code {
		t.Error("the messages have different codes")
	}
	if a := c.call(t, http.StatusOK, http.MethodPost, v+"/check", map[string]any{"code": code}); field(a,
		"result") != "approved" {
		t.Errorf("the code is %s", field(a, "result"))
	}
}

// TestAnArrivalEndsTheOrder: the receipt of the first message keeps the second one from being sent, and so does the
// person.
func TestAnArrivalEndsTheOrder(t *testing.T) {
	t.Parallel()
	s := newSink(t)
	d := deploy(t, s.URL, "")
	d.run(t, "app", "update", "--config", d.config, "shop", "--fallback", "sms 5s, voice")
	c := newClient(t, d.serve(t), d.key)
	arrived, typed, lost := drama(31), drama(32), drama(33)
	ids := map[string]string{}
	for _, to := range []string{arrived, typed, lost} {
		ids[to] = "/v1/verifications/" +
			field(c.call(t, http.StatusCreated, http.MethodPost, "/v1/verifications", map[string]any{"to": to}), "id")
		waitFor(t, 10*time.Second, "the message", func() bool { return len(s.to(to)) == 1 })
	}
	s.to(arrived)[0].report(t, "delivered")
	c.call(t, http.StatusOK, http.MethodPost, ids[typed]+"/check", map[string]any{"code": s.codeFor(typed)})
	// When the last one has had its second message, the others would have had theirs.
	waitFor(t, 20*time.Second, "the second message of the one that was lost", func() bool { return len(s.to(lost)) == 2 })
	if a, b := len(s.to(arrived)), len(s.to(typed)); a != 1 || b != 1 {
		t.Errorf("%d messages to the number where it arrived, %d to the one that typed the code", a, b)
	}
}

// TestARejectedNumber: a channel that rejects the number is not tried again. Without an order the record says so and
// the person may ask for a call; with one, the call comes at once.
func TestARejectedNumber(t *testing.T) {
	t.Parallel()
	var texts atomic.Int64
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		texts.Add(1)
		_, _ = w.Write([]byte(`{"error":{"kind":"rejected","code":"landline"}}`))
	}))
	t.Cleanup(refusing.Close)
	phone := newSink(t)
	d := deploy(t, refusing.URL, fmt.Sprintf(`    channels: [sms]
  - {name: other, provider: webhook, test: true, priority: 1, channels: [sms], settings: {url: %q, secret: %q}}
  - {name: phone, provider: webhook, test: true, channels: [voice], settings: {url: %q, secret: %[2]q}}
limits: {number_gaps: []}
`, refusing.URL, sinkSecret, phone.URL))
	c := newClient(t, d.serve(t), d.key)
	begin := func(to string) string {
		return "/v1/verifications/" +
			field(c.call(t, http.StatusCreated, http.MethodPost, "/v1/verifications", map[string]any{"to": to}), "id")
	}
	record := func(v string, want ...string) {
		t.Helper()
		waitFor(t, 10*time.Second, fmt.Sprint("the record ", want), func() bool {
			got, _ := steps(t, c.call(t, http.StatusOK, http.MethodGet, v, nil))
			return slices.Equal(got, want)
		})
	}
	alone := begin(drama(41))
	record(alone, "sms sink failed")
	c.call(t, http.StatusOK, http.MethodPost, alone+"/resend", map[string]any{"channel": "voice"})
	record(alone, "sms sink failed", "voice phone accepted")
	d.run(t, "app", "update", "--config", d.config, "shop", "--fallback", "sms 60s, sms 60s, voice")
	others := 100
	waitFor(t, 10*time.Second, "the order is known to the server", func() bool {
		others++ // a number of its own each time, so that no limit stands in the way
		_, next := steps(t,
			c.call(t, http.StatusCreated, http.MethodPost, "/v1/verifications", map[string]any{"to": drama(others)}))
		return next != ""
	})
	inTurn := begin(drama(43))
	record(inTurn, "sms sink failed", "voice phone accepted")
	if n := len(phone.to(drama(41))) + len(phone.to(drama(43))); n != 2 {
		t.Errorf("%d calls, want 2", n)
	}
}
