package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestHandsetPage drives the handset in a real browser. DIALPROOF_PICTURES names a folder to keep the pictures in.
func TestHandsetPage(t *testing.T) {
	t.Parallel()
	p, _, _ := dev(t)
	pictures := os.Getenv("DIALPROOF_PICTURES")
	if pictures == "" {
		pictures = t.TempDir()
	}
	cmd := exec.Command("node", "handset.mjs", p.url, pictures)
	cmd.Dir = filepath.Join("..", "browser")
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatalf("the page did not do what it should: %v (are the packages there? run scripts/setup-test.sh)\n%s", err, p.log)
	}
}
