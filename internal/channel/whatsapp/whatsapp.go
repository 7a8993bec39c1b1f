// Package whatsapp is the provider that sends codes by authentication templates of Meta's WhatsApp Cloud API.
//
// WhatsApp carries no free text to somebody who has not written first: the words are Meta's, approved per language, and
// Dialproof gives the code alone.
package whatsapp

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"strings"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/rest"
	"github.com/dialproof/dialproof/internal/secret"
)

const name = "whatsapp"

// agent is how we name ourselves, in the form that Meta's document asks for.
const agent = "Dialproof/1.0.0"

// maxCode is the longest code that an authentication template takes.
const maxCode = 15

// Provider returns the provider.
func Provider() channel.Provider {
	return channel.Provider{
		Name: name, Title: "WhatsApp",
		Summary:  "WhatsApp messages by authentication templates of Meta's Cloud API.",
		Docs:     "https://developers.facebook.com/docs/whatsapp/business-management-api/authentication-templates",
		Channels: []channel.Kind{channel.WhatsApp},
		Config:   func() channel.Opener { return &Config{Version: "v23.0", URL: "https://graph.facebook.com"} },
	}
}

// Config is the settings of a route.
type Config struct {
	PhoneNumberID string            `yaml:"phone_number_id" example:"\"106540352242922\"" doc:"The id of the number that sends, as the dashboard shows it. It is not the number itself."`
	AccessToken   secret.Text       `yaml:"access_token" example:"EAABwzLixnjYBO" doc:"The access token of a system user with the permission whatsapp_business_messaging."`
	AppSecret     secret.Text       `yaml:"app_secret" example:"0123456789abcdef0123456789abcdef" doc:"The app's secret. It signs Meta's receipts."`
	VerifyToken   secret.Text       `yaml:"verify_token" example:"a-word-of-your-own" doc:"A word of your own, which Meta repeats when you enter the callback address in the app's dashboard. At least 8 characters."`
	Template      string            `yaml:"template" example:"auth_code" doc:"The name of the authentication template, with a copy-code, one-tap or zero-tap button."`
	Languages     []string          `yaml:"languages" example:"[en_US, de, pt_BR]" doc:"The languages in which the template is approved, as Meta writes them. The first one is for everybody whose language is not among them."`
	Templates     map[string]string `yaml:"templates" doc:"Other templates for some of the languages: the language and the template's name."`
	AccountID     string            `yaml:"account_id" doc:"The id of the WhatsApp Business account. With it, doctor also looks whether the templates are approved."`
	Version       string            `yaml:"version" doc:"The version of Meta's interface."`
	URL           string            `yaml:"url" doc:"Another address of the API, for a test. Default https://graph.facebook.com."`
}

var (
	idForm       = regexp.MustCompile(`^[0-9]{5,20}$`)
	templateForm = regexp.MustCompile(`^[a-z0-9_]{1,512}$`)
	languageForm = regexp.MustCompile(`^[a-z]{2,3}(_[A-Z]{2})?$`)
	versionForm  = regexp.MustCompile(`^v[0-9]{1,3}\.[0-9]$`)
)

// minVerifyToken is the shortest verify token, in characters: who guesses it can only confirm an address.
const minVerifyToken = 8

// Validate implements channel.Opener.
func (c *Config) Validate() error {
	switch {
	case !idForm.MatchString(c.PhoneNumberID):
		return errors.New(
			"phone_number_id: must be the id of the number, digits alone; the app's dashboard shows it at WhatsApp, API setup",
		)
	case c.AccessToken.IsZero() || strings.ContainsAny(c.AccessToken.Reveal(), " \r\n\t"):
		return errors.New("access_token: is missing, or has a space in it")
	case c.AppSecret.IsZero():
		return errors.New("app_secret: is missing; the app's dashboard shows it at App settings, Basic")
	case len(c.VerifyToken.Reveal()) < minVerifyToken:
		return errors.New("verify_token: must have at least 8 characters; it is a word of your own")
	case !templateForm.MatchString(c.Template):
		return errors.New("template: must be the template's name: lower-case letters, digits and _")
	case len(c.Languages) == 0:
		return errors.New("languages: is missing; name at least one language in which the template is approved, like en_US")
	case c.AccountID != "" && !idForm.MatchString(c.AccountID):
		return errors.New("account_id: must be the id of the account, digits alone")
	case !versionForm.MatchString(c.Version):
		return errors.New("version: must be a version like v23.0")
	case !rest.IsBase(c.URL):
		return errors.New("url: must be an address like https://graph.facebook.com")
	}
	return c.validateLanguages()
}

// validateLanguages returns what is wrong with the languages and their templates.
func (c *Config) validateLanguages() error {
	known := map[string]bool{}
	for _, l := range c.Languages {
		if !languageForm.MatchString(l) {
			return errors.New("languages: must be written as Meta does, like en_US, de or zh_CN")
		}
		known[l] = true
	}
	for l, t := range c.Templates {
		if !known[l] {
			return errors.New("templates: names a language that is not among languages")
		}
		if !templateForm.MatchString(t) {
			return errors.New("templates: a template's name has lower-case letters, digits and _ alone")
		}
	}
	return nil
}

// Open implements channel.Opener.
func (c *Config) Open(env channel.Env) (channel.Sender, error) {
	return &sender{*c, rest.Client{
		Provider: name,
		Base:     c.URL + "/" + c.Version,
		HTTP:     env.HTTP,
		Now:      env.Now,
		Authorize: func(r *http.Request, _ []byte) *channel.Error {
			r.Header.Set("Authorization", "Bearer "+c.AccessToken.Reveal())
			r.Header.Set("User-Agent", agent)
			return nil
		},
	},
	}, nil
}

type sender struct {
	cfg Config
	api rest.Client
}

var (
	_ channel.Sender     = (*sender)(nil)
	_ channel.Receiver   = (*sender)(nil)
	_ channel.Answerer   = (*sender)(nil)
	_ channel.Checker    = (*sender)(nil)
	_ channel.Correlator = (*sender)(nil)
)

// Channels implements channel.Sender.
func (*sender) Channels() []channel.Kind { return []channel.Kind{channel.WhatsApp} }

// order is a message to send.
type order struct {
	Product       string   `json:"messaging_product"`
	RecipientType string   `json:"recipient_type"`
	To            string   `json:"to"`
	Type          string   `json:"type"`
	Template      template `json:"template"`
	// Data comes back with receipts. Meta's document of v23 does not list it, its guide to webhooks does.
	Data string `json:"biz_opaque_callback_data,omitempty"`
}

type template struct {
	Name     string `json:"name"`
	Language struct {
		Policy string `json:"policy"`
		Code   string `json:"code"`
	} `json:"language"`
	Components []component `json:"components"`
}

type component struct {
	Type       string      `json:"type"`
	SubType    string      `json:"sub_type,omitempty"`
	Index      string      `json:"index,omitempty"`
	Parameters []parameter `json:"parameters"`
}

type parameter struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

// Send implements channel.Sender.
func (s *sender) Send(ctx context.Context, m channel.Message) (channel.Accepted, error) {
	code := m.Code.Reveal()
	if code == "" || len(code) > maxCode {
		return channel.Accepted{}, rest.Means(channel.Rejected, "a template takes a code of 1 to 15 characters").
			Error(name, "code_form")
	}
	o := order{Product: "whatsapp", RecipientType: "individual", To: m.To.E164(), Type: "template", Data: m.Token}
	o.Template.Language.Policy = "deterministic"
	o.Template.Name, o.Template.Language.Code = s.cfg.choose(m.Locale, m.To.Country())
	// The code stands in the text and behind the button; a copy-code button, a one-tap and a zero-tap one are sent alike.
	value := []parameter{{"text", code}}
	o.Template.Components = []component{
		{Type: "body", Parameters: value},
		{Type: "button", SubType: "url", Index: "0", Parameters: value},
	}
	a, err := s.api.JSON(ctx, http.MethodPost, "/"+s.cfg.PhoneNumberID+"/messages", o)
	if err != nil {
		return channel.Accepted{}, err
	}
	if !rest.Good(a) {
		return channel.Accepted{}, s.refused(a)
	}
	var said struct {
		Messages []struct {
			ID string `json:"id"`
		} `json:"messages"`
	}
	if a.JSON(&said) != nil || len(said.Messages) == 0 || said.Messages[0].ID == "" {
		return channel.Accepted{}, rest.NoID(name)
	}
	return channel.Accepted{ID: said.Messages[0].ID, Status: channel.Taken}, nil
}
