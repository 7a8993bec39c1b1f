package vonage

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"go.yaml.in/yaml/v3"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/channeltest"
)

// definedErrors returns the codes that Vonage's definition explains.
func definedErrors(t *testing.T) (codes []string) {
	t.Helper()
	text, err := os.ReadFile(channeltest.SpecPath(t, "vonage/messages-olympus.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Errors map[string]any `yaml:"x-errors"`
	}
	if err := yaml.Unmarshal(text, &doc); err != nil || len(doc.Errors) < 40 {
		t.Fatalf("%d errors: %v", len(doc.Errors), err)
	}
	for code := range doc.Errors {
		codes = append(codes, code)
	}
	return codes
}

func status(s, more string) string {
	return `{"message_uuid":"` + messageID + `","to":"447700900123","from":"447700900001",` +
		`"timestamp":"2026-11-23T08:00:00Z","channel":"sms","status":"` + s + `","client_ref":"dG9rZW4"` + more + `}`
}

// messageRows are the receipts of SMS, genuine and not.
func messageRows() []channeltest.ReceiptRow {
	var rows []channeltest.ReceiptRow
	for s, want := range map[string]channel.Receipt{
		"submitted":     {Status: channel.Sent},
		"delivered":     {Status: channel.Delivered},
		"read":          {Status: channel.Delivered},
		"undeliverable": {Status: channel.Undelivered, Code: "undeliverable", Kind: channel.Unavailable},
		"rejected":      {Status: channel.Failed, Code: "rejected", Kind: channel.Unavailable},
		"something new": {Status: channel.Taken},
	} {
		want.Token, want.ProviderID = "dG9rZW4", messageID
		rows = append(rows,
			channeltest.ReceiptRow{Name: s, Request: webhook("", status(s, "")), Want: []channel.Receipt{want}})
	}
	return append(append(rows, refusedRows()...), channeltest.ReceiptRow{
		Name: "price and parts",
		Request: webhook("",
			status("submitted",
				`,"usage":{"currency":"EUR","price":"0.0333"},"sms":{"count_total":"2"},"error":{"title":"1220"}`)),
		Want: []channel.Receipt{{Token: "dG9rZW4", ProviderID: messageID, Status: channel.Sent, Parts: 2, Price: "0.0333",
			Currency: "EUR"}},
	}, channeltest.ReceiptRow{
		Name:    "an incoming message",
		Request: webhook("", `{"message_uuid":"x","to":"447700900001","from":"447700900123","text":"STOP"}`),
	},
		channeltest.ReceiptRow{Name: "no JSON", Request: webhook("", `a=b`), Refused: true},
	)
}

// refusedRows are receipts that are not Vonage's, or not for us.
func refusedRows() []channeltest.ReceiptRow {
	body := status("delivered", "")
	now := channeltest.Now()
	header := func(value string) func(*channel.Callback) {
		return func(r *channel.Callback) { r.Header.Set("Authorization", value) }
	}
	signed := func(c map[string]any) func(*channel.Callback) {
		return header(sign(jwt.SigningMethodHS256, []byte(signature), c, body))
	}
	var rows []channeltest.ReceiptRow
	for name, change := range map[string]func(*channel.Callback){
		"no signature":      func(r *channel.Callback) { r.Header.Del("Authorization") },
		"another scheme":    header("Basic dTpw"),
		"no token":          header("Bearer "),
		"another's secret":  header(sign(jwt.SigningMethodHS256, []byte("other"), nil, body)),
		"no algorithm":      header(sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, nil, body)),
		"another algorithm": header(sign(jwt.SigningMethodHS512, []byte(signature), nil, body)),
		"our own key":       header(sign(jwt.SigningMethodRS256, key(), nil, body)),
		"another status": func(r *channel.Callback) {
			r.Body = []byte(strings.Replace(body, "delivered", "submitted", 1))
		},
		"another body's":         signed(map[string]any{"payload_hash": strings.Repeat("0", 64)}),
		"no hash":                signed(map[string]any{"payload_hash": nil}),
		"another application's":  signed(map[string]any{"application_id": "bbbbbbbb-bbbb-cccc-dddd-0123456789ab"}),
		"another issuer":         signed(map[string]any{"iss": "Somebody"}),
		"without a time":         signed(map[string]any{"iat": nil}),
		"of the day before":      signed(map[string]any{"iat": now.Add(-25 * time.Hour).Unix()}),
		"of tomorrow":            signed(map[string]any{"iat": now.Add(24 * time.Hour).Unix()}),
		"past its own end":       signed(map[string]any{"exp": now.Add(-time.Hour).Unix()}),
		"a token of three holes": header("Bearer .."),
	} {
		r := webhook("", body)
		change(&r)
		rows = append(rows, channeltest.ReceiptRow{Name: name, Request: r, Refused: true})
	}
	return rows
}

// TestSlack: a clock that is a little off, and a receipt that comes late, are fine.
func TestSlack(t *testing.T) {
	t.Parallel()
	body := status("delivered", "")
	for _, off := range []time.Duration{-23 * time.Hour, 4 * time.Minute} {
		r := webhook("", body)
		r.Header.Set("Authorization",
			sign(jwt.SigningMethodHS256, []byte(signature),
				map[string]any{"iat": channeltest.Now().Add(off).Unix(), "application_id": nil}, body))
		if got, err := open(t).(channel.Receiver).Receipts(t.Context(), r); err != nil || len(got) != 1 {
			t.Errorf("%s: %v, %v", off, got, err)
		}
	}
}
