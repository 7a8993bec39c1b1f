package vonage

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash"
	"net/http"
	"net/url"
	"os"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/channeltest"
	"github.com/dialproof/dialproof/internal/secret"
)

// sum signs fields as Vonage does, written apart from the code under test.
func sum(method, key string, fields url.Values) string {
	var names []string
	for k := range fields {
		names = append(names, k)
	}
	sort.Strings(names)
	text := ""
	for _, k := range names {
		text += "&" + k + "=" + strings.ReplaceAll(strings.ReplaceAll(fields.Get(k), "&", "_"), "=", "_")
	}
	if method == "md5hash" {
		h := md5.Sum([]byte(text + key))
		return hex.EncodeToString(h[:])
	}
	mac := hmac.New(map[string]func() hash.Hash{"md5": md5.New, "sha1": sha1.New, "sha256": sha256.New,
		"sha512": sha512.New}[method], []byte(key))
	mac.Write([]byte(text))
	return strings.ToUpper(hex.EncodeToString(mac.Sum(nil)))
}

func report(status string, change url.Values) url.Values {
	f := url.Values{
		"msisdn":            {"447700900123"},
		"to":                {"447700900001"},
		"network-code":      {"23410"},
		"messageId":         {classicID},
		"price":             {"0.03330000"},
		"status":            {status},
		"scts":              {"2611230800"},
		"err-code":          {"0"},
		"api-key":           {apiKey},
		"client-ref":        {"dG9rZW4"},
		"message-timestamp": {"2026-11-23 08:00:00"},
		"timestamp":         {strconv.FormatInt(channeltest.Now().Unix(), 10)},
		"nonce":             {"a&b=c"},
	}
	for k, v := range change {
		if f[k] = v; v == nil {
			delete(f, k)
		}
	}
	f.Set("sig", sum("sha256", signature, f))
	return f
}

// as returns a receipt in one of the three forms.
func as(form string, f url.Values) channel.Callback {
	u, _ := url.Parse(callback)
	r := channel.Callback{Method: http.MethodPost, URL: u, Header: http.Header{}, Now: channeltest.Now()}
	switch form {
	case "query":
		r.Method = http.MethodGet
		r.URL, _ = url.Parse(callback + "?" + f.Encode())
	case "form":
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Body = []byte(f.Encode())
	case "json":
		r.Header.Set("Content-Type", "application/json; charset=utf-8")
		flat := map[string]string{}
		for k := range f {
			flat[k] = f.Get(k)
		}
		r.Body, _ = json.Marshal(flat)
	}
	return r
}

func classicRows() []channeltest.ReceiptRow {
	var rows []channeltest.ReceiptRow
	add := func(name string, r channel.Callback, want channel.Receipt) {
		want.Token, want.ProviderID, want.Price, want.Currency = "dG9rZW4", classicID, "0.0333", "EUR"
		rows = append(rows, channeltest.ReceiptRow{Name: name, Request: r, Want: []channel.Receipt{want}})
	}
	for s, want := range map[string]channel.Receipt{
		"accepted": {Status: channel.Sent}, "buffered": {Status: channel.Sent}, "delivered": {Status: channel.Delivered},
		"unknown":  {Status: channel.Unknown},
		"expired":  {Status: channel.Undelivered, Code: "expired", Kind: channel.Unavailable},
		"failed":   {Status: channel.Undelivered, Code: "failed", Kind: channel.Unavailable},
		"rejected": {Status: channel.Failed, Code: "rejected", Kind: channel.Unavailable},
		"new":      {Status: channel.Taken},
	} {
		for _, form := range []string{"query", "form", "json"} {
			add(s+" by "+form, as(form, report(s, nil)), want)
		}
	}
	rows = append(rows, channeltest.ReceiptRow{
		Name:    "without price and reference",
		Request: as("query", report("delivered", url.Values{"price": nil, "client-ref": nil})),
		Want:    []channel.Receipt{{ProviderID: classicID, Status: channel.Delivered}},
	}, channeltest.ReceiptRow{Name: "an incoming message",
		Request: as("form", report("x", url.Values{"status": nil, "text": {"STOP"}}))})
	good := report("delivered", nil)
	twice := as("query", good)
	twice.URL.RawQuery += "&status=failed"
	broken := as("form", good)
	broken.Body = []byte("%zz")
	list := as("json", good)
	list.Body = []byte("[]")
	for name, r := range map[string]channel.Callback{
		"no signature":     as("form", without(good, "sig")),
		"an empty one":     as("form", with(good, "sig", "")),
		"another's secret": as("form", with(good, "sig", sum("sha256", "other", without(good, "sig")))),
		"another method":   as("form", with(good, "sig", sum("md5hash", signature, without(good, "sig")))),
		"another status":   as("json", with(good, "status", "failed")),
		"a new field":      as("query", with(good, "x", "y")),
		"too old": as("form",
			report("delivered", url.Values{"timestamp": {strconv.FormatInt(channeltest.Now().Add(-25*time.Hour).Unix(), 10)}})),
		"of tomorrow": as("form",
			report("delivered", url.Values{"timestamp": {strconv.FormatInt(channeltest.Now().Add(time.Hour).Unix(), 10)}})),
		"without a time":  as("form", report("delivered", url.Values{"timestamp": nil})),
		"a field twice":   twice,
		"a broken escape": broken,
		"no object":       list,
		"a step of a call": {Method: http.MethodPost, URL: mustParse(callback + "?step=spoken"), Header: http.Header{},
			Body: []byte(good.Encode()), Now: channeltest.Now()},
		"a forged JWT":      forgedJWT(good),
		"nothing whatever":  as("form", nil),
		"an empty callback": {Method: http.MethodPost, Header: http.Header{}},
	} {
		rows = append(rows, channeltest.ReceiptRow{Name: name, Request: r, Refused: true})
	}
	return rows
}

func mustParse(s string) *url.URL {
	u, err := url.Parse(s)
	if err != nil {
		panic(err) // the address is ours
	}
	return u
}

func forgedJWT(f url.Values) channel.Callback {
	r := as("form", f)
	r.Header.Set("Authorization", "Bearer x.y.z")
	return r
}

func with(f url.Values, key, value string) url.Values {
	out := without(f, key)
	out.Set(key, value)
	return out
}

func without(f url.Values, key string) url.Values {
	out := url.Values{}
	for k, v := range f {
		if k != key {
			out[k] = v
		}
	}
	return out
}

// TestUnsigned: an account without signatures is believed by the address alone, when the operator says so.
func TestUnsigned(t *testing.T) {
	t.Parallel()
	s := classic(t, "https://api.nexmo.com", nil,
		func(c *Config) { c.SignatureMethod, c.SignatureSecret = unsigned, secret.Text{} })
	got, err := s.(channel.Receiver).Receipts(t.Context(),
		as("query", without(without(report("delivered", nil), "sig"), "timestamp")))
	if err != nil || len(got) != 1 || got[0].Status != channel.Delivered {
		t.Errorf("%v %v", got, err)
	}
}

// TestVectors: the signatures of Vonage's own SDK, in all its methods.
func TestVectors(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(channeltest.SpecPath(t, "vectors/webhook-signatures.json"))
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		Provider, Case, Secret, Signature string
		Params                            map[string]string
	}
	if err := json.Unmarshal(text, &vectors); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, v := range vectors {
		if v.Provider != "vonage-sms" {
			continue
		}
		n++
		method := "sha256"
		if strings.HasPrefix(v.Case, "md5hash") {
			method = "md5hash"
		}
		v.Params["sig"] = v.Signature
		if !signedFields(method, v.Secret, v.Params) || signedFields(method, v.Secret+"x", v.Params) ||
			signedFields("sha1", v.Secret, v.Params) || signedFields(unsigned, v.Secret, v.Params) {
			t.Errorf("%s: the signature is not judged rightly", v.Case)
		}
	}
	if n < 2 {
		t.Errorf("%d vectors of Vonage's, want 2", n)
	}
	for _, method := range methods()[:5] {
		f := without(report("delivered", nil), "sig")
		flat := map[string]string{"sig": sum(method, signature, f)}
		for k := range f {
			flat[k] = f.Get(k)
		}
		if !signedFields(method, signature, flat) {
			t.Errorf("%s: not taken", method)
		}
	}
}

func FuzzClassicReceipts(f *testing.F) {
	f.Add("messageId=x&status=delivered", "form", false)
	f.Add(`{"messageId":"x","status":"failed","err-code":3}`, "json", false)
	f.Add("messageId=x&status=failed&sig=00", "query", true)
	signedOnly := classic(f, "https://api.nexmo.com", nil, nil)
	trusting := classic(f, "https://api.nexmo.com", nil, func(c *Config) { c.SignatureMethod = unsigned })
	f.Fuzz(func(t *testing.T, body, form string, sealed bool) {
		r := as(form, nil)
		if r.Body = []byte(body); form == "query" {
			r.URL.RawQuery = body
		}
		s := trusting
		if sealed {
			s = signedOnly
		}
		got, err := s.(channel.Receiver).Receipts(t.Context(), r)
		if sealed && err == nil {
			t.Errorf("an unsigned receipt was taken: %v", got)
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
