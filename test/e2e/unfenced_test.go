package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/pgtest"
)

// lead leads a node's new connections to a server and breaks the old ones, as a name or an address that moves does.
func (m *member) lead(to *pgtest.Server) {
	m.wire.aim(fmt.Sprintf("127.0.0.1:%d", to.Port))
	m.wire.set(cut)
	m.wire.set(whole)
}

// TestOldPrimary: after a failover a code is approved by the new primary. Then the old one is back, takes writes like
// the new one, and is all that the nodes reach. They say no until they reach the new one again, also after a restart;
// the code is not approved twice.
func TestOldPrimary(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	old := pgtest.Start(t, pgtest.Durable()...)
	f := servedBy(t, old, 2, func(i int) string { return fmt.Sprintf("%s/n%d", o.URL, i) })
	next := old.Replica()
	old.Synchronous(true)
	c := f.client(f.nodes[0])
	to := drama(1)
	v := field(c.call(t, http.StatusCreated, http.MethodPost, "/v1/verifications", map[string]any{"to": to}), "id")
	waitFor(t, 20*time.Second, "the code arrives", func() bool { return len(o.letters(to)) > 0 })
	check := map[string]any{"code": o.letters(to)[0].code}
	old.Kill()
	next.Promote()
	for _, m := range f.nodes {
		m.lead(next)
		waitFor(t, 30*time.Second, "a node has found the new primary", func() bool { return f.ready(m) })
	}
	if a := c.call(t, http.StatusOK, http.MethodPost, "/v1/verifications/"+v+"/check", check); field(a,
		"result") != "approved" {
		t.Fatalf("the right code: %s", a.body)
	}

	old.Run()
	old.Synchronous(false)
	for _, m := range f.nodes {
		m.lead(old)
	}
	f.nodes[1].signal(syscall.SIGKILL) // its supervisor starts it again
	refused, unreached, told := 0, 0, 0
	for deadline := time.Now().Add(4 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		for _, m := range f.nodes {
			c := f.client(m)
			for _, ask := range []func() (answer, error){
				func() (answer, error) { return c.try(http.MethodGet, "/v1/verifications/"+v, nil) },
				func() (answer, error) { return c.try(http.MethodPost, "/v1/verifications/"+v+"/check", check) },
				func() (answer, error) {
					return c.try(http.MethodPost, "/v1/verifications", map[string]any{"to": drama(2)})
				},
				func() (answer, error) { return c.try(http.MethodGet, "/readyz", nil) },
			} {
				switch a, err := ask(); {
				case err != nil:
					unreached++
				case a.status == http.StatusServiceUnavailable:
					refused++
					if strings.Contains(string(a.body), "behind what this node has written to") {
						told++
					}
				default:
					t.Fatalf("with the old primary alone a node answers %d: %s", a.status, a.body)
				}
			}
		}
	}
	if refused < 4 || told == 0 {
		t.Errorf("%d answers were refusals, %d did not come, and /readyz told the reason %d times", refused, unreached, told)
	}
	for _, m := range f.nodes {
		if log := m.log.String(); !strings.Contains(log, "behind what this node has written to") {
			t.Errorf("the log does not say why:\n%s", log)
		}
		m.lead(next)
		waitFor(t, 30*time.Second, "a node is back at the new primary", func() bool { return f.ready(m) })
	}
	a := c.call(t, http.StatusOK, http.MethodGet, "/v1/verifications/"+v, nil)
	if field(a, "status") != "approved" {
		t.Errorf("what was approved has become %s", a.body)
	}
	if again, err := c.try(http.MethodPost, "/v1/verifications/"+v+"/check", check); err != nil ||
		again.status == http.StatusOK && field(again, "result") == "approved" {
		t.Errorf("approved twice: %s, %v", again.body, err)
	}
	t.Logf("%d answers were refusals, %d did not come", refused, unreached)
}
