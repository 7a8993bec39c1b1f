package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestInTheBrowser reads the documentation in a real browser. DIALPROOF_PICTURES names a folder to keep pictures of all
// pages in.
func TestInTheBrowser(t *testing.T) {
	t.Parallel()
	s := newServer(t, "")
	pictures := os.Getenv("DIALPROOF_PICTURES")
	if pictures == "" {
		pictures = t.TempDir()
	}
	cmd := exec.CommandContext(t.Context(), "node", "docs.mjs", s.url, pictures)
	cmd.Dir = filepath.Join(root, "test/browser")
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatalf("the pages did not do what they should: %v (are the packages there? run scripts/setup-test.sh)", err)
	}
}
