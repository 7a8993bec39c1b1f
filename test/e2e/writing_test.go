package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestWritingAProvider follows docs/providers/writing-one.md in a copy of the repository: the new provider passes the
// suite, and nothing but its folder, its lines in the list and the pages that are made from it has changed.
func TestWritingAProvider(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/providers/writing-one.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	run := func(script string) string {
		t.Helper()
		cmd := exec.Command("bash", "-euo", "pipefail", "-c", script)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s\n--- pasted:\n%s", err, out, script)
		}
		return string(out)
	}
	copyRepository(t, dir)
	run("git init -q && git add -A && git -c user.name=t -c user.email=t@example.com commit -qm start")
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(blocks) != 3 {
		t.Fatalf("the page has %d blocks to paste, want 3", len(blocks))
	}
	for _, b := range blocks {
		out := run(b[1])
		if strings.Contains(b[1], "go test") && !strings.Contains(out, "channel/acme\t") {
			t.Errorf("the suite did not run:\n%s", out)
		}
	}
	run("git add -A")
	changed := strings.Fields(run("git diff --cached --name-only"))
	want := []string{
		"docs/providers/README.md", "docs/providers/acme.md", "internal/channel/acme/acme.go",
		"internal/channel/acme/acme_test.go", "internal/channel/acme/testdata/errors.tsv",
		"internal/channel/acme/testdata/receipts.tsv", "internal/channel/all/all.go",
	}
	if !slices.Equal(changed, want) {
		t.Errorf("changed %q, want %q", changed, want)
	}
	if lines := run("git diff --cached --numstat internal/channel/all"); !strings.HasPrefix(lines, "2\t0\t") {
		t.Errorf("the list changed by %q, want one line and its import", lines)
	}
}

// copyRepository copies the files that git knows, as they stand now.
func copyRepository(t *testing.T, to string) {
	t.Helper()
	cmd := exec.Command("git", "ls-files", "-z")
	cmd.Dir = "../.."
	names, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.SplitSeq(strings.TrimRight(string(names), "\x00"), "\x00") {
		text, err := os.ReadFile(filepath.Join("../..", name))
		if os.IsNotExist(err) {
			continue // deleted and not yet committed
		}
		if err == nil {
			err = os.MkdirAll(filepath.Join(to, filepath.Dir(name)), 0o755)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(to, name), text, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
