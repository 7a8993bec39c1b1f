package telegram

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/channeltest"
)

// report returns a signed receipt.
func report(body string) channel.Callback { return reportAt(body, channeltest.Now(), token) }

func reportAt(body string, at time.Time, key string) channel.Callback {
	u, _ := url.Parse(callback)
	stamp := strconv.FormatInt(at.Unix(), 10)
	hash := sha256.Sum256([]byte(key))
	mac := hmac.New(sha256.New, hash[:])
	mac.Write([]byte(stamp + "\n" + body))
	r := channel.Callback{
		Method: http.MethodPost,
		URL:    u,
		Header: http.Header{},
		Body:   []byte(body),
		Now:    channeltest.Now(),
	}
	r.Header.Set("X-Request-Timestamp", stamp)
	r.Header.Set("X-Request-Signature", hex.EncodeToString(mac.Sum(nil)))
	return r
}

func state(s, more string) string {
	return `{"request_id":"` + request + `","phone_number":"447700900123","request_cost":0.01,"payload":"dG9rZW4",` +
		`"delivery_status":{"status":"` + s + `","updated_at":1795420800}` + more + `}`
}

func receiptRows() []channeltest.ReceiptRow {
	var rows []channeltest.ReceiptRow
	for s, want := range map[string]channel.Receipt{
		"sent":          {Status: channel.Sent},
		"delivered":     {Status: channel.Delivered},
		"read":          {Status: channel.Delivered},
		"expired":       {Status: channel.Undelivered, Code: "expired", Kind: channel.Unavailable},
		"revoked":       {Status: channel.Failed, Code: "revoked", Kind: channel.Unavailable},
		"something new": {Status: channel.Taken},
	} {
		want.Token, want.ProviderID, want.Price, want.Currency = "dG9rZW4", request, "0.01", "USD"
		rows = append(rows, channeltest.ReceiptRow{Name: s, Request: report(state(s, "")), Want: []channel.Receipt{want}})
	}
	one := func(name, body string, want channel.Receipt) {
		want.ProviderID = request
		rows = append(rows, channeltest.ReceiptRow{Name: name, Request: report(body), Want: []channel.Receipt{want}})
	}
	one("refunded", state("expired", `,"is_refunded":true`), channel.Receipt{
		Token:    "dG9rZW4",
		Status:   channel.Undelivered,
		Code:     "expired",
		Kind:     channel.Unavailable,
		Price:    "0",
		Currency: "USD",
	})
	one("without price and payload", `{"request_id":"`+request+`","delivery_status":{"status":"delivered"}}`,
		channel.Receipt{Status: channel.Delivered})
	one("a tiny price", strings.Replace(state("read", ""), "0.01", "1e-7", 1),
		channel.Receipt{Token: "dG9rZW4", Status: channel.Delivered, Price: "0.0000001", Currency: "USD"})
	one("a negative price", strings.Replace(state("read", ""), "0.01", "-1", 1),
		channel.Receipt{Token: "dG9rZW4", Status: channel.Delivered})
	rows = append(rows, channeltest.ReceiptRow{
		Name:    "news of a check",
		Request: report(`{"request_id":"x","verification_status":{"status":"code_valid","updated_at":1}}`),
	})
	body := state("delivered", "")
	for name, r := range map[string]channel.Callback{
		"another's token": reportAt(body, channeltest.Now(), "other"),
		"too old":         reportAt(body, channeltest.Now().Add(-25*time.Hour), token),
		"of tomorrow":     reportAt(body, channeltest.Now().Add(6*time.Minute), token),
		"no request":      report(`{"delivery_status":{"status":"delivered"}}`),
		"no JSON":         report(`request_id=1`),
	} {
		rows = append(rows, channeltest.ReceiptRow{Name: name, Request: r, Refused: true})
	}
	for name, change := range map[string]func(*channel.Callback){
		"no signature":   func(r *channel.Callback) { r.Header.Del("X-Request-Signature") },
		"no time":        func(r *channel.Callback) { r.Header.Del("X-Request-Timestamp") },
		"another time":   func(r *channel.Callback) { r.Header.Set("X-Request-Timestamp", "1795420801") },
		"no hexadecimal": func(r *channel.Callback) { r.Header.Set("X-Request-Signature", "zz") },
		"another status": func(r *channel.Callback) { r.Body = []byte(state("expired", "")) },
		"a body from air": func(r *channel.Callback) {
			r.Body = append(r.Body, ' ')
		},
	} {
		r := report(body)
		change(&r)
		rows = append(rows, channeltest.ReceiptRow{Name: name, Request: r, Refused: true})
	}
	return rows
}

func TestAnswer(t *testing.T) {
	t.Parallel()
	s := open(t, "https://gatewayapi.telegram.org", nil, nil)
	if got, ok := s.(channel.Answerer).Answer(t.Context(), report("{}")); !ok || got.Status != 200 {
		t.Errorf("%+v %t: Telegram counts 200 alone as taken", got, ok)
	}
}

func TestVectors(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(channeltest.SpecPath(t, "vectors/webhook-signatures.json"))
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct{ Provider, Secret, Timestamp, Body, Signature string }
	if err := json.Unmarshal(text, &vectors); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, v := range vectors {
		if v.Provider != "telegram-gateway" {
			continue
		}
		n++
		at, _ := strconv.ParseInt(v.Timestamp, 10, 64)
		r := channel.Callback{
			Header: http.Header{"X-Request-Timestamp": {v.Timestamp}, "X-Request-Signature": {v.Signature}},
			Body:   []byte(v.Body),
			Now:    time.Unix(at, 0),
		}
		if !signed(v.Secret, r) || signed(v.Secret+"x", r) {
			t.Errorf("%s: the signature is not judged rightly", v.Body)
		}
	}
	if n == 0 {
		t.Error("there is no vector")
	}
}

func FuzzReceipts(f *testing.F) {
	f.Add(state("delivered", ""), "", false)
	f.Add(`{"request_id":"x","request_cost":"1e400","delivery_status":null}`, "", false)
	f.Add(state("read", `,"is_refunded":true`), "00", true)
	s := open(f, "https://gatewayapi.telegram.org", nil, nil)
	f.Fuzz(func(t *testing.T, body, header string, forged bool) {
		r := report(body)
		if forged {
			r.Header.Set("X-Request-Signature", header)
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
	})
}
