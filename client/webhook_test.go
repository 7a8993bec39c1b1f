package client

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// The vector of the Standard Webhooks project (its Go test, and the specification).
const (
	vectorSecret    = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	vectorID        = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	vectorBody      = `{"test": 2432232314}`
	vectorSignature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
)

func TestWebhook(t *testing.T) {
	t.Parallel()
	const other = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
	for _, tc := range []struct {
		name, secret, stamp, signature, body string
		late                                 time.Duration
		why                                  string // "" for a good one
	}{
		{"the vector", vectorSecret, "1614265330", vectorSignature, vectorBody, 0, ""},
		{"among others", vectorSecret, "1614265330", "v1,AAAA v1a,BBBB " + vectorSignature, vectorBody, 0, ""},
		{"a little late", vectorSecret, "1614265330", vectorSignature, vectorBody, WebhookTolerance, ""},
		{"another secret", other, "1614265330", vectorSignature, vectorBody, 0, "no signature fits"},
		{"another body", vectorSecret, "1614265330", vectorSignature, vectorBody + " ", 0, "no signature fits"},
		{"another time", vectorSecret, "1614265331", vectorSignature, vectorBody, 0, "no signature fits"},
		{"another version", vectorSecret, "1614265330", "v2" + strings.TrimPrefix(vectorSignature, "v1"), vectorBody, 0,
			"no signature fits"},
		{"no signature", vectorSecret, "1614265330", "", vectorBody, 0, "no signature fits"},
		{"no time", vectorSecret, "", vectorSignature, vectorBody, 0, "is missing"},
		{"a replay", vectorSecret, "1614265330", vectorSignature, vectorBody, WebhookTolerance + time.Second,
			"its time is 5m1s from ours"},
		{"from the future", vectorSecret, "1614265330", vectorSignature, vectorBody, -time.Hour, "from ours"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w, err := NewWebhooks(tc.secret)
			if err != nil {
				t.Fatal(err)
			}
			w.now = func() time.Time { return time.Unix(1614265330, 0).Add(tc.late) }
			r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(tc.body))
			r.Header.Set("Webhook-Id", vectorID)
			r.Header.Set("Webhook-Timestamp", tc.stamp)
			r.Header.Set("Webhook-Signature", tc.signature)
			e, err := w.Read(r)
			if tc.why == "" && (err != nil || e.ID != vectorID) {
				t.Errorf("got %+v, %v", e, err)
			}
			if tc.why != "" && (!errors.Is(err, ErrWebhook) || !strings.Contains(err.Error(), tc.why)) {
				t.Errorf("got %v, want: %s", err, tc.why)
			}
		})
	}
}

// While a secret is rotated both are known, and either signs.
func TestWebhookRotation(t *testing.T) {
	t.Parallel()
	w, err := NewWebhooks("whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", vectorSecret)
	if err != nil {
		t.Fatal(err)
	}
	w.now = func() time.Time { return time.Unix(1614265330, 0) }
	h := http.Header{"Webhook-Id": {vectorID}, "Webhook-Timestamp": {"1614265330"}, "Webhook-Signature": {vectorSignature}}
	if _, err := w.Verify(h, []byte(vectorBody)); err != nil {
		t.Error(err)
	}
	for _, bad := range [][]string{nil, {""}, {"whsec_"}, {"whsec_ä"}} {
		if _, err := NewWebhooks(bad...); err == nil {
			t.Errorf("NewWebhooks(%q) passed", bad)
		}
	}
}

func TestEventOfAVerification(t *testing.T) {
	t.Parallel()
	e := &Event{Type: "verification.approved", Data: []byte(`{"id":"vrf_1","status":"approved","new_field":1}`)}
	if v, err := e.Verification(); err != nil || v.Status != StatusApproved {
		t.Errorf("%+v, %v", v, err)
	}
	e = &Event{Type: "test.ping", Data: []byte(`{"webhook":"whk_1"}`)}
	if v, err := e.Verification(); err == nil {
		t.Errorf("%+v out of a ping", v)
	}
}
