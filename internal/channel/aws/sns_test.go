package aws

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/channeltest"
)

const (
	certURL = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem"
	confirm = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=" + topic + "&Token=2336412f"
)

// keys are SNS's key of all tests and somebody else's: making one takes a while.
var keys = sync.OnceValue(func() [2]*rsa.PrivateKey {
	var out [2]*rsa.PrivateKey
	for i := range out {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err) // there is no randomness
		}
		out[i] = k
	}
	return out
})

// certificate returns a certificate of a key, good for a year around the suite's clock.
func certificate(key crypto.Signer, change func(*x509.Certificate)) string {
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "sns.amazonaws.com"},
		NotBefore: channeltest.Now().AddDate(0, -6, 0), NotAfter: channeltest.Now().AddDate(0, 6, 0),
	}
	if change != nil {
		change(c)
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		panic(err) // a key of the test's own
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

var genuine = sync.OnceValue(func() string { return certificate(keys()[0], nil) })

// fakeSNS answers for SNS: its certificate and its confirmations. Says answers instead when it is there.
type fakeSNS struct {
	mu    sync.Mutex
	asked []string
	says  func(r *http.Request) (status int, body string)
}

// RoundTrip implements http.RoundTripper.
func (f *fakeSNS) RoundTrip(r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, r.URL.String())
	status, body := 200, genuine()
	if f.says != nil {
		status, body = f.says(r)
	}
	if status == 0 {
		return nil, errors.New("SNS is away")
	}
	return &http.Response{
		StatusCode: status,
		Header:     http.Header{},
		Body:       io.NopCloser(strings.NewReader(body)),
		Request:    r,
	}, nil
}

// message answers an SNS message that is signed as SNS does, written apart from the code under test.
func snsMessage(kind, text string, change map[string]any, after func(map[string]any)) []byte {
	m := map[string]any{
		"Type": kind, "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324", "TopicArn": topic, "Message": text,
		"Timestamp": "2026-11-23T07:59:58.123Z", "SignatureVersion": "2", "SigningCertURL": certURL,
	}
	fields := []string{"Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"}
	if kind != "Notification" {
		m["Token"], m["SubscribeURL"] = "2336412f", confirm
		fields = []string{"Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"}
	}
	maps.Copy(m, change)
	var lines string
	for _, f := range fields {
		if v, ok := m[f].(string); ok {
			lines += f + "\n" + v + "\n"
		}
	}
	m["Signature"] = signature(keys()[0], fmt.Sprint(m["SignatureVersion"]), lines)
	if after != nil {
		after(m)
	}
	body, _ := json.Marshal(m)
	return body
}

func signature(key *rsa.PrivateKey, version, lines string) string {
	two := sha256.Sum256([]byte(lines))
	hash, digest := crypto.SHA256, two[:]
	if version == "1" {
		one := sha1.Sum([]byte(lines))
		hash, digest = crypto.SHA1, one[:]
	}
	raw, err := rsa.SignPKCS1v15(rand.Reader, key, hash, digest)
	if err != nil {
		panic(err) // a key of the test's own
	}
	return base64.StdEncoding.EncodeToString(raw)
}

func request(body []byte) channel.Callback {
	u, _ := url.Parse(callback)
	return channel.Callback{
		Method: http.MethodPost,
		URL:    u,
		Header: http.Header{"Content-Type": {"text/plain; charset=UTF-8"}},
		Body:   body,
		Now:    channeltest.Now(),
	}
}

// eventOf returns an event, after the example of AWS's guide.
func eventOf(kind, more string) string {
	return `{"eventType":"` + kind + `","eventVersion":"1.0","eventTimestamp":1795420800470,"isFinal":true,` +
		`"originationPhoneNumber":"+447700900001",` +
		`"destinationPhoneNumber":"+447700900123","isoCountryCode":"GB","messageId":"` + id + `","messageStatus":"x",` +
		`"context":{"dialproof":"dG9rZW4"}` + more + `}`
}

func receiptRows() []channeltest.ReceiptRow {
	var rows []channeltest.ReceiptRow
	add := func(name string, body []byte, want ...channel.Receipt) {
		for i := range want {
			want[i].Token, want[i].ProviderID = "dG9rZW4", id
		}
		rows = append(rows, channeltest.ReceiptRow{Name: name, Request: request(body), Want: want})
	}
	delivered := eventOf("TEXT_DELIVERED", "")
	add("version 1", snsMessage("Notification", delivered, map[string]any{"SignatureVersion": "1"}, nil),
		channel.Receipt{Status: channel.Delivered})
	add("with a subject", snsMessage("Notification", delivered, map[string]any{"Subject": "news"}, nil),
		channel.Receipt{Status: channel.Delivered})
	add("with a subject of nothing", snsMessage("Notification", delivered, map[string]any{"Subject": ""}, nil),
		channel.Receipt{Status: channel.Delivered})
	add("a new event", snsMessage("Notification", eventOf("TEXT_ODD", ""), nil, nil),
		channel.Receipt{Status: channel.Taken})
	priced := eventOf("TEXT_SUCCESSFUL", `,"totalMessageParts":2,"totalMessagePrice":0.09582,"totalCarrierFee":0.00305`)
	add("price, fee and parts", snsMessage("Notification", priced, nil, nil),
		channel.Receipt{Status: channel.Sent, Parts: 2, Price: "0.09887", Currency: "USD"})
	add("price alone",
		snsMessage("Notification",
			eventOf("TEXT_SUCCESSFUL", `,"totalMessageParts":1,"totalMessagePrice":0.04,"totalCarrierFee":0.0`), nil, nil),
		channel.Receipt{Status: channel.Sent, Parts: 1, Price: "0.04", Currency: "USD"})
	add("no price", snsMessage("Notification", eventOf("TEXT_SUCCESSFUL", `,"totalMessagePrice":0.0`), nil, nil),
		channel.Receipt{Status: channel.Sent})
	add("a price from the moon",
		snsMessage("Notification", eventOf("TEXT_SUCCESSFUL", `,"totalMessagePrice":1e300`), nil, nil),
		channel.Receipt{Status: channel.Sent})
	add("another system's message",
		snsMessage("Notification", strings.Replace(delivered, "dialproof", "account", 1), nil, nil))
	add("no context", snsMessage("Notification", `{"eventType":"TEXT_DELIVERED","messageId":"x"}`, nil, nil))
	add("a call", snsMessage("Notification", eventOf("VOICE_COMPLETED", ""), nil, nil))
	add("the end of the subscription", snsMessage("UnsubscribeConfirmation", "You have chosen to deactivate", nil, nil))
	add("a subscription", snsMessage("SubscriptionConfirmation", "You have chosen to subscribe", nil, nil))
	return append(rows, refusedRows(delivered)...)
}

// refusedRows are receipts that SNS did not send, or not of our topic.
func refusedRows(delivered string) []channeltest.ReceiptRow {
	body := func(change map[string]any, after func(map[string]any)) []byte {
		return snsMessage("Notification", delivered, change, after)
	}
	set := func(key string, v any) func(map[string]any) { return func(m map[string]any) { m[key] = v } }
	var rows []channeltest.ReceiptRow
	for name, b := range map[string][]byte{
		"raw message delivery":    []byte(delivered),
		"no signature":            body(nil, func(m map[string]any) { delete(m, "Signature") }),
		"another's key":           body(nil, set("Signature", signature(keys()[1], "2", "x"))),
		"no base64":               body(nil, set("Signature", "***")),
		"another status":          body(nil, set("Message", strings.Replace(delivered, "DELIVERED", "SPAM", 1))),
		"another time":            body(nil, set("Timestamp", "2026-11-23T07:59:59.123Z")),
		"another type":            body(nil, set("Type", "SubscriptionConfirmation")),
		"a subject from air":      body(nil, set("Subject", "x")),
		"a subject that went":     body(map[string]any{"Subject": "x"}, func(m map[string]any) { delete(m, "Subject") }),
		"another version":         body(nil, set("SignatureVersion", "1")),
		"a version that is none":  body(map[string]any{"SignatureVersion": "3"}, nil),
		"another account's topic": body(map[string]any{"TopicArn": "arn:aws:sns:eu-west-1:210987654321:sms-events"}, nil),
		"no topic":                body(map[string]any{"TopicArn": ""}, nil),
		"too old":                 body(map[string]any{"Timestamp": "2026-11-22T07:59:59.000Z"}, nil),
		"of the future":           body(map[string]any{"Timestamp": "2026-11-23T08:06:00.000Z"}, nil),
		"no time":                 body(map[string]any{"Timestamp": ""}, nil),
		"no event":                snsMessage("Notification", "Hello", nil, nil),
		"a type that is none":     snsMessage("Newsletter", delivered, nil, nil),
		"a subscription elsewhere": snsMessage("SubscriptionConfirmation", "x",
			map[string]any{"SubscribeURL": "https://evil.example.com/?Action=ConfirmSubscription&TopicArn=" + topic}, nil),
		"a subscription to another": snsMessage("SubscriptionConfirmation", "x",
			map[string]any{"SubscribeURL": strings.Replace(confirm, "sms-events", "other", 1)}, nil),
		"a subscription that deletes": snsMessage("SubscriptionConfirmation", "x",
			map[string]any{"SubscribeURL": strings.Replace(confirm, "ConfirmSubscription", "DeleteTopic", 1)}, nil),
	} {
		rows = append(rows, channeltest.ReceiptRow{Name: name, Request: request(b), Refused: true})
	}
	for _, address := range badCertURLs() {
		rows = append(rows, channeltest.ReceiptRow{
			Name:    "a certificate at " + address,
			Request: request(body(map[string]any{"SigningCertURL": address}, nil)),
			Refused: true,
		})
	}
	return rows
}

func badCertURLs() []string {
	return []string{
		"", "://", strings.Replace(certURL, "https", "http", 1), "https://evil.example.com/SimpleNotificationService-01.pem",
		"https://sns.us-east-1.amazonaws.com/SimpleNotificationService-01.pem",
		"https://sns.eu-west-1.amazonaws.com.evil.example.com/SimpleNotificationService-01.pem",
		"https://sns.eu-west-1.amazonaws.com@evil.example.com/SimpleNotificationService-01.pem",
		"https://me@sns.eu-west-1.amazonaws.com/SimpleNotificationService-01.pem",
		"https://sns.eu-west-1.amazonaws.com:8443/SimpleNotificationService-01.pem",
		"https://s3.eu-west-1.amazonaws.com/SimpleNotificationService-01.pem", "https://sns.eu-west-1.amazonaws.com/x.pem",
		"https://sns.eu-west-1.amazonaws.com/a/../SimpleNotificationService-01.pem",
		"https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-01.pem?x=y",
		"https://sns.eu-west-1.amazonaws.com/?Action=x",
	}
}

// TestCertificates: one is fetched once, never from elsewhere, and no more are kept than four.
func TestCertificates(t *testing.T) {
	t.Parallel()
	sns := &fakeSNS{}
	s := open(t, settings(""), nil, sns)
	receiver, _ := s.(channel.Receiver)
	r := request(snsMessage("Notification", eventOf("TEXT_DELIVERED", ""), nil, nil))
	var first []channel.Receipt
	for i := range 3 { // a receipt that comes three times says the same three times
		got, err := receiver.Receipts(t.Context(), r)
		if err != nil || len(got) != 1 || (i > 0 && !reflect.DeepEqual(got, first)) {
			t.Fatalf("%v, %v", got, err)
		}
		first = got
	}
	for _, address := range badCertURLs() {
		_, err := receiver.Receipts(t.Context(),
			request(snsMessage("Notification", "{}", map[string]any{"SigningCertURL": address}, nil)))
		if channel.AsError(name, err).Code != "signature" {
			t.Errorf("%s: %v", address, err)
		}
	}
	if len(sns.asked) != 1 || sns.asked[0] != certURL {
		t.Errorf("asked for %v", sns.asked)
	}
	for i := range 9 {
		address := fmt.Sprintf("https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-%d.pem", i)
		if _, err := receiver.Receipts(t.Context(),
			request(snsMessage("Notification", "{}", map[string]any{"SigningCertURL": address}, nil))); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(s.(*sender).certs.known); n > maxCerts {
		t.Errorf("%d certificates are kept", n)
	}
}

// TestNoCertificate: what cannot be judged now is asked for again, and a certificate that does not hold proves nothing.
func TestNoCertificate(t *testing.T) {
	t.Parallel()
	elliptic, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	weak, _ := rsa.GenerateKey(rand.Reader, 1024)
	for name, says := range map[string]func(*http.Request) (int, string){
		"SNS is away":         func(*http.Request) (int, string) { return 0, "" },
		"SNS is out of order": func(*http.Request) (int, string) { return 503, "" },
		"no PEM":              func(*http.Request) (int, string) { return 200, "<html>" },
		"no certificate": func(*http.Request) (int, string) {
			return 200, "-----BEGIN X-----\nAAAA\n-----END " +
				"X-----\n"
		},
		"another kind of key":  func(*http.Request) (int, string) { return 200, certificate(elliptic, nil) },
		"a key that is short":  func(*http.Request) (int, string) { return 200, certificate(weak, nil) },
		"one that has expired": func(*http.Request) (int, string) { return 200, certificate(keys()[0], expired) },
		"one that is not yet":  func(*http.Request) (int, string) { return 200, certificate(keys()[0], early) },
	} {
		receiver, _ := open(t, settings(""), nil, &fakeSNS{says: says}).(channel.Receiver)
		got, err := receiver.Receipts(t.Context(),
			request(snsMessage("Notification", eventOf("TEXT_DELIVERED", ""), nil, nil)))
		if e := channel.AsError("aws", err); len(got) != 0 || e.Kind != channel.Unavailable || e.Code != "certificate" {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	sns := &fakeSNS{says: func(*http.Request) (int, string) { return 503, "" }}
	receiver, _ := open(t, settings(""), nil, sns).(channel.Receiver)
	r := request(snsMessage("Notification", eventOf("TEXT_DELIVERED", ""), nil, nil))
	if _, err := receiver.Receipts(t.Context(), r); err == nil {
		t.Error("taken without a certificate")
	}
	sns.says = nil
	if _, err := receiver.Receipts(t.Context(), r); err == nil || len(sns.asked) != 1 {
		t.Errorf("at once after a failure: %v, asked for %v", err, sns.asked)
	}
	r.Now = r.Now.Add(pause)
	if got, err := receiver.Receipts(t.Context(), r); err != nil || len(got) != 1 {
		t.Errorf("after SNS came back: %v, %v", got, err)
	}
}

func expired(c *x509.Certificate) { c.NotAfter = channeltest.Now().Add(-time.Second) }
func early(c *x509.Certificate)   { c.NotBefore = channeltest.Now().Add(time.Second) }

// TestSubscription: it is confirmed where SNS says, once it is proved, and again when that failed.
func TestSubscription(t *testing.T) {
	t.Parallel()
	away := true
	sns := &fakeSNS{}
	sns.says = func(r *http.Request) (int, string) {
		switch {
		case r.URL.Path != "/":
			return 200, genuine()
		case away:
			return 500, ""
		}
		return 200, "<ConfirmSubscriptionResponse/>"
	}
	receiver, _ := open(t, settings(""), nil, sns).(channel.Receiver)
	good := request(snsMessage("SubscriptionConfirmation", "You have chosen to subscribe", nil, nil))
	if _, err := receiver.Receipts(t.Context(), good); channel.AsError(name, err).Kind != channel.Unavailable {
		t.Errorf("SNS did not confirm: %v", err)
	}
	away = false
	if got, err := receiver.Receipts(t.Context(), good); err != nil || len(got) != 0 {
		t.Errorf("%v, %v", got, err)
	}
	forged := request(snsMessage("SubscriptionConfirmation", "You have chosen to subscribe", nil,
		func(m map[string]any) { m["Token"] = "x" }))
	if _, err := receiver.Receipts(t.Context(), forged); channel.AsError(name, err).Code != "signature" {
		t.Errorf("a forged subscription: %v", err)
	}
	if want := []string{certURL, confirm, confirm}; !reflect.DeepEqual(sns.asked, want) {
		t.Errorf("asked for %v, want %v", sns.asked, want)
	}
	none := settings("")
	none.TopicARN = ""
	receiver, _ = open(t, none, nil, sns).(channel.Receiver)
	if _, err := receiver.Receipts(t.Context(), good); channel.AsError(name, err).Code != "topic" {
		t.Errorf("without a topic: %v", err)
	}
}

func FuzzReceipts(f *testing.F) {
	f.Add(eventOf("TEXT_DELIVERED", `,"totalMessagePrice":1e-9`), "Notification", false)
	f.Add("You have chosen to subscribe", "SubscriptionConfirmation", false)
	f.Add(`{"Type":"Notification"}`, "2", true)
	s := open(f, settings(""), nil, &fakeSNS{})
	f.Fuzz(func(t *testing.T, text, kind string, forged bool) {
		body := snsMessage(kind, text, nil, nil)
		if forged {
			body = []byte(text)
		}
		got, err := s.(channel.Receiver).Receipts(t.Context(), request(body))
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
	})
}
