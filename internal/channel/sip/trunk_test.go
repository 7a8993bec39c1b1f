package sip

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gosip "github.com/emiago/sipgo/sip"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/message"
)

// refuse returns a request with a status, and with headers that are "Name: value".
func refuse(req *gosip.Request, status int, headers ...string) *gosip.Response {
	res := gosip.NewResponseFromRequest(req, status, "No", nil)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		res.AppendHeader(gosip.NewHeader(name, value))
	}
	return res
}

// registrar returns REGISTER as most do: with a challenge, then with the binding.
func registrar(req *gosip.Request) *gosip.Response {
	if req.GetHeader("Authorization") == nil {
		return refuse(req, 401, challenge(401, "trunk"))
	}
	res := gosip.NewResponseFromRequest(req, 200, "OK", nil)
	if c := req.Contact(); c != nil {
		back := c.Clone()
		back.Params.Add("expires", "120")
		res.AppendHeader(back)
	}
	return res
}

func registering(c *Config) { c.Register = true }

// TestRegister: the route registers, calls, and gives the registration back.
func TestRegister(t *testing.T) {
	t.Parallel()
	p := newPeer(t, "udp", nil, func(l *leg) { l.respond(486, "Busy", "") })
	p.on(gosip.REGISTER, registrar)
	r := newRoute(t, p, registering)
	a, err := r.call(nil)
	must(t, err)
	r.receipt(a.ID, channel.Undelivered, "486", "")
	r.stop()
	all := p.all(gosip.REGISTER)
	if len(all) != 4 {
		t.Fatalf("%d REGISTER came", len(all))
	}
	for _, i := range []int{1, 3} {
		if *all[i].CallID() != *all[i-1].CallID() || all[i].CSeq().SeqNo != all[i-1].CSeq().SeqNo+1 {
			t.Errorf("request %d is not the one before with the next number", i)
		}
	}
	first, last := all[1], all[3]
	if first.Contact() == nil || first.Contact().Address.User != "acct" || first.Contact().Address.Port == 0 ||
		first.GetHeader("Expires").Value() != "300" {
		t.Errorf("the registration is %s", first)
	}
	if last.GetHeader("Expires").Value() != "0" || last.Contact() == nil {
		t.Errorf("the registration is not given back: %s", last)
	}
	if len(p.all(gosip.OPTIONS)) != 0 {
		t.Error("a server that has just answered is asked again whether it is there")
	}
}

// TestRegisterRefused: without a registration no call is tried.
func TestRegisterRefused(t *testing.T) {
	t.Parallel()
	for status, kind := range map[int]channel.ErrorKind{401: channel.Refused, 403: channel.Refused, 404: channel.Refused,
		500: channel.Unavailable, 503: channel.Unavailable, 480: channel.Unavailable} {
		t.Run(itoa(status), func(t *testing.T) {
			t.Parallel()
			p := newPeer(t, "udp", nil, func(l *leg) { l.respond(200, "OK", "") })
			p.on(gosip.REGISTER, func(req *gosip.Request) *gosip.Response {
				return refuse(req, status, challenge(401, "trunk"), "Retry-After: 5")
			})
			r := newRoute(t, p, registering)
			_, err := r.call(nil)
			refused(t, err, kind, itoa(status))
			if len(p.all(gosip.INVITE)) != 0 {
				t.Error("a call was made")
			}
			r.stop()
			for _, req := range p.all(gosip.REGISTER) {
				if req.GetHeader("Expires").Value() == "0" {
					t.Error("a registration that there was not is given back")
				}
			}
		})
	}
}

// TestRegisterLonger: a registrar may ask for a longer time.
func TestRegisterLonger(t *testing.T) {
	t.Parallel()
	p := newPeer(t, "udp", nil, func(l *leg) { l.respond(486, "Busy", "") })
	p.on(gosip.REGISTER, func(req *gosip.Request) *gosip.Response {
		if req.GetHeader("Expires").Value() == "300" {
			return refuse(req, 423, "Min-Expires: 1800")
		}
		return registrar(req)
	})
	_, err := newRoute(t, p, registering).call(nil)
	must(t, err)
}

// TestGranted: how long a registration lasts.
func TestGranted(t *testing.T) {
	t.Parallel()
	req := gosip.NewRequest(gosip.REGISTER, gosip.Uri{Host: "x"})
	ours := &gosip.ContactHeader{Address: gosip.Uri{User: "a", Host: "192.0.2.1", Port: 5060}}
	expires := gosip.ExpiresHeader(300)
	req.AppendHeader(ours)
	req.AppendHeader(&expires)
	other := "Contact: <sip:a@192.0.2.9:5060>;expires=40"
	for name, row := range map[string]struct {
		headers []string
		want    time.Duration
	}{
		"as asked":    {nil, 300 * time.Second},
		"header":      {[]string{"Expires: 60"}, time.Minute},
		"contact":     {[]string{"Expires: 60", "Contact: <sip:a@192.0.2.1:5060>;expires=90"}, 90 * time.Second},
		"another's":   {[]string{other}, 300 * time.Second},
		"too short":   {[]string{"Expires: 0"}, 10 * time.Second},
		"too long":    {[]string{"Expires: 999999"}, time.Hour},
		"nonsense":    {[]string{"Expires: soon"}, 300 * time.Second},
		"two of them": {[]string{other, "Contact: <sip:a@192.0.2.1:5060>;expires=70"}, 70 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP x;branch=z9hG4bK1\r\nFrom: <sip:a@x>;tag=1\r\nTo: <sip:a@x>;" +
				"tag=2\r\nCall-ID: 1\r\nCSeq: 1 REGISTER\r\n"
			for _, h := range row.headers {
				text += h + "\r\n"
			}
			parsed, err := gosip.ParseMessage([]byte(text + "Content-Length: 0\r\n\r\n"))
			must(t, err)
			if got := granted(req, parsed.(*gosip.Response)); got != row.want {
				t.Errorf("it lasts %s, want %s", got, row.want)
			}
		})
	}
}

// TestCheck: what proves a trunk, and what it says when it is not well.
func TestCheck(t *testing.T) {
	t.Parallel()
	status := func(n int, headers ...string) func(*gosip.Request) *gosip.Response {
		return func(req *gosip.Request) *gosip.Response { return refuse(req, n, headers...) }
	}
	for name, row := range map[string]struct {
		register bool
		answer   func(*gosip.Request) *gosip.Response
		kind     channel.ErrorKind
		code     string
	}{
		"there":          {false, nil, "", ""},
		"no such method": {false, status(405), "", ""},
		"no such user":   {false, status(404), "", ""},
		"forbidden":      {false, status(403), channel.Refused, "403"},
		"wrong password": {false, status(401, challenge(401, "trunk")), channel.Refused, "401"},
		"challenge": {false, func(req *gosip.Request) *gosip.Response {
			if req.GetHeader("Authorization") != nil {
				return refuse(req, 200)
			}
			return refuse(req, 401, challenge(401, "trunk"))
		}, "", ""},
		"out of order":    {false, status(500), channel.Unavailable, "500"},
		"silent":          {false, func(*gosip.Request) *gosip.Response { return nil }, channel.Unavailable, "no_response"},
		"registrar":       {true, registrar, "", ""},
		"registrar's 403": {true, status(403), channel.Refused, "403"},
		"registrar's 503": {true, status(503), channel.Unavailable, "503"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPeer(t, "udp", nil, nil)
			p.on(gosip.OPTIONS, row.answer)
			p.on(gosip.REGISTER, row.answer)
			c := settings(p)
			c.Register = row.register
			s, err := c.Open(channel.Env{Now: time.Now})
			must(t, err)
			wait := soon
			if name == "silent" {
				wait = 300 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), wait)
			defer cancel()
			err = s.(channel.Checker).Check(ctx)
			if row.kind == "" {
				must(t, err)
			} else {
				refused(t, err, row.kind, row.code)
			}
			for _, req := range p.all(gosip.REGISTER) {
				if req.Contact() != nil {
					t.Error("the check changes what is registered")
				}
			}
		})
	}
}

// TestSilent: a dead server costs no call and leaves no doubt.
func TestSilent(t *testing.T) {
	t.Parallel()
	p := newPeer(t, "udp", nil, func(*leg) {})
	p.on(gosip.OPTIONS, func(*gosip.Request) *gosip.Response { return nil })
	r := newRoute(t, p, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := r.callIn(ctx, nil)
	refused(t, err, channel.Unavailable, "no_response")
	if len(p.all(gosip.INVITE)) != 0 {
		t.Error("a call was made to a server that is not there")
	}
}

// TestLate: a server that says nothing to a call in time leaves a doubt. When it does speak, the call is ended.
func TestLate(t *testing.T) {
	t.Parallel()
	for name, late := range map[string]func(*leg){
		"rings":   func(l *leg) { l.respond(180, "Ringing", ""); l.untilCancelled() },
		"answers": func(l *leg) { l.respond(200, "OK", l.open()); l.wait(l.acked, "ACK"); l.wait(l.ended, "BYE") },
		"refuses": func(l *leg) { l.respond(503, "No", ""); l.wait(l.tx.Acks(), "ACK") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			speak, done := make(chan struct{}), make(chan struct{})
			p := newPeer(t, "udp", nil, func(l *leg) {
				defer close(done)
				select {
				case <-speak:
					late(l)
				case <-l.p.over:
				}
			})
			p.noTrying.Store(true)
			r := newRoute(t, p, func(c *Config) { c.Probe = false })
			ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
			defer cancel()
			_, err := r.callIn(ctx, nil)
			refused(t, err, channel.MaybeSent, "no_response")
			close(speak)
			select {
			case <-done:
			case <-time.After(soon):
				t.Error("the late call is not ended")
			}
			select {
			case got := <-r.receipts:
				t.Errorf("a call that was not accepted has a receipt: %+v", got)
			default:
			}
		})
	}
}

// TestStrangers: only the trunk is answered.
func TestStrangers(t *testing.T) {
	t.Parallel()
	p := newPeer(t, "udp", nil, func(l *leg) { l.respond(486, "Busy", "") })
	r := newRoute(t, p, nil)
	_, err := r.call(nil)
	must(t, err)
	to := r.trunkNow(t).local
	for from, want := range map[string]bool{"127.0.0.1": true, "127.0.0.2": false} {
		conn, err := net.DialUDP("udp4", &net.UDPAddr{IP: net.ParseIP(from)}, net.UDPAddrFromAddrPort(to))
		must(t, err)
		defer conn.Close()
		for _, text := range []string{"garbage", "\x00\x00", "SIP/2.0 200 OK\r\n\r\n", "OPTIONS sip:x SIP/2.0\r\n\r\n"} {
			_, _ = conn.Write([]byte(text))
		}
		_, err = fmt.Fprintf(conn,
			"OPTIONS sip:x@y SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%s\r\nFrom: <sip:a@b>;tag=1\r\nTo: "+
				"<sip:x@y>\r\nCall-ID: %s\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n", conn.LocalAddr(),
			token(), token())
		must(t, err)
		wait := soon
		if !want {
			wait = 200 * time.Millisecond
		}
		_ = conn.SetReadDeadline(time.Now().Add(wait))
		buf := make([]byte, 2000)
		got := false
		for {
			n, err := conn.Read(buf)
			if err != nil {
				break
			}
			if strings.HasPrefix(string(buf[:n]), "SIP/2.0 200 ") {
				got = true
				break
			}
		}
		if got != want {
			t.Errorf("%s was answered: %v", from, got)
		}
	}
}

// trunkNow returns the running trunk.
func (r *route) trunkNow(t *testing.T) *trunk {
	t.Helper()
	tr, err := r.running(t.Context())
	must(t, err)
	return tr
}

// authority makes a certificate for 127.0.0.1 and the file that trusts it.
func authority(t *testing.T) (server *tls.Config, file string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	form := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		NotAfter:              time.Now().Add(time.Hour),
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, form, form, &key.PublicKey, key)
	must(t, err)
	file = filepath.Join(t.TempDir(), "ca.pem")
	must(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, file
}

// TestConnections: whole calls over tcp and tls, with the far end's requests coming back over the same connection.
func TestConnections(t *testing.T) {
	t.Parallel()
	certificate, file := authority(t)
	for _, transport := range []string{"tcp", "tls"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			var with *tls.Config
			if transport == "tls" {
				with = certificate
			}
			legs, updates := make(chan *leg, 1), make(chan *gosip.Response, 1)
			p := newPeer(t, transport, with, func(l *leg) {
				l.pickUp()
				updates <- l.request(gosip.UPDATE, l.sdp("0 101", ""), "application/sdp")
				legs <- l
				l.key(1)
			})
			p.on(gosip.REGISTER, registrar)
			r := newRoute(t, p, func(c *Config) {
				c.Transport, c.Register = transport, true
				if with != nil {
					c.CAFile = file
				}
			})
			a, err := r.call(nil)
			must(t, err)
			r.receipt(a.ID, channel.Delivered, "", "")
			if res := <-updates; res == nil || res.StatusCode != 200 {
				t.Errorf("UPDATE is answered with %v", res)
			}
			l := <-legs
			l.wait(l.ended, "BYE")
			if got := spelt(said(t, l.stream(), "en", pcmu())); got != code+code {
				t.Errorf("heard %s", got)
			}
			contact := l.invite.Contact().Address
			if via, _ := contact.UriParams.Get("transport"); via != transport || contact.Port == 0 ||
				l.invite.Source() != netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(contact.Port)).String() {
				t.Errorf("the contact is %s, and the call came from %s", contact.String(), l.invite.Source())
			}
		})
	}
	t.Run("not trusted", func(t *testing.T) {
		t.Parallel()
		p := newPeer(t, "tls", certificate, nil)
		_, err := newRoute(t, p, func(c *Config) { c.Transport = "tls" }).call(nil)
		refused(t, err, channel.Unavailable, "transport")
	})
	t.Run("nobody there", func(t *testing.T) {
		t.Parallel()
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		must(t, err)
		c := defaults()
		c.Server, c.Transport, c.From, c.Listen = l.Addr().String(), "tcp", "+4930", "127.0.0.1:0"
		must(t, l.Close())
		_, err = newRouteTo(t, c, nil).call(nil)
		refused(t, err, channel.Unavailable, "transport")
	})
	t.Run("forgotten", func(t *testing.T) {
		t.Parallel()
		p := newPeer(t, "tcp", nil, func(l *leg) { l.respond(486, "Busy", "") })
		c := settings(p)
		c.Transport, c.Server = "tcp", forgetful(t, p.addr)
		r := newRouteTo(t, c, nil)
		a, err := r.call(nil)
		must(t, err)
		r.receipt(a.ID, channel.Undelivered, "486", "")
	})
	t.Run("cut off", func(t *testing.T) {
		t.Parallel()
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		must(t, err)
		defer l.Close()
		var cut sync.WaitGroup
		defer cut.Wait()
		cut.Go(func() {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 4096))
			_ = conn.Close()
		})
		c := defaults()
		c.Server, c.Transport, c.From, c.Listen = l.Addr().String(), "tcp", "+4930", "127.0.0.1:0"
		_, err = newRouteTo(t, c, func(c *Config) { c.Probe = false }).call(nil)
		refused(t, err, channel.MaybeSent, "no_response")
	})
}

// forgetful returns the address of a router that loses all that comes over the first connection.
func forgetful(t *testing.T, to netip.AddrPort) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	must(t, err)
	var all sync.WaitGroup
	pipe := func(from, into net.Conn) {
		_, _ = io.Copy(into, from)
		_ = into.Close()
	}
	all.Go(func() {
		for first := true; ; first = false {
			in, err := l.Accept()
			if err != nil {
				return
			}
			if first {
				all.Go(func() { _, _ = io.Copy(io.Discard, in) })
				continue
			}
			out, err := net.Dial("tcp4", to.String())
			if err != nil {
				t.Error(err)
				return
			}
			all.Go(func() { pipe(in, out) })
			all.Go(func() { pipe(out, in) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); all.Wait() })
	return l.Addr().String()
}

// TestNames: a name without an address is the operator's to mend, and no call.
func TestNames(t *testing.T) {
	t.Parallel()
	c := defaults()
	c.Server, c.From = "trunk.invalid", "+4930"
	r := newRouteTo(t, c, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	_, err := r.callIn(ctx, nil)
	refused(t, err, channel.Unavailable, "dns")
}

// TestSockets: a listen address that is taken, and ports for sound that are.
func TestSockets(t *testing.T) {
	t.Parallel()
	taken, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	must(t, err)
	defer taken.Close()
	port := taken.LocalAddr().(*net.UDPAddr).Port
	t.Run("signalling", func(t *testing.T) {
		p := newPeer(t, "udp", nil, nil)
		r := newRoute(t, p, func(c *Config) { c.Listen = "127.0.0.1:" + itoa(port) })
		_, err := r.call(nil)
		refused(t, err, channel.Unavailable, "not_running")
	})
	t.Run("sound", func(t *testing.T) {
		p := newPeer(t, "udp", nil, func(l *leg) { l.respond(486, "Busy", "") })
		r := newRoute(t, p, func(c *Config) { c.RTPPorts, c.MaxCalls = itoa(port)+"-"+itoa(port), 1 })
		_, err := r.call(nil)
		refused(t, err, channel.Unavailable, "media")
		if len(p.all(gosip.INVITE)) != 0 {
			t.Error("a call without sound was made")
		}
	})
	t.Run("a range", func(t *testing.T) {
		p := newPeer(t, "udp", nil, func(l *leg) { l.respond(486, "Busy", "") })
		r := newRoute(t, p, func(c *Config) { c.RTPPorts, c.MaxCalls = "42000-42019", 5 })
		_, err := r.call(nil)
		must(t, err)
		far, err := parseSDP(p.all(gosip.INVITE)[0].Body(), []codec{pcmu()})
		must(t, err)
		if n := far.addr.Port(); n < 42000 || n > 42019 {
			t.Errorf("the port is %d", n)
		}
	})
}

// TestMany: calls at once do not mix.
func TestMany(t *testing.T) {
	t.Parallel()
	const n = 12
	legs := make(chan *leg, n)
	p := newPeer(t, "udp", nil, func(l *leg) { l.pickUp(); legs <- l; l.key(1) })
	r := newRoute(t, p, func(c *Config) { c.MaxCalls = n })
	var all sync.WaitGroup
	var mu sync.Mutex
	want := map[string]string{}
	for i := range n {
		all.Go(func() {
			own := fmt.Sprintf("%06d", 100007*(i+1)%1000000)
			a, err := r.call(func(m *channel.Message) { *m = newMessage(t, own, "en"); m.Code = message.NewCode(own) })
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			want[a.ID] = own
		})
	}
	all.Wait()
	var delivered atomic.Int64
	for range n {
		select {
		case got := <-r.receipts:
			if got.Status == channel.Delivered && want[got.ProviderID] != "" {
				delivered.Add(1)
			}
		case <-time.After(soon):
			t.Fatal("a receipt is missing")
		}
	}
	if delivered.Load() != n {
		t.Errorf("%d of %d were delivered", delivered.Load(), n)
	}
	for range n {
		l := <-legs
		l.wait(l.ended, "BYE")
		own := want[string(*l.invite.CallID())]
		if got := spelt(said(t, l.stream(), "en", pcmu())); got != own+own {
			t.Errorf("heard %s, want %s", got, own)
		}
	}
}

// TestIPv6: a trunk that has no other address.
func TestIPv6(t *testing.T) {
	t.Parallel()
	conn, err := net.ListenUDP("udp6", &net.UDPAddr{IP: net.IPv6loopback})
	if err != nil {
		t.Skip("this machine has no IPv6")
	}
	defer conn.Close()
	c := defaults()
	c.Server, c.From, c.Listen, c.Probe = conn.LocalAddr().String(), "+4930", "[::1]:0", false
	r := newRouteTo(t, c, nil)
	got := make(chan string, 1)
	var peer sync.WaitGroup
	defer peer.Wait()
	peer.Go(func() {
		buf := make([]byte, 4000)
		_ = conn.SetReadDeadline(time.Now().Add(soon))
		n, from, err := conn.ReadFromUDP(buf)
		if err != nil {
			return
		}
		parsed, err := gosip.ParseMessage(buf[:n])
		if err != nil {
			t.Error(err)
			return
		}
		req := parsed.(*gosip.Request)
		got <- req.String()
		_, _ = conn.WriteToUDP([]byte(refuse(req, 486).String()), from)
	})
	a, err := r.call(nil)
	must(t, err)
	r.receipt(a.ID, channel.Undelivered, "486", "")
	text := <-got
	for _, want := range []string{"@[::1] SIP/2.0", "Via: SIP/2.0/UDP [::1]:", "Contact: " +
		"<sip:dialproof@[::1]:", "c=IN IP6 ::1"} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %q in\n%s", want, text)
		}
	}
}
