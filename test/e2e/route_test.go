package e2e

import (
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestRouteTest sends one message over a route as an operator would, and reads what is said of one that fails.
func TestRouteTest(t *testing.T) {
	t.Parallel()
	s := newSink(t)
	s.answer = func(n int) int {
		if n > 1 {
			return http.StatusUnauthorized
		}
		return http.StatusOK
	}
	d := deploy(t, s.URL, "")
	try := func(args ...string) (string, error) {
		out, err := exec.Command(binary, append([]string{"route", "test", "--config", d.config}, args...)...).CombinedOutput()
		return string(out), err
	}
	if out, err := try("sink", "--to", drama(7)); err != nil || !strings.Contains(out, "webhook took the message after") ||
		len(s.got()) != 1 || len(s.got()[0].Code) != 6 {
		t.Errorf("%v, %d messages\n%s", err, len(s.got()), out)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"sink", "--to", drama(7)}, "did not take the message"},
		{[]string{"nowhere", "--to", drama(7)}, `there is no route "nowhere" in the configuration; there are: sink`},
		{[]string{"sink", "--to", "12"}, "--to: "},
		{[]string{"sink", "--to", drama(7), "--channel", "pigeon"}, "--channel: "},
	} {
		if out, err := try(c.args...); err == nil || !strings.Contains(out, c.want) || strings.Contains(out, sinkSecret) {
			t.Errorf("%v: %v\n%s", c.args, err, out)
		}
	}
}

// TestAResendTakesAnotherRoute: the person asks again, and the message comes another way, with the same code.
func TestAResendTakesAnotherRoute(t *testing.T) {
	t.Parallel()
	first, second := newSink(t), newSink(t)
	d := deploy(t, first.URL, `  - name: other
    provider: webhook
    test: true
    priority: 1
    settings: {url: "`+second.URL+`", secret: "`+sinkSecret+`"}
limits: {number_gaps: []}
`)
	c := newClient(t, d.serve(t), d.key)
	to := drama(11)
	v := field(c.call(t, http.StatusCreated, http.MethodPost, "/v1/verifications",
		map[string]any{"to": to, "purpose": "login"}), "id")
	waitFor(t, 10*time.Second, "the first message", func() bool { return first.codeFor(to) != "" })
	for i, s := range []*sink{second, first} {
		before := len(s.got())
		c.call(t, http.StatusOK, http.MethodPost, "/v1/verifications/"+v+"/resend", map[string]any{})
		waitFor(t, 10*time.Second, "the message of a resend on the other route",
			func() bool { return len(s.got()) == before+1 })
		if s.codeFor(to) != first.codeFor(to) {
			t.Errorf("resend %d has another code", i+1)
		}
	}
}
