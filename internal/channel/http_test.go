package channel_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/dialproof/dialproof/internal/channel"
)

// client returns the client of a deployment as far as it matters here: a transport and nothing else.
func client(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// TestPost: each way to frame an answer is read whole, up to the bound, and the connection is used again.
func TestPost(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 300<<10)
	connections := map[string]bool{} // requests come one after the other
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		connections[r.RemoteAddr] = true
		switch r.URL.Path {
		case "/sized":
			_, _ = w.Write([]byte(" {} \n"))
		case "/chunked":
			_, _ = w.Write([]byte("{"))
			_ = http.NewResponseController(w).Flush()
			_, _ = w.Write([]byte("}"))
		case "/empty":
			w.WriteHeader(http.StatusAccepted)
		case "/long":
			_, _ = w.Write([]byte(long))
		case "/broken":
			w.Header().Set("Content-Length", "9")
			_, _ = w.Write([]byte("{}"))
		}
	}))
	defer server.Close()
	c := client(t)
	post := func(path string) (channel.Answer, error) {
		address, err := url.Parse(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		return channel.Post(t.Context(), c, "x", address, http.Header{"Content-Type": {"application/json"}}, []byte("{}"))
	}
	for _, path := range []string{"/sized", "/chunked", "/sized"} {
		if a, err := post(path); err != nil || a.Status != http.StatusOK || string(a.Body) != "{}" {
			t.Errorf("%s: %+v, %v", path, a, err)
		}
	}
	if a, err := post("/empty"); err != nil || a.Status != http.StatusAccepted || len(a.Body) != 0 {
		t.Errorf("empty: %+v, %v", a, err)
	}
	if len(connections) != 1 {
		t.Errorf("four calls took %d connections", len(connections))
	}
	if a, err := post("/long"); err != nil || len(a.Body) != 256<<10 {
		t.Errorf("of a long answer, %d bytes were read: %v", len(a.Body), err)
	}
	var e *channel.Error
	if _, err := post("/broken"); !errors.As(err, &e) || e.Kind != channel.MaybeSent {
		t.Errorf("an answer that broke off: %v", err)
	}
}

// counted counts the writes to a connection.
type counted struct {
	net.Conn
	writes *atomic.Int64
}

func (c counted) Write(b []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(b)
}

// TestPostWritesOnce: header and body leave in one call, and so in one packet.
func TestPostWritesOnce(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	address, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	c := client(t)
	var writes atomic.Int64
	c.Transport = &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
			return counted{conn, &writes}, err
		},
	}
	if _, err := channel.Post(t.Context(), c, "x", address, http.Header{}, []byte("{}")); err != nil ||
		writes.Load() != 1 {
		t.Errorf("a message took %d writes: %v", writes.Load(), err)
	}
}

// TestPostGivenUp tells a call that ends while the provider thinks from one that never left.
func TestPostGivenUp(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then does the server see that nobody waits any more
		cancel()
		<-r.Context().Done()
	}))
	defer server.Close()
	address, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []channel.ErrorKind{channel.MaybeSent, channel.Unavailable} { // the second call begins given up
		var e *channel.Error
		if _, err := channel.Post(ctx, client(t), "x", address, http.Header{}, []byte("{}")); !errors.As(err, &e) ||
			e.Kind != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// TestDoWithPassword: who writes name and password into the address means them to be sent.
func TestDoWithPassword(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if name, password, ok := r.BasicAuth(); !ok || name != "me" || password != "pass" {
			t.Errorf("the provider saw %q", r.Header.Get("Authorization"))
		}
	}))
	defer server.Close()
	address := strings.Replace(server.URL, "http://", "http://me:pass@", 1)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := channel.Do(t.Context(), client(t), "x", req); err != nil {
		t.Error(err)
	}
}
