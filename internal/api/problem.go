package api

import (
	"errors"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/verify"
	"github.com/dialproof/dialproof/internal/webhook"
)

// docs is where the page about each code stands.
const docs = "https://dialproof.dev/errors#"

// problem is an error as it is answered (RFC 9457).
type problem struct {
	Type     string       `json:"type"`
	Title    string       `json:"title"`
	Status   int          `json:"status"`
	Detail   string       `json:"detail"`
	Code     string       `json:"code"`
	Instance string       `json:"instance"`
	RetryAt  *time.Time   `json:"retry_at,omitempty"`
	Limit    string       `json:"limit,omitempty"`
	Errors   []fieldFault `json:"errors,omitempty"`

	header http.Header
}

// fieldFault is one field that is wrong.
type fieldFault struct {
	Field  string `json:"field"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// Error implements error.
func (p *problem) Error() string { return p.Code + ": " + p.Detail }

// kind is what is fixed about a code.
type kind struct {
	status int
	title  string
}

// kinds are all codes that the API answers. docs/errors.md and the contract list the same ones; a test holds them
// together.
var kinds = map[string]kind{
	"bad_request":             {http.StatusBadRequest, "The request cannot be read"},
	"malformed_json":          {http.StatusBadRequest, "The body is not JSON"},
	"unauthenticated":         {http.StatusUnauthorized, "A valid API key is needed"},
	"key_expired":             {http.StatusUnauthorized, "The API key has expired"},
	"forbidden":               {http.StatusForbidden, "The API key may not do this"},
	"number_blocked":          {http.StatusForbidden, "The number is not sent to"},
	"not_found":               {http.StatusNotFound, "There is no such thing"},
	"method_not_allowed":      {http.StatusMethodNotAllowed, "The path does not know the method"},
	"not_pending":             {http.StatusConflict, "The verification is final"},
	"resends_used_up":         {http.StatusConflict, "No resend is left"},
	"idempotency_in_flight":   {http.StatusConflict, "The same request is under way"},
	"page_unavailable":        {http.StatusConflict, "The hosted page has no address"},
	"name_taken":              {http.StatusConflict, "The name is taken"},
	"webhook_disabled":        {http.StatusConflict, "The webhook is disabled"},
	"too_many_webhooks":       {http.StatusConflict, "The application has too many webhooks"},
	"body_too_large":          {http.StatusRequestEntityTooLarge, "The body is too large"},
	"unsupported_media_type":  {http.StatusUnsupportedMediaType, "The body must be application/json"},
	"invalid_request":         {http.StatusUnprocessableEntity, "Fields are wrong"},
	"invalid_idempotency_key": {http.StatusUnprocessableEntity, "The Idempotency-Key cannot be used"},
	"idempotency_key_reused":  {http.StatusUnprocessableEntity, "The Idempotency-Key was used for another request"},
	"transaction_mismatch":    {http.StatusUnprocessableEntity, "Transaction does not match"},
	"email_required":          {http.StatusUnprocessableEntity, "The channel email needs an address"},
	"number_reserved":         {http.StatusUnprocessableEntity, "The number is reserved for fiction"},
	"no_route":                {http.StatusUnprocessableEntity, "No route serves the number"},
	"rate_limited":            {http.StatusTooManyRequests, "Too many requests"},
	"number_locked":           {http.StatusTooManyRequests, "Too many wrong codes"},
	"internal":                {http.StatusInternalServerError, "A fault of ours"},
	"busy":                    {http.StatusServiceUnavailable, "Too much is waiting"},
	"store_unavailable":       {http.StatusServiceUnavailable, "The store cannot be used"},
	"stopping":                {http.StatusServiceUnavailable, "The server is stopping"},
}

// newProblem returns a problem of a code.
func newProblem(code, detail string, faults ...fieldFault) *problem {
	k := kinds[code]
	return &problem{
		Type:   docs + code,
		Title:  k.title,
		Status: k.status,
		Detail: detail,
		Code:   code,
		Errors: faults,
		header: http.Header{},
	}
}

// ErrStopping is returned by Options.Ready when the server is about to stop.
var ErrStopping = errors.New("the server is stopping")

// asProblem is the one place where an error becomes an answer. What it does not know is internal, and its text
// stays in the log.
func asProblem(err error, now time.Time) *problem {
	var p *problem
	var core *verify.Error
	var field *application.FieldError
	var hook *webhook.FieldError
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &core):
		return coreProblem(core, now)
	case errors.As(err, &field):
		return newProblem("invalid_request", "the request has one invalid field",
			fieldFault{field.Field, field.Code, field.Detail})
	case errors.As(err, &hook):
		return newProblem("invalid_request", "the request has one invalid field",
			fieldFault{hook.Field, hook.Code, hook.Detail})
	case errors.Is(err, ErrStopping):
		return coreProblem(&verify.Error{Code: "stopping", Detail: "the server is stopping: ask another node, or try again"},
			now)
	case errors.Is(err, webhook.ErrNotFound):
		return newProblem("not_found", "there is no such webhook or event")
	case errors.Is(err, webhook.ErrDisabled):
		return newProblem("webhook_disabled", "the webhook gets no events: enable it first (PATCH with enabled: true)")
	case errors.Is(err, webhook.ErrTooMany):
		return newProblem("too_many_webhooks", "the application has as many webhooks as it may: delete one")
	case errors.Is(err, application.ErrNotFound):
		return newProblem("not_found", "there is no such application or key")
	}
	return newProblem("internal", "something went wrong on our side; the instance names the request in the log")
}

// coreProblem returns a refusal of the core.
func coreProblem(e *verify.Error, now time.Time) *problem {
	p := newProblem(string(e.Code), e.Detail)
	for _, f := range e.Fields {
		p.Errors = append(p.Errors, fieldFault{f.Name, f.Code, f.Detail})
	}
	retry := e.Retry.UTC()
	if p.Status == http.StatusServiceUnavailable && retry.IsZero() {
		retry = now.UTC().Add(time.Second)
	}
	if retry.IsZero() {
		return p
	}
	p.RetryAt = &retry
	seconds := max(int((retry.Sub(now)+time.Second-1)/time.Second), 1)
	p.header.Set("Retry-After", strconv.Itoa(seconds))
	if r := e.Refusal; r != nil {
		p.Limit = r.Name
		name := `"` + r.Name + `"`
		p.header.Set("RateLimit-Policy",
			name+";q="+strconv.Itoa(r.Limit)+";w="+strconv.Itoa(max(int(r.Window/time.Second), 1)))
		p.header.Set("RateLimit", name+";r=0;t="+strconv.Itoa(seconds))
	}
	return p
}

// write sends the problem.
func (p *problem) write(w http.ResponseWriter, instance string) {
	p.Instance = instance
	maps.Copy(w.Header(), p.header)
	body, err := json.Marshal(p)
	if err != nil {
		http.Error(w, p.Title, p.Status)
		return
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_, _ = w.Write(body) // the caller has gone: there is nobody to tell
}

// pointerPath returns a JSON pointer as people write it: /transaction/amount is transaction.amount.
func pointerPath(pointer string) string {
	path := strings.NewReplacer("~1", "/", "~0", "~").
		Replace(strings.ReplaceAll(strings.TrimPrefix(pointer, "/"), "/", "."))
	// A name that somebody made up is not repeated at length.
	return path[:min(len(path), 80)]
}
