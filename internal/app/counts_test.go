//go:build !race

package app

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/config"
	"github.com/dialproof/dialproof/internal/keyring"
	"github.com/dialproof/dialproof/internal/verify"
)

// The costs are counted, not timed: a loaded machine allocates no more than a quiet one. `make counts` looks, and `go
// test ./internal/app -run TestCounts -update` writes the baseline again: do that when a cost has become less, or when
// what it pays for is worth it, and say so in the commit. The race detector changes the counts, so this is built
// without it.
var update = flag.Bool("update", false, "write testdata/counts.json anew")

// cycles is how many calls are made of each operation, and early how many of them are not counted: caches fill,
// statements are prepared. scripts/instructions.sh counts the instructions of more and of fewer.
var cycles = flag.Int("cycles", 300, "calls of each operation")

const early = 100

const countsFile = "testdata/counts.json"

// growth is how much an operation may cost beyond the baseline.
const growth = 1.1

// count is what an operation costs.
type count struct {
	Allocations float64 `json:"allocations"`
	Bytes       float64 `json:"bytes"`
}

// workshop is a node whose jobs run when the test says so, and a provider that remembers codes.
type workshop struct {
	t     *testing.T
	n     *Node
	h     http.Handler
	key   string
	ids   []string
	mu    sync.Mutex
	codes map[string]string // by number
}

func newWorkshop(t *testing.T) *workshop {
	t.Helper()
	w := &workshop{t: t, codes: map[string]string{}}
	sink := httptest.NewServer(http.HandlerFunc(w.take))
	t.Cleanup(sink.Close)
	cfg := config.Default()
	cfg.Data = t.TempDir()
	route := config.Route{
		Name:        "sink",
		Provider:    "webhook",
		Concurrency: config.DefaultConcurrency,
		Timeout:     config.DefaultTimeout,
	}
	settings := map[string]string{
		"url":    sink.URL,
		"secret": "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 32)),
	}
	if err := route.Settings.Encode(settings); err != nil {
		t.Fatal(err)
	}
	cfg.Routes = []config.Route{route}
	ring, err := keyring.New([]keyring.Key{{ID: 1, Secret: keyring.NewSecret()}})
	if err != nil {
		t.Fatal(err)
	}
	if w.n, err = open(t.Context(), cfg, slog.New(slog.DiscardHandler), options{ring: ring}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.n.Stop(); err != nil {
			t.Error(err)
		}
	})
	if w.h, err = w.n.api(t.Context(), nil, ""); err != nil {
		t.Fatal(err)
	}
	app, err := w.n.directory.Create(t.Context(), application.Application{Name: "shop", Brand: "Shop"})
	if err != nil {
		t.Fatal(err)
	}
	_, w.key, err = w.n.directory.CreateKey(t.Context(),
		application.NewKey{App: app.ID, Name: "k", Mode: application.Live, Scopes: []application.Scope{application.Verify}})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// take is the provider.
func (w *workshop) take(out http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var m struct{ Data struct{ To, Code string } }
	if err := json.Unmarshal(body, &m); err != nil || m.Data.Code == "" {
		w.t.Errorf("the provider cannot read %q: %v", body, err)
	}
	w.mu.Lock()
	w.codes[m.Data.To] = m.Data.Code
	w.mu.Unlock()
	out.Header().Set("Content-Type", "application/json")
	_, _ = out.Write([]byte("{}"))
}

// post asks the API.
func (w *workshop) post(path, body string, want int) string {
	w.t.Helper()
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+w.key)
	r.Header.Set("Content-Type", "application/json")
	out := httptest.NewRecorder()
	w.h.ServeHTTP(out, r)
	if out.Code != want {
		w.t.Fatalf("%s answers %d: %s", path, out.Code, out.Body)
	}
	return out.Body.String()
}

func number(i int) string { return fmt.Sprintf("+49151%08d", 10_000_000+i) }

func (w *workshop) start() {
	answer := w.post("/v1/verifications", `{"to":"`+number(len(w.ids))+`","purpose":"login"}`, http.StatusCreated)
	_, rest, _ := strings.Cut(answer, `"id":"`)
	v, _, _ := strings.Cut(rest, `"`)
	w.ids = append(w.ids, v)
}

func (w *workshop) deliver(ctx context.Context) {
	w.t.Helper()
	if !w.n.runner.Step(ctx, verify.JobKind) {
		w.t.Fatal("there is no job")
	}
}

func (w *workshop) check(i int) {
	answer := w.post("/v1/verifications/"+w.ids[i]+"/check", `{"code":"`+w.codes[number(i)]+`"}`, http.StatusOK)
	if !strings.Contains(answer, `"approved"`) {
		w.t.Fatalf("check: %s", answer)
	}
}

// measure returns what one of many calls costs, the whole process counted: the API, the core, the store on its disk and
// the provider, one call at a time.
func measure(f func(i int)) count {
	var before, after runtime.MemStats
	for i := range *cycles {
		if i == early {
			runtime.ReadMemStats(&before)
		}
		f(i)
	}
	runtime.ReadMemStats(&after)
	each := func(n uint64) float64 { return math.Ceil(float64(n) / float64(*cycles-early)) }
	return count{each(after.Mallocs - before.Mallocs), each(after.TotalAlloc - before.TotalAlloc)}
}

// TestCounts: the hot path costs no more than the baseline, and a tenth.
func TestCounts(t *testing.T) {
	w := newWorkshop(t)
	got := map[string]count{
		"1 start":   measure(func(int) { w.start() }),
		"2 deliver": measure(func(int) { w.deliver(t.Context()) }),
		"3 check":   measure(w.check),
	}
	if *cycles <= early {
		return // somebody else counts
	}
	if *update {
		text, err := json.MarshalIndent(got, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(countsFile, append(text, '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(countsFile)
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]count
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		g, w := got[name], want[name]
		t.Logf("%s: %.0f allocations (baseline %.0f), %.0f bytes (%.0f)", name, g.Allocations, w.Allocations, g.Bytes,
			w.Bytes)
		if g.Allocations > growth*w.Allocations || g.Bytes > growth*w.Bytes {
			t.Errorf(
				"%s costs %.0f allocations and %.0f bytes, and the baseline is %.0f and %.0f: make it cheaper, or, when it is "+
					"worth it, write the baseline anew with -update", name, g.Allocations, g.Bytes, w.Allocations, w.Bytes)
		}
	}
}
