// Package smpp is the provider that sends SMS to a carrier's SMSC by SMPP 3.4.
//
// It is not an SMSC and it takes no messages from people: what they send is acknowledged and dropped.
package smpp

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/smpp/pdu"
	"github.com/dialproof/dialproof/internal/secret"
)

const name = "smpp"

// Bounds of the settings.
const (
	maxBinds     = 16
	maxWindow    = 1000
	maxAddresses = 8
	maxPassword  = 64
	minEnquire   = time.Second
	maxEnquire   = 10 * time.Minute
	automatic    = -1
)

// Provider returns the provider.
func Provider() channel.Provider {
	return channel.Provider{
		Name: name, Title: "SMPP 3.4",
		Summary:  "SMS by a carrier's or an aggregator's SMSC, over SMPP 3.4.",
		Docs:     "https://smpp.org",
		Channels: []channel.Kind{channel.SMS},
		Config: func() channel.Opener {
			return &Config{
				Binds: 1, Window: 10, EnquireLink: 30 * time.Second, Alphabet: "gsm", DataCoding: automatic,
				SourceTON: automatic, SourceNPI: automatic, DestTON: 1, DestNPI: 1,
				LongMessages: "udh", Validity: "relative", RegisteredDelivery: 1, IDFormat: "auto",
			}
		},
	}
}

// Config is the settings of a route.
type Config struct {
	Addresses          []string          `yaml:"addresses" example:"[\"smpp.example.com:2775\"]" doc:"The SMSC's addresses, host:port, at most 8. The sessions are spread over them; when one fails, the next is tried."`
	SystemID           string            `yaml:"system_id" example:"dialproof" doc:"The account's system_id: at most 15 characters."`
	Password           secret.Text       `yaml:"password" example:"s3cr3t" doc:"The account's password. The standard has 8 characters; up to 64 are sent, for carriers that give longer ones."`
	SystemType         string            `yaml:"system_type" doc:"The system_type, if the carrier asks for one: at most 12 characters."`
	TLS                bool              `yaml:"tls" doc:"Connect by TLS 1.2 or newer. The certificate is always checked."`
	CAFile             string            `yaml:"ca_file" doc:"A PEM file with the certificates to trust instead of the system's, for a carrier with a CA of its own."`
	Binds              int               `yaml:"binds" doc:"How many sessions are kept bound at once, 1 to 16. Ask the carrier how many the account may have."`
	Window             int               `yaml:"window" doc:"How many messages of one session may wait for the SMSC's answer at once, 1 to 1000."`
	EnquireLink        time.Duration     `yaml:"enquire_link" doc:"How often an idle session is probed: 1s to 10m."`
	Alphabet           string            `yaml:"alphabet" doc:"How texts in the GSM alphabet are written: gsm, latin1 or ucs2. All other texts go as UCS-2. Use latin1 when a carrier's default alphabet is ISO 8859-1."`
	DataCoding         int               `yaml:"data_coding" doc:"The data_coding of texts in the GSM alphabet, 0 to 255. -1: 0 for gsm, 3 for latin1, 8 for ucs2."`
	SourceTON          int               `yaml:"source_ton" doc:"The sender's type of number, 0 to 6. -1: by the sender: 5 for a name, 3 for a short code, 1 for a number."`
	SourceNPI          int               `yaml:"source_npi" doc:"The sender's numbering plan, 0 to 18. -1: by the sender: 1 for a number, else 0."`
	DestTON            int               `yaml:"dest_ton" doc:"The destination's type of number, 0 to 6; 1 is international."`
	DestNPI            int               `yaml:"dest_npi" doc:"The destination's numbering plan, 0 to 18; 1 is E.164."`
	LongMessages       string            `yaml:"long_messages" doc:"How a text of several parts is sent: udh (parts with a header), sar (parts with sar_* parameters) or payload (one message_payload)."`
	Validity           string            `yaml:"validity" doc:"How the code's remaining life is told to the SMSC: relative, absolute (UTC) or none."`
	RegisteredDelivery int               `yaml:"registered_delivery" doc:"The registered_delivery flags, 0 to 31: 1 asks for the final receipt, 17 for intermediate ones too, 0 for none."`
	IDFormat           string            `yaml:"id_format" doc:"How receipts write the message id: as-is (as submit_sm_resp did), decimal (where that had hex), hex (where that had decimal), or auto, which learns it from the first receipts."`
	TLVs               map[string]string `yaml:"tlvs" doc:"Parameters of the carrier's own to send along: a tag like 0x1400 and its text. {dlt_entity_id} in the text stands for the route's regulatory field of that name; a parameter whose field is missing is left out."`
}

// Validate implements channel.Opener.
func (c *Config) Validate() error {
	for _, validate := range []func() error{
		c.validateAddresses, c.validateAddressing, c.validateBind, c.validateSession, c.validateMessages,
	} {
		if err := validate(); err != nil {
			return err
		}
	}
	_, err := c.templates()
	return err
}

// validateBind is the part of Validate that is about how a session is opened.
func (c *Config) validateBind() error {
	password := c.Password.Reveal()
	switch {
	case c.SystemID == "" || len(c.SystemID) > 15 || !printable(c.SystemID):
		return errors.New("system_id: must be 1 to 15 plain characters, as the carrier gave it")
	case c.Password.IsZero():
		return errors.New("password: is missing; the carrier gives it with the system_id")
	case len(password) > maxPassword || strings.IndexByte(password, 0) >= 0:
		return errors.New("password: must be at most 64 octets")
	case len(c.SystemType) > 12 || !printable(c.SystemType):
		return errors.New("system_type: must be at most 12 plain characters")
	case c.CAFile != "" && !c.TLS:
		return errors.New("ca_file: needs tls: true")
	}
	return nil
}

// validateSession is the part of Validate that is about how many sessions there are, and how they are kept.
func (c *Config) validateSession() error {
	switch {
	case c.Binds < 1 || c.Binds > maxBinds:
		return errors.New("binds: must be 1 to 16")
	case c.Window < 1 || c.Window > maxWindow:
		return errors.New("window: must be 1 to 1000")
	case c.EnquireLink < minEnquire || c.EnquireLink > maxEnquire:
		return errors.New("enquire_link: must be 1s to 10m")
	}
	return nil
}

// validateMessages is the part of Validate that is about what is written into a message.
func (c *Config) validateMessages() error {
	switch {
	case !slices.Contains([]string{"gsm", "latin1", "ucs2"}, c.Alphabet):
		return errors.New("alphabet: must be gsm, latin1 or ucs2")
	case c.DataCoding < automatic || c.DataCoding > 255:
		return errors.New("data_coding: must be 0 to 255, or -1 for the alphabet's own")
	case !slices.Contains([]string{"udh", "sar", "payload"}, c.LongMessages):
		return errors.New("long_messages: must be udh, sar or payload")
	case !slices.Contains([]string{"relative", "absolute", "none"}, c.Validity):
		return errors.New("validity: must be relative, absolute or none")
	case c.RegisteredDelivery < 0 || c.RegisteredDelivery > 31:
		return errors.New("registered_delivery: must be 0 to 31; 1 asks for the final receipt")
	case !slices.Contains([]string{"auto", "hex", "decimal", "as-is"}, c.IDFormat):
		return errors.New("id_format: must be auto, hex, decimal or as-is")
	}
	return nil
}

func (c *Config) validateAddresses() error {
	if len(c.Addresses) == 0 || len(c.Addresses) > maxAddresses {
		return errors.New(`addresses: must be 1 to 8 addresses like ["smpp.example.com:2775"]`)
	}
	for i, a := range c.Addresses {
		host, port, err := net.SplitHostPort(a)
		n, bad := strconv.Atoi(port)
		if err != nil || bad != nil || host == "" || n < 1 || n > 65535 {
			return fmt.Errorf("addresses[%d]: must be host:port, like smpp.example.com:2775", i)
		}
	}
	return nil
}

func (c *Config) validateAddressing() error {
	for _, f := range []struct {
		key         string
		value, most int
		auto        bool
	}{
		{"source_ton", c.SourceTON, 6, true},
		{"source_npi", c.SourceNPI, 18, true},
		{"dest_ton", c.DestTON, 6, false},
		{"dest_npi", c.DestNPI, 18, false},
	} {
		switch {
		case f.auto && f.value == automatic:
		case f.value < 0 || f.value > f.most:
			return fmt.Errorf("%s: must be 0 to %d", f.key, f.most)
		}
	}
	return nil
}

// Bounds of the setting tlvs.
const (
	maxTemplates    = 16
	maxTemplateText = 255
)

// template is a parameter of the carrier's own whose text may name regulatory fields.
type template struct {
	tag  pdu.Tag
	text string
}

// templates reads the setting tlvs, in the order of the tags.
func (c *Config) templates() ([]template, error) {
	var out []template
	for key, text := range c.TLVs {
		tag, err := strconv.ParseUint(key, 0, 16)
		switch {
		case err != nil || tag == 0:
			return nil, errors.New("tlvs: each key must be a tag like 0x1400")
		case len(text) > maxTemplateText:
			return nil, fmt.Errorf("tlvs.%#04x: must be at most %d octets", tag, maxTemplateText)
		}
		out = append(out, template{pdu.Tag(tag), text})
	}
	if len(out) > maxTemplates {
		return nil, fmt.Errorf("tlvs: must be at most %d", maxTemplates)
	}
	slices.SortFunc(out, func(a, b template) int { return int(a.tag) - int(b.tag) })
	return out, nil
}

// printable reports whether s is ASCII without controls.
func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

// Open implements channel.Opener.
func (c *Config) Open(env channel.Env) (channel.Sender, error) {
	templates, err := c.templates()
	if err != nil {
		return nil, err
	}
	trust, err := c.trust()
	if err != nil {
		return nil, err
	}
	s := &sender{
		cfg: *c, templates: templates, tls: trust, log: env.Log, now: env.Now, times: defaultTimes(),
		free: make(chan *session, 2*c.Binds*c.Window), ids: newIDs(c.IDFormat),
		dial: (&net.Dialer{}).DialContext,
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.log = s.log.With("route", env.Route)
	if s.now == nil {
		s.now = time.Now
	}
	return s, nil
}

// trust returns the TLS settings, nil without TLS.
func (c *Config) trust() (*tls.Config, error) {
	if !c.TLS {
		return nil, nil // no TLS is no error
	}
	out := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CAFile == "" {
		return out, nil
	}
	pem, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("ca_file: %w", err)
	}
	out.RootCAs = x509.NewCertPool()
	if !out.RootCAs.AppendCertsFromPEM(pem) {
		return nil, errors.New("ca_file: holds no certificate in PEM")
	}
	return out, nil
}

// times are the waits that are no settings.
type times struct {
	// connect bounds dialling, the TLS handshake and the bind together.
	connect time.Duration
	// response is how long the SMSC may take for an answer before the session counts as dead (enquire_link) or
	// the answer as lost (submit_sm).
	enquire, response time.Duration
	// patience is how long Send waits for a session or for room in a window.
	patience time.Duration
	// retry and refused are the first waits before the next bind; they double up to maxRetry and maxRefused.
	retry, maxRetry, refused, maxRefused time.Duration
	// steady is how long a session must have lived for the waits to start over.
	steady time.Duration
	// drain is how long messages under way may take when the route closes, unbind how long the last answer may.
	drain, unbind time.Duration
}

func defaultTimes() times {
	return times{
		connect: 10 * time.Second, enquire: 10 * time.Second, response: 60 * time.Second, patience: 2 * time.Second,
		retry: 500 * time.Millisecond, maxRetry: 30 * time.Second, refused: 30 * time.Second, maxRefused: 10 * time.Minute,
		steady: 30 * time.Second, drain: 5 * time.Second, unbind: 2 * time.Second,
	}
}

type sender struct {
	cfg       Config
	templates []template
	tls       *tls.Config
	log       *slog.Logger
	now       func() time.Time
	times     times
	dial      dialer

	// free has one entry for each message that a bound session has room for. Those of a dead session are thrown
	// away by whoever takes them.
	free  chan *session
	bound atomic.Int32
	ids   *ids
	// reference numbers the long messages (UDH and sar_msg_ref_num).
	reference atomic.Uint32

	mu sync.Mutex
	// refusal is why the SMSC would not bind us the last time; nil once it has.
	refusal *channel.Error
}

// What the sender can do besides sending.
var (
	_ channel.Sender     = (*sender)(nil)
	_ channel.Runner     = (*sender)(nil)
	_ channel.Checker    = (*sender)(nil)
	_ channel.Correlator = (*sender)(nil)
)

// Channels implements channel.Sender.
func (*sender) Channels() []channel.Kind { return []channel.Kind{channel.SMS} }

// ReceiptsByID implements channel.Correlator: a receipt names its message by the SMSC's message_id.
func (*sender) ReceiptsByID() bool { return true }
