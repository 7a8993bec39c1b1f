package sip

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	gosip "github.com/emiago/sipgo/sip"

	"github.com/dialproof/dialproof/internal/channel"
)

// rawPeer is a trunk without a library, for what a good one never does. It hands each request to a function, with a
// way to answer that request or an earlier one.
type rawPeer struct {
	t      *testing.T
	conn   *net.UDPConn
	invite *gosip.Request
	from   *net.UDPAddr
	seen   chan gosip.RequestMethod
}

func newRawPeer(t *testing.T, take func(*rawPeer, *gosip.Request)) *rawPeer {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	must(t, err)
	p := &rawPeer{t: t, conn: conn, seen: make(chan gosip.RequestMethod, 100)}
	var reading sync.WaitGroup
	reading.Go(func() {
		buf := make([]byte, 1<<16)
		for {
			n, from, err := conn.ReadFromUDP(buf)
			if err != nil {
				return
			}
			parsed, err := gosip.ParseMessage(buf[:n])
			if err != nil {
				t.Errorf("a request cannot be read: %v", err)
				continue
			}
			req, ok := parsed.(*gosip.Request)
			if !ok {
				continue
			}
			if p.invite == nil { // once: the test looks at it when it has seen the method
				p.invite, p.from = req, from
			}
			take(p, req)
			p.seen <- req.Method
		}
	})
	t.Cleanup(func() { _ = conn.Close(); reading.Wait() })
	return p
}

// reply answers a request.
func (p *rawPeer) reply(req *gosip.Request, status int, body string) {
	var b strings.Builder
	fmt.Fprintf(&b, "SIP/2.0 %d X\r\n", status)
	for _, name := range []string{"Via", "From", "To", "Call-ID", "CSeq"} {
		value := req.GetHeader(name).Value()
		if name == "To" && !strings.Contains(value, "tag=") {
			value += ";tag=raw"
		}
		fmt.Fprintf(&b, "%s: %s\r\n", name, value)
	}
	fmt.Fprintf(&b, "Contact: <sip:raw@%s>\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s",
		p.conn.LocalAddr(), len(body), body)
	_, _ = p.conn.WriteToUDP([]byte(b.String()), p.from)
}

// await waits for requests in this order, others may come between.
func (p *rawPeer) await(methods ...gosip.RequestMethod) {
	p.t.Helper()
	over := time.After(soon)
	for _, want := range methods {
		for found := false; !found; {
			select {
			case got := <-p.seen:
				found = got == want
			case <-over:
				p.t.Fatalf("no %s came", want)
			}
		}
	}
}

func (p *rawPeer) settings() *Config {
	c := defaults()
	c.Server, c.Listen, c.From, c.Probe = p.conn.LocalAddr().String(), "127.0.0.1:0", "+4930", false
	return c
}

const rawSDP = "v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio 9 RTP/AVP 0 101\r\n"

// TestCrossing: the person picks up while the CANCEL is on its way.
func TestCrossing(t *testing.T) {
	t.Parallel()
	crossing := func(first int, invited func()) func(*rawPeer, *gosip.Request) {
		return func(p *rawPeer, req *gosip.Request) {
			switch {
			case req.IsInvite():
				p.reply(req, first, "")
				invited()
			case req.IsCancel():
				p.reply(p.invite, 200, rawSDP)
				p.reply(req, 481, "")
			case req.Method == gosip.BYE:
				p.reply(req, 200, "")
			}
		}
	}
	t.Run("after ringing", func(t *testing.T) {
		t.Parallel()
		p := newRawPeer(t, crossing(180, func() {}))
		r := newRouteTo(t, p.settings(), func(c *Config) { c.RingTimeout = time.Second })
		a, err := r.call(nil)
		must(t, err)
		r.receipt(a.ID, channel.Undelivered, "no_answer", "")
		p.await(gosip.CANCEL, gosip.ACK, gosip.BYE)
	})
	t.Run("before ringing", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		p := newRawPeer(t, crossing(100, func() { time.AfterFunc(200*time.Millisecond, cancel) }))
		r := newRouteTo(t, p.settings(), nil)
		a, err := r.callIn(ctx, nil) // somebody is there: the call goes on
		must(t, err)
		r.receipt(a.ID, channel.Undelivered, "no_press", "")
		p.await(gosip.CANCEL, gosip.ACK, gosip.BYE)
	})
}

// TestDeafToCancel: a trunk that does not answer the CANCEL leaves a doubt, and whoever picks up later is hung up on.
func TestDeafToCancel(t *testing.T) {
	t.Parallel()
	for first, ring := range map[int]bool{100: false, 180: true} {
		t.Run(itoa(first), func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			p := newRawPeer(t, func(p *rawPeer, req *gosip.Request) {
				switch {
				case req.IsInvite():
					p.reply(req, first, "")
					time.AfterFunc(300*time.Millisecond, cancel)
				case req.Method == gosip.BYE:
					p.reply(req, 200, "")
				}
			})
			r := newRouteTo(t, p.settings(), func(c *Config) { c.RingTimeout = time.Second })
			a, err := r.callIn(ctx, nil)
			if ring {
				must(t, err)
				r.receipt(a.ID, channel.Undelivered, "no_answer", "")
			} else {
				refused(t, err, channel.MaybeSent, "no_response")
			}
			p.await(gosip.CANCEL)
			p.reply(p.invite, 200, rawSDP)
			p.await(gosip.ACK, gosip.BYE)
		})
	}
}

// TestInsist: our answer to a re-INVITE is sent again until it is acknowledged, and an answer in the ACK counts.
func TestInsist(t *testing.T) {
	t.Parallel()
	ear, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	must(t, err)
	defer ear.Close()
	p := newRawPeer(t, func(p *rawPeer, req *gosip.Request) {
		switch {
		case req.IsInvite():
			p.reply(req, 200, rawSDP)
		case req.Method == gosip.BYE:
			p.reply(req, 200, "")
		}
	})
	answers := make(chan string, 100)
	// The peer's own requests go out from a socket of their own, so that their answers are not taken for requests.
	side, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	must(t, err)
	var reading sync.WaitGroup
	reading.Go(func() {
		buf := make([]byte, 1<<16)
		for {
			n, err := side.Read(buf)
			if err != nil {
				return
			}
			answers <- string(buf[:n])
		}
	})
	t.Cleanup(func() { _ = side.Close(); reading.Wait() })
	r := newRouteTo(t, p.settings(), nil)
	r.frame = frameTime
	a, err := r.call(nil)
	must(t, err)
	p.await(gosip.ACK)
	within := func(method, branch, body string) {
		from, to := p.invite.To().Address, p.invite.From()
		text := fmt.Sprintf(
			"%s sip:x@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=%s\r\nFrom: <%s>;tag=raw\r\nTo: %s\r\nCall-ID: "+
				"%s\r\nCSeq: 7 %s\r\nMax-Forwards: 70\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s", method,
			side.LocalAddr(), branch, from.String(), to.Value(), a.ID, method, len(body), body)
		_, err := side.WriteToUDP([]byte(text), net.UDPAddrFromAddrPort(r.trunkNow(t).local))
		must(t, err)
	}
	within("INVITE", "z9hG4bKone", "")
	for n := 0; n < 2; {
		select {
		case text := <-answers:
			if strings.HasPrefix(text, "SIP/2.0 200 ") && strings.Contains(text, "m=audio ") {
				n++
			}
		case <-time.After(soon):
			t.Fatalf("the answer came %d times", n)
		}
	}
	within("ACK", "z9hG4bKtwo",
		fmt.Sprintf("v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio %d RTP/AVP 0\r\n", ear.LocalAddr().(*net.UDPAddr).Port))
	_ = ear.SetReadDeadline(time.Now().Add(soon))
	if _, err := ear.Read(make([]byte, 2000)); err != nil {
		t.Error("the sound does not go where the ACK says")
	}
}
