// Package docs serves the documentation: the Markdown of the folder docs and a reference made from the contract, as
// pages that work without a script, without a network and at any width.
//
// It costs nothing until somebody reads: a page is made when it is asked for first and kept, compressed. What it keeps
// is bounded by what is in the program: each page once.
package docs

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"path"
	"strings"
	"sync"

	openapi "github.com/dialproof/dialproof/api"
	pages "github.com/dialproof/dialproof/docs"
)

// root is where the site is served.
const root = "/docs"

// policy lets a page load what it came with and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Options is what differs between servers.
type Options struct {
	// DevKey is the key of a development server: with it the reference can be tried out. Empty everywhere else.
	DevKey string
}

// site is the documentation of one server.
type site struct {
	Options
	files    fs.FS
	chapters func() []chapter
	layout   func() *template.Template
	stamp    func() string // names the assets of this build

	mu    sync.Mutex
	ready map[string]*entry // by path; nothing is in it but what there is
}

// entry is one thing to send, made at its first use.
type entry struct {
	once sync.Once
	make func() (mime string, body []byte, err error)

	mime   string
	zipped []byte
	etag   string
	err    error
}

// Handler returns everything under /docs.
func Handler(o Options) http.Handler { return newSite(o, pages.Files) }

func newSite(o Options, files fs.FS) *site {
	s := &site{Options: o, files: files, ready: map[string]*entry{}}
	s.chapters = sync.OnceValue(func() []chapter { return chapters(files) })
	s.layout = sync.OnceValue(func() *template.Template {
		return template.Must(template.ParseFS(assets,
			"assets/page.html"))
	})
	s.stamp = sync.OnceValue(s.hash)
	return s
}

// ServeHTTP implements http.Handler.
func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	name := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, root), "/")
	if name != strings.TrimSuffix(name, "/") || r.URL.Path == root+"/" {
		http.Redirect(w, r, path.Clean(root+"/"+name), http.StatusMovedPermanently) //nolint:gosec // it stays below /docs
		return
	}
	if name == "try.json" {
		s.try(w, r)
		return
	}
	e, status := s.find(name)
	e.once.Do(e.build)
	if e.err != nil {
		http.Error(w, "This page cannot be made.", http.StatusInternalServerError)
		return
	}
	if strings.HasPrefix(e.mime, "image/svg") { // a picture has its own style in it, and may have nothing else
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	}
	e.send(w, r, status)
}

// try answers the development key, to pages of this machine alone: a stranger's page that has its name point here (DNS
// rebinding) must not get it.
func (s *site) try(w http.ResponseWriter, r *http.Request) {
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	if _, err := netip.ParseAddr(host); s.DevKey == "" || err != nil && host != "localhost" {
		http.Error(w, "There is nothing to try here.", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(map[string]string{"key": s.DevKey}) // the reader has gone: there is nobody to tell
}

// find returns the thing of a name, or the page that says that there is none.
func (s *site) find(name string) (*entry, int) {
	build := s.source(name)
	status := http.StatusOK
	if build == nil {
		name, status = "", http.StatusNotFound
		build = func() (string, []byte, error) {
			return s.page(link{URL: root, Title: "Not found"}, document{
				html: []byte(
					`<h1>Not found</h1><p>There is no such page. The list beside this text, or the search, may have it.</p>`,
				),
			})
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key := fmt.Sprint(status, name)
	e := s.ready[key]
	if e == nil {
		e = &entry{make: build}
		s.ready[key] = e
	}
	return e, status
}

// source returns how to make the thing of a name, or nil.
func (s *site) source(name string) func() (string, []byte, error) {
	if name == "search.json" {
		return s.index
	}
	if file, is := strings.CutPrefix(name, "assets/"); is {
		return s.asset(file)
	}
	for _, c := range s.chapters() {
		for _, l := range c.Links {
			if strings.TrimPrefix(strings.TrimPrefix(l.URL, root), "/") == name {
				return func() (string, []byte, error) {
					d, err := s.document(l.File)
					if err != nil {
						return "", nil, err
					}
					return s.page(l, d)
				}
			}
		}
	}
	return nil
}

// document returns a page's own part.
func (s *site) document(file string) (document, error) {
	if file == reference {
		return referencePage(s.files, openapi.OpenAPI, s.DevKey != "")
	}
	return render(s.files, file)
}

// asset returns a style, a script or a picture.
func (s *site) asset(file string) func() (string, []byte, error) {
	for _, at := range []struct {
		fs   fs.FS
		path string
	}{{assets, "assets/" + file}, {s.files, file}, {s.files, "diagrams/" + file}} {
		kind := mime.TypeByExtension(path.Ext(file))
		switch path.Ext(file) {
		case ".css", ".js", ".svg", ".png":
		default:
			return nil
		}
		if body, err := fs.ReadFile(at.fs, at.path); err == nil {
			return func() (string, []byte, error) { return kind, body, nil }
		}
	}
	return nil
}

// page puts a document into the site's frame.
func (s *site) page(at link, d document) (string, []byte, error) {
	view := struct {
		Title, URL, Stamp string
		Body              template.HTML
		Chapters          []chapter
		Contents          []heading
		Before, After     *link
		Source            string
		Dev, Wide         bool
	}{
		Title:    at.Title,
		URL:      at.URL,
		Stamp:    s.stamp(),
		Chapters: s.chapters(),
		Dev:      s.DevKey != "",
		Wide:     at.File == reference,
		Body:     template.HTML(d.html), //nolint:gosec // made of our own files, by a renderer that passes no HTML
	}
	for _, h := range d.headings {
		if h.Level == 2 || h.Level == 3 {
			view.Contents = append(view.Contents, h)
		}
	}
	if at.File != "" && at.File != reference {
		view.Source = repository + "/edit/main/docs/" + at.File
	}
	view.Before, view.After = s.neighbours(at.File)
	var b bytes.Buffer
	if err := s.layout().Execute(&b, view); err != nil {
		return "", nil, fmt.Errorf("docs: %w", err)
	}
	return "text/html; charset=utf-8", b.Bytes(), nil
}

// neighbours returns what is read before and after a page.
func (s *site) neighbours(file string) (before, after *link) {
	var all []link
	for _, c := range s.chapters() {
		all = append(all, c.Links...)
	}
	for i := range all {
		if all[i].File != file {
			continue
		}
		if i > 0 {
			before = &all[i-1]
		}
		if i+1 < len(all) {
			after = &all[i+1]
		}
	}
	return before, after
}

// found is a place that the search can find: page, heading, address, text.
type found [4]string

// index returns what the search looks through.
func (s *site) index() (string, []byte, error) {
	var all []found
	for _, c := range s.chapters() {
		for _, l := range c.Links {
			d, err := s.document(l.File)
			if err != nil {
				return "", nil, err
			}
			for i, h := range d.headings {
				to := l.URL + "#" + h.ID
				if i == 0 {
					to = l.URL
				}
				all = append(all, found{l.Title, h.Title, to, h.text})
			}
		}
	}
	body, err := json.Marshal(all)
	return "application/json", body, err
}

// hash names the assets, so that a browser that keeps them asks again after an update.
func (s *site) hash() string {
	sum := sha256.New()
	for _, name := range []string{"docs.css", "docs.js", "try.js"} {
		body, _ := fs.ReadFile(assets, "assets/"+name) // they are embedded
		_, _ = sum.Write(body)
	}
	return hex.EncodeToString(sum.Sum(nil)[:6])
}

// build makes the thing and keeps it compressed.
func (e *entry) build() {
	kind, body, err := e.make()
	e.make, e.mime, e.err = nil, kind, err
	if err != nil {
		return
	}
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // the level is valid
	_, _ = z.Write(body)                                  // into memory
	_ = z.Close()
	sum := sha256.Sum256(body)
	e.zipped, e.etag = b.Bytes(), `"`+hex.EncodeToString(sum[:9])+`"`
}

// send answers the thing, compressed for those who can read it so.
func (e *entry) send(w http.ResponseWriter, r *http.Request, status int) {
	h := w.Header()
	h.Set("Content-Type", e.mime)
	h.Set("Vary", "Accept-Encoding")
	h.Set("ETag", e.etag)
	h.Set("Cache-Control", "no-cache")
	if r.URL.Query().Has("v") {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if status == http.StatusOK && strings.Contains(r.Header.Get("If-None-Match"), e.etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		w.WriteHeader(status)
		_, _ = w.Write(e.zipped) // the reader has gone: there is nobody to tell
		return
	}
	w.WriteHeader(status)
	z, err := gzip.NewReader(bytes.NewReader(e.zipped))
	if err == nil {
		_, _ = io.Copy(w, z) //nolint:gosec // our own bytes, not a stranger's
	}
}
