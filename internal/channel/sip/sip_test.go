package sip

import (
	"context"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	gosip "github.com/emiago/sipgo/sip"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/channeltest"
)

// TestCall: the whole of a call. What is said is read out of the packets that came.
func TestCall(t *testing.T) {
	t.Parallel()
	legs := make(chan *leg, 1)
	p := newPeer(t, "udp", nil, func(l *leg) {
		l.respond(100, "Trying", "")
		l.pickUp()
		legs <- l
		l.key('1' - '0')
	})
	r := newRoute(t, p, nil)
	a, err := r.call(nil)
	must(t, err)
	l := <-legs
	r.receipt(a.ID, channel.Delivered, "", "")
	l.wait(l.ended, "BYE")
	names := said(t, l.stream(), "en", pcmu())
	if got := spelt(names); got != code+code {
		t.Errorf("the code was heard as %s", got)
	}
	after := slices.Index(names, "lead")
	if after < 0 || names[len(names)-1] != "goodbye" || names[after+len(code)+1] != "again" {
		t.Errorf("heard %v", names)
	}
	if string(*l.invite.CallID()) != a.ID {
		t.Error("the id is not the Call-ID")
	}
	select {
	case more := <-r.receipts:
		t.Errorf("a second receipt: %+v", more)
	default:
	}
}

// TestEveryAddress: the listen address of the settings' own default is none that a trunk could answer to, so the one
// that leads to the trunk stands in its place.
func TestEveryAddress(t *testing.T) {
	t.Parallel()
	legs := make(chan *leg, 1)
	p := newPeer(t, "udp", nil, func(l *leg) { l.pickUp(); legs <- l; l.key(1) })
	r := newRoute(t, p, func(c *Config) { c.Listen = defaults().Listen })
	a, err := r.call(nil)
	must(t, err)
	r.receipt(a.ID, channel.Delivered, "", "")
	l := <-legs
	l.wait(l.ended, "BYE")
	if text := l.invite.String(); strings.Contains(text, "0.0.0.0") || strings.Contains(text, "::") ||
		!strings.Contains(text, "c=IN IP4 127.0.0.1") {
		t.Errorf("the call cannot be answered:\n%s", text)
	}
	if got := r.Channels(); !slices.Equal(got, []channel.Kind{channel.Voice}) || !r.ReceiptsByID() {
		t.Errorf("it carries %v", got)
	}
}

// TestInvite: what stands in the request.
func TestInvite(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		change func(*Config)
		from   string
		want   []string
	}{
		"plain": {nil, "", []string{"INVITE sip:+447700900123@127.0.0.1 SIP/2.0", "From: <sip:+4930123456@127.0.0.1>;" +
			"tag=", "m=audio ", " RTP/AVP 0 8 101", "a=rtpmap:101 telephone-event/8000", "Contact: <sip:acct@127.0.0.1:"}},
		"sender": {nil, "+4930999", []string{"From: <sip:+4930999@127.0.0.1>;tag="}},
		"digits": {func(c *Config) { c.DialFormat, c.DialPrefix = "digits", "9#00" }, "",
			[]string{"INVITE sip:9%2300447700900123@127.0.0.1 SIP/2.0"}},
		"domain": {func(c *Config) { c.Domain = "voice.example.com" }, "",
			[]string{"INVITE sip:+447700900123@voice.example.com SIP/2.0", "From: <sip:+4930123456@voice.example.com>;tag="}},
		"asserted": {func(c *Config) { c.CallerHeader = headerAsserted }, "", []string{"From: <sip:acct@127.0.0.1>;" +
			"tag=", "P-Asserted-Identity: <sip:+4930123456@127.0.0.1>"}},
		"codecs": {func(c *Config) { c.Codecs = []string{"PCMA"} }, "", []string{" RTP/AVP 8 101"}},
		"public": {func(c *Config) { c.PublicAddress = "192.0.2.7" }, "", []string{"Contact: " +
			"<sip:acct@192.0.2.7:", "c=IN IP4 192.0.2.7", "Via: SIP/2.0/UDP 192.0.2.7:"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPeer(t, "udp", nil, func(l *leg) { l.respond(404, "Not Found", "") })
			r := newRoute(t, p, row.change)
			_, err := r.call(func(m *channel.Message) { m.From = row.from })
			refused(t, err, channel.Rejected, "404")
			got := p.all(gosip.INVITE)[0].String()
			for _, want := range row.want {
				if !strings.Contains(got, want) {
					t.Errorf("there is no %q in\n%s", want, got)
				}
			}
			if len(got) > 950 {
				t.Errorf("the request has %d bytes: with a password it does not fit into a packet", len(got))
			}
		})
	}
}

// TestFinalResponses: every row of testdata, and each of the table's is there. A response that receipts.tsv has is no
// fault of the trunk's: the call counts as taken, and the phone was not reached.
func TestFinalResponses(t *testing.T) {
	t.Parallel()
	rows, err := channeltest.ReadErrors(os.DirFS("testdata"))
	must(t, err)
	news, err := channeltest.ReadNews(os.DirFS("testdata"))
	must(t, err)
	faults, reached := []string{}, map[string]bool{}
	for status, row := range errorTable() {
		if row.kind == "" {
			reached[itoa(status)] = true
			continue
		}
		faults = append(faults, itoa(status))
	}
	must(t, channeltest.Covers(rows, "response", faults))
	answer := func(t *testing.T, status int) (*route, channel.Accepted, error) {
		t.Helper()
		r := newRoute(t, newPeer(t, "udp", nil, func(l *leg) { l.respond(status, "No "+number, "") }), nil)
		a, err := r.call(nil)
		return r, a, err
	}
	for _, row := range rows {
		t.Run(row.Error, func(t *testing.T) {
			t.Parallel()
			_, _, err := answer(t, row.Status)
			refused(t, err, row.Kind, row.Code)
		})
	}
	for _, row := range news {
		delete(reached, row.Word)
		t.Run(row.Word, func(t *testing.T) {
			t.Parallel()
			status, _ := strconv.Atoi(row.Word)
			r, a, err := answer(t, status)
			must(t, err)
			r.receipt(a.ID, row.Status, row.Word, "")
		})
	}
	if delete(reached, "487"); len(reached) > 0 { // 487 answers our own CANCEL, and is in errors.tsv
		t.Errorf("no row of receipts.tsv has %v", reached)
	}
}

// TestRingsFirst: once the phone rings, the end of the call is a receipt.
func TestRingsFirst(t *testing.T) {
	t.Parallel()
	for status, kind := range map[int]channel.ErrorKind{486: "", 603: channel.Rejected, 503: channel.Unavailable} {
		t.Run(itoa(status), func(t *testing.T) {
			t.Parallel()
			ring := make(chan struct{})
			p := newPeer(t, "udp", nil, func(l *leg) {
				l.respond(183, "Session Progress", "")
				select {
				case <-ring:
				case <-l.p.over:
				}
				l.respond(status, "No", "")
			})
			r := newRoute(t, p, nil)
			a, err := r.call(nil)
			must(t, err)
			close(ring)
			r.receipt(a.ID, channel.Undelivered, itoa(status), kind)
		})
	}
}

// TestThrottled: a trunk may ask for a pause.
func TestThrottled(t *testing.T) {
	t.Parallel()
	p := newPeer(t, "udp", nil, func(l *leg) { l.respond(503, "Full", "", "Retry-After: 42 (lines)") })
	_, err := newRoute(t, p, nil).call(nil)
	if e := refused(t, err, channel.Throttled, "503"); e.RetryAfter != 42*time.Second {
		t.Errorf("the pause is %s", e.RetryAfter)
	}
}

// challenge demands a password of whoever sends none.
func challenge(status int, realm string) string {
	name := "WWW-Authenticate"
	if status == 407 {
		name = "Proxy-Authenticate"
	}
	return name + `: Digest realm="` + realm + `", nonce="0badcafe", algorithm=MD5, qop="auth"`
}

// TestPassword: a challenge is met once, and a password that is not accepted is the operator's to mend.
func TestPassword(t *testing.T) {
	t.Parallel()
	for _, status := range []int{401, 407} {
		header := map[int]string{401: "Authorization", 407: "Proxy-Authorization"}[status]
		t.Run(itoa(status), func(t *testing.T) {
			t.Parallel()
			p := newPeer(t, "udp", nil, func(l *leg) {
				if l.invite.GetHeader(header) == nil {
					l.respond(status, "Who", "", challenge(status, "trunk"))
					l.wait(l.tx.Acks(), "ACK")
					return
				}
				l.respond(486, "Busy", "")
			})
			r := newRoute(t, p, nil)
			a, err := r.call(nil)
			must(t, err)
			r.receipt(a.ID, channel.Undelivered, "486", "")
			invites := p.all(gosip.INVITE)
			if len(invites) != 2 || invites[1].CSeq().SeqNo != invites[0].CSeq().SeqNo+1 ||
				*invites[1].CallID() != *invites[0].CallID() {
				t.Fatalf("%d requests came, or not in one call", len(invites))
			}
			digestIsRight(t, invites[1], header)
		})
		t.Run("wrong "+itoa(status), func(t *testing.T) {
			t.Parallel()
			p := newPeer(t, "udp", nil, func(l *leg) { l.respond(status, "Who", "", challenge(status, "trunk")) })
			_, err := newRoute(t, p, nil).call(nil)
			refused(t, err, channel.Refused, itoa(status))
			if n := len(p.all(gosip.INVITE)); n != 2 {
				t.Errorf("the password was sent %d times", n-1)
			}
		})
	}
	t.Run("stale", func(t *testing.T) {
		t.Parallel()
		p := newPeer(t, "udp", nil, func(l *leg) {
			switch {
			case l.invite.GetHeader("Authorization") == nil:
				l.respond(401, "Who", "", challenge(401, "trunk"))
			case strings.Contains(l.invite.GetHeader("Authorization").Value(), "0badcafe"):
				l.respond(401, "Old", "", `WWW-Authenticate: Digest realm="trunk", nonce="fresh", stale=true, algorithm=MD5`)
			default:
				l.respond(486, "Busy", "")
			}
		})
		_, err := newRoute(t, p, nil).call(nil)
		must(t, err)
	})
	t.Run("none set", func(t *testing.T) {
		t.Parallel()
		p := newPeer(t, "udp", nil, func(l *leg) { l.respond(401, "Who", "", challenge(401, "trunk")) })
		r := newRoute(t, p, func(c *Config) { c.Username, c.Password = "", defaults().Password })
		_, err := r.call(nil)
		refused(t, err, channel.Refused, "401")
	})
	t.Run("strange challenges", func(t *testing.T) {
		t.Parallel()
		p := newPeer(t, "udp", nil, func(l *leg) {
			if l.invite.GetHeader("Authorization") == nil {
				l.respond(401, "Who", "", `WWW-Authenticate: Bearer realm="x"`,
					`WWW-Authenticate: Digest realm="x", nonce="y", algorithm=AKAv1-MD5`,
					`WWW-Authenticate: Digest realm="x", nonce="y", qop="auth-int"`,
					`WWW-Authenticate: Digest realm="x", nonce="y", algorithm=sha-256, qop="auth-int, auth"`)
				return
			}
			l.respond(486, "Busy", "")
		})
		_, err := newRoute(t, p, nil).call(nil)
		must(t, err)
		digestIsRight(t, p.all(gosip.INVITE)[1], "Authorization")
	})
}

// TestNoAnswer: a phone that nobody picks up stops ringing.
func TestNoAnswer(t *testing.T) {
	t.Parallel()
	legs := make(chan *leg, 1)
	p := newPeer(t, "udp", nil, func(l *leg) {
		l.respond(180, "Ringing", "")
		legs <- l
		l.untilCancelled()
	})
	r := newRoute(t, p, func(c *Config) { c.RingTimeout = time.Second })
	a, err := r.call(nil)
	must(t, err)
	r.receipt(a.ID, channel.Undelivered, "no_answer", "")
	<-(<-legs).cancelled
}

// TestExpiry: a phone does not ring for a code that is dead.
func TestExpiry(t *testing.T) {
	t.Parallel()
	p := newPeer(t, "udp", nil, func(l *leg) {
		l.respond(180, "Ringing", "")
		l.untilCancelled()
	})
	r := newRoute(t, p, nil)
	a, err := r.call(func(m *channel.Message) { m.ExpiresAt = time.Now().Add(300 * time.Millisecond) })
	must(t, err)
	r.receipt(a.ID, channel.Undelivered, "no_answer", "")
}

// TestPressedTooLate: nor is a dead code spoken.
func TestPressedTooLate(t *testing.T) {
	t.Parallel()
	legs := make(chan *leg, 1)
	die := make(chan struct{})
	p := newPeer(t, "udp", nil, func(l *leg) {
		l.pickUp()
		legs <- l
		select {
		case <-die:
			l.key(1)
		case <-l.p.over:
		}
	})
	r := newRoute(t, p, func(c *Config) { c.PressOne = true })
	r.frame = 5 * time.Millisecond
	a, err := r.call(func(m *channel.Message) { m.ExpiresAt = time.Now().Add(time.Second) })
	must(t, err)
	time.AfterFunc(1100*time.Millisecond, func() { close(die) })
	r.receipt(a.ID, channel.Undelivered, "expired", "")
	l := <-legs
	l.wait(l.ended, "BYE")
	if got := spelt(said(t, l.stream(), "en", pcmu())); got != "" {
		t.Errorf("%q was spoken", got)
	}
}

// TestNoPress: a mailbox presses nothing and hears no code.
func TestNoPress(t *testing.T) {
	t.Parallel()
	legs := make(chan *leg, 1)
	p := newPeer(t, "udp", nil, func(l *leg) {
		l.pickUp()
		legs <- l
		l.key(7)  // another key
		l.key(11) // #
	})
	r := newRoute(t, p, nil)
	a, err := r.call(nil)
	must(t, err)
	r.receipt(a.ID, channel.Undelivered, "no_press", "")
	l := <-legs
	l.wait(l.ended, "BYE")
	names := said(t, l.stream(), "en", pcmu())
	if !slices.Equal(names, []string{"greeting", "press_one", "press_one"}) {
		t.Errorf("heard %v", names)
	}
}

// TestWithoutPress: press_one off speaks at once.
func TestWithoutPress(t *testing.T) {
	t.Parallel()
	legs := make(chan *leg, 1)
	p := newPeer(t, "udp", nil, func(l *leg) { l.pickUp(); legs <- l })
	r := newRoute(t, p, func(c *Config) { c.PressOne = false })
	a, err := r.call(nil)
	must(t, err)
	r.receipt(a.ID, channel.Delivered, "", "")
	l := <-legs
	l.wait(l.ended, "BYE")
	names := said(t, l.stream(), "en", pcmu())
	if spelt(names) != code+code || slices.Contains(names, "press_one") {
		t.Errorf("heard %v", names)
	}
}

// TestLanguages: digits and letters, in other languages and in A-law.
func TestLanguages(t *testing.T) {
	t.Parallel()
	for locale, code := range map[string]string{"de": "309512", "hi": "480165", "ar": "726934", "pt-BR": "QX7A3J",
		"ja": "917703", "fr": "KMZ402"} {
		t.Run(locale, func(t *testing.T) {
			t.Parallel()
			legs := make(chan *leg, 1)
			p := newPeer(t, "udp", nil, func(l *leg) {
				l.respond(180, "Ringing", "")
				l.open()
				l.respond(200, "OK", l.sdp("8 96", "a=rtpmap:96 telephone-event/8000\r\n"))
				l.wait(l.acked, "ACK")
				legs <- l
				l.packets(1, 96, 1)
			})
			r := newRoute(t, p, nil)
			a, err := r.call(func(m *channel.Message) { *m = newMessage(t, code, locale) })
			must(t, err)
			r.receipt(a.ID, channel.Delivered, "", "")
			l := <-legs
			l.wait(l.ended, "BYE")
			l.mu.Lock()
			pt := l.sounds[0].PayloadType
			l.mu.Unlock()
			if got := spelt(said(t, l.stream(), locale, pcma())); pt != 8 || !strings.EqualFold(got, code+code) {
				t.Errorf("heard %s in payload type %d", got, pt)
			}
		})
	}
}

// TestInfo: some trunks send keys as SIP INFO.
func TestInfo(t *testing.T) {
	t.Parallel()
	for kind, body := range map[string]string{"application/dtmf-relay": "Signal= 1\r\nDuration=160\r\n",
		"application/dtmf": "1"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			answers := make(chan *gosip.Response, 1)
			p := newPeer(t, "udp", nil, func(l *leg) {
				l.respond(180, "Ringing", "")
				l.open()
				l.respond(200, "OK", l.sdp("0", ""))
				l.wait(l.acked, "ACK")
				answers <- l.request(gosip.INFO, body, kind)
			})
			r := newRoute(t, p, nil)
			a, err := r.call(nil)
			must(t, err)
			if res := <-answers; res == nil || res.StatusCode != 200 {
				t.Error("INFO is not answered")
			}
			r.receipt(a.ID, channel.Delivered, "", "")
		})
	}
}

// TestHangUp: the person hangs up, before and after the code was spoken once.
func TestHangUp(t *testing.T) {
	t.Parallel()
	t.Run("before", func(t *testing.T) {
		t.Parallel()
		answers := make(chan *gosip.Response, 1)
		p := newPeer(t, "udp", nil, func(l *leg) {
			l.pickUp()
			answers <- l.request(gosip.BYE, "", "")
		})
		r := newRoute(t, p, nil)
		a, err := r.call(nil)
		must(t, err)
		r.receipt(a.ID, channel.Undelivered, "hung_up", "")
		if res := <-answers; res == nil || res.StatusCode != 200 {
			t.Error("BYE is not answered")
		}
		r.stop()
		if len(p.all(gosip.BYE)) != 0 {
			t.Error("a call that was hung up is hung up again")
		}
	})
	t.Run("after the code", func(t *testing.T) {
		t.Parallel()
		p := newPeer(t, "udp", nil, func(l *leg) {
			l.pickUp()
			l.key(1)
			for !slices.Contains(said(l.p.t, l.stream(), "en", pcmu()), "again") {
				select {
				case <-l.p.over:
					return
				case <-time.After(5 * time.Millisecond):
				}
			}
			l.request(gosip.BYE, "", "")
		})
		r := newRoute(t, p, nil)
		r.frame = 2 * time.Millisecond
		a, err := r.call(nil)
		must(t, err)
		r.receipt(a.ID, channel.Delivered, "", "")
	})
	t.Run("in the middle", func(t *testing.T) {
		t.Parallel()
		var r *route
		ready := make(chan struct{})
		p := newPeer(t, "udp", nil, func(l *leg) {
			<-ready
			l.pickUp()
			l.key(1)
			for len(l.stream()) < 4*8000 {
				select {
				case <-l.p.over:
					return
				case <-time.After(time.Millisecond):
				}
			}
			l.request(gosip.BYE, "", "")
		})
		r = newRoute(t, p, nil)
		r.frame = 4 * time.Millisecond
		close(ready)
		a, err := r.call(nil)
		must(t, err)
		r.receipt(a.ID, channel.Undelivered, "hung_up", "")
	})
}

// TestTooLong: an answered call ends at its bound.
func TestTooLong(t *testing.T) {
	t.Parallel()
	legs := make(chan *leg, 1)
	p := newPeer(t, "udp", nil, func(l *leg) { l.pickUp(); legs <- l })
	r := newRoute(t, p, func(c *Config) { c.AnsweredTimeout = time.Second })
	r.frame = frameTime
	a, err := r.call(nil)
	must(t, err)
	r.receipt(a.ID, channel.Undelivered, "too_long", "")
	l := <-legs
	l.wait(l.ended, "BYE")
	// A second of sound in packets of 20 ms.
	if n := len(l.stream()) / 160; n < 35 || n > 55 {
		t.Errorf("%d packets came in a second", n)
	}
}

// TestSlow: the route's time is over before any phone rings.
func TestSlow(t *testing.T) {
	t.Parallel()
	t.Run("trying", func(t *testing.T) {
		t.Parallel()
		p := newPeer(t, "udp", nil, func(l *leg) {
			l.respond(100, "Trying", "")
			l.untilCancelled()
		})
		r := newRoute(t, p, nil)
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		_, err := r.callIn(ctx, nil)
		refused(t, err, channel.Unavailable, "too_slow") // it was cancelled and has ended: surely no phone rings
	})
}

// TestStop: a node that stops ends its calls and waits for them.
func TestStop(t *testing.T) {
	t.Parallel()
	t.Run("ringing", func(t *testing.T) {
		t.Parallel()
		legs := make(chan *leg, 1)
		p := newPeer(t, "udp", nil, func(l *leg) {
			l.respond(180, "Ringing", "")
			legs <- l
			l.untilCancelled()
		})
		r := newRoute(t, p, nil)
		a, err := r.call(nil)
		must(t, err)
		r.stop()
		r.receipt(a.ID, channel.Undelivered, "stopping", "")
		<-(<-legs).cancelled
		_, err = r.call(nil)
		refused(t, err, channel.Unavailable, "not_running")
	})
	t.Run("talking", func(t *testing.T) {
		t.Parallel()
		legs := make(chan *leg, 1)
		p := newPeer(t, "udp", nil, func(l *leg) { l.pickUp(); legs <- l })
		r := newRoute(t, p, nil)
		r.frame = frameTime
		a, err := r.call(nil)
		must(t, err)
		l := <-legs
		r.stop()
		r.receipt(a.ID, channel.Undelivered, "stopping", "")
		l.wait(l.ended, "BYE")
	})
	t.Run("dialling", func(t *testing.T) {
		t.Parallel()
		p := newPeer(t, "udp", nil, func(l *leg) {
			l.respond(100, "Trying", "")
			l.untilCancelled()
		})
		r := newRoute(t, p, nil)
		got := make(chan error, 1)
		go func() { _, err := r.call(nil); got <- err }()
		p.await(gosip.INVITE)
		r.stop()
		if err := <-got; err == nil {
			t.Error("a call that was given up was accepted")
		}
	})
}

// TestLines: no more calls at once than the trunk has lines, and a line is free again after its call.
func TestLines(t *testing.T) {
	t.Parallel()
	p := newPeer(t, "udp", nil, func(l *leg) {
		l.respond(180, "Ringing", "")
		l.untilCancelled()
	})
	r := newRoute(t, p, func(c *Config) { c.MaxCalls, c.RingTimeout = 1, time.Second })
	a, err := r.call(nil)
	must(t, err)
	_, err = r.call(nil)
	if e := refused(t, err, channel.Throttled, "max_calls"); e.RetryAfter == 0 {
		t.Error("no pause is named")
	}
	r.receipt(a.ID, channel.Undelivered, "no_answer", "")
	for {
		if _, err = r.call(nil); err == nil {
			break
		}
		refused(t, err, channel.Throttled, "max_calls")
		time.Sleep(10 * time.Millisecond)
	}
}

// TestPlanRefusals: what cannot be said is not called for.
func TestPlanRefusals(t *testing.T) {
	t.Parallel()
	p := newPeer(t, "udp", nil, func(l *leg) { l.respond(486, "Busy", "") })
	r := newRoute(t, p, nil)
	for code, change := range map[string]func(*channel.Message){
		"transaction": func(m *channel.Message) { m.Purpose = "transaction" },
		"sender":      func(m *channel.Message) { m.From = "+49\r\nX: y" },
		"recording":   func(m *channel.Message) { m.Spoken.Digits = []string{"ß"} },
		"no_code": func(m *channel.Message) {
			m.Spoken.Digits = nil
			m.Code = newMessage(t, "111111", "en").Code
			m.Code = zeroCode()
		},
	} {
		_, err := r.call(change)
		refused(t, err, channel.Refused, code)
	}
	if n := len(p.all(gosip.INVITE)); n != 0 {
		t.Errorf("%d calls were made", n)
	}
	a, err := r.call(func(m *channel.Message) { m.Spoken.Digits = nil }) // the code alone will do
	must(t, err)
	r.receipt(a.ID, channel.Undelivered, "486", "")
}
