package sip

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"net/netip"
	"strconv"
	"sync"
	"time"

	gosip "github.com/emiago/sipgo/sip"

	"github.com/dialproof/dialproof/internal/channel"
)

// errLost says that the transaction of a call ended without a final response.
var errLost = errors.New("lost")

// lurkFor is how long a call that was given up is watched, so that a late answer does not leave a phone ringing: as
// long as its transaction can live (64*T1, RFC 3261 §17.1.1.2).
const lurkFor = 32 * time.Second

// call is one call, from the INVITE to its end. All but what is under mu belongs to the goroutine that runs it.
type call struct {
	t      *trunk
	plan   *plan
	id     string // the Call-ID
	server netip.AddrPort
	media  *media
	ours   offer

	invite      *gosip.Request
	tx          *gosip.ClientTx
	challenges  int
	provisional bool   // something came, so that a CANCEL may be sent
	early       []byte // the session description of a provisional response
	reported    bool

	pressed chan struct{}
	once    sync.Once
	acks    chan *gosip.Request // of our answers within the call
	hangUp  context.CancelCauseFunc
	// asides are what goes on beside the call and ends with it, within hangUpWait.
	asides sync.WaitGroup

	mu     sync.Mutex
	dialog *dialog // nil before the answer
	// versions counts our session descriptions.
	versions int
}

func newCall(t *trunk, p *plan) *call {
	return &call{
		t:       t,
		plan:    p,
		id:      token() + token(),
		pressed: make(chan struct{}),
		acks:    make(chan *gosip.Request, 1),
		hangUp:  func(error) {},
	}
}

// press notes a key.
func (c *call) press(key byte) {
	if key == '1' {
		c.once.Do(func() { close(c.pressed) })
	}
}

// run makes the call. On took comes whether it was accepted, as soon as that is known and not much later than ctx ends;
// the rest becomes a receipt.
func (c *call) run(ctx context.Context, took chan<- error) {
	life, hangUp := context.WithCancelCause(c.t.life)
	defer hangUp(nil)
	c.hangUp = hangUp
	if err := c.dial(ctx); err != nil {
		took <- err
		return
	}
	defer c.media.close()
	defer c.t.drop(c)
	defer c.asides.Wait()
	reaching, cancel := context.WithCancel(ctx)
	defer context.AfterFunc(life, cancel)()
	defer cancel()
	res, err := c.await(reaching, true)
	if err != nil {
		res, err = c.giveUp(err)
		if err != nil {
			took <- err
			c.lurk()
			return
		}
	}
	if e := c.judge(res); e != nil {
		took <- e
		return
	}
	took <- nil
	c.follow(life, res)
}

// judge returns the error of a call that came to its end before a phone rang. A busy phone is no error.
func (c *call) judge(res *gosip.Response) error {
	switch {
	case res.StatusCode < 300:
		return nil
	case res.StatusCode == 487:
		return &channel.Error{
			Kind:     channel.Unavailable,
			Provider: name,
			Code:     "too_slow",
			Detail:   "no phone rang within the route's timeout, and the call was taken back",
		}
	}
	if e := refusal(res); e != nil {
		return e
	}
	return nil
}

// follow goes on with a call that was accepted: it rings, is answered, or has ended without a fault of the trunk's.
func (c *call) follow(life context.Context, res *gosip.Response) {
	if res.StatusCode < 200 {
		ring := c.t.s.cfg.RingTimeout
		if left := c.plan.expires.Sub(c.t.s.now()); !c.plan.expires.IsZero() && left < ring {
			ring = max(left, 0)
		}
		ctx, cancel := context.WithTimeoutCause(life, ring, errNoAnswer)
		var err error
		res, err = c.await(ctx, false)
		cancel()
		if err != nil {
			c.unanswered(err)
			return
		}
	}
	if res.StatusCode >= 300 {
		row := rowOf(res.StatusCode)
		c.report(channel.Undelivered, strconv.Itoa(res.StatusCode), row.kind)
		return
	}
	c.talk(life, res)
}

// unanswered ends a call that rang long enough, or whose trunk is closing. Whoever picks up at the last moment is
// hung up on: the time is over.
func (c *call) unanswered(cause error) {
	res := c.takeBack()
	if res != nil && res.IsSuccess() {
		c.leave(res)
	}
	c.report(channel.Undelivered, codeOf(cause), "")
	if res == nil {
		c.lurk()
	}
}

// codeOf returns the receipt's code of why a call ended: the text of one of the errors made for that.
func codeOf(cause error) string {
	for _, known := range []error{errNoPress, errHungUp, errTooLong, errNoAnswer, errExpired, errLost, errMedia, errNoSDP,
		errNoAudio} {
		if errors.Is(cause, known) {
			return known.Error()
		}
	}
	return errStopping.Error()
}

// report tells what became of the call, once.
func (c *call) report(status channel.Status, code string, kind channel.ErrorKind) {
	if c.reported {
		return
	}
	c.reported = true
	c.t.sink(channel.Receipt{ProviderID: c.id, Status: status, Code: code, Kind: kind, At: c.t.s.now()})
}

// dial sends the INVITE.
func (c *call) dial(ctx context.Context) error {
	var err error
	if c.server, err = c.t.resolve(ctx); err != nil {
		return err
	}
	first, last, _ := c.t.s.cfg.ports() // they were validated
	c.media, err = openMedia(c.t.inside(c.server), c.t.own(c.server), first, last, c.t.s.frame, c.press)
	if err != nil {
		return (&channel.Error{Kind: channel.Unavailable, Provider: name, Code: "media", Detail: "there is no free port " +
			"for sound: see rtp_ports"}).Because(err)
	}
	var random [8]byte
	_, _ = rand.Read(random[:]) // it never fails
	c.ours = offer{id: binary.BigEndian.Uint64(random[:]) >> 2, addr: c.media.advertised, codecs: c.t.s.cfg.codecs()}
	c.invite = c.newInvite()
	c.t.add(c)
	if c.tx, err = c.t.send(ctx, c.invite, c.server); err != nil {
		c.t.drop(c)
		c.media.close()
	}
	return err
}

// newInvite returns the request that begins the call.
func (c *call) newInvite() *gosip.Request {
	cfg := &c.t.s.cfg
	callee := gosip.Uri{User: c.plan.to, Host: cfg.domain()}
	req := c.t.newRequest(gosip.INVITE, callee)
	caller := gosip.Uri{User: c.plan.from, Host: cfg.domain()}
	if cfg.CallerHeader == "from" {
		req.From().Address = caller
	} else {
		header := map[string]string{headerAsserted: "P-Asserted-Identity",
			headerPreferred: "P-Preferred-Identity"}[cfg.CallerHeader]
		req.AppendHeader(gosip.NewHeader(header, "<"+caller.String()+">"))
	}
	req.To().Address = callee
	id := gosip.CallIDHeader(c.id)
	req.ReplaceHeader(&id)
	req.AppendHeader(&gosip.ContactHeader{Address: gosip.Uri{User: account(cfg)}})
	req.AppendHeader(gosip.NewHeader("Allow", allowed))
	req.AppendHeader(gosip.NewHeader("Content-Type", "application/sdp"))
	req.SetBody([]byte(c.ours.String()))
	return req
}

// account returns the user part of our own address.
func account(cfg *Config) string {
	if cfg.Username != "" {
		return cfg.Username
	}
	return "dialproof"
}

// await waits for the next thing of note: with early for the first sign that a phone rings, else for the final
// response. It gives the password when it is asked for.
func (c *call) await(ctx context.Context, early bool) (*gosip.Response, error) {
	for {
		select {
		case res := <-c.tx.Responses():
			c.t.hear()
			if res.IsProvisional() {
				c.progress(res)
				if early && res.StatusCode >= 180 {
					return res, nil
				}
				continue
			}
			again, err := c.again(ctx, res)
			if err != nil {
				return nil, err
			}
			if !again {
				return res, nil
			}
		case <-c.tx.Done():
			return nil, errLost
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// progress notes a provisional response.
func (c *call) progress(res *gosip.Response) {
	c.provisional = true
	if body := res.Body(); len(body) > 0 {
		c.early = body
	}
}

// again sends the INVITE with the password, if that is what the response asks for.
func (c *call) again(ctx context.Context, res *gosip.Response) (bool, error) {
	next := c.invite.Clone()
	if c.challenges >= maxChallenges || !c.t.authorize(next, res) {
		return false, nil
	}
	c.challenges++
	next.CSeq().SeqNo++
	tx, err := c.t.send(ctx, next, c.server)
	if err != nil {
		return false, err
	}
	c.invite, c.tx, c.provisional = next, tx, false
	return true, nil
}

// giveUp ends a call that nobody can say of whether it rings. It answers the final response if that came, and else an
// error: MaybeSent, since a phone may ring, unless nothing has left.
func (c *call) giveUp(cause error) (*gosip.Response, error) {
	if e, ok := errors.AsType[*channel.Error](cause); ok {
		return nil, e
	}
	if errors.Is(cause, errLost) {
		return nil, &channel.Error{
			Kind:     channel.MaybeSent,
			Provider: name,
			Code:     "no_response",
			Detail:   "the trunk's answer to the call was lost",
		}
	}
	if res := c.takeBack(); res != nil {
		return res, nil
	}
	return nil, (&channel.Error{Kind: channel.MaybeSent, Provider: name, Code: "no_response",
		Detail: "the trunk did not say in time whether a phone rings"}).Because(cause)
}

// takeBack cancels the call, if that may be done yet (RFC 3261 §9.1), and answers the final response: 487, another
// one, or an answer that crossed on its way. nil means that there was none in time.
func (c *call) takeBack() *gosip.Response {
	if !c.provisional {
		return nil
	}
	c.cancel()
	timer := time.NewTimer(hangUpWait)
	defer timer.Stop()
	for {
		select {
		case res := <-c.tx.Responses():
			if !res.IsProvisional() {
				return res
			}
		case <-c.tx.Done():
			return c.last()
		case <-timer.C:
			return nil
		}
	}
}

// last returns the final response of a transaction that has ended, or nil: a response that ends it may be there at the
// same moment.
func (c *call) last() *gosip.Response {
	for {
		select {
		case res := <-c.tx.Responses():
			if res == nil || !res.IsProvisional() {
				return res
			}
		default:
			return nil
		}
	}
}

// lurk watches over a call that was given up without an end: it cancels it as soon as that may be done, and hangs up
// on whoever answers.
func (c *call) lurk() {
	timer := time.NewTimer(lurkFor)
	defer timer.Stop()
	for {
		select {
		case res := <-c.tx.Responses():
			switch {
			case res.IsProvisional():
				if !c.provisional {
					c.provisional = true
					c.cancel()
				}
				continue
			case res.IsSuccess():
				c.leave(res)
			}
			return
		case <-c.tx.Done():
			return
		case <-timer.C:
		case <-c.t.life.Done():
		}
		c.tx.Terminate()
		return
	}
}

// talk speaks with whoever picked up.
func (c *call) talk(life context.Context, answer *gosip.Response) {
	ctx, cancel := context.WithTimeoutCause(life, c.t.s.cfg.AnsweredTimeout, errTooLong)
	defer cancel()
	d := newDialog(c.invite, answer)
	body := answer.Body()
	if len(body) == 0 {
		body = c.early
	}
	far, err := parseSDP(body, c.ours.codecs)
	if err == nil {
		c.media.aim(far, c.server.Addr())
	}
	c.mu.Lock()
	c.dialog = d
	c.mu.Unlock()
	// From the ACK on the far end may do anything, so all is in place before it.
	c.tx.OnRetransmission(func(res *gosip.Response) { c.repeated(d, res) })
	c.acknowledge(d)
	if err == nil {
		err = c.speak(ctx, func() { c.report(channel.Delivered, "", "") })
	}
	if errors.Is(err, context.Canceled) {
		err = errStopping
	}
	if err != nil {
		var kind channel.ErrorKind
		if errors.Is(err, errNoSDP) || errors.Is(err, errNoAudio) {
			kind = channel.Refused
		}
		c.report(channel.Undelivered, codeOf(err), kind)
	}
	if !errors.Is(err, errHungUp) {
		c.bye(d)
	}
}

// leave answers and at once ends a call that was picked up too late.
func (c *call) leave(res *gosip.Response) {
	d := newDialog(c.invite, res)
	c.acknowledge(d)
	c.bye(d)
}
