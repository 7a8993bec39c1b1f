// Package httpapi is the provider for any gateway that takes messages over HTTP: its settings say what is sent, and
// what the answers and reports mean.
//
// It is not a language: it fills placeholders and looks values up. A gateway that needs more than that (a login before
// each message, signed requests) wants a provider of its own, or `webhook` and a few lines behind it.
package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/secret"
)

const name = "httpapi"

// Bounds of the settings, in entries.
const (
	maxEntries = 100
	maxSecrets = 20
)

// Provider returns the provider.
func Provider() channel.Provider {
	return channel.Provider{
		Name: name, Title: "Any HTTP gateway",
		Summary:  "Any gateway over HTTP, by settings that describe it.",
		Channels: channel.Kinds(),
		Config: func() channel.Opener {
			return &Config{Channels: []channel.Kind{channel.SMS}, Method: http.MethodPost}
		},
	}
}

// Config is the settings of a route.
type Config struct {
	Channels     []channel.Kind    `yaml:"channels" doc:"What the gateway carries: sms, voice, whatsapp, telegram, email."`
	Method       string            `yaml:"method" doc:"GET, POST or PUT."`
	URL          string            `yaml:"url" example:"https://sms.example.com/v1/messages" doc:"Where messages are sent to. Placeholders may stand in the path and in the query. https, unless it is on this machine."`
	AllowHTTP    bool              `yaml:"allow_http" doc:"Allow an address without TLS that is not on this machine. Codes travel in the clear then."`
	CodeInURL    bool              `yaml:"code_in_url" doc:"Allow {code} and {text} in url, where the gateway's and every proxy's log keeps them. Only for gateways that know no other way."`
	SecretsInURL bool              `yaml:"secrets_in_url" doc:"Allow your secrets in url and check.url, where logs keep them. Only for gateways that know no other way."`
	Headers      map[string]string `yaml:"headers" doc:"Headers of the request, with placeholders."`
	Secrets      []Secret          `yaml:"secrets" doc:"Keys and passwords, as a list. Each has a name, by which it is a placeholder in url, headers and body."`
	BasicAuth    BasicAuth         `yaml:"basic_auth" doc:"A user and password that are sent by HTTP basic authentication."`
	Body         Body              `yaml:"body" example:"{type: json, text: '{\"to\": \"{to}\", \"text\": \"{text}\", \"report_to\": \"{callback}\"}'}" doc:"The body of the request."`
	From         string            `yaml:"from" doc:"What {from} is where the route has no sender."`
	Regulatory   []string          `yaml:"regulatory" doc:"Further regulatory fields of the route that are placeholders. dlt_entity_id, dlt_template_id and campaign_id always are."`
	Answer       Answer            `yaml:"answer" example:"{id: /id}" doc:"What the gateway's answers mean."`
	Receipts     Receipts          `yaml:"receipts" doc:"What the gateway reports later."`
	Check        Check             `yaml:"check" doc:"A call that proves the credentials and sends nothing. dialproof doctor makes it."`
}

// Secret is a key or password that a placeholder names.
type Secret struct {
	Name  string      `yaml:"name" doc:"Lower case letters, digits and _: api_key makes {api_key}."`
	Value secret.Text `yaml:"value" doc:"The secret itself."`
}

// BasicAuth is a user and password.
type BasicAuth struct {
	Username string      `yaml:"username" doc:"The user."`
	Password secret.Text `yaml:"password" doc:"The password."`
}

// Body says what the body of the request is.
type Body struct {
	Type        string            `yaml:"type" doc:"form, json, xml, text, or none."`
	Fields      map[string]string `yaml:"fields" doc:"The fields of a form, with placeholders. One that comes out empty is left out."`
	Text        string            `yaml:"text" doc:"The JSON, XML or text, with placeholders. In JSON a member that comes out empty is left out; a number may stand without quotes."`
	ContentType string            `yaml:"content_type" doc:"Another Content-Type than the usual one."`
}

// Answer says what the gateway's answers mean. A place is a JSON pointer like /messages/0/id, regexp: and an expression
// with one group, or header: and a name.
type Answer struct {
	Statuses   []int             `yaml:"statuses" doc:"The HTTP statuses of a message that was taken. Without them 200 to 299."`
	OK         Condition         `yaml:"ok" doc:"What must stand in the answer beside the status, for gateways that answer 200 to a refusal."`
	ID         string            `yaml:"id" doc:"The place of the gateway's id of the message. Without it the delivery's own id is kept. A place is a JSON pointer like /messages/0/id, or regexp: and an expression with one group, or header: and a name."`
	Parts      string            `yaml:"parts" doc:"The place of the number of parts."`
	Price      string            `yaml:"price" doc:"The place of the price: a number, or a currency and a number."`
	Currency   string            `yaml:"currency" doc:"The currency of prices, such as EUR, or its place."`
	Error      string            `yaml:"error" doc:"The place of the gateway's error code. Without ok, a code other than 0 and false is a refusal."`
	Errors     map[string]string `yaml:"errors" doc:"What error codes mean: rejected, refused, throttled, unavailable or unknown. \"HTTP 402\" stands for a status."`
	RetryAfter string            `yaml:"retry_after" doc:"The place of the pause that a throttled answer asks for, in seconds. The header Retry-After is always read."`
}

// Condition is a value that must stand at a place.
type Condition struct {
	At string   `yaml:"at" doc:"The place of the value."`
	Is []string `yaml:"is" doc:"The values that mean yes, as a list. Any other is a refusal."`
}

// Receipts says where in a report what stands.
type Receipts struct {
	In        string            `yaml:"in" doc:"Where the gateway puts its report: query, form or json. Empty: it reports nothing."`
	Each      string            `yaml:"each" doc:"In json, the pointer of a list of reports, or \"list\" when the whole body is one."`
	Token     string            `yaml:"token" doc:"The field, or in json the pointer, of {token} where the gateway repeats it."`
	ID        string            `yaml:"id" doc:"The same for the gateway's id of the message. It finds the message when neither {callback} nor {token} does."`
	Status    string            `yaml:"status" doc:"The same for the status."`
	Error     string            `yaml:"error" doc:"The same for the error code."`
	Parts     string            `yaml:"parts" doc:"The same for the number of parts."`
	Price     string            `yaml:"price" doc:"The same for the price."`
	Currency  string            `yaml:"currency" doc:"The currency of prices, such as EUR, or its field or pointer."`
	Statuses  map[string]string `yaml:"statuses" doc:"What statuses mean: accepted, sent, delivered, undelivered, failed. Case does not matter. One that is not here is no news."`
	Errors    map[string]string `yaml:"errors" doc:"What error codes, or statuses that mean a failure, mean for the next try: rejected, refused or unavailable."`
	Reply     string            `yaml:"reply" doc:"What the gateway wants to read, such as OK. Without it the answer is 204 and empty."`
	Signature Signature         `yaml:"signature" doc:"The signature of the gateway's reports, where it signs them."`
}

// Signature says how reports are signed: an HMAC of the body in a header.
type Signature struct {
	Header    string      `yaml:"header" doc:"The header with the signature."`
	Algorithm string      `yaml:"algorithm" doc:"hmac-sha256, hmac-sha512 or hmac-sha1, over the body."`
	Encoding  string      `yaml:"encoding" doc:"hex or base64."`
	Prefix    string      `yaml:"prefix" doc:"What stands before the signature, such as sha256=."`
	Secret    secret.Text `yaml:"secret" doc:"The key that signs."`
}

// Check says how doctor proves the credentials.
type Check struct {
	Method string `yaml:"method" doc:"GET or POST; GET when empty."`
	URL    string `yaml:"url" doc:"The address, with your secrets as placeholders, if secrets_in_url allows it. Headers and basic_auth are sent along where they hold nothing of a message."`
}

// Validate implements channel.Opener.
func (c *Config) Validate() error {
	_, err := c.compile()
	return err
}

// Open implements channel.Opener.
func (c *Config) Open(env channel.Env) (channel.Sender, error) {
	p, err := c.compile()
	if err != nil {
		return nil, err
	}
	s := &sender{plan: p, http: env.HTTP, now: env.Now}
	var out channel.Sender = s
	if c.Receipts.In != "" {
		out = &receiver{s}
	}
	if c.Check.URL != "" {
		out = &checker{out, s}
	}
	return out, nil
}

type sender struct {
	*plan
	http *http.Client
	now  func() time.Time
}

// plan is the settings, understood.
type plan struct {
	cfg     Config
	url     address
	check   address
	headers map[string]template
	fields  map[string]template
	text    template
	tree    any
	secrets map[string]string
	answer  answerPlan
	receipt receiptPlan
	// uses are the placeholders that any part of the request has.
	uses map[string]bool
}

var (
	nameForm   = regexp.MustCompile(`^[a-z][a-z0-9_]{0,31}$`)
	headerForm = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$")
	// secretive are names of headers and fields whose value should not stand in the file in the clear.
	secretive = regexp.MustCompile(`(?i)authorization|auth-?_?key|api-?_?key|passw|secret|token`)
)

// compile reads the settings, or answers what is wrong with them.
func (c *Config) compile() (*plan, error) {
	p := &plan{cfg: *c, secrets: map[string]string{}, uses: map[string]bool{}}
	for _, step := range []func() error{p.compileBasics, p.compileSecrets, p.compileURL, p.compileHeaders, p.compileBody,
		p.compileCheck, p.compileUse, p.compileAnswer, p.compileReceipts} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (p *plan) compileBasics() error {
	if len(p.cfg.Channels) == 0 {
		return errors.New("channels: must name at least one, such as sms")
	}
	for i, k := range p.cfg.Channels {
		if !k.Valid() {
			return fmt.Errorf("channels[%d]: must be sms, voice, whatsapp, telegram or email", i)
		}
	}
	if !slices.Contains([]string{http.MethodGet, http.MethodPost, http.MethodPut}, p.cfg.Method) {
		return errors.New("method: must be GET, POST or PUT")
	}
	for i, n := range p.cfg.Regulatory {
		if !nameForm.MatchString(n) || i >= maxEntries {
			return fmt.Errorf("regulatory[%d]: must be a name of lower case letters, digits and _", i)
		}
	}
	if p.cfg.BasicAuth.Username == "" && !p.cfg.BasicAuth.Password.IsZero() {
		return errors.New("basic_auth.username: is missing")
	}
	if strings.ContainsAny(p.cfg.BasicAuth.Username, ":\r\n") {
		return errors.New("basic_auth.username: must be one line without a colon")
	}
	return nil
}

func (p *plan) compileSecrets() error {
	if len(p.cfg.Secrets) > maxSecrets {
		return fmt.Errorf("secrets: must be at most %d", maxSecrets)
	}
	taken := p.known()
	for i, s := range p.cfg.Secrets {
		_, twice := p.secrets[s.Name]
		switch {
		case !nameForm.MatchString(s.Name):
			return fmt.Errorf("secrets[%d].name: must be lower case letters, digits and _", i)
		case twice || slices.Contains(taken, s.Name):
			return fmt.Errorf("secrets[%d].name: {%s} is something else already; take another name", i, s.Name)
		case s.Value.IsZero():
			return fmt.Errorf("secrets[%d].value: is missing; give it, or value_file", i)
		case strings.ContainsAny(s.Value.Reveal(), "\r\n"):
			return fmt.Errorf("secrets[%d].value: must be one line", i)
		}
		p.secrets[s.Name] = s.Value.Reveal()
	}
	return nil
}

func (p *plan) compileHeaders() error {
	if len(p.cfg.Headers) > maxEntries {
		return fmt.Errorf("headers: must be at most %d", maxEntries)
	}
	p.headers = map[string]template{}
	for key, value := range p.cfg.Headers {
		at := "headers." + key
		t, err := p.template(at, value)
		switch {
		case !headerForm.MatchString(key):
			return errors.New("headers: a name is not one of HTTP's")
		case slices.Contains([]string{"Host", "Content-Length", "Transfer-Encoding", "Connection", "Trailer", "Upgrade"},
			http.CanonicalHeaderKey(key)):
			return fmt.Errorf("%s: is not yours to set", at)
		case err != nil:
			return err
		case strings.ContainsAny(value, "\r\n"):
			return fmt.Errorf("%s: must be one line", at)
		case secretive.MatchString(key) && !t.fills():
			return inTheClear(at)
		}
		p.headers[key] = t
	}
	return nil
}

func inTheClear(at string) error {
	return fmt.Errorf("%s: looks like a secret in the clear; put it into secrets, give it a name, and write {name} here",
		at)
}

// compileUse holds that the request as a whole makes sense.
func (p *plan) compileUse() error {
	switch {
	case !p.uses["text"] && !p.uses["code"]:
		return errors.New("body: the request has neither {text} nor {code}, so no person would get a code")
	case !p.uses["to"] && !p.uses["to_digits"] && !p.uses["to_national"] && !p.uses["email"]:
		return errors.New(
			"body: the request names nobody; put {to}, {to_digits}, {to_national} or {email} where the gateway wants the number",
		)
	}
	for i, s := range p.cfg.Secrets {
		if !p.uses[s.Name] {
			return fmt.Errorf("secrets[%d]: {%s} is used nowhere", i, s.Name)
		}
	}
	return nil
}
