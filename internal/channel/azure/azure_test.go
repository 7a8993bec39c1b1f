package azure

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi2"
	"github.com/getkin/kin-openapi/openapi2conv"
	"github.com/getkin/kin-openapi/openapi3"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/channeltest"
	"github.com/dialproof/dialproof/internal/deliver/delivertest"
	"github.com/dialproof/dialproof/internal/secret"
)

const (
	accessKey = "czNjcjN0LWFjY2Vzcy1rZXktb2YtdGhlLXN1aXRl"
	id        = "Outgoing_202009180022138813a09b-0cbf-4304-9b03-1546683bb910"
	callback  = "https://verify.example.com/callbacks/main/dG9rZW4"
)

func config(base string) channel.Opener {
	return &Config{Endpoint: base + "/", AccessKey: secret.New(accessKey), From: "+447700900001"}
}

func reply(status int, body string) channeltest.Reply {
	return channeltest.Reply{Status: status, Body: body}
}

// one returns Azure's answer to a message, of one item.
func one(item string) string { return `{"value":[{"to":"+447700900123",` + item + `}]}` }

// document reads what Microsoft says of the interface (Swagger 2.0); nil where the documents are not here.
func document(t *testing.T) (spec *openapi3.T, example []byte) {
	t.Helper()
	text := channeltest.Document(t, "azure/sms-2026-01-23.transcribed.json")
	if text == nil {
		return nil, nil
	}
	var old openapi2.T
	if err := json.Unmarshal(text, &old); err != nil {
		t.Fatal(err)
	}
	var more struct {
		Report struct {
			Example json.RawMessage `json:"example"`
		} `json:"x-event-grid-delivery-report"`
	}
	if err := json.Unmarshal(text, &more); err != nil {
		t.Fatal(err)
	}
	spec, err := openapi2conv.ToV3(&old)
	if err != nil {
		t.Fatal(err)
	}
	return spec, more.Report.Example
}

// judge returns where a request leaves the document, unknown fields included.
func judge(spec *openapi3.T, r *http.Request, body []byte) error {
	if spec == nil {
		return nil
	}
	operation := spec.Paths.Value("/sms").Post
	if r.Method != http.MethodPost || r.URL.Path != "/sms" || r.URL.Query().Get("api-version") != spec.Info.Version {
		return fmt.Errorf("the request goes to %s %s", r.Method, r.URL)
	}
	var value any
	if err := json.Unmarshal(body, &value); err != nil {
		return err
	}
	schema := operation.RequestBody.Value.Content["application/json"].Schema.Value
	if err := known(schema, value, "body"); err != nil {
		return err
	}
	return schema.VisitJSON(value, openapi3.MultiErrors())
}

// known returns a field that the document does not have.
func known(schema *openapi3.Schema, value any, path string) error {
	switch v := value.(type) {
	case map[string]any:
		for key, field := range v {
			below := schema.Properties[key]
			if below == nil {
				return fmt.Errorf("the document has no %s.%s", path, key)
			}
			if err := known(below.Value, field, path+"."+key); err != nil {
				return err
			}
		}
	case []any:
		for _, entry := range v {
			if err := known(schema.Items.Value, entry, path+"[]"); err != nil {
				return err
			}
		}
	}
	return nil
}

func TestAzure(t *testing.T) {
	t.Parallel()
	spec, example := document(t)
	h := channeltest.Harness{
		Provider:  Provider(),
		Configure: config,
		Secrets:   []string{accessKey, "s3cr3t-access-key-of-the-suite"},
		Accept: reply(202,
			one(`"messageId":"`+id+`","httpStatusCode":202,"repeatabilityResult":"accepted","successful":true`)),
		WantID:    id,
		WithoutID: reply(202, one(`"httpStatusCode":202,"successful":true`)),
		Request: func(r *http.Request, body []byte) error {
			var o order
			if err := json.Unmarshal(body, &o); err != nil {
				return err
			}
			if len(o.Recipients) != 1 || o.Recipients[0].To != "+447700900123" || o.From != "+447700900001" ||
				o.Options != (options{true, "dG9rZW4", 300}) {
				return fmt.Errorf("%+v", o)
			}
			if !strings.Contains(o.Message, "90817263") {
				return errors.New("the text has no code")
			}
			if want := signature(t, r, body); r.Header.Get("Authorization") != want {
				return fmt.Errorf("the signature is %s, want %s", r.Header.Get("Authorization"), want)
			}
			return judge(spec, r, body)
		},
		Tables: map[string][]string{
			"answer":        statuses(),
			"receipt":       channeltest.Keys(reportTable()),
			"receipt.words": channeltest.Keys(reportTable()),
		},
		Answer: func(e channeltest.Expected) string {
			body := `{"error":{"code":"X","message":"for +447700900123"}}`
			if e.Where == "item" {
				body = one(`"httpStatusCode":` + e.Error + `,"successful":false,"errorMessage":"for +447700900123"`)
			}
			return body
		},
		Report: func(e channeltest.Expected) channel.Callback {
			if e.Where == "receipt.words" {
				return receipt(`[` + report("Failed", e.Body+" for +447700900123.", "") + `]`)
			}
			return receipt(`[` + report("Failed", e.Error+": something happened to +447700900123.", "") + `]`)
		},
		News:     func(n channeltest.News) channel.Callback { return receipt(`[` + report(n.Word, "", "") + `]`) },
		Receipts: receiptRows(example),
	}
	channeltest.Run(t, h)
	delivertest.Run(t, h)
}

// statuses returns the HTTP statuses that the code has words for.
func statuses() []string {
	var out []string
	for status := range statusDetails() {
		out = append(out, strconv.Itoa(status))
	}
	return out
}

// receipt returns a request of Event Grid's.
func receipt(body string) channel.Callback {
	u, err := url.Parse(callback)
	if err != nil {
		panic(err) // the address is ours
	}
	return channel.Callback{
		Method: http.MethodPost,
		URL:    u,
		Header: http.Header{"Aeg-Event-Type": {"Notification"}},
		Body:   []byte(body),
		Now:    channeltest.Now(),
	}
}

// report returns the event of a message.
func report(status, details, more string) string {
	return fmt.Sprintf(`{"id":%q,"topic":"/subscriptions/x","subject":"/phonenumber/447700900123","eventType":%q,`+
		`"eventTime":"2026-11-23T08:00:00Z","data":{`+
		`"messageId":%q,"from":"447700900001","to":"+447700900123","deliveryStatus":%q,"deliveryStatusDetails":%q,`+
		`"Tag":"dG9rZW4"%s}}`, id, reportEvent, id, status, details, more)
}

const validation = `{"id":"1","eventType":"Microsoft.EventGrid.SubscriptionValidationEvent",` +
	`"data":{"validationCode":"512d38b6-c7b8-40c8-89fe-f46f9e9622b6","validationUrl":"https://example.com/"}}`

func receiptRows(example []byte) []channeltest.ReceiptRow {
	var rows []channeltest.ReceiptRow
	add := func(name, body string, want ...channel.Receipt) {
		for i := range want {
			want[i].Token, want[i].ProviderID = "dG9rZW4", id
		}
		rows = append(rows, channeltest.ReceiptRow{Name: name, Request: receipt(`[` + body + `]`), Want: want})
	}
	delivered := channel.Receipt{Status: channel.Delivered}
	add("delivered", report("Delivered", "No error.", ""), delivered)
	add("delivered, by number", report("Delivered", "2000 Message Delivered Successfully.", ""), delivered)
	add("twice the same", report("Delivered", "No error.", "")+","+report("Delivered", "No error.", ""), delivered,
		delivered)
	add("a new status", report("Expected", "", ""), channel.Receipt{Status: channel.Taken})
	add("parts",
		report("Delivered", "",
			`,"deliveryAttempts":[{"segmentsSucceeded":0,"segmentsFailed":1},{"segmentsSucceeded":2,"segmentsFailed":0}]`),
		channel.Receipt{Status: channel.Delivered, Parts: 2})
	add("parts that are none",
		report("Delivered", "", `,"deliveryAttempts":[{"segmentsSucceeded":-5,"segmentsFailed":1}]`), delivered)
	unreported := channel.Receipt{Status: channel.Sent}
	add("no reports", report("Failed", "5002", ""), unreported)
	add("no reports, in words", report("Failed", "Carrier does not support delivery report", ""), unreported)
	add("a new code", report("Failed", "4999 New", ""),
		channel.Receipt{Status: channel.Undelivered, Code: "4999", Kind: channel.Unavailable})
	add("no code", report("Failed", "for 447700900123", ""),
		channel.Receipt{Status: channel.Undelivered, Code: "unknown", Kind: channel.Unavailable})
	add("a question", validation)
	add("a question and a report", validation+","+report("Delivered", "", ""), delivered)
	add("an SMS that came in",
		`{"eventType":"Microsoft.Communication.SMSReceived","data":{"from":"447700900123","message":"STOP"}}`)
	add("another program's", strings.Replace(report("Delivered", "", ""), `,"Tag":"dG9rZW4"`, "", 1))
	add("about nothing", `{"eventType":"`+reportEvent+`","data":{"tag":"dG9rZW4"}}`)
	get := receipt(`[` + report("Delivered", "", "") + `]`)
	get.Method = http.MethodGet
	rows = append(rows, channeltest.ReceiptRow{Name: "by GET", Request: get, Refused: true}, channeltest.ReceiptRow{
		Name:    "too many",
		Request: receipt(`[` + strings.Repeat(`{},`, maxEvents) + `{}]`),
		Refused: true,
	})
	if example != nil {
		rows = append(rows,
			channeltest.ReceiptRow{Name: "Microsoft's example", Request: receipt(string(example)), Want: []channel.Receipt{{
				Token: "Optional customer-tag set in the original message", ProviderID: id, Status: channel.Delivered, Parts: 1,
			}}})
	}
	for name, body := range map[string]string{
		"nothing": "", "no JSON": "x", "null": "null", "no events": "[]", "one event, no list": report("Delivered", "", ""),
		"a list of words": `["x"]`,
	} {
		rows = append(rows, channeltest.ReceiptRow{Name: name, Request: receipt(body), Refused: true})
	}
	return rows
}

// TestHandshake: Event Grid's question is answered, once the request counts as genuine, and nothing else is.
func TestHandshake(t *testing.T) {
	t.Parallel()
	s, err := config("https://acme.communication.azure.com").Open(channel.Env{})
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Replace(validation, "512d38b6", strings.Repeat("x", maxCode), 1)
	for body, want := range map[string]string{
		`[` + validation + `]`: `{"validationResponse":"512d38b6-c7b8-40c8-89fe-f46f9e9622b6"}`,
		`[` + report("Delivered", "", "") + `,` + validation +
			`]`: `{"validationResponse":"512d38b6-c7b8-40c8-89fe-f46f9e9622b6"}`,
		`[` + report("Delivered", "", "") + `]`: "",
		`[` + long + `]`:                        "",
		validation:                              "",
		"":                                      "",
	} {
		got, ok := s.(channel.Answerer).Answer(t.Context(), receipt(body))
		if ok != (want != "") || string(got.Body) != want ||
			(ok && (got.Status != 200 || got.ContentType != "application/json")) {
			t.Errorf("%.80s: %v %+v %s", body, ok, got, got.Body)
		}
	}
}

// asked returns what Azure is asked for a message.
func asked(t *testing.T, m channel.Message, now time.Time) order {
	t.Helper()
	c := channeltest.NewCarrier(channeltest.Says(reply(202,
		one(`"messageId":"x","httpStatusCode":202,"successful":true`))))
	defer c.Close()
	s, err := config(c.URL).Open(channel.Env{HTTP: c.Client(), Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	var o order
	if err := json.Unmarshal(c.Requests()[0].Body, &o); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestRequest(t *testing.T) {
	t.Parallel()
	now := channeltest.Now()
	m := channeltest.Message(channel.SMS)
	m.From, m.Callback = "Acme", ""
	if o := asked(t, m, now); o.From != "Acme" || o.Options != (options{}) {
		t.Errorf("%+v", o)
	}
	m = channeltest.Message(channel.SMS)
	for life, want := range map[time.Duration]int{-time.Minute: minReportTime, 90 * time.Second: 90,
		48 * time.Hour: maxReportTime} {
		if m.ExpiresAt = now.Add(life); asked(t, m, now).Options.Timeout != want {
			t.Errorf("a life of %s: %+v", life, asked(t, m, now).Options)
		}
	}
	if m.ExpiresAt = (time.Time{}); asked(t, m, now).Options != (options{Report: true, Tag: "dG9rZW4"}) {
		t.Errorf("without an end: %+v", asked(t, m, now).Options)
	}
	s, _ := (&Config{Endpoint: "http://127.0.0.1:1",
		AccessKey: secret.New(accessKey)}).Open(channel.Env{Now: channeltest.Now})
	if _, err := s.Send(t.Context(), m); channel.AsError(name, err).Code != "no_sender" {
		t.Errorf("without a sender: %v", err)
	}
	m.From, m.Text.Body = "Acme", strings.Repeat("ü", maxText+1)
	if _, err := s.Send(t.Context(), m); channel.AsError(name, err).Code != "too_long" {
		t.Errorf("a long text: %v", err)
	}
}

// TestRepeat: the same delivery, sent again later, says the same id and the same first time, so that Azure sends it
// once.
func TestRepeat(t *testing.T) {
	t.Parallel()
	made := time.UnixMilli(0x019e12345678) // which is what the delivery's id says
	m := channeltest.Message(channel.SMS)
	m.Delivery = "dlv_01kr938nkre00t2j6r8ja6cpz7"
	first := asked(t, m, made.Add(2*time.Second)).Recipients[0]
	again := asked(t, m, made.Add(40*time.Second)).Recipients[0]
	if again != first {
		t.Errorf("the repeat is %+v, the first %+v", again, first)
	}
	m.Delivery = strings.Replace(m.Delivery, "z7", "z8", 1)
	if other := asked(t, m, made).Recipients[0]; other.RequestID == first.RequestID {
		t.Error("another delivery has the same id")
	}
}

// TestALostAnswer: Azure takes a message and hangs up. The same delivery goes again, and Azure answers as it would
// have.
func TestALostAnswer(t *testing.T) {
	t.Parallel()
	sent := map[recipient]int{}
	carrier := channeltest.NewCarrier(nil)
	defer carrier.Close()
	carrier.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var o order
		_ = json.NewDecoder(r.Body).Decode(&o)
		if _, before := sent[o.Recipients[0]]; before {
			channeltest.Says(reply(202,
				one(`"messageId":"x","httpStatusCode":202,"repeatabilityResult":"accepted","successful":true`)))(w, r)
			return
		}
		sent[o.Recipients[0]]++
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_ = conn.Close()
		}
	})
	now := time.UnixMilli(0x019e12345678)
	s, _ := config(carrier.URL).Open(channel.Env{HTTP: carrier.Client(), Now: func() time.Time { return now }})
	m := channeltest.Message(channel.SMS)
	m.Delivery = "dlv_01kr938nkre00t2j6r8ja6cpz7"
	if _, err := s.Send(t.Context(), m); channel.AsError(name, err).Kind != channel.MaybeSent {
		t.Errorf("the answer is lost: %v", err)
	}
	now = now.Add(31 * time.Second)
	if a, err := s.Send(t.Context(), m); err != nil || a.ID != "x" || len(sent) != 1 {
		t.Errorf("the repeat: %+v, %v; Azure has sent %d", a, err, len(sent))
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for status, ok := range map[int]bool{200: true, 401: false, 403: false, 404: false, 500: false} {
		c := channeltest.NewCarrier(channeltest.Says(reply(status, `{"phoneNumbers":[]}`)))
		s, _ := config(c.URL).Open(channel.Env{HTTP: c.Client(), Now: channeltest.Now})
		if err := s.(channel.Checker).Check(t.Context()); (err == nil) != ok {
			t.Errorf("%d: %v", status, err)
		} else if status == 401 && !strings.Contains(err.Error(), "clock") {
			t.Errorf("401: %v", err)
		}
		r := c.Requests()[0]
		if r.Method != http.MethodGet || r.URL.Path != "/phoneNumbers" ||
			r.Header.Get("Authorization") != signature(t, r.Request, r.Body) {
			t.Errorf("%s %s %s", r.Method, r.URL, r.Header.Get("Authorization"))
		}
		c.Close()
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*Config){
		"endpoint: is missing":   func(c *Config) { c.Endpoint = "" },
		"endpoint: must":         func(c *Config) { c.Endpoint = "acme.communication.azure.com" },
		"endpoint: must be":      func(c *Config) { c.Endpoint = "https://acme.communication.azure.com/sms" },
		"access_key: is missing": func(c *Config) { c.AccessKey = secret.Text{} },
		"access_key: must":       func(c *Config) { c.AccessKey = secret.New("endpoint=https://x/;accesskey=eA==") },
		"from":                   func(c *Config) { c.From = "a name that is too long" },
	} {
		c, _ := config("https://acme.communication.azure.com").(*Config)
		change(c)
		if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func FuzzReceipts(f *testing.F) {
	f.Add("POST",
		`[`+report("Delivered", "No error.", `,"deliveryAttempts":[{"segmentsSucceeded":2,"segmentsFailed":0}]`)+`]`)
	f.Add("POST", `[`+report("Failed", "4007: opted out", "")+`,`+validation+`]`)
	f.Add("GET", "")
	f.Fuzz(func(t *testing.T, method, body string) {
		s, _ := config("https://acme.communication.azure.com").Open(channel.Env{})
		r := receipt(body)
		r.Method = method
		got, err := s.(channel.Receiver).Receipts(t.Context(), r)
		if e, ok := errors.AsType[*channel.Error](err); err != nil && (!ok || e.Kind != channel.Refused) {
			t.Errorf("%v", err)
		}
		if reply, ok := s.(channel.Answerer).Answer(t.Context(), r); ok && (err != nil || !json.Valid(reply.Body)) {
			t.Errorf("%v is answered %s", err, reply.Body)
		}
		for _, g := range got {
			if !g.Status.Valid() || g.Token == "" || g.ProviderID == "" || g.Parts < 0 || len(g.Code) > 64 {
				t.Errorf("%+v", g)
			}
		}
	})
}
