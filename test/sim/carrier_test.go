package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
)

// trouble is how bad the carriers are: chances of each end of a call.
type trouble struct {
	unavailable, throttled, refused, rejected, lost, panics float64

	slow     time.Duration // how long a call takes at most
	receipts float64       // of a message that left
	late     time.Duration // how late a receipt is at most
}

// carrier brings messages to people, and tells what became of them: late, twice, in any order, or never.
type carrier struct {
	u    *world
	name string
	byID bool
	sent int
	// script says how the calls end, in order; empty: by chance.
	script func(n int) outcome
}

// outcome is how a call to a carrier ends.
type outcome struct {
	kind   channel.ErrorKind // empty: accepted
	leaves bool              // the message reaches the person
	panics bool
	crash  bool // the node dies before it has the answer
	before bool // and even before the carrier has the message
	takes  time.Duration
}

// sender is the carrier as one node calls it.
func (c *carrier) sender(n *node) channel.Sender {
	s := &line{c: c, n: n}
	if c.byID {
		return byID{s}
	}
	return byAddress{s}
}

type line struct {
	c *carrier
	n *node
}

type byID struct{ *line }

func (byID) ReceiptsByID() bool { return true }

// byAddress reads receipts that come to the address of one delivery.
type byAddress struct{ *line }

func (byAddress) Receipts(_ context.Context, r channel.Callback) ([]channel.Receipt, error) {
	var out channel.Receipt
	if err := json.Unmarshal(r.Body, &out); err != nil {
		return nil, &channel.Error{Kind: channel.Refused, Provider: "sim", Code: "body"}
	}
	return []channel.Receipt{out}, nil
}

func (*line) Channels() []channel.Kind { return []channel.Kind{channel.SMS, channel.Voice} }

// draw returns how a call ends.
func (c *carrier) draw() (o outcome) {
	c.sent++
	if c.script != nil {
		return c.script(c.sent)
	}
	u := c.u
	t := u.carrier
	if !u.stormy {
		return outcome{leaves: true}
	}
	o.takes = u.between(0, t.slow)
	switch x := u.rng.Float64(); {
	case x < t.unavailable:
		o.kind = channel.Unavailable
	case x < t.unavailable+t.throttled:
		o.kind = channel.Throttled
	case x < t.unavailable+t.throttled+t.refused:
		o.kind = channel.Refused
	case x < t.unavailable+t.throttled+t.refused+t.rejected:
		o.kind = channel.Rejected
	case u.roll(t.lost):
		o.kind, o.leaves = channel.MaybeSent, u.roll(0.5)
	default:
		o.leaves, o.panics = true, u.roll(t.panics)
	}
	if o.takes > callLimit {
		o.takes = callLimit
		if o.kind == "" {
			o.kind = channel.MaybeSent
		}
	}
	return o
}

// Send implements channel.Sender.
func (l *line) Send(ctx context.Context, m channel.Message) (channel.Accepted, error) {
	c, u := l.c, l.c.u
	o := c.draw()
	k := u.judge.called(u.current, l.n, c, m)
	l.dies(o.crash && o.before)
	if u.takes(ctx, o.takes/2) {
		o.leaves = o.leaves && u.roll(0.5)
		o.kind = channel.MaybeSent
	}
	pid := fmt.Sprintf("%s-%d", c.name, c.sent)
	if o.leaves {
		u.judge.left(k)
		u.note("%s takes %s, code of generation %d", c.name, k.delivery, k.generation)
		c.carry(m, pid)
	}
	l.dies(o.crash)
	if u.takes(ctx, o.takes-o.takes/2) {
		o.kind = channel.MaybeSent
	}
	k.answered, k.kind = true, o.kind
	if o.panics {
		u.note("%s: the provider's code panics", c.name)
		k.kind = channel.MaybeSent
		panic("planted")
	}
	if o.kind != "" {
		u.note("%s answers %s: %s", c.name, k.delivery, o.kind)
		return channel.Accepted{}, &channel.Error{Kind: o.kind, Provider: "sim", Code: "X"}
	}
	return channel.Accepted{ID: pid}, nil
}

// takes lets a part of a call take its time, and reports whether the caller has given it up.
func (u *world) takes(ctx context.Context, d time.Duration) bool {
	u.park(time.Now().Add(d), func() bool { return ctx.Err() != nil }, nil)
	return ctx.Err() != nil
}

func (l *line) dies(yes bool) {
	if yes {
		l.c.u.spawn("reaper", nil, l.n.crash)
		l.c.u.until(0, func() bool { return false })
	}
}

// carry brings the message to the person and sends the receipts.
func (c *carrier) carry(m channel.Message, pid string) {
	u := c.u
	trip := u.between(0, 3*time.Second)
	if c.script != nil {
		trip = 0
	}
	u.spawn(c.name+" carries", nil, func() {
		u.pause(trip)
		for _, p := range u.people {
			if p.to == m.To.E164() {
				p.inbox = append(p.inbox, sms{m.Delivery, m.Code.Reveal()})
			}
		}
	})
	if !u.roll(u.carrier.receipts) {
		return
	}
	news := []channel.Status{channel.Sent, channel.Delivered}
	if u.roll(0.1) {
		news[1] = channel.Undelivered
	}
	for i := 0; i < len(news); i++ {
		status, wait := news[i], u.between(0, c.u.carrier.late)
		u.spawn(c.name+" reports", nil, func() {
			u.pause(wait)
			c.report(m, pid, status)
		})
		if u.roll(0.2) && len(news) < 5 {
			news = append(news, status) // once more
		}
	}
}

// report sends a receipt to some node until one takes it, as carriers do.
func (c *carrier) report(m channel.Message, pid string, status channel.Status) {
	u := c.u
	for range 5 {
		taken := false
		u.request("receipt", func(n *node) {
			r := channel.Receipt{ProviderID: pid, Status: status}
			if c.byID {
				taken = n.handler.Report(context.Background(), c.name, r) == nil
				return
			}
			body, _ := json.Marshal(r)
			code, _, _ := n.handler.Callback(context.Background(), c.name, m.Token,
				channel.Callback{Method: http.MethodPost, Body: body})
			taken = code == http.StatusNoContent
		})
		if taken {
			u.note("%s reported %s", pid, status)
			return
		}
		u.pause(u.between(time.Second, 20*time.Second))
	}
}

// forge sends a receipt that no carrier made: it must be refused.
func (c *carrier) forge(token string) {
	u := c.u
	u.request("forged receipt", func(n *node) {
		body, _ := json.Marshal(channel.Receipt{Status: channel.Delivered})
		if code, _, _ := n.handler.Callback(context.Background(), c.name, token,
			channel.Callback{Method: http.MethodPost, Body: body}); code != http.StatusNotFound {
			u.judge.fault("a forged receipt was answered %d", code)
		}
	})
}
