package api

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/verify"
)

// gatedBy reports whether requests of a route pass the gate: those that write a verification. extra is by how much of the
// limit more there may be.
func gatedBy(pattern string) (extra float64, ok bool) {
	switch pattern {
	case "POST /v1/verifications", "POST /v1/verifications/{id}/resend":
		return 0, true
	case "POST /v1/verifications/check", "POST /v1/verifications/{id}/check", "POST /v1/verifications/{id}/cancel":
		return codeFirst, true
	}
	return 0, false
}

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
		ok, tell := a.Gate.enter(begin, extra)
		if tell {
			a.Gate.tell(c.id)
		}
		if !ok {
			return overloadProblem(begin)
		}
		defer func() {
			now := a.Now()
			a.Gate.leave(now, max(now.Sub(begin), 0), err == nil)
		}()
		return h(w, r)
	}
}

// overloadProblem is how a refusal is answered; it says what the caller can do.
func overloadProblem(now time.Time) *problem {
	return coreProblem(&verify.Error{Code: verify.CodeBusy,
		Detail: "more is asked than can be done: try again, or ask another node"}, now)
}

func (g *Gate) tell(request string) {
	g.o.Log.Warn("more is asked than can be done: requests are refused", "request", request)
}

// verifications is where every gated route is.
const verifications = "/v1/verifications"

// share returns how much of the limit a POST to a path may use beyond it; ok is false where no gated route can be.
func share(path []byte) (extra float64, ok bool) {
	if !bytes.HasPrefix(path, []byte(verifications)) {
		return 0, false
	}
	if bytes.HasSuffix(path, []byte("/check")) || bytes.HasSuffix(path, []byte("/cancel")) {
		return codeFirst, true
	}
	return 0, true
}

// overloaded refuses a request that the gate would refuse, before anything else is done for it: what a refusal costs is
// taken from what is done. It reports whether it did. Most refusals do not come as far: see door.
func (a *api) overloaded(w http.ResponseWriter, r *http.Request, c *call, now time.Time) bool {
	if r.Method != http.MethodPost {
		return false
	}
	extra, ok := share([]byte(r.URL.Path))
	if !ok {
		return false
	}
	full, tell := a.Gate.full(now, extra)
	if tell {
		a.Gate.tell(c.id)
	}
	if !full {
		return false
	}
	p := overloadProblem(now)
	w.Header().Set("X-Request-Id", c.id)
	p.write(w, c.id)
	if a.Observe != nil {
		a.Observe(r.Context(), http.MethodPost+" "+verifications, p.Status, 0)
	}
	return true
}

// refusal is the answer of an overloaded node as bytes, all but what differs from one request to the next.
type refusal struct{ head, body string }

// newRefusal takes the answer apart that the handler would give.
func newRefusal() refusal {
	p := overloadProblem(time.Time{})
	p.RetryAt = nil
	body, err := json.Marshal(p)
	text, ok := strings.CutSuffix(string(body), `"}`) // behind the instance, which is the last field and empty
	if err != nil || !ok {
		panic("a refusal is no JSON") // it is a constant
	}
	return refusal{
		head: "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\nRetry-After: " +
			p.header.Get("Retry-After") + "\r\nX-Request-Id: ",
		body: text,
	}
}

// retryIn is when a refused caller may come again, as in the header Retry-After.
const retryIn = time.Second

// append appends the whole answer to a request.
func (r refusal) append(b, request []byte, now time.Time) []byte {
	now = now.UTC()
	var at [len(time.RFC3339Nano)]byte
	retry := now.Add(retryIn).AppendFormat(at[:0], time.RFC3339Nano)
	const retryAt, end = `","retry_at":"`, `"}`
	b = append(append(b, r.head...), request...)
	b = now.AppendFormat(append(b, "\r\nDate: "...), http.TimeFormat)
	b = append(b, "\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(len(r.body)+len(request)+len(retryAt)+len(retry)+len(end)), 10)
	b = append(append(append(b, "\r\n\r\n"...), r.body...), request...)
	return append(append(append(b, retryAt...), retry...), end...)
}

// requestName appends the caller's own id of a request, or a new one.
func (g *Gate) requestName(b, given []byte, now time.Time) []byte {
	if name := requestID(string(given)); name != "" {
		return append(b, name...)
	}
	return g.o.IDs.New(now).AppendText(append(b, id.Request...))
}
