package infobip

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
		Infobip struct {
			Groups map[string][]any `json:"by_group"`
		} `json:"infobip"`
	}
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	if len(all.Infobip.Groups) < 6 {
		t.Fatalf("the table has %d groups", len(all.Infobip.Groups))
	}
	for group, want := range all.Infobip.Groups {
		if got := (status{GroupName: group}).news(); string(got) != want[0] || got.Final() != want[1] {
			t.Errorf("%s is %s, want %v", group, got, want)
		}
	}
}
