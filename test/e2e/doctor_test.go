package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
)

// TestDoctorSaysWhatIsWrong: each route is asked without sending, and what is wrong with it is said in words, with what
// to do.
func TestDoctorSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	const token = "0123456789abcdef0123456789abcdef"
	carrier := func(status int, body string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet {
				t.Errorf("doctor sends: %s %s", r.Method, r.URL.Path)
			}
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	extra := ""
	for name, url := range map[string]string{
		"good": carrier(200, `{"status":"active"}`), "asleep": carrier(200, `{"status":"suspended"}`),
		"wrong": carrier(401, `{"code":20003}`),
		"gone":  "http://" + freePort(t), "nameless": "https://provider.invalid",
	} {
		extra += fmt.Sprintf(
			"  - {name: %s, provider: twilio, settings: {account_sid: AC%s, auth_token: %[2]s, messaging_service_sid: "+
				"MG%[2]s, base_url: %[3]q}}\n", name, token, url)
	}
	d := deploy(t, newSink(t).URL, extra)
	out, err := exec.Command(binary, "doctor", "--config", d.config).CombinedOutput()
	if err == nil {
		t.Error("doctor ends well although routes are wrong")
	}
	for _, want := range []string{
		"ok     route good\n",
		"WRONG  route asleep: the account is not active",
		`does not accept our credentials (twilio says "20003"). Check the credentials`,
		"WRONG  route gone: the provider cannot be reached: nobody listens at its address. Check the address",
		"WRONG  route nameless: the provider cannot be reached: ",
		"note   route sink: webhook cannot be asked without sending\n",
		"ok     applications: 1, keys: 2\n",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("doctor does not say %q:\n%s", want, out)
		}
	}
	if strings.Contains(string(out), token) {
		t.Errorf("doctor shows a secret:\n%s", out)
	}
}
