package smpp

import (
	"bufio"
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/smpp/pdu"
)

// Bounds of a session.
const (
	// maxWaiting is how many receipts wait for the sink at once. The SMSC is asked to send others again.
	maxWaiting = 1024
	// sinkers is how many receipts a session hands to the sink at once.
	sinkers = 8
	// maxBad is how many PDUs that nobody understands a session survives.
	maxBad = 32
)

// session is one bound connection.
type session struct {
	owner *sender
	conn  net.Conn
	in    *bufio.Reader
	sink  func(channel.Receipt)
	log   *slog.Logger
	pace  pace

	// writing has room for whoever writes; buf is theirs.
	writing chan struct{}
	buf     []byte

	mu       sync.Mutex
	sequence uint32
	open     map[uint32]*request
	// closing: no message is taken any more. inflight counts the messages that somebody waits for.
	closing  bool
	inflight sync.WaitGroup
	why      string
	done     chan struct{}

	// news are calls of the sink and what follows them. replies are answers of ours, written apart from the reading,
	// so that an SMSC that writes before it reads cannot stop both sides.
	news    chan func()
	replies chan pdu.PDU
}

// request is a PDU of ours that the SMSC has not answered.
type request struct {
	want   pdu.Command
	answer chan pdu.PDU
	sent   time.Time
	// token is that of the message; left says that nobody waits any more.
	token string
	left  bool
}

// errGone says that the session ended before anything was written.
var errGone = unavailable("lost", "the session was lost before the message was written")

// alive reports whether the session takes messages.
func (x *session) alive() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return !x.closing
}

// end ends the session, once. What waits for an answer learns of it by done.
func (x *session) end(why string) {
	x.mu.Lock()
	first := x.why == ""
	if first {
		x.why, x.closing = why, true
		close(x.done)
	}
	x.mu.Unlock()
	if first {
		x.conn.Close() //nolint:errcheck // nothing is left to lose; TLS may have to wait, so not under the lock
	}
}

// errBusy says that nothing was written because others were still at it.
var errBusy = errors.New("smpp: no turn to write in time")

// write writes a PDU whole, unless giveUp ends before its turn comes. whole is false when the SMSC surely has less than
// all of it. An error of the connection ends the session.
func (x *session) write(giveUp <-chan struct{}, p pdu.PDU) (whole bool, err error) {
	select {
	case x.writing <- struct{}{}:
		defer func() { <-x.writing }()
	case <-giveUp:
		return false, errBusy
	case <-x.done:
		return false, net.ErrClosed
	}
	if x.buf, err = p.Append(x.buf[:0]); err != nil {
		return false, err
	}
	if err = x.conn.SetWriteDeadline(time.Now().Add(x.owner.times.enquire)); err == nil {
		var n int
		n, err = x.conn.Write(x.buf)
		whole = n == len(x.buf)
	}
	if err != nil {
		x.end("the connection broke while writing")
	}
	return whole, err
}

// expect registers a request and answers its sequence number.
func (x *session) expect(r *request) uint32 {
	x.mu.Lock()
	defer x.mu.Unlock()
	for {
		x.sequence = x.sequence%pdu.MaxSequence + 1
		if _, taken := x.open[x.sequence]; !taken {
			break
		}
	}
	r.sent, r.answer = time.Now(), make(chan pdu.PDU, 1)
	x.open[x.sequence] = r
	return x.sequence
}

// forget takes a request back. It answers false when the answer is there.
func (x *session) forget(sequence uint32) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	_, there := x.open[sequence]
	delete(x.open, sequence)
	return there
}

// leave stops waiting for a message's answer. When it comes all the same, it is news (see late). It answers false
// when it is there.
func (x *session) leave(sequence uint32) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	r, there := x.open[sequence]
	if there {
		r.left = true
	}
	return there
}

// release gives the room of a message back.
func (x *session) release() {
	if x.alive() {
		x.owner.free <- x
	}
}

// submit sends a message and waits for the answer. It gives the room back that the caller took, except while the
// answer is still to come. errGone means that another session may be tried.
func (x *session) submit(ctx context.Context, m *pdu.Message, token string) (pdu.PDU, *channel.Error) {
	x.mu.Lock()
	if x.closing {
		x.mu.Unlock()
		return pdu.PDU{}, errGone
	}
	x.inflight.Add(1)
	x.mu.Unlock()
	defer x.inflight.Done()
	if err := x.slowDown(ctx); err != nil {
		x.release()
		return pdu.PDU{}, err
	}
	r := &request{want: pdu.SubmitSMResp, token: token}
	sequence := x.expect(r)
	whole, err := x.write(ctx.Done(), pdu.PDU{Command: pdu.SubmitSM, Sequence: sequence, Body: m})
	if err != nil && !whole {
		x.forget(sequence)
		x.release()
		return pdu.PDU{}, unwritten(err)
	}
	timer := time.NewTimer(x.owner.times.response)
	defer timer.Stop()
	lost := maybeSent("time", "the SMSC did not answer in time")
	select {
	case a := <-r.answer:
		x.release()
		return x.whole(a)
	case <-x.done:
		lost = maybeSent("lost", "the session was lost before the SMSC answered")
	case <-ctx.Done():
	case <-timer.C:
	}
	if x.leave(sequence) {
		return pdu.PDU{}, lost
	}
	x.release()
	return x.whole(<-r.answer)
}

// unwritten judges why a message was not written.
func unwritten(err error) *channel.Error {
	switch {
	case errors.Is(err, pdu.ErrValue):
		return &channel.Error{
			Kind:     channel.Refused,
			Provider: name,
			Code:     "value",
			Detail:   "the message does not fit into a submit_sm: see tlvs",
		}
	case errors.Is(err, errBusy):
		return unavailable("time", "the SMSC did not read in time")
	}
	return errGone
}

// whole passes an answer on, unless nobody can read it: a yes without a body.
func (*session) whole(a pdu.PDU) (pdu.PDU, *channel.Error) {
	if a.Status == statusOK && a.Command != pdu.SubmitSMResp {
		return pdu.PDU{}, maybeSent("answer", "the answer makes no sense")
	}
	return a, nil
}

// slowDown waits as the session's pace asks for.
func (x *session) slowDown(ctx context.Context) *channel.Error {
	wait, ok := x.pace.reserve(time.Now(), x.owner.times.patience)
	if !ok {
		return &channel.Error{
			Kind:       channel.Throttled,
			Provider:   name,
			Code:       "pace",
			Detail:     "the SMSC has asked for fewer messages a second",
			RetryAfter: wait,
		}
	}
	if wait == 0 {
		return nil
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return unavailable("time", "there was no time left to send")
	case <-x.done:
		return errGone
	}
}

// ask sends a request without a body and reports whether it was answered in time.
func (x *session) ask(ctx context.Context, command pdu.Command, most time.Duration) bool {
	r := &request{want: command.Response()}
	sequence := x.expect(r)
	defer x.forget(sequence)
	if _, err := x.write(ctx.Done(), pdu.PDU{Command: command, Sequence: sequence}); err != nil {
		return false
	}
	t := time.NewTimer(most)
	defer t.Stop()
	select {
	case <-r.answer:
		return true
	case <-t.C:
	case <-x.done:
	case <-ctx.Done():
	}
	return false
}

// listen reads PDUs until the connection ends.
func (x *session) listen() {
	defer close(x.news)
	defer close(x.replies)
	bad := 0
	for {
		p, err := pdu.Read(x.in)
		switch {
		case err == nil:
			x.hear(p)
			continue
		case errors.Is(err, pdu.ErrFrame):
			x.end("the SMSC sent a length that makes no sense")
			return
		case !errors.Is(err, pdu.ErrBody):
			x.end("the SMSC closed the connection")
			return
		}
		if bad++; bad > maxBad {
			x.end("the SMSC sent too much that makes no sense")
			return
		}
		x.misheard(p)
	}
}

// misheard deals with a PDU whose header alone is readable.
func (x *session) misheard(p pdu.PDU) {
	x.log.Warn("the SMSC sent a PDU that makes no sense", "command", p.Command.String())
	if p.Command.IsResponse() {
		x.answered(p) // its status is readable
		return
	}
	x.reply(pdu.PDU{Command: pdu.GenericNack, Status: statusLength, Sequence: p.Sequence})
}

// hear deals with one PDU.
func (x *session) hear(p pdu.PDU) {
	switch {
	case p.Command.IsResponse():
		x.answered(p)
	case p.Command == pdu.EnquireLink:
		x.reply(pdu.PDU{Command: pdu.EnquireLinkResp, Sequence: p.Sequence})
	case p.Command == pdu.DeliverSM:
		x.delivered(p)
	case p.Command == pdu.Unbind:
		_, _ = x.write(nil, pdu.PDU{Command: pdu.UnbindResp, Sequence: p.Sequence})
		x.end("the SMSC unbound the session")
	case p.Command == pdu.AlertNotification: // it has no answer
	default:
		x.reply(pdu.PDU{Command: pdu.GenericNack, Status: statusCommand, Sequence: p.Sequence})
	}
}

// reply answers the SMSC, from the reading side.
func (x *session) reply(p pdu.PDU) {
	select {
	case x.replies <- p:
	default:
		x.end("the SMSC asks and does not read the answers")
	}
}

// answerAll writes the replies. A connection that broke has ended the session already.
func (x *session) answerAll() {
	for p := range x.replies {
		_, _ = x.write(nil, p)
	}
}

// answered gives an answer to whoever waits for it. One that nobody waits for is dropped.
func (x *session) answered(p pdu.PDU) {
	x.mu.Lock()
	r := x.open[p.Sequence]
	if r == nil || (p.Command != r.want && p.Command != pdu.GenericNack) {
		x.mu.Unlock()
		x.log.Debug("the SMSC answered what was not asked", "command", p.Command.String())
		return
	}
	delete(x.open, p.Sequence)
	left := r.left
	if body, ok := p.Body.(*pdu.MessageResp); ok && p.Status == statusOK && body.ID != "" {
		// Now, and not when Send comes to it: the receipt may be the next PDU.
		body.ID = x.owner.ids.accepted(body.ID, r.token)
	}
	if !left {
		r.answer <- p
	}
	x.mu.Unlock()
	if left {
		x.release()
		x.late(r, p)
	}
}

// late tells the sink what became of a message after Send has given up waiting for it.
func (x *session) late(r *request, p pdu.PDU) {
	receipt := channel.Receipt{Token: r.token, At: x.owner.now()}
	switch {
	case r.token == "" || (p.Status == statusOK && p.Command == pdu.GenericNack):
		return
	case p.Status != statusOK:
		e := statusError(p.Status)
		receipt.Status, receipt.Kind, receipt.Code = channel.Failed, e.Kind, e.Code
	default:
		receipt.Status = channel.Taken
		if body, ok := p.Body.(*pdu.MessageResp); ok {
			receipt.ProviderID = body.ID
		}
	}
	select {
	case x.news <- func() { x.sink(receipt) }:
	default:
		x.log.Warn("a late answer was dropped: the sink is too slow")
	}
}

// delivered takes a deliver_sm: a receipt is acknowledged when the sink has it, anything else at once.
func (x *session) delivered(p pdu.PDU) {
	ack := pdu.PDU{Command: pdu.DeliverSMResp, Sequence: p.Sequence, Body: &pdu.MessageResp{}}
	m, ok := p.Body.(*pdu.Message)
	if !ok || !isReceipt(m) {
		x.reply(ack)
		return
	}
	said, ok := readReceipt(m)
	if !ok {
		x.log.Warn("a receipt names no message or no state that is known")
		x.reply(ack) // it would not be clearer the next time
		return
	}
	id, token := x.owner.ids.receipt(said.id)
	receipt := channel.Receipt{
		Token:      token,
		ProviderID: id,
		Status:     said.status,
		Kind:       said.kind,
		Code:       said.code,
		At:         x.owner.now(),
	}
	select {
	case x.news <- func() { x.sink(receipt); _, _ = x.write(nil, ack) }:
	default:
		ack.Status = statusTemporary
		x.reply(ack)
	}
}

// tell hands news to the sink until there can be no more. What the SMSC has not been told of it sends again.
func (x *session) tell() {
	for f := range x.news {
		select {
		case <-x.done:
		default:
			f()
		}
	}
}

// sweep gives up answers that have been out for too long.
func (x *session) sweep() {
	x.mu.Lock()
	n := 0
	for sequence, r := range x.open {
		if r.left && time.Since(r.sent) > x.owner.times.response {
			delete(x.open, sequence)
			n++
		}
	}
	x.mu.Unlock()
	for range n {
		x.release()
	}
}
