package sip

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/sip/prompts"
	"github.com/dialproof/dialproof/internal/channel/sip/speech"
	"github.com/dialproof/dialproof/internal/secret"
)

// The bounds of a call that no setting can lift: toll fraud pays by the minute, and a person who wants the code
// answers within seconds.
const (
	maxRing     = 45 * time.Second
	maxAnswered = 60 * time.Second
	maxCalls    = 1000
)

// Config is the settings of a route.
type Config struct {
	Server          string        `yaml:"server" example:"sip.example.com:5060" doc:"The trunk's host and port. Without a port: 5060, or 5061 with tls."`
	Transport       string        `yaml:"transport" doc:"udp, tcp or tls. tls hides the signalling, not the sound."`
	Username        string        `yaml:"username" doc:"The account's user name. Leave it out if the trunk knows you by your address."`
	Password        secret.Text   `yaml:"password" doc:"The account's password."`
	Domain          string        `yaml:"domain" doc:"The domain in the addresses of calls, if it is not the server's host."`
	From            string        `yaml:"from" example:"+4930123456" doc:"The caller's number, as the trunk wants it. The route's sender goes before it; without both it is the user name."`
	CallerHeader    string        `yaml:"caller_header" doc:"Where the caller's number stands: from, p-asserted-identity or p-preferred-identity. With the latter two, From holds the user name."`
	Register        bool          `yaml:"register" doc:"Register with the trunk and stay so. Without it the trunk must know your address or ask for the password at each call."`
	Listen          string        `yaml:"listen" doc:"Address and port for signalling; its address serves for sound too. Port 0 is any."`
	PublicAddress   string        `yaml:"public_address" doc:"The IP address under which the trunk reaches you, if a router translates addresses."`
	RTPPorts        string        `yaml:"rtp_ports" doc:"UDP ports for sound, like 16384-16483; one for each call. Empty is any."`
	Codecs          []string      `yaml:"codecs" doc:"pcmu and pcma, the preferred one first."`
	DialFormat      string        `yaml:"dial_format" doc:"How a number is dialled: e164 with a plus, or digits without."`
	DialPrefix      string        `yaml:"dial_prefix" doc:"Digits, * and # dialled before the number."`
	RingTimeout     time.Duration `yaml:"ring_timeout" doc:"How long a phone rings, at most 45s."`
	AnsweredTimeout time.Duration `yaml:"answered_timeout" doc:"How long an answered call lasts, at most 60s."`
	PressOne        bool          `yaml:"press_one" doc:"Speak the code only after the key 1. Without it a mailbox may record the code."`
	MaxCalls        int           `yaml:"max_calls" doc:"Calls at once; the trunk's number of lines."`
	Prompts         string        `yaml:"prompts" doc:"A folder with recordings of your own: <language>/<name>.wav, 8 kHz, mono, 16-bit, μ-law or IMA ADPCM."`
	Speech          string        `yaml:"speech" doc:"What speaks the brand and payments, which no recording can: auto is espeak-ng if it is installed, off is nothing, and a path is that of another program with its options."`
	Probe           bool          `yaml:"probe" doc:"Ask the trunk by OPTIONS before a call when nothing was heard of it for 30s, so that a dead one is noticed in 2s. Turn it off for a trunk that never answers OPTIONS."`
	CAFile          string        `yaml:"ca_file" doc:"With tls: a file of certificates to trust instead of the system's."`
}

// The values of Config.Speech that are no path.
const (
	speechAuto = "auto"
	speechOff  = "off"
)

func defaults() *Config {
	return &Config{
		Transport:       "udp",
		CallerHeader:    "from",
		Listen:          "0.0.0.0:0",
		Codecs:          []string{"pcmu", "pcma"},
		DialFormat:      "e164",
		RingTimeout:     30 * time.Second,
		AnsweredTimeout: maxAnswered,
		PressOne:        true,
		MaxCalls:        10,
		Speech:          speechAuto,
		Probe:           true,
	}
}

// What goes into the headers of a request is held to these forms, so that no value can add a line of its own.
var (
	hostForm   = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,252}[A-Za-z0-9])?$`)
	userForm   = regexp.MustCompile(`^[A-Za-z0-9+._~!*'()&=$,-]{1,64}$`) // RFC 3261 §25.1 "user", without escapes
	prefixForm = regexp.MustCompile(`^[0-9*#+]{0,16}$`)
)

// Validate implements channel.Opener.
func (c *Config) Validate() error {
	_, _, serverErr := c.server()
	switch {
	case serverErr != nil:
		return errors.New("server: must be a host or address and a port, like sip.example.com:5060")
	case !slices.Contains([]string{"udp", "tcp", "tls"}, c.Transport):
		return errors.New("transport: must be udp, tcp or tls")
	}
	for _, validate := range []func() error{c.validateAccount, c.validateCaller, c.validateAddresses, c.validateCalls} {
		if err := validate(); err != nil {
			return err
		}
	}
	return nil
}

// validateAccount is the part of Validate that is about who asks the server.
func (c *Config) validateAccount() error {
	switch {
	case c.Username != "" && !userForm.MatchString(c.Username):
		return errors.New("username: must be 1 to 64 letters, digits and -_.!~*'()&=+$, signs")
	case c.Username == "" && !c.Password.IsZero():
		return errors.New("username: is missing, and there is a password")
	case c.Register && (c.Username == "" || c.Password.IsZero()):
		return errors.New("register: needs username and password")
	case c.Domain != "" && !hostForm.MatchString(c.Domain):
		return errors.New("domain: must be a host name or an IPv4 address")
	}
	return nil
}

// validateCaller is the part of Validate that is about who calls, as the person sees it.
func (c *Config) validateCaller() error {
	switch {
	case c.From != "" && !userForm.MatchString(c.From):
		return errors.New("from: must be a number, like +4930123456")
	case c.From == "" && c.Username == "":
		return errors.New("from: is missing; give the caller's number, or a username to stand for it")
	case !slices.Contains([]string{"from", headerAsserted, headerPreferred}, c.CallerHeader):
		return errors.New("caller_header: must be from, p-asserted-identity or p-preferred-identity")
	case c.CallerHeader != "from" && c.Username == "":
		return errors.New("caller_header: needs a username for From")
	}
	return nil
}

// validateAddresses is the part of Validate that is about this machine's side of the line.
func (c *Config) validateAddresses() error {
	listen, listenErr := netip.ParseAddrPort(c.Listen)
	_, publicErr := netip.ParseAddr(c.PublicAddress)
	switch {
	case listenErr != nil:
		return errors.New("listen: must be an IP address and a port, like 0.0.0.0:5060")
	case c.PublicAddress != "" && publicErr != nil:
		return errors.New("public_address: must be an IP address")
	case listen.Port() != 0 && c.Transport == "tls":
		return errors.New("listen: the port must be 0 with tls: calls come back over the connection that is made")
	}
	_, _, err := c.ports()
	return err
}

// validateCalls is the part of Validate that is about what happens in a call.
func (c *Config) validateCalls() error {
	switch {
	case len(c.Codecs) == 0 || len(c.codecs()) != len(c.Codecs):
		return errors.New("codecs: must be pcmu, pcma or both, each once")
	case c.DialFormat != "e164" && c.DialFormat != "digits":
		return errors.New("dial_format: must be e164 or digits")
	case !prefixForm.MatchString(c.DialPrefix):
		return errors.New("dial_prefix: must be digits, *, # and +, at most 16")
	case c.RingTimeout < time.Second || c.RingTimeout > maxRing:
		return fmt.Errorf("ring_timeout: must be 1s to %s", maxRing)
	case c.AnsweredTimeout < time.Second || c.AnsweredTimeout > maxAnswered:
		return fmt.Errorf("answered_timeout: must be 1s to %s", maxAnswered)
	case c.Speech != speechAuto && c.Speech != speechOff && !filepath.IsAbs(c.Speech):
		return errors.New("speech: must be auto, off, or the path of a program from the root")
	case c.MaxCalls < 1 || c.MaxCalls > maxCalls:
		return fmt.Errorf("max_calls: must be 1 to %d", maxCalls)
	case c.CAFile != "" && c.Transport != "tls":
		return errors.New("ca_file: is for the transport tls only")
	}
	return nil
}

// Open implements channel.Opener. It reads the recordings and makes no call.
func (c *Config) Open(env channel.Env) (channel.Sender, error) {
	quiet()
	s := &sender{
		cfg:   *c,
		log:   env.Log,
		now:   env.Now,
		lines: make(chan struct{}, c.MaxCalls),
		frame: frameTime,
		up:    make(chan struct{}),
	}
	var err error
	if s.book, err = c.recordings(); err != nil {
		return nil, fmt.Errorf("prompts: %w", err)
	}
	switch c.Speech {
	case speechAuto:
		s.speaker = speech.Find()
	case speechOff:
	default:
		s.speaker = speech.New(c.Speech)
	}
	if s.tls, err = c.trust(); err != nil {
		return nil, fmt.Errorf("ca_file: %w", err)
	}
	return s, nil
}

func (c *Config) recordings() (*prompts.Book, error) {
	if c.Prompts == "" {
		return prompts.Load(nil)
	}
	return prompts.Load(os.DirFS(c.Prompts))
}

// trust returns whom to believe with tls.
func (c *Config) trust() (*tls.Config, error) {
	host, _, _ := c.server() // it was validated
	out := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host}
	if c.CAFile == "" {
		return out, nil
	}
	text, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, errors.New("cannot be read")
	}
	out.RootCAs = x509.NewCertPool()
	if !out.RootCAs.AppendCertsFromPEM(text) {
		return nil, errors.New("holds no PEM certificate")
	}
	return out, nil
}

// server returns the trunk's host and port.
func (c *Config) server() (host string, port uint16, err error) {
	text := c.Server
	if !strings.Contains(text, ":") || (strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]")) {
		text += ":" + strconv.Itoa(c.defaultPort())
	}
	host, number, err := net.SplitHostPort(text)
	if err != nil {
		return "", 0, err
	}
	n, err := strconv.ParseUint(number, 10, 16)
	_, notIP := netip.ParseAddr(host)
	if err != nil || n == 0 || (notIP != nil && !hostForm.MatchString(host)) {
		return "", 0, errors.New("no host or port")
	}
	return host, uint16(n), nil
}

func (c *Config) defaultPort() int {
	if c.Transport == "tls" {
		return 5061
	}
	return 5060
}

// domain returns the host in addresses of calls.
func (c *Config) domain() string {
	if c.Domain != "" {
		return c.Domain
	}
	host, _, _ := c.server() // it was validated
	return host
}

// listen returns where signalling comes in.
func (c *Config) listen() netip.AddrPort {
	a, _ := netip.ParseAddrPort(c.Listen) // it was validated
	return a
}

// ports returns the range of ports for sound; 0 and 0 is any.
func (c *Config) ports() (first, last int, err error) {
	if c.RTPPorts == "" {
		return 0, 0, nil
	}
	low, high, ok := strings.Cut(c.RTPPorts, "-")
	first, lowErr := strconv.Atoi(low)
	last, highErr := strconv.Atoi(high)
	if !ok || lowErr != nil || highErr != nil || first < 1024 || last > 65535 || last < first {
		return 0, 0, errors.New("rtp_ports: must be two ports from 1024 to 65535, like 16384-16483")
	}
	if last-first+1 < c.MaxCalls {
		return 0, 0, errors.New("rtp_ports: has fewer ports than max_calls")
	}
	return first, last, nil
}

// codecs returns the codecs in the order of preference; names that are unknown or come twice are left out.
func (c *Config) codecs() []codec {
	var out []codec
	for _, text := range c.Codecs {
		if k, ok := codecNamed(text); ok && !slices.Contains(out, k) {
			out = append(out, k)
		}
	}
	return out
}

// portless returns the address with any port.
func portless(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr(), 0) }
