package api

import (
	"net/http"
	"time"

	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/verify"
)

// Unready returns for a node that has no store yet: GET /healthz says that the process is alive, and everything else,
// /readyz among it, is answered with 503 and the sentence that why returns.
func Unready(why func() string, now func() time.Time) http.Handler {
	ids := id.NewSource(id.ID{})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) { _ = health(w, r) })
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		name := requestID(r.Header.Get("X-Request-Id"))
		if name == "" {
			name = ids.New(now()).Text(id.Request)
		}
		w.Header().Set("X-Request-Id", name)
		coreProblem(&verify.Error{Code: verify.CodeUnavailable, Detail: why()}, now()).write(w, name)
	})
	return mux
}
