package message

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// TestNothingPrintsTheCode puts every secret-bearing type through every printer.
func TestNothingPrintsTheCode(t *testing.T) {
	t.Parallel()
	r := Request{Purpose: Login, Brand: "Acme", Code: NewCode("492817"), Trailer: Trailer{Origin: "acme.example"}}
	text, err := Render(r)
	if err != nil || !strings.Contains(text.Body, "492817") {
		t.Fatal(text.Body, err)
	}
	call, err := Speak(r)
	if err != nil || strings.Join(call.Digits, "") != "492817" {
		t.Fatal(call.Digits, err)
	}
	var out bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&out, nil))
	plain := slog.New(slog.NewTextHandler(&out, nil))
	for _, v := range []any{r.Code, text, call, &r.Code, &text, &call, r, &r, []any{text, call}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%T"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		log.Info("m", "v", v)
		plain.Info("m", "v", v)
		if err := json.NewEncoder(&out).Encode(v); err != nil {
			t.Fatal(err)
		}
	}
	for _, leak := range []string{"492817", "4 9 2", "343932383137", `"4","9"`} {
		if strings.Contains(out.String(), leak) {
			t.Errorf("%q leaked: %s", leak, out.String())
		}
	}
}
