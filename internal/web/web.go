// Package web is what people look at: pages of plain HTML, CSS and ES modules, embedded in the program.
//
// It holds no rule: what a page does, it does through the public API. The handset, a phone in the browser, is
// for development; it shows messages with their codes, so it is mounted by dev alone, and answers only to
// addresses of the machine it runs on.
package web

import (
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"time"
)

//go:embed assets
var assets embed.FS

// policy lets a page load what it came with and nothing else, the widget's frame included.
const policy = "default-src 'none'; script-src 'self'; frame-src 'self'; style-src 'self'; img-src 'self'; " +
	"connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// maxListed bounds the messages of one answer.
const maxListed = 200

// Message is what a person received.
type Message struct {
	To      string    `json:"to"`
	From    string    `json:"from"`
	Channel string    `json:"channel"`
	Text    string    `json:"text"`
	At      time.Time `json:"at"`
}

// Inbox is where the handset's messages are.
type Inbox interface {
	// List returns messages to a number (empty: to all), newest first.
	List(to string, limit int) []Message
	// Subscribe returns new messages as they come, until stop is called.
	Subscribe() (news <-chan Message, stop func())
}

// Handset says what the handset page shows.
type Handset struct {
	Inbox Inbox
	// URL is the address of the server, Key the development key, KeyFile where it is written.
	URL, Key, KeyFile string
}

// Handler returns the pages under /dev/.
func (h Handset) Handler() (http.Handler, error) {
	pages, err := template.ParseFS(assets, "assets/*.html")
	if err != nil {
		return nil, fmt.Errorf("web: %w", err)
	}
	files, err := fs.Sub(assets, "assets")
	if err != nil {
		return nil, fmt.Errorf("web: %w", err)
	}
	mux := http.NewServeMux()
	for path, name := range map[string]string{"/dev/handset": "handset.html", "/dev/widget": "widget.html"} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.Header().Set("Content-Security-Policy", policy)
			_ = pages.ExecuteTemplate(w, name, h) // the reader has gone: there is nobody to tell
		})
	}
	mux.Handle("GET /dev/assets/", http.StripPrefix("/dev/assets/", http.FileServerFS(files)))
	mux.HandleFunc("GET /dev/messages", h.list)
	mux.HandleFunc("GET /dev/messages/events", h.events)
	return local(mux), nil
}

// local refuses requests that came under another name than the machine's own: a page of a stranger that has
// its name point at 127.0.0.1 (DNS rebinding) must not read codes.
func local(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if _, err := netip.ParseAddr(host); err != nil && host != "localhost" {
			http.Error(w, "The handset answers to localhost and IP addresses only.", http.StatusForbidden)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Referrer-Policy", "no-referrer")
		next.ServeHTTP(w, r)
	})
}

func (h Handset) list(w http.ResponseWriter, r *http.Request) {
	messages := h.Inbox.List(r.URL.Query().Get("to"), maxListed)
	if messages == nil {
		messages = []Message{}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(messages) // the reader has gone: there is nobody to tell
}

// events streams new messages (Server-Sent Events) until the reader goes.
func (h Handset) events(w http.ResponseWriter, r *http.Request) {
	news, stop := h.Inbox.Subscribe()
	defer stop()
	out := http.NewResponseController(w)
	if err := out.SetWriteDeadline(time.Time{}); err != nil {
		http.Error(w, "This connection cannot stream.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	beat := time.NewTicker(15 * time.Second)
	defer beat.Stop()
	for err := out.Flush(); err == nil; err = out.Flush() {
		select {
		case <-r.Context().Done():
			return
		case m, ok := <-news:
			if !ok {
				return
			}
			data, _ := json.Marshal(m) // strings and a time
			_, _ = fmt.Fprintf(w, "data: %s\n\n", data)
		case <-beat.C:
			_, _ = fmt.Fprint(w, ": beat\n\n")
		}
	}
}
