package docs

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	pages "github.com/dialproof/dialproof/docs"
)

// get asks a site for a path.
func get(t *testing.T, h http.Handler, path string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestPage(t *testing.T) {
	t.Parallel()
	h := Handler(Options{})
	plain := get(t, h, "/docs/errors")
	page := body(t, plain)
	if plain.StatusCode != http.StatusOK || plain.Header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatalf("%d %s", plain.StatusCode, plain.Header)
	}
	for _, want := range []string{"<title>Errors · Dialproof</title>", `<tr id="rate_limited">`, `aria-current="page"`,
		`<a href="/docs/providers/twilio"`} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %s", want)
		}
	}
	if p := plain.Header.Get("Content-Security-Policy"); !strings.Contains(p, "default-src 'none'") ||
		strings.Contains(p, "unsafe") {
		t.Errorf("policy %q", p)
	}
	zipped := get(t, h, "/docs/errors", "Accept-Encoding", "gzip")
	z, err := gzip.NewReader(zipped.Body)
	if err != nil {
		t.Fatal(err)
	}
	if body, _ := io.ReadAll(z); string(body) != page {
		t.Error("the compressed page is another one")
	}
	if again := get(t, h, "/docs/errors", "If-None-Match",
		plain.Header.Get("ETag")); again.StatusCode != http.StatusNotModified {
		t.Errorf("the same page again: %d", again.StatusCode)
	}
}

func TestNoPage(t *testing.T) {
	t.Parallel()
	h := Handler(Options{}).(*site)
	for _, path := range []string{"/docs/nothing", "/docs/../go.mod", "/docs/assets/page.html",
		"/docs/assets/..%2fdocs.go", "/docs/errors.md", "/docs/try.json", "/docs/a/b/c"} {
		if r := get(t, h, path); r.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", path, r.StatusCode)
		}
	}
	if len(h.ready) != 1 {
		t.Errorf("%d things are kept for what does not exist", len(h.ready))
	}
	if r := get(t, h, "/docs/errors/"); r.StatusCode != http.StatusMovedPermanently ||
		r.Header.Get("Location") != "/docs/errors" {
		t.Errorf("a slash at the end: %d %s", r.StatusCode, r.Header.Get("Location"))
	}
}

// TestTry: the development key goes to pages of this machine and to nobody else.
func TestTry(t *testing.T) {
	t.Parallel()
	h := Handler(Options{DevKey: "dp_test_x"})
	for _, host := range []string{"localhost:8080", "127.0.0.1:8080", "[::1]:8080"} {
		if r := get(t, h, "/docs/try.json", "Host", host); body(t, r) != `{"key":"dp_test_x"}`+"\n" ||
			r.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %v", host, r.StatusCode, r.Header)
		}
	}
	if r := get(t, h, "/docs/try.json", "Host", "evil.example:8080"); r.StatusCode != http.StatusNotFound {
		t.Errorf("a foreign name: %d", r.StatusCode)
	}
	if page := body(t, get(t, h, "/docs/api")); !strings.Contains(page,
		"<form data-method=\"POST\" data-path=\"/v1/verifications\"") || strings.Contains(page, "dp_test_x") {
		t.Error("the reference cannot be tried, or holds the key")
	}
	if page := body(t, get(t, Handler(Options{}), "/docs/api")); strings.Contains(page, "<form") ||
		strings.Contains(page, "try.js") {
		t.Error("the reference of a server in earnest can be tried")
	}
}

func TestSearchIndex(t *testing.T) {
	t.Parallel()
	h := Handler(Options{})
	zipped := get(t, h, "/docs/search.json", "Accept-Encoding", "gzip")
	if b := body(t, zipped); len(b) > 250_000 {
		t.Errorf("the index has %d bytes on the wire", len(b))
	}
	var all []found
	if err := json.Unmarshal([]byte(body(t, get(t, h, "/docs/search.json"))), &all); err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{
		"/docs/api#startVerification": false,
		"/docs/errors":                false,
		"/docs/configuration#the-top": false,
	}
	for _, f := range all {
		if _, ok := want[f[2]]; ok {
			want[f[2]] = true
		}
	}
	for url, there := range want {
		if !there {
			t.Errorf("the search cannot find %s", url)
		}
	}
}

// whole is the site of a development server, for tests that read all of its pages: to make them takes seconds under the
// race detector.
var whole = sync.OnceValue(func() *site { return newSite(Options{DevKey: "dp_test_x"}, pages.Files) })

// TestKept: who reads everything makes the server keep each thing once, compressed, and under a megabyte in all.
func TestKept(t *testing.T) {
	t.Parallel()
	s := whole()
	for range 2 {
		for _, c := range s.chapters() {
			for _, l := range c.Links {
				get(t, s, l.URL)
			}
		}
		for _, path := range []string{"/docs/search.json", "/docs/assets/docs.css", "/docs/assets/docs.js",
			"/docs/assets/handset.png", "/docs/no", "/docs/nothing"} {
			get(t, s, path)
		}
	}
	kept := 0
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.ready {
		kept += len(e.zipped)
	}
	t.Logf("%d things, %d bytes", len(s.ready), kept)
	if kept > 1<<20 {
		t.Errorf("%d bytes are kept", kept)
	}
}
