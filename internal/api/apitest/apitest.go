// Package apitest holds requests and answers against the contract, api/openapi.yaml. It is for tests: validating like
// this costs more than answering.
package apitest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	contract "github.com/dialproof/dialproof/api"
)

// Contract is the contract, ready to judge.
type Contract struct{ doc *openapi3.T }

// Load reads the contract.
func Load() (*Contract, error) {
	doc, err := openapi3.NewLoader().LoadFromData(contract.OpenAPI)
	if err != nil {
		return nil, fmt.Errorf("apitest: %w", err)
	}
	return &Contract{doc}, nil
}

// Doc returns the document.
func (c *Contract) Doc() *openapi3.T { return c.doc }

// find returns the operation of a request and the parameters in its path.
func (c *Contract) find(method, path string) (*routers.Route, map[string]string) {
	var best *routers.Route
	var params map[string]string
	parts := strings.Split(path, "/")
	for pattern, item := range c.doc.Paths.Map() {
		found, ok := match(strings.Split(pattern, "/"), parts)
		// A literal path beats one with a parameter.
		if !ok || (best != nil && len(found) >= len(params)) {
			continue
		}
		if op := item.GetOperation(method); op != nil {
			best, params = &routers.Route{Spec: c.doc, Path: pattern, PathItem: item, Method: method, Operation: op}, found
		}
	}
	return best, params
}

func match(pattern, parts []string) (map[string]string, bool) {
	if len(pattern) != len(parts) {
		return nil, false
	}
	params := map[string]string{}
	for i, p := range pattern {
		switch {
		case strings.HasPrefix(p, "{"):
			params[strings.Trim(p, "{}")] = parts[i]
		case p != parts[i]:
			return nil, false
		}
	}
	return params, true
}

// Judge returns where a request or its answer leaves the contract. A request that the server took must be one that
// the contract allows; one that it refused may be anything.
func (c *Contract) Judge(r *http.Request, requestBody []byte, status int, header http.Header, body []byte) error {
	route, params := c.find(r.Method, r.URL.Path)
	if route == nil {
		if status == http.StatusNotFound || status == http.StatusMethodNotAllowed {
			return nil // the contract knows nothing of the path, and the server neither
		}
		return fmt.Errorf("%s %s is not in the contract and answers %d", r.Method, r.URL.Path, status)
	}
	ctx := context.Background() //nolint:forbidigo // a test's helper, which no request waits for
	clone := r.Clone(ctx)
	clone.Body = io.NopCloser(bytes.NewReader(requestBody))
	in := &openapi3filter.RequestValidationInput{
		Request:     clone,
		PathParams:  params,
		Route:       route,
		QueryParams: r.URL.Query(),
		Options: &openapi3filter.Options{
			AuthenticationFunc:    openapi3filter.NoopAuthenticationFunc,
			IncludeResponseStatus: true,
			MultiError:            true,
		},
	}
	if strings.HasPrefix(route.Path, "/callbacks/") {
		in.Options.ExcludeRequestBody, in.Options.ExcludeResponseBody = true, true // a provider's own
	}
	if status < 400 {
		if err := openapi3filter.ValidateRequest(ctx, in); err != nil {
			return fmt.Errorf("%s %s was taken, and the contract does not allow it: %w", r.Method, route.Path, err)
		}
	}
	out := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in,
		Status:                 status,
		Header:                 header,
		Options:                in.Options,
		Body:                   io.NopCloser(bytes.NewReader(body)),
	}
	if raw := header.Get("Content-Type"); strings.HasPrefix(raw, "text/") || raw == "application/yaml" {
		in.Options.ExcludeResponseBody = true
	}
	if err := openapi3filter.ValidateResponse(ctx, out); err != nil {
		return fmt.Errorf("%s %s answers %d against the contract: %w\n%s", r.Method, route.Path, status, err, body)
	}
	return nil
}

// Conform wraps a handler so that every request and answer that passes is judged.
func Conform(t testing.TB, next http.Handler) http.Handler {
	t.Helper()
	c, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		out := httptest.NewRecorder()
		next.ServeHTTP(out, r)
		if err := c.Judge(r, body, out.Code, out.Header(), out.Body.Bytes()); err != nil {
			t.Error(err)
		}
		maps.Copy(w.Header(), out.Header())
		w.WriteHeader(out.Code)
		_, _ = w.Write(out.Body.Bytes())
	})
}

// Transport judges every exchange of a client with a server that runs elsewhere.
type Transport struct {
	Base     http.RoundTripper
	Contract *Contract
	Fail     func(error)
}

// RoundTrip implements http.RoundTripper.
func (t Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	var sent []byte
	if r.Body != nil {
		sent, _ = io.ReadAll(r.Body)
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(sent))
	}
	resp, err := t.Base.RoundTrip(r)
	if err != nil {
		return resp, err
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close() // it has been read
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	relative := *r
	relative.URL = &url.URL{Path: r.URL.Path, RawQuery: r.URL.RawQuery}
	if err := t.Contract.Judge(&relative, sent, resp.StatusCode, resp.Header, body); err != nil {
		t.Fail(err)
	}
	return resp, nil
}
