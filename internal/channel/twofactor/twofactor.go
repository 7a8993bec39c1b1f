// Package twofactor is the provider that sends SMS by 2Factor.in's transactional SMS.
//
// 2Factor's OTP interface wants key, number and code in the address of a GET, where every proxy writes them down. This
// provider uses their transactional interface instead, whose fields go in the body of a POST. It does not use their
// voice, which has only the former.
package twofactor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/rest"
	"github.com/dialproof/dialproof/internal/secret"
)

const name = "twofactor"

// maxVariables bounds the variables of a template.
const maxVariables = 10

// Provider returns the provider.
func Provider() channel.Provider {
	return channel.Provider{
		Name: name, Title: "2Factor.in",
		Summary:  "SMS in India by 2Factor.in's transactional SMS.",
		Docs:     "https://2factor.in",
		Channels: []channel.Kind{channel.SMS},
		Config:   func() channel.Opener { return &Config{URL: "https://2factor.in", Variables: []string{"code"}} },
	}
}

// Config is the settings of a route.
type Config struct {
	APIKey    secret.Text `yaml:"api_key" example:"01234567-89ab-cdef-0123-456789abcdef" doc:"Your account's API key."`
	From      string      `yaml:"from" example:"ACMEIN" doc:"The sender (DLT header) where the route has none."`
	Template  string      `yaml:"template" doc:"The name of the approved template at 2Factor. Empty: the whole text is sent, which must then match a registered template."`
	Variables []string    `yaml:"variables" doc:"What fills the template's VAR1, VAR2 and so on: code, brand, minutes (the life of the code) or text."`
	URL       string      `yaml:"url" doc:"Another address of the API, for a test. Default https://2factor.in."`
}

var (
	senderForm = regexp.MustCompile(`^[A-Za-z0-9]{3,11}$`)
	keyForm    = regexp.MustCompile(`^[A-Za-z0-9-]+$`)
)

// Validate implements channel.Opener.
func (c *Config) Validate() error {
	switch {
	case c.APIKey.IsZero():
		return errors.New("api_key: is missing; the dashboard shows it first of all")
	case !keyForm.MatchString(c.APIKey.Reveal()):
		return errors.New("api_key: must be the key alone: letters, digits and dashes")
	case c.From != "" && !senderForm.MatchString(c.From):
		return errors.New("from: must be a header of 3 to 11 letters and digits, as registered on the DLT")
	case strings.ContainsAny(c.Template, "\r\n"):
		return errors.New("template: must be a name on one line")
	case len(c.Variables) > maxVariables:
		return fmt.Errorf("variables: must be at most %d", maxVariables)
	case !rest.IsBase(c.URL):
		return errors.New("url: must be an address like https://2factor.in")
	}
	for i, v := range c.Variables {
		switch v {
		case "code", "brand", "minutes", "text":
		default:
			return fmt.Errorf("variables[%d]: must be code, brand, minutes or text", i)
		}
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

// Send implements channel.Sender.
func (s *sender) Send(ctx context.Context, m channel.Message) (channel.Accepted, error) {
	from := cmp.Or(m.From, s.cfg.From)
	if from == "" {
		return channel.Accepted{}, rest.NoSender(name, "a from")
	}
	form := url.Values{
		"module": {"TRANS_SMS"},
		"apikey": {s.cfg.APIKey.Reveal()},
		"to":     {rest.Digits(m.To.E164())},
		"from":   {from},
	}
	if s.cfg.Template == "" {
		form.Set("msg", m.Text.Body)
	} else {
		form.Set("templatename", s.cfg.Template)
		for i, v := range s.cfg.Variables {
			form.Set("var"+strconv.Itoa(i+1), s.value(v, m))
		}
	}
	a, err := s.api.Form(ctx, http.MethodPost, "/API/R1/", form)
	if err != nil {
		return channel.Accepted{}, err
	}
	return s.judge(a)
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

// said is 2Factor's answer to everything. Details is the id of the message, the balance, or words about an error.
type said struct {
	Status  string `json:"Status"`
	Details string `json:"Details"`
}

// judge reads the answer to a message.
func (s *sender) judge(a channel.Answer) (channel.Accepted, error) {
	var t said
	understood := a.JSON(&t) == nil
	switch {
	case understood && rest.Good(a) && t.Status == "Success" && t.Details != "":
		return channel.Accepted{ID: t.Details, Status: channel.Taken}, nil
	case understood && t.Status == "Error" && a.Status != http.StatusTooManyRequests && a.Status < 500:
		return channel.Accepted{}, refused(t.Details)
	case !rest.Good(a):
		return channel.Accepted{}, s.api.Status(a)
	}
	return channel.Accepted{}, rest.NoID(name)
}

// Check implements channel.Checker: it asks for the balance of transactional SMS. This call has no form without the key
// in its path; it is made by `dialproof doctor` alone, and its address is kept out of what it answers.
func (s *sender) Check(ctx context.Context) error {
	a, err := s.api.JSON(ctx, http.MethodGet, "/API/V1/"+s.cfg.APIKey.Reveal()+"/ADDON_SERVICES/BAL/TRANSACTIONAL_SMS",
		nil)
	if err != nil {
		e := *channel.AsError(name, err)
		return e.Because(nil) // the cause of a failed call names its address
	}
	var t said
	switch {
	case a.JSON(&t) == nil && t.Status == "Error":
		return refused(t.Details)
	case a.Status != http.StatusOK:
		return s.api.Status(a)
	}
	return nil
}
