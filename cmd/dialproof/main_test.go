package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/dialproof/dialproof/internal/config"
)

var update = flag.Bool("update", false, "write the golden texts in testdata anew")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"dialproof": main})
}

// TestScripts runs the program as people do.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata", UpdateScripts: *update, RequireExplicitExec: true, RequireUniqueNames: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
		Setup: func(e *testscript.Env) error {
			e.Setenv("GORACE", "atexit_sleep_ms=0") // a program with the race detector else takes a second to end
			return nil
		},
	})
}

// exits runs a command and compares its exit code: `exits 2 dialproof serve`.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND ARGUMENT…")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	if e, ok := errors.AsType[interface {
		error
		ExitCode() int
	}](err); ok {
		got = string(rune('0' + e.ExitCode()))
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != args[0] {
		ts.Fatalf("exit code %s, want %s", got, args[0])
	}
}

// call runs the command line against a wiring and answers what it said.
func call(t *testing.T, w wiring, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), args, world{Env: func(string) (string, bool) { return "", false }, Out: &o, Err: &e, app: w})
	return code, o.String(), e.String()
}

func TestDevPassesItsFlags(t *testing.T) {
	t.Parallel()
	var got devOptions
	w := wiring{dev: func(_ context.Context, o devOptions) error { got = o; return nil }}
	folder := t.TempDir()
	if code, _, errs := call(t, w, "dev", "--listen", "127.0.0.1:0", "--data", folder); code != exitOK {
		t.Fatalf("exit %d: %s", code, errs)
	}
	if got.Listen != "127.0.0.1:0" || got.Data != folder || got.Out == nil || got.Log == nil {
		t.Errorf("got %+v", got)
	}
}

func TestDoctorExitCode(t *testing.T) {
	t.Parallel()
	file := t.TempDir() + "/d.yaml"
	if err := os.WriteFile(file, []byte("keys: [{id: 1, secret: "+strings.Repeat("ab", 32)+"}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		ok   bool
		err  error
		code int
	}{{true, nil, exitOK}, {false, nil, exitFailed}, {false, errors.New("broken"), exitFailed}} {
		w := wiring{doctor: func(context.Context, config.Config, io.Writer) (bool, error) { return tc.ok, tc.err }}
		if code, _, _ := call(t, w, "doctor", "--config", file); code != tc.code {
			t.Errorf("%+v: exit %d", tc, code)
		}
	}
}

func TestServeGetsTheLogItAskedFor(t *testing.T) {
	t.Parallel()
	file := t.TempDir() + "/d.yaml"
	text := "log: {format: human, level: warn}\nkeys: [{id: 1, secret: " + strings.Repeat("ab", 32) + "}]\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	w := wiring{serve: func(_ context.Context, _ config.Config, log *slog.Logger, _ <-chan config.Config) error {
		log.Info("hidden")
		log.Warn("shown")
		return errors.New("the port is taken")
	}}
	code, _, errs := call(t, w, "serve", "--config", file)
	if code != exitFailed || strings.Contains(errs, "hidden") || !strings.Contains(errs, "shown") ||
		!strings.HasSuffix(errs, "dialproof: the port is taken\n") {
		t.Errorf("exit %d: %s", code, errs)
	}
}
