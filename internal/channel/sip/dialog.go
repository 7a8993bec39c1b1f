package sip

import (
	"context"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"

	gosip "github.com/emiago/sipgo/sip"
)

// dialog is what the two ends of an answered call know of each other (RFC 3261 §12).
type dialog struct {
	from   gosip.Header
	to     gosip.Header
	tag    string // of the far end
	ourTag string
	// contact is our own address in the call.
	contact gosip.Header
	target  gosip.Uri
	routes  []string

	mu   sync.Mutex
	ours uint32 // the number of our last request
	// theirs is the number of the far end's last request; 0 before the first.
	theirs uint32
}

// newDialog returns the dialog that an answer to our INVITE begins.
func newDialog(invite *gosip.Request, answer *gosip.Response) *dialog {
	d := &dialog{from: invite.From(), ours: invite.CSeq().SeqNo, target: invite.Recipient, contact: invite.Contact()}
	d.ourTag, _ = invite.From().Params.Get("tag")
	d.to = answer.To()
	if to := answer.To(); to != nil {
		d.tag, _ = to.Params.Get("tag")
	} else {
		d.to = invite.To()
	}
	if contact := answer.Contact(); contact != nil && contact.Address.Host != "" && !contact.Address.Wildcard {
		d.target = contact.Address
	}
	for _, h := range slices.Backward(answer.GetHeaders("Record-Route")) {
		d.routes = append(d.routes, h.Value())
	}
	return d
}

// number returns the number of our next request.
func (d *dialog) number() uint32 {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ours++
	return d.ours
}

// follows reports whether a request of the far end is newer than the last one, and notes it (RFC 3261 §12.2.2).
func (d *dialog) follows(number uint32) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if number <= d.theirs {
		return false
	}
	d.theirs = number
	return true
}

// within returns a request in the dialog.
func (c *call) within(d *dialog, method gosip.RequestMethod, number uint32) *gosip.Request {
	req := gosip.NewRequest(method, *d.target.Clone())
	for _, r := range d.routes {
		req.AppendHeader(gosip.NewHeader("Route", r))
	}
	id := gosip.CallIDHeader(c.id)
	hops := gosip.MaxForwardsHeader(70)
	req.AppendHeader(gosip.HeaderClone(d.from))
	req.AppendHeader(gosip.HeaderClone(d.to))
	req.AppendHeader(&id)
	req.AppendHeader(&gosip.CSeqHeader{SeqNo: number, MethodName: method})
	req.AppendHeader(&hops)
	req.SetBody(nil)
	c.t.route(req, c.server, c.hop(d))
	return req
}

// hop returns the host and port that requests in the dialog go to: the first proxy that recorded itself, else the far
// end's contact. Over tcp and tls it is always the server, since its connection is there already and only its
// certificate is known.
func (c *call) hop(d *dialog) string {
	if c.t.socket == nil {
		return c.server.String()
	}
	next := d.target
	if len(d.routes) > 0 {
		var first gosip.Uri
		var params gosip.HeaderParams
		if _, err := gosip.ParseAddressValue(d.routes[0], &first, &params); err == nil {
			next = first
		}
	}
	host := strings.Trim(next.Host, "[]")
	if maddr, ok := next.UriParams.Get("maddr"); ok && net.ParseIP(maddr) != nil {
		host = maddr
	}
	port := next.Port
	if port == 0 {
		port = 5060
	}
	return net.JoinHostPort(host, strconv.Itoa(port))
}

// acknowledge sends the ACK. It is no transaction; one that is lost is sent again when the answer comes again.
func (c *call) acknowledge(d *dialog) {
	_ = c.t.ua.TransportLayer().WriteMsg(c.within(d, gosip.ACK, c.invite.CSeq().SeqNo))
}

// repeated takes an answer that comes again: the ACK was lost. One from another phone, after a proxy has rung
// several, is hung up on.
func (c *call) repeated(d *dialog, res *gosip.Response) {
	if to := res.To(); to != nil {
		if tag, _ := to.Params.Get("tag"); tag != d.tag {
			c.t.begin(func() { c.leave(res) })
			return
		}
	}
	c.t.begin(func() { c.acknowledge(d) })
}

// bye hangs up, with the password if a proxy asks for it.
func (c *call) bye(d *dialog) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.t.life), hangUpWait)
	defer cancel()
	req := c.within(d, gosip.BYE, d.number())
	for tries := 0; ; tries++ {
		tx, err := c.t.begun(ctx, req, c.server)
		if err != nil {
			return
		}
		res, err := c.t.final(ctx, tx)
		if err != nil {
			return
		}
		if tries >= maxChallenges || (res.StatusCode != 401 && res.StatusCode != 407) {
			return
		}
		next := c.within(d, gosip.BYE, d.number())
		if !c.t.authorize(next, res) {
			return
		}
		req = next
	}
}

// cancel asks to end a call that was not answered yet: same address, Via and number as the INVITE (RFC 3261 §9.1).
func (c *call) cancel() {
	req := gosip.NewRequest(gosip.CANCEL, c.invite.Recipient)
	for _, h := range []gosip.Header{c.invite.Via(), c.invite.From(), c.invite.To(), c.invite.CallID(),
		c.invite.MaxForwards()} {
		req.AppendHeader(gosip.HeaderClone(h))
	}
	req.AppendHeader(&gosip.CSeqHeader{SeqNo: c.invite.CSeq().SeqNo, MethodName: gosip.CANCEL})
	req.SetBody(nil)
	req.SetTransport(c.invite.Transport())
	req.SetDestination(c.invite.Destination())
	req.Laddr = c.invite.Laddr
	ctx, stop := context.WithTimeout(context.WithoutCancel(c.t.life), hangUpWait)
	tx, err := c.t.begun(ctx, req, c.server)
	if err != nil {
		stop()
		return
	}
	c.asides.Go(func() {
		defer stop()
		_, _ = c.t.final(ctx, tx)
	})
}
