package api

import (
	"context"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/dialproof/dialproof/internal/api/apitest"
	"github.com/dialproof/dialproof/internal/verify"
)

// TestContractIsValid reads the contract as a tool of somebody else's would.
func TestContractIsValid(t *testing.T) {
	t.Parallel()
	c, err := apitest.Load()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Doc().Validate(context.Background()); err != nil {
		t.Error(err)
	}
}

// TestRoutesAndContractAgree holds the routes of the server against the paths of the contract, both ways.
func TestRoutesAndContractAgree(t *testing.T) {
	t.Parallel()
	c, err := apitest.Load()
	if err != nil {
		t.Fatal(err)
	}
	served := []string{"GET /metrics", "GET /dev/handset", "GET /dev/messages", "GET /docs", "GET /docs/{page}",
		"GET /docs/{folder}/{page}", "GET /verify/{token}", "POST /verify/{token}", "GET /widget.js"}
	for _, r := range routes() {
		served = append(served, r.pattern)
	}
	var promised []string
	for path, item := range c.Doc().Paths.Map() {
		for method := range item.Operations() {
			promised = append(promised, method+" "+path)
		}
	}
	slices.Sort(served)
	slices.Sort(promised)
	if !slices.Equal(served, promised) {
		t.Errorf("served:\n%s\npromised:\n%s", strings.Join(served, "\n"), strings.Join(promised, "\n"))
	}
}

// TestCodesAgree holds the error codes of the code, the contract and docs/errors.md against each other.
func TestCodesAgree(t *testing.T) {
	t.Parallel()
	c, err := apitest.Load()
	if err != nil {
		t.Fatal(err)
	}
	var coded, promised, documented []string
	for code := range kinds {
		coded = append(coded, code)
	}
	for _, v := range c.Doc().Components.Schemas["Problem"].Value.Properties["code"].Value.Enum {
		promised = append(promised, v.(string))
	}
	page, err := os.ReadFile("../../docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| [0-9]").FindAllStringSubmatch(string(page), -1) {
		documented = append(documented, m[1])
	}
	slices.Sort(coded)
	slices.Sort(promised)
	slices.Sort(documented)
	if !slices.Equal(coded, promised) || !slices.Equal(coded, documented) {
		t.Errorf("code:     %v\ncontract: %v\npage:     %v", coded, promised, documented)
	}
	for _, e := range []verify.Code{
		verify.CodeInvalid, verify.CodeNotFound, verify.CodeLimited, verify.CodeLocked, verify.CodeBlocked,
		verify.CodeFiction, verify.CodeNoRoute, verify.CodeNotPending, verify.CodeResendsUsed, verify.CodeEmailRequired,
		verify.CodeReused, verify.CodeMismatch, verify.CodeBusy, verify.CodeUnavailable,
	} {
		if _, ok := kinds[string(e)]; !ok {
			t.Errorf("the core's %s is no answer of the API", e)
		}
	}
}
