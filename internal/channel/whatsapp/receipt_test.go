package whatsapp

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/channeltest"
)

const fixed = "https://verify.example.com/callbacks/main/Zml4ZWQ"

// hook returns a signed webhook.
func hook(body string) channel.Callback {
	u, _ := url.Parse(fixed)
	r := channel.Callback{
		Method: http.MethodPost,
		URL:    u,
		Header: http.Header{},
		Body:   []byte(body),
		Now:    channeltest.Now(),
	}
	r.Header.Set("X-Hub-Signature-256", sign(appSecret, body))
	return r
}

// sign is written apart from the code under test.
func sign(key, body string) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(body))
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

func news(values ...string) string {
	return `{"object":"whatsapp_business_account","entry":[{"id":"102290129340398","changes":[` +
		strings.Join(values, ",") + `]}]}`
}

func value(phone, statuses string) string {
	return `{"field":"messages","value":{"messaging_product":"whatsapp",` +
		`"metadata":{"display_phone_number":"447700900001","phone_number_id":"` + phone + `"},"statuses":[` + statuses + `]}}`
}

func state(s, more string) string {
	return `{"id":"` + wamid + `","status":"` + s + `","timestamp":"1795420800","recipient_id":"447700900123",` +
		`"biz_opaque_callback_data":"dG9rZW4",` +
		`"pricing":{"billable":true,"pricing_model":"PMP","category":"authentication"}` + more + `}`
}

func handshake(query string) channel.Callback {
	u, _ := url.Parse(fixed + "?" + query)
	return channel.Callback{Method: http.MethodGet, URL: u, Header: http.Header{}, Now: channeltest.Now()}
}

func receiptRows() []channeltest.ReceiptRow {
	var rows []channeltest.ReceiptRow
	add := func(name, body string, want ...channel.Receipt) {
		rows = append(rows, channeltest.ReceiptRow{Name: name, Request: hook(body), Want: want})
	}
	one := channel.Receipt{Token: "dG9rZW4", ProviderID: wamid}
	as := func(s channel.Status, code string, kind channel.ErrorKind) channel.Receipt {
		r := one
		r.Status, r.Code, r.Kind = s, code, kind
		return r
	}
	add("failed for no reason", news(value(phoneID, state("failed", ""))),
		as(channel.Undelivered, "unknown", channel.Unavailable))
	bare := strings.Replace(state("delivered", ""), `"biz_opaque_callback_data":"dG9rZW4",`, "", 1)
	add("without our token", news(value(phoneID, bare)), channel.Receipt{ProviderID: wamid, Status: channel.Delivered})
	add("two at once, out of order", news(value(phoneID, state("delivered", "")+","+state("sent", ""))),
		as(channel.Delivered, "", ""), as(channel.Sent, "", ""))
	add("two changes, one of another number", news(value("99999", state("failed", "")), value(phoneID, state("sent", ""))),
		as(channel.Sent, "", ""))
	add("an incoming message",
		news(`{"field":"messages","value":{"metadata":{"phone_number_id":"`+phoneID+`"},"messages":[{"from":"447700900123",`+
			`"type":"text","text":{"body":"hello"}}]}}`))
	add("another field", news(`{"field":"group_lifecycle_update","value":{}}`))
	add("nothing", `{"object":"whatsapp_business_account","entry":[]}`)
	return append(rows, refusedRows()...)
}

func refusedRows() []channeltest.ReceiptRow {
	body := news(value(phoneID, state("delivered", "")))
	var rows []channeltest.ReceiptRow
	for name, change := range map[string]func(*channel.Callback){
		"no signature":        func(r *channel.Callback) { r.Header.Del("X-Hub-Signature-256") },
		"another's":           func(r *channel.Callback) { r.Header.Set("X-Hub-Signature-256", sign("other", body)) },
		"the access token's":  func(r *channel.Callback) { r.Header.Set("X-Hub-Signature-256", sign(accessToken, body)) },
		"without its scheme":  func(r *channel.Callback) { r.Header.Set("X-Hub-Signature-256", sign(appSecret, body)[7:]) },
		"no hexadecimal":      func(r *channel.Callback) { r.Header.Set("X-Hub-Signature-256", "sha256=xyz") },
		"cut short":           func(r *channel.Callback) { r.Header.Set("X-Hub-Signature-256", sign(appSecret, body)[:40]) },
		"another status":      func(r *channel.Callback) { r.Body = []byte(strings.Replace(body, "delivered", "failed", 1)) },
		"by GET":              func(r *channel.Callback) { r.Method = http.MethodGet },
		"another object":      func(r *channel.Callback) { *r = hook(`{"object":"page","entry":[]}`) },
		"no JSON":             func(r *channel.Callback) { *r = hook(`object=x`) },
		"handshake, no token": func(r *channel.Callback) { *r = handshake("hub.mode=subscribe&hub.challenge=1158201444") },
		"handshake, wrong": func(r *channel.Callback) {
			*r = handshake("hub.mode=subscribe&hub.challenge=1&" +
				"hub.verify_token=other")
		},
		"handshake, no mode": func(r *channel.Callback) {
			*r = handshake("hub.challenge=1&" +
				"hub.verify_token=" + verifyToken)
		},
		"handshake, no words": func(r *channel.Callback) {
			*r = handshake("hub.mode=subscribe&" +
				"hub.verify_token=" + verifyToken)
		},
		"handshake, a script": func(r *channel.Callback) {
			*r = handshake("hub.mode=subscribe&hub.challenge=%3Cscript%3E&hub.verify_token=" + verifyToken)
		},
		"handshake, very long": func(r *channel.Callback) {
			*r = handshake("hub.mode=subscribe&hub.verify_token=" + verifyToken + "&hub.challenge=" + strings.Repeat("1", 200))
		},
		"no address": func(r *channel.Callback) { *r = channel.Callback{Method: http.MethodGet, Header: http.Header{}} },
	} {
		r := hook(body)
		change(&r)
		rows = append(rows, channeltest.ReceiptRow{Name: name, Request: r, Refused: true})
	}
	good := handshake("hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=" + verifyToken)
	return append(rows, channeltest.ReceiptRow{Name: "a handshake", Request: good})
}

// TestAnswer: Meta hears its challenge, and 200 for all else.
func TestAnswer(t *testing.T) {
	t.Parallel()
	s, _ := config("https://graph.facebook.com").Open(channel.Env{Now: channeltest.Now})
	a := s.(channel.Answerer)
	if got, ok := a.Answer(t.Context(),
		handshake("hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token="+verifyToken)); !ok || got.Status != 200 ||
		string(got.Body) != "1158201444" || !strings.HasPrefix(got.ContentType, "text/plain") {
		t.Errorf("%+v %t", got, ok)
	}
	if got, ok := a.Answer(t.Context(), handshake("hub.mode=subscribe&hub.challenge=1&hub.verify_token=other")); ok {
		t.Errorf("a wrong token gets %+v", got)
	}
	if got, ok := a.Answer(t.Context(), hook(news())); !ok || got.Status != 200 || len(got.Body) != 0 {
		t.Errorf("%+v %t", got, ok)
	}
}

func TestVectors(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(channeltest.SpecPath(t, "vectors/webhook-signatures.json"))
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct{ Provider, Secret, Body, Signature string }
	if err := json.Unmarshal(text, &vectors); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, v := range vectors {
		if v.Provider != "meta-whatsapp" {
			continue
		}
		n++
		r := channel.Callback{Header: http.Header{"X-Hub-Signature-256": {v.Signature}}, Body: []byte(v.Body)}
		if !signed(v.Secret, r) || signed(v.Secret+"x", r) {
			t.Errorf("%s: the signature is not judged rightly", v.Body)
		}
	}
	if n == 0 {
		t.Error("there is no vector")
	}
}

func FuzzReceipts(f *testing.F) {
	f.Add(news(value(phoneID, state("failed", `,"errors":[{"code":131026}]`))), "", false)
	f.Add("hub.mode=subscribe&hub.challenge=1&hub.verify_token=x", "", true)
	f.Add("{}", "sha256=00", true)
	s, err := config("https://graph.facebook.com").Open(channel.Env{Now: channeltest.Now})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body, header string, forged bool) {
		r := hook(body)
		if forged {
			r.Header.Set("X-Hub-Signature-256", header)
		}
		got, err := s.(channel.Receiver).Receipts(t.Context(), r)
		if forged && err == nil {
			t.Errorf("a forged receipt was taken: %v", got)
		}
		if e, ok := errors.AsType[*channel.Error](err); err != nil && (!ok || e.Kind != channel.Refused) {
			t.Errorf("%v", err)
		}
		for _, g := range got {
			if !g.Status.Valid() || g.ProviderID == "" {
				t.Errorf("%+v", g)
			}
		}
		shake := handshake(body)
		if _, err := s.(channel.Receiver).Receipts(t.Context(), shake); err == nil && !strings.Contains(body, verifyToken) &&
			!strings.Contains(body, "%") {
			t.Errorf("a forged handshake was taken: %q", body)
		}
	})
}
