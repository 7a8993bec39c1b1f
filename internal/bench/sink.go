//go:build linux

package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"
)

// sink is the provider: it takes every message and remembers its code. It is as lean as the load, so that what is
// measured is the server between them.
type sink struct {
	listener net.Listener
	mu       sync.RWMutex
	codes    map[string]string // by number
}

func newSink(ctx context.Context, address string) (*sink, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	s := &sink{listener: l, codes: map[string]string{}}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go s.serve(c)
		}
	}()
	return s, nil
}

func (s *sink) url() string { return "http://" + s.listener.Addr().String() + "/messages" }

func (s *sink) close() { _ = s.listener.Close() }

// serve answers the requests of one connection.
func (s *sink) serve(c net.Conn) {
	defer c.Close() //nolint:errcheck // nothing is written to it any more
	in := bufio.NewReaderSize(c, 16<<10)
	var body []byte
	for {
		n, err := requestHead(in)
		if err != nil {
			return
		}
		if cap(body) < n {
			body = make([]byte, n)
		}
		body = body[:n]
		if _, err := io.ReadFull(in, body); err != nil {
			return
		}
		s.take(body)
		if _, err := c.Write(
			[]byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"),
		); err != nil {
			return
		}
	}
}

// requestHead reads up to the body and answers its length.
func requestHead(in *bufio.Reader) (length int, err error) {
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		if len(line) <= 2 {
			return length, nil
		}
		if v, ok := header(line, "content-length:"); ok {
			if length, err = strconv.Atoi(string(v)); err != nil {
				return 0, err
			}
		}
	}
}

// take remembers what a message says: the code is called "code", or "otp" by a peer.
func (s *sink) take(body []byte) {
	to, err := field(body, "to")
	if err != nil {
		return
	}
	code, err := field(body, "code")
	if err != nil {
		if code, err = field(body, "otp"); err != nil {
			return
		}
	}
	s.mu.Lock()
	s.codes[to] = code
	s.mu.Unlock()
}

func (s *sink) code(number string) string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.codes[number]
}

// drainTimeout bounds the wait for messages that are on their way.
const drainTimeout = 60 * time.Second

// wait returns when every number has its message.
func (s *sink) wait(ctx context.Context, all []started) error {
	ctx, cancel := context.WithTimeoutCause(ctx, drainTimeout, errors.New("messages did not arrive"))
	defer cancel()
	for i := 0; i < len(all); {
		if s.code(all[i].number) != "" {
			i++
			continue
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %d of %d arrived", context.Cause(ctx), i, len(all))
		case <-time.After(time.Millisecond):
		}
	}
	return nil
}

func (s *sink) forget(all []started) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range all {
		delete(s.codes, a.number)
	}
}
