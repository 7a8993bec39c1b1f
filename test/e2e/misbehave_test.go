package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// mischief is a carrier that repeats what it was sent in every place where an answer of HTTP must not have it.
type mischief struct {
	net.Listener
	mu       sync.Mutex
	secrets  []string
	requests int
	done     int // misdeeds
}

// misdeeds are its answers, by name; %s is the number with the code.
var misdeeds = []struct{ name, answer string }{
	{"no content with a body", "HTTP/1.1 204 No Content\r\n\r\n%s"},
	{"no content with a length", "HTTP/1.1 204 No Content\r\nContent-Length: 40\r\n\r\n%s"},
	{"bytes after the answer", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok%s"},
	{"a second answer", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 %[1]s\r\nX-Said: %[1]s\r\n\r\n"},
	{"a status line of garbage", "%s\r\n\r\n"},
	{"a status that is none", "HTTP/1.1 9x9 %s\r\n\r\n"},
	{"a version that is none", "HTTP/9.%s 200 OK\r\n\r\n"},
	{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 7\r\n\r\n%s"},
	{"a length that is none", "HTTP/1.1 200 OK\r\nContent-Length: %s\r\n\r\n"},
	{"an encoding that is none", "HTTP/1.1 200 OK\r\nTransfer-Encoding: %s\r\n\r\n"},
	{"a header that is none", "HTTP/1.1 200 OK\r\n%s\r\n\r\n"},
	{"a header with a control character", "HTTP/1.1 200 OK\r\nX-Said: \x00%s\r\n\r\n"},
	{"early hints", "HTTP/1.1 103 Early Hints\r\nLink: <%[1]s>\r\n\r\nHTTP/1.1 500 %[1]s\r\nContent-Length: 0\r\n\r\n"},
	{"many early hints", strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: <%[1]s>\r\n\r\n", 20)},
	{"another protocol", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: %[1]s\r\nConnection: Upgrade\r\n\r\n%[1]s"},
	{"chunks that end early", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n50\r\n%s"},
	{"chunks of no size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%s\r\n"},
	{"a trailer that is none",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: %[1]s\r\n\r\n0\r\n%[1]s\r\n\r\n"},
	{"a redirect", "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/?said=%[1]s\r\nContent-Length: 0\r\n\r\n"},
	{"a redirect to nowhere", "HTTP/1.1 307 Temporary Redirect\r\nLocation: ://%[1]s\r\nContent-Length: 0\r\n\r\n"},
	{"a huge header", "HTTP/1.1 200 OK\r\nX-Said: " + strings.Repeat("%[1]s ", 40_000) + "\r\n\r\n"},
	{"gzip that is none", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 30\r\n\r\n%s"},
	{"an error", "HTTP/1.1 500 %[1]s\r\nRetry-After: %[1]s\r\nContent-Length: 30\r\n\r\n%[1]s"},
	{"an error of the message", "HTTP/1.1 400 %[1]s\r\nContent-Type: application/json\r\nContent-Length: " +
		"60\r\n\r\n{\"error\":{\"code\":\"%[1]s\",\"detail\":\"%[1]s\"}}               "},
	{"nothing", ""},
}

func newMischief(t *testing.T) *mischief {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &mischief{Listener: l}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go m.serve(c)
		}
	}()
	return m
}

// serve answers the request of one connection and waits until the other side has had enough of it.
func (m *mischief) serve(c net.Conn) {
	defer c.Close()
	in := bufio.NewReader(c)
	r, err := http.ReadRequest(in)
	if err != nil {
		return
	}
	var sent struct {
		Data sunk `json:"data"`
	}
	if json.NewDecoder(r.Body).Decode(&sent) != nil {
		return
	}
	m.mu.Lock()
	answer := "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
	if m.requests++; m.requests%4 == 0 { // a route that does nothing else is left alone
		answer = misdeeds[m.done%len(misdeeds)].answer
		m.done++
	}
	m.secrets = append(m.secrets, sent.Data.To, sent.Data.To[1:], sent.Data.Code)
	m.mu.Unlock()
	if strings.Contains(answer, "%") {
		answer = fmt.Sprintf(answer, sent.Data.To+" "+sent.Data.Code)
	}
	_, _ = io.WriteString(c, answer)
	_ = c.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	_, _ = io.Copy(io.Discard, in)
}

// TestCarriersThatMisbehave: whatever a carrier answers, and wherever it repeats what it was sent, everything that the
// process writes is lines of JSON without number and code, from its start to its end.
func TestCarriersThatMisbehave(t *testing.T) {
	t.Parallel()
	m := newMischief(t)
	d := deploy(t, "http://"+m.Addr().String(),
		"log: {level: debug}\nlimits: {number_gaps: [], number_hour: 0, number_day: 0, client_hour: 0, client_day: 0}\n")
	p := d.serve(t)
	c := newClient(t, p, d.key)
	done := func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.done >= len(misdeeds)
	}
	next := 0
	waitFor(t, 60*time.Second, "every misdeed is done", func() bool {
		c.call(t, http.StatusCreated, http.MethodPost, "/v1/verifications", map[string]any{"to": drama(next)})
		next++
		return done()
	})
	p.stop(t)
	text := p.log.String()
	foreign := 0
	for line := range strings.Lines(text) {
		var l struct{ Level, Msg, From string }
		if err := json.Unmarshal([]byte(line), &l); err != nil || l.Level == "" || l.Msg == "" {
			t.Errorf("a line of the log is no JSON: %q", line)
		}
		if l.From != "" {
			foreign++
			if l.Level != "WARN" {
				t.Errorf("a line of a library has the level %s: %s", l.Level, line)
			}
		}
	}
	if foreign == 0 {
		t.Error("no carrier made net/http write a line: this test shows nothing")
	}
	for _, secret := range m.secrets {
		if at := strings.Index(text, secret); at >= 0 && (len(secret) >= 10 || apart(text, at, len(secret))) {
			t.Errorf("the log holds %q: …%s…", secret, text[max(at-100, 0):min(at+100, len(text))])
		}
	}
	t.Logf("%d starts, %d lines, %d of them from libraries", next, strings.Count(text, "\n"), foreign)
}
