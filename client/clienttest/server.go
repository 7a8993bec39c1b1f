package clienttest

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Server is a `dialproof dev` of a test's own.
type Server struct {
	// URL and Key are what client.New wants.
	URL, Key string
	*Handset
}

// address is how dev tells where it listens.
var address = regexp.MustCompile(`https?://[^/\s]+`)

// Start runs `dialproof dev` with an empty store on a free port until the test ends. The program is the one that
// DIALPROOF_BIN names, or else the `dialproof` of PATH; the test fails when there is none.
func Start(t testing.TB) *Server {
	t.Helper()
	program := os.Getenv("DIALPROOF_BIN")
	if program == "" {
		program = "dialproof"
	}
	data := t.TempDir()
	//nolint:noctx,gosec // it lives as long as the test; the tester names the program
	cmd := exec.Command(program, "dev", "--listen", "127.0.0.1:0", "--data", data)
	cmd.Env = append(os.Environ(), "NO_COLOR=1")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatalf("dialproof dev does not start: %v (DIALPROOF_BIN names the program)", err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	s, said := &Server{}, ""
	for lines := bufio.NewScanner(out); s.URL == "" && lines.Scan(); said += lines.Text() + "\n" {
		if strings.Contains(lines.Text(), "API ") {
			s.URL = address.FindString(lines.Text())
		}
	}
	key, err := os.ReadFile(filepath.Join(data, "dev.key"))
	if err != nil || s.URL == "" {
		t.Fatal(fmt.Errorf("dialproof dev does not run: %w\n%s", err, said))
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	s.Key, s.Handset = strings.TrimSpace(string(key)), NewHandset(s.URL)
	return s
}
