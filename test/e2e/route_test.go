package e2e

import (
	"net/http"
	"os/exec"
	"strings"
	"testing"
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
	if out, err := try("sink", "--to", drama(7)); err != nil || !strings.Contains(out, "webhook took the message after") || len(s.got()) != 1 || len(s.got()[0].Code) != 6 {
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
