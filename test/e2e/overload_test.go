package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// onOneCore runs f, whose child processes have one core.
func onOneCore(t *testing.T, f func()) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var all, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		t.Fatal(err)
	}
	for core := 0; one.Count() == 0; core++ {
		if all.IsSet(core) {
			one.Set(core)
		}
	}
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.SchedSetaffinity(0, &all); err != nil {
			t.Error(err)
		}
	}()
	f()
}

// crowd is many callers, each with a connection, who all ask at once.
type crowd struct {
	conns []net.Conn
	in    []*bufio.Reader
	key   string
	next  int

	accepted []string // numbers
	refused  int
}

func newCrowd(t *testing.T, d *deployment, callers int) *crowd {
	t.Helper()
	c := &crowd{key: d.key}
	for range callers {
		conn, err := net.Dial("tcp", d.listen)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		c.conns, c.in = append(c.conns, conn), append(c.in, bufio.NewReader(conn))
	}
	return c
}

// come lets every caller make one start. It is accepted, or refused in words and with a time to come again.
func (c *crowd) come(t *testing.T) {
	t.Helper()
	numbers := make([]string, len(c.conns))
	for i, conn := range c.conns {
		numbers[i] = drama(c.next)
		c.next++
		body := `{"to":"` + numbers[i] + `"}`
		if _, err := fmt.Fprintf(conn,
			"POST /v1/verifications HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: "+
				"application/json\r\nContent-Length: %d\r\n\r\n%s", c.key, len(body), body); err != nil {
			t.Fatal(err)
		}
	}
	for i, in := range c.in {
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode == http.StatusCreated {
			c.accepted = append(c.accepted, numbers[i])
			continue
		}
		c.refused++
		var p struct{ Code, Instance string }
		err = json.Unmarshal(body, &p)
		if err != nil || resp.StatusCode != http.StatusServiceUnavailable || p.Code != "busy" ||
			p.Instance != resp.Header.Get("X-Request-Id") || resp.Header.Get("Retry-After") == "" {
			t.Fatalf("answer %d %v: %s", resp.StatusCode, resp.Header, body)
		}
	}
}

// TestOverload: asked for more than it can do, on one core, the program takes what it can, refuses the rest in good
// order, and sends a message for everything that it took.
func TestOverload(t *testing.T) {
	t.Parallel()
	s := newSink(t)
	metrics := freePort(t)
	d := deploy(t, s.URL, "metrics: {listen: "+metrics+"}\n")
	onOneCore(t, func() { d.serve(t) })
	c := newCrowd(t, d, 1000)
	for c.next+len(c.conns) <= 10_000 && c.refused < 500 { // there are so many numbers of fiction
		c.come(t)
	}
	if len(c.accepted) < 100 || c.refused < 500 {
		t.Fatalf("%d were accepted and %d refused", len(c.accepted), c.refused)
	}
	waitFor(t, 20*time.Second, "a message for each that was accepted", func() bool {
		sent := distinct(s)
		for _, to := range c.accepted {
			if !sent[to] {
				return false
			}
		}
		return true
	})
	resp, err := http.Get("http://" + metrics + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	counted := 0
	for _, m := range regexp.MustCompile(`dialproof_http_request_seconds_count\{[^}]*status="503"[^}]*\} `+
		`(\d+)`).FindAllStringSubmatch(string(text), -1) {
		n, _ := strconv.Atoi(m[1])
		counted += n
	}
	if counted != c.refused {
		t.Errorf("%d refusals are counted, %d were given", counted, c.refused)
	}
	if !strings.Contains(string(text), "\ndialproof_route_waiting_messages{route=\"sink\"} 0\n") {
		t.Error("the metrics do not tell how many messages wait for the route")
	}
	if !strings.Contains(string(text), "\ngo_sched_gomaxprocs_threads 2\n") {
		t.Error("on one core, Go has one processor: all stands still while the disk writes")
	}
}
