package web

import (
	"bufio"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// box is an inbox of one message, and a way to deliver more.
type box struct{ news chan Message }

func (b box) List(to string, _ int) []Message {
	if to != "" && to != "+447700900123" {
		return nil
	}
	return []Message{{To: "+447700900123", From: "Acme", Channel: "sms", Text: "<b>123456</b>", At: time.Unix(0, 0).UTC()}}
}

func (b box) Subscribe() (<-chan Message, func()) { return b.news, func() {} }

func handler(t *testing.T) (http.Handler, box) {
	t.Helper()
	b := box{news: make(chan Message, 1)}
	h, err := Handset{Inbox: b, URL: "http://127.0.0.1:8080", Key: "dp_test_key", KeyFile: "dev.key"}.Handler()
	if err != nil {
		t.Fatal(err)
	}
	return h, b
}

// TestForeignNames: a page of a stranger whose name points at this machine reads nothing.
func TestForeignNames(t *testing.T) {
	t.Parallel()
	h, _ := handler(t)
	for host, want := range map[string]int{
		"127.0.0.1:8080": 200, "localhost:8080": 200, "localhost": 200, "[::1]:8080": 200, "192.168.1.7:8080": 200,
		"evil.example:8080": 403, "evil.example": 403, "127.0.0.1.evil.example": 403, "localhost.evil.example:8080": 403,
		"": 403,
	} {
		for _, path := range []string{"/dev/handset", "/dev/messages"} {
			r := httptest.NewRequest(http.MethodGet, path, nil)
			r.Host = host
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != want {
				t.Errorf("%s under %q: %d, want %d", path, host, w.Code, want)
			}
			if w.Code == http.StatusForbidden && strings.Contains(w.Body.String(), "123456") {
				t.Error("the refusal holds a code")
			}
		}
	}
}

func TestHeadersAndLists(t *testing.T) {
	t.Parallel()
	h, _ := handler(t)
	get := func(path string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Host = "localhost"
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	page := get("/dev/handset")
	if csp := page.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") ||
		strings.Contains(csp, "unsafe") {
		t.Errorf("the policy is %q", csp)
	}
	if page.Header().Get("Cache-Control") != "no-store" || page.Header().Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("the headers are %v", page.Header())
	}
	if !strings.Contains(page.Body.String(), "dp_test_key") {
		t.Error("the page does not show the key")
	}
	if strings.Contains(page.Body.String(), "<script>") {
		t.Error("a script stands in the page, where the policy forbids it")
	}
	if got := get("/dev/messages?to=%2B15550100").Body.String(); strings.TrimSpace(got) != "[]" {
		t.Errorf("no messages are %q", got)
	}
	if got := get("/dev/messages").Body.String(); !strings.Contains(got, "123456") || strings.Contains(got, "<b>") {
		t.Errorf("the list is %q", got)
	}
	for _, path := range []string{"/dev/assets/handset.js", "/dev/assets/handset.css", "/dev/assets/icon.svg"} {
		if w := get(path); w.Code != http.StatusOK || w.Body.Len() == 0 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

func TestNewsArrive(t *testing.T) {
	t.Parallel()
	h, b := handler(t)
	server := httptest.NewServer(h)
	defer server.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/dev/messages/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	b.news <- Message{To: "+447700900123", Text: "one\ntwo"}
	line, err := bufio.NewReader(answer.Body).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "data: {") || !strings.Contains(line, `one\ntwo`) {
		t.Errorf("the news are %q, %v", line, err)
	}
}
