package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestREADME runs what the README tells a newcomer to paste, as it stands there, against `make run`'s server.
// Only the address differs, because another program may have port 8080 here.
func TestREADME(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	script := blocks(string(text), "sh", "first verification")
	if len(script) == 0 {
		t.Fatal("the README has no first verification")
	}
	dir := t.TempDir()
	listen := freePort(t)
	p := launch(t, listen, "dev", "--listen", listen, "--data", filepath.Join(dir, ".dialproof"))
	paste := strings.ReplaceAll(strings.Join(script, "\n"), "http://127.0.0.1:8080", p.url)
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", paste)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), `"result":"approved"`) {
		t.Fatalf("%v\n%s\n--- pasted:\n%s\n--- log:\n%s", err, out, paste, p.log)
	}
}

// blocks answers the code blocks of a language under the heading that holds the words.
func blocks(text, language, heading string) (out []string) {
	_, rest, ok := strings.Cut(strings.ToLower(text), strings.ToLower(heading))
	if !ok {
		return nil
	}
	section := text[len(text)-len(rest):]
	if end := strings.Index(section, "\n## "); end >= 0 {
		section = section[:end]
	}
	for _, m := range regexp.MustCompile(fmt.Sprintf("(?s)```%s\n(.*?)```", language)).FindAllStringSubmatch(section, -1) {
		out = append(out, m[1])
	}
	return out
}
