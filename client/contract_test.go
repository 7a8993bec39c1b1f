package client

import (
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// contract is what of api/openapi.yaml the SDK must agree with.
type contract struct {
	Components struct {
		Schemas map[string]struct {
			Properties map[string]struct {
				Enum []string `yaml:"enum"`
			} `yaml:"properties"`
			Enum []string `yaml:"enum"`
		} `yaml:"schemas"`
	} `yaml:"components"`
}

func readContract(t *testing.T) contract {
	t.Helper()
	text, err := os.ReadFile("../api/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var c contract
	if err := yaml.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// names answers the JSON names of a struct's fields.
func names(v any) (out []string) {
	for f := range reflect.TypeOf(v).Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name != "-" {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// TestContract: the SDK's shapes are those of the contract, field by field.
func TestContract(t *testing.T) {
	t.Parallel()
	c := readContract(t)
	for schema, fields := range map[string][]string{
		"Start":         names(StartRequest{}),
		"Verification":  names(Verification{}),
		"Delivery":      names(Delivery{}),
		"Next":          names(Next{}),
		"Check":         names(Answer{}),
		"CheckByNumber": names(CheckRequest{}),
		"Transaction":   names(Transaction{}),
		"Problem":       append(names(Error{}), "retry_at", "type"), // the SDK says RetryAfter, and acts on the code
	} {
		slices.Sort(fields)
		if want := slices.Sorted(maps.Keys(c.Components.Schemas[schema].Properties)); !slices.Equal(fields, want) {
			t.Errorf("%s: the SDK has %v, the contract %v", schema, fields, want)
		}
	}
	for _, s := range []Status{StatusPending, StatusApproved, StatusFailed, StatusExpired, StatusCanceled} {
		if !slices.Contains(c.Components.Schemas["Status"].Enum, string(s)) {
			t.Errorf("the contract has no status %s", s)
		}
	}
	for _, r := range []Result{Approved, Incorrect, Expired, Exhausted, Canceled, Used} {
		if !slices.Contains(c.Components.Schemas["Check"].Properties["result"].Enum, string(r)) {
			t.Errorf("the contract has no result %s", r)
		}
	}
	for _, code := range []string{
		CodeInvalid, CodeUnauthenticated, CodeKeyExpired, CodeForbidden, CodeNotFound, CodeLimited, CodeLocked, CodeBlocked, CodeFiction,
		CodeNoRoute, CodeNotPending, CodeResendsUsed, CodeEmailRequired, CodeReused, CodeInFlight, CodeBusy, CodeUnavailable, CodeInternal,
	} {
		if !slices.Contains(c.Components.Schemas["Problem"].Properties["code"].Enum, code) {
			t.Errorf("the contract has no code %s", code)
		}
	}
}
