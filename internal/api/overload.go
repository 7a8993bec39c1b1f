package api

import (
	"net/http"
	"strings"
	"time"

	"github.com/dialproof/dialproof/internal/verify"
)

// gatedBy tells whether requests of a route pass the gate: those that write a verification. extra is by how much of the limit
// more there may be.
func gatedBy(pattern string) (extra float64, ok bool) {
	switch pattern {
	case "POST /v1/verifications", "POST /v1/verifications/{id}/resend":
		return 0, true
	case "POST /v1/verifications/check", "POST /v1/verifications/{id}/check", "POST /v1/verifications/{id}/cancel":
		return codeFirst, true
	}
	return 0, false
}

// codeFirst is how much more of the requests that end a verification may be under way than of those that begin one: who holds a
// code, and is about to be done, goes before who asks for one.
const codeFirst = .5

// gated wraps a handler in the gate. The body is read before it, so that a caller who sends slowly holds no place, and
// decoded after it, so that a refusal is cheap.
func (a *api) gated(extra float64, h handler) handler {
	return func(w http.ResponseWriter, r *http.Request) (err error) {
		c := callOf(r)
		if c.body, err = read(w, r); err != nil {
			return err
		}
		c.held = true
		begin := a.Now()
		ok, tell := a.gate.enter(begin, extra)
		if tell {
			a.tellOverload(c)
		}
		if !ok {
			return coreProblem(&verify.Error{Code: verify.CodeBusy, Detail: overloadDetail}, begin)
		}
		defer func() {
			now := a.Now()
			a.gate.leave(now, max(now.Sub(begin), 0), err == nil)
		}()
		return h(w, r)
	}
}

// overloadDetail says what the caller can do.
const overloadDetail = "more is asked than can be done: try again, or ask another node"

func (a *api) tellOverload(c *call) {
	a.Log.Warn("more is asked than can be done: requests are refused", "request", c.id)
}

// verifications is where every gated route is.
const verifications = "/v1/verifications"

// overloaded refuses a request that the gate would refuse, before anything else is done for it: what a refusal costs is taken
// from what is done. It tells whether it did.
func (a *api) overloaded(w http.ResponseWriter, r *http.Request, c *call, now time.Time) bool {
	path := r.URL.Path
	if r.Method != http.MethodPost || !strings.HasPrefix(path, verifications) {
		return false
	}
	extra := 0.
	if strings.HasSuffix(path, "/check") || strings.HasSuffix(path, "/cancel") {
		extra = codeFirst
	}
	full, tell := a.gate.full(now, extra)
	if tell {
		a.tellOverload(c)
	}
	if !full {
		return false
	}
	p := coreProblem(&verify.Error{Code: verify.CodeBusy, Detail: overloadDetail}, now)
	w.Header().Set("X-Request-Id", c.id)
	p.write(w, c.id)
	if a.Observe != nil {
		a.Observe(r.Context(), http.MethodPost+" "+verifications, p.Status, 0)
	}
	return true
}
