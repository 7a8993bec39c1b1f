package smpp

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/smpp/pdu"
)

// dialer opens a connection.
type dialer func(ctx context.Context, network, address string) (net.Conn, error)

// Run implements channel.Runner: it binds the route's sessions and keeps them bound until ctx ends. Then it lets
// messages under way end, unbinds and answers nil.
func (s *sender) Run(ctx context.Context, sink func(channel.Receipt)) error {
	var all sync.WaitGroup
	for i := range s.cfg.Binds {
		all.Go(func() { s.keep(ctx, i, sink) })
	}
	all.Wait()
	return nil
}

// keep keeps one session bound.
func (s *sender) keep(ctx context.Context, lane int, sink func(channel.Receipt)) {
	failures := 0
	for at := lane; ctx.Err() == nil; {
		address := s.cfg.Addresses[at%len(s.cfg.Addresses)]
		began := time.Now()
		x, err := s.bind(ctx, address, sink)
		if err == nil {
			s.log.Info("smpp session bound", "address", address)
			s.serve(ctx, x)
		}
		if ctx.Err() != nil {
			return
		}
		if err == nil && time.Since(began) >= s.times.steady {
			failures = 0
		}
		wait := s.pause(failures, err)
		failures++
		if err != nil {
			at++
			s.log.Warn("smpp session cannot be bound", "address", address, "code", err.Code, "detail", err.Detail,
				"cause", err.Unwrap(), "again_in", wait)
		} else {
			s.log.Warn("smpp session lost", "address", address, "reason", x.why, "again_in", wait)
		}
		if !sleep(ctx, wait) {
			return
		}
	}
}

// pause returns how long to wait before the next bind: doubling with each failure, and much longer when the SMSC
// refuses the account, since it will not change its mind soon and may block who insists. Up to half of the wait is left
// to chance, so that nodes do not come back all at once.
func (s *sender) pause(failures int, err *channel.Error) time.Duration {
	first, most := s.times.retry, s.times.maxRetry
	if err != nil && err.Kind == channel.Refused {
		first, most = s.times.refused, s.times.maxRefused
	}
	wait := min(first<<min(failures, 16), most)
	return wait - rand.N(wait/2+1) //nolint:gosec // chance, no secret
}

// serve runs a bound session until it or ctx ends, and leaves nothing behind.
func (s *sender) serve(ctx context.Context, x *session) {
	var all sync.WaitGroup
	all.Go(x.listen)
	all.Go(x.answerAll)
	for range sinkers {
		all.Go(x.tell)
	}
	s.bound.Add(1)
	for range s.cfg.Window {
		s.free <- x
	}
	tick := time.NewTicker(s.cfg.EnquireLink)
	defer tick.Stop()
	for alive := true; alive; {
		select {
		case <-tick.C:
			x.sweep()
			if !x.ask(ctx, pdu.EnquireLink, s.times.enquire) && ctx.Err() == nil {
				x.end("enquire_link was not answered")
			}
		case <-x.done:
			alive = false
		case <-ctx.Done():
			alive = false
		}
	}
	s.bound.Add(-1)
	s.retire(context.WithoutCancel(ctx), x)
	all.Wait()
}

// retire closes a session in good order: messages under way get their answers, then comes the unbind.
func (s *sender) retire(ctx context.Context, x *session) {
	x.mu.Lock()
	x.closing = true
	x.mu.Unlock()
	s.purge()
	idle := make(chan struct{})
	go func() {
		x.inflight.Wait()
		close(idle)
	}()
	drain := time.NewTimer(s.times.drain)
	defer drain.Stop()
	select {
	case <-idle:
	case <-drain.C:
	case <-x.done:
	}
	select {
	case <-x.done:
	default:
		x.ask(ctx, pdu.Unbind, s.times.unbind)
	}
	x.end("the route is closed")
	<-idle // whoever waited for an answer has been told
}

// purge takes the room of dead sessions out of free.
func (s *sender) purge() {
	for range len(s.free) {
		select {
		case x := <-s.free:
			if x.alive() {
				s.free <- x
			}
		default:
			return
		}
	}
}

// bind opens a bound session.
func (s *sender) bind(ctx context.Context, address string, sink func(channel.Receipt)) (*session, *channel.Error) {
	conn, in, err := s.connect(ctx, address)
	s.mu.Lock()
	switch {
	case err == nil:
		s.refusal = nil
	case s.bound.Load() == 0 && err.Kind == channel.Refused:
		s.refusal = err
	case s.bound.Load() == 0:
		s.refusal = nil
	}
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return &session{
		owner:    s,
		conn:     conn,
		in:       in,
		sink:     sink,
		log:      s.log,
		sequence: bindSequence,
		writing:  make(chan struct{}, 1),
		open:     make(map[uint32]*request),
		done:     make(chan struct{}),
		news:     make(chan func(), maxWaiting),
		replies:  make(chan pdu.PDU, maxWaiting),
	}, nil
}

// bindSequence is the sequence number of the bind, the first PDU of a connection.
const bindSequence = 1

// connect opens a connection and binds it as a transceiver.
func (s *sender) connect(ctx context.Context, address string) (net.Conn, *bufio.Reader, *channel.Error) {
	ctx, cancel := context.WithTimeout(ctx, s.times.connect)
	defer cancel()
	conn, err := s.dial(ctx, "tcp", address)
	if err != nil {
		return nil, nil, unavailable("connect", "the SMSC cannot be reached").Because(err)
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() }) //nolint:errcheck // whoever uses it will learn it
	if s.tls != nil {
		trust := s.tls.Clone()
		trust.ServerName, _, _ = net.SplitHostPort(address)
		secured := tls.Client(conn, trust)
		if err := secured.HandshakeContext(ctx); err != nil {
			stop()
			conn.Close() //nolint:errcheck // it is of no use
			return nil, nil, tlsError(err)
		}
		conn = secured
	}
	in := bufio.NewReader(conn)
	fault := s.login(conn, in)
	if !stop() && fault == nil {
		fault = unavailable("connect", "the SMSC did not answer the bind in time")
	}
	if fault != nil {
		conn.Close() //nolint:errcheck // it is of no use
		return nil, nil, fault
	}
	return conn, in, nil
}

// tlsError tells a certificate that is not trusted, which somebody must mend, from a connection that broke.
func tlsError(err error) *channel.Error {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return (&channel.Error{Kind: channel.Refused, Provider: name, Code: "certificate", Detail: "the SMSC's " +
			"certificate is not trusted: see ca_file"}).Because(err)
	}
	return unavailable("tls", "the SMSC does not speak TLS with us").Because(err)
}

// login sends the bind and reads its answer. PDUs that come before the answer mean nothing yet.
func (s *sender) login(conn net.Conn, in *bufio.Reader) *channel.Error {
	ask := pdu.PDU{Command: pdu.BindTransceiver, Sequence: bindSequence, Body: &pdu.Bind{
		SystemID: s.cfg.SystemID, Password: s.cfg.Password.Reveal(), SystemType: s.cfg.SystemType, Version: pdu.Version34,
	}}
	b, err := ask.Append(nil)
	if err != nil {
		return &channel.Error{
			Kind:     channel.Refused,
			Provider: name,
			Code:     "value",
			Detail:   "system_id, password or system_type is too long",
		}
	}
	if _, err := conn.Write(b); err != nil {
		return unavailable("bind", "the connection broke before the bind was answered").Because(err)
	}
	for range maxBad {
		p, err := pdu.Read(in)
		header := err == nil || errors.Is(err, pdu.ErrBody)
		switch {
		case !header:
			return unavailable("bind", "the connection broke before the bind was answered").Because(err)
		case p.Sequence != bindSequence || (p.Command != pdu.BindTransceiverResp && p.Command != pdu.GenericNack):
		case p.Status != statusOK:
			e := statusError(p.Status)
			if e.Kind == channel.Rejected {
				e.Kind = channel.Refused // it is about the account: there is no number yet
			}
			return e
		case p.Command == pdu.BindTransceiverResp:
			return nil
		default:
			return unavailable("bind", "the SMSC's answer to the bind makes no sense")
		}
	}
	return unavailable("bind", "the SMSC sends anything but an answer to the bind")
}

// Check implements channel.Checker: a bind and an unbind of its own, beside the sessions that are bound.
func (s *sender) Check(ctx context.Context) error {
	var fault *channel.Error
	for _, address := range s.cfg.Addresses {
		conn, in, err := s.connect(ctx, address)
		if err == nil {
			s.goodbye(conn, in)
			return nil
		}
		if fault == nil || err.Kind == channel.Refused {
			fault = err
		}
	}
	return fault
}

// goodbye unbinds a connection that nothing else uses, and closes it.
func (s *sender) goodbye(conn net.Conn, in *bufio.Reader) {
	defer conn.Close() //nolint:errcheck // nothing depends on it any more
	ask := pdu.PDU{Command: pdu.Unbind, Sequence: bindSequence + 1}
	b, err := ask.Append(nil)
	if err != nil || conn.SetDeadline(time.Now().Add(s.times.unbind)) != nil {
		return
	}
	if _, err := conn.Write(b); err != nil {
		return
	}
	for range maxBad {
		if p, err := pdu.Read(in); err != nil || p.Command == pdu.UnbindResp {
			return
		}
	}
}
