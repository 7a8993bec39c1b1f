package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/channeltest"
	"github.com/dialproof/dialproof/internal/deliver/delivertest"
	"github.com/dialproof/dialproof/internal/yamlconf"
)

// example is one of the guide's gateways, and how it answers and reports.
type example struct {
	accept  channeltest.Reply
	want    channel.Accepted
	request func(r *http.Request, body []byte) error
	// query and body are a report, of the receipt.
	query, body string
	receipt     channel.Receipt
	undelivered string
	failure     channel.Receipt
}

// form judges a form.
func form(want map[string]string) func(r *http.Request, body []byte) error {
	return func(_ *http.Request, body []byte) error {
		f, err := url.ParseQuery(string(body))
		if err != nil {
			return err
		}
		for key, v := range want {
			if f.Get(key) != v {
				return fmt.Errorf("%s is %q, want %q", key, f.Get(key), v)
			}
		}
		if len(f) != len(want) {
			return fmt.Errorf("there is more: %v", f)
		}
		return nil
	}
}

func examples(t *testing.T) map[string]example {
	t.Helper()
	spec := channeltest.LoadSpec(t, "kaleyra/THIRDPARTY-kaleyra-openapi.yml")
	m := channeltest.Message(channel.SMS)
	return map[string]example{
		"kaleyra": {
			accept: reply(202, `{"id":"k-1","type":"OTP","createdDateTime":"2026-11-23 08:00:00+00:00","totalCount":1,`+
				`"data":[{"message_id":"k-1:1","recipient":"447700900123"}],"error":{}}`),
			want: channel.Accepted{ID: "k-1", Status: channel.Taken},
			request: func(r *http.Request, body []byte) error {
				if r.URL.Path != "/v1/HXIN0000000000IN/messages" || r.Header.Get("api-key") != apiKey {
					return errors.New("the credentials are not sent, or not to the right place")
				}
				if err := form(map[string]string{
					"to":                  "+447700900123",
					"sender":              "ACMEIN",
					"type":                "OTP",
					"body":                m.Text.Body,
					"entity_id":           "1101",
					"template_id":         "1107",
					"callback_profile_id": "0000",
				})(r, body); err != nil {
					return err
				}
				// The document has version 2 of the same call.
				return spec.Judge(r, body, "/v2/{sid}/messages", map[string]string{"sid": "HXIN0000000000IN"})
			},
			query:   "id=k-1&status=Delivered",
			receipt: channel.Receipt{ProviderID: "k-1", Status: channel.Delivered},
		},
		"clickatell": {
			accept: reply(202,
				`{"messages":[{"apiMessageId":"77fbb70d","accepted":true,"to":"447700900123","errorCode":null,"error":null,`+
					`"errorDescription":null}],"errorCode":null}`),
			want: channel.Accepted{ID: "77fbb70d", Status: channel.Taken},
			request: func(r *http.Request, body []byte) error {
				want := fmt.Sprintf(`{"content":%q,"to":["447700900123"]}`, m.Text.Body)
				if r.URL.Path != "/messages" || r.Header.Get("Authorization") != apiKey ||
					r.Header.Get("Content-Type") != "application/json" || string(body) != want {
					return fmt.Errorf("%s\nwant %s", body, want)
				}
				return nil
			},
			body: `{"messageId":"77fbb70d","to":"447700900123","statusCode":5,"status":"DEVICE_ACK",` +
				`"statusDescription":"x","timestamp":1795421100}`,
			receipt:     channel.Receipt{ProviderID: "77fbb70d", Status: channel.Delivered},
			undelivered: `{"messageId":"77fbb70d","statusCode":21,"status":"STOPPED_BY_USER"}`,
			failure:     channel.Receipt{ProviderID: "77fbb70d", Status: channel.Failed, Code: "21", Kind: channel.Rejected},
		},
		"textlocal": {
			accept: reply(200,
				`{"balance":9,"batch_id":1,"cost":1,"num_messages":1,"message":{"num_parts":1,"sender":"ACMEIN","content":"x"},`+
					`"messages":[{"id":"1151346216","recipient":447700900123}],"status":"success"}`),
			want: channel.Accepted{ID: "1151346216", Status: channel.Taken, Parts: 1},
			request: form(map[string]string{
				"apikey":      apiKey,
				"sender":      "ACMEIN",
				"numbers":     "447700900123",
				"message":     m.Text.Body,
				"unicode":     "0",
				"custom":      "dG9rZW4",
				"receipt_url": callback,
			}),
			body:        "number=447700900123&status=D&customID=dG9rZW4&datetime=2026-11-23+08%3A00%3A00",
			receipt:     channel.Receipt{Token: "dG9rZW4", Status: channel.Delivered},
			undelivered: "number=447700900123&status=I&customID=dG9rZW4",
			failure:     channel.Receipt{Token: "dG9rZW4", Status: channel.Undelivered, Code: "I", Kind: channel.Rejected},
		},
	}
}

// TestGuide: every route of the guide is decoded, is valid, sends what its gateway expects, and reads what it answers.
func TestGuide(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("guide.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range (&plan{}).known() {
		if !strings.Contains(string(text), "`{"+key+"}`") {
			t.Errorf("the guide does not say what {%s} is", key)
		}
	}
	all := examples(t)
	for _, block := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		var doc struct {
			Routes []struct {
				Name     string    `yaml:"name"`
				Provider string    `yaml:"provider"`
				Settings yaml.Node `yaml:"settings"`
			} `yaml:"routes"`
		}
		if err := yaml.Unmarshal([]byte(block[1]), &doc); err != nil || len(doc.Routes) != 1 ||
			doc.Routes[0].Provider != name {
			t.Fatalf("%v: %s", err, block[1])
		}
		route := doc.Routes[0]
		e, known := all[route.Name]
		if !known {
			t.Fatalf("the example %s is not tested", route.Name)
		}
		delete(all, route.Name)
		t.Run(route.Name, func(t *testing.T) {
			t.Parallel()
			e.run(t, route.Name, route.Settings)
		})
	}
	for missing := range all {
		t.Errorf("the guide has no example %s", missing)
	}
}

func (e example) run(t *testing.T, route string, settings yaml.Node) {
	t.Helper()
	configure := func(base string) channel.Opener {
		c, _ := Provider().Config().(*Config)
		if err := yamlconf.Decode(&settings, c,
			yamlconf.Options{ReadFile: func(string) ([]byte, error) { return []byte(apiKey + "\n"), nil }}); err != nil {
			t.Error(err)
		}
		if err := c.Validate(); err != nil {
			t.Error(err) // as it stands, before it is sent to our carrier
		}
		if u, err := url.Parse(c.URL); err == nil {
			c.URL = strings.Replace(c.URL, u.Scheme+"://"+u.Host, base, 1)
		}
		return c
	}
	u, _ := url.Parse(callback)
	u.RawQuery = e.query
	r := channel.Callback{
		Method: http.MethodPost,
		URL:    u,
		Header: http.Header{},
		Body:   []byte(e.body),
		Now:    channeltest.Now(),
	}
	h := channeltest.Harness{
		Provider:  Provider(),
		Configure: configure,
		Secrets:   []string{apiKey},
		Accept:    e.accept,
		WantID:    e.want.ID,
		Testdata:  os.DirFS("testdata/" + route),
		Receipts:  []channeltest.ReceiptRow{{Name: "delivered", Request: r, Want: []channel.Receipt{e.receipt}}},
	}
	if e.undelivered != "" {
		failed := r
		failed.Body = []byte(e.undelivered)
		h.Receipts = append(h.Receipts,
			channeltest.ReceiptRow{Name: "undelivered", Request: failed, Want: []channel.Receipt{e.failure}})
	}
	channeltest.Run(t, h)
	delivertest.Run(t, h)

	c := channeltest.NewCarrier(channeltest.Says(e.accept))
	defer c.Close()
	s, err := configure(c.URL).Open(channel.Env{HTTP: c.Client(), Now: channeltest.Now})
	if err != nil {
		t.Fatal(err)
	}
	m := channeltest.Message(channel.SMS)
	m.Regulatory = map[string]string{"dlt_entity_id": "1101", "dlt_template_id": "1107"}
	got, err := s.Send(t.Context(), m)
	if err != nil || got != e.want {
		t.Errorf("%+v, %v, want %+v", got, err, e.want)
	}
	if r := c.Requests()[0]; len(c.Requests()) == 1 {
		if err := e.request(r.Request, r.Body); err != nil {
			t.Error(err)
		}
	}
}
