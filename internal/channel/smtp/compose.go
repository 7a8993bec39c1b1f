package smtp

import (
	"bytes"
	"mime"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
)

// compose writes the mail (RFC 5322): plain text in UTF-8, and marked as made by a machine, so that nobody's holiday
// answers it (RFC 3834). The Message-ID is that of the delivery: a mail that is sent twice is seen once by most
// readers.
func (s *sender) compose(m channel.Message, from mail.Address) []byte {
	var b bytes.Buffer
	to := mail.Address{Address: m.Email}
	for _, h := range [][2]string{
		{"From", from.String()},
		{"To", to.String()},
		{"Subject", mime.QEncoding.Encode("utf-8", strings.ReplaceAll(s.cfg.Subject, "{brand}", m.Brand))},
		{"Date", s.now().UTC().Format(time.RFC1123Z)},
		{"Message-ID", "<" + m.Delivery + "@" + domainOf(from.Address) + ">"},
		{"MIME-Version", "1.0"},
		{"Content-Type", "text/plain; charset=utf-8"},
		{"Content-Transfer-Encoding", "quoted-printable"},
		{"Content-Language", m.Text.Locale},
		{"Auto-Submitted", "auto-generated"},
		{"X-Auto-Response-Suppress", "All"},
	} {
		if h[1] != "" {
			b.WriteString(h[0] + ": " + h[1] + "\r\n")
		}
	}
	b.WriteString("\r\n")
	w := quotedprintable.NewWriter(&b)
	_, _ = w.Write([]byte(strings.TrimRight(m.Text.Body, "\n") + "\n")) // a Buffer takes everything
	_ = w.Close()
	return b.Bytes()
}
