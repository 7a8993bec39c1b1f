package sip

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emiago/sipgo"
	gosip "github.com/emiago/sipgo/sip"
	"github.com/pion/rtp"
	"go.uber.org/goleak"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/sip/prompts"
	"github.com/dialproof/dialproof/internal/message"
	"github.com/dialproof/dialproof/internal/phone"
	"github.com/dialproof/dialproof/internal/secret"
)

const (
	number   = "+447700900123"
	code     = "402917"
	password = "trunk-p4ssw0rd"
	// soon bounds everything that a test waits for.
	soon = 20 * time.Second
)

// TestMain makes the library quiet before any test reads its logger, and holds that nothing is left running.
func TestMain(m *testing.M) {
	quiet()
	goleak.VerifyTestMain(m)
	os.Exit(m.Run())
}

// peer is a trunk that does what a test's script says.
type peer struct {
	t      *testing.T
	ua     *sipgo.UserAgent
	addr   netip.AddrPort
	script func(*leg)

	mu       sync.Mutex
	requests []*gosip.Request
	legs     map[string]*leg
	// by returns requests outside of scripts; nil of it is 200, and a nil response none at all.
	by map[gosip.RequestMethod]func(*gosip.Request) *gosip.Response
	// noTrying keeps the library from sending 100 by itself.
	noTrying atomic.Bool
	seen     chan gosip.RequestMethod
	// over is closed when the test ends; scripts are waited for then.
	over    chan struct{}
	scripts sync.WaitGroup
}

// leg is the peer's end of a call.
type leg struct {
	p      *peer
	invite *gosip.Request
	tx     gosip.ServerTransaction
	tag    string
	rtp    *net.UDPConn
	far    *session
	seq    uint32

	acked     chan *gosip.Request
	ended     chan *gosip.Request // BYE
	cancelled chan struct{}
	heard     chan struct{} // closed when the socket is

	mu     sync.Mutex
	sounds []rtp.Packet
}

// newPeer starts a peer on the transport.
func newPeer(t *testing.T, transport string, certificate *tls.Config, script func(*leg)) *peer {
	t.Helper()
	p := &peer{
		t:      t,
		script: script,
		legs:   map[string]*leg{},
		by:     map[gosip.RequestMethod]func(*gosip.Request) *gosip.Response{},
		seen:   make(chan gosip.RequestMethod, 1000),
		over:   make(chan struct{}),
	}
	none := slog.New(slog.DiscardHandler)
	ua, err := sipgo.NewUA(sipgo.WithUserAgentTransportLayerOptions(gosip.WithTransportLayerLogger(none)),
		sipgo.WithUserAgentTransactionLayerOptions(gosip.WithTransactionLayerLogger(none),
			gosip.WithTransactionLayerUnhandledResponseHandler(func(*gosip.Response) {})))
	must(t, err)
	server, err := sipgo.NewServer(ua, sipgo.WithServerLogger(none))
	must(t, err)
	p.ua = ua
	p.handle(server)
	var served sync.WaitGroup
	var closeAll func()
	switch transport {
	case "udp":
		plain, err := net.ListenPacket("udp4", "127.0.0.1:0")
		must(t, err)
		conn := &untrying{plain, p}
		p.addr = conn.LocalAddr().(*net.UDPAddr).AddrPort()
		socket := &steadySocket{
			PacketConn: conn,
			ready:      make(chan struct{}),
			ours:       func([]byte, netip.Addr) bool { return true },
		}
		served.Go(func() { _ = server.ServeUDP(socket) })
		<-socket.ready
		closeAll = func() { _ = conn.Close() }
	default:
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		must(t, err)
		p.addr = l.Addr().(*net.TCPAddr).AddrPort()
		if certificate != nil {
			l = tls.NewListener(l, certificate)
			served.Go(func() { _ = server.ServeTLS(l) })
		} else {
			served.Go(func() { _ = server.ServeTCP(l) })
		}
		closeAll = func() { _ = l.Close() }
	}
	t.Cleanup(func() {
		p.mu.Lock()
		close(p.over)
		p.mu.Unlock()
		p.scripts.Wait()
		closeAll()
		served.Wait()
		release(context.Background(), ua)
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, l := range p.legs {
			if l.rtp != nil {
				_ = l.rtp.Close()
				<-l.heard
			}
		}
	})
	return p
}

// untrying is a socket that, when the peer shall be quiet, loses the 100 that the library sends by itself.
type untrying struct {
	net.PacketConn
	p *peer
}

// WriteTo implements net.PacketConn.
func (u *untrying) WriteTo(b []byte, to net.Addr) (int, error) {
	if u.p.noTrying.Load() && bytes.HasPrefix(b, []byte("SIP/2.0 100 ")) {
		return len(b), nil
	}
	return u.PacketConn.WriteTo(b, to)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (p *peer) handle(server *sipgo.Server) {
	note := func(req *gosip.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.requests = append(p.requests, req)
		p.seen <- req.Method
	}
	server.OnInvite(func(req *gosip.Request, tx gosip.ServerTransaction) {
		note(req)
		l := &leg{
			p: p, invite: req, tx: tx, tag: token(), acked: make(chan *gosip.Request, 100), ended: make(chan *gosip.Request, 10),
			cancelled: make(chan struct{}), heard: make(chan struct{}), seq: 100,
		}
		tx.OnCancel(func(*gosip.Request) { close(l.cancelled) })
		p.mu.Lock()
		p.legs[string(*req.CallID())] = l
		p.mu.Unlock()
		p.play(l)
	})
	server.OnAck(func(req *gosip.Request, _ gosip.ServerTransaction) {
		note(req)
		if l := p.leg(req); l != nil {
			l.acked <- req
		}
	})
	server.OnBye(func(req *gosip.Request, tx gosip.ServerTransaction) {
		note(req)
		p.answer(req, tx)
		if l := p.leg(req); l != nil {
			l.ended <- req
		}
	})
	server.OnOptions(func(req *gosip.Request, tx gosip.ServerTransaction) {
		note(req)
		p.answer(req, tx)
	})
	server.OnRegister(func(req *gosip.Request, tx gosip.ServerTransaction) {
		note(req)
		p.answer(req, tx)
	})
}

// play runs the script of a call to its end, when the library ends the transaction, unless the test is over.
func (p *peer) play(l *leg) {
	p.mu.Lock()
	select {
	case <-p.over:
		p.mu.Unlock()
		return
	default:
	}
	p.scripts.Add(1)
	p.mu.Unlock()
	defer p.scripts.Done()
	p.script(l)
}

// on makes the peer answer a method in a way of its own.
func (p *peer) on(method gosip.RequestMethod, by func(*gosip.Request) *gosip.Response) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.by[method] = by
}

func (p *peer) answer(req *gosip.Request, tx gosip.ServerTransaction) {
	p.mu.Lock()
	by := p.by[req.Method]
	p.mu.Unlock()
	res := gosip.NewResponseFromRequest(req, 200, "OK", nil)
	if by != nil {
		res = by(req)
	}
	if res != nil {
		_ = tx.Respond(res)
	}
}

func (p *peer) leg(req *gosip.Request) *leg {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.legs[string(*req.CallID())]
}

// all returns the requests of a method that the peer has got.
func (p *peer) all(method gosip.RequestMethod) []*gosip.Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []*gosip.Request
	for _, r := range p.requests {
		if r.Method == method {
			out = append(out, r)
		}
	}
	return out
}

// await waits for a request of a method.
func (p *peer) await(method gosip.RequestMethod) {
	p.t.Helper()
	over := time.After(soon)
	for {
		select {
		case m := <-p.seen:
			if m == method {
				return
			}
		case <-over:
			p.t.Fatalf("no %s came", method)
		}
	}
}

// respond answers the INVITE; headers are "Name: value".
func (l *leg) respond(status int, text string, body string, headers ...string) {
	res := gosip.NewResponseFromRequest(l.invite, status, text, nil)
	if to := res.To(); to != nil && status > 100 {
		to.Params.Remove("tag")
		to.Params.Add("tag", l.tag)
	}
	res.AppendHeader(&gosip.ContactHeader{Address: gosip.Uri{User: "gw", Host: l.p.addr.Addr().String(),
		Port: int(l.p.addr.Port())}})
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		res.AppendHeader(gosip.NewHeader(name, value))
	}
	if body != "" {
		res.AppendHeader(gosip.NewHeader("Content-Type", "application/sdp"))
		res.SetBody([]byte(body))
	}
	_ = l.tx.Respond(res)
}

// open opens the peer's socket for sound and reads what comes.
func (l *leg) open() string {
	var err error
	l.far, err = parseSDP(l.invite.Body(), []codec{pcmu(), pcma()})
	if err != nil {
		l.p.t.Errorf("the offer cannot be read: %v", err)
		return ""
	}
	l.rtp, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		l.p.t.Error(err)
		return ""
	}
	_ = l.rtp.SetReadBuffer(4 << 20)
	go func() {
		defer close(l.heard)
		buf := make([]byte, 2048)
		for {
			n, err := l.rtp.Read(buf)
			if err != nil {
				return
			}
			var p rtp.Packet
			if err := p.Unmarshal(slices.Clone(buf[:n])); err != nil {
				l.p.t.Errorf("a packet is no RTP: %v", err)
			}
			l.mu.Lock()
			l.sounds = append(l.sounds, p)
			l.mu.Unlock()
		}
	}()
	return l.sdp("0 101", "a=rtpmap:101 telephone-event/8000\r\n")
}

// sdp returns the peer's session description.
func (l *leg) sdp(formats, attributes string) string {
	return fmt.Sprintf(
		"v=0\r\no=gw 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio %d RTP/AVP %s\r\n%s",
		l.rtp.LocalAddr().(*net.UDPAddr).Port,
		formats,
		attributes,
	)
}

// pickUp rings and answers.
func (l *leg) pickUp() {
	l.respond(180, "Ringing", "")
	l.respond(200, "OK", l.open())
	l.wait(l.acked, "ACK")
}

func (l *leg) wait(on <-chan *gosip.Request, what string) *gosip.Request {
	select {
	case r := <-on:
		return r
	case <-time.After(soon):
		l.p.t.Errorf("no %s came", what)
	case <-l.p.over:
	}
	return nil
}

// untilCancelled waits for the CANCEL.
func (l *leg) untilCancelled() {
	select {
	case <-l.cancelled:
	case <-l.p.over:
	}
}

// key presses a key as RFC 4733 does it: three packets with rising duration, and three that say that it ended.
func (l *leg) key(event byte) { l.packets(event, 101, 6) }

func (l *leg) packets(event, pt byte, n int) {
	for i := range n {
		end := byte(10)
		if i >= 3 {
			end |= 0x80
		}
		l.raw(rtp.Packet{
			Header: rtp.Header{
				Version:        2,
				Marker:         i == 0,
				PayloadType:    pt,
				SequenceNumber: uint16(i),
				Timestamp:      4000,
				SSRC:           7,
			},
			Payload: []byte{event, end, 0, byte(i+1) * 16},
		})
	}
}

func (l *leg) raw(p rtp.Packet) {
	b, err := p.Marshal()
	if err != nil {
		l.p.t.Error(err)
		return
	}
	l.send(b)
}

func (l *leg) send(b []byte) {
	_, _ = l.rtp.WriteToUDPAddrPort(b, l.far.addr)
}

// request sends a request within the call and answers the final response.
func (l *leg) request(method gosip.RequestMethod, body, kind string) *gosip.Response {
	return l.requestAs(method, body, kind, l.tag)
}

func (l *leg) requestAs(method gosip.RequestMethod, body, kind, tag string) *gosip.Response {
	contact := l.invite.Contact().Address
	req := gosip.NewRequest(method, contact)
	from := &gosip.FromHeader{Address: l.invite.To().Address}
	from.Params.Add("tag", tag)
	ours, _ := l.invite.From().Params.Get("tag")
	to := &gosip.ToHeader{Address: l.invite.From().Address}
	to.Params.Add("tag", ours)
	id := gosip.CallIDHeader(string(*l.invite.CallID()))
	l.seq++
	hops := gosip.MaxForwardsHeader(70)
	for _, h := range []gosip.Header{from, to, &id, &gosip.CSeqHeader{SeqNo: l.seq, MethodName: method}, &hops,
		&gosip.ContactHeader{Address: gosip.Uri{User: "gw", Host: "127.0.0.1", Port: int(l.p.addr.Port())}}} {
		req.AppendHeader(h)
	}
	via := &gosip.ViaHeader{
		ProtocolName:    "SIP",
		ProtocolVersion: "2.0",
		Transport:       l.invite.Transport(),
		Host:            "127.0.0.1",
		Port:            int(l.p.addr.Port()),
	}
	via.Params.Add("branch", gosip.GenerateBranch())
	req.PrependHeader(via)
	if kind != "" {
		req.AppendHeader(gosip.NewHeader("Content-Type", kind))
	}
	req.SetBody([]byte(body))
	req.SetTransport(l.invite.Transport())
	req.SetDestination(l.invite.Source())
	if l.invite.Transport() == "UDP" {
		req.Laddr = gosip.Addr{IP: net.IPv4(127, 0, 0, 1), Port: int(l.p.addr.Port())}
	}
	tx, err := l.p.ua.TransactionLayer().Request(context.Background(), req)
	if err != nil {
		l.p.t.Errorf("%s: %v", method, err)
		return nil
	}
	over := time.After(soon)
	for {
		select {
		case res := <-tx.Responses():
			if res.IsProvisional() {
				continue
			}
			if method == gosip.INVITE && res.IsSuccess() {
				ack := req.Clone()
				ack.Method = gosip.ACK
				ack.CSeq().MethodName = gosip.ACK
				ack.SetBody(nil)
				ack.RemoveHeader("Content-Type")
				ack.RemoveHeader("Via")
				again := via.Clone()
				again.Params.Add("branch", gosip.GenerateBranch())
				ack.PrependHeader(again)
				_ = l.p.ua.TransportLayer().WriteMsg(ack)
			}
			return res
		case <-over:
			l.p.t.Errorf("%s was not answered", method)
			return nil
		case <-l.p.over:
			return nil
		}
	}
}

// stream returns the sound that the peer has got so far, in the order of its numbers, and holds that these are right.
func (l *leg) stream() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []byte
	for i, p := range l.sounds {
		if i > 0 {
			before := l.sounds[i-1]
			if p.SequenceNumber != before.SequenceNumber+1 {
				l.p.t.Errorf("packet %d has the number %d after %d", i, p.SequenceNumber, before.SequenceNumber)
			}
			if p.Timestamp-before.Timestamp != 160 && !p.Marker {
				l.p.t.Errorf("packet %d has the time %d after %d", i, p.Timestamp, before.Timestamp)
			}
			if p.SSRC != before.SSRC {
				l.p.t.Errorf("packet %d changes the source", i)
			}
		} else if !p.Marker {
			l.p.t.Error("the first packet has no marker")
		}
		if len(p.Payload) != 160 {
			l.p.t.Errorf("packet %d has %d samples", i, len(p.Payload))
		}
		out = append(out, p.Payload...)
	}
	return out
}

// said returns the names of the recordings that a sound holds, in their order: what a person would have heard. It
// knows nothing of what was to be said.
func said(t *testing.T, sound []byte, locale string, as codec) []string {
	t.Helper()
	book, err := prompts.Load(nil)
	must(t, err)
	names := []string{prompts.Greeting, prompts.PressOne, prompts.Lead, prompts.Again, prompts.Goodbye}
	for c := 'a'; c <= 'z'; c++ {
		names = append(names, string(c))
	}
	for c := '0'; c <= '9'; c++ {
		names = append(names, string(c))
	}
	// The beginnings are silent and alike: recordings are told apart by a piece further on.
	const from, size = 600, 16
	recordings := map[[size]byte]map[string][]byte{}
	for _, name := range names {
		audio, ok := book.Find(locale, name)
		if !ok {
			t.Fatalf("no recording of %s", name)
		}
		audio = as.encode(audio)
		key := [size]byte(audio[from:])
		if recordings[key] == nil {
			recordings[key] = map[string][]byte{}
		}
		recordings[key][name] = audio
	}
	var out []string
	for i := 0; i+from+size <= len(sound); {
		step := 1
		for name, audio := range recordings[[size]byte(sound[i+from:])] {
			if bytes.HasPrefix(sound[i:], audio) {
				out, step = append(out, name), len(audio)
				break
			}
		}
		i += step
	}
	return out
}

// spelt returns the digits and letters among what was said.
func spelt(names []string) string {
	var out strings.Builder
	for _, n := range names {
		if len(n) == 1 {
			out.WriteString(n)
		}
	}
	return out.String()
}

// route is a sender that is running.
type route struct {
	*sender
	t        *testing.T
	receipts chan channel.Receipt
	stop     func()
}

// logged is a log that tests may read.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// settings returns the settings of a route to a peer.
func settings(p *peer) *Config {
	c := defaults()
	c.Server, c.Listen, c.From = p.addr.String(), "127.0.0.1:0", "+4930123456"
	c.Speech = speechOff // what the machine has installed must not change the tests
	c.Username, c.Password = "acct", secret.New(password)
	return c
}

// newRoute runs a route to a peer, at many times the speed of sound, and holds at the end that its log keeps secrets.
func newRoute(t *testing.T, p *peer, change func(*Config)) *route {
	t.Helper()
	return newRouteTo(t, settings(p), change)
}

func newRouteTo(t *testing.T, c *Config, change func(*Config)) *route {
	t.Helper()
	if change != nil {
		change(c)
	}
	must(t, c.Validate())
	log := &logged{}
	opened, err := c.Open(channel.Env{
		Route: "voice",
		Log:   slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Now:   time.Now,
	})
	must(t, err)
	r := &route{sender: opened.(*sender), t: t, receipts: make(chan channel.Receipt, 10)}
	r.frame = time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- r.Run(ctx, func(got channel.Receipt) { r.receipts <- got }) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ran:
			if err != nil {
				t.Errorf("Run ended with %v", err)
			}
		case <-time.After(soon):
			t.Error("Run does not end")
		}
		for _, leak := range secrets() {
			if strings.Contains(log.String(), leak) {
				t.Errorf("the log has %s in it", leak)
			}
		}
	})
	t.Cleanup(r.stop)
	return r
}

// secrets are what no log and no error may show.
func secrets() []string { return []string{number, number[1:], code, password} }

// call sends the message of a test.
func (r *route) call(change func(*channel.Message)) (channel.Accepted, error) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), soon)
	defer cancel()
	return r.callIn(ctx, change)
}

func (r *route) callIn(ctx context.Context, change func(*channel.Message)) (channel.Accepted, error) {
	r.t.Helper()
	m := newMessage(r.t, code, "en")
	if change != nil {
		change(&m)
	}
	a, err := r.Send(ctx, m)
	if err != nil {
		if _, ok := errors.AsType[*channel.Error](err); !ok {
			r.t.Errorf("an error is none of the closed set: %T", err)
		}
		for _, leak := range secrets() {
			if strings.Contains(err.Error(), leak) {
				r.t.Errorf("an error has %s in it", leak)
			}
		}
	} else if a.ID == "" || len(a.ID) > 128 {
		r.t.Errorf("the id is %q", a.ID)
	}
	return a, err
}

// newMessage returns the message that reads a code in a language.
func newMessage(t *testing.T, code, locale string) channel.Message {
	t.Helper()
	to, err := phone.FromE164(number)
	must(t, err)
	spoken, err := message.Speak(message.Request{Purpose: message.Login, Locale: locale, Brand: "Acme",
		Code: message.NewCode(code)})
	must(t, err)
	return channel.Message{
		Delivery:  "dlv_1",
		Channel:   channel.Voice,
		To:        to,
		Spoken:    spoken,
		Code:      message.NewCode(code),
		Brand:     "Acme",
		Purpose:   message.Login,
		Locale:    locale,
		ExpiresAt: time.Now().Add(5 * time.Minute),
	}
}

// receipt waits for the receipt of a call and holds what every receipt must be.
func (r *route) receipt(id string, status channel.Status, code string, kind channel.ErrorKind) {
	r.t.Helper()
	select {
	case got := <-r.receipts:
		if got.ProviderID != id || got.Status != status || got.Code != code || got.Kind != kind || got.At.IsZero() ||
			got.Token != "" {
			r.t.Errorf("the receipt is %+v, want %s %s %q", got, status, code, kind)
		}
	case <-time.After(soon):
		r.t.Fatal("there is no receipt")
	}
}

// refused holds the error of a call.
func refused(t *testing.T, err error, kind channel.ErrorKind, code string) *channel.Error {
	t.Helper()
	e, ok := errors.AsType[*channel.Error](err)
	if !ok || e.Kind != kind || e.Code != code || e.Detail == "" || e.Provider != "sip" {
		t.Fatalf("got %v, want %s %s", err, kind, code)
	}
	return e
}

func itoa(n int) string { return strconv.Itoa(n) }
