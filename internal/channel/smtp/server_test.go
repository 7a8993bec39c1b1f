package smtp

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// What a server does at a step instead of answering.
const (
	hangs    = "hangs"
	hangsUp  = "hangs up"
	floods   = "floods"
	username = "dialproof"
	password = "s3cr3t-password"
)

// server is a mail server that does what a test says, step by step: greeting, ehlo, starttls, auth, mail, rcpt, data,
// end.
type server struct {
	net.Listener
	answers map[string]string
	methods string // of AUTH
	secure  *tls.Config
	plain   bool // offers no STARTTLS
	direct  bool // TLS from the first byte
	quit    chan struct{}

	mu    sync.Mutex
	mails []received
	talk  []string // commands
}

// received is a mail that came in.
type received struct{ from, to, text string }

// newServer returns a server and the file of its certificate.
func newServer(t *testing.T, change func(*server)) (s *server, ca string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "test"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		DNSNames:              []string{"localhost"},
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	ca = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	s = &server{
		answers: map[string]string{},
		methods: "PLAIN LOGIN",
		quit:    make(chan struct{}),
		secure: &tls.Config{
			Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
			MinVersion:   tls.VersionTLS12,
		},
	}
	if change != nil {
		change(s)
	}
	if s.Listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := s.Accept()
			if err != nil {
				return
			}
			all.Go(func() { s.serve(conn) })
		}
	})
	t.Cleanup(func() { close(s.quit); s.Close(); all.Wait() })
	return s, ca
}

func (s *server) port() int { return s.Addr().(*net.TCPAddr).Port }

func (s *server) received() []received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]received(nil), s.mails...)
}

func (s *server) said() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.talk, "\n")
}

// talker is one conversation.
type talker struct {
	s    *server
	conn net.Conn
	in   *bufio.Reader
	mail received
	safe bool
}

// say returns at a step, and reports whether the conversation goes on.
func (c *talker) say(step, usual string) bool {
	if other, ok := c.s.answers[step]; ok {
		usual = other
	}
	switch usual {
	case hangs:
		<-c.s.quit
		return false
	case hangsUp:
		return false
	case floods:
		block := strings.Repeat("250-"+strings.Repeat("x", 1000)+"\r\n", 64)
		for range 100 {
			if _, err := io.WriteString(c.conn, block); err != nil {
				return false
			}
		}
		return false
	}
	_, err := io.WriteString(c.conn, strings.ReplaceAll(usual, "\n", "\r\n")+"\r\n")
	return err == nil
}

func (s *server) serve(conn net.Conn) {
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	c := &talker{s: s, conn: conn}
	defer func() { c.conn.Close() }()
	if s.direct {
		c.encrypt()
	}
	c.in = bufio.NewReader(c.conn)
	if !c.say("greeting", "220 test ESMTP") {
		return
	}
	for {
		line, err := c.in.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		s.mu.Lock()
		s.talk = append(s.talk, line)
		s.mu.Unlock()
		if !c.command(line) {
			return
		}
	}
}

func (c *talker) encrypt() {
	c.conn, c.safe = tls.Server(c.conn, c.s.secure), true
	c.in = bufio.NewReader(c.conn)
}

func (c *talker) command(line string) bool {
	verb, rest, _ := strings.Cut(line, " ")
	switch strings.ToUpper(verb) {
	case "EHLO":
		offer := "250-test\n250-8BITMIME\n250-ENHANCEDSTATUSCODES"
		if !c.s.plain && !c.safe {
			offer += "\n250-STARTTLS"
		}
		if c.s.methods != "" && (c.safe || c.s.plain) {
			offer += "\n250-AUTH " + c.s.methods
		}
		return c.say("ehlo", offer+"\n250 SIZE 1000000")
	case "STARTTLS":
		if !c.say("starttls", "220 go") {
			return false
		}
		if c.s.answers["starttls"] != "" {
			return true
		}
		c.encrypt()
		return true
	case "AUTH":
		return c.login(rest)
	case "MAIL":
		c.mail = received{from: rest}
		return c.say("mail", "250 2.1.0 ok")
	case "RCPT":
		c.mail.to = rest
		return c.say("rcpt", "250 2.1.5 ok")
	case "DATA":
		return c.data()
	case "QUIT":
		c.say("quit", "221 bye")
		return false
	}
	return c.say("other", "500 5.5.1 what?")
}

// login checks the name and the password.
func (c *talker) login(how string) bool {
	given := ""
	switch method, first, _ := strings.Cut(how, " "); method {
	case "PLAIN":
		raw, _ := base64.StdEncoding.DecodeString(first)
		given = strings.ReplaceAll(strings.TrimPrefix(string(raw), "\x00"), "\x00", ":")
	case "LOGIN":
		var parts []string
		for _, question := range []string{"Username:", "Password:"} {
			if !c.say("question", "334 "+base64.StdEncoding.EncodeToString([]byte(question))) {
				return false
			}
			line, err := c.in.ReadString('\n')
			if err != nil {
				return false
			}
			raw, _ := base64.StdEncoding.DecodeString(strings.TrimRight(line, "\r\n"))
			parts = append(parts, string(raw))
		}
		given = strings.Join(parts, ":")
	case "CRAM-MD5":
		if !c.say("question", "334 "+base64.StdEncoding.EncodeToString([]byte("<1@test>"))) {
			return false
		}
		line, _ := c.in.ReadString('\n')
		raw, _ := base64.StdEncoding.DecodeString(strings.TrimRight(line, "\r\n"))
		if name, sum, _ := strings.Cut(string(raw), " "); name == username && len(sum) == 32 {
			given = username + ":" + password
		}
	}
	if given != username+":"+password {
		return c.say("auth", "535 5.7.8 no")
	}
	return c.say("auth", "235 2.7.0 ok")
}

// data takes a mail. It counts as received when its end came in, whatever is answered then.
func (c *talker) data() bool {
	if !c.say("data", "354 go") {
		return false
	}
	if c.s.answers["data"] != "" {
		return true
	}
	var b strings.Builder
	for {
		line, err := c.in.ReadString('\n')
		if err != nil {
			return false
		}
		if line == ".\r\n" {
			break
		}
		b.WriteString(strings.TrimPrefix(line, "."))
	}
	c.mail.text = b.String()
	c.s.mu.Lock()
	c.s.mails = append(c.s.mails, c.mail)
	c.s.mu.Unlock()
	return c.say("end", "250 2.0.0 queued as 4BX")
}
