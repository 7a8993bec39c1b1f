package sip

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/emiago/sipgo"
	gosip "github.com/emiago/sipgo/sip"

	"github.com/dialproof/dialproof/internal/channel"
)

// quiet takes the library's logging away: its lines hold whole requests, and with them numbers.
var quiet = sync.OnceFunc(func() { gosip.SetDefaultLogger(slog.New(slog.DiscardHandler)) })

// trunk is the live end of a route: its socket, its registration, its calls.
type trunk struct {
	s    *sender
	sink func(channel.Receipt)
	// life ends when the calls shall hang up.
	life context.Context // it is the trunk's own life, not a caller's
	end  context.CancelFunc

	ua     *sipgo.UserAgent
	socket net.PacketConn // udp only
	// local is where signalling comes in; without a port for tcp and tls.
	local netip.AddrPort

	mu      sync.Mutex
	closing bool
	calls   map[string]*call        // by Call-ID
	servers map[netip.Addr]struct{} // the addresses that the server was found at
	ids     map[string]struct{}     // the Call-IDs of what is under way
	tasks   sync.WaitGroup          // calls and the registration
	reader  sync.WaitGroup          // of the socket, which the tasks need to the end
	heard   time.Time               // when the server last answered anything
	state   *channel.Error          // why calls cannot be made: not registered; nil when they can
}

// open sets up the trunk's end of signalling. It sends nothing.
func open(ctx context.Context, s *sender, listen netip.AddrPort, sink func(channel.Receipt)) (*trunk, error) {
	t := &trunk{
		s:       s,
		sink:    sink,
		local:   listen,
		calls:   map[string]*call{},
		servers: map[netip.Addr]struct{}{},
		ids:     map[string]struct{}{},
	}
	none := slog.New(slog.DiscardHandler)
	ua, err := sipgo.NewUA(sipgo.WithUserAgent("dialproof"), sipgo.WithUserAgenTLSConfig(s.tls),
		sipgo.WithUserAgentTransportLayerOptions(gosip.WithTransportLayerLogger(none)),
		sipgo.WithUserAgentTransactionLayerOptions(gosip.WithTransactionLayerLogger(none),
			gosip.WithTransactionLayerTerminateOnConnClose(),
			gosip.WithTransactionLayerUnhandledResponseHandler(func(*gosip.Response) {})))
	if err != nil {
		return nil, (&channel.Error{Kind: channel.Unavailable, Provider: name, Code: "internal",
			Detail: "the SIP library cannot be set up"}).Because(err)
	}
	t.ua = ua
	server, err := sipgo.NewServer(ua, sipgo.WithServerLogger(none))
	if err == nil {
		t.listenTo(server)
		err = t.bind(ctx, server)
	}
	if err != nil {
		release(ctx, ua)
		return nil, (&channel.Error{Kind: channel.Unavailable, Provider: name, Code: "listen",
			Detail: "the listen address cannot be used: is it this machine's, and its port free?"}).Because(err)
	}
	t.life, t.end = context.WithCancel(context.WithoutCancel(ctx))
	if s.cfg.Register {
		t.state = &channel.Error{
			Kind:     channel.Unavailable,
			Provider: name,
			Code:     "not_registered",
			Detail:   "the trunk has not yet answered the registration",
		}
	}
	return t, nil
}

// bind opens the socket for udp. With tcp and tls the connection that is made to the server is used both ways.
func (t *trunk) bind(ctx context.Context, server *sipgo.Server) error {
	if t.s.cfg.Transport != "udp" {
		return nil
	}
	network := "udp4"
	if t.local.Addr().Is6() && !t.local.Addr().Is4In6() {
		network = "udp6"
	}
	conn, err := (&net.ListenConfig{}).ListenPacket(ctx, network, t.local.String())
	if err != nil {
		return err
	}
	addr, ok := conn.LocalAddr().(*net.UDPAddr)
	if !ok {
		return errors.New("no UDP address")
	}
	t.local = netip.AddrPortFrom(t.local.Addr(), uint16(addr.Port))
	socket := &steadySocket{PacketConn: conn, ready: make(chan struct{}), ours: t.ours}
	t.socket = socket
	t.reader.Go(func() { _ = server.ServeUDP(socket) })
	<-socket.ready // the library knows the socket from here on; before, it would open another one
	return nil
}

// steadySocket is a socket that reading does not end before it is closed. It says when it is first read, and it is
// deaf to strangers: the library keeps something of everybody who sends, and answers them.
type steadySocket struct {
	net.PacketConn
	once  sync.Once
	ready chan struct{}
	ours  func(packet []byte, from netip.Addr) bool
}

// ReadFrom implements net.PacketConn.
func (s *steadySocket) ReadFrom(p []byte) (int, net.Addr, error) {
	s.once.Do(func() { close(s.ready) })
	for {
		n, from, err := s.PacketConn.ReadFrom(p)
		if errors.Is(err, net.ErrClosed) {
			return n, from, err
		}
		if err != nil {
			time.Sleep(10 * time.Millisecond) // a passing fault of the network must not end the route, nor use a core
			continue
		}
		if a, ok := from.(*net.UDPAddr); ok && s.ours(p[:n], a.AddrPort().Addr().Unmap()) {
			return n, from, nil
		}
	}
}

// ours reports whether a packet comes from the server, or at least holds the Call-ID of something that is under way.
func (t *trunk) ours(packet []byte, from netip.Addr) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, known := t.servers[from]; known {
		return true
	}
	for id := range t.ids {
		if bytes.Contains(packet, []byte(id)) {
			return true
		}
	}
	return false
}

// expect lets packets with a Call-ID in, until the answered function is called.
func (t *trunk) expect(id string) (forget func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ids[id] = struct{}{}
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.ids, id)
	}
}

// begin runs a task that close waits for. It answers false when the trunk is closing.
func (t *trunk) begin(task func()) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closing {
		return false
	}
	t.tasks.Go(task)
	return true
}

// hangUpWait is how long the far end has to answer what ends a call or a registration.
const hangUpWait = 2 * time.Second

// close hangs up every call, gives the registration back and releases everything.
func (t *trunk) close(ctx context.Context) {
	t.mu.Lock()
	t.closing = true
	t.mu.Unlock()
	t.end()
	t.tasks.Wait()
	t.unregister(ctx)
	if t.socket != nil {
		_ = t.socket.Close()
	}
	t.reader.Wait()
	release(ctx, t.ua)
}

// release closes the library's end. It may still be at work on a last request, and open a socket of its own to answer
// it, so it is closed once more after a moment.
func release(ctx context.Context, ua *sipgo.UserAgent) {
	_ = ua.Close()
	pause(ctx, 20*time.Millisecond)
	_ = ua.Close()
}

// add and drop keep the list of calls, which requests from the far end are looked up in.
func (t *trunk) add(c *call) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.calls[c.id] = c
	t.ids[c.id] = struct{}{}
}

func (t *trunk) drop(c *call) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.calls, c.id)
	delete(t.ids, c.id)
}

func (t *trunk) call(id string) *call {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.calls[id]
}

// hear notes that the server lives.
func (t *trunk) hear() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.heard = t.s.now()
}

const (
	// freshFor is how long after an answer the server is taken to be there.
	freshFor = 30 * time.Second
	// probeWait is how long the server has to answer the question whether it is there.
	probeWait = 2 * time.Second
)

// usable reports whether a call can be tried. A silent server would otherwise use up the time of a message, and leave in
// doubt whether a phone rings.
func (t *trunk) usable(ctx context.Context) error {
	t.mu.Lock()
	state, fresh := t.state, t.s.now().Sub(t.heard) < freshFor
	t.mu.Unlock()
	switch {
	case state != nil:
		again := *state
		return &again
	case fresh || !t.s.cfg.Probe:
		return nil
	}
	err := t.probe(ctx)
	if err != nil && t.socket == nil && ctx.Err() == nil {
		// The connection may have died without a word, as behind a router that forgot it: the next one is new.
		_ = t.ua.TransportLayer().Pool(t.s.cfg.Transport).Clear()
		err = t.probe(ctx)
	}
	return err
}

// probe asks the server whether it is there; any answer will do.
func (t *trunk) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeWait)
	defer cancel()
	_, err := t.ask(ctx, t.newRequest(gosip.OPTIONS, gosip.Uri{Host: t.s.cfg.domain()}))
	return err
}

// options asks the server by OPTIONS. Any answer proves that it is there; some prove that it does not want us.
func (t *trunk) options(ctx context.Context) error {
	res, err := t.ask(ctx, t.newRequest(gosip.OPTIONS, gosip.Uri{Host: t.s.cfg.domain()}))
	if err != nil {
		return err
	}
	switch {
	case res.StatusCode == 401 || res.StatusCode == 403 || res.StatusCode == 407 || res.StatusCode >= 500 &&
		res.StatusCode != 501:
		return refusal(res)
	}
	return nil
}

// resolve returns the server's address, IPv4 unless signalling is bound to an IPv6 address.
func (t *trunk) resolve(ctx context.Context) (netip.AddrPort, error) {
	a, err := t.lookUp(ctx)
	if err == nil {
		t.mu.Lock()
		t.servers[a.Addr()] = struct{}{}
		t.mu.Unlock()
	}
	return a, err
}

func (t *trunk) lookUp(ctx context.Context) (netip.AddrPort, error) {
	host, port, _ := t.s.cfg.server() // it was validated
	if a, err := netip.ParseAddr(host); err == nil {
		return netip.AddrPortFrom(a.Unmap(), port), nil
	}
	network := "ip4"
	if t.local.Addr().Is6() && !t.local.Addr().IsUnspecified() {
		network = "ip6"
	}
	all, err := net.DefaultResolver.LookupNetIP(ctx, network, host)
	if err != nil || len(all) == 0 {
		return netip.AddrPort{}, (&channel.Error{Kind: channel.Unavailable, Provider: name, Code: "dns",
			Detail: "the server's name has no address"}).Because(err)
	}
	return netip.AddrPortFrom(all[0].Unmap(), port), nil
}

// own returns the address of ours that the far end shall use: the one that is set, the one that is listened on, or
// the one from which this machine reaches the server.
func (t *trunk) own(server netip.AddrPort) netip.Addr {
	if a, err := netip.ParseAddr(t.s.cfg.PublicAddress); err == nil {
		return a
	}
	return t.inside(server)
}

// inside is own without what a router makes of it.
func (t *trunk) inside(server netip.AddrPort) netip.Addr {
	if !t.local.Addr().IsUnspecified() {
		return t.local.Addr()
	}
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(server)) // it sends nothing
	if err != nil {
		return t.local.Addr()
	}
	defer conn.Close() //nolint:errcheck // nothing was written
	if a, ok := conn.LocalAddr().(*net.UDPAddr); ok {
		return a.AddrPort().Addr().Unmap()
	}
	return t.local.Addr()
}

// bracketed returns an address as it stands in a header.
func bracketed(a netip.Addr) string {
	if a.Is6() && !a.Is4In6() {
		return "[" + a.String() + "]"
	}
	return a.Unmap().String()
}
