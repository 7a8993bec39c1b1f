package sip

import (
	"net"
	"strings"
	"testing"
	"time"

	gosip "github.com/emiago/sipgo/sip"
	"github.com/pion/rtp"

	"github.com/dialproof/dialproof/internal/channel"
)

// TestReinvite: the far end moves the sound to another port, takes A-law instead, holds the call and takes it back.
func TestReinvite(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		method gosip.RequestMethod
	}{"INVITE": {gosip.INVITE}, "UPDATE": {gosip.UPDATE}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			legs, done := make(chan *leg, 1), make(chan struct{})
			p := newPeer(t, "udp", nil, func(l *leg) {
				defer close(done)
				l.pickUp()
				legs <- l
				held := l.request(row.method, l.sdp("0 101", "a=sendonly\r\n"), "application/sdp")
				if held == nil || held.StatusCode != 200 || !strings.Contains(string(held.Body()), "a=recvonly") ||
					held.Contact() == nil {
					l.p.t.Errorf("the hold is answered with %v", held)
				}
				before := len(l.stream())
				time.Sleep(50 * time.Millisecond)
				if after := len(l.stream()); after > before+160 {
					l.p.t.Errorf("%d samples came into the hold", after-before)
				}
				back := l.request(row.method, l.sdp("8 101", "a=rtpmap:101 telephone-event/8000\r\nm=video 5000 RTP/AVP 31\r\n"),
					"application/sdp")
				if back == nil || back.StatusCode != 200 {
					l.p.t.Errorf("taking the call back is answered with %v", back)
					return
				}
				answer := string(back.Body())
				if !strings.Contains(answer, "RTP/AVP 8 101\r\n") || !strings.Contains(answer, "a=sendrecv") ||
					!strings.HasSuffix(answer, "m=video 0 RTP/AVP 31\r\n") {
					l.p.t.Errorf("the answer is %q", answer)
				}
				l.key(1)
			})
			r := newRoute(t, p, nil)
			a, err := r.call(nil)
			must(t, err)
			r.receipt(a.ID, channel.Delivered, "", "")
			l := <-legs
			l.wait(l.ended, "BYE")
			<-done
			if got := spelt(said(t, l.stream(), "en", pcma())); got != code+code {
				t.Errorf("heard %s after the change to A-law", got)
			}
		})
	}
}

// TestWithinCall: the other requests of a call, good and bad ones.
func TestWithinCall(t *testing.T) {
	t.Parallel()
	done := make(chan struct{})
	p := newPeer(t, "udp", nil, func(l *leg) {
		defer close(done)
		want := func(status int, res *gosip.Response) *gosip.Response {
			l.p.t.Helper()
			if res == nil || res.StatusCode != status {
				l.p.t.Errorf("got %v, want %d", res, status)
				return gosip.NewResponse(0, "")
			}
			return res
		}
		l.respond(180, "Ringing", "")
		want(481, l.request(gosip.BYE, "", "")) // not answered yet
		l.respond(200, "OK", l.open())
		l.wait(l.acked, "ACK")
		options := want(200, l.request(gosip.OPTIONS, "", ""))
		if h := options.GetHeader("Allow"); h == nil || !strings.Contains(h.Value(), "INVITE") {
			l.p.t.Error("OPTIONS is answered without Allow")
		}
		want(200, l.request(gosip.UPDATE, "", ""))
		offer := want(200, l.request(gosip.INVITE, "", ""))
		if !strings.Contains(string(offer.Body()), "RTP/AVP 0 8 101") {
			l.p.t.Error("a re-INVITE without an offer gets none")
		}
		want(488, l.request(gosip.INVITE, "v=0\r\nm=audio 4000 RTP/SAVP 0\r\n", "application/sdp"))
		want(488, l.request(gosip.UPDATE, "hello", "application/sdp"))
		want(200, l.request(gosip.INFO, "Signal=9", "application/dtmf-relay"))
		want(481, l.requestAs(gosip.BYE, "", "", "another-tag"))
		want(403, l.requestAs(gosip.INVITE, "", "", "another-tag"))
		want(405, l.request(gosip.MESSAGE, "hi", "text/plain"))
		l.seq -= 5
		want(500, l.request(gosip.INFO, "Signal=1", "application/dtmf-relay")) // out of order
		l.seq += 5
		want(200, l.request(gosip.BYE, "", ""))
	})
	r := newRoute(t, p, nil)
	r.frame = frameTime
	a, err := r.call(nil)
	must(t, err)
	<-done
	r.receipt(a.ID, channel.Undelivered, "hung_up", "")
}

// TestAckAgain: an answer that comes again is acknowledged again; one from another phone is hung up on.
func TestAckAgain(t *testing.T) {
	t.Parallel()
	done := make(chan struct{})
	p := newPeer(t, "udp", nil, func(l *leg) {
		defer close(done)
		l.pickUp()
		l.respond(200, "OK", "")
		l.wait(l.acked, "second ACK")
		first := l.tag
		l.tag = "the-other-phone"
		l.respond(200, "OK", l.sdp("0", ""))
		for _, on := range []<-chan *gosip.Request{l.acked, l.ended} {
			if req := l.wait(on, "request to the other phone"); req != nil {
				if tag, _ := req.To().Params.Get("tag"); tag != l.tag {
					l.p.t.Errorf("%s goes to %s", req.Method, tag)
				}
			}
		}
		l.tag = first
		l.key(1)
	})
	r := newRoute(t, p, nil)
	a, err := r.call(nil)
	must(t, err)
	r.receipt(a.ID, channel.Delivered, "", "")
	<-done
}

// TestRecordRoute: requests of the call take the way that the proxies recorded.
func TestRecordRoute(t *testing.T) {
	t.Parallel()
	legs := make(chan *leg, 1)
	p := newPeer(t, "udp", nil, func(l *leg) {
		l.respond(200, "OK", l.open(), "Record-Route: <sip:"+l.p.addr.String()+";lr;hop=2>",
			"Record-Route: <sip:192.0.2.1;lr;hop=1>", "Record-Route: <sip:"+l.p.addr.String()+";lr;hop=0>")
		legs <- l
		l.wait(l.acked, "ACK")
		l.key(1)
	})
	r := newRoute(t, p, nil)
	a, err := r.call(nil)
	must(t, err)
	r.receipt(a.ID, channel.Delivered, "", "")
	l := <-legs
	bye := l.wait(l.ended, "BYE")
	var hops []string
	for _, h := range bye.GetHeaders("Route") {
		hops = append(hops, h.Value())
	}
	if got := strings.Join(hops, " "); !strings.Contains(got,
		"hop=0> <sip:192.0.2.1;lr;hop=1> <sip:"+p.addr.String()+";lr;hop=2>") {
		t.Errorf("the way is %s", got)
	}
	if bye.CSeq().SeqNo <= l.invite.CSeq().SeqNo || bye.Recipient.User != "gw" {
		t.Errorf("the BYE is %s, number %d", bye.Recipient.String(), bye.CSeq().SeqNo)
	}
}

// TestByeChallenged: some proxies want the password at the end too.
func TestByeChallenged(t *testing.T) {
	t.Parallel()
	legs := make(chan *leg, 1)
	p := newPeer(t, "udp", nil, func(l *leg) { l.pickUp(); legs <- l; l.key(1) })
	p.on(gosip.BYE, func(req *gosip.Request) *gosip.Response {
		if req.GetHeader("Proxy-Authorization") != nil {
			return gosip.NewResponseFromRequest(req, 200, "OK", nil)
		}
		res := gosip.NewResponseFromRequest(req, 407, "Who", nil)
		name, value, _ := strings.Cut(challenge(407, "proxy"), ": ")
		res.AppendHeader(gosip.NewHeader(name, value))
		return res
	})
	r := newRoute(t, p, nil)
	_, err := r.call(nil)
	must(t, err)
	l := <-legs
	l.wait(l.ended, "BYE")
	if again := l.wait(l.ended, "second BYE"); again != nil && again.GetHeader("Proxy-Authorization") == nil {
		t.Error("the second BYE has no password")
	}
}

// TestDescriptions: what the far end may say of the sound, and what ends the call.
func TestDescriptions(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		early, answer func(*leg) string
		want          string // the receipt's code; empty is delivered
	}{
		"none":       {nil, func(*leg) string { return "" }, "no_sdp"},
		"early only": {func(l *leg) string { return l.sdp("0 101", "") }, func(*leg) string { return "" }, ""},
		"encrypted": {nil, func(l *leg) string { return strings.Replace(l.sdp("0", ""), "RTP/AVP", "RTP/SAVP", 1) },
			"no_codec"},
		"other codec": {nil, func(l *leg) string { return l.sdp("18 101", "") }, "no_codec"},
		"no sound":    {nil, func(*leg) string { return "v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio 0 RTP/AVP 0\r\n" }, "no_codec"},
		"host name": {nil, func(l *leg) string {
			return strings.Replace(l.sdp("0", ""), "c=IN IP4 127.0.0.1", "c=IN IP4 media.example.com", 1)
		}, "no_codec"},
		"nonsense": {nil, func(*leg) string { return "<xml/>" }, "no_sdp"},
		"dynamic types": {nil, func(l *leg) string {
			return l.sdp("97 98", "a=rtpmap:97 pcmu/8000/1\r\na=rtpmap:98 TELEPHONE-EVENT/8000\r\n")
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			legs, rang := make(chan *leg, 1), make(chan struct{})
			p := newPeer(t, "udp", nil, func(l *leg) {
				l.open()
				early := ""
				if row.early != nil {
					early = row.early(l)
				}
				l.respond(183, "Session Progress", early)
				select { // the library may hand over responses in another order than they came
				case <-rang:
				case <-l.p.over:
				}
				l.respond(200, "OK", row.answer(l))
				l.wait(l.acked, "ACK")
				legs <- l
				l.packets(1, 101, 3)
				l.packets(1, 98, 3)
			})
			r := newRoute(t, p, nil)
			a, err := r.call(nil)
			must(t, err)
			close(rang)
			if row.want == "" {
				r.receipt(a.ID, channel.Delivered, "", "")
			} else {
				r.receipt(a.ID, channel.Undelivered, row.want, channel.Refused)
			}
			l := <-legs
			l.wait(l.ended, "BYE")
		})
	}
}

// TestGarbage: nonsense on the port of the sound presses no key, and neither do strangers.
func TestGarbage(t *testing.T) {
	t.Parallel()
	legs := make(chan *leg, 1)
	p := newPeer(t, "udp", nil, func(l *leg) {
		l.pickUp()
		legs <- l
		event := func(version, pt uint8, payload ...byte) {
			p := rtp.Packet{Header: rtp.Header{Version: version, PayloadType: pt, SSRC: 7}, Payload: payload}
			l.raw(p)
		}
		for range 20 {
			l.send(nil)
			l.send([]byte("1"))
			l.send([]byte(strings.Repeat("\xff", 3000)))
			l.send([]byte{0x9f, 101, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0}) // a header that says more than is there
			event(2, 0, 1, 0, 0, 0)
			event(2, 101, 1)
			event(2, 101, 16, 0, 0, 0)
			event(2, 101, 255, 0, 0, 0)
		}
		stranger, err := net.DialUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 2)}, net.UDPAddrFromAddrPort(l.far.addr))
		if err != nil {
			l.p.t.Error(err)
			return
		}
		defer stranger.Close()
		press := rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 101}, Payload: []byte{1, 0, 0, 160}}
		b, _ := press.Marshal()
		_, _ = stranger.Write(b)
	})
	r := newRoute(t, p, nil)
	a, err := r.call(nil)
	must(t, err)
	r.receipt(a.ID, channel.Undelivered, "no_press", "")
	<-legs
}
