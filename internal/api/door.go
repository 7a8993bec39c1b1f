package api

import (
	"bytes"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Guard puts the gate before a server: it answers a listener for it whose connections refuse requests, while there are
// too many, before net/http has read them. What net/http does for a request costs twice what the refusal itself does,
// and all of it is taken from what could be done.
//
// Only what is plainly a whole request to a gated route is refused there, and only where a request begins: anything
// else is left to net/http and the handler.
func (g *Gate) Guard(s *http.Server, l net.Listener) net.Listener {
	s.ConnState = func(c net.Conn, state http.ConnState) {
		if v, ok := c.(*visitor); ok && state == http.StateIdle {
			v.place = answered
		}
	}
	return &door{Listener: l, gate: g, idle: s.IdleTimeout, buffers: sync.Pool{New: func() any { return new([]byte) }}}
}

// door is a guarded listener.
type door struct {
	net.Listener
	gate    *Gate
	idle    time.Duration // how long a connection may be without a request
	seen    atomic.Int64  // requests
	buffers sync.Pool     // for answers
}

// sampled is of how many requests one is asked how long it waited to be read.
const sampled = 16

// Accept implements net.Listener.
func (d *door) Accept() (net.Conn, error) {
	c, err := d.Listener.Accept()
	if t, ok := c.(*net.TCPConn); ok && err == nil {
		return &visitor{TCPConn: t, door: d}, nil
	}
	return c, err
}

// visitor is a guarded connection. It follows what net/http does with it, to know where a request begins: net/http may
// hold the begin of the next one already, and then what is read is the rest of that.
type visitor struct {
	*net.TCPConn
	door  *door
	place place
	whole int // the size of net/http's buffer: with less room in it, it is not empty
}

// place is where in the conversation a connection is.
type place int

const (
	fresh    place = iota // nothing has been read yet
	within                // a request has begun
	answered              // its answer is out
	waiting               // net/http has set the time for the next one, and reads it now if it holds nothing of it
)

// SetReadDeadline implements net.Conn. Between two requests, net/http sets one for the wait, and another one when it
// has the first bytes of the next.
func (v *visitor) SetReadDeadline(t time.Time) error {
	switch v.place {
	case answered:
		v.place = waiting
	case waiting:
		v.place = within
	case fresh, within:
	}
	return v.TCPConn.SetReadDeadline(t)
}

// SetDeadline implements net.Conn.
func (v *visitor) SetDeadline(t time.Time) error {
	return errors.Join(v.SetReadDeadline(t), v.SetWriteDeadline(t))
}

// Read implements net.Conn.
func (v *visitor) Read(p []byte) (n int, err error) {
	if v.place == fresh {
		v.whole = len(p)
	}
	for {
		n, err = v.TCPConn.Read(p)
		if err != nil || v.place == within {
			return n, err
		}
		if v.place == answered || len(p) != v.whole {
			v.place = within
			return n, nil
		}
		if v.door.seen.Add(1)%sampled == 0 {
			v.ask()
		}
		refused, err := v.refuse(p[:n])
		if err != nil {
			return 0, err
		}
		if !refused {
			v.place = within
			return n, nil
		}
	}
}

// ask asks the kernel how long ago the request came in. When there is too much to do, requests wait there longer than
// anywhere else, and nothing that is measured from the first byte read on knows of it.
func (v *visitor) ask() {
	if d, ok := sinceReceived(v.TCPConn); ok {
		v.door.gate.waited(d)
	}
}

// refuse returns a request that is one too many, and reports whether it did.
func (v *visitor) refuse(b []byte) (bool, error) {
	g := v.door.gate
	if !g.crowded() || g.o.Leaving() {
		return false, nil
	}
	asked, ok := glance(b)
	if !ok {
		return false, nil
	}
	now := g.o.Now()
	full, tell := g.full(now, asked.extra)
	if !full {
		return false, nil
	}
	var room [64]byte
	name := g.requestName(room[:0], asked.name, now)
	if tell {
		g.tell(string(name))
	}
	g.o.Refused()
	// A buffer that was used a moment ago is still in the processor's cache; one of the connection's own is not.
	out, _ := v.door.buffers.Get().(*[]byte)
	*out = g.refusal.append((*out)[:0], name, now)
	err := v.send(*out)
	v.door.buffers.Put(out)
	return true, err
}

// send writes the refusal. The connection may be silent for as long as the server says, and a caller who does not read
// cannot hold it for longer.
func (v *visitor) send(out []byte) error {
	until := time.Now().Add(v.door.idle)
	if err := v.TCPConn.SetDeadline(until); err != nil {
		return err
	}
	_, err := v.Write(out)
	return err
}

// glimpse is what the door sees of a request.
type glimpse struct {
	extra float64
	name  []byte // the caller's own id of the request
}

// glance reads a request as far as a refusal needs. It says no to all that is not plainly one whole request to a gated
// route: in doubt, net/http decides where it ends.
func glance(b []byte) (out glimpse, ok bool) {
	line, rest, ok := cutLine(b)
	line, post := bytes.CutPrefix(line, []byte("POST "))
	path, http11 := bytes.CutSuffix(line, []byte(" HTTP/1.1"))
	if !ok || !post || !http11 || bytes.ContainsAny(path, " ?%#") {
		return out, false
	}
	if out.extra, ok = share(path); !ok {
		return out, false
	}
	length, measured := 0, false
	for {
		if line, rest, ok = cutLine(rest); !ok {
			return out, false
		}
		if len(line) == 0 {
			return out, length == len(rest)
		}
		name, value, found := bytes.Cut(line, []byte{':'})
		if !found || bytes.ContainsAny(name, " \t") {
			return out, false
		}
		switch value = bytes.TrimSpace(value); {
		case is(name, "Content-Length"):
			if length, ok = number(value); !ok || measured {
				return out, false
			}
			measured = true
		case is(name, "X-Request-Id"):
			out.name = value
		case is(name, "Transfer-Encoding"), is(name, "Connection"), is(name, "Expect"), is(name, "Upgrade"):
			return out, false // they change where a message ends, or what follows it
		}
	}
}

// is reports whether a header has a name.
func is(name []byte, want string) bool {
	return len(name) == len(want) && strings.EqualFold(string(name), want)
}

// number reads a length of at most 9 digits.
func number(b []byte) (n int, ok bool) {
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, len(b) > 0 && len(b) < 10
}

// cutLine cuts off a line that ends as HTTP says.
func cutLine(b []byte) (line, rest []byte, ok bool) {
	i := bytes.IndexByte(b, '\n')
	if i < 1 || b[i-1] != '\r' {
		return nil, nil, false
	}
	return b[:i-1], b[i+1:], true
}
