package api

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// limited starts a guarded server with limits of its own.
func limited(t *testing.T, limits *http.Server, h http.HandlerFunc) string {
	t.Helper()
	limits.Handler = h
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() {
		ended <- limits.Serve(NewGate(GateOptions{Leaving: func() bool { return false }}).Guard(limits, l))
	}()
	t.Cleanup(func() { limits.Close(); <-ended })
	return l.Addr().String()
}

const asked = "POST /v1/verifications HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"

// TestLimitsHold: the server's time limits hold behind the gate, on a connection that has had requests before.
func TestLimitsHold(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		limits *http.Server
		do     func(t *testing.T, c *caller)
	}{
		"a slow header": {&http.Server{ReadHeaderTimeout: 200 * time.Millisecond, IdleTimeout: time.Minute},
			func(t *testing.T, c *caller) {
				c.say("POST /v1/verif")
				closed(t, c)
			}},
		"a slow body": {&http.Server{ReadTimeout: 200 * time.Millisecond, IdleTimeout: time.Minute},
			func(t *testing.T, c *caller) {
				c.say(strings.TrimSuffix(asked, "{}") + "{")
				closed(t, c)
			}},
		"silence": {&http.Server{ReadHeaderTimeout: time.Minute, IdleTimeout: 200 * time.Millisecond},
			func(t *testing.T, c *caller) { closed(t, c) }},
		"silence that is allowed": {&http.Server{ReadHeaderTimeout: 50 * time.Millisecond,
			ReadTimeout: 50 * time.Millisecond, WriteTimeout: 50 * time.Millisecond, IdleTimeout: time.Minute},
			func(t *testing.T, c *caller) {
				for range 3 {
					time.Sleep(100 * time.Millisecond) // longer than any limit but that of silence
					c.say(asked)
					c.answers("ok")
				}
			}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := limited(t, c.limits, func(w http.ResponseWriter, r *http.Request) {
				if _, err := io.Copy(io.Discard, r.Body); err == nil {
					_, _ = io.WriteString(w, "ok")
				}
			})
			g := &guarded{at: at}
			caller := g.call(t)
			for range 3 {
				caller.say(asked)
				caller.answers("ok")
			}
			c.do(t, caller)
		})
	}
}

// answers reads an answer to the end.
func (c *caller) answers(want string) {
	c.t.Helper()
	if _, body, _ := c.hear(); body != want {
		c.t.Fatalf("the answer is %q, want %q", body, want)
	}
}

// closed waits for the server to end the connection, which it must do after the limit and long before the caller's own.
func closed(t *testing.T, c *caller) {
	t.Helper()
	begin := time.Now()
	_, err := io.Copy(io.Discard, c.in)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal("the server holds the connection")
	}
	if took := time.Since(begin); took < 100*time.Millisecond {
		t.Errorf("the server ended the connection after %s, before its limit", took)
	}
}

// TestWriteLimitHolds: a caller who does not read does not hold a handler for longer than the server says.
func TestWriteLimitHolds(t *testing.T) {
	t.Parallel()
	failed := make(chan error, 1)
	at := limited(t, &http.Server{WriteTimeout: 200 * time.Millisecond}, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			_, _ = io.WriteString(w, "ok")
			return
		}
		var err error
		for block := make([]byte, 1<<20); err == nil; {
			_, err = w.Write(block)
		}
		failed <- err
	})
	c := (&guarded{at: at}).call(t)
	c.say(asked)
	c.answers("ok")
	c.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	select {
	case err := <-failed:
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the write failed by %v", err)
		}
	case <-time.After(9 * time.Second):
		t.Error("the handler still writes")
	}
}

// TestWhoLeaves: a GET learns that its caller has gone; a POST is finished, and what the caller has sent after it is
// answered too.
func TestWhoLeaves(t *testing.T) {
	t.Parallel()
	begun, gone, finish := make(chan struct{}, 2), make(chan struct{}, 2), make(chan struct{})
	at := limited(t, &http.Server{}, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		begun <- struct{}{}
		select {
		case <-r.Context().Done():
			gone <- struct{}{}
		case <-finish:
			_, _ = io.WriteString(w, "ok")
		}
	})
	g := &guarded{at: at}
	get := g.call(t)
	get.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	<-begun
	get.Close()
	select {
	case <-gone:
	case <-time.After(9 * time.Second):
		t.Fatal("the handler of a GET was not told")
	}
	post := g.call(t)
	post.say(asked)
	<-begun
	post.say(asked) // before the answer to the first
	close(finish)
	post.answers("ok")
	post.answers("ok")
	if len(gone) > 0 {
		t.Error("a POST was told that its caller has gone")
	}
}

// TestRequestsInTwoPieces: a request is answered however many of its bytes come first, about the size of net/http's buffer
// too, where it asks for one byte more.
func TestRequestsInTwoPieces(t *testing.T) {
	t.Parallel()
	at := limited(t, &http.Server{ReadTimeout: time.Minute}, func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil || n != r.ContentLength {
			http.Error(w, "short", http.StatusBadRequest)
			return
		}
		_, _ = io.WriteString(w, "ok")
	})
	g := &guarded{at: at}
	caller := g.call(t)
	body := " HTTP/1.1\r\nHost: x\r\nContent-Length: 9000\r\n\r\n" + strings.Repeat("x", 9000)
	for _, text := range []string{
		"POST /v1/verifications" + body,
		"POST /v1/verifications?" + strings.Repeat("q", 5000) + body, // a first line that is longer than the buffer
		"POST /v1/verifications HTTP/1.1\r\nX: " + strings.Repeat("h", 5000) + strings.TrimPrefix(body, " HTTP/1.1"),
	} {
		for _, first := range []int{1, 5, 2047, 4093, 4094, 4095, 4096, 4097, 8191, 8192, len(text) - 1} {
			caller.say(text[:first])
			time.Sleep(5 * time.Millisecond) // so that it is read alone
			caller.say(text[first:])
			caller.answers("ok")
		}
	}
}
