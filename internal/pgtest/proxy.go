package pgtest

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Proxy stands between clients and a server and breaks their connections at chosen places.
type Proxy struct {
	server   int
	listener net.Listener
	cut      atomic.Bool
	commits  atomic.Int64 // answers to COMMIT that are still to be lost
	begins   atomic.Int64 // transactions that are still to be broken after their first statements

	mu    sync.Mutex
	conns map[net.Conn]bool
}

// Proxy starts a proxy before the server. It ends with the test.
func (s *Server) Proxy() *Proxy {
	s.t.Helper()
	l, err := (&net.ListenConfig{}).Listen(s.t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	p := &Proxy{server: s.Port, listener: l, conns: map[net.Conn]bool{}}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { p.carry(c) })
		}
	})
	s.t.Cleanup(func() {
		p.listener.Close() //nolint:errcheck // the test is over
		p.drop()
		all.Wait()
	})
	return p
}

// DSN returns the connection string of a database through the proxy, as Server.DSN and Server.Fresh write it.
func (p *Proxy) DSN(t testing.TB, direct string) string {
	t.Helper()
	port := p.listener.Addr().(*net.TCPAddr).Port
	from := fmt.Sprintf("127.0.0.1:%d/", p.server)
	out := bytes.Replace([]byte(direct), []byte(from), fmt.Appendf(nil, "127.0.0.1:%d/", port), 1)
	if string(out) == direct {
		t.Fatalf("%s does not lead to the server of this proxy", direct)
	}
	return string(out)
}

// LoseCommits lets the next n COMMITs happen and breaks their connections instead of passing the answer on.
func (p *Proxy) LoseCommits(n int) { p.commits.Store(int64(n)) }

// BreakTransactions breaks the next n transactions after their first answers: what they would send next never arrives.
func (p *Proxy) BreakTransactions(n int) { p.begins.Store(int64(n)) }

// Left returns how many of the ordered faults have not happened yet.
func (p *Proxy) Left() int { return int(max(p.commits.Load(), 0) + max(p.begins.Load(), 0)) }

// Cut breaks all connections and refuses new ones until Heal.
func (p *Proxy) Cut() {
	p.cut.Store(true)
	p.drop()
}

// Heal ends a Cut.
func (p *Proxy) Heal() { p.cut.Store(false) }

func (p *Proxy) drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.Close() //nolint:errcheck // breaking it is the point
	}
}

func (p *Proxy) track(c net.Conn, on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if on {
		p.conns[c] = true
	} else {
		delete(p.conns, c)
	}
}

// carry carries one connection to its end.
func (p *Proxy) carry(client net.Conn) {
	defer client.Close() //nolint:errcheck // both ends are closed, whoever began
	if p.cut.Load() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second) //nolint:forbidigo // the connection is its own
	server, err := (&net.Dialer{}).DialContext(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", p.server))
	cancel()
	if err != nil {
		return
	}
	defer server.Close() //nolint:errcheck // both ends are closed, whoever began
	for _, c := range []net.Conn{client, server} {
		p.track(c, true)
		defer p.track(c, false)
	}
	var mute atomic.Bool // nothing more goes to the server
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(muted{server, &mute, client}, client)
		server.Close() //nolint:errcheck // the client has gone
	}()
	p.answers(client, server, &mute)
	client.Close() //nolint:errcheck // the server has gone
	<-done
}

// muted breaks the connection instead of writing, once it is told to.
type muted struct {
	net.Conn
	mute *atomic.Bool
	peer net.Conn
}

// Write implements io.Writer.
func (m muted) Write(b []byte) (int, error) {
	if m.mute.Load() {
		m.Close()      //nolint:errcheck // breaking it is the point
		m.peer.Close() //nolint:errcheck // likewise
		return 0, net.ErrClosed
	}
	return m.Conn.Write(b)
}

// answers passes the server's messages on, each a type, a length and a body (PostgreSQL, §55.7), until one is to be
// lost.
func (p *Proxy) answers(client io.Writer, server io.Reader, mute *atomic.Bool) {
	head := make([]byte, 5)
	for {
		if _, err := io.ReadFull(server, head); err != nil {
			return
		}
		body := make([]byte, max(int(binary.BigEndian.Uint32(head[1:]))-4, 0))
		if _, err := io.ReadFull(server, body); err != nil {
			return
		}
		if head[0] == 'C' {
			switch string(bytes.TrimRight(body, "\x00")) {
			case "COMMIT":
				if p.commits.Load() > 0 && p.commits.Add(-1) >= 0 {
					return
				}
			case "BEGIN":
				if p.begins.Load() > 0 && p.begins.Add(-1) >= 0 {
					mute.Store(true)
				}
			}
		}
		if _, err := client.Write(append(bytes.Clone(head), body...)); err != nil {
			return
		}
	}
}
