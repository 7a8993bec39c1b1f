package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/smtp"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
)

// maxTalk bounds one connection, from the first byte to the last.
const maxTalk = 60 * time.Second

// maxHeard bounds what is read of a server in one connection, in bytes.
const maxHeard = 256 << 10

// stage is how far a conversation has come. Until the end of the data nothing has left.
type stage string

const (
	connecting stage = "connect"
	greeting   stage = "greeting"
	securing   stage = "tls"
	loggingIn  stage = "auth"
	naming     stage = "mail"
	addressing stage = "rcpt"
	opening    stage = "data"
	ending     stage = "end"
)

// link is a conversation with a server, which ends with its context.
type link struct {
	*smtp.Client
	end func()
}

// bounded is a connection of which no more than a limit is read.
type bounded struct {
	net.Conn
	in io.LimitedReader
}

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.in.Read(p)
	if err == io.EOF && b.in.N <= 0 { //nolint:errorlint // a LimitedReader answers it bare
		err = errors.New("the server says too much")
	}
	return n, err
}

// dial connects, protects the connection and logs in.
func (s *sender) dial(ctx context.Context) (*link, *channel.Error) {
	if ctx.Err() != nil {
		return nil, fault(connecting, ctx.Err())
	}
	ctx, cancel := context.WithTimeout(ctx, maxTalk)
	address := net.JoinHostPort(s.cfg.Host, strconv.Itoa(s.cfg.Port))
	raw, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		cancel()
		return nil, fault(connecting, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	l := &link{end: func() { stop(); cancel(); _ = raw.Close() }}
	if failed := s.enter(ctx, l, &bounded{raw, io.LimitedReader{R: raw, N: maxHeard}}); failed != nil {
		l.end()
		return nil, failed
	}
	return l, nil
}

// enter goes from the greeting to the login.
func (s *sender) enter(ctx context.Context, l *link, conn net.Conn) *channel.Error {
	settings := &tls.Config{ServerName: s.cfg.Host, RootCAs: s.roots, MinVersion: tls.VersionTLS12}
	if s.cfg.TLS == implicit {
		secured := tls.Client(conn, settings)
		if err := secured.HandshakeContext(ctx); err != nil {
			return fault(securing, err)
		}
		conn = secured
	}
	var err error
	if l.Client, err = smtp.NewClient(conn, s.cfg.Host); err != nil {
		return fault(greeting, err)
	}
	if err := l.Hello(s.cfg.Helo); err != nil {
		return fault(greeting, err)
	}
	if s.cfg.TLS == startTLS {
		if ok, _ := l.Extension("STARTTLS"); !ok {
			return &channel.Error{
				Kind:     channel.Refused,
				Provider: name,
				Code:     "no_tls",
				Detail:   "the server offers no STARTTLS on this port: is it the right one?",
			}
		}
		if err := l.StartTLS(settings); err != nil {
			return fault(securing, err)
		}
	}
	if s.cfg.Username == "" {
		return nil
	}
	return s.login(l)
}

// login logs in by the first method that both sides know. The password goes over TLS, or to this machine.
func (s *sender) login(l *link) *channel.Error {
	_, offered := l.Extension("AUTH")
	methods := strings.Fields(strings.ToUpper(offered))
	var method smtp.Auth
	switch {
	case slices.Contains(methods, "PLAIN"):
		method = smtp.PlainAuth("", s.cfg.Username, s.cfg.Password.Reveal(), s.cfg.Host)
	case slices.Contains(methods, "LOGIN"):
		method = &loginAuth{s.cfg.Username, s.cfg.Password.Reveal()}
	case slices.Contains(methods, "CRAM-MD5"):
		method = smtp.CRAMMD5Auth(s.cfg.Username, s.cfg.Password.Reveal())
	default:
		return &channel.Error{
			Kind:     channel.Refused,
			Provider: name,
			Code:     "no_auth",
			Detail:   "the server offers no login by PLAIN, LOGIN or CRAM-MD5",
		}
	}
	if err := l.Auth(method); err != nil {
		return fault(loggingIn, err)
	}
	return nil
}

// loginAuth is the method LOGIN, which is not in a standard and which some servers know alone.
type loginAuth struct{ username, password string }

// Start implements smtp.Auth.
func (a *loginAuth) Start(server *smtp.ServerInfo) (string, []byte, error) {
	if !server.TLS && !local(server.Name) {
		return "", nil, errors.New("the password is not sent without TLS")
	}
	return "LOGIN", nil, nil
}

// Next implements smtp.Auth. Servers ask for the name and then for the password, in words of their own.
func (a *loginAuth) Next(question []byte, more bool) ([]byte, error) {
	switch {
	case !more:
		return nil, nil
	case strings.HasPrefix(strings.ToLower(string(question)), "user"):
		return []byte(a.username), nil
	case strings.HasPrefix(strings.ToLower(string(question)), "pass"):
		return []byte(a.password), nil
	}
	return nil, errors.New("the server asks for something else")
}

// deliver hands a mail over.
func (l *link) deliver(from, to string, text []byte) *channel.Error {
	if err := l.Mail(from); err != nil {
		return fault(naming, err)
	}
	if err := l.Rcpt(to); err != nil {
		return fault(addressing, err)
	}
	w, err := l.Data()
	if err != nil {
		return fault(opening, err)
	}
	if _, err := w.Write(text); err != nil {
		return fault(opening, err)
	}
	if err := w.Close(); err != nil {
		return fault(ending, err)
	}
	return nil
}

// close says goodbye. The mail is delivered by then, whatever the server answers.
func (l *link) close() {
	defer l.end()
	if l.Client != nil {
		_ = l.Text.PrintfLine("QUIT")
	}
}

// fault judges what went wrong at a stage. An answer is judged by its code; a connection that broke has sent the mail
// only when the end of the data was on its way.
func fault(at stage, err error) *channel.Error {
	if said, ok := errors.AsType[*textproto.Error](err); ok && said.Code >= 400 {
		return judge(at, said.Code, enhanced(said.Msg)).Because(err)
	}
	e := &channel.Error{
		Kind:     channel.Unavailable,
		Provider: name,
		Code:     string(at),
		Detail:   "the connection to the mail server broke",
	}
	certificate, bad := errors.AsType[*tls.CertificateVerificationError](err)
	switch {
	case bad && certificate != nil:
		e.Kind, e.Detail = channel.Refused, "the mail server's certificate is not valid for its name, or not by a CA "+
			"that is trusted"
	case at == connecting:
		e.Detail = "the mail server cannot be reached"
	case at == ending:
		e.Kind, e.Detail = channel.MaybeSent, "the mail server's answer was lost"
	}
	return e.Because(err)
}
