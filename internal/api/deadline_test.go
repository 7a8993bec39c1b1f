package api

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestDeadline: a connection is told of a limit when it is nearer than the one it knows, and of the one that is meant
// when it runs into a nearer one.
func TestDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var set []time.Duration // since the begin; -1 for none
		begin := time.Now()
		d := deadline{set: func(at time.Time) error {
			if at.IsZero() {
				set = append(set, -1)
			} else {
				set = append(set, at.Sub(begin))
			}
			return nil
		}}
		in := func(after time.Duration) time.Time { return begin.Add(after) }
		check := func(what string, want ...time.Duration) {
			t.Helper()
			if len(set) != len(want) || len(want) > 0 && set[len(set)-1] != want[len(want)-1] {
				t.Errorf("%s: the connection was told %v, want %v", what, set, want)
			}
			set = nil
		}
		mean := func(at time.Time) {
			t.Helper()
			if err := d.mean(at); err != nil {
				t.Fatal(err)
			}
		}
		mean(time.Time{})
		check("none is none")
		mean(in(5 * time.Second))
		check("the first", 5*time.Second)
		mean(in(9 * time.Second))
		mean(time.Time{})
		mean(in(7 * time.Second))
		check("later ones")
		if d.putOff(io.EOF) || d.putOff(nil) {
			t.Error("another failure was taken for a limit")
		}
		time.Sleep(5 * time.Second)
		if !d.putOff(os.ErrDeadlineExceeded) {
			t.Error("a limit that was not meant ended a read")
		}
		check("run into the first", 7*time.Second)
		time.Sleep(2 * time.Second)
		if d.putOff(os.ErrDeadlineExceeded) {
			t.Error("a limit that was meant did not end a read")
		}
		check("run into the one that is meant")
		mean(time.Time{})
		if !d.putOff(os.ErrDeadlineExceeded) {
			t.Error("no limit ended a read")
		}
		check("none again", -1)
		mean(time.Unix(1, 0))
		check("at once", time.Unix(1, 0).Sub(begin))
		if d.putOff(os.ErrDeadlineExceeded) {
			t.Error("a limit in the past was put off")
		}
	})
}

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

// TestLimitsHold: limits that are set seldom are the server's all the same, on a connection that has had requests
// before.
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

// TestNothingIsReadAhead: while a handler works, a POST is told at once that nothing has come, and what has come stays
// for the next request; of a GET, and of a POST that came in pieces, the byte is read.
func TestNothingIsReadAhead(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		pieces []string
		ahead  int
	}{
		"a POST":           {[]string{asked}, 0},
		"a GET":            {[]string{"GET / HTTP/1.1\r\nHost: x\r\n\r\n"}, 1},
		"a POST in pieces": {[]string{strings.TrimSuffix(asked, "{}"), "{}"}, 1},
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		guarded := NewGate(GateOptions{Leaving: func() bool { return false }}).Guard(&http.Server{}, l)
		caller, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer caller.Close()
		v, err := guarded.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer v.Close()
		buffer := make([]byte, 4096) // of the size of net/http's
		for _, piece := range c.pieces {
			if _, err := io.WriteString(caller, piece); err != nil {
				t.Fatal(err)
			}
			if n, err := v.Read(buffer); string(buffer[:n]) != piece || err != nil {
				t.Fatalf("%s: read %q, %v", name, buffer[:n], err)
			}
		}
		if _, err := io.WriteString(caller, "x"); err != nil {
			t.Fatal(err)
		}
		if n, err := v.Read(buffer[:1]); n != c.ahead || err != nil {
			t.Errorf("%s: %d bytes were read ahead, %v; want %d", name, n, err, c.ahead)
		}
	}
}
