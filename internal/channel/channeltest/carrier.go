package channeltest

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"
)

// Script is what a carrier does with a request.
type Script func(w http.ResponseWriter, r *http.Request)

// Carrier is a carrier on loopback that follows a script and remembers what it was asked.
type Carrier struct {
	*httptest.Server
	mu       sync.Mutex
	requests []Request
}

// Request is what a carrier was asked.
type Request struct {
	*http.Request
	Body []byte
}

// NewCarrier starts a carrier.
func NewCarrier(script Script) *Carrier {
	c := &Carrier{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		c.mu.Lock()
		c.requests = append(c.requests, Request{r, body})
		c.mu.Unlock()
		script(w, r)
	}))
	c.Server.Config.ErrorLog = nil
	return c
}

// Client returns a client for it.
func (c *Carrier) Client() *http.Client {
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
}

// Requests returns what it was asked so far.
func (c *Carrier) Requests() []Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Request(nil), c.requests...)
}

// Says returns a script that always replies the same.
func Says(r Reply) Script {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for k, v := range r.Header {
			w.Header().Set(k, v)
		}
		w.WriteHeader(r.Status)
		_, _ = io.WriteString(w, r.Body)
	}
}

// HangUp closes the connection without an answer, after the request was read.
func HangUp(w http.ResponseWriter, _ *http.Request) {
	if conn := seize(w); conn != nil {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // a reset, as from a process that died
		}
		_ = conn.Close()
	}
}

// CutOff promises more than it sends.
func CutOff(w http.ResponseWriter, _ *http.Request) {
	if conn := seize(w); conn != nil {
		_, _ = io.WriteString(conn,
			"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n{\"id\":")
		_ = conn.Close()
	}
}

// flood sends 8 MiB.
func flood(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	block := strings.Repeat("x", 1<<16)
	for range 128 {
		if _, err := io.WriteString(w, block); err != nil {
			return
		}
	}
}

func seize(w http.ResponseWriter) net.Conn {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil
	}
	return conn
}
