package clienttest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestCodeIsAnsweredOnce(t *testing.T) {
	t.Parallel()
	answers := make(chan string, 3)
	answers <- `[]`
	answers <- `[{"to":"+447700900123","text":"111111 is your code","at":"2026-11-23T09:00:00Z"}]`
	answers <- `[{"to":"+447700900123","text":"222222 is your code","at":"2026-11-23T09:00:01Z"},{"text":"111111 is ` +
		`your code","at":"2026-11-23T09:00:00Z"}]`
	last := ""
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RequestURI() != "/dev/messages?to=%2B447700900123" {
			t.Errorf("asked for %s", r.URL)
		}
		select {
		case last = <-answers:
		default:
		}
		w.Write([]byte(last))
	}))
	t.Cleanup(s.Close)
	h := NewHandset(s.URL + "/")
	for _, want := range []string{"111111", "222222"} {
		if got, err := h.Code(t.Context(), "+447700900123"); err != nil || got != want {
			t.Errorf("got %q, %v; want %s", got, err, want)
		}
	}
	ctx, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	if got, err := h.Code(ctx, "+447700900123"); err == nil {
		t.Errorf("got %q a second time", got)
	}
}

func TestNoHandset(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(s.Close)
	if _, err := NewHandset(s.URL).Code(t.Context(), "+447700900123"); err == nil ||
		!strings.Contains(err.Error(), "dialproof dev") {
		t.Errorf("got %v, want a word on dialproof dev", err)
	}
}
