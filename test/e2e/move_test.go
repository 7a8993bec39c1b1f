package e2e

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/pgtest"
)

// refused runs a command that must fail, and answers what it says.
func refused(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command(binary, args...).CombinedOutput()
	if err == nil {
		t.Fatalf("dialproof %s did not fail:\n%s", strings.Join(args, " "), out)
	}
	return string(out)
}

func wantWord(t *testing.T, text, word string) {
	t.Helper()
	if !strings.Contains(text, word) {
		t.Errorf("%q does not say %q", text, word)
	}
}

// TestMoveToPostgres moves a running deployment from SQLite to PostgreSQL. A code that was sent before is accepted
// after.
func TestMoveToPostgres(t *testing.T) {
	t.Parallel()
	s := newSink(t)
	d := deploy(t, s.URL, "log: {level: warn}\n")
	p := d.serve(t)
	v, to := field(newClient(t, p, d.key).call(t, http.StatusCreated, http.MethodPost, "/v1/verifications",
		map[string]any{"to": drama(1)}), "id"), drama(1)
	waitFor(t, 10*time.Second, "the message", func() bool { return s.codeFor(to) != "" })

	text, err := os.ReadFile(d.config)
	if err != nil {
		t.Fatal(err)
	}
	server := pgtest.Start(t)
	next := filepath.Join(d.dir, "new.yaml")
	moved := fmt.Sprintf("%sstore: {driver: postgres, dsn: %q}\n", text, server.Fresh())
	if err := os.WriteFile(next, []byte(moved), 0o600); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(d.dir, "other.yaml")
	if err := os.WriteFile(other, []byte(strings.Replace(moved, "secret: MDEy", "secret: OTEy", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	wantWord(t, refused(t, "store", "copy", "--config", d.config, "--to", other), "different keys")
	wantWord(t, d.run(t, "store", "copy", "--config", d.config, "--to", next), "--final")
	p.stop(t)
	wantWord(t, d.run(t, "store", "copy", "--config", d.config, "--to", next, "--final"), "start the nodes")
	wantWord(t, refused(t, "serve", "--config", d.config), "moved to PostgreSQL")

	n := launch(t, d.listen, "serve", "--config", next)
	c := newClient(t, n, d.key)
	if a := c.call(t, http.StatusOK, http.MethodPost, "/v1/verifications/"+v+"/check",
		map[string]any{"code": s.codeFor(to)}); field(a, "result") != "approved" {
		t.Errorf("a code from before the move: %s", a.body)
	}
	wantWord(t, refused(t, "store", "copy", "--config", d.config, "--to", next), "moved to PostgreSQL")
	wantWord(t, refused(t, "store", "backup", "--config", next, filepath.Join(d.dir, "b.db")), "PostgreSQL")
	// The tests' server does not sync its files, and the doctor says so.
	wantWord(t, refused(t, "doctor", "--config", next), "WRONG  store: fsync is off")
	n.stop(t)
	d.run(t, "store", "copy", "--config", d.config, "--undo")
	d.serve(t).stop(t)
}

// TestBackupAndRestore backs up under a running server, and restores after it was stopped.
func TestBackupAndRestore(t *testing.T) {
	t.Parallel()
	s := newSink(t)
	d := deploy(t, s.URL, "log: {level: warn}\n")
	p := d.serve(t)
	start := func(n int) string {
		return field(newClient(t, p, d.key).call(t, http.StatusCreated, http.MethodPost, "/v1/verifications",
			map[string]any{"to": drama(n)}), "id")
	}
	kept := start(1)
	file := filepath.Join(d.dir, "backup.db")
	wantWord(t, d.run(t, "store", "backup", "--config", d.config, file), "backed up")
	lost := start(2)
	wantWord(t, refused(t, "store", "restore", "--config", d.config, file), "stop it first")
	p.stop(t)
	wantWord(t, d.run(t, "store", "restore", "--config", d.config, file), "what was there before")
	p = d.serve(t)
	c := newClient(t, p, d.key)
	c.call(t, http.StatusOK, http.MethodGet, "/v1/verifications/"+kept, nil)
	c.call(t, http.StatusNotFound, http.MethodGet, "/v1/verifications/"+lost, nil)
}
