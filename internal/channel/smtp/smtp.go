// Package smtp is the provider that sends codes by mail, over the operator's own mail server.
//
// Mail confirms that somebody reads an address. It is no second factor and proves no phone number (NIST SP 800-63B-4
// §3.1.3.1), which the API says in the field "proves" of each answer.
package smtp

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/mail"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/secret"
)

const name = "smtp"

// How the connection is protected.
const (
	startTLS = "starttls"
	implicit = "implicit"
	none     = "none"
)

// Provider returns the provider.
func Provider() channel.Provider {
	return channel.Provider{
		Name: name, Title: "SMTP",
		Summary:  "Mail over your own server, to confirm an address. It is no second factor and proves no phone number.",
		Docs:     "https://www.rfc-editor.org/rfc/rfc5321",
		Channels: []channel.Kind{channel.Email},
		Config:   func() channel.Opener { return &Config{TLS: startTLS, Subject: "{brand}"} },
	}
}

// Config is the settings of a route.
type Config struct {
	Host     string      `yaml:"host" example:"mail.example.com" doc:"The mail server's name, as its certificate has it."`
	Port     int         `yaml:"port" doc:"The server's port. 0: 587 with starttls, 465 with implicit, 25 with none."`
	TLS      string      `yaml:"tls" doc:"How the connection is protected: starttls (required, not merely wished), implicit (from the first byte), or none. The certificate is always checked."`
	CAFile   string      `yaml:"ca_file" doc:"A PEM file with the certificates to trust instead of the system's, for a server with a CA of its own."`
	Username string      `yaml:"username" example:"dialproof" doc:"The account's name, when the server asks for one."`
	Password secret.Text `yaml:"password" example:"s3cr3t" doc:"The account's password. It is never sent without TLS, except to this machine itself."`
	From     string      `yaml:"from" example:"codes@example.com" doc:"The address that mails come from, or a name and an address like Acme <codes@example.com>. Without a name the application's brand stands there."`
	Subject  string      `yaml:"subject" doc:"The subject. {brand} stands for the application's brand."`
	Helo     string      `yaml:"helo" doc:"How Dialproof greets the server. Empty: the domain of from."`
}

var hostForm = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?$`)

// maxSubject is the longest subject, in characters.
const maxSubject = 100

// Validate implements channel.Opener.
func (c *Config) Validate() error {
	_, err := mail.ParseAddress(c.From)
	switch {
	case !hostForm.MatchString(c.Host):
		return errors.New("host: must be a server's name like mail.example.com")
	case c.Port < 0 || c.Port > 65535:
		return errors.New("port: must be 1 to 65535, or 0 for the usual one")
	case !slices.Contains([]string{startTLS, implicit, none}, c.TLS):
		return errors.New("tls: must be starttls, implicit or none")
	case c.CAFile != "" && c.TLS == none:
		return errors.New("ca_file: needs tls: starttls or implicit")
	case (c.Username == "") != c.Password.IsZero():
		return errors.New("username and password: give both or none")
	case c.Username != "" && c.TLS == none && !local(c.Host):
		return errors.New("password: is not sent without TLS: set tls to starttls or implicit")
	case strings.ContainsAny(c.Username, "\r\n\x00"):
		return errors.New("username: must be on one line")
	case c.From == "":
		return errors.New("from: is missing; it is the address that mails come from")
	case err != nil:
		return errors.New(
			"from: must be an address like codes@example.com, or a name before it like Acme <codes@example.com>",
		)
	case c.Subject == "" || len([]rune(c.Subject)) > maxSubject || strings.ContainsAny(c.Subject, "\r\n"):
		return errors.New("subject: must have 1 to 100 characters on one line")
	case strings.Contains(c.Subject, "{code}"):
		return errors.New("subject: must not have the code: servers write subjects into their logs")
	case c.Helo != "" && !hostForm.MatchString(c.Helo):
		return errors.New("helo: must be a name like verify.example.com")
	}
	return nil
}

// local reports whether a server is this machine.
func local(host string) bool { return host == "localhost" || host == "127.0.0.1" || host == "::1" }

// Open implements channel.Opener.
func (c *Config) Open(env channel.Env) (channel.Sender, error) {
	from, err := mail.ParseAddress(c.From)
	if err != nil {
		return nil, errors.New("from: is no address")
	}
	s := &sender{cfg: *c, now: env.Now, from: *from}
	if s.cfg.Port == 0 {
		s.cfg.Port = map[string]int{startTLS: 587, implicit: 465, none: 25}[c.TLS]
	}
	if s.cfg.Helo == "" {
		s.cfg.Helo = domainOf(from.Address)
	}
	if c.CAFile == "" {
		return s, nil
	}
	text, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("ca_file: %w", err)
	}
	s.roots = x509.NewCertPool()
	if !s.roots.AppendCertsFromPEM(text) {
		return nil, errors.New("ca_file: has no certificate in PEM")
	}
	return s, nil
}

type sender struct {
	cfg   Config
	from  mail.Address
	roots *x509.CertPool // nil: the system's
	now   func() time.Time
}

var (
	_ channel.Sender  = (*sender)(nil)
	_ channel.Checker = (*sender)(nil)
)

// Channels implements channel.Sender.
func (*sender) Channels() []channel.Kind { return []channel.Kind{channel.Email} }

// Send implements channel.Sender. What the server took is accepted and no more: SMTP has no receipts, and a mail that
// comes back comes to the sender's mailbox.
func (s *sender) Send(ctx context.Context, m channel.Message) (channel.Accepted, error) {
	to, err := mail.ParseAddress(m.Email)
	if err != nil || to.Address != m.Email {
		return channel.Accepted{}, &channel.Error{
			Kind:     channel.Rejected,
			Provider: name,
			Code:     "no_address",
			Detail:   "the message has no mail address to go to",
		}
	}
	from := s.sender(m)
	l, fault := s.dial(ctx)
	if fault != nil {
		return channel.Accepted{}, fault
	}
	defer l.close()
	if fault := l.deliver(from.Address, to.Address, s.compose(m, from)); fault != nil {
		return channel.Accepted{}, fault
	}
	return channel.Accepted{ID: m.Delivery, Status: channel.Taken}, nil
}

// sender returns who a mail is from: the route's sender, when that is an address, before the setting; and the brand
// where no name is set.
func (s *sender) sender(m channel.Message) mail.Address {
	from := s.from
	if strings.Contains(m.From, "@") {
		if own, err := mail.ParseAddress(m.From); err == nil {
			from = *own
		}
	}
	if from.Name == "" {
		from.Name = m.Brand
	}
	return from
}

// Check implements channel.Checker: it logs in and leaves.
func (s *sender) Check(ctx context.Context) error {
	l, fault := s.dial(ctx)
	if fault != nil {
		return fault
	}
	l.close()
	return nil
}

// domainOf returns what stands behind the @ of an address.
func domainOf(address string) string { return address[strings.LastIndexByte(address, '@')+1:] }
