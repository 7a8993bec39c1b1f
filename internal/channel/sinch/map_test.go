package sinch

import (
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/dialproof/dialproof/internal/channel"
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
		Sinch struct {
			Statuses map[string][]any  `json:"statuses"`
			Codes    map[string]string `json:"codes_K"`
		} `json:"sinch"`
	}
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	if len(all.Sinch.Statuses) < 10 || len(all.Sinch.Codes) < 14 {
		t.Fatalf("the table has %d statuses and %d codes", len(all.Sinch.Statuses), len(all.Sinch.Codes))
	}
	for status, want := range all.Sinch.Statuses {
		if status == "Unknown" {
			continue // "the carrier has it and never reported" is more than we knew before: sent
		}
		if got := statusOf(status); string(got) != want[0] || got.Final() != want[1] {
			t.Errorf("%s is %s, want %v", status, got, want)
		}
	}
	for text, class := range all.Sinch.Codes {
		code, _ := strconv.Atoi(text)
		kinds := map[string][]channel.ErrorKind{
			"permanent": {channel.Rejected}, "config": {channel.Refused}, "retry": {channel.Unavailable}, "failover": {channel.Unavailable, channel.Refused}, "cancelled": {channel.Refused},
		}
		word, _, _ := strings.Cut(class, ":")
		want, fails := kinds[word]
		if _, kind := failure(code); fails && kind != want[0] && kind != want[len(want)-1] {
			t.Errorf("%d is %s, want %v (%s)", code, kind, want, class)
		}
	}
}
