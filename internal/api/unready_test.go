package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/api"
	"github.com/dialproof/dialproof/internal/verify"
)

// problemOf is what matters of an answer.
type problemOf struct {
	Code, Detail, Instance string
	Status                 int
}

func ask(t *testing.T, h http.Handler, r *http.Request) (*httptest.ResponseRecorder, problemOf) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	var p problemOf
	if w.Body.Len() > 0 && w.Code >= 400 {
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
			t.Fatalf("no JSON: %s", w.Body)
		}
	}
	return w, p
}

// TestReadyErrors: whatever keeps a node from being ready, /readyz is answered with 503, a code and words, and is in
// the log as an error only when it is one.
func TestReadyErrors(t *testing.T) {
	t.Parallel()
	full := &verify.Error{Code: verify.CodeUnavailable, Detail: "the store cannot be written: the disk is full"}
	for name, c := range map[string]struct {
		err    error
		gone   bool
		status int
		code   string
		logged bool
	}{
		"ready":                   {nil, false, 200, "", false},
		"stopping":                {api.ErrStopping, false, 503, "stopping", false},
		"stopping, wrapped":       {fmt.Errorf("node: %w", api.ErrStopping), false, 503, "stopping", false},
		"disk full":               {full, false, 503, "store_unavailable", true},
		"disk full, wrapped":      {fmt.Errorf("probe: %w", full), false, 503, "store_unavailable", true},
		"the probe did not wait":  {full, true, 503, "store_unavailable", false},
		"the caller has gone":     {context.Canceled, true, 499, "", false},
		"a driver's words for it": {errors.New("interrupted"), true, 499, "", false},
		"a fault":                 {errors.New("a fault of ours"), false, 500, "internal", true},
	} {
		var log bytes.Buffer
		h := api.New(api.Options{Ready: func(context.Context) error { return c.err },
			Log: slog.New(slog.NewJSONHandler(&log, nil))})
		ctx, cancel := context.WithCancel(t.Context())
		if c.gone {
			cancel()
		}
		w, p := ask(t, h, httptest.NewRequestWithContext(ctx, http.MethodGet, "/readyz", nil))
		cancel()
		if w.Code != c.status || p.Code != c.code || (log.Len() > 0) != c.logged {
			t.Errorf("%s: %d %s, log %q", name, w.Code, w.Body, log.String())
		}
		if c.status == 503 &&
			(w.Header().Get("Retry-After") != "1" || w.Header().Get("Content-Type") != "application/problem+json" ||
				p.Detail == "") {
			t.Errorf("%s: %v %s", name, w.Header(), w.Body)
		}
	}
}

// TestUnready: a node without a store is alive, and says of everything else why it cannot be done.
func TestUnready(t *testing.T) {
	t.Parallel()
	h := api.Unready(func() string { return "the disk is full" }, time.Now)
	if w, _ := ask(t, h, httptest.NewRequest(http.MethodGet, "/healthz", nil)); w.Code != http.StatusNoContent {
		t.Errorf("/healthz: %d", w.Code)
	}
	for _, target := range []string{"GET /readyz", "POST /v1/verifications", "GET /metrics", "POST /healthz"} {
		method, path, _ := strings.Cut(target, " ")
		r := httptest.NewRequest(method, path, nil)
		r.Header.Set("X-Request-Id", "mine")
		w, p := ask(t, h, r)
		if w.Code != 503 || p.Code != "store_unavailable" || p.Detail != "the disk is full" || p.Instance != "mine" ||
			w.Header().Get("Retry-After") == "" {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
	}
}
