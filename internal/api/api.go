// Package api speaks HTTP: it knows who calls, reads what they ask, calls the core, and turns answers and errors into
// JSON. The contract is api/openapi.yaml, and tests hold every answer against it.
//
// It decides nothing about verifications. An error becomes an answer in one place (asProblem), and what is not meant
// for the caller stays in the log.
package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	contract "github.com/dialproof/dialproof/api"
	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/link"
	"github.com/dialproof/dialproof/internal/proof"
	"github.com/dialproof/dialproof/internal/verify"
	"github.com/dialproof/dialproof/internal/webhook"
)

// Bounds of a request, beside those of net/http's server.
const (
	maxBody     = 64 << 10  // of our own requests
	maxCallback = 256 << 10 // of a provider's receipt
	maxHeader   = 16 << 10
)

// Core is what the API calls.
type Core interface {
	Start(ctx context.Context, c application.Caller, r verify.StartRequest) (*verify.Verification, error)
	Check(ctx context.Context, c application.Caller, r verify.CheckRequest) (verify.CheckAnswer, error)
	Resend(ctx context.Context, c application.Caller, r verify.ResendRequest) (*verify.Verification, error)
	Cancel(ctx context.Context, c application.Caller, v id.ID, r *verify.Replay) (*verify.Verification, error)
	Get(ctx context.Context, c application.Caller, v id.ID) (*verify.Verification, error)
	List(ctx context.Context, c application.Caller, f verify.Filter) (verify.Page, error)
	Vet(c application.Caller, r verify.StartRequest) error
}

// Callbacks takes providers' receipts.
type Callbacks interface {
	Callback(ctx context.Context, route, token string, r channel.Callback) (status int, contentType string, body []byte)
}

// Options is what the API needs.
type Options struct {
	Core      Core
	Directory *application.Directory
	// Webhooks are the endpoints that get events.
	Webhooks  *webhook.Directory
	Callbacks Callbacks
	// Prover signs what an approval proves.
	Prover proof.Signer
	// Ready returns why requests cannot be taken, or nil.
	Ready func(context.Context) error
	// Metrics returns /metrics, to keys with the scope admin; nil when a separate address does.
	Metrics http.Handler
	// Docs returns everything under /docs. May be nil.
	Docs http.Handler
	// Links seals the links to Pages, which answers everything under /verify/ and the widget; nil: there is no such page.
	Links link.Sealer
	Pages http.Handler
	// Dev returns everything under /dev/; nil outside development.
	Dev http.Handler
	Log *slog.Logger
	Now func() time.Time
	IDs *id.Source
	// PublicURL is the address that providers call, for signatures over it.
	PublicURL string
	// Observe is told of each request: the route's pattern, the status and the time it took. May be nil.
	Observe func(ctx context.Context, pattern string, status int, took time.Duration)
	// Gate bounds what is under way; nil makes one.
	Gate *Gate
}

// api is the handler's state.
type api struct {
	Options
	mux      *http.ServeMux
	inFlight inFlight
}

// handler answers a request or an error, which becomes a problem.
type handler func(w http.ResponseWriter, r *http.Request) error

// route is one method and path of the contract.
type route struct {
	pattern string
	scopes  []application.Scope // any of them; none: no key is needed
	serve   func(*api) handler
}

// routes are all of them; a test holds them against the contract.
func routes() []route {
	verifyOnly, readOnly, admin := []application.Scope{
		application.Verify,
	}, []application.Scope{
		application.Read,
	}, []application.Scope{
		application.Admin,
	}
	return []route{
		{"POST /v1/verifications", verifyOnly, func(a *api) handler { return a.start }},
		{"GET /v1/verifications", readOnly, func(a *api) handler { return a.list }},
		{"POST /v1/verifications/check", verifyOnly, func(a *api) handler { return a.checkByNumber }},
		{"GET /v1/verifications/{id}", []application.Scope{application.Verify, application.Read},
			func(a *api) handler { return a.get }},
		{"POST /v1/verifications/{id}/check", verifyOnly, func(a *api) handler { return a.check }},
		{"POST /v1/verifications/{id}/resend", verifyOnly, func(a *api) handler { return a.resend }},
		{"POST /v1/verifications/{id}/cancel", verifyOnly, func(a *api) handler { return a.cancel }},
		{"POST /v1/links", verifyOnly, func(a *api) handler { return a.createLink }},
		{"GET /v1/applications", admin, func(a *api) handler { return a.listApplications }},
		{"POST /v1/applications", admin, func(a *api) handler { return a.createApplication }},
		{"GET /v1/applications/{id}", admin, func(a *api) handler { return a.getApplication }},
		{"PATCH /v1/applications/{id}", admin, func(a *api) handler { return a.changeApplication }},
		{"GET /v1/keys", admin, func(a *api) handler { return a.listKeys }},
		{"POST /v1/keys", admin, func(a *api) handler { return a.createKey }},
		{"POST /v1/keys/{id}/revoke", admin, func(a *api) handler { return a.revokeKey }},
		{"GET /v1/webhooks", admin, func(a *api) handler { return a.listWebhooks }},
		{"POST /v1/webhooks", admin, func(a *api) handler { return a.createWebhook }},
		{"GET /v1/webhooks/{id}", admin, func(a *api) handler { return a.getWebhook }},
		{"PATCH /v1/webhooks/{id}", admin, func(a *api) handler { return a.changeWebhook }},
		{"DELETE /v1/webhooks/{id}", admin, func(a *api) handler { return a.deleteWebhook }},
		{"POST /v1/webhooks/{id}/rotate", admin, func(a *api) handler { return a.rotateWebhook }},
		{"POST /v1/webhooks/{id}/replay", admin, func(a *api) handler { return a.replayWebhook }},
		{"POST /v1/webhooks/{id}/test", admin, func(a *api) handler { return a.testWebhook }},
		{"GET /v1/webhooks/{id}/events", admin, func(a *api) handler { return a.listEvents }},
		{"POST /callbacks/{route}/{token}", nil, func(a *api) handler { return a.callback }},
		{"GET /callbacks/{route}/{token}", nil, func(a *api) handler { return a.callback }},
		{"GET /healthz", nil, func(*api) handler { return health }},
		{"GET /readyz", nil, func(a *api) handler { return a.ready }},
		{"GET /openapi.yaml", nil, func(*api) handler { return openapi }},
		{"GET /.well-known/jwks.json", nil, func(a *api) handler { return a.jwks }},
	}
}

// New returns the handler of everything that a node serves.
func New(o Options) http.Handler {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.IDs == nil {
		o.IDs = id.NewSource(id.ID{})
	}
	if o.Gate == nil {
		o.Gate = NewGate(GateOptions{Log: o.Log, IDs: o.IDs, Now: o.Now})
	}
	a := &api{Options: o, mux: http.NewServeMux(), inFlight: inFlight{keys: map[[32]byte]struct{}{}}}
	for _, r := range routes() {
		h := r.serve(a)
		if extra, ok := gatedBy(r.pattern); ok {
			h = a.gated(extra, h)
		}
		a.mux.Handle(r.pattern, a.guarded(r.scopes, h))
	}
	if o.Metrics != nil {
		a.mux.Handle("GET /metrics",
			a.guarded([]application.Scope{application.Admin}, func(w http.ResponseWriter, r *http.Request) error {
				o.Metrics.ServeHTTP(w, r)
				return nil
			}))
	}
	if o.Docs != nil {
		a.mux.Handle("GET /docs", o.Docs)
		a.mux.Handle("GET /docs/", o.Docs)
	}
	if o.Pages != nil {
		for _, pattern := range []string{
			"GET /verify/{token}", "POST /verify/{token}", "GET /verify/{token}/status", "GET /verify/assets/page.css",
			"GET /verify/assets/page.js", "GET /verify/assets/icon.svg", "GET /verify/assets/country/{code}", "GET /widget.js",
		} {
			a.mux.Handle(pattern, o.Pages)
		}
	}
	if o.Dev != nil {
		a.mux.Handle("/dev/", o.Dev)
		// Who opens the bare address is looking for the handset.
		a.mux.Handle("GET /{$}", http.RedirectHandler("/dev/handset", http.StatusFound))
	}
	a.mux.HandleFunc(elsewhere, a.unrouted)
	return http.HandlerFunc(a.serve)
}

// elsewhere is the pattern of what no route serves.
const elsewhere = "/"

// Server returns a server with bounds that hold off slow and greedy callers. What net/http itself has to say goes to
// errors.
func Server(addr string, h http.Handler, errors *log.Logger) *http.Server {
	return &http.Server{
		Addr: addr, Handler: h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       120 * time.Second,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          errors,
	}
}

type ctxKey struct{}

// call is what one request carries through its handlers. It is the request's context and the writer of its answer as
// well, so that a request costs one such thing and not four.
type call struct {
	context.Context // the request's own
	recorder
	id     string
	header [1]string // the id, as a header's value
	caller application.Caller
	// body is what the gate has read, when it has.
	body []byte
	held bool
}

// Value implements context.Context: a call finds itself, however many contexts are around it.
func (c *call) Value(key any) any {
	if key == (ctxKey{}) {
		return c
	}
	return c.Context.Value(key)
}

func callOf(r *http.Request) *call {
	c, _ := r.Context().Value(ctxKey{}).(*call)
	return c
}

// serve is around every request: an id, a log line, no panic, and problems for what the mux itself answers.
func (a *api) serve(w http.ResponseWriter, r *http.Request) {
	begin := a.Now()
	c := &call{Context: r.Context(), recorder: recorder{ResponseWriter: w}, id: requestID(r.Header.Get("X-Request-Id"))}
	if c.id == "" {
		c.id = a.IDs.New(begin).Text(id.Request)
	}
	if a.overloaded(w, r, c, begin) {
		return
	}
	c.header[0] = c.id
	w.Header()["X-Request-Id"] = c.header[:]
	r = r.WithContext(c)
	defer a.finish(r, c, begin)
	if untidy(r.URL) {
		a.unrouted(c, r) // the mux would send the caller to the tidied path, which is not what was asked for
		return
	}
	a.mux.ServeHTTP(c, r)
}

// untidy reports whether a path is not written as it is meant.
func untidy(u *url.URL) bool {
	path := u.Path
	if u.RawPath != "" {
		path = u.EscapedPath() // an escaped slash is a part of a name
	}
	return strings.Contains(path, "//") || strings.Contains(path, "/./") || strings.Contains(path, "/..")
}

// finish logs the request, and turns a panic into an answer.
func (a *api) finish(r *http.Request, c *call, begin time.Time) {
	if p := recover(); p != nil {
		if p == http.ErrAbortHandler { //nolint:errorlint // a panic's value, which net/http compares so
			panic(p)
		}
		a.Log.Error("a request panicked", "request", c.id, "route", r.Pattern, "panic", fmt.Sprint(p),
			"stack", string(debug.Stack()))
		if c.status == 0 {
			newProblem("internal", "something went wrong on our side; the instance names the request in the log").write(c, c.id)
		}
	}
	took := a.Now().Sub(begin)
	if a.Observe != nil {
		a.Observe(c.Context, r.Pattern, c.status, took)
	}
	if !a.Log.Enabled(r.Context(), slog.LevelDebug) {
		return
	}
	// The path and query may hold numbers and tokens: the pattern says enough.
	a.Log.LogAttrs(r.Context(), slog.LevelDebug, "request",
		slog.String("request", c.id), slog.String("route", r.Pattern), slog.Int("status", c.status),
		slog.Duration("took", took), slog.Int("bytes", c.bytes), slog.String("key", keyText(c.caller)))
}

func keyText(c application.Caller) string {
	if c.Key == nil {
		return ""
	}
	return c.Key.ID.Text(id.Key)
}

// requestID returns the caller's own request id if it is harmless.
func requestID(s string) string {
	if len(s) > 64 || strings.ContainsFunc(s, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '-' && r != '_'
	}) || !strings.ContainsFunc(s, func(r rune) bool { return r > '9' }) {
		return "" // all digits might be a number
	}
	return s
}

// unrouted answers what no route serves.
func (a *api) unrouted(w http.ResponseWriter, r *http.Request) {
	c := callOf(r)
	r.Pattern = "" // logs and metrics name no route
	var allow []string
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPatch,
		http.MethodDelete} {
		probe := r.Clone(r.Context())
		probe.Method = method
		if _, pattern := a.mux.Handler(probe); pattern != elsewhere {
			allow = append(allow, method)
		}
	}
	if len(allow) == 0 {
		newProblem("not_found", "there is nothing at this path").write(w, c.id)
		return
	}
	p := newProblem("method_not_allowed", "this path knows "+strings.Join(allow, ", "))
	p.header.Set("Allow", strings.Join(allow, ", "))
	p.write(w, c.id)
}

// guarded wraps a handler: who calls, may they, and what an error is to them.
func (a *api) guarded(scopes []application.Scope, h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := callOf(r)
		err := a.admit(r, c, scopes)
		if err == nil {
			err = h(w, r)
		}
		if err == nil {
			return
		}
		a.refuse(r, c, err)
	})
}

// clientGone is the status of a request whose caller did not wait for the answer. Nobody reads it: it keeps such
// requests apart from our own failures in metrics, log and traces.
const clientGone = 499

// refuse answers a request with an error. What is a fault of ours is logged.
func (a *api) refuse(r *http.Request, c *call, err error) {
	p := asProblem(err, a.Now())
	gone := r.Context().Err() != nil
	if gone && p.Code == "internal" {
		c.WriteHeader(clientGone)
		return
	}
	level := slog.LevelError
	if gone || p.Code == "stopping" {
		level = slog.LevelDebug
	}
	// The gate's own refusals are problems already: there are many, and the gate tells of them itself.
	if _, own := errors.AsType[*problem](err); p.Status >= http.StatusInternalServerError && !own {
		a.Log.Log(r.Context(), level, "a request failed", "request", c.id, "route", r.Pattern, "code", p.Code, "error", err)
	}
	p.write(c, c.id)
}

// admit returns why the request may not go on.
func (a *api) admit(r *http.Request, c *call, scopes []application.Scope) error {
	if len(scopes) == 0 {
		return nil
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "bearer") || token == "" {
		return unauthenticated("unauthenticated", `send the key in the header: Authorization: Bearer dp_…`)
	}
	caller, err := a.Directory.Authenticate(token)
	switch {
	case errors.Is(err, application.ErrKeyExpired):
		return unauthenticated("key_expired", "the key was made with an expiry that has passed: make a new one")
	case err != nil:
		return unauthenticated("unauthenticated", "the key is not valid, or it has been revoked")
	}
	c.caller = caller
	for _, s := range scopes {
		// An operator's key runs the deployment; it is in no application, so it verifies nothing.
		if caller.May(s) && (s == application.Admin) == caller.Key.App.IsZero() {
			return nil
		}
	}
	return newProblem("forbidden", fmt.Sprintf("this needs a key with the scope %s", joinScopes(scopes)))
}

func joinScopes(scopes []application.Scope) string {
	names := make([]string, len(scopes))
	for i, s := range scopes {
		names[i] = string(s)
	}
	return strings.Join(names, " or ")
}

func unauthenticated(code, detail string) *problem {
	p := newProblem(code, detail)
	p.header.Set("WWW-Authenticate", `Bearer realm="dialproof"`)
	return p
}

// encode returns v as JSON, with the members of maps in order.
func encode(v any) []byte {
	body, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		panic(err) // a view holds texts, numbers and times alone: its request is answered with 500
	}
	return body
}

// answer sends v as JSON.
func answer(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	send(w, status, body)
	return nil
}

// The values of headers that every answer has, made once. Nobody changes a header's value in place.
var typeJSON, noStore, noSniff = []string{"application/json"}, []string{"no-store"}, []string{"nosniff"}

func send(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h["Content-Type"], h["Cache-Control"], h["X-Content-Type-Options"] = typeJSON, noStore, noSniff
	w.WriteHeader(status)
	_, _ = w.Write(body) // the caller has gone: there is nobody to tell
}

// recorder remembers what was answered.
type recorder struct {
	http.ResponseWriter
	status, bytes int
}

// WriteHeader implements http.ResponseWriter.
func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(b)
	w.bytes += n
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func health(w http.ResponseWriter, _ *http.Request) error {
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *api) ready(w http.ResponseWriter, r *http.Request) error {
	if err := a.Ready(r.Context()); err != nil {
		return err
	}
	return answer(w, http.StatusOK, map[string]string{"status": "ready"})
}

func openapi(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Content-Type", "application/yaml")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(contract.OpenAPI))
	return nil
}

// jwks answers the keys that check proofs. They may be kept for a while: a rotation keeps the old ones.
func (a *api) jwks(w http.ResponseWriter, _ *http.Request) error {
	h := w.Header()
	h.Set("Content-Type", "application/jwk-set+json")
	h.Set("Cache-Control", "public, max-age=300")
	_, _ = w.Write(a.Prover.JWKS()) // the caller has gone: there is nobody to tell
	return nil
}
