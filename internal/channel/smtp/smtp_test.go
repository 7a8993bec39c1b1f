package smtp

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"mime/quotedprintable"
	"net/mail"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/channeltest"
	"github.com/dialproof/dialproof/internal/message"
	"github.com/dialproof/dialproof/internal/secret"
)

func settings(port int, ca string) *Config {
	return &Config{
		Host:     "localhost",
		Port:     port,
		TLS:      startTLS,
		CAFile:   ca,
		Username: username,
		Password: secret.New(password),
		From:     "codes@example.com",
		Subject:  "{brand}",
	}
}

func open(t *testing.T, c *Config) channel.Sender {
	t.Helper()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	s, err := c.Open(channel.Env{Now: channeltest.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// send sends the suite's message, and holds that nothing leaks.
func send(t *testing.T, ctx context.Context, c *Config) (channel.Accepted, *channel.Error) {
	t.Helper()
	m := channeltest.Message(channel.Email)
	a, err := open(t, c).Send(ctx, m)
	if err == nil {
		return a, nil
	}
	e, ok := err.(*channel.Error) //nolint:errorlint // the contract says *Error
	if !ok {
		t.Fatalf("the error is a %T", err)
	}
	asJSON, _ := json.Marshal(e)
	text := fmt.Sprintf("%v %+v %s", e, e, asJSON)
	for _, s := range []string{password, "90817263", "person@example.com", "447700900123"} {
		if strings.Contains(text, s) {
			t.Errorf("the error shows %q: %s", s, text)
		}
	}
	return a, e
}

// TestSuite holds what the common suite holds of a provider without HTTP.
func TestSuite(t *testing.T) {
	t.Parallel()
	h := channeltest.Harness{
		Provider:  Provider(),
		Configure: func(string) channel.Opener { return settings(25, "") },
		Secrets:   []string{password},
		Channel:   channel.Email,
	}
	for _, c := range channeltest.Checks() {
		switch c.Name {
		case "it says what it is", "settings do not print their secrets":
			if err := c.Hold(t.Context(), h); err != nil {
				t.Errorf("%s: %v", c.Name, err)
			}
		}
	}
}

func TestSend(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		server   func(*server)
		settings func(*Config)
	}{
		"STARTTLS":              {nil, nil},
		"TLS at once":           {func(s *server) { s.direct = true }, func(c *Config) { c.TLS = implicit }},
		"no TLS on one machine": {func(s *server) { s.plain = true }, func(c *Config) { c.TLS, c.CAFile = none, "" }},
		"LOGIN":                 {func(s *server) { s.methods = "LOGIN" }, nil},
		"CRAM-MD5":              {func(s *server) { s.methods = "XOAUTH2 CRAM-MD5" }, nil},
		"no login": {func(s *server) { s.methods = "" },
			func(c *Config) { c.Username, c.Password = "", secret.Text{} }},
		"a rude goodbye": {func(s *server) { s.answers["quit"] = hangsUp }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, ca := newServer(t, c.server)
			cfg := settings(s.port(), ca)
			if c.settings != nil {
				c.settings(cfg)
			}
			a, e := send(t, t.Context(), cfg)
			if e != nil || a.ID != "dlv_01m83v1cxqe00t2j6r8ja6cpz7" || a.Status != channel.Taken {
				t.Fatalf("%+v %v", a, e)
			}
			got := s.received()
			if len(got) != 1 || !strings.HasPrefix(got[0].from, "FROM:<codes@example.com>") ||
				got[0].to != "TO:<person@example.com>" {
				t.Fatalf("%+v", got)
			}
			if !strings.HasPrefix(s.said(), "EHLO example.com") && !strings.Contains(s.said(), "\nEHLO example.com") {
				t.Errorf("it greets by %s", s.said())
			}
			if strings.Contains(s.said(), password) {
				t.Error("the password is said in the clear")
			}
		})
	}
}

// TestMail reads a mail as a reader would.
func TestMail(t *testing.T) {
	t.Parallel()
	s, ca := newServer(t, nil)
	for _, c := range []struct{ brand, from, text, wantName, subject string }{
		{"Acme", "", "123456 is your Acme code.", "Acme", "{brand}"},
		{"Ünïcode GmbH", "", "Ваш код: 123456\n\nНикому не говорите.", "Ünïcode GmbH", "{brand}: код"},
		{"Acme\r\nBcc: x@example.com", "", ".\n..\n.dot", "Acme\r\nBcc: x@example.com", "{brand}"},
		{"Acme", "Shop <shop@other.example>", "x", "Shop", "Hello"},
	} {
		cfg := settings(s.port(), ca)
		cfg.Subject = c.subject
		m := channeltest.Message(channel.Email)
		m.Brand, m.From, m.Text = c.brand, c.from, message.Text{Body: c.text, Locale: "ru"}
		if _, err := open(t, cfg).Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		all := s.received()
		raw := all[len(all)-1].text
		holdLines(t, raw)
		got, err := mail.ReadMessage(strings.NewReader(raw))
		if err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		domain := "example.com"
		if c.from != "" {
			domain = "other.example"
		}
		holdHeader(t, got.Header, c.wantName, strings.ReplaceAll(c.subject, "{brand}", c.brand), domain)
		body, err := io.ReadAll(quotedprintable.NewReader(got.Body))
		if want := strings.ReplaceAll(c.text, "\n", "\r\n") + "\r\n"; err != nil || string(body) != want {
			t.Errorf("the text is %q, %v, want %q", body, err, want)
		}
	}
}

// holdLines holds that each line of a mail may travel.
func holdLines(t *testing.T, raw string) {
	t.Helper()
	for line := range strings.SplitSeq(raw, "\r\n") {
		if len(line) > 998 || strings.ContainsAny(line, "\r\n") ||
			strings.ContainsFunc(line, func(r rune) bool { return r > 126 }) {
			t.Errorf("the line %q may not travel", line)
		}
	}
}

// holdHeader holds the header of a mail.
func holdHeader(t *testing.T, h mail.Header, name, subject, domain string) {
	t.Helper()
	from, err := h.AddressList("From")
	if err != nil || len(from) != 1 || from[0].Name != name {
		t.Errorf("from %v, %v, want %q", from, err, name)
	}
	if h.Get("Bcc") != "" || h.Get("To") != "<person@example.com>" {
		t.Errorf("%v", h)
	}
	said, err := (&mime.WordDecoder{}).DecodeHeader(h.Get("Subject"))
	if err != nil || said != subject {
		t.Errorf("the subject is %q, %v, want %q", said, err, subject)
	}
	if strings.Contains(h.Get("Subject"), "123456") {
		t.Error("the code is in the subject")
	}
	if id := h.Get("Message-ID"); id != "<dlv_01m83v1cxqe00t2j6r8ja6cpz7@"+domain+">" {
		t.Errorf("the id is %s", id)
	}
	if d, err := h.Date(); err != nil || !d.Equal(channeltest.Now()) {
		t.Errorf("the date is %s, %v", d, err)
	}
	for key, want := range map[string]string{"Content-Type": "text/plain; charset=utf-8", "Mime-Version": "1.0",
		"Auto-Submitted": "auto-generated", "Content-Language": "ru"} {
		if v := h.Get(key); v != want {
			t.Errorf("%s is %q, want %q", key, v, want)
		}
	}
}

// TestReplies: each reply at each stage means what testdata says, and each of the tables' is there.
func TestReplies(t *testing.T) {
	t.Parallel()
	rows, err := channeltest.ReadErrors(os.DirFS("testdata"))
	if err != nil {
		t.Fatal(err)
	}
	for at, table := range replies() {
		var known []string
		for code := range table {
			known = append(known, strconv.Itoa(code))
		}
		if err := channeltest.Covers(rows, string(at), known); err != nil {
			t.Error(err)
		}
	}
	var known []string
	for subject := range subjects() {
		known = append(known, "5."+subject, "4."+subject)
	}
	if err := channeltest.Covers(rows, "subject", known); err != nil {
		t.Error(err)
	}
	for _, row := range rows {
		t.Run(row.Where+" "+row.Error, func(t *testing.T) {
			t.Parallel()
			step := row.Where
			if step == "subject" {
				step = "rcpt"
			}
			s, ca := newServer(t, func(s *server) { s.answers[step] = row.Body })
			if _, e := send(t, t.Context(), settings(s.port(), ca)); e == nil || e.Kind != row.Kind || e.Code != row.Code {
				t.Errorf("%v, want %s %q", e, row.Kind, row.Code)
			}
		})
	}
}

// TestMisbehaves: at each step the server answers no, not now, nonsense or nothing. Whatever it does, the kind says
// rightly whether the mail may have left.
func TestMisbehaves(t *testing.T) {
	t.Parallel()
	type row struct {
		step, answer string
		kind         channel.ErrorKind
		code         string
	}
	rows := []row{
		{"greeting", "554 5.7.1 you are on a list", channel.Refused, "554 5.7.1"},
		{"greeting", "421 busy", channel.Unavailable, "421"},
		{"ehlo", "502 no", channel.Refused, ""},
		{"starttls", "454 4.7.0 not now", channel.Unavailable, ""},
		{"auth", "535 5.7.8 wrong", channel.Refused, "535 5.7.8"},
		{"auth", "454 4.7.0 not now", channel.Unavailable, "454 4.7.0"},
		{"auth", "534 5.7.9 no", channel.Refused, "534 5.7.9"},
		{"mail", "550 5.1.8 bad sender", channel.Refused, "550 5.1.8"},
		{"mail", "550 5.7.1 spf", channel.Refused, "550 5.7.1"},
		{"mail", "452 4.3.1 full", channel.Unavailable, "452 4.3.1"},
		{"mail", "451 4.7.1 slow down", channel.Throttled, "451 4.7.1"},
		{"mail", "553 no", channel.Refused, "553"},
		{"mail", "550 5.1.1 no such sender", channel.Refused, "550 5.1.1"},
		{"rcpt", "550 5.1.1 <person@example.com> unknown", channel.Rejected, "550 5.1.1"},
		{"rcpt", "550 no such user", channel.Rejected, "550"},
		{"rcpt", "552 5.2.2 full", channel.Rejected, "552 5.2.2"},
		{"rcpt", "550 5.2.1 closed", channel.Rejected, "550 5.2.1"},
		{"rcpt", "550 5.7.1 relaying denied", channel.Refused, "550 5.7.1"},
		{"rcpt", "550 5.1.8 bad sender", channel.Refused, "550 5.1.8"},
		{"rcpt", "450 4.7.1 greylisted", channel.Throttled, "450 4.7.1"},
		{"rcpt", "451 try again", channel.Throttled, "451"},
		{"rcpt", "450 4.2.2 full", channel.Unavailable, "450 4.2.2"},
		{"rcpt", "556 5.1.10 null MX", channel.Rejected, "556 5.1.10"},
		{"rcpt", "550 5.4.1 no way", channel.Unavailable, "550 5.4.1"},
		{"rcpt", "550 4.1.1 odd", channel.Rejected, "550 4.1.1"},
		{"data", "554 no", channel.Refused, "554"},
		{"data", "451 4.3.0 not now", channel.Unavailable, "451 4.3.0"},
		{"end", "550 5.7.1 spam", channel.Refused, "550 5.7.1"},
		{"end", "552 5.3.4 too large", channel.Refused, "552 5.3.4"},
		{"end", "451 4.3.0 not now", channel.Unavailable, "451 4.3.0"},
		{"end", "554 5.6.0 text", channel.Refused, "554 5.6.0"},
		{"end", "550 5.1.1 no such user after all", channel.Rejected, "550 5.1.1"},
		{"end", "251 odd", channel.MaybeSent, "end"},
		{"end", "xyz", channel.MaybeSent, "end"},
	}
	for _, step := range []string{"greeting", "ehlo", "starttls", "auth", "mail", "rcpt", "data", "end"} {
		kind := channel.Unavailable
		if step == "end" {
			kind = channel.MaybeSent
		}
		for _, answer := range []string{hangs, hangsUp, floods} {
			rows = append(rows, row{step, answer, kind, ""})
		}
		switch step {
		case "end":
		case "ehlo": // it is asked again by HELO, which it does not know
			rows = append(rows, row{step, "\x00\xff nonsense", channel.Refused, "500 5.5.1"})
		default:
			rows = append(rows, row{step, "\x00\xff nonsense", channel.Unavailable, ""})
		}
	}
	for _, r := range rows {
		t.Run(r.step+": "+strings.Map(plain, r.answer), func(t *testing.T) {
			t.Parallel()
			s, ca := newServer(t, func(s *server) { s.answers[r.step] = r.answer })
			ctx := t.Context()
			if r.answer == hangs {
				short, cancel := context.WithTimeout(ctx, 400*time.Millisecond)
				defer cancel()
				ctx = short
			}
			_, e := send(t, ctx, settings(s.port(), ca))
			if e == nil || e.Kind != r.kind || e.Provider != name || r.code != "" && e.Code != r.code {
				t.Fatalf("%v, want %s %q", e, r.kind, r.code)
			}
			if got := len(s.received()); got > 0 && r.step != "end" {
				t.Errorf("%d mails came in", got)
			}
		})
	}
}

// plain keeps what may stand in the name of a test.
func plain(r rune) rune {
	if r < 32 || r > 126 {
		return '_'
	}
	return r
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	s, ca := newServer(t, nil)
	s.Close()
	if _, e := send(t, t.Context(), settings(s.port(), ca)); e == nil || e.Kind != channel.Unavailable ||
		e.Code != "connect" {
		t.Error(e)
	}
}

func TestNoTimeLeft(t *testing.T) {
	t.Parallel()
	s, ca := newServer(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, e := send(t, ctx, settings(s.port(), ca)); e == nil || e.Kind != channel.Unavailable || s.said() != "" {
		t.Errorf("%v after %q", e, s.said())
	}
}

// TestSafety: the password goes to nobody but the server, over TLS.
func TestSafety(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		server   func(*server)
		settings func(*Config)
		code     string
	}{
		"STARTTLS was taken away": {func(s *server) { s.plain = true }, nil, "no_tls"},
		"an unknown CA":           {nil, func(c *Config) { c.CAFile = "" }, "tls"},
		"an unknown CA at once": {func(s *server) { s.direct = true },
			func(c *Config) { c.CAFile, c.TLS = "", implicit }, "tls"},
		"another name":            {nil, func(c *Config) { c.Host = "127.0.0.1" }, "tls"},
		"no method that is known": {func(s *server) { s.methods = "XOAUTH2" }, nil, "no_auth"},
		"no login at all":         {func(s *server) { s.methods = "" }, nil, "no_auth"},
		"a wrong password":        {nil, func(c *Config) { c.Password = secret.New(password + "x") }, "535 5.7.8"},
		"LOGIN with other questions": {func(s *server) { s.methods, s.answers["question"] = "LOGIN", "334 cHduIG1l" }, nil,
			""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, ca := newServer(t, c.server)
			cfg := settings(s.port(), ca)
			if c.settings != nil {
				c.settings(cfg)
			}
			_, e := send(t, t.Context(), cfg)
			if e == nil || e.Kind != channel.Refused && c.code != "" || c.code != "" && e.Code != c.code {
				t.Errorf("%v, want %q", e, c.code)
			}
			if err := open(t, cfg).(channel.Checker).Check(t.Context()); err == nil {
				t.Error("the check finds nothing")
			}
			if len(s.received()) != 0 {
				t.Error("a mail came in")
			}
		})
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	s, ca := newServer(t, nil)
	if err := open(t, settings(s.port(), ca)).(channel.Checker).Check(t.Context()); err != nil ||
		strings.Contains(s.said(), "MAIL") {
		t.Errorf("%v: %s", err, s.said())
	}
}

func TestAtOnce(t *testing.T) {
	t.Parallel()
	s, ca := newServer(t, nil)
	sender := open(t, settings(s.port(), ca))
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			if _, err := sender.Send(t.Context(), channeltest.Message(channel.Email)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := len(s.received()); n != 16 {
		t.Errorf("%d mails", n)
	}
}

// TestAddresses: what is no single address reaches no server.
func TestAddresses(t *testing.T) {
	t.Parallel()
	s, ca := newServer(t, nil)
	sender := open(t, settings(s.port(), ca))
	for _, address := range []string{"", "person", "a@example.com,b@example.com", "a@example.com>\r\nRCPT " +
		"TO:<b@example.com", "A <a@example.com>"} {
		m := channeltest.Message(channel.Email)
		m.Email = address
		if _, err := sender.Send(t.Context(), m); err == nil || channel.AsError(name, err).Kind != channel.Rejected {
			t.Errorf("%q: %v", address, err)
		}
	}
	if s.said() != "" {
		t.Error(s.said())
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*Config){
		"host":      func(c *Config) { c.Host = "mail example" },
		"port":      func(c *Config) { c.Port = 70000 },
		"tls":       func(c *Config) { c.TLS = "maybe" },
		"ca_file":   func(c *Config) { c.TLS, c.CAFile = none, "x" },
		"username":  func(c *Config) { c.Password = secret.Text{} },
		"password":  func(c *Config) { c.TLS, c.CAFile, c.Host = none, "", "mail.example.com" },
		"username:": func(c *Config) { c.Username = "a\r\nb" },
		"from":      func(c *Config) { c.From = "" },
		"from:":     func(c *Config) { c.From = "a@example.com, b@example.com" },
		"subject":   func(c *Config) { c.Subject = "" },
		"subject:":  func(c *Config) { c.Subject = "{code} is your code" },
		"helo":      func(c *Config) { c.Helo = "a b" },
	} {
		c := settings(25, "")
		change(c)
		if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	for port, how := range map[int]string{587: startTLS, 465: implicit, 25: none} {
		c := settings(0, "")
		c.TLS = how
		s, err := c.Open(channel.Env{})
		if err != nil || s.(*sender).cfg.Port != port {
			t.Errorf("%s: %v", how, err)
		}
	}
	c := settings(25, "/does/not/exist")
	if _, err := c.Open(channel.Env{}); err == nil || !strings.HasPrefix(err.Error(), "ca_file") {
		t.Error(err)
	}
}

// FuzzCompose: whatever stands in brand, text and locale, the mail has the headers that it should have and no other.
func FuzzCompose(f *testing.F) {
	f.Add("Acme", "123456 is your code", "en")
	f.Add("A\r\nBcc: x@example.com\r\n\r\n", "\r\n.\r\nMAIL", "en")
	f.Add("\"<>@,\xff", strings.Repeat("é", 2000), "x-y")
	s := &sender{cfg: Config{Subject: "{brand}"}, now: channeltest.Now}
	f.Fuzz(func(t *testing.T, brand, text, locale string) {
		if strings.ContainsAny(locale, "\r\n") {
			return // locales are Dialproof's own
		}
		m := channeltest.Message(channel.Email)
		m.Brand, m.Text = brand, message.Text{Body: text, Locale: locale}
		raw := s.compose(m, mail.Address{Name: brand, Address: "codes@example.com"})
		got, err := mail.ReadMessage(bytes.NewReader(raw))
		if err != nil {
			t.Fatalf("%q: %v", raw, err)
		}
		if n := len(got.Header); n > 11 || got.Header.Get("Bcc") != "" {
			t.Errorf("%d headers: %v", n, got.Header)
		}
	})
}
