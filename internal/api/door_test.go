package api

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// guarded is a server behind a gate, and what came as far as its handler.
type guarded struct {
	gate    *Gate
	leaving atomic.Bool
	refused atomic.Int64
	reached atomic.Int64
	at      string
}

// guard starts a server that answers with the body that it was sent.
func guard(t *testing.T) *guarded {
	t.Helper()
	s := &guarded{}
	s.gate = NewGate(GateOptions{Leaving: s.leaving.Load, Refused: func() { s.refused.Add(1) }})
	server := Server("", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.reached.Add(1)
		_, _ = io.Copy(w, r.Body)
	}), nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- server.Serve(s.gate.Guard(server, l)) }()
	t.Cleanup(func() { server.Close(); <-ended })
	s.at = l.Addr().String()
	return s
}

// fill leaves no room for starts.
func (s *guarded) fill() {
	for ok := true; ok; {
		ok, _ = s.gate.enter(time.Now(), 0)
	}
}

// caller is a connection to it.
type caller struct {
	t *testing.T
	net.Conn
	in *bufio.Reader
}

func (s *guarded) call(t *testing.T) *caller {
	t.Helper()
	c, err := net.Dial("tcp", s.at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return &caller{t, c, bufio.NewReader(c)}
}

func (c *caller) say(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatal(err)
	}
}

func (c *caller) hear() (status int, body string, h http.Header) {
	c.t.Helper()
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp.StatusCode, string(text), resp.Header
}

func text(path, body string, headers ...string) string {
	return "POST " + path + " HTTP/1.1\r\nHost: x\r\n" + strings.Join(append(headers, ""), "\r\n") +
		fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
}

// TestDoor: a full gate refuses on the connection, one request like the next, and the connection goes on.
func TestDoor(t *testing.T) {
	t.Parallel()
	s := guard(t)
	c := s.call(t)
	one := text("/v1/verifications", `{"to":"+44"}`, "X-Request-Id: mine-1")
	ask := func(want int) (string, http.Header) {
		t.Helper()
		c.say(one)
		status, body, h := c.hear()
		if status != want {
			t.Fatalf("answer %d, want %d: %s", status, want, body)
		}
		return body, h
	}
	ask(http.StatusOK)
	s.fill()
	for range 3 {
		ask(http.StatusServiceUnavailable)
	}
	body, h := ask(http.StatusServiceUnavailable)
	if h.Get("X-Request-Id") != "mine-1" || !strings.Contains(body, `"instance":"mine-1"`) {
		t.Errorf("the caller's request id is lost: %v %s", h, body)
	}
	if s.reached.Load() != 1 || s.refused.Load() != 4 {
		t.Errorf("%d came to the handler and %d were refused before, want 1 and 4", s.reached.Load(), s.refused.Load())
	}
	s.gate.leave(time.Now(), 0, false)
	ask(http.StatusOK)
	s.fill()
	s.leaving.Store(true)
	ask(http.StatusOK)
	s.leaving.Store(false)
	ask(http.StatusServiceUnavailable)
	fresh := s.call(t)
	fresh.say(text("/v1/verifications", "{}"))
	if status, _, _ := fresh.hear(); status != http.StatusServiceUnavailable {
		t.Errorf("the first request of a connection is answered with %d", status)
	}
}

// TestDoorAsksTheKernel: of some requests it is noted how long they had waited to be read.
func TestDoorAsksTheKernel(t *testing.T) {
	t.Parallel()
	s := guard(t)
	c := s.call(t)
	for range 2 * sampled {
		c.say(text("/v1/verifications", "{}"))
		c.hear()
	}
	want := 0
	if runtime.GOOS == "linux" {
		want = 2
	}
	s.gate.mu.Lock()
	defer s.gate.mu.Unlock()
	if s.gate.now.seen != want {
		t.Errorf("of %d requests, %d were asked, want %d", 2*sampled, s.gate.now.seen, want)
	}
}

// TestDoorAnswersAsTheHandler: who is refused cannot tell where.
func TestDoorAnswersAsTheHandler(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 8, 0, 0, 123_000_000, time.FixedZone("", 3600))
	w := httptest.NewRecorder()
	p := overloadProblem(now)
	w.Header().Set("X-Request-Id", "r1")
	p.write(w, "r1")
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(newRefusal().append(nil, []byte("r1"), now))), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || !json.Valid(body) {
		t.Fatalf("%v: %s", err, body)
	}
	if resp.StatusCode != w.Code || string(body) != w.Body.String() {
		t.Errorf("answer %d %s\nwant %d %s", resp.StatusCode, body, w.Code, w.Body)
	}
	if date := resp.Header.Get("Date"); date != "Tue, 24 Nov 2026 07:00:00 GMT" {
		t.Errorf("date %q", date)
	}
	resp.Header.Del("Date")
	resp.Header.Del("Content-Length")
	if got, want := fmt.Sprint(resp.Header), fmt.Sprint(w.Header()); got != want {
		t.Errorf("header %s\nwant %s", got, want)
	}
}

// TestDoorLeavesTheRest: what is not plainly a whole request to a gated route, where one begins, is the server's.
func TestDoorLeavesTheRest(t *testing.T) {
	t.Parallel()
	s := guard(t)
	s.fill()
	whole := text("/v1/verifications", "{}")
	for name, say := range map[string][]string{
		"another path":         {text("/v1/keys", "{}")},
		"a query":              {text("/v1/verifications?a=b", "{}")},
		"a check":              {text("/v1/verifications/vrf_1/check", "{}")},
		"a body in two pieces": {whole[:len(whole)-1], whole[len(whole)-1:]},
		"two at once":          {whole + whole},
		"chunks": {"POST /v1/verifications HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: " +
			"chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := s.call(t)
			for i, piece := range say {
				if i > 0 {
					time.Sleep(20 * time.Millisecond) // so that it is another packet; when it is not, that is no fault
				}
				c.say(piece)
			}
			if status, body, _ := c.hear(); status != http.StatusOK || body != "{}" {
				t.Errorf("answer %d %s", status, body)
			}
		})
	}
}

// TestDoorIsNotFooled: a request inside the body of another one is no request, also where the server holds the begin of
// that other one already.
func TestDoorIsNotFooled(t *testing.T) {
	t.Parallel()
	s := guard(t)
	s.fill()
	inner := text("/v1/verifications", "{}")
	outer := text("/v1/keys", inner)
	for cut := len(outer) - len(inner) - 30; cut <= len(outer)-len(inner); cut++ {
		c := s.call(t)
		// The first request, and with it the second up to somewhere; its rest comes when the first has been answered.
		c.say(text("/v1/keys", "1") + outer[:cut])
		if status, body, _ := c.hear(); status != http.StatusOK || body != "1" {
			t.Fatalf("cut at %d: answer %d %s", cut, status, body)
		}
		c.say(outer[cut:])
		if status, body, _ := c.hear(); status != http.StatusOK || body != inner {
			t.Errorf("cut at %d: answer %d %s", cut, status, body)
		}
	}
	// Less than the server waits for, and then what would be a whole request without it.
	c := s.call(t)
	c.say(text("/v1/keys", "1") + "\r\n")
	c.hear()
	c.say(inner)
	if status, _, _ := c.hear(); status != http.StatusOK {
		t.Errorf("a request behind two bytes of another: answer %d", status)
	}
	if s.refused.Load() != 0 {
		t.Errorf("%d were refused", s.refused.Load())
	}
}

// FuzzGlance: what the door takes for a whole request, net/http takes for one too, and for no more.
func FuzzGlance(f *testing.F) {
	for _, s := range []string{
		text("/v1/verifications", "{}"),
		text("/v1/verifications/vrf_1/check", `{"code":"1"}`, "X-Request-Id: a", "Accept: */*"),
		"POST /v1/verifications HTTP/1.1\r\nHost: x\r\nA: b\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n{}",
		"POST /v1/verifications HTTP/1.1\r\nHost: x\r\n\r\n", text("/v1/verifications", "", "Content-Length: 0"),
		"POST /v1/verifications HTTP/1.1\r\nHost: x\r\nA: b\r\n Content-Length: 9\r\nContent-Length: 2\r\n\r\n{}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		out, ok := glance(b)
		if !ok {
			return
		}
		in := bufio.NewReader(bytes.NewReader(b))
		r, err := http.ReadRequest(in)
		if err != nil {
			return // net/http would refuse it as well
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			t.Fatalf("%q: %v", b, err)
		}
		if left, _ := io.ReadAll(in); len(left) > 0 {
			t.Errorf("%q: the request ends before %q", b, left)
		}
		if extra, ok := share([]byte(r.URL.Path)); !ok || extra != out.extra {
			t.Errorf("%q: share %v, want %v", b, out.extra, extra)
		}
	})
}
