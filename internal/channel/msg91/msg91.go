// Package msg91 is the provider that sends SMS by MSG91's flow interface.
//
// It does not use MSG91's OTP interface: the code, its attempts and its limits stay with Dialproof. MSG91 makes the
// text from a template of its own, so what is sent are the template's id and what fills it.
package msg91

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/rest"
	"github.com/dialproof/dialproof/internal/secret"
)

const name = "msg91"

// maxVariables and maxTemplates bound the settings.
const (
	maxVariables = 20
	maxTemplates = 100
)

// Provider returns the provider.
func Provider() channel.Provider {
	return channel.Provider{
		Name: name, Title: "MSG91",
		Summary:  "SMS by MSG91's templates (flows).",
		Docs:     "https://docs.msg91.com/sms/send-sms",
		Channels: []channel.Kind{channel.SMS},
		Config: func() channel.Opener {
			return &Config{URL: "https://control.msg91.com", Variables: map[string]string{"OTP": "code"}, BalanceType: 4}
		},
	}
}

// Config is the settings of a route.
type Config struct {
	AuthKey     secret.Text       `yaml:"auth_key" example:"123456A0bCdEfGhIjK12ab34cdP1" doc:"An authkey of your account."`
	TemplateID  string            `yaml:"template_id" example:"61a1b2c3d4e5f60718293a4b" doc:"The id of the approved template (flow) at MSG91."`
	Templates   map[string]string `yaml:"templates" doc:"Other templates by locale, such as hi: 61a1b2c3d4e5f60718293a4c."`
	Variables   map[string]string `yaml:"variables" doc:"What fills the template's variables, by their names there: code, brand, minutes (the life of the code) or text."`
	From        string            `yaml:"from" doc:"The sender (DLT header) where the route has none. Empty: the template's own."`
	Currency    string            `yaml:"currency" doc:"The currency of your account, such as INR. Without it the amounts in reports are left out, as MSG91 does not name theirs."`
	BalanceType int               `yaml:"balance_type" doc:"The kind of credit that dialproof doctor asks for: 4 is transactional, 1 promotional."`
	URL         string            `yaml:"url" doc:"Another address of the API, for a region or a test. Default https://control.msg91.com."`
}

var (
	senderForm   = regexp.MustCompile(`^[A-Za-z0-9]{3,11}$`)
	idForm       = regexp.MustCompile(`^[A-Za-z0-9_-]{8,64}$`)
	variableForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,63}$`)
	currencyForm = regexp.MustCompile(`^[A-Z]{3}$`)
)

// Validate implements channel.Opener.
func (c *Config) Validate() error {
	switch {
	case c.AuthKey.IsZero():
		return errors.New("auth_key: is missing; make one in the dashboard at Authkey")
	case strings.ContainsAny(c.AuthKey.Reveal(), " \r\n"):
		return errors.New("auth_key: must be the key alone, on one line")
	case !idForm.MatchString(c.TemplateID):
		return errors.New("template_id: must be the id that the dashboard shows at SMS, Templates; it is not the DLT's id")
	case c.From != "" && !senderForm.MatchString(c.From):
		return errors.New("from: must be a header of 3 to 11 letters and digits, as registered on the DLT")
	case c.Currency != "" && !currencyForm.MatchString(c.Currency):
		return errors.New("currency: must be three capital letters, such as INR")
	case c.BalanceType < 0 || c.BalanceType > 999:
		return errors.New("balance_type: must be a number of MSG91's, such as 4")
	case !rest.IsBase(c.URL):
		return errors.New("url: must be an address like https://control.msg91.com")
	}
	if err := c.checkTemplates(); err != nil {
		return err
	}
	return c.checkVariables()
}

func (c *Config) checkTemplates() error {
	if len(c.Templates) > maxTemplates {
		return fmt.Errorf("templates: must be at most %d", maxTemplates)
	}
	for locale, id := range c.Templates {
		if !idForm.MatchString(id) {
			return fmt.Errorf("templates.%s: must be the id of a template at MSG91", locale)
		}
	}
	return nil
}

// checkVariables holds that the code gets to the person at all.
func (c *Config) checkVariables() error {
	if len(c.Variables) > maxVariables {
		return fmt.Errorf("variables: must be at most %d", maxVariables)
	}
	shows := false
	for key, v := range c.Variables {
		switch {
		case !variableForm.MatchString(key) || key == "mobiles":
			return errors.New("variables: the names must be those of the template, of letters, digits and _")
		case !slices.Contains([]string{"code", "brand", "minutes", "text"}, v):
			return fmt.Errorf("variables.%s: must be code, brand, minutes or text", key)
		}
		shows = shows || v == "code" || v == "text"
	}
	if !shows {
		return errors.New("variables: one of them must be code or text, or the person gets no code")
	}
	return nil
}

// Open implements channel.Opener.
func (c *Config) Open(env channel.Env) (channel.Sender, error) {
	return &sender{rest.SMS{}, *c, rest.New(env, name, c.URL, nil)}, nil
}

type sender struct {
	rest.SMS
	cfg Config
	api rest.Client
}

var (
	_ channel.Sender     = (*sender)(nil)
	_ channel.Receiver   = (*sender)(nil)
	_ channel.Correlator = (*sender)(nil)
	_ channel.Checker    = (*sender)(nil)
)

// order is a message to send.
type order struct {
	TemplateID string `json:"template_id"`
	Sender     string `json:"sender,omitempty"`
	// ShortURL "0" leaves links as they are: an autofill line must not be rewritten.
	ShortURL string `json:"short_url"`
	// RealTimeResponse "1" makes MSG91 check the message before it answers.
	RealTimeResponse string `json:"realTimeResponse"`
	// Recipients hold the number as mobiles, and the template's variables by their names.
	Recipients []map[string]string `json:"recipients"`
}

// Send implements channel.Sender.
func (s *sender) Send(ctx context.Context, m channel.Message) (channel.Accepted, error) {
	o := order{TemplateID: s.template(m.Locale), Sender: cmp.Or(m.From, s.cfg.From), ShortURL: "0", RealTimeResponse: "1"}
	to := map[string]string{"mobiles": rest.Digits(m.To.E164())}
	for key, v := range s.cfg.Variables {
		to[key] = s.value(v, m)
	}
	o.Recipients = []map[string]string{to}
	flows := s.api
	flows.Authorize = rest.Bearer("authkey", s.cfg.AuthKey.Reveal()) // the balance wants the key in its body
	a, err := flows.JSON(ctx, http.MethodPost, "/api/v5/flow/", o)
	if err != nil {
		return channel.Accepted{}, err
	}
	return s.judge(a)
}

// template returns the template for a locale: that of the locale, else of its language, else the common one.
func (s *sender) template(locale string) string {
	language, _, _ := strings.Cut(locale, "-")
	for _, l := range []string{locale, language} {
		if id, ok := s.cfg.Templates[l]; ok {
			return id
		}
	}
	return s.cfg.TemplateID
}

// value returns what fills a variable.
func (s *sender) value(variable string, m channel.Message) string {
	switch variable {
	case "brand":
		return m.Brand
	case "minutes":
		return strconv.Itoa(rest.Minutes(m.ExpiresAt, s.api.Now()))
	case "text":
		return m.Text.Body
	}
	return m.Code.Reveal()
}

// judge reads the answer to a message. MSG91 says no with HTTP 200 too.
func (s *sender) judge(a channel.Answer) (channel.Accepted, error) {
	var t said
	understood := a.JSON(&t) == nil
	switch {
	case a.Status == http.StatusTooManyRequests || a.Status >= 500:
		return channel.Accepted{}, s.api.Status(a)
	case understood && t.isError():
		return channel.Accepted{}, s.refused(t, a)
	case !rest.Good(a):
		return channel.Accepted{}, s.api.Status(a)
	case understood && t.Type == "success" && t.id() != "":
		return channel.Accepted{ID: t.id(), Status: channel.Taken}, nil
	}
	return channel.Accepted{}, rest.NoID(name)
}

// Check implements channel.Checker: it asks for the balance, with the key in the body.
func (s *sender) Check(ctx context.Context) error {
	form := url.Values{"authkey": {s.cfg.AuthKey.Reveal()}, "type": {strconv.Itoa(s.cfg.BalanceType)}}
	a, err := s.api.Form(ctx, http.MethodPost, "/api/balance.php", form)
	if err != nil {
		return err
	}
	if a.Status != http.StatusOK {
		return s.api.Status(a)
	}
	// A balance is a bare number; what is wrong is said in words or JSON, with 200 as well.
	if _, err := strconv.ParseFloat(strings.Trim(string(a.Body), `"`), 64); err == nil {
		return nil
	}
	var t said
	if a.JSON(&t) == nil && t.isError() {
		return s.refused(t, a)
	}
	return rest.Refused(name, "auth_key",
		"MSG91 answers no balance: see the authkey, and whether its IP security lets this machine in")
}
