package azure

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/dialproof/dialproof/internal/channel/channeltest"
)

// TestStatusMap holds our words against the table of all providers that was made from their documents.
func TestStatusMap(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(channeltest.SpecPath(t, "status-map.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Azure struct {
			Statuses map[string][]any `json:"statuses"`
		} `json:"azure"`
	}
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	if len(all.Azure.Statuses) < 2 {
		t.Fatalf("the table has %d statuses", len(all.Azure.Statuses))
	}
	for status, want := range all.Azure.Statuses {
		var e event
		e.Data.Status = status
		if got := e.receipt().Status; string(got) != want[0] || got.Final() != want[1] {
			t.Errorf("%s is %s, want %v", status, got, want)
		}
	}
}
