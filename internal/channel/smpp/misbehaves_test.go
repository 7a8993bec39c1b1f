package smpp

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/channeltest"
	"github.com/dialproof/dialproof/internal/channel/smpp/pdu"
)

// on makes a script for one command.
func on(command pdu.Command, do func(l *link, p pdu.PDU) bool) func(*link, pdu.PDU) bool {
	return func(l *link, p pdu.PDU) bool { return p.Command == command && do(l, p) }
}

// question is a request that a centre has not answered yet.
type question struct {
	l *link
	p pdu.PDU
}

func (q question) answer() { q.l.usual(q.p) }

// TestErrors: each command_status means what testdata says, each of the table's is there, and none of them means that
// the message may have left. Throttled ones slow the session down, so each has a centre of its own.
func TestErrors(t *testing.T) {
	t.Parallel()
	rows, err := channeltest.ReadErrors(os.DirFS("testdata"))
	if err != nil {
		t.Fatal(err)
	}
	var known []string
	for _, row := range errorTable() {
		known = append(known, row.code)
	}
	if err := channeltest.Covers(rows, "submit_sm_resp", known); err != nil {
		t.Error(err)
	}
	for _, row := range rows {
		t.Run(row.Error, func(t *testing.T) {
			t.Parallel()
			centre := &smsc{script: on(pdu.SubmitSM, func(l *link, p pdu.PDU) bool {
				if row.Status%2 == 1 {
					p.Command = pdu.GenericNack // it may come so as well
				}
				return l.no(p, uint32(row.Status))
			})}
			if row.Kind == channel.MaybeSent {
				t.Errorf("%s: an SMSC that says no has not taken the message", row)
			}
			start(t, settings(centre.listen(t))).fails(t, t.Context(), row.Kind, row.Code)
		})
	}
}

// TestWithoutID: an SMSC that says yes has the message, with an id or without one. It has no receipt to wait for.
func TestWithoutID(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]func(l *link, p pdu.PDU) bool{
		"no body":           func(l *link, p pdu.PDU) bool { return l.no(p, 0) },
		"an empty id":       func(l *link, p pdu.PDU) bool { return l.taken(p, "") },
		"an id without end": func(l *link, p pdu.PDU) bool { return l.body(p.Command.Response(), p, "id") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, settings((&smsc{script: on(pdu.SubmitSM, script)}).listen(t)))
			a, err := r.Send(t.Context(), channeltest.Message(channel.SMS))
			if err != nil || a.ID != "" || a.Parts != 1 {
				t.Errorf("%+v, %v", a, err)
			}
		})
	}
}

// TestAnswers: what an SMSC can do to a message, and what is then known about it.
func TestAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		script func(l *link, p pdu.PDU) bool
		kind   channel.ErrorKind
		code   string
	}{
		"it hangs up": {func(l *link, _ pdu.PDU) bool { l.conn.Close(); return true }, channel.MaybeSent,
			"lost"},
		"it says nothing": {func(*link, pdu.PDU) bool { return true }, channel.MaybeSent, "time"},
		"it answers another sequence": {func(l *link, p pdu.PDU) bool { p.Sequence += 7; return l.no(p, 8) },
			channel.MaybeSent, "time"},
		"it answers another command": {func(l *link, p pdu.PDU) bool { p.Command = pdu.DeliverSM; return l.no(p, 8) },
			channel.MaybeSent, "time"},
		"its no has nonsense behind it": {func(l *link, p pdu.PDU) bool {
			p.Status = 0x0B
			return l.body(p.Command.Response(), p, "id")
		}, channel.Rejected, "ESME_RINVDSTADR"},
		"it nacks without a reason": {func(l *link, p pdu.PDU) bool { return l.body(pdu.GenericNack, p, "") },
			channel.MaybeSent, "answer"},
		"it nacks with sequence 0": {func(l *link, p pdu.PDU) bool {
			p.Sequence = 0
			return l.body(pdu.GenericNack, p, "")
		}, channel.MaybeSent, "time"},
		"it sends a length of 4 GiB": {func(l *link, _ pdu.PDU) bool {
			l.raw([]byte("\xff\xff\xff\xff\x80\x00\x00\x04"))
			return true
		}, channel.MaybeSent, "lost"},
		"it sends a length of 4": {func(l *link, _ pdu.PDU) bool {
			l.raw([]byte("\x00\x00\x00\x04\x80\x00\x00\x04"))
			return true
		}, channel.MaybeSent, "lost"},
		"it speaks HTTP": {func(l *link, _ pdu.PDU) bool {
			l.raw([]byte("HTTP/1.1 400 Bad " +
				"Request\r\n\r\n"))
			return true
		}, channel.MaybeSent, "lost"},
		"it stops in the middle": {func(l *link, _ pdu.PDU) bool {
			l.raw([]byte("\x00\x00\x00\x14\x80\x00"))
			l.conn.Close()
			return true
		}, channel.MaybeSent, "lost"},
		"it answers twice": {func(l *link, p pdu.PDU) bool { l.no(p, 8); return l.no(p, 8) },
			channel.Unavailable, "ESME_RSYSERR"},
		"it unbinds instead of answering": {func(l *link, _ pdu.PDU) bool {
			return l.body(pdu.Unbind, pdu.PDU{Sequence: 1}, "")
		}, channel.MaybeSent, "lost"},
		"it sends PDUs that make no sense, for ever": {func(l *link, _ pdu.PDU) bool {
			for range 2 * maxBad {
				l.body(pdu.DeliverSM, pdu.PDU{Sequence: 1}, "nonsense")
			}
			return true
		}, channel.MaybeSent, "lost"},
		"it sends some that make no sense, and answers": {func(l *link, p pdu.PDU) bool {
			for range maxBad {
				l.body(pdu.SubmitSMResp, pdu.PDU{Sequence: 99}, "nonsense")
			}
			return l.no(p, 8)
		}, channel.Unavailable, "ESME_RSYSERR"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			centre := &smsc{script: on(pdu.SubmitSM, c.script)}
			r := start(t, settings(centre.listen(t)))
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			r.fails(t, ctx, c.kind, c.code)
		})
	}
}

// taken returns a submit_sm with an id.
func (l *link) taken(p pdu.PDU, id string) bool {
	l.say(pdu.PDU{Command: pdu.SubmitSMResp, Sequence: p.Sequence, Body: &pdu.MessageResp{ID: id}})
	return true
}

// body sends any octets as the body of a command.
func (l *link) body(command pdu.Command, p pdu.PDU, octets string) bool {
	b := binary.BigEndian.AppendUint32(nil, uint32(16+len(octets)))
	for _, n := range []uint32{uint32(command), p.Status, p.Sequence} {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	l.raw(append(b, octets...))
	return true
}

// TestReplies: what we answer to what an SMSC asks.
func TestReplies(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		command, want pdu.Command
		body          string
		status        uint32
	}{
		"enquire_link":         {pdu.EnquireLink, pdu.EnquireLinkResp, "", 0},
		"data_sm":              {0x103, pdu.GenericNack, "\x00\x00", statusCommand},
		"a malformed deliver":  {pdu.DeliverSM, pdu.GenericNack, "\x00\x00", statusLength},
		"unbind":               {pdu.Unbind, pdu.UnbindResp, "", 0},
		"a bind the wrong way": {pdu.BindTransceiver, pdu.GenericNack, "a\x00b\x00\x00\x34\x00\x00\x00", statusCommand},
		"a message of a person": {pdu.DeliverSM, pdu.DeliverSMResp,
			"\x00\x01\x011\x00\x00\x002\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02Hi", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answers := make(chan pdu.PDU, 10)
			centre := &smsc{script: func(l *link, p pdu.PDU) bool {
				if p.Command.IsResponse() {
					answers <- p
				}
				if p.Command == pdu.BindTransceiver {
					l.usual(p)
					l.body(pdu.AlertNotification, pdu.PDU{Sequence: 40}, "\x00")
					l.body(c.command, pdu.PDU{Sequence: 41}, c.body)
				}
				return p.Command == pdu.BindTransceiver
			}}
			r := start(t, settings(centre.listen(t)))
			if a := <-answers; a.Command != c.want || a.Sequence != 41 || a.Status != c.status {
				t.Errorf("we answer %+v", a)
			}
			if c.command != pdu.Unbind {
				r.takes(t)
			}
			if len(r.receipts) != 0 {
				t.Error("it became a receipt")
			}
		})
	}
}

// TestUnbound: with nobody to talk to, Send waits a little and then knows that nothing left.
func TestUnbound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := prepare(t, settings("smpp.example.com:2775"))
		r.dial = func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no route") }
		r.run(t)
		began := time.Now()
		r.fails(t, t.Context(), channel.Unavailable, "unbound")
		if took := time.Since(began); took != r.times.patience {
			t.Errorf("Send waited %v", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		r.fails(t, ctx, channel.Unavailable, "time")
		r.fails(t, ctx, channel.Unavailable, "time")
		r.stop()
	})
}

// inside lets a sender talk to a centre without a network, so that time is the test's.
func inside(t *testing.T, c *Config, centre *smsc) *route {
	t.Helper()
	r := prepare(t, c)
	r.times = defaultTimes()
	r.dial = func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		centre.serving.Go(func() { centre.serve(theirs) })
		return ours, nil
	}
	r.run(t)
	return r
}

// end stops both sides within the bubble.
func (r *route) end(centre *smsc) {
	r.stop()
	centre.close()
}

// TestBinds: binds that fail are tried again, seldom when the SMSC refuses the account.
func TestBinds(t *testing.T) {
	t.Parallel()
	for code, c := range map[string]struct {
		status      uint32
		kind        channel.ErrorKind
		least, most int // binds within ten minutes
	}{
		"ESME_RBINDFAIL":  {0x0D, channel.Refused, 3, 6},
		"ESME_RINVPASWD":  {0x0E, channel.Refused, 3, 6},
		"ESME_RINVSYSID":  {0x0F, channel.Refused, 3, 6},
		"ESME_RALYBND":    {0x05, channel.Refused, 3, 6},
		"ESME_RX_P_APPN":  {0x65, channel.Refused, 3, 6},
		"ESME_RSYSERR":    {0x08, channel.Unavailable, 20, 60},
		"ESME_RTHROTTLED": {0x58, channel.Throttled, 20, 60},
	} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var heal atomic.Bool
				centre := &smsc{}
				centre.script = on(pdu.BindTransceiver, func(l *link, p pdu.PDU) bool { return !heal.Load() && l.no(p, c.status) })
				r := inside(t, settings("smpp.example.com:2775"), centre)
				time.Sleep(10 * time.Minute)
				if n := len(centre.all(pdu.BindTransceiver)); n < c.least || n > c.most {
					t.Errorf("%d binds in ten minutes, want %d to %d", n, c.least, c.most)
				}
				began := time.Now()
				if c.kind == channel.Refused {
					r.fails(t, t.Context(), channel.Refused, code)
					if took := time.Since(began); took != 0 {
						t.Errorf("Send waited %v for an account that is refused", took)
					}
				} else {
					r.fails(t, t.Context(), channel.Unavailable, "unbound")
				}
				if e := channel.AsError("", r.Check(t.Context())); e.Kind != c.kind || e.Code != code {
					t.Errorf("the check says %v", e)
				}
				heal.Store(true)
				time.Sleep(11 * time.Minute)
				r.takes(t)
				r.end(centre)
			})
		})
	}
}

// TestBindNonsense: answers to a bind that are none.
func TestBindNonsense(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]func(l *link, p pdu.PDU) bool{
		"silence":           func(*link, pdu.PDU) bool { return true },
		"hanging up":        func(l *link, _ pdu.PDU) bool { l.conn.Close(); return true },
		"another sequence":  func(l *link, p pdu.PDU) bool { p.Sequence++; return l.no(p, 0) },
		"a nack without no": func(l *link, p pdu.PDU) bool { return l.body(pdu.GenericNack, p, "") },
		"a flood": func(l *link, p pdu.PDU) bool {
			for range 2 * maxBad {
				l.body(pdu.EnquireLink, p, "")
			}
			return true
		},
		"HTTP": func(l *link, _ pdu.PDU) bool { l.raw([]byte("HTTP/1.1 400 Bad Request\r\n")); return true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				centre := &smsc{script: on(pdu.BindTransceiver, script)}
				r := inside(t, settings("smpp.example.com:2775"), centre)
				if e := channel.AsError("", r.Check(t.Context())); e.Kind != channel.Unavailable || e.Provider != "smpp" {
					t.Errorf("the check says %v", e)
				}
				r.fails(t, t.Context(), channel.Unavailable, "unbound")
				r.end(centre)
			})
		})
	}
}

// TestNextAddress: when one address is dead, the next is tried.
func TestNextAddress(t *testing.T) {
	t.Parallel()
	dead, alive := &smsc{}, &smsc{}
	gone := dead.listen(t)
	dead.close()
	c := settings(gone, alive.listen(t))
	c.Binds = 3
	start(t, c).takes(t)
}

// TestWindow: with the window full, Send waits a little and then asks for a pause. No more is out than the window has.
func TestWindow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		held := make(chan question, 10)
		centre := &smsc{script: on(pdu.SubmitSM, func(l *link, p pdu.PDU) bool { held <- question{l, p}; return true })}
		c := settings("smpp.example.com:2775")
		c.Window = 3
		r := inside(t, c, centre)
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() { r.takes(t) })
		}
		synctest.Wait()
		began := time.Now()
		e := r.fails(t, t.Context(), channel.Throttled, "window")
		if took := time.Since(began); took != r.times.patience || e.RetryAfter <= 0 || len(held) != 3 {
			t.Errorf("after %v: %v, %d messages are out", took, e, len(held))
		}
		all.Go(func() { r.takes(t) }) // waits for room, and gets it
		synctest.Wait()
		(<-held).answer()
		synctest.Wait()
		if len(held) != 3 {
			t.Errorf("%d messages are out", len(held))
		}
		for range 3 {
			(<-held).answer()
		}
		all.Wait()
		r.end(centre)
	})
}

// TestEnquireLink: a session whose enquire_link is not answered is given up, and another is bound.
func TestEnquireLink(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var deaf atomic.Bool
		centre := &smsc{script: func(_ *link, p pdu.PDU) bool { return deaf.Load() && p.Command != pdu.BindTransceiver }}
		r := inside(t, settings("smpp.example.com:2775"), centre)
		time.Sleep(5*time.Minute + time.Second)
		if binds, probes := len(centre.all(pdu.BindTransceiver)), len(centre.all(pdu.EnquireLink)); binds != 1 ||
			probes != 10 {
			t.Errorf("%d binds and %d enquire_links in five minutes", binds, probes)
		}
		deaf.Store(true)
		r.fails(t, t.Context(), channel.MaybeSent, "lost")
		deaf.Store(false)
		time.Sleep(time.Second)
		r.takes(t)
		if binds := len(centre.all(pdu.BindTransceiver)); binds != 2 {
			t.Errorf("%d binds", binds)
		}
		r.end(centre)
	})
}

// TestThrottled: an SMSC that allows ten messages a second gets about as many, and when it allows more, it gets more.
func TestThrottled(t *testing.T) {
	t.Parallel()
	for _, status := range []uint32{statusThrottled, statusQueueFull} {
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			taken, second, limit := 0, int64(0), 10
			centre := &smsc{}
			centre.script = on(pdu.SubmitSM, func(l *link, p pdu.PDU) bool {
				mu.Lock()
				defer mu.Unlock()
				if now := time.Now().Unix(); now != second {
					second, taken = now, 0
				}
				if taken++; taken > limit {
					return l.no(p, status)
				}
				return l.taken(p, "x")
			})
			r := inside(t, settings("smpp.example.com:2775"), centre)
			stop := time.Now().Add(time.Minute)
			var sent, refused atomic.Int32
			var all sync.WaitGroup
			for range 20 {
				all.Go(func() {
					for time.Now().Before(stop) {
						_, err := r.Send(t.Context(), channeltest.Message(channel.SMS))
						if err == nil {
							sent.Add(1)
							continue
						}
						refused.Add(1)
						e := channel.AsError("", err)
						if e.Kind != channel.Throttled || e.RetryAfter <= 0 {
							t.Errorf("%v, again after %v", e, e.RetryAfter)
						}
						time.Sleep(e.RetryAfter)
					}
				})
			}
			all.Wait()
			asked := len(centre.all(pdu.SubmitSM))
			if sent.Load() < 300 || asked > 900 {
				t.Errorf("in a minute %d messages were taken of 600 that were allowed, with %d asked for", sent.Load(), asked)
			}
			t.Logf("in a minute %d taken of 600 allowed, %d asked for, %d times Throttled", sent.Load(), asked, refused.Load())
			mu.Lock()
			limit = 1e6
			mu.Unlock()
			for range 100 {
				r.Send(t.Context(), channeltest.Message(channel.SMS))
			}
			began := time.Now()
			for range 100 {
				r.takes(t)
			}
			if took := time.Since(began); took > time.Second {
				t.Errorf("a hundred messages took %v when nothing stood in the way any more", took)
			}
			r.end(centre)
		})
	}
}

// TestLateAnswer: the answer that comes after Send has given up is not lost: the sink hears what became of the message.
func TestLateAnswer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer func(l *link, p pdu.PDU) bool
		want   channel.Receipt
	}{
		"taken": {func(l *link, p pdu.PDU) bool { return l.taken(p, "1A") },
			channel.Receipt{ProviderID: "1A", Status: channel.Taken}},
		"not taken": {func(l *link, p pdu.PDU) bool { return l.no(p, 0x45) },
			channel.Receipt{Status: channel.Failed, Kind: channel.Unavailable, Code: "ESME_RSUBMITFAIL"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			held := make(chan question, 1)
			centre := &smsc{script: on(pdu.SubmitSM, func(l *link, p pdu.PDU) bool { held <- question{l, p}; return true })}
			config := settings(centre.listen(t))
			config.Window = 1
			r := start(t, config)
			ctx, cancel := context.WithCancel(t.Context())
			var asked question
			go func() { asked = <-held; cancel() }()
			r.fails(t, ctx, channel.MaybeSent, "time")
			m := channeltest.Message(channel.SMS)
			c.want.Token, c.want.At = m.Token, channeltest.Now()
			c.answer(asked.l, asked.p)
			if got := <-r.receipts; got != c.want {
				t.Errorf("the sink got %+v, want %+v", got, c.want)
			}
			if c.want.ProviderID != "" {
				asked.l.deliver(receiptOf("1A", "DELIVRD"))
				if got := <-r.receipts; got.Token != m.Token || got.ProviderID != "1A" || got.Status != channel.Delivered {
					t.Errorf("the sink got %+v", got)
				}
			}
			go func() { (<-held).answer() }()
			r.takes(t) // the room in the window is free again
		})
	}
}

// TestNeverAnswered: room in the window comes back even when the answer never does.
func TestNeverAnswered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var deaf atomic.Bool
		deaf.Store(true)
		centre := &smsc{}
		centre.script = on(pdu.SubmitSM, func(*link, pdu.PDU) bool { return deaf.Load() })
		c := settings("smpp.example.com:2775")
		c.Window = 1
		r := inside(t, c, centre)
		began := time.Now()
		r.fails(t, t.Context(), channel.MaybeSent, "time")
		if took := time.Since(began); took != r.times.response {
			t.Errorf("Send waited %v", took)
		}
		r.fails(t, t.Context(), channel.Throttled, "window")
		deaf.Store(false)
		time.Sleep(time.Minute)
		r.takes(t)
		r.end(centre)
	})
}

// TestNotReading: an SMSC that no longer reads holds nobody for long, and what was not written surely did not leave.
func TestNotReading(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		centre := &smsc{script: on(pdu.SubmitSM, func(*link, pdu.PDU) bool { <-gate; return true })}
		r := inside(t, settings("smpp.example.com:2775"), centre)
		var all sync.WaitGroup
		all.Go(func() { r.fails(t, t.Context(), channel.MaybeSent, "lost") }) // it was read
		synctest.Wait()
		all.Go(func() { r.fails(t, t.Context(), channel.Unavailable, "lost") }) // its write is stuck
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		r.fails(t, ctx, channel.Unavailable, "time") // its turn to write never comes
		if took := time.Since(began); took != time.Second {
			t.Errorf("Send took %v", took)
		}
		all.Wait()
		if took := time.Since(began); took != r.times.enquire {
			t.Errorf("the session was given up after %v", took)
		}
		close(gate)
		r.end(centre)
	})
}

// TestPartsFail: when a later part is not taken, nobody knows what the person sees.
func TestPartsFail(t *testing.T) {
	t.Parallel()
	long := channeltest.Message(channel.SMS)
	long.Text.Body = strings.Repeat("long ", 60)
	for name, c := range map[string]struct {
		status uint32
		at     int // the part that is not taken
		times  int
		kind   channel.ErrorKind
		asked  int
	}{
		"the first, for good":     {0x0B, 1, 1, channel.Rejected, 1},
		"the second, for good":    {0x0B, 2, 1, channel.MaybeSent, 2},
		"the second, for a while": {0x58, 2, 2, "", 4},
		"the second, for long":    {0x58, 2, 99, channel.MaybeSent, 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var asked atomic.Int32
				left := c.times
				centre := &smsc{}
				centre.script = on(pdu.SubmitSM, func(l *link, p pdu.PDU) bool {
					if int(asked.Add(1)) >= c.at && left > 0 {
						left--
						return l.no(p, c.status)
					}
					return false
				})
				r := inside(t, settings("smpp.example.com:2775"), centre)
				_, err := r.Send(t.Context(), long)
				kind := channel.ErrorKind("")
				if err != nil {
					kind = channel.AsError("", err).Kind
				}
				if kind != c.kind || int(asked.Load()) != c.asked {
					t.Errorf("%v after %d PDUs", err, asked.Load())
				}
				r.end(centre)
			})
		})
	}
}

// TestGoodbye: at the end messages under way get their answers, the session is unbound, and nothing is left behind.
func TestGoodbye(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		held := make(chan question, 1)
		centre := &smsc{script: on(pdu.SubmitSM, func(l *link, p pdu.PDU) bool { held <- question{l, p}; return true })}
		c := settings("smpp.example.com:2775")
		c.Binds = 2
		r := inside(t, c, centre)
		synctest.Wait() // both are bound
		var all sync.WaitGroup
		all.Go(func() { r.takes(t) })
		asked := <-held
		all.Go(r.stop)
		synctest.Wait()
		r.fails(t, t.Context(), channel.Unavailable, "unbound")
		if n := len(centre.all(pdu.Unbind)); n != 1 {
			t.Errorf("%d sessions are unbound while one has a message under way", n)
		}
		asked.answer()
		all.Wait()
		if n := len(centre.all(pdu.Unbind)); n != 2 {
			t.Errorf("%d sessions are unbound", n)
		}
		r.end(centre)
		if len(r.free) != 0 || centre.open() != 0 {
			t.Errorf("%d places and %d connections are left", len(r.free), centre.open())
		}
	})
}

// TestGoodbyeToTheDeaf: an SMSC that answers nothing does not keep the route from closing.
func TestGoodbyeToTheDeaf(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		centre := &smsc{script: func(_ *link, p pdu.PDU) bool { return p.Command != pdu.BindTransceiver }}
		r := inside(t, settings("smpp.example.com:2775"), centre)
		var all sync.WaitGroup
		all.Go(func() { r.fails(t, t.Context(), channel.MaybeSent, "lost") })
		synctest.Wait()
		began := time.Now()
		r.end(centre)
		all.Wait()
		if took := time.Since(began); took > r.times.drain+r.times.unbind {
			t.Errorf("closing took %v", took)
		}
	})
}

// TestStorm: many messages over many sessions that break all the time. Each is taken, or surely not, or perhaps; those
// that were surely not go when tried again; and each that was taken gets its receipt.
func TestStorm(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	centre := &smsc{receipts: true}
	centre.script = on(pdu.SubmitSM, func(l *link, _ pdu.PDU) bool {
		if n.Add(1)%97 == 0 {
			l.conn.Close()
			return true
		}
		return false
	})
	c := settings(centre.listen(t))
	c.Binds, c.Window = 4, 8
	r := start(t, c)
	const messages = 3000
	taken := make(chan string, messages)
	var again, perhaps atomic.Int64
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			for range messages / 50 {
				for {
					a, err := r.Send(t.Context(), channeltest.Message(channel.SMS))
					if err == nil {
						taken <- a.ID
						break
					}
					if kind := channel.AsError("", err).Kind; kind == channel.MaybeSent {
						perhaps.Add(1)
						break
					} else if kind != channel.Unavailable && kind != channel.Throttled {
						t.Errorf("%v", err)
						return
					}
					again.Add(1)
				}
			}
		})
	}
	all.Wait()
	close(taken)
	if int64(len(taken))+perhaps.Load() != messages || perhaps.Load() == 0 {
		t.Errorf("%d taken and %d perhaps of %d", len(taken), perhaps.Load(), messages)
	}
	t.Logf("%d taken, %d perhaps, %d tried again", len(taken), perhaps.Load(), again.Load())
	// A receipt that was on its way when the connection broke is the SMSC's to send again; this one does not.
	r.stop()
	known := map[string]bool{}
	for id := range taken {
		if known[id] {
			t.Errorf("two messages have the id %s", id)
		}
		known[id] = true
	}
	for len(r.receipts) > 0 {
		receipt := <-r.receipts
		if receipt.Status != channel.Delivered {
			t.Errorf("%+v", receipt)
		}
		delete(known, receipt.ProviderID)
	}
	if len(known) > messages/10 {
		t.Errorf("%d messages have no receipt", len(known))
	}
}
