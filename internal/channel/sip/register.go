package sip

import (
	"context"
	"strconv"
	"strings"
	"time"

	gosip "github.com/emiago/sipgo/sip"

	"github.com/dialproof/dialproof/internal/channel"
)

const (
	// registerFor is how long a registration is asked to last; the trunk may grant less.
	registerFor = 300 * time.Second
	// registerWait is how long the registrar has to answer.
	registerWait = 10 * time.Second
	// The waits between tries that fail grow from the first to the second.
	registerRetryFirst = 2 * time.Second
	registerRetryMost  = time.Minute
)

// register registers the route, and keeps it registered until the trunk closes. It answers after the first try.
func (t *trunk) register(ctx context.Context) {
	if !t.s.cfg.Register {
		return
	}
	id, seq := gosip.CallIDHeader(token()+token()), uint32(0)
	// One Call-ID with rising numbers serves for all refreshes (RFC 3261 §10.2).
	refresh := func(ctx context.Context, failures int) time.Duration {
		req := t.registration(registerFor)
		req.ReplaceHeader(&id)
		req.CSeq().SeqNo = seq + 1
		seq += 2*maxChallenges + 2 // more than one round can use up
		return t.refresh(ctx, req, failures)
	}
	next := refresh(ctx, 0)
	failures := 0
	t.begin(func() {
		for {
			if next == 0 {
				next = min(registerRetryFirst<<min(failures, 10), registerRetryMost)
				failures++
			} else {
				failures = 0
			}
			pause(t.life, next)
			if t.life.Err() != nil {
				return
			}
			next = refresh(t.life, failures)
		}
	})
}

// registration returns a request that binds the account to this end.
func (t *trunk) registration(lasts time.Duration) *gosip.Request {
	req := t.newRequest(gosip.REGISTER, gosip.Uri{Host: t.s.cfg.domain()})
	expires := gosip.ExpiresHeader(lasts / time.Second)
	req.AppendHeader(&gosip.ContactHeader{Address: gosip.Uri{User: t.s.cfg.Username}})
	req.AppendHeader(&expires)
	return req
}

// refresh registers once and answers when to do so again; 0 after a failure.
func (t *trunk) refresh(ctx context.Context, req *gosip.Request, failures int) time.Duration {
	ctx, cancel := context.WithTimeout(ctx, registerWait)
	defer cancel()
	res, err := t.ask(ctx, req)
	if err == nil && res.StatusCode == 423 && longer(req, res) {
		req.CSeq().SeqNo += maxChallenges + 1
		res, err = t.ask(ctx, req)
	}
	e := registered(res, err)
	t.mu.Lock()
	was := t.state
	t.state = e
	t.mu.Unlock()
	switch {
	case e != nil && t.life.Err() == nil && (failures == 0 || was == nil || was.Code != e.Code):
		t.s.log.Error("the trunk does not register us; calls over it fail until it does", "code", e.Code, "detail", e.Detail)
	case e == nil && was != nil:
		t.s.log.Info("registered with the trunk")
	}
	if e != nil {
		return 0
	}
	return granted(req, res) * 2 / 3
}

// registered returns why calls cannot be made, or nil.
func registered(res *gosip.Response, err error) *channel.Error {
	switch {
	case err != nil:
		return channel.AsError(name, err)
	case res.IsSuccess():
		return nil
	}
	e := refusal(res)
	if e == nil || e.Kind == channel.Rejected || e.Kind == channel.Throttled { // these speak of a call, and this is none
		e = &channel.Error{Kind: channel.Unavailable, Provider: name, Code: strconv.Itoa(res.StatusCode)}
	}
	e.Detail = "the trunk does not register us"
	if res.StatusCode == 401 || res.StatusCode == 403 || res.StatusCode == 407 || res.StatusCode == 404 {
		e.Kind, e.Detail = channel.Refused, "the trunk does not register us: see username, password and domain"
	}
	return e
}

// longer asks for the least time that the registrar takes (RFC 3261 §10.3, 423).
func longer(req *gosip.Request, res *gosip.Response) bool {
	h := res.GetHeader("Min-Expires")
	if h == nil {
		return false
	}
	n, err := strconv.Atoi(strings.TrimSpace(h.Value()))
	if err != nil || n < 1 || n > 86400 {
		return false
	}
	expires := gosip.ExpiresHeader(n)
	req.RemoveHeader("Expires")
	req.AppendHeader(&expires)
	return true
}

// granted returns how long the registration lasts: what the response says of our contact, else of all, else what
// was asked for; at least 10 s, so that nonsense does not become a storm.
func granted(req *gosip.Request, res *gosip.Response) time.Duration {
	text := ""
	if h := req.GetHeader("Expires"); h != nil {
		text = h.Value()
	}
	if h := res.GetHeader("Expires"); h != nil {
		text = h.Value()
	}
	for _, h := range res.GetHeaders("Contact") {
		c, ok := h.(*gosip.ContactHeader)
		if !ok || req.Contact() == nil || c.Address.Host != req.Contact().Address.Host ||
			c.Address.Port != req.Contact().Address.Port {
			continue
		}
		if v, ok := c.Params.Get("expires"); ok {
			text = v
		}
	}
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil {
		return registerFor
	}
	return time.Duration(min(max(n, 10), 3600)) * time.Second
}

// unregister gives the registration back. It is a courtesy: without an answer it lapses.
func (t *trunk) unregister(ctx context.Context) {
	t.mu.Lock()
	there := t.s.cfg.Register && t.state == nil
	t.mu.Unlock()
	if !there {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, hangUpWait)
	defer cancel()
	_, _ = t.ask(ctx, t.registration(0))
}

// bindings asks the registrar for what is registered: a REGISTER without a Contact changes nothing (RFC 3261 §10.2.3).
func (t *trunk) bindings(ctx context.Context) error {
	res, err := t.ask(ctx, t.newRequest(gosip.REGISTER, gosip.Uri{Host: t.s.cfg.domain()}))
	if e := registered(res, err); e != nil {
		return e
	}
	return nil
}
