package httpapi

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"hash"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/channeltest"
	"github.com/dialproof/dialproof/internal/secret"
)

// mac returns a signature, made apart from the code under test.
func mac(h func() hash.Hash, key, body string) []byte {
	m := hmac.New(h, []byte(key))
	m.Write([]byte(body))
	return m.Sum(nil)
}

// report returns a signed report.
func report(body string) channel.Callback {
	u, _ := url.Parse(callback)
	r := channel.Callback{
		Method: http.MethodPost,
		URL:    u,
		Header: http.Header{},
		Body:   []byte(body),
		Now:    channeltest.Now(),
	}
	r.Header.Set("X-Signature", "sha256="+hex.EncodeToString(mac(sha256.New, signKey, body)))
	return r
}

func receiptRows() []channeltest.ReceiptRow {
	one := `{"reports":[{"id":"a","status":"DELIVERED","parts":2,"price":"0.07","currency":"EUR"}]}`
	rows := []channeltest.ReceiptRow{
		{
			Name:    "one",
			Request: report(one),
			Want:    []channel.Receipt{{ProviderID: "a", Status: channel.Delivered, Parts: 2, Price: "0.07", Currency: "EUR"}},
		},
		{
			Name: "several, and one that is no news",
			Request: report(
				`{"reports":[{"id":"a","status":"sent"},{"id":"b","status":"PONDERED"},{"id":7,"status":"Accepted"}]}`,
			),
			Want: []channel.Receipt{{ProviderID: "a", Status: channel.Sent}, {ProviderID: "7", Status: channel.Taken}},
		},
		{
			Name:    "the address alone names the message",
			Request: report(`{"reports":[{"status":"SENT"}]}`),
			Want:    []channel.Receipt{{Status: channel.Sent}},
		},
		{Name: "none", Request: report(`{"reports":[]}`)},
	}
	for fields, want := range map[string]channel.Receipt{
		`"status":"FAILED","code":1`: {Status: channel.Undelivered, Code: "1",
			Kind: channel.Rejected},
		`"status":"FAILED","code":"2"`: {Status: channel.Undelivered, Code: "2",
			Kind: channel.Refused},
		`"status":"FAILED","code":"77"`: {Status: channel.Undelivered, Code: "77",
			Kind: channel.Unavailable},
		`"status":"FAILED"`: {Status: channel.Undelivered, Code: "FAILED",
			Kind: channel.Unavailable},
		`"status":"BLOCKED","code":"77"`: {Status: channel.Failed, Code: "BLOCKED",
			Kind: channel.Rejected},
		`"status":"FAILED","code":"447700900123"`: {Status: channel.Undelivered, Code: "FAILED",
			Kind: channel.Unavailable},
		`"status":"DELIVERED","code":"1"`:                      {Status: channel.Delivered},
		`"status":"DELIVERED","price":"0.07"`:                  {Status: channel.Delivered},
		`"status":"DELIVERED","price":"much","currency":"EUR"`: {Status: channel.Delivered},
		`"status":"DELIVERED","parts":-1,"price":"USD 0.00630"`: {Status: channel.Delivered, Price: "0.00630",
			Currency: "USD"},
	} {
		want.ProviderID = "a"
		rows = append(rows, channeltest.ReceiptRow{
			Name:    fields,
			Request: report(`{"reports":[{"id":"a",` + fields + `}]}`),
			Want:    []channel.Receipt{want},
		})
	}
	for body, name := range map[string]string{
		`{"reports":[{"id":"a"}]}`:                                 "without a status",
		`{"reports":[{"id":"a","status":null}]}`:                   "without a word",
		`{"reports":{"id":"a","status":"SENT"}}`:                   "no list",
		`{"report":[]}`:                                            "another list",
		`{"reports":["x"]}`:                                        "a list of something",
		`{"reports":[` + strings.Repeat("{},", maxReports) + `1]}`: "too many",
		`x`: "no JSON",
		``:  "nothing",
	} {
		rows = append(rows, channeltest.ReceiptRow{Name: name, Request: report(body), Refused: true})
	}
	for name, change := range map[string]func(*channel.Callback){
		"unsigned":         func(r *channel.Callback) { r.Header.Del("X-Signature") },
		"another's key":    signed(hex.EncodeToString(mac(sha256.New, "other", one))),
		"another body":     func(r *channel.Callback) { r.Body = []byte(strings.Replace(one, "0.07", "0.00", 1)) },
		"another hash":     signed(hex.EncodeToString(mac(sha512.New, signKey, one))),
		"another encoding": signed(base64.StdEncoding.EncodeToString(mac(sha256.New, signKey, one))),
		"half of it":       signed(hex.EncodeToString(mac(sha256.New, signKey, one))[:32]),
		"an empty one":     signed(""),
		"without its beginning": func(r *channel.Callback) {
			r.Header.Set("X-Signature", strings.TrimPrefix(r.Header.Get("X-Signature"), "sha256="))
		},
	} {
		r := report(one)
		change(&r)
		rows = append(rows, channeltest.ReceiptRow{Name: name, Request: r, Refused: true})
	}
	return rows
}

func signed(s string) func(*channel.Callback) {
	return func(r *channel.Callback) { r.Header.Set("X-Signature", "sha256="+s) }
}

// receive opens settings and gives them a report.
func receive(t *testing.T, c *Config, r channel.Callback) ([]channel.Receipt, error) {
	t.Helper()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	s, err := c.Open(channel.Env{Now: channeltest.Now})
	if err != nil {
		t.Fatal(err)
	}
	got, ok := channel.As[channel.Receiver](s)
	if !ok {
		t.Fatal("it receives nothing")
	}
	return got.Receipts(t.Context(), r)
}

// TestSignatures: every algorithm and encoding. The signatures are those of OpenSSL:
// printf %s '{"id":"a","s":"SENT"}' | openssl dgst -sha256 -hmac key.
func TestSignatures(t *testing.T) {
	t.Parallel()
	const body = `{"id":"a","s":"SENT"}`
	for algorithm, digest := range map[string]string{
		"hmac-sha1":   "0fb563f25ce6b59adddbdca03d3e5b4819d6d3d4",
		"hmac-sha256": "b433a7b4fd0a304688e7db83456d91b6e4d04e3fadbbf68b79dc5123fb3393c3",
		"hmac-sha512": "eaf0eaeffd25cdd3d55827d3c9a1ae52cb93a2dd0038e3d6a60c69f0015b02bb09c2bbfca16838dbe971e7f16d2705a52fced5721830ff993a8d22f0fcf68040",
	} {
		made, err := hex.DecodeString(digest)
		if err != nil {
			t.Fatal(err)
		}
		for encoding, encode := range map[string]func([]byte) string{"hex": hex.EncodeToString,
			"base64": base64.StdEncoding.EncodeToString} {
			c := settings("https://sms.example.com")
			c.Receipts.Each, c.Receipts.Status = "", "/s"
			c.Receipts.Signature = Signature{Header: "x-sig", Algorithm: algorithm, Encoding: encoding,
				Secret: secret.New("key")}
			r := report(body)
			r.Header.Set("X-Sig", encode(made))
			if got, err := receive(t, c, r); err != nil || len(got) != 1 || got[0].ProviderID != "a" {
				t.Errorf("%s, %s: %+v, %v", algorithm, encoding, got, err)
			}
			if encoding == "hex" {
				r.Header.Set("X-Sig", strings.ToUpper(r.Header.Get("X-Sig")))
				if _, err := receive(t, c, r); err != nil {
					t.Errorf("%s in capitals: %v", algorithm, err)
				}
			}
			r.Body = []byte(body + " ")
			if got, err := receive(t, c, r); err == nil {
				t.Errorf("%s, %s: another body is taken: %+v", algorithm, encoding, got)
			}
		}
	}
}

// TestForms: reports in a query, in a form, in a list that is the whole body, and in a single object.
func TestForms(t *testing.T) {
	t.Parallel()
	statuses := map[string]string{"D": "delivered"}
	want := channel.Receipt{
		Token:      "dG9rZW4",
		ProviderID: "9",
		Status:     channel.Delivered,
		Price:      "0.1",
		Currency:   "EUR",
		At:         channeltest.Now(),
	}
	for in, row := range map[string]struct {
		r     Receipts
		query string
		body  string
	}{
		"query": {Receipts{In: "query", Token: "ref", ID: "id", Status: "st", Price: "p", Currency: "EUR",
			Statuses: statuses}, "ref=dG9rZW4&id=9&st=d&p=0.1", ""},
		"form": {Receipts{In: "form", Token: "ref", ID: "id", Status: "st", Price: "p", Currency: "c", Statuses: statuses},
			"", "ref=dG9rZW4&id=9&st=D&p=0.1&c=EUR"},
		"object": {Receipts{In: "json", Token: "/ref", ID: "/id", Status: "/st/0", Price: "/p", Currency: "EUR",
			Statuses: statuses}, "", `{"ref":"dG9rZW4","id":9,"st":["D"],"p":0.1}`},
		"list": {Receipts{In: "json", Each: "list", Token: "/ref", ID: "/id", Status: "/st", Price: "/p", Currency: "EUR",
			Statuses: statuses}, "", `[{"ref":"dG9rZW4","id":9,"st":"D","p":0.1}]`},
	} {
		c := settings("https://sms.example.com")
		c.Receipts = row.r
		c.Body.Text = `{"to":"{to}","text":"{text}","ref":"{token}"}`
		r := report(row.body)
		r.URL.RawQuery = row.query
		got, err := receive(t, c, r)
		if err != nil || len(got) != 1 || got[0] != want {
			t.Errorf("%s: %+v, %v", in, got, err)
		}
		r.URL, r.Body = nil, nil
		if got, err := receive(t, c, r); err == nil {
			t.Errorf("%s, from nowhere: %+v", in, got)
		}
	}
}

// TestWhoseReport: reports find their message by the address, by the token, or by the gateway's id.
func TestWhoseReport(t *testing.T) {
	t.Parallel()
	for text, row := range map[string]struct {
		token string
		byID  bool
	}{
		`{"to":"{to}","text":"{text}","report":"{callback}"}`: {"", false},
		`{"to":"{to}","text":"{text}","ref":"{token}"}`:       {"/ref", false},
		`{"to":"{to}","text":"{text}"}`:                       {"", true},
	} {
		c := settings("https://sms.example.com")
		c.Body.Text, c.Receipts.Token = text, row.token
		s, err := c.Open(channel.Env{})
		if err != nil {
			t.Fatal(err)
		}
		if by, ok := channel.As[channel.Correlator](s); !ok || by.ReceiptsByID() != row.byID {
			t.Errorf("%s: by id %v", text, !row.byID)
		}
		a, _ := channel.As[channel.Answerer](s)
		if reply, ok := a.Answer(t.Context(), channel.Callback{}); !ok || string(reply.Body) != "OK" || reply.Status != 200 {
			t.Errorf("%+v, %v", reply, ok)
		}
	}
}

func FuzzReceipts(f *testing.F) {
	f.Add("json", "", `{"reports":[{"id":"a","status":"SENT"}]}`, true)
	f.Add("json", "", `{"reports":[{"id":"a","status":"FAILED","code":1e999}]}`, false)
	f.Add("form", "", "id=a&status=FAILED&code=447700900123", true)
	f.Add("query", "id=a&status=%zz", "", true)
	f.Fuzz(func(t *testing.T, in, query, body string, forged bool) {
		c := settings("https://sms.example.com")
		c.Receipts.In = in
		if in != "json" {
			c.Receipts.Each, c.Receipts.ID, c.Receipts.Status, c.Receipts.Error = "", "id", "status", "code"
		}
		if in == "query" {
			c.Receipts.Signature = Signature{}
		}
		s, err := c.Open(channel.Env{Now: channeltest.Now})
		if err != nil {
			return
		}
		r := report(body)
		r.URL = &url.URL{Scheme: "https", Host: "x", RawQuery: query}
		if forged {
			r.Header.Set("X-Signature", "sha256="+body)
		}
		receiver, ok := channel.As[channel.Receiver](s)
		if !ok {
			return
		}
		got, err := receiver.Receipts(t.Context(), r)
		if forged && in != "query" && err == nil {
			t.Errorf("a forged report was taken: %v", got)
		}
		if e, ok := errors.AsType[*channel.Error](err); err != nil && (!ok || e.Kind != channel.Refused || len(got) > 0) {
			t.Errorf("%v, %v", got, err)
		}
		for _, g := range got {
			if !g.Status.Valid() || len(g.Code) > 64 || len(g.ProviderID) > maxValue {
				t.Errorf("%+v", g)
			}
		}
	})
}
