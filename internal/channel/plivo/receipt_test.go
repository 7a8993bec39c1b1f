package plivo

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/channeltest"
)

const nonce = "31627761595286130198"

// mac signs a text as Plivo does, written apart from the code under test.
func macOf(key, text string) string {
	m := hmac.New(sha256.New, []byte(key))
	m.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(m.Sum(nil))
}

// post returns a request of Plivo's at a step of the callback's address, signed by version 2 or 3.
func post(version, step string, form url.Values, change func(*channel.Callback)) channel.Callback {
	query := ""
	if step != "" {
		query = "?step=" + step
	}
	u, _ := url.Parse(callback + query)
	r := channel.Callback{
		Method: http.MethodPost,
		URL:    u,
		Header: http.Header{},
		Body:   []byte(form.Encode()),
		Now:    channeltest.Now(),
	}
	text := callback + nonce
	if version == "V3" {
		text = callback + "?"
		if query != "" {
			text = callback + query + "."
		}
		for _, key := range slices.Sorted(maps.Keys(form)) {
			text += key + form.Get(key)
		}
		text += "." + nonce
	}
	r.Header.Set("X-Plivo-Signature-"+version, macOf(token, text))
	r.Header.Set("X-Plivo-Signature-"+version+"-Nonce", nonce)
	if change != nil {
		change(&r)
	}
	return r
}

// formOf returns the form of a message's receipt, with more pairs of keys and values.
func formOf(status string, more ...string) url.Values {
	f := url.Values{
		"MessageUUID":       {id},
		"To":                {"447700900123"},
		"From":              {"447700900001"},
		"Type":              {"sms"},
		"Status":            {status},
		"Sequence":          {"2"},
		"MCC":               {"234"},
		"MNC":               {"30"},
		"ParentMessageUUID": {id},
		"MessageTime":       {"2026-11-23 08:00:00.000000"},
	}
	for i := 0; i < len(more); i += 2 {
		f.Set(more[i], more[i+1])
	}
	return f
}

func messageRows() []channeltest.ReceiptRow {
	var rows []channeltest.ReceiptRow
	add := func(name string, form url.Values, want channel.Receipt) {
		want.ProviderID = id
		for _, version := range []string{"V2", "V3"} {
			rows = append(rows, channeltest.ReceiptRow{
				Name:    name + ", signed by " + version,
				Request: post(version, "", form, nil),
				Want:    []channel.Receipt{want},
			})
		}
	}
	for status, want := range map[string]channel.Receipt{
		"queued":      {Status: channel.Taken},
		"sent":        {Status: channel.Sent},
		"delivered":   {Status: channel.Delivered},
		"read":        {Status: channel.Delivered},
		"undelivered": {Status: channel.Undelivered, Code: "undelivered", Kind: channel.Unavailable},
		"failed":      {Status: channel.Failed, Code: "failed", Kind: channel.Unavailable},
		"rejected":    {Status: channel.Failed, Code: "rejected", Kind: channel.Unavailable},
		"new":         {Status: channel.Taken},
	} {
		add(status, formOf(status), want)
	}
	add("a new code", formOf("failed", "ErrorCode", "777"),
		channel.Receipt{Status: channel.Failed, Code: "777", Kind: channel.Unavailable})
	add("a code that is a number", formOf("failed", "ErrorCode", "447700900123"),
		channel.Receipt{Status: channel.Failed, Code: "failed", Kind: channel.Unavailable})
	add("price and parts", formOf("sent", "Units", "2", "TotalRate", "0.00250", "TotalAmount", "0.00500"),
		channel.Receipt{Status: channel.Sent, Parts: 2, Price: "0.00500", Currency: "USD"})
	add("no price", formOf("delivered", "Units", "", "TotalAmount", ""), channel.Receipt{Status: channel.Delivered})
	for _, none := range []string{"free", "NaN", "Inf", "0x1p-2", "1e-3", "-1", "0.00000"} {
		add("a price that is none: "+none, formOf("delivered", "TotalAmount", none),
			channel.Receipt{Status: channel.Delivered})
	}
	add("the first after the last", formOf("queued", "Sequence", "1"), channel.Receipt{Status: channel.Taken})
	rows = append(rows, channeltest.ReceiptRow{
		Name: "by GET",
		Want: []channel.Receipt{{ProviderID: id, Status: channel.Delivered}},
		Request: post("V2", "", nil,
			func(r *channel.Callback) { r.Method, r.URL.RawQuery = http.MethodGet, formOf("delivered").Encode() }),
	})
	return append(append(rows, refusedRows(formOf("delivered"), "V2", "V3")...), channeltest.ReceiptRow{
		Name:    "about nothing",
		Request: post("V2", "", url.Values{"Status": {"sent"}}, nil),
		Refused: true,
	}, channeltest.ReceiptRow{
		Name:    "without a status",
		Request: post("V2", "", url.Values{"MessageUUID": {id}}, nil),
		Refused: true,
	})
}

// refusedRows are requests that are not Plivo's.
func refusedRows(form url.Values, versions ...string) []channeltest.ReceiptRow {
	var rows []channeltest.ReceiptRow
	for _, version := range versions {
		key := "X-Plivo-Signature-" + version
		for name, change := range map[string]func(*channel.Callback){
			"no signature":  func(r *channel.Callback) { r.Header.Del(key) },
			"no nonce":      func(r *channel.Callback) { r.Header.Del(key + "-Nonce") },
			"another nonce": func(r *channel.Callback) { r.Header.Set(key+"-Nonce", "1") },
			"no base64":     func(r *channel.Callback) { r.Header.Set(key, "***") },
			"another's":     func(r *channel.Callback) { r.Header.Set(key, macOf("other", callback+nonce)) },
			"another address": func(r *channel.Callback) {
				r.URL, _ = url.Parse("https://evil.example.com/callbacks/main/dG9rZW4")
			},
			"no address":      func(r *channel.Callback) { r.URL = nil },
			"a broken escape": func(r *channel.Callback) { r.Body = []byte("%zz") },
		} {
			rows = append(rows,
				channeltest.ReceiptRow{Name: name + ", " + version, Request: post(version, "", form, change), Refused: true})
		}
	}
	for name, change := range map[string]func(*channel.Callback){
		"another status": func(r *channel.Callback) {
			r.Body = []byte(strings.Replace(string(r.Body), "Status=", "Status=x", 1))
		},
		"another step": func(r *channel.Callback) { r.URL.RawQuery = "step=spoken" },
		"version 2 beside a wrong version 3": func(r *channel.Callback) {
			r.Header = post("V2", "", form, nil).Header
			r.Header.Set("X-Plivo-Signature-V3", macOf(token, "x"))
			r.Header.Set("X-Plivo-Signature-V3-Nonce", nonce)
		},
	} {
		rows = append(rows, channeltest.ReceiptRow{Name: name, Request: post("V3", "", form, change), Refused: true})
	}
	return rows
}

// callForm returns the form of a request about a call.
func callForm(event, status string, more ...string) url.Values {
	f := url.Values{
		"CallUUID":    {callUUID},
		"RequestUUID": {callUUID},
		"To":          {"447700900123"},
		"From":        {"447700900001"},
		"Direction":   {"outbound"},
		"Event":       {event},
		"CallStatus":  {status},
		"SIP-H-To":    {"<sip:447700900123@52.9.11.55;transport=udp>;tag=1"},
	}
	for i := 0; i < len(more); i += 2 {
		f.Set(more[i], more[i+1])
	}
	return f
}

func callRows() []channeltest.ReceiptRow {
	var rows []channeltest.ReceiptRow
	add := func(name, step string, form url.Values, want ...channel.Receipt) {
		for i := range want {
			want[i].ProviderID = callUUID
		}
		rows = append(rows, channeltest.ReceiptRow{Name: name, Request: post("V3", step, form, nil), Want: want})
	}
	add("it rings", "ring", callForm("Ring", "ringing"), channel.Receipt{Status: channel.Sent})
	add("somebody picked up", "", callForm("StartApp", "in-progress"), channel.Receipt{Status: channel.Sent})
	add("a key", "key1", callForm("Redirect", "in-progress", "Digits", "1"))
	add("another key", "key2", callForm("Redirect", "in-progress", "Digits", "9"))
	add("it was spoken", "spoken", callForm("Redirect", "in-progress"), channel.Receipt{Status: channel.Delivered})
	add("without a request's id", "spoken", callForm("Redirect", "in-progress", "RequestUUID", ""),
		channel.Receipt{Status: channel.Delivered})
	for status, want := range map[string]channel.Receipt{
		"completed": {Status: channel.Undelivered, Code: "not_spoken"},
		"busy":      {Status: channel.Undelivered, Code: "busy", Kind: channel.Unavailable},
		"no-answer": {Status: channel.Undelivered, Code: "no-answer", Kind: channel.Unavailable},
		"timeout":   {Status: channel.Undelivered, Code: "timeout", Kind: channel.Unavailable},
		"cancel":    {Status: channel.Undelivered, Code: "cancel", Kind: channel.Unavailable},
		"failed":    {Status: channel.Failed, Code: "failed", Kind: channel.Unavailable},
		"new":       {Status: channel.Undelivered, Code: "unknown", Kind: channel.Unavailable},
	} {
		add("the end: "+status, "hangup", callForm("Hangup", status), want)
	}
	add("a new cause", "hangup", callForm("Hangup", "busy", "HangupCauseCode", "3999"),
		channel.Receipt{Status: channel.Undelivered, Code: "3999", Kind: channel.Unavailable})
	add("the price", "hangup",
		callForm("Hangup", "completed", "HangupCauseCode", "4000", "TotalCost", "0.01230", "Duration", "30"),
		channel.Receipt{Status: channel.Undelivered, Code: "not_spoken", Price: "0.01230", Currency: "USD"})
	rows = append(rows, refusedRows(callForm("StartApp", "in-progress"), "V3")...)
	return append(rows, channeltest.ReceiptRow{
		Name: "a call by version 2", Request: post("V2", "spoken", callForm("Redirect", "in-progress"), nil), Refused: true,
	})
}

// TestVectors holds the signatures against those of Plivo's own library.
func TestVectors(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(channeltest.SpecPath(t, "vectors/webhook-signatures.json"))
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		Provider, Case, Secret, URL, Nonce, Method, Signature string
		Params                                                map[string]string
	}
	if err := json.Unmarshal(text, &vectors); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, v := range vectors {
		if v.Provider != "plivo" {
			continue
		}
		n++
		version, _, _ := strings.Cut(v.Case, " ")
		u, _ := url.Parse(v.URL)
		form := url.Values{}
		for key, p := range v.Params {
			form.Set(key, p)
		}
		r := channel.Callback{Method: v.Method, URL: u, Header: http.Header{}, Body: []byte(form.Encode())}
		if v.Method == http.MethodGet { // what is called holds it all in its query
			u.RawQuery += "&" + form.Encode()
		}
		r.Header.Set("X-Plivo-Signature-"+version+"-Nonce", v.Nonce)
		for _, name := range []string{"X-Plivo-Signature-" + version, "X-Plivo-Signature-Ma-" + version} {
			r.Header.Set(name, macOf("another token", "x")+", "+v.Signature)
			if !proved(v.Secret, version, r) {
				t.Errorf("%s in %s: not accepted", v.Case, name)
			}
			if proved(v.Secret+"x", version, r) {
				t.Errorf("%s in %s: accepted for another token", v.Case, name)
			}
			r.Header.Del(name)
		}
	}
	if n != 3 {
		t.Errorf("%d vectors of Plivo's, want 3", n)
	}
}

func proved(token, version string, r channel.Callback) bool {
	if version == "V2" {
		return signedV2(token, r)
	}
	form, err := params(r)
	return err == nil && signedV3(token, r, form)
}

// TestTwice: a receipt that comes twice says the same twice.
func TestTwice(t *testing.T) {
	t.Parallel()
	receiver, _ := open(t, "https://api.plivo.com", nil).(channel.Receiver)
	r := post("V2", "", formOf("delivered"), nil)
	first, err := receiver.Receipts(t.Context(), r)
	second, again := receiver.Receipts(t.Context(), r)
	if err != nil || again != nil || len(first) != 1 || !reflect.DeepEqual(first, second) {
		t.Errorf("%v %v, %v %v", first, err, second, again)
	}
}

func FuzzReceipts(f *testing.F) {
	f.Add(formOf("delivered").Encode(), "", "", false)
	f.Add(callForm("Hangup", "failed", "HangupCauseCode", "2000").Encode(), "hangup", "", false)
	f.Add("MessageUUID=x&Status=sent", "", "AAAA,BBBB", true)
	s := open(f, "https://api.plivo.com", nil)
	f.Fuzz(func(t *testing.T, body, step, header string, forged bool) {
		form, err := url.ParseQuery(body)
		if err != nil {
			return
		}
		r := post("V3", url.QueryEscape(step), form, nil)
		r.Body = []byte(body)
		if forged {
			r.Header.Set("X-Plivo-Signature-V3", header)
		}
		got, err := s.(channel.Receiver).Receipts(t.Context(), r)
		if forged && err == nil {
			t.Errorf("a forged receipt was taken: %v", got)
		}
		if e, ok := errors.AsType[*channel.Error](err); err != nil && (!ok || e.Kind != channel.Refused) {
			t.Errorf("%v", err)
		}
		for _, g := range got {
			if !g.Status.Valid() {
				t.Errorf("the status %q is none", g.Status)
			}
		}
		if err == nil {
			s.(channel.Answerer).Answer(t.Context(), r)
		}
	})
}
