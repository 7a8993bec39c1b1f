package channeltest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

// SpecPath returns the path of a provider's official document and ends the test as skipped when the documents are not
// here. Only a test that does nothing but compare with the document may call it.
func SpecPath(t testing.TB, name string) string {
	t.Helper()
	path, ok := find(t, name)
	if !ok {
		missing(t)
	}
	return path
}

// find returns the path of a document. The documents are not ours to copy: they lie beside the checkout in
// shared/specs, or where DIALPROOF_SPECS says. A folder without the document is a fault.
func find(t testing.TB, name string) (path string, ok bool) {
	t.Helper()
	dir := os.Getenv("DIALPROOF_SPECS")
	if dir == "" {
		at, err := os.Getwd()
		if err != nil {
			t.Fatal(err)
		}
		for ; ; at = filepath.Dir(at) {
			if dir = filepath.Join(at, "shared", "specs"); exists(dir) {
				break
			}
			if at == filepath.Dir(at) {
				return "", false
			}
		}
	}
	if path = filepath.Join(dir, name); !exists(path) {
		t.Fatalf("the document %s is missing", path)
	}
	return path, true
}

// missing ends a test that cannot be run without the documents: in CI, where they must be, as a failure.
func missing(t testing.TB) {
	t.Helper()
	const what = "the providers' documents are not here: put them in ../shared/specs, or set DIALPROOF_SPECS to their " +
		"folder"
	if os.Getenv("CI") != "" {
		t.Fatal(what)
	}
	t.Skip(what)
}

func exists(path string) bool {
	_, err := os.Stat(path) //nolint:gosec // a path of the test's own
	return err == nil
}

// Spec is a provider's official OpenAPI document; nil when it is not here.
type Spec struct{ doc *openapi3.T }

// Document returns the text of a document of shared/specs. Where the documents are not here, it returns nil: the
// comparison alone is skipped, in a test of its own that says so, and the rest of the test runs.
func Document(t *testing.T, name string) []byte {
	t.Helper()
	path, ok := find(t, name)
	if !ok {
		t.Run("compared with "+filepath.Base(name), func(t *testing.T) { missing(t) })
		return nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// LoadSpec reads a document of shared/specs; nil where the documents are not here, as Document says.
func LoadSpec(t *testing.T, name string) *Spec {
	t.Helper()
	text := Document(t, name)
	if text == nil {
		return nil
	}
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if doc.Components != nil {
		for _, s := range doc.Components.Schemas {
			// Some documents leave out that what has properties is an object, and forms cannot be read without.
			if s.Value != nil && s.Value.Type == nil && len(s.Value.Properties) > 0 {
				s.Value.Type = &openapi3.Types{openapi3.TypeObject}
			}
		}
	}
	return &Spec{doc}
}

// Judge returns where a request leaves the document, nil when there is no document. path is the operation's path in the
// document, with its parameters in braces.
func (s *Spec) Judge(r *http.Request, body []byte, path string, params map[string]string) error {
	if s == nil {
		return nil
	}
	item := s.doc.Paths.Value(path)
	if item == nil || item.GetOperation(r.Method) == nil {
		return fmt.Errorf("the document has no %s %s", r.Method, path)
	}
	clone := r.Clone(r.Context())
	clone.Body = io.NopCloser(bytes.NewReader(body))
	clone.URL = &url.URL{Path: r.URL.Path, RawQuery: r.URL.RawQuery}
	return openapi3filter.ValidateRequest(r.Context(), &openapi3filter.RequestValidationInput{
		Request:    clone,
		PathParams: params,
		Route: &routers.Route{
			Spec:      s.doc,
			Path:      path,
			PathItem:  item,
			Method:    r.Method,
			Operation: item.GetOperation(r.Method),
		},
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, MultiError: true},
	})
}
