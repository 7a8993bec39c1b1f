package app

import (
	"testing"
	"time"
)

// TestRequestSeries: a request is counted by its route and status, however often the series has been looked up.
func TestRequestSeries(t *testing.T) {
	t.Parallel()
	m := newMetrics()
	want := map[answer]uint64{{"GET /a", 200}: 3, {"GET /a", 404}: 2, {"GET /b", 200}: 1}
	for k, n := range want {
		for range n {
			m.Request(k.pattern, k.status, time.Millisecond)
		}
	}
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, f := range families {
		if f.GetName() != "dialproof_http_request_seconds" {
			continue
		}
		for _, s := range f.GetMetric() {
			seen++
			var k answer
			for _, l := range s.GetLabel() {
				switch l.GetName() {
				case "route":
					k.pattern = l.GetValue()
				case "status":
					k.status = map[string]int{"200": 200, "404": 404}[l.GetValue()]
				}
			}
			if got := s.GetHistogram().GetSampleCount(); got != want[k] {
				t.Errorf("%v was counted %d times, want %d", k, got, want[k])
			}
		}
	}
	if seen != len(want) {
		t.Errorf("%d series, want %d", seen, len(want))
	}
}

func TestProxyOfTheEnvironment(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "NO_PROXY", ""} {
		given := proxy(func(asked string) string {
			if asked == name {
				return "http://127.0.0.1:9"
			}
			return ""
		})
		if want := name != "" && name != "NO_PROXY"; (given != nil) != want {
			t.Errorf("with %q set there is a proxy: %v", name, given != nil)
		}
	}
}
