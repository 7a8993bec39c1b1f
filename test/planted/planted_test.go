// Package planted holds faults that a room's own tests must notice. Each is a patch in this folder, whose first lines
// say what it is and in which package, and which test of that package has to notice it. It is not the place for the
// tests that notice them.
package planted

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	roomLine = regexp.MustCompile(`(?m)^Room: (\./\S+)\nTest: (\S+)$`)
	fileLine = regexp.MustCompile(`(?m)^\+\+\+ b/(\S+)$`)
)

// TestPlanted runs the test of a room that has to notice it, with each fault in turn. It fails for a fault that nobody
// notices.
func TestPlanted(t *testing.T) {
	if os.Getenv("DIALPROOF_SOAK") == "" {
		t.Skip("part of the long proofs: DIALPROOF_SOAK=1")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	patches, err := filepath.Glob("*.patch")
	if err != nil || len(patches) == 0 {
		t.Fatalf("%d patches, %v", len(patches), err)
	}
	for _, p := range patches {
		t.Run(strings.TrimSuffix(p, ".patch"), func(t *testing.T) { plant(t, root, p) })
	}
}

// plant runs the test of a room with the files of a patch in place of those of the tree, which stays as it is.
func plant(t *testing.T, root, patch string) {
	text, err := os.ReadFile(patch)
	if err != nil {
		t.Fatal(err)
	}
	room, files := roomLine.FindSubmatch(text), fileLine.FindAllSubmatch(text, -1)
	if room == nil || len(files) == 0 {
		t.Fatal("it names no room, no test or no file")
	}
	dir, replaced := t.TempDir(), map[string]string{}
	for _, f := range files {
		from, to := filepath.Join(root, string(f[1])), filepath.Join(dir, string(f[1]))
		data, err := os.ReadFile(from)
		if err == nil {
			err = os.MkdirAll(filepath.Dir(to), 0o700)
		}
		if err == nil {
			err = os.WriteFile(to, data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		replaced[from] = to
	}
	abs, err := filepath.Abs(patch)
	if err != nil {
		t.Fatal(err)
	}
	apply := exec.CommandContext(t.Context(), "git", "apply", abs)
	apply.Dir, apply.Env = dir, append(os.Environ(), "GIT_CEILING_DIRECTORIES="+filepath.Dir(dir))
	if out, err := apply.CombinedOutput(); err != nil {
		t.Fatalf("it does not apply any more, make it anew: %v\n%s", err, out)
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replaced})
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(list, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	run := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-overlay", list, "-run", string(room[2]),
		string(room[1]))
	run.Dir = root
	run.Env = append(os.Environ(), "DIALPROOF_SOAK=") // the short form notices it
	out, err := run.CombinedOutput()
	failed := regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`).FindAllSubmatch(out, -1)
	if err == nil || len(failed) == 0 {
		t.Errorf("no test of %s notices it: %v\n%s", room[1], err, out)
		return
	}
	last := string(failed[len(failed)-1][1])
	t.Logf("%s: noticed by %s", strings.SplitN(string(text), "\n", 2)[0], last)
}
