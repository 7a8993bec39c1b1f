package infobip

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/channeltest"
	"github.com/dialproof/dialproof/internal/deliver/delivertest"
	"github.com/dialproof/dialproof/internal/phone"
	"github.com/dialproof/dialproof/internal/secret"
)

const (
	apiKey   = "s3cr3t-0123456789abcdef-api-key"
	id       = "dlv_01m83v1cxqe00t2j6r8ja6cpz7"
	callback = "https://verify.example.com/callbacks/main/dG9rZW4"
)

func config(base string) channel.Opener {
	return &Config{URL: base, APIKey: secret.New(apiKey), Sender: "+447700900001", Conversions: true}
}

func reply(status int, body string) channeltest.Reply {
	return channeltest.Reply{Status: status, Body: body}
}

// answer is Infobip's answer to a message, with a status.
func answer(group, id int, name string) string {
	return fmt.Sprintf(
		`{"bulkId":"1","messages":[{"messageId":"dlv_01m83v1cxqe00t2j6r8ja6cpz7","destination":"447700900123",`+
			`"status":{"groupId":%d,"groupName":"X","id":%d,"name":%q,"description":"for 447700900123"},`+
			`"details":{"messageCount":2}}]}`, group, id, name)
}

// ids returns the ids of statuses that the code knows.
func ids() []string {
	var out []string
	for id := range statusErrors() {
		out = append(out, strconv.Itoa(id))
	}
	return out
}

// answered writes an error as Infobip answers it.
func answered(e channeltest.Expected) string {
	switch e.Where {
	case "answer.old":
		return `{"requestError":{"serviceException":{"messageId":"` + e.Error + `","text":"for 447700900123"}}}`
	case "status":
		id, _ := strconv.Atoi(e.Error)
		return answer(groupOf(id), id, e.Code)
	}
	return `{"errorCode":"` + e.Error + `","description":"for 447700900123","action":"",` +
		`"violations":[{"property":"to","violation":"447700900123"}],"resources":[]}`
}

// groupOf returns the group that Infobip's document puts a status in.
func groupOf(id int) int {
	switch id {
	case 4, 9, 31:
		return 2 // UNDELIVERABLE
	case 15:
		return 4 // EXPIRED
	}
	return 5 // REJECTED
}

// reported writes an error as a report tells it.
func reported(e channeltest.Expected) channel.Callback {
	if e.Where == "receipt.status" {
		id, _ := strconv.Atoi(e.Error)
		return receipt(`{"results":[` + result(fmt.Sprintf(`"groupId":%d,"id":%d,"name":%q`, groupOf(id), id, e.Code), "") +
			`]}`)
	}
	return receipt(`{"results":[` + result(`"groupName":"UNDELIVERABLE","id":9,"name":"UNDELIVERABLE_NOT_DELIVERED"`,
		`,"error":{"groupId":2,"id":1000,"name":"EC_`+e.Error+`","permanent":true}`) + `]}`)
}

func TestInfobip(t *testing.T) {
	t.Parallel()
	h := channeltest.Harness{
		Provider:  Provider(),
		Configure: config,
		Secrets:   []string{apiKey},
		Accept:    reply(200, answer(1, 26, "PENDING_ACCEPTED")),
		WantID:    id,
		WithoutID: reply(200,
			`{"messages":[{"status":{"groupId":1,"groupName":"PENDING","id":26,"name":"PENDING_ACCEPTED"}}]}`),
		Request:  judgeRequest,
		Receipts: receiptRows(),
		Tables: map[string][]string{
			"answer answer.old": channeltest.Keys(requestErrors()),
			"status":            ids(),
			"receipt.status":    slices.DeleteFunc(ids(), func(id string) bool { return id == "23" }),
			"receipt.reason":    channeltest.Keys(faults()),
		},
		Answer: answered,
		Report: reported,
		News: func(n channeltest.News) channel.Callback {
			return receipt(`{"results":[` + result(strings.ReplaceAll(n.Word, "'", `"`), "") + `]}`)
		},
	}
	channeltest.Run(t, h)
	delivertest.Run(t, h)
}

// judgeRequest holds a request against the fields of Infobip's document (SMS API 3.210.0), which may not be kept here.
func judgeRequest(r *http.Request, body []byte) error {
	if r.Method != http.MethodPost || r.URL.Path != "/sms/3/messages" || r.Header.Get("Authorization") != "App "+apiKey {
		return errors.New("the credentials are not sent, or not to the right place")
	}
	const want = `{"messages":[{"sender":"447700900001","destinations":[{"to":"447700900123",` +
		`"messageId":"dlv_01m83v1cxqe00t2j6r8ja6cpz7"}],` +
		`"content":{"text":"TEXT"},"options":{"validityPeriod":{"amount":300,"timeUnit":"SECONDS"}},` +
		`"webhooks":{"delivery":{"url":"https://verify.example.com/callbacks/main/dG9rZW4","intermediateReport":true},` +
		`"contentType":"application/json","callbackData":"dG9rZW4"}}],` +
		`"options":{"includeSmsCountInResponse":true,"conversionTracking":{"useConversionTracking":true,` +
		`"conversionTrackingName":"ONE_TIME_PIN"}}}`
	text, err := json.Marshal(channeltest.Message(channel.SMS).Text.Body)
	if err != nil {
		return err
	}
	if got := strings.Replace(string(body), string(text), `"TEXT"`, 1); got != want {
		return fmt.Errorf("the request is %s, want %s", got, want)
	}
	return nil
}

// receipt returns a request with reports.
func receipt(body string) channel.Callback {
	u, err := url.Parse(callback)
	if err != nil {
		panic(err) // the address is ours
	}
	return channel.Callback{
		Method: http.MethodPost,
		URL:    u,
		Header: http.Header{},
		Body:   []byte(body),
		Now:    channeltest.Now(),
	}
}

// result returns one report.
func result(status, more string) string {
	return `{"bulkId":"B","messageId":"` + id + `","to":"447700900123","callbackData":"dG9rZW4",` +
		`"doneAt":"2026-11-23T08:00:00.000+0000",` +
		`"status":{` + status + `}` + more + `}`
}

func receiptRows() []channeltest.ReceiptRow {
	var rows []channeltest.ReceiptRow
	add := func(name, one string, want channel.Receipt) {
		want.Token, want.ProviderID = "dG9rZW4", id
		rows = append(rows,
			channeltest.ReceiptRow{Name: name, Request: receipt(`{"results":[` + one + `]}`), Want: []channel.Receipt{want}})
	}
	failed := func(name, fault, code string, kind channel.ErrorKind) {
		add(name, result(`"groupName":"UNDELIVERABLE","id":9,"name":"UNDELIVERABLE_NOT_DELIVERED"`, `,"error":{`+fault+`}`),
			channel.Receipt{Status: channel.Undelivered, Code: code, Kind: kind})
	}
	failed("no reason", `"groupId":0,"id":0,"name":"NO_ERROR","permanent":false`, "UNDELIVERABLE_NOT_DELIVERED",
		channel.Unavailable)
	failed("unknown subscriber", `"groupId":1,"id":1,"name":"EC_UNKNOWN_SUBSCRIBER","permanent":true`,
		"EC_UNKNOWN_SUBSCRIBER", channel.Rejected)
	failed("absent subscriber", `"groupId":1,"id":6,"name":"EC_ABSENT_SUBSCRIBER_SM","permanent":false`,
		"EC_ABSENT_SUBSCRIBER_SM", channel.Unavailable)
	failed("a user error", `"groupId":2,"id":368,"name":"EC_INVALID_SOURCE_ADDRESS","permanent":true`,
		"EC_INVALID_SOURCE_ADDRESS", channel.Refused)
	failed("an operator error", `"groupId":3,"id":631,"name":"EC_MOBILE_OPERATOR_NETWORK_ERROR","permanent":true`,
		"EC_MOBILE_OPERATOR_NETWORK_ERROR", channel.Unavailable)
	failed("a template that does not match", `"id":4129,"name":"EC_TEMPLATE_NOT_MATCHED"`, "EC_TEMPLATE_NOT_MATCHED",
		channel.Refused)
	failed("a reason that is none", `"id":1,"name":"for 447700900123"`, "UNDELIVERABLE_NOT_DELIVERED", channel.Unavailable)
	expired := `"groupId":4,"groupName":"EXPIRED","id":15,"name":"EXPIRED_EXPIRED"`
	add("expired", result(expired, ""),
		channel.Receipt{Status: channel.Undelivered, Code: "EXPIRED_EXPIRED", Kind: channel.Unavailable})
	return append(append(rows, priceRows()...), batchRows()...)
}

// priceRows: a price is that of all parts, and may be absent or nonsense.
func priceRows() []channeltest.ReceiptRow {
	var rows []channeltest.ReceiptRow
	for more, want := range map[string]channel.Receipt{
		`,"messageCount":3,"price":{"pricePerMessage":0.01,"currency":"EUR"}`: {Parts: 3, Price: "0.03", Currency: "EUR"},
		`,"smsCount":2,"price":{"pricePerMessage":1.25,"currency":"USD"}`:     {Parts: 2, Price: "2.5", Currency: "USD"},
		`,"price":{"pricePerMessage":5,"currency":"EUR"}`:                     {Price: "5", Currency: "EUR"},
		`,"messageCount":1`: {Parts: 1},
		`,"messageCount":1,"price":{"pricePerMessage":0.0,"currency":"EUR"}`:    {Parts: 1},
		`,"messageCount":-4,"price":{"pricePerMessage":-1,"currency":"EUR"}`:    {},
		`,"messageCount":2,"price":{"pricePerMessage":1.0E-4,"currency":"EUR"}`: {Parts: 2, Price: "0.0002", Currency: "EUR"},
		`,"price":{"pricePerMessage":1e-99999,"currency":"EUR"}`:                {},
		`,"price":{"pricePerMessage":1e9,"currency":"EUR"}`:                     {},
		`,"price":{"pricePerMessage":1e99999999,"currency":"EUR"}`:              {},
		`,"price":{"pricePerMessage":1,"currency":"credits"}`:                   {},
		`,"price":null`: {},
	} {
		want.Token, want.ProviderID, want.Status = "dG9rZW4", id, channel.Delivered
		body := `{"results":[` + result(`"groupId":3,"id":5,"name":"DELIVERED_TO_HANDSET"`, more) + `]}`
		rows = append(rows, channeltest.ReceiptRow{Name: more, Request: receipt(body), Want: []channel.Receipt{want}})
	}
	return rows
}

// batchRows: several reports in one request, twice the same, and what is refused.
func batchRows() []channeltest.ReceiptRow {
	one := result(`"groupId":3,"id":5`, "")
	other := `{"messageId":"other","callbackData":"b3RoZXI","status":{"groupId":1,"id":26}}`
	nobodys := `{"messageId":"x"},{"status":{"groupId":3}}`
	delivered := channel.Receipt{Token: "dG9rZW4", ProviderID: id, Status: channel.Delivered}
	get := receipt(`{"results":[` + one + `]}`)
	get.Method = http.MethodGet
	rows := []channeltest.ReceiptRow{
		{
			Name:    "a batch",
			Request: receipt(`{"results":[` + one + `,` + other + `,` + nobodys + `]}`),
			Want:    []channel.Receipt{delivered, {Token: "b3RoZXI", ProviderID: "other", Status: channel.Taken}},
		},
		{
			Name:    "the same twice",
			Request: receipt(`{"results":[` + one + `,` + one + `]}`),
			Want:    []channel.Receipt{delivered, delivered},
		},
		{Name: "by GET", Request: get, Refused: true},
		{Name: "too many", Request: receipt(`{"results":[` + strings.Repeat(`{},`, maxReports) + `{}]}`), Refused: true},
	}
	for name, body := range map[string]string{
		"nothing": "", "no JSON": "x", "a list": "[]", "null": "null", "no results": "{}", "empty results": `{"results":[]}`,
		"about nothing": `{"results":[` + nobodys + `]}`, "XML": "<results/>", "an order": `{"messages":[` + one + `]}`,
	} {
		rows = append(rows, channeltest.ReceiptRow{Name: name, Request: receipt(body), Refused: true})
	}
	return rows
}

// sent returns what Infobip is asked for a message.
func sent(t *testing.T, c *Config, m channel.Message) order {
	t.Helper()
	carrier := channeltest.NewCarrier(channeltest.Says(reply(200, answer(1, 26, "PENDING_ACCEPTED"))))
	defer carrier.Close()
	c.URL = carrier.URL
	s, err := c.Open(channel.Env{HTTP: carrier.Client(), Now: channeltest.Now})
	if err != nil {
		t.Fatal(err)
	}
	a, err := s.Send(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	if a.Parts != 2 || a.Status != channel.Taken {
		t.Errorf("accepted as %+v", a)
	}
	var o order
	if err := json.Unmarshal(carrier.Requests()[0].Body, &o); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestRequest(t *testing.T) {
	t.Parallel()
	m := channeltest.Message(channel.SMS)
	m.From, m.Callback, m.ExpiresAt = "Acme", "", channeltest.Now()
	m.Regulatory = map[string]string{"dlt_entity_id": "1101", "dlt_template_id": "1107", "dlt_telemarketer_id": "1102"}
	o := sent(t, &Config{APIKey: secret.New(apiKey)}, m)
	l := o.Messages[0]
	if l.Sender != "Acme" || l.Webhooks != nil || l.Options.Regional != nil || o.Options.Tracking != nil ||
		l.Options.Validity.Amount != minLife {
		t.Errorf("%+v", o)
	}
	var err error
	if m.To, err = phone.Parse("+919876543210", ""); err != nil {
		t.Fatal(err)
	}
	m.From, m.ExpiresAt = "", m.ExpiresAt.AddDate(1, 0, 0)
	o = sent(t, &Config{APIKey: secret.New(apiKey)}, m)
	l = o.Messages[0]
	if l.Sender != "" || l.Options.Validity.Amount != maxLife || l.Options.Regional == nil ||
		*l.Options.Regional.India != (indiaDLT{"1101", "1107", "1102"}) {
		t.Errorf("%+v", l)
	}
}

// TestRepeat: Infobip takes a message and hangs up. The same delivery goes again by the same id, so Infobip knows it
// and sends nothing twice.
func TestRepeat(t *testing.T) {
	t.Parallel()
	known, sent := map[string]bool{}, 0
	carrier := channeltest.NewCarrier(nil)
	defer carrier.Close()
	carrier.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var o order
		_ = json.NewDecoder(r.Body).Decode(&o)
		id := o.Messages[0].Destinations[0].MessageID
		if known[id] {
			channeltest.Says(reply(200, answer(5, 23, "REJECTED_DUPLICATE_MESSAGE_ID")))(w, r)
			return
		}
		known[id] = true
		sent++
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_ = conn.Close()
		}
	})
	s, _ := config(carrier.URL).Open(channel.Env{HTTP: carrier.Client(), Now: channeltest.Now})
	for _, want := range []string{"transport", "REJECTED_DUPLICATE_MESSAGE_ID"} {
		_, err := s.Send(t.Context(), channeltest.Message(channel.SMS))
		if e := channel.AsError(name, err); e.Kind != channel.MaybeSent || e.Code != want {
			t.Errorf("%v, want unknown by %s", err, want)
		}
	}
	if sent != 1 || !known[id] {
		t.Errorf("Infobip has sent %d and knows %v", sent, known)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for status, ok := range map[int]bool{200: true, 403: true, 401: false, 404: false, 500: false} {
		c := channeltest.NewCarrier(channeltest.Says(reply(status,
			`{"requestError":{"serviceException":{"messageId":"UNAUTHORIZED"}}}`)))
		s, _ := config(c.URL).Open(channel.Env{HTTP: c.Client(), Now: channeltest.Now})
		if err := s.(channel.Checker).Check(t.Context()); (err == nil) != ok {
			t.Errorf("%d: %v", status, err)
		}
		if r := c.Requests()[0]; r.Method != http.MethodGet || r.URL.Path != "/account/1/balance" {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		c.Close()
	}
}

func TestConverted(t *testing.T) {
	t.Parallel()
	to := channeltest.Message(channel.SMS).To
	for status, ok := range map[int]bool{200: true, 404: false, 503: false} {
		c := channeltest.NewCarrier(channeltest.Says(reply(status, `{"processKey":"A37D448C1ACCA02FABA745522558326C"}`)))
		s, _ := config(c.URL).Open(channel.Env{HTTP: c.Client(), Now: channeltest.Now})
		if err := s.(channel.Feedback).Converted(t.Context(), "a/b?c", to, true); (err == nil) != ok {
			t.Errorf("%d: %v", status, err)
		}
		if r := c.Requests()[0]; r.Method != http.MethodPost || r.URL.EscapedPath() != "/ct/1/log/end/a%2Fb%3Fc" ||
			len(r.Body) != 0 {
			t.Errorf("%s %s %s", r.Method, r.URL, r.Body)
		}
		if err := s.(channel.Feedback).Converted(t.Context(), id, to, false); err != nil || len(c.Requests()) != 1 {
			t.Errorf("a code that was not typed: %v, %d requests", err, len(c.Requests()))
		}
		quiet, _ := (&Config{URL: c.URL, APIKey: secret.New(apiKey)}).Open(channel.Env{HTTP: c.Client(),
			Now: channeltest.Now})
		if err := quiet.(channel.Feedback).Converted(t.Context(), id, to, true); err != nil || len(c.Requests()) != 1 {
			t.Errorf("without conversions: %v, %d requests", err, len(c.Requests()))
		}
		c.Close()
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*Config){
		"url: is missing":     func(c *Config) { c.URL = "" },
		"url: must":           func(c *Config) { c.URL = "xxxxx.api.infobip.com" },
		"url: must be":        func(c *Config) { c.URL = "https://xxxxx.api.infobip.com/sms" },
		"api_key: is missing": func(c *Config) { c.APIKey = secret.Text{} },
		"api_key: must":       func(c *Config) { c.APIKey = secret.New("App x") },
		"sender":              func(c *Config) { c.Sender = "a name that is too long" },
	} {
		c, _ := config("https://xxxxx.api.infobip.com").(*Config)
		change(c)
		if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func FuzzReceipts(f *testing.F) {
	f.Add("POST",
		`{"results":[`+result(`"groupId":3,"id":5`, `,"messageCount":1,"price":{"pricePerMessage":0.01,"currency":"EUR"}`)+
			`]}`)
	f.Add("POST",
		`{"results":[`+
			result(`"groupId":2,"id":9`, `,"error":{"groupId":1,"id":1,"name":"EC_UNKNOWN_SUBSCRIBER","permanent":true}`)+`]}`)
	f.Add("GET", "")
	f.Fuzz(func(t *testing.T, method, body string) {
		s, _ := config("https://xxxxx.api.infobip.com").Open(channel.Env{})
		r := receipt(body)
		r.Method = method
		got, err := s.(channel.Receiver).Receipts(t.Context(), r)
		if e, ok := errors.AsType[*channel.Error](err); err != nil && (!ok || e.Kind != channel.Refused) {
			t.Errorf("%v", err)
		}
		if (err == nil) != (len(got) > 0) {
			t.Errorf("%d receipts and %v", len(got), err)
		}
		for _, g := range got {
			if !g.Status.Valid() || g.Parts < 0 || len(g.Code) > 64 || (g.Price == "") != (g.Currency == "") {
				t.Errorf("%+v", g)
			}
		}
	})
}
