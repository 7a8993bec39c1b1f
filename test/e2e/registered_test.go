package e2e

import (
	"encoding/json"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestRegisteredTexts: a text that fits none of the registered ones does not go over the route, doctor says so before,
// and one that fits goes out with the registry's id.
func TestRegisteredTexts(t *testing.T) {
	t.Parallel()
	strict, loose := newSink(t), newSink(t)
	d := deploy(t, strict.URL, `    registered:
      - {template_id: "11", countries: [US], text: "{#var#} is the OTP for {#var#}. Do not share it."}
  - name: loose
    provider: webhook
    test: true
    priority: 1
    registered:
      - {template_id: "12", countries: [US], text: "{#var#} is the OTP for {#var#}. Do not share it."}
      - {template_id: "13", countries: [US], text: "{#var#}{#var#}{#var#}{#var#}{#var#}{#var#}"}
    settings: {url: "`+loose.URL+`", secret: "`+sinkSecret+`"}
`)
	out, err := exec.Command(binary, "doctor", "--config", d.config).CombinedOutput()
	for _, want := range []string{
		"WRONG  route sink: 5 texts against 1 registered ones: these texts fit none of the registered ones",
		`US, application shop, login in en: "`, `US, application shop, transaction in en: "`,
		"ok     route loose: 5 texts against 2 registered ones",
	} {
		if err == nil || !strings.Contains(string(out), want) {
			t.Errorf("doctor (%v) does not say %q:\n%s", err, want, out)
		}
	}
	c := newClient(t, d.serve(t), d.key)
	to := drama(51)
	v := "/v1/verifications/" +
		field(c.call(t, http.StatusCreated, http.MethodPost, "/v1/verifications", map[string]any{"to": to}), "id")
	waitFor(t, 10*time.Second, "the message", func() bool { return len(loose.to(to)) == 1 })
	if n := len(strict.got()); n != 0 {
		t.Errorf("%d messages over the route whose registered text does not fit", n)
	}
	if id := loose.to(to)[0].Regulatory["dlt_template_id"]; id != "13" {
		t.Errorf("the message carries the template id %q", id)
	}
	var record struct {
		Deliveries []struct {
			Route, Status, Error string
			Code                 string `json:"error_code"`
		} `json:"deliveries"`
	}
	waitFor(t, 10*time.Second, "the record", func() bool {
		if err := json.Unmarshal(c.call(t, http.StatusOK, http.MethodGet, v, nil).body, &record); err != nil {
			t.Fatal(err)
		}
		return len(record.Deliveries) == 2 && record.Deliveries[1].Status == "accepted"
	})
	if first := record.Deliveries[0]; first.Status != "failed" || first.Error != "refused" ||
		first.Code != "template_mismatch" {
		t.Errorf("the record says %+v", first)
	}
}
