package e2e

import (
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"github.com/dialproof/dialproof/internal/pgtest"
)

// TestToolsDoNotMigrate: beside a running server, commands that are not asked to change the schema refuse one of
// another version, in words, and change nothing; the server goes on. On an empty database they say what comes first.
func TestToolsDoNotMigrate(t *testing.T) {
	t.Parallel()
	pg := pgtest.Start(t)
	empty := configure(t, newSink(t).URL, "store: {driver: postgres, dsn: \""+pg.Fresh()+"\"}\n")
	refuse := func(config, want string) {
		t.Helper()
		for _, args := range [][]string{{"doctor"}, {"app", "list"},
			{"app", "create", "--name", "other", "--brand", "Other"}, {"key", "create", "--name", "more", "--scope", "admin"}} {
			out, err := exec.Command(binary, append(args, "--config", config)...).CombinedOutput()
			if err == nil || !strings.Contains(string(out), want) {
				t.Errorf("%v: %v, want %q:\n%s", args, err, want, out)
			}
		}
	}
	refuse(empty.config, "it has none yet")
	f := onPostgres(t, pg, 1)
	schema := schemaOf(f.store)
	for _, step := range [][2]string{
		{"DELETE FROM " + schema + ".dialproof_schema WHERE version = (SELECT max(version) FROM " + schema +
			".dialproof_schema)", "run `dialproof migrate`"},
		{"INSERT INTO " + schema + ".dialproof_schema (version, name) VALUES (99, 'later')", "newer Dialproof"},
	} {
		change, want := step[0], step[1]
		pg.Exec(change)
		state := "SELECT count(*) * 1000 + (SELECT max(version) FROM " + schema + ".dialproof_schema) FROM " + schema +
			".lanes"
		before := pg.Count(state)
		refuse(f.nodes[0].config, want)
		if got := pg.Count(state); got != before {
			t.Errorf("the database has changed: %d, and was %d", got, before)
		}
		f.client(f.nodes[0]).
			call(t, http.StatusCreated, http.MethodPost, "/v1/verifications", map[string]any{"to": drama(before % 1000)})
	}
}
