package httpapi

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/channeltest"
	"github.com/dialproof/dialproof/internal/message"
	"github.com/dialproof/dialproof/internal/secret"
)

// nasty would break out of any context that does not escape it.
const nasty = "\"},{\"x\":\"&a=b#</m><m>]]>%00\\u0000 \r\nX-Evil: 1 {to} {{code}} Ж😀"

// TestEscaping: a text stands in each context as itself.
func TestEscaping(t *testing.T) {
	t.Parallel()
	c := channeltest.NewCarrier(channeltest.Says(reply(200, "")))
	defer c.Close()
	m := channeltest.Message(channel.SMS)
	m.Text.Body = nasty
	for kind, row := range map[string]struct {
		body Body
		read func(body []byte) (string, error)
	}{
		"form": {Body{Type: "form", Fields: map[string]string{"to": "{to}", "text": "{text}"}},
			func(b []byte) (string, error) {
				f, err := url.ParseQuery(string(b))
				return f.Get("text"), err
			}},
		"json": {Body{Type: "json", Text: `{"to":"{to}","text":"{text}"}`}, func(b []byte) (string, error) {
			var v map[string]string
			if err := json.Unmarshal(b, &v); err != nil || len(v) != 2 {
				return "", fmt.Errorf("%v, %w", v, err)
			}
			return v["text"], nil
		}},
		"xml": {Body{Type: "xml", Text: `<m to="{to}"><text>{text}</text></m>`}, func(b []byte) (string, error) {
			var v struct {
				Text string `xml:"text"`
			}
			err := xml.Unmarshal(b, &v)
			return v.Text, err
		}},
		"text": {Body{Type: "text", Text: "{to} {text}", ContentType: "text/csv"}, func(b []byte) (string, error) {
			return strings.TrimPrefix(string(b), "+447700900123 "), nil
		}},
	} {
		cfg := &Config{
			Channels: []channel.Kind{channel.SMS}, Method: http.MethodPost, URL: c.URL + "/x/{text}/y?q={text}", CodeInURL: true,
			Headers: map[string]string{"X-Text": "{text}"}, Body: row.body,
		}
		before := len(c.Requests())
		if _, err := open(t, cfg, c).Send(t.Context(), m); err != nil {
			t.Fatal(kind, err)
		}
		r := c.Requests()[before]
		if got, err := row.read(r.Body); err != nil || got != nasty {
			t.Errorf("%s: %q, %v", kind, got, err)
		}
		if q := r.URL.Query(); r.URL.Path != "/x/"+nasty+"/y" || q.Get("q") != nasty || len(q) != 1 {
			t.Errorf("%s: the address is %s", kind, r.URL)
		}
		if r.Header.Get("X-Evil") != "" || !strings.Contains(r.Header.Get("X-Text"), "X-Evil: 1") {
			t.Errorf("%s: the headers are %v", kind, r.Header)
		}
		if kind == "text" && r.Header.Get("Content-Type") != "text/csv" {
			t.Errorf("the type is %s", r.Header.Get("Content-Type"))
		}
	}
}

// TestValues: what each placeholder is.
func TestValues(t *testing.T) {
	t.Parallel()
	c := settings("https://sms.example.com")
	c.Regulatory = []string{"peid", "to"}
	p, err := c.compile()
	if err != nil {
		t.Fatal(err)
	}
	s := &sender{plan: p, now: channeltest.Now}
	m := channeltest.Message(channel.SMS)
	m.Regulatory = map[string]string{
		"dlt_entity_id":   "1",
		"dlt_template_id": "2",
		"campaign_id":     "3",
		"peid":            "4",
		"to":              "never",
	}
	m.From = "+447700900001"
	want := map[string]string{
		"to":              "+447700900123",
		"to_digits":       "447700900123",
		"to_national":     "7700900123",
		"email":           "person@example.com",
		"from":            "+447700900001",
		"from_digits":     "447700900001",
		"text":            m.Text.Body,
		"code":            "90817263",
		"brand":           "Acme",
		"purpose":         "login",
		"locale":          "en",
		"country":         "GB",
		"channel":         "sms",
		"delivery":        m.Delivery,
		"callback":        callback,
		"token":           "dG9rZW4",
		"ttl":             "300",
		"minutes":         "5",
		"expires":         "2026-11-23T08:05:00Z",
		"expires_unix":    "1795421100",
		"parts":           "1",
		"encoding":        "GSM-7",
		"unicode":         "0",
		"dlt_entity_id":   "1",
		"dlt_template_id": "2",
		"campaign_id":     "3",
		"peid":            "4",
		"key":             apiKey,
	}
	got := s.values(m)
	for key, v := range want {
		if got[key] != v {
			t.Errorf("{%s} is %q, want %q", key, got[key], v)
		}
	}
	for _, key := range p.known() {
		if _, has := got[key]; !has || want[key] == "" {
			t.Errorf("{%s} is not filled, or not tested", key)
		}
	}
	m.From, m.Text, m.ExpiresAt = "", message.Text{Body: "код", Encoding: message.UCS2,
		Parts: 2}, channeltest.Now().Add(-time.Hour)
	got = s.values(m)
	if got["from"] != "Acme" || got["unicode"] != "1" || got["encoding"] != "UCS-2" || got["parts"] != "2" ||
		got["ttl"] != "1" || got["minutes"] != "1" {
		t.Errorf("%v", got)
	}
	m.Channel, m.ExpiresAt = channel.Voice, time.Time{}
	if got = s.values(m); got["text"] != m.Spoken.Script() || got["ttl"] != "300" {
		t.Errorf("%v", got)
	}
}

// TestEmpty: what comes out empty is left out, in JSON and in forms, and a number needs no quotes.
func TestEmpty(t *testing.T) {
	t.Parallel()
	c := settings("https://sms.example.com")
	c.From = ""
	for text, want := range map[string]string{
		`{"to":["{to}","{from}"],"text":"{text}","from":"{from}","n":{"x":"{from}"},"literal":"","ttl":{ttl},` +
			`"unix":[{expires_unix}]}`: `{"literal":"","n":{},"text":"x","to":["+447700900123"],"ttl":300,"unix":[1795421100]}`,
		`["{to}", "{text}", {"a\"{ttl}": 1}]`: "",
		`"{to}: {text}"`:                      `"+447700900123: x"`,
		`{"a\\":{ttl},"t":"{to} {text}"}`:     `{"a\\":300,"t":"+447700900123 x"}`,
	} {
		c.Body.Text = text
		p, err := c.compile()
		if want == "" {
			if err == nil {
				t.Errorf("%s is taken", text)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		s := &sender{plan: p, now: channeltest.Now}
		m := channeltest.Message(channel.SMS)
		m.Text.Body = "x"
		if got, _ := s.body(s.values(m)); string(got) != want {
			t.Errorf("%s\ngives %s\nwant  %s", text, got, want)
		}
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	form := func(fields map[string]string) func(*Config) {
		return func(c *Config) { c.Body = Body{Type: "form", Fields: fields} }
	}
	text := func(s string) func(*Config) { return func(c *Config) { c.Body.Text = s } }
	for want, changes := range map[string][]func(*Config){
		"channels: must":    {func(c *Config) { c.Channels = nil }},
		"channels[0]: must": {func(c *Config) { c.Channels = []channel.Kind{"fax"} }},
		"method: must":      {func(c *Config) { c.Method = "post" }},
		"url: must be an address": {func(c *Config) { c.URL = "sms.example.com" },
			func(c *Config) { c.URL = "https://u:p@sms.example.com/" },
			func(c *Config) { c.URL = "https://sms.example.com/#x" }, func(c *Config) { c.URL = "ftp://sms.example.com" }},
		"url: must be https": {func(c *Config) { c.URL = "http://sms.example.com" }},
		"url: the host must be fixed": {func(c *Config) { c.URL = "https://{to_digits}.example.com/" },
			func(c *Config) { c.URL = "https://sms{to}?x={to}" }},
		"url: there is no placeholder {number}":  {func(c *Config) { c.URL += "&x={number}" }},
		"url: {code} must not":                   {func(c *Config) { c.URL += "&x={code}" }},
		"url: {text} must not":                   {func(c *Config) { c.URL = "https://sms.example.com/{text}" }},
		"url: the secret {key} must not":         {func(c *Config) { c.URL += "&x={key}" }},
		"headers: a name":                        {func(c *Config) { c.Headers["a b"] = "x" }},
		"headers.Host: ":                         {func(c *Config) { c.Headers["Host"] = "x" }},
		"headers.X: must be one line":            {func(c *Config) { c.Headers["X"] = "a\nb" }},
		"headers.X: there is no placeholder":     {func(c *Config) { c.Headers["X"] = "{nothing}" }},
		"headers.X-Api-Key: looks like a secret": {func(c *Config) { c.Headers["X-Api-Key"] = "abc" }},
		"secrets[0].name: must":                  {func(c *Config) { c.Secrets[0].Name = "Key" }},
		"secrets[0].name: {to} is something":     {func(c *Config) { c.Secrets[0].Name = "to" }},
		"secrets[1].name: {key} is something":    {func(c *Config) { c.Secrets = append(c.Secrets, c.Secrets[0]) }},
		"secrets[0].value: is missing":           {func(c *Config) { c.Secrets[0].Value = secret.Text{} }},
		"secrets[0].value: must":                 {func(c *Config) { c.Secrets[0].Value = secret.New("a\nb") }},
		"secrets[1]: {other} is used nowhere": {func(c *Config) {
			c.Secrets = append(c.Secrets, Secret{"other", secret.New("x")})
		}},
		"basic_auth.username: is":   {func(c *Config) { c.BasicAuth.Password = secret.New("x") }},
		"basic_auth.username: must": {func(c *Config) { c.BasicAuth.Username = "a:b" }},
		"regulatory[0]: ":           {func(c *Config) { c.Regulatory = []string{"PE-ID"} }},
		"body.type: must":           {func(c *Config) { c.Body = Body{} }},
		"body.type: none":           {func(c *Config) { c.Body.Type = "none" }},
		"body.type: a GET": {func(c *Config) { c.Method = "GET" },
			func(c *Config) { c.Method = "GET"; form(map[string]string{"t": "{text}"})(c) }},
		"body.text: must hold":                   {text(""), func(c *Config) { c.Body.Fields = map[string]string{"a": "b"} }},
		"body.text: is no JSON":                  {text(`{"to":"{to}","text":"{text}"`), text(`{"text":"{text}",}`)},
		"body.text: {text} is text":              {text(`{"text":{text}}`)},
		"body.text: a text must not begin":       {text(`{"to":"{to}","text":"{text}","x":"\u0000text"}`)},
		"body.text: goes on":                     {text(`{"to":"{to}","text":"{text}"} {"a":1}`)},
		"body.text: there is no placeholder {x}": {text(`{"text":"{x}"}`), text(`{"text":{x}}`)},
		"body.text: placeholders are for values": {text(`{"{to}":"{text}"}`)},
		"body.text: apikey: looks like a secret": {text(`{"apikey":"abc","to":"{to}","text":"{text}"}`)},
		"body.fields: must hold":                 {form(nil)},
		"body.fields.password: looks like":       {form(map[string]string{"password": "abc", "text": "{text}"})},
		"body.fields.t: there is no placeholder": {form(map[string]string{"t": "{texts}"})},
		"body: the request has neither":          {text(`{"to":"{to}","from":"{from}"}`)},
		"body: the request names nobody": {func(c *Config) {
			c.URL = "https://sms.example.com/"
			text(`{"text":"{text}"}`)(c)
		}},
		"answer.statuses[0]: ":                 {func(c *Config) { c.Answer.Statuses = []int{20} }},
		"answer.ok: needs both":                {func(c *Config) { c.Answer.OK.Is = nil }},
		"answer.ok.at: must be a JSON pointer": {func(c *Config) { c.Answer.OK.At = "status" }},
		"answer.id: the expression": {func(c *Config) { c.Answer.ID = "regexp:(" },
			func(c *Config) { c.Answer.ID = "regexp:x" }, func(c *Config) { c.Answer.ID = "regexp:(a)(b)" }},
		"answer.id: must name a header":    {func(c *Config) { c.Answer.ID = "header:" }},
		"answer.id: in a JSON pointer":     {func(c *Config) { c.Answer.ID = "/a~2" }},
		"answer.errors.17: must be one of": {func(c *Config) { c.Answer.Errors["17"] = "bad" }},
		"receipts.in: must say":            {func(c *Config) { c.Receipts.In = "" }},
		"receipts.in: must be":             {func(c *Config) { c.Receipts.In = "xml" }},
		"receipts.each: is for":            {func(c *Config) { c.Receipts.In = "form" }},
		"receipts.each: must":              {func(c *Config) { c.Receipts.Each = "reports" }},
		"receipts.status and": {func(c *Config) { c.Receipts.Status = "" },
			func(c *Config) { c.Receipts.Statuses = nil }},
		"receipts.status: must be a JSON":    {func(c *Config) { c.Receipts.Status = "status" }},
		"receipts: nothing names":            {func(c *Config) { c.Receipts.ID = ""; text(`{"text":"{text}"}`)(c) }},
		"receipts.token: the gateway":        {func(c *Config) { c.Receipts.Token = "/ref" }},
		"receipts.statuses.X: must":          {func(c *Config) { c.Receipts.Statuses["X"] = "queued" }},
		"receipts.errors.1: must":            {func(c *Config) { c.Receipts.Errors["1"] = "throttled" }},
		"receipts.signature.header: ":        {func(c *Config) { c.Receipts.Signature.Header = "" }},
		"receipts.signature.secret: ":        {func(c *Config) { c.Receipts.Signature.Secret = secret.Text{} }},
		"receipts.signature.encoding: ":      {func(c *Config) { c.Receipts.Signature.Encoding = "" }},
		"receipts.signature.algorithm: ":     {func(c *Config) { c.Receipts.Signature.Algorithm = "md5" }},
		"receipts.signature: signs the body": {func(c *Config) { c.Receipts.In, c.Receipts.Each = "query", "" }},
		"check.method: ":                     {func(c *Config) { c.Check.Method = "PUT" }},
		"check.url: must be":                 {func(c *Config) { c.Check.URL = "x" }},
		"check.url: {to} belongs":            {func(c *Config) { c.Check.URL = "https://sms.example.com/{to}" }},
		"check.url: the secret {key}":        {func(c *Config) { c.Check.URL = "https://sms.example.com/{key}" }},
	} {
		for _, change := range changes {
			c := settings("https://sms.example.com")
			change(c)
			err := c.Validate()
			if err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("%s: %v", want, err)
			} else if strings.Contains(err.Error(), apiKey) || strings.Contains(err.Error(), signKey) {
				t.Errorf("%s: a secret is shown", want)
			}
			if _, err := c.Open(channel.Env{}); err == nil {
				t.Errorf("%s: it opens all the same", want)
			}
		}
	}
	if err := settings("http://localhost:8080").Validate(); err != nil {
		t.Error(err)
	}
}

// FuzzTemplate: no text breaks the parser, and one without placeholders stays as it is.
func FuzzTemplate(f *testing.F) {
	for _, s := range []string{"{to}", "{{to}}", "{{{to}}}", `{"a":{ttl}}`, "{To}{}", `{"a":"\"{ttl}"}`, `"\`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p := parse(s)
		if got := p.fill(nil, asItIs); !p.fills() && !placeholderForm.MatchString(s) && got != s {
			t.Errorf("%q becomes %q", s, got)
		}
		c := settings("https://sms.example.com")
		c.Body.Text = s
		compiled, err := c.compile()
		if err != nil {
			return
		}
		made := &sender{plan: compiled, now: channeltest.Now}
		m := channeltest.Message(channel.SMS)
		m.Text.Body = nasty
		if body, _ := made.body(made.values(m)); !json.Valid(body) {
			t.Errorf("%q makes %q", s, body)
		}
	})
}
