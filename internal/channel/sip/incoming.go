package sip

import (
	"strings"
	"time"

	"github.com/emiago/sipgo"
	gosip "github.com/emiago/sipgo/sip"
)

// listenTo answers what the far end sends: requests within our calls, and the question whether we are there. There
// are no calls to us.
func (t *trunk) listenTo(server *sipgo.Server) {
	server.OnInvite(func(req *gosip.Request, tx gosip.ServerTransaction) { t.within(req, tx, 403, (*call).reinvite) })
	server.OnUpdate(func(req *gosip.Request, tx gosip.ServerTransaction) { t.within(req, tx, 481, (*call).update) })
	server.OnBye(func(req *gosip.Request, tx gosip.ServerTransaction) { t.within(req, tx, 481, (*call).ended) })
	server.OnInfo(func(req *gosip.Request, tx gosip.ServerTransaction) { t.within(req, tx, 481, (*call).info) })
	server.OnAck(func(req *gosip.Request, _ gosip.ServerTransaction) { t.acknowledged(req) })
	server.OnCancel(func(req *gosip.Request, tx gosip.ServerTransaction) { t.reply(req, tx, 481, nil) })
	server.OnOptions(func(req *gosip.Request, tx gosip.ServerTransaction) { t.reply(req, tx, 200, nil) })
	server.OnNoRoute(func(req *gosip.Request, tx gosip.ServerTransaction) { t.reply(req, tx, 405, nil) })
}

// reason returns the reason phrase of the responses that we send.
func reason(status int) string {
	return map[int]string{
		200: "OK", 403: "Forbidden", 405: "Method Not Allowed", 481: "Call/Transaction Does Not Exist",
		488: "Not Acceptable Here", 500: "Server Internal Error",
	}[status]
}

// reply answers a request.
func (t *trunk) reply(req *gosip.Request, tx gosip.ServerTransaction, status int, body []byte) {
	_ = tx.Respond(t.response(req, status, body))
}

func (t *trunk) response(req *gosip.Request, status int, body []byte) *gosip.Response {
	res := gosip.NewResponseFromRequest(req, status, reason(status), nil)
	res.AppendHeader(gosip.NewHeader("Allow", allowed))
	if body != nil {
		res.AppendHeader(gosip.NewHeader("Content-Type", "application/sdp"))
		res.SetBody(body)
	}
	return res
}

// find returns the call that a request belongs to, by its Call-ID and both tags; nil when there is none.
func (t *trunk) find(req *gosip.Request) (*call, *dialog) {
	id, from, to := req.CallID(), req.From(), req.To()
	if id == nil || from == nil || to == nil || req.CSeq() == nil {
		return nil, nil
	}
	c := t.call(string(*id))
	if c == nil {
		return nil, nil
	}
	c.mu.Lock()
	d := c.dialog
	c.mu.Unlock()
	theirs, _ := from.Params.Get("tag")
	ours, _ := to.Params.Get("tag")
	if d == nil || theirs != d.tag || ours != d.ourTag {
		return nil, nil
	}
	return c, d
}

// within hands a request to the call that it belongs to. One of no call gets the status otherwise.
func (t *trunk) within(req *gosip.Request, tx gosip.ServerTransaction, otherwise int,
	take func(*call, *dialog, *gosip.Request, gosip.ServerTransaction)) {
	c, d := t.find(req)
	switch {
	case c == nil:
		t.reply(req, tx, otherwise, nil)
	case !d.follows(req.CSeq().SeqNo):
		t.reply(req, tx, 500, nil) // RFC 3261 §12.2.2: out of order
	default:
		take(c, d, req, tx)
	}
}

// acknowledged takes the ACK of an answer that we gave.
func (t *trunk) acknowledged(req *gosip.Request) {
	c, _ := t.find(req)
	if c == nil {
		return
	}
	select {
	case c.acks <- req:
	default:
	}
}

// ended takes a BYE.
func (c *call) ended(_ *dialog, req *gosip.Request, tx gosip.ServerTransaction) {
	c.t.reply(req, tx, 200, nil)
	c.hangUp(errHungUp)
}

// info takes a key that is pressed, in either of the two forms in use; anything else is answered and ignored.
func (c *call) info(_ *dialog, req *gosip.Request, tx gosip.ServerTransaction) {
	c.t.reply(req, tx, 200, nil)
	if key, ok := infoKey(string(req.Body())); ok {
		c.press(key)
	}
}

// infoKey reads "Signal=1" (application/dtmf-relay) or "1" (application/dtmf).
func infoKey(body string) (key byte, ok bool) {
	for line := range strings.Lines(body) {
		text := strings.TrimSpace(line)
		if name, value, found := strings.Cut(text, "="); found {
			if !strings.EqualFold(strings.TrimSpace(name), "signal") {
				continue
			}
			text = strings.TrimSpace(value)
		}
		if len(text) == 1 {
			return text[0], true
		}
	}
	return 0, false
}

// reinvite takes a new offer within the call: another address for the sound, or a hold.
func (c *call) reinvite(d *dialog, req *gosip.Request, tx gosip.ServerTransaction) {
	select {
	case <-c.acks: // of an earlier answer
	default:
	}
	body, status := c.renew(req.Body(), true)
	res := c.t.response(req, status, body)
	res.AppendHeader(gosip.HeaderClone(d.contact))
	if tx.Respond(res) != nil || status != 200 {
		return
	}
	c.insist(tx, res)
}

// The times of an answer that nobody acknowledges (RFC 3261 §13.3.1.4).
const (
	insistFirst = 500 * time.Millisecond
	insistMost  = 4 * time.Second
	insistFor   = 10 * time.Second
)

// insist sends an answer again until it is acknowledged; a proxy over udp may have lost it.
func (c *call) insist(tx gosip.ServerTransaction, res *gosip.Response) {
	over := time.NewTimer(insistFor)
	defer over.Stop()
	for wait := insistFirst; ; wait = min(2*wait, insistMost) {
		timer := time.NewTimer(wait)
		select {
		case ack := <-c.acks:
			timer.Stop()
			c.renewByAck(ack)
			return
		case <-tx.Done():
		case <-over.C:
		case <-c.t.life.Done():
		case <-timer.C:
			if tx.Respond(res) == nil {
				continue
			}
		}
		timer.Stop()
		return
	}
}

// renewByAck takes the answer to an offer that we made in a response, which comes in the ACK.
func (c *call) renewByAck(ack *gosip.Request) {
	if len(ack.Body()) == 0 {
		return
	}
	if far, err := parseSDP(ack.Body(), c.ours.codecs); err == nil {
		c.media.aim(far, c.server.Addr())
	}
}

// update takes an UPDATE (RFC 3311): like a re-INVITE, without an ACK; without an offer it only says "still here".
func (c *call) update(d *dialog, req *gosip.Request, tx gosip.ServerTransaction) {
	body, status := c.renew(req.Body(), false)
	res := c.t.response(req, status, body)
	res.AppendHeader(gosip.HeaderClone(d.contact))
	_ = tx.Respond(res)
}

// renew takes an offer and answers it. Without one, it makes one if propose is set.
func (c *call) renew(theirs []byte, propose bool) (body []byte, status int) {
	ours := c.ours
	if len(theirs) == 0 {
		if !propose {
			return nil, 200
		}
		ours.version = c.version()
		return []byte(ours.String()), 200
	}
	far, err := parseSDP(theirs, ours.codecs)
	if err != nil {
		return nil, 488
	}
	c.media.aim(far, c.server.Addr())
	ours.version = c.version()
	return []byte(ours.answer(far)), 200
}

// version returns the number of our next session description.
func (c *call) version() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.versions++
	return c.versions
}
