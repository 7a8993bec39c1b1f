package delivertest_test

import (
	"slices"
	"testing"

	"github.com/dialproof/dialproof/internal/channel/channeltest/careless"
	"github.com/dialproof/dialproof/internal/deliver/delivertest"
)

// TestTheChecksFindFaults plants one fault at a time.
func TestTheChecksFindFaults(t *testing.T) {
	t.Parallel()
	for fault, want := range map[string]string{
		"":                      "",
		"forgets the pause":     "the carrier asks for a pause",
		"takes forged receipts": "forged receipts",
		"resends at once":       "the answer is lost",
		"a row is flipped":      "every error decides what follows",
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			var found []string
			for _, c := range delivertest.Checks() {
				if err := c.Hold(t.Context(), careless.Harness(fault)); err != nil {
					found = append(found, c.Name)
				}
			}
			if (want == "" && found != nil) || (want != "" && !slices.Contains(found, want)) {
				t.Errorf("found by %v, want by %q", found, want)
			}
		})
	}
}
