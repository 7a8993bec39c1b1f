package skeleton

import (
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/channeltest"
	"github.com/dialproof/dialproof/internal/deliver/delivertest"
	"github.com/dialproof/dialproof/internal/secret"
)

const token = "s3cr3t-token"

func config(base string) channel.Opener { return &Config{Token: secret.New(token), URL: base} }

// receipt returns a signed receipt.
func receipt(body string) channel.Callback {
	r := channel.Callback{Method: http.MethodPost, URL: &url.URL{}, Header: http.Header{}, Body: []byte(body)}
	r.Header.Set("X-Signature", hex.EncodeToString(sign(secret.New(token), r.Body)))
	return r
}

// TestProvider runs the suite. What is expected of errors and of the words of receipts stands in testdata, written from
// the gateway's documents; here stands only how an error and a receipt are written down.
func TestProvider(t *testing.T) {
	t.Parallel()
	forged := receipt(`{"id":"m-1","status":"delivered"}`)
	forged.Header.Set("X-Signature", strings.Repeat("0", 64))
	h := channeltest.Harness{
		Provider: Provider(), Configure: config, Secrets: []string{token},
		Accept: channeltest.Reply{Status: 201, Body: `{"id":"m-1"}`}, WantID: "m-1",
		Request: func(r *http.Request, body []byte) error {
			if r.Header.Get("Authorization") != "Bearer "+token || !strings.Contains(string(body), `"to":"+447700900123"`) {
				return errors.New("the request is not what the gateway wants")
			}
			return nil
		},
		Tables: map[string][]string{"answer": channeltest.Keys(errorTable())},
		Answer: func(e channeltest.Expected) string { return `{"error":"` + e.Error + `"}` },
		Report: func(e channeltest.Expected) channel.Callback {
			return receipt(`{"id":"m-1","status":"undeliverable","error":"` + e.Error + `"}`)
		},
		News: func(n channeltest.News) channel.Callback { return receipt(`{"id":"m-1","status":"` + n.Word + `"}`) },
		Receipts: []channeltest.ReceiptRow{
			{
				Name:    "delivered",
				Request: receipt(`{"id":"m-1","status":"delivered"}`),
				Want:    []channel.Receipt{{ProviderID: "m-1", Status: channel.Delivered}},
			},
			{Name: "forged", Request: forged, Refused: true},
			{Name: "about nothing", Request: receipt(`{}`), Refused: true},
		},
	}
	channeltest.Run(t, h)
	delivertest.Run(t, h)
}
