package channeltest_test

import (
	"slices"
	"testing"

	"github.com/dialproof/dialproof/internal/channel/channeltest"
	"github.com/dialproof/dialproof/internal/channel/channeltest/careless"
)

// failed returns the checks that find something.
func failed(t *testing.T, h channeltest.Harness) (names []string) {
	t.Helper()
	for _, c := range channeltest.Checks() {
		if err := c.Hold(t.Context(), h); err != nil {
			names = append(names, c.Name)
		}
	}
	return names
}

// TestTheSuiteFindsFaults plants one fault at a time.
func TestTheSuiteFindsFaults(t *testing.T) {
	t.Parallel()
	if found := failed(t, careless.Harness("")); found != nil {
		t.Fatalf("without a fault: %v", found)
	}
	for fault, want := range map[string]string{
		"code in address":       "a message is taken",
		"sends twice":           "a message is taken",
		"no id":                 "a message is taken",
		"plain error":           "every HTTP status",
		"ignores the status":    "every HTTP status",
		"no throttling":         "every HTTP status",
		"own kind":              "every HTTP status",
		"prints the answer":     "every HTTP status",
		"prints the number":     "every HTTP status",
		"logs the code":         "every HTTP status",
		"resends":               "the carrier hangs up before it answers",
		"ignores the context":   "there is no time left",
		"settings":              "settings do not print their secrets",
		"takes forged receipts": "receipts",
		"a row is flipped":      "the error table",
		"a row is missing":      "the error table",
		"a row too many":        "the error table",
		"a word is flipped":     "the words of receipts",
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			found := failed(t, careless.Harness(fault))
			if !slices.Contains(found, want) {
				t.Errorf("found by %v, want by %q", found, want)
			}
		})
	}
}
