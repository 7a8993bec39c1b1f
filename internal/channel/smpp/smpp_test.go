package smpp

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/channeltest"
	"github.com/dialproof/dialproof/internal/channel/smpp/pdu"
	"github.com/dialproof/dialproof/internal/message"
	"github.com/dialproof/dialproof/internal/secret"
)

func TestProvider(t *testing.T) {
	t.Parallel()
	p := Provider()
	if p.Name != name || p.Title == "" || p.Summary == "" || len(p.Channels) != 1 || p.Channels[0] != channel.SMS {
		t.Errorf("%+v", p)
	}
	for f := range reflect.TypeFor[Config]().Fields() {
		if f.Tag.Get("yaml") == "" || f.Tag.Get("doc") == "" {
			t.Errorf("the setting %s has no yaml or doc tag", f.Name)
		}
	}
	s, err := settings("127.0.0.1:2775").Open(channel.Env{})
	if err != nil {
		t.Fatal(err)
	}
	if c, ok := channel.As[channel.Correlator](s); !ok || !c.ReceiptsByID() {
		t.Error("receipts come by the provider's id")
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	if err := settings("smpp.example.com:2775", "[::1]:2776").Validate(); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		key   string
		spoil func(*Config)
	}{
		{"addresses:", func(c *Config) { c.Addresses = nil }},
		{"addresses[1]: must be host:port", func(c *Config) { c.Addresses = []string{"a:1", "smpp.example.com"} }},
		{"addresses[0]: must be host:port", func(c *Config) { c.Addresses = []string{"a:65536"} }},
		{"addresses[0]: must be host:port,", func(c *Config) { c.Addresses = []string{":2775"} }},
		{"addresses:", func(c *Config) { c.Addresses = strings.Split(strings.Repeat("a:1 ", 9), " ") }},
		{"system_id:", func(c *Config) { c.SystemID = "" }},
		{"system_id:", func(c *Config) { c.SystemID = "0123456789abcdef" }},
		{"password: is missing", func(c *Config) { c.Password = secret.Text{} }},
		{"password: must", func(c *Config) { c.Password = secret.New(strings.Repeat("pa55word", 9)) }},
		{"password:", func(c *Config) { c.Password = secret.New("pa55\x00word") }},
		{"system_type:", func(c *Config) { c.SystemType = "0123456789abc" }},
		{"ca_file: needs tls", func(c *Config) { c.CAFile = "ca.pem" }},
		{"binds:", func(c *Config) { c.Binds = 17 }},
		{"binds:", func(c *Config) { c.Binds = 0 }},
		{"window:", func(c *Config) { c.Window = 1001 }},
		{"window:", func(c *Config) { c.Window = 0 }},
		{"enquire_link:", func(c *Config) { c.EnquireLink = time.Millisecond }},
		{"enquire_link:", func(c *Config) { c.EnquireLink = time.Hour }},
		{"alphabet:", func(c *Config) { c.Alphabet = "ascii" }},
		{"data_coding:", func(c *Config) { c.DataCoding = 256 }},
		{"source_ton:", func(c *Config) { c.SourceTON = 7 }},
		{"source_npi:", func(c *Config) { c.SourceNPI = -2 }},
		{"dest_ton:", func(c *Config) { c.DestTON = -1 }},
		{"dest_npi:", func(c *Config) { c.DestNPI = 19 }},
		{"long_messages:", func(c *Config) { c.LongMessages = "csms" }},
		{"validity:", func(c *Config) { c.Validity = "5m" }},
		{"registered_delivery:", func(c *Config) { c.RegisteredDelivery = 32 }},
		{"id_format:", func(c *Config) { c.IDFormat = "base64" }},
		{"tlvs: each key", func(c *Config) { c.TLVs = map[string]string{"entity": "1"} }},
		{"tlvs: each", func(c *Config) { c.TLVs = map[string]string{"0x10000": "1"} }},
		{"tlvs.0x1400:", func(c *Config) { c.TLVs = map[string]string{"0x1400": strings.Repeat("x", 256)} }},
	} {
		c := settings("127.0.0.1:2775")
		row.spoil(c)
		err := c.Validate()
		if err == nil || !strings.HasPrefix(err.Error(), row.key) || strings.Contains(err.Error(), "pa55") {
			t.Errorf("%s %v", row.key, err)
		}
	}
	for name, content := range map[string]string{"absent.pem": "", "empty.pem": "no certificate"} {
		c := settings("127.0.0.1:2775")
		c.TLS, c.CAFile = true, filepath.Join(t.TempDir(), name)
		if content != "" {
			if err := os.WriteFile(c.CAFile, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := c.Open(channel.Env{}); err == nil || !strings.HasPrefix(err.Error(), "ca_file:") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSubmit: what the SMSC gets is what the settings and the message say.
func TestSubmit(t *testing.T) {
	t.Parallel()
	usual := pdu.Message{
		Dest: pdu.Address{TON: 1, NPI: 1, Value: "447700900123"}, Validity: "000000000500000R", Registered: 1,
	}
	for name, c := range map[string]struct {
		config  func(*Config)
		message func(*channel.Message)
		want    func(*pdu.Message)
	}{
		"no sender": {},
		"a name": {message: func(m *channel.Message) { m.From = "Acme Bank" },
			want: func(m *pdu.Message) { m.Source = pdu.Address{TON: 5, Value: "Acme Bank"} }},
		"a short code": {message: func(m *channel.Message) { m.From = "12345" },
			want: func(m *pdu.Message) { m.Source = pdu.Address{TON: 3, Value: "12345"} }},
		"a number": {message: func(m *channel.Message) { m.From = "+447700900001" },
			want: func(m *pdu.Message) { m.Source = pdu.Address{TON: 1, NPI: 1, Value: "447700900001"} }},
		"a number, no plus": {message: func(m *channel.Message) { m.From = "447700900001" },
			want: func(m *pdu.Message) { m.Source = pdu.Address{TON: 1, NPI: 1, Value: "447700900001"} }},
		"types by the config": {config: func(c *Config) { c.SourceTON, c.SourceNPI, c.DestTON, c.DestNPI = 0, 8, 2, 0 },
			message: func(m *channel.Message) { m.From = "12345" },
			want:    func(m *pdu.Message) { m.Source, m.Dest.TON, m.Dest.NPI = pdu.Address{NPI: 8, Value: "12345"}, 2, 0 }},
		"a life over": {message: func(m *channel.Message) { m.ExpiresAt = channeltest.Now().Add(-time.Hour) },
			want: func(m *pdu.Message) { m.Validity = "000000000100000R" }},
		"a long life": {message: func(m *channel.Message) {
			m.ExpiresAt = channeltest.Now().Add(25*time.Hour + 61*time.Second)
		}, want: func(m *pdu.Message) { m.Validity = "000001010101000R" }},
		"an endless life": {message: func(m *channel.Message) { m.ExpiresAt = channeltest.Now().AddDate(1, 0, 0) },
			want: func(m *pdu.Message) { m.Validity = "000028000000000R" }},
		"no life": {message: func(m *channel.Message) { m.ExpiresAt = time.Time{} },
			want: func(m *pdu.Message) { m.Validity = "" }},
		"life as a time": {config: func(c *Config) { c.Validity = "absolute" }, want: func(m *pdu.Message) {
			m.Validity = channeltest.Now().Add(5*time.Minute).UTC().Format("060102150405") + "000+"
		}},
		"life not told": {config: func(c *Config) { c.Validity = "none" }, want: func(m *pdu.Message) { m.Validity = "" }},
		"intermediate": {config: func(c *Config) { c.RegisteredDelivery = 17 },
			want: func(m *pdu.Message) { m.Registered = 17 }},
		"own parameters": {
			config: func(c *Config) {
				c.TLVs = map[string]string{"0x1414": "OTP\x00", "0x1400": "{dlt_entity_id}",
					"5121": "a{dlt_template_id}b{dlt_entity_id}", "0x1402": "{missing}"}
			},
			message: func(m *channel.Message) {
				m.Regulatory = map[string]string{"dlt_entity_id": "1101", "dlt_template_id": "1207"}
			},
			want: func(m *pdu.Message) {
				m.TLVs = []pdu.TLV{{Tag: 0x1400, Value: []byte("1101")}, {Tag: 0x1401, Value: []byte("a1207b1101")},
					{Tag: 0x1414, Value: []byte("OTP\x00")}}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			centre := &smsc{}
			config, m, want := settings(centre.listen(t)), channeltest.Message(channel.SMS), usual
			config.SystemType = "OTP"
			if c.config != nil {
				c.config(config)
			}
			if c.message != nil {
				c.message(&m)
			}
			if want.Short, _ = pdu.EncodeGSM(m.Text.Body); c.want != nil {
				c.want(&want)
			}
			r := start(t, config)
			a, err := r.Send(t.Context(), m)
			if err != nil || a.ID != "abc001" || a.Parts != 1 {
				t.Fatalf("%+v %v", a, err)
			}
			got := centre.all(pdu.SubmitSM)
			if len(got) != 1 || !reflect.DeepEqual(got[0].Body, &want) {
				t.Errorf("the SMSC got %+v, want %+v", got[0].Body, &want)
			}
			bind := centre.all(pdu.BindTransceiver)
			if len(bind) != 1 ||
				!reflect.DeepEqual(bind[0].Body,
					&pdu.Bind{SystemID: "dialproof", Password: password, SystemType: "OTP", Version: 0x34}) {
				t.Errorf("the bind is %+v", bind)
			}
		})
	}
}

func TestSenders(t *testing.T) {
	t.Parallel()
	r := prepare(t, settings("127.0.0.1:2775"))
	for _, from := range []string{"Twelve chars", "Añejo", "+1234567890123456", "1234567890123456", "a\nb"} {
		m := channeltest.Message(channel.SMS)
		m.From = from
		if _, err := r.Send(t.Context(), m); err == nil || channel.AsError(name, err).Code != "sender" ||
			channel.AsError(name, err).Kind != channel.Refused {
			t.Errorf("the sender %q: %v", from, err)
		}
	}
}

// TestLong: a long text arrives whole, whichever way it is sent.
func TestLong(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("Grüße [€] ", 40)
	plain := strings.Repeat("Grüße [x] ", 40)
	wide := strings.Repeat("код 🙂 ", 40)
	for name, c := range map[string]struct {
		alphabet, way, text string
		coding              pdu.Coding
		parts               int
	}{
		"gsm by udh": {"gsm", "udh", long, pdu.Default, 4}, "gsm by sar": {"gsm", "sar", long, pdu.Default, 4},
		"gsm by payload": {"gsm", "payload", long, pdu.Default, 0},
		"wide by udh":    {"gsm", "udh", wide, pdu.UCS2, 5}, "wide by sar": {"latin1", "sar", wide, pdu.UCS2, 5},
		"wide by payload":  {"gsm", "payload", wide, pdu.UCS2, 0},
		"latin by udh":     {"latin1", "udh", plain, pdu.Latin1, 4},
		"latin by payload": {"latin1", "payload", plain, pdu.Latin1, 0},
		"latin without €":  {"latin1", "udh", long, pdu.UCS2, 6}, "ucs2 by udh": {"ucs2", "udh", plain, pdu.UCS2, 6},
		"one part by payload": {"gsm", "payload", strings.Repeat("x", 160), pdu.Default, 1},
		"one part by udh":     {"gsm", "udh", strings.Repeat("x", 160), pdu.Default, 1},
		"one part of ucs2":    {"ucs2", "payload", strings.Repeat("x", 70), pdu.UCS2, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			centre := &smsc{receipts: true}
			config := settings(centre.listen(t))
			config.Alphabet, config.LongMessages = c.alphabet, c.way
			r := start(t, config)
			m := channeltest.Message(channel.SMS)
			m.Text = message.Text{Body: c.text}
			a, err := r.Send(t.Context(), m)
			if err != nil || a.Parts != c.parts {
				t.Fatalf("%+v %v", a, err)
			}
			got := centre.all(pdu.SubmitSM)
			if text := join(t, got, c.coding); text != c.text {
				t.Errorf("what arrived in %d parts is %q, want %q", len(got), text, c.text)
			}
			if len(got) != max(c.parts, 1) {
				t.Errorf("%d PDUs", len(got))
			}
			if receipt := <-r.receipts; receipt.ProviderID != a.ID || receipt.Status != channel.Delivered {
				t.Errorf("the receipt %+v is not about %s", receipt, a.ID)
			}
			r.stop()
			if n := len(r.receipts); n != 0 {
				t.Errorf("%d receipts more", n)
			}
		})
	}
	t.Run("too long", func(t *testing.T) {
		t.Parallel()
		r := prepare(t, settings("127.0.0.1:2775"))
		m := channeltest.Message(channel.SMS)
		m.Text = message.Text{Body: strings.Repeat("x", 153*10+1)}
		if _, err := r.Send(t.Context(), m); err == nil || channel.AsError(name, err).Code != "too_long" {
			t.Error(err)
		}
	})
}

// join puts a message together as a handset does.
func join(t *testing.T, parts []pdu.PDU, coding pdu.Coding) string {
	t.Helper()
	decode := map[pdu.Coding]func([]byte) string{pdu.Default: pdu.DecodeGSM, pdu.Latin1: pdu.DecodeLatin1,
		pdu.UCS2: pdu.DecodeUCS2}[coding]
	text, reference := "", ""
	for i, p := range parts {
		m := p.Body.(*pdu.Message)
		if m.Coding != coding {
			t.Errorf("the data_coding is %d, want %d", m.Coding, coding)
		}
		if (m.Registered == 1) != (i == len(parts)-1) {
			t.Errorf("part %d asks for receipt %d", i, m.Registered)
		}
		b, head := m.Short, ""
		if payload, ok := pdu.Find(m.TLVs, pdu.MessagePayload); ok {
			b = payload
		}
		if total, ok := pdu.Find(m.TLVs, pdu.SARTotal); ok {
			number, _ := pdu.Find(m.TLVs, pdu.SARSequence)
			which, _ := pdu.Find(m.TLVs, pdu.SARReference)
			head = string(which) + string(total) + string(number)
		}
		if m.ESMClass&pdu.ESMHeader != 0 {
			if string(b[:3]) != "\x05\x00\x03" {
				t.Errorf("the header is % x", b[:6])
			}
			head = string(b[3:6])
			b = pdu.SkipHeader(b)
		}
		if n := len(head); len(parts) > 1 && m.ESMClass+byte(n) > 0 && n > 0 {
			if head[n-2] != byte(len(parts)) || head[n-1] != byte(i+1) || (i > 0 && head[:n-2] != reference) {
				t.Errorf("part %d says % x", i, head)
			}
			reference = head[:n-2]
		} else if len(parts) > 1 {
			t.Errorf("part %d does not say what it is", i)
		}
		text += decode(b)
	}
	return text
}

// certificate makes a certificate for 127.0.0.1 and the file to trust it by.
func certificate(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		NotAfter:              time.Now().Add(time.Hour),
		IPAddresses:           []net.IP{{127, 0, 0, 1}},
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}

func TestTLS(t *testing.T) {
	t.Parallel()
	own, file := certificate(t)
	_, other := certificate(t)
	centre := &smsc{receipts: true, tls: &tls.Config{Certificates: []tls.Certificate{own}}}
	config := settings(centre.listen(t))
	config.TLS, config.CAFile = true, file
	r := start(t, config)
	a := r.takes(t)
	if receipt := <-r.receipts; receipt.ProviderID != a.ID {
		t.Errorf("%+v", receipt)
	}
	if err := r.Check(t.Context()); err != nil {
		t.Error(err)
	}
	for name, ca := range map[string]string{"another CA": other, "the system's": ""} {
		config := settings(config.Addresses...)
		config.TLS, config.CAFile = true, ca
		e := channel.AsError("", prepare(t, config).Check(t.Context()))
		if e.Kind != channel.Refused || e.Code != "certificate" {
			t.Errorf("%s: %v", name, e)
		}
	}
	plain := &smsc{}
	config = settings(plain.listen(t))
	config.TLS = true
	if e := channel.AsError("", prepare(t, config).Check(t.Context())); e.Kind != channel.Unavailable {
		t.Errorf("an SMSC without TLS: %v", e)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	centre := &smsc{}
	address := centre.listen(t)
	nobody := &smsc{}
	dead := nobody.listen(t)
	nobody.close()
	if err := prepare(t, settings(dead, address)).Check(t.Context()); err != nil {
		t.Error(err)
	}
	if len(centre.all(pdu.Unbind)) != 1 || len(centre.all(pdu.SubmitSM)) != 0 {
		t.Error("a check binds, unbinds and sends nothing")
	}
	if e := channel.AsError("", prepare(t, settings(dead)).Check(t.Context())); e.Kind != channel.Unavailable ||
		e.Provider != name {
		t.Errorf("nobody listens: %v", e)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if e := channel.AsError("", prepare(t, settings(address)).Check(ctx)); e.Kind != channel.Unavailable ||
		e.Provider != name {
		t.Errorf("no time: %v", e)
	}
}
