package whatsapp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/channeltest"
	"github.com/dialproof/dialproof/internal/deliver/delivertest"
	"github.com/dialproof/dialproof/internal/message"
	"github.com/dialproof/dialproof/internal/secret"
)

const (
	accessToken = "s3cr3t-access-token"
	appSecret   = "s3cr3t-app-secret"
	verifyToken = "s3cr3t-verify-token"
	phoneID     = "106540352242922"
	wamid       = "wamid.HBgLMTY1MDM4Nzk0MzkVAgARGBJCOTY3NDc0NDFDRUI3NTA0Q0UA"
)

func config(base string) channel.Opener {
	return &Config{
		PhoneNumberID: phoneID,
		AccessToken:   secret.New(accessToken),
		AppSecret:     secret.New(appSecret),
		VerifyToken:   secret.New(verifyToken),
		Template:      "auth_code",
		Languages:     []string{"es", "en_US", "pt_BR", "zh_TW"},
		Templates:     map[string]string{"pt_BR": "codigo"},
		Version:       "v23.0",
		URL:           base,
	}
}

func reply(status int, body string) channeltest.Reply {
	return channeltest.Reply{Status: status, Body: body}
}

// judge holds a request against Meta's document.
func judge(spec *channeltest.Spec, r *http.Request, body []byte) error {
	// The document's pattern for the index of a button takes 1 to 6, and its own examples have 0.
	body = bytes.Replace(body, []byte(`"index":"0"`), []byte(`"index":"1"`), 1)
	return spec.Judge(r, body, "/{Version}/{Phone-Number-ID}/messages",
		map[string]string{"Version": "v23.0", "Phone-Number-ID": phoneID})
}

func TestWhatsApp(t *testing.T) {
	t.Parallel()
	spec := channeltest.LoadSpec(t, "meta/whatsapp-messages-v23.trimmed.json")
	h := channeltest.Harness{
		Provider:  Provider(),
		Configure: config,
		Secrets:   []string{accessToken, appSecret, verifyToken},
		Channel:   channel.WhatsApp,
		Accept: reply(200,
			`{"messaging_product":"whatsapp","contacts":[{"input":"+447700900123","wa_id":"447700900123"}],`+
				`"messages":[{"id":"`+wamid+`","message_status":"accepted"}]}`),
		WantID: wamid,
		Request: func(r *http.Request, body []byte) error {
			if r.URL.Path != "/v23.0/"+phoneID+"/messages" || r.Header.Get("Authorization") != "Bearer "+accessToken {
				return errors.New("the credentials are not sent, or not to the right place")
			}
			var f map[string]any
			if err := json.Unmarshal(body, &f); err != nil {
				return err
			}
			for key, want := range map[string]string{
				"to": "+447700900123", "type": "template", "biz_opaque_callback_data": "dG9rZW4",
				"template": "map[components:[map[parameters:[map[text:90817263 type:text]] type:body] " +
					"map[index:0 parameters:[map[text:90817263 type:text]] sub_type:url type:button]] language:map[code:en_US " +
					"policy:deterministic] name:auth_code]",
			} {
				if got := fmt.Sprint(f[key]); got != want {
					return fmt.Errorf("%s is %s, want %s", key, got, want)
				}
			}
			return judge(spec, r, body)
		},
		Tables: map[string][]string{"answer receipt": channeltest.Keys(errorTable())},
		Answer: func(e channeltest.Expected) string {
			return `{"error":{"message":"(#` + e.Error + `) to +447700900123","type":"OAuthException",` +
				`"code":` + e.Error + `,"fbtrace_id":"x"}}`
		},
		Report: func(e channeltest.Expected) channel.Callback {
			return hook(news(value(phoneID, state("failed", `,"errors":[{"code":`+e.Error+`,"title":"to 447700900123"}]`))))
		},
		News:     func(n channeltest.News) channel.Callback { return hook(news(value(phoneID, state(n.Word, "")))) },
		Receipts: receiptRows(),
	}
	channeltest.Run(t, h)
	delivertest.Run(t, h)
}

// TestTheDocumentHolds: a request that leaves the document is seen.
func TestTheDocumentHolds(t *testing.T) {
	t.Parallel()
	channeltest.SpecPath(t, "meta/whatsapp-messages-v23.trimmed.json")
	spec := channeltest.LoadSpec(t, "meta/whatsapp-messages-v23.trimmed.json")
	c := channeltest.NewCarrier(channeltest.Says(reply(200, `{"messages":[{"id":"x"}]}`)))
	defer c.Close()
	s, _ := config(c.URL).Open(channel.Env{HTTP: c.Client(), Now: channeltest.Now})
	if _, err := s.Send(t.Context(), channeltest.Message(channel.WhatsApp)); err != nil {
		t.Fatal(err)
	}
	r := c.Requests()[0]
	if err := judge(spec, r.Request, r.Body); err != nil {
		t.Fatal(err)
	}
	for _, broken := range []string{`"policy":"deterministic"`, `"to":"+447700900123"`, `"name":"auth_code"`} {
		name, _, _ := strings.Cut(broken, ":")
		if err := judge(spec, r.Request, bytes.Replace(r.Body, []byte(name), []byte(`"x"`), 1)); err == nil {
			t.Errorf("without %s nothing is wrong", name)
		}
	}
}

func TestChoose(t *testing.T) {
	t.Parallel()
	many := &Config{
		Template:  "t",
		Languages: []string{"en_US", "en_GB", "de", "pt_PT", "pt_BR", "zh_CN", "zh_HK", "zh_TW", "fil", "es_MX"},
		Templates: map[string]string{"de": "d"},
	}
	few := &Config{Template: "t", Languages: []string{"fr", "pt_BR", "en_US", "zh_CN"}}
	for _, c := range []struct {
		of              *Config
		locale, country string
		want            string
	}{
		{many, "en", "GB", "t en_GB"},
		{many, "en", "NG", "t en_US"},
		{many, "de", "AT", "d de"},
		{many, "pt", "BR", "t pt_PT"},
		{many, "pt-BR", "BR", "t pt_BR"},
		{many, "zh-Hans", "CN", "t zh_CN"},
		{many, "zh-Hant", "HK", "t zh_HK"},
		{many, "zh-Hant", "TW", "t zh_TW"},
		{many, "fil", "PH", "t fil"},
		{many, "es", "ES", "t es_MX"},
		{many, "", "", "t en_US"},
		{few, "sw", "KE", "t fr"},
		{few, "pt", "PT", "t pt_BR"},
		{few, "en", "GB", "t en_US"},
		{few, "zh-Hant", "TW", "t fr"},
	} {
		template, language := c.of.choose(c.locale, c.country)
		if got := template + " " + language; got != c.want {
			t.Errorf("%s in %s: %s, want %s", c.locale, c.country, got, c.want)
		}
	}
	for _, l := range message.Locales() {
		if _, language := many.choose(l, "XX"); language == "" {
			t.Errorf("%s has no language", l)
		}
	}
}

func TestCodeForm(t *testing.T) {
	t.Parallel()
	c := channeltest.NewCarrier(channeltest.Says(reply(200, `{"messages":[{"id":"x"}]}`)))
	defer c.Close()
	s, _ := config(c.URL).Open(channel.Env{HTTP: c.Client(), Now: channeltest.Now})
	for code, ok := range map[string]bool{"123456": true, "A1B2C3D4E5": true, "": false, "1234567890123456": false} {
		m := channeltest.Message(channel.WhatsApp)
		m.Code = message.NewCode(code)
		_, err := s.Send(t.Context(), m)
		if (err == nil) != ok || !ok && channel.AsError(name, err).Kind != channel.Rejected {
			t.Errorf("%q: %v", code, err)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	good := `{"data":[
		{"name":"auth_code","language":"en_US","status":"APPROVED","category":"AUTHENTICATION"},
		{"name":"auth_code","language":"es","status":"APPROVED","category":"AUTHENTICATION"},
		{"name":"auth_code","language":"zh_TW","status":"APPROVED","category":"AUTHENTICATION"},
		{"name":"codigo","language":"pt_BR","status":"APPROVED","category":"AUTHENTICATION"}]}`
	for name, c := range map[string]struct {
		status    int
		templates string
		want      string
	}{
		"all is well":     {200, good, ""},
		"a wrong token":   {401, good, "190"},
		"a paused one":    {200, strings.Replace(good, "APPROVED", "PAUSED", 1), "template"},
		"a marketing one": {200, strings.Replace(good, "AUTHENTICATION", "MARKETING", 1), "template"},
		"one is missing":  {200, strings.Replace(good, "pt_BR", "pt_PT", 1), "template"},
		"nonsense":        {200, "<html>", "answer"},
	} {
		carrier := channeltest.NewCarrier(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case c.status != 200:
				channeltest.Says(reply(c.status, `{"error":{"code":190}}`))(w, r)
			case strings.HasSuffix(r.URL.Path, "/message_templates"):
				channeltest.Says(reply(200, c.templates))(w, r)
			default:
				channeltest.Says(reply(200, `{"verified_name":"Acme"}`))(w, r)
			}
		})
		settings, _ := config(carrier.URL).(*Config)
		settings.AccountID = "102290129340398"
		s, _ := settings.Open(channel.Env{HTTP: carrier.Client(), Now: channeltest.Now})
		err := s.(channel.Checker).Check(t.Context())
		if (err == nil) != (c.want == "") || err != nil && channel.AsError(name, err).Code != c.want {
			t.Errorf("%s: %v", name, err)
		}
		carrier.Close()
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*Config){
		"phone_number_id": func(c *Config) { c.PhoneNumberID = "+447700900001" },
		"access_token":    func(c *Config) { c.AccessToken = secret.Text{} },
		"access_token:":   func(c *Config) { c.AccessToken = secret.New("Bearer x") },
		"app_secret":      func(c *Config) { c.AppSecret = secret.Text{} },
		"verify_token":    func(c *Config) { c.VerifyToken = secret.New("short") },
		"template":        func(c *Config) { c.Template = "Auth code" },
		"languages":       func(c *Config) { c.Languages = nil },
		"languages:":      func(c *Config) { c.Languages = []string{"en-US"} },
		"templates":       func(c *Config) { c.Templates = map[string]string{"fr": "x"} },
		"templates:":      func(c *Config) { c.Templates = map[string]string{"es": "X"} },
		"account_id":      func(c *Config) { c.AccountID = "x" },
		"version":         func(c *Config) { c.Version = "23" },
		"url":             func(c *Config) { c.URL = "graph.facebook.com" },
	} {
		c, _ := config("https://graph.facebook.com").(*Config)
		change(c)
		if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
