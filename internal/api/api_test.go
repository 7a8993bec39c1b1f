package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/api"
	"github.com/dialproof/dialproof/internal/api/apitest"
	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/limit"
	"github.com/dialproof/dialproof/internal/store"
	"github.com/dialproof/dialproof/internal/store/memstore"
	"github.com/dialproof/dialproof/internal/verify"
)

// core is a core that does what a test says.
type core struct {
	api.Core
	start func(verify.StartRequest) (*verify.Verification, error)
}

func (c core) Start(_ context.Context, _ application.Caller, r verify.StartRequest) (*verify.Verification, error) {
	return c.start(r)
}

var now = time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)

// server returns the API before a core, and a key for it. Every answer is held against the contract.
func server(t *testing.T, start func(verify.StartRequest) (*verify.Verification, error)) (http.Handler, string) {
	t.Helper()
	h, token := bare(t, start)
	return apitest.Conform(t, h), token
}

// bare returns the API before a core, and a key for it.
func bare(t testing.TB, start func(verify.StartRequest) (*verify.Verification, error)) (http.Handler, string) {
	t.Helper()
	db := store.New(memstore.New(memstore.NewData(), memstore.Options{}), nil)
	t.Cleanup(func() { db.Close() })
	ids := id.NewSource(id.ID{})
	d, err := application.Open(t.Context(), db, ids, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	app, err := d.Create(t.Context(), application.Application{Name: "shop", Brand: "Shop"})
	if err != nil {
		t.Fatal(err)
	}
	_, token, err := d.CreateKey(t.Context(),
		application.NewKey{App: app.ID, Name: "k", Mode: application.Live, Scopes: []application.Scope{application.Verify}})
	if err != nil {
		t.Fatal(err)
	}
	h := api.New(api.Options{
		Core:      core{start: start},
		Directory: d,
		IDs:       ids,
		Log:       slog.New(slog.DiscardHandler),
		Now:       func() time.Time { return now },
		Ready:     func(context.Context) error { return nil },
	})
	return h, token
}

// post sends a start.
func post(t *testing.T, h http.Handler, token string, header map[string]string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/v1/verifications", strings.NewReader(`{"to":"+447700900123"}`))
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	for k, v := range header {
		r.Header.Set(k, v)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// code returns the code of a problem.
func code(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()
	var p struct {
		Code, Instance string
	}
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Instance != w.Header().Get("X-Request-Id") {
		t.Errorf("%s: instance %q, request %q, %v", w.Body, p.Instance, w.Header().Get("X-Request-Id"), err)
	}
	return p.Code
}

func pending() *verify.Verification {
	return &verify.Verification{
		ID:      id.NewSource(id.ID{}).New(now),
		Status:  verify.Pending,
		Channel: channel.SMS,
		Expires: now.Add(5 * time.Minute),
		Sends:   1,
		Spec: verify.Spec{
			Masked:      "+44•••••••123",
			Country:     "GB",
			Purpose:     "login",
			CodeLength:  6,
			Created:     now,
			MaxAttempts: 5,
			MaxSends:    5,
		},
	}
}

// TestAPanicIsOneRequests: it is answered, names itself for the log, and the next request is served.
func TestAPanicIsOneRequests(t *testing.T) {
	t.Parallel()
	first := true
	h, token := server(t, func(verify.StartRequest) (*verify.Verification, error) {
		if first {
			first = false
			panic("planted: +447700900123")
		}
		return pending(), nil
	})
	w := post(t, h, token, nil)
	if w.Code != http.StatusInternalServerError || code(t, w) != "internal" ||
		strings.Contains(w.Body.String(), "planted") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := post(t, h, token, nil); w.Code != http.StatusCreated {
		t.Errorf("after the panic: %d %s", w.Code, w.Body)
	}
}

// TestErrorsBecomeAnswers: each error of the core has one answer, and what nobody foresaw says nothing of itself.
func TestErrorsBecomeAnswers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		err    error
		status int
		code   string
		header map[string]string
	}{
		{"a limit", &verify.Error{Code: verify.CodeLimited, Retry: now.Add(29*time.Second + time.Millisecond),
			Refusal: &limit.Refusal{Name: "number_30s", Limit: 1, Window: 30 * time.Second}}, 429, "rate_limited",
			map[string]string{"Retry-After": "30", "RateLimit-Policy": `"number_30s";q=1;w=30`,
				"RateLimit": `"number_30s";r=0;t=30`}},
		{"a limit that is just over",
			&verify.Error{Code: verify.CodeLimited, Retry: now, Refusal: &limit.Refusal{Name: "x", Limit: 1}}, 429,
			"rate_limited",
			map[string]string{"Retry-After": "1", "RateLimit-Policy": `"x";q=1;w=1`}},
		{"a store that is down", &verify.Error{Code: verify.CodeUnavailable, Detail: "the store cannot be written"}, 503,
			"store_unavailable", map[string]string{"Retry-After": "1"}},
		{"too much at once", &verify.Error{Code: verify.CodeBusy}, 503, "busy", map[string]string{"Retry-After": "1"}},
		{"an error of nobody's", errors.New("secret detail"), 500, "internal", nil},
		{"a wrapped error", errors.Join(errors.New("secret detail"),
			&verify.Error{Code: verify.CodeNoRoute, Detail: "no route serves the number"}), 422, "no_route", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h, token := server(t, func(verify.StartRequest) (*verify.Verification, error) { return nil, c.err })
			w := post(t, h, token, nil)
			if w.Code != c.status || code(t, w) != c.code || strings.Contains(w.Body.String(), "secret detail") {
				t.Errorf("%d %s", w.Code, w.Body)
			}
			for name, want := range c.header {
				if got := w.Header().Get(name); got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
		})
	}
}

// TestIdempotencyInFlight: while the first request is under way, its repetition is told so; after it, it is served.
func TestIdempotencyInFlight(t *testing.T) {
	t.Parallel()
	entered, leave := make(chan struct{}), make(chan struct{})
	var keys [][32]byte
	h, token := server(t, func(r verify.StartRequest) (*verify.Verification, error) {
		keys = append(keys, r.Replay.Key)
		if len(keys) == 1 {
			close(entered)
			<-leave
			return pending(), nil
		}
		return nil, &verify.Replayed{Body: r.Replay.Render(verify.CheckAnswer{Verification: pending()})}
	})
	header := map[string]string{"Idempotency-Key": `"order-7"`}
	done := make(chan int)
	go func() { done <- post(t, h, token, header).Code }()
	<-entered
	if w := post(t, h, token, map[string]string{"Idempotency-Key": "order-7"}); w.Code != http.StatusConflict ||
		code(t, w) != "idempotency_in_flight" {
		t.Errorf("at the same time: %d %s", w.Code, w.Body)
	}
	close(leave)
	if got := <-done; got != http.StatusCreated {
		t.Errorf("the first: %d", got)
	}
	w := post(t, h, token, header)
	if w.Code != http.StatusCreated || w.Header().Get("Idempotency-Replayed") != "true" {
		t.Errorf("the repetition: %d %v", w.Code, w.Header())
	}
	if len(keys) != 2 || keys[0] != keys[1] {
		t.Errorf("the quoted and the bare key are not the same: %x", keys)
	}
}

// TestRequestIDs: a harmless id of the caller's is kept; one that may be a number, or a line of a log, is not.
func TestRequestIDs(t *testing.T) {
	t.Parallel()
	h, token := server(t, func(verify.StartRequest) (*verify.Verification, error) { return pending(), nil })
	for given, kept := range map[string]bool{
		"abc-123_X": true, "447700900123": false, "a b": false, "a\tb": false, strings.Repeat("a", 65): false, "": false,
		"req=1": false,
	} {
		w := post(t, h, token, map[string]string{"X-Request-Id": given})
		got := w.Header().Get("X-Request-Id")
		if (got == given) != kept || got == "" {
			t.Errorf("%q became %q", given, got)
		}
	}
}

// FuzzStart sends any bytes: the answer is a 4xx with a code of the contract, or the core is asked.
func FuzzStart(f *testing.F) {
	for _, seed := range []string{
		`{"to":"+447700900123"}`, `{"to":"07700 900123","region":"GB","code_length":6,` +
			`"metadata":{"a":"b"}}`, `{"transaction":{"amount":"1"}}`,
		`{"to":`, `[]`, `null`, `{"to":"\ud800"}`, `{"client":{"ip":"::1"},"autofill":{"origin":"example.com"}}`, "\xff",
	} {
		f.Add([]byte(seed))
	}
	h, token := bare(f, func(verify.StartRequest) (*verify.Verification, error) { return pending(), nil })
	f.Fuzz(func(t *testing.T, body []byte) {
		r := httptest.NewRequest(http.MethodPost, "/v1/verifications", strings.NewReader(string(body)))
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusCreated && (w.Code < 400 || w.Code > 499 || code(t, w) == "") {
			t.Errorf("%q: %d %s", body, w.Code, w.Body)
		}
	})
}

// TestOverload: what cannot be taken is refused at once, before it is decoded.
func TestOverload(t *testing.T) {
	t.Parallel()
	release, in := make(chan struct{}), make(chan struct{}, 4096)
	h, token := bare(t, func(verify.StartRequest) (*verify.Verification, error) {
		in <- struct{}{}
		<-release
		return &verify.Verification{}, nil
	})
	var all sync.WaitGroup
	for range 1024 {
		all.Go(func() { post(t, h, token, nil) })
	}
	for range 1024 {
		<-in
	}
	r := httptest.NewRequest(http.MethodPost, "/v1/verifications", strings.NewReader(`{"to":`))
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	apitest.Conform(t, h).ServeHTTP(w, r)
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "1" ||
		!strings.Contains(w.Body.String(), `"busy"`) {
		t.Errorf("answer %d, Retry-After %q: %s", w.Code, w.Header().Get("Retry-After"), w.Body)
	}
	close(release)
	all.Wait()
	if w := post(t, h, token, nil); w.Code != http.StatusCreated {
		t.Errorf("afterwards: %d %s", w.Code, w.Body)
	}
}
