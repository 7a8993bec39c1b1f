package web

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/link"
	"github.com/dialproof/dialproof/internal/proof"
	"github.com/dialproof/dialproof/internal/verify"
)

//go:embed page
var pageFiles embed.FS

// maxForm bounds what a person sends, in bytes.
const maxForm = 8 << 10

// Core is what the hosted page calls.
type Core interface {
	Start(ctx context.Context, c application.Caller, r verify.StartRequest) (*verify.Verification, error)
	Check(ctx context.Context, c application.Caller, r verify.CheckRequest) (verify.CheckAnswer, error)
	Resend(ctx context.Context, c application.Caller, r verify.ResendRequest) (*verify.Verification, error)
	Cancel(ctx context.Context, c application.Caller, v id.ID, r *verify.Replay) (*verify.Verification, error)
	Get(ctx context.Context, c application.Caller, v id.ID) (*verify.Verification, error)
	Proven(ctx context.Context, c application.Caller, v id.ID) (*verify.Verification, *verify.Proven, error)
	// LinkUsed reports whether a link has led to an approval, after which it leads nowhere.
	LinkUsed(ctx context.Context, link id.ID) (bool, error)
}

// Callers answers who acts with the key that made a link.
type Callers interface {
	Caller(key [16]byte) (application.Caller, error)
}

// Page is the hosted page: an application's link leads a person to it, and it leads them back with a proof.
//
// The address is all the state there is: a token that nobody can guess, sealed with the key ring. No cookie is set, so
// there is nothing that a stranger's page could make a browser send along. Every step is a form that is posted and
// answered with a redirect; the script only helps.
type Page struct {
	Core    Core
	Callers Callers
	Links   link.Sealer
	Prover  proof.Signer
	Log     *slog.Logger
	Now     func() time.Time
	// Host is the host under which people see the page, for codes that fill themselves in.
	Host string
	// Proxies are those whose X-Forwarded-For is believed.
	Proxies []netip.Prefix
}

// pages is Page at work.
type pages struct {
	Page
	page  *template.Template
	style []byte
}

// Handler returns the page under /verify/ and the widget.
func (p Page) Handler() (http.Handler, error) {
	t, err := template.ParseFS(pageFiles, "page/page.html")
	if err != nil {
		return nil, fmt.Errorf("web: %w", err)
	}
	style, err := pageFiles.ReadFile("page/page.css")
	if err != nil {
		return nil, fmt.Errorf("web: %w", err)
	}
	h := &pages{Page: p, page: t, style: style}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /verify/{token}", h.show)
	mux.HandleFunc("POST /verify/{token}", h.step)
	mux.HandleFunc("GET /verify/{token}/status", h.status)
	mux.HandleFunc("GET /verify/assets/page.css", h.css)
	mux.HandleFunc("GET /verify/assets/page.js", file("page/page.js", "text/javascript; charset=utf-8"))
	mux.HandleFunc("GET /verify/assets/icon.svg", file("page/icon.svg", "image/svg+xml"))
	mux.HandleFunc("GET /verify/assets/country/{code}", rules)
	mux.HandleFunc("GET /widget.js", widget)
	return mux, nil
}

// visit is one request of a person.
type visit struct {
	token string
	link  link.Link
	// caller acts with the key that made the link.
	caller application.Caller
	// v is the verification that the person is in; nil before the start.
	v      *verify.Verification
	now    time.Time
	locale string
	words  words
	// accent is the colour that the widget's page asks for, as rrggbb; empty: the application's own.
	accent string
}

// open answers whom the token stands for. ok is false, and the request is answered, when it stands for nobody.
func (p *pages) open(w http.ResponseWriter, r *http.Request) (*visit, bool) {
	x := &visit{
		token:  r.PathValue("token"),
		now:    p.Now(),
		caller: application.Caller{Key: &application.Key{}, App: &application.Application{}},
	}
	var err error
	if x.link, err = p.Links.Open(x.token); err == nil {
		var c application.Caller
		if c, err = p.Callers.Caller(x.link.Key); err == nil {
			x.caller = c
		}
	}
	x.locale = chooseLocale(x.link.Locale, x.caller.App.Policy.Locale, r.Header.Get("Accept-Language"), x.link.Region)
	x.words = wording(x.locale)
	if c := lower(r.URL.Query().Get("accent")); x.link.Embed != "" && hexForm.MatchString(c) {
		x.accent = c
	}
	if err != nil {
		x.link = link.Link{} // nothing of it is to be believed
		p.render(w, x, http.StatusNotFound, p.over(x))
		return nil, false
	}
	if x.link.Verification.IsZero() {
		if x.now.After(x.link.Expires) {
			p.render(w, x, http.StatusNotFound, p.over(x))
			return nil, false
		}
		used, err := p.Core.LinkUsed(r.Context(), x.link.ID)
		if err != nil {
			p.trouble(w, r, x, err)
			return nil, false
		}
		if used {
			p.render(w, x, http.StatusNotFound, p.used(x))
			return nil, false
		}
		return x, true
	}
	if x.v, err = p.Core.Get(r.Context(), x.caller, x.link.Verification); err != nil {
		p.trouble(w, r, x, err)
		return nil, false
	}
	return x, true
}

// show answers the page as it stands.
func (p *pages) show(w http.ResponseWriter, r *http.Request) {
	x, ok := p.open(w, r)
	if !ok {
		return
	}
	if x.v == nil {
		d := p.number(x, r, "")
		if r.URL.Query().Get("say") == sayCanceled {
			d.End = sayCanceled
		}
		p.render(w, x, http.StatusOK, d)
		return
	}
	p.render(w, x, http.StatusOK, p.state(x, r))
}

// trouble answers what the person cannot help.
func (p *pages) trouble(w http.ResponseWriter, r *http.Request, x *visit, err error) {
	if e, ok := errors.AsType[*verify.Error](err); ok && e.Code == verify.CodeNotFound {
		p.render(w, x, http.StatusNotFound, p.over(x))
		return
	}
	if r.Context().Err() == nil { // else the person has gone, which is no fault
		p.Log.Error("the hosted page failed", "link", x.link.ID.Text(id.Link), "route", r.Pattern, "error", err)
	}
	w.Header().Set("Retry-After", "5")
	d := p.base(x, "title_number")
	d.Error, d.Fatal = x.words.text("trouble"), true
	p.render(w, x, http.StatusServiceUnavailable, d)
}

// render sends the page under headers that let it load what it came with and nothing else.
func (p *pages) render(w http.ResponseWriter, x *visit, status int, d *data) {
	secure(w.Header(), x.link)
	w.WriteHeader(status)
	if err := p.page.ExecuteTemplate(w, "page.html", d); err != nil && !errors.Is(err, http.ErrHandlerTimeout) {
		p.Log.Debug("the hosted page was not read to its end", "error", err)
	}
}

// secure sets the headers of a page. Only the page that the link names may show it in a frame, and a form may lead only
// to where the link returns (browsers hold form-action against the redirect as well).
func secure(h http.Header, l link.Link) {
	form, frame := "'self'", "'none'"
	if origin, ok := application.Origin(l.Return); ok {
		form += " " + origin
	}
	if l.Embed != "" {
		frame = l.Embed
	} else {
		h.Set("X-Frame-Options", "DENY")
	}
	h.Set("Content-Security-Policy",
		"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri "+
			"'none'; "+
			"form-action "+form+"; frame-ancestors "+frame+"; require-trusted-types-for 'script'; trusted-types 'none'")
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer") // the address is a secret
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Robots-Tag", "noindex, nofollow")
	h.Set("Permissions-Policy", "otp-credentials=(self), camera=(), microphone=(), geolocation=()")
}
