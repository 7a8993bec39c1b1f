package docs

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestSnippets runs every program of the documentation.
func TestSnippets(t *testing.T) {
	t.Parallel()
	all := programs(t)
	if len(all) < 10 {
		t.Errorf("only %d programs were found", len(all))
	}
	compiled := compile(t, all)
	for _, p := range all {
		t.Run(p.name(), func(t *testing.T) {
			t.Parallel()
			s := newServer(t, p.place)
			out, err := s.command(t, p, compiled).CombinedOutput()
			if err != nil {
				t.Fatalf("%s: %v\n%s", p.page, err, out)
			}
			// What is said is said in the order of the blocks.
			rest := string(out)
			for _, b := range p.blocks {
				want := b.attributes["says"]
				_, after, ok := strings.Cut(rest, want)
				if !ok {
					t.Errorf("%s:%d does not say %q\n%s", b.page, b.line, want, out)
				}
				rest = after
			}
		})
	}
}

// server is where a program runs: a folder, and a dialproof for it.
type server struct {
	dir, url string
	env      []string
}

// newServer starts `dialproof dev` in a new folder, or prepares a deployment in it.
func newServer(t *testing.T, place string) *server {
	t.Helper()
	s := &server{dir: t.TempDir()}
	s.env = append(os.Environ(), "NO_COLOR=1", "PATH="+filepath.Dir(binary)+":"+os.Getenv("PATH"),
		"PYTHONPATH="+filepath.Join(root, "sdk/python/src"), "PYTHONDONTWRITEBYTECODE=1", "DIALPROOF_BIN="+binary)
	if place == "deployment" {
		s.deploy(t)
		return s
	}
	cmd := exec.Command(binary, "dev", "--listen", "127.0.0.1:0")
	cmd.Dir, cmd.Env = s.dir, s.env
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	said, buffer := "", make([]byte, 4096)
	for !strings.Contains(said, "Ctrl-C") {
		n, err := out.Read(buffer)
		if said += string(buffer[:n]); err != nil {
			t.Fatalf("dialproof dev ended: %v\n%s", err, said)
		}
	}
	s.url = regexp.MustCompile(`http://[0-9.:]+`).FindString(said)
	key, err := os.ReadFile(filepath.Join(s.dir, ".dialproof/dev.key"))
	if err != nil {
		t.Fatal(err)
	}
	s.env = append(s.env, "DIALPROOF_KEY="+strings.TrimSpace(string(key)))
	return s
}

// deploy writes a configuration that nothing is sent by, and makes the application shop.
func (s *server) deploy(t *testing.T) {
	t.Helper()
	s.write(t, "dialproof.yaml", deployment)
	s.env = append(s.env, "DIALPROOF_CONFIG="+filepath.Join(s.dir, "dialproof.yaml"))
	cmd := exec.Command(binary, "app", "create", "--name", "shop", "--brand", "Shop")
	cmd.Dir, cmd.Env = s.dir, s.env
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

const deployment = `keys: [{id: 1, secret: MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=}]
routes: [{name: sink, provider: webhook,
    settings: {url: "http://127.0.0.1:9", secret: whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=}}]
`

func (s *server) write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// address is where the pages say that the server is.
const address = "http://127.0.0.1:8080"

// command returns how to run a program. Only the address differs from what is on the page.
func (s *server) command(t *testing.T, p program, compiled map[string]string) *exec.Cmd {
	t.Helper()
	var code strings.Builder
	for _, b := range p.blocks {
		code.WriteString(b.code)
		if p.language == "sh" && !strings.HasSuffix(b.code, "\n") {
			code.WriteByte('\n')
		}
		if p.language == "sh" {
			code.WriteString("echo\n") // a block of its own begins on a line of its own
		}
	}
	text := strings.ReplaceAll(code.String(), address, s.url)
	var cmd *exec.Cmd
	switch p.language {
	case "sh":
		cmd = exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", text)
	case "js":
		if err := os.Symlink(filepath.Dir(packages), filepath.Join(s.dir, "node_modules")); err != nil {
			t.Fatal(err)
		}
		cmd = exec.CommandContext(t.Context(), "node", s.write(t, "page.mjs", text))
	case "python":
		cmd = exec.CommandContext(t.Context(), python, s.write(t, "page.py", text))
	default:
		// It was compiled with the address of the page; a proxy there would be another program, so it comes from the
		// environment.
		cmd = exec.CommandContext(t.Context(), compiled[p.name()])
		s.env = append(s.env, "DIALPROOF_URL="+s.url)
	}
	cmd.Dir, cmd.Env = s.dir, s.env
	return cmd
}

// compile builds the Go programs of all pages at once, as packages of this module that are in no folder of it.
func compile(t *testing.T, all []program) map[string]string {
	t.Helper()
	dir := t.TempDir()
	replace, compiled, args := map[string]string{}, map[string]string{}, []string{"build", "-o",
		dir + string(filepath.Separator)}
	for _, p := range all {
		if p.language != "go" {
			continue
		}
		var code bytes.Buffer
		for _, b := range p.blocks {
			code.WriteString(b.code)
		}
		name := "page" + regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(p.name(), "")
		// The same address as everywhere on the page, but for the port, which is known when the program runs.
		text := strings.ReplaceAll(code.String(), `"`+address+`"`, `os.Getenv("DIALPROOF_URL")`)
		source := filepath.Join(dir, name+".go")
		if err := os.WriteFile(source, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		replace[filepath.Join(root, "test/docs", name, "main.go")] = source
		args = append(args, "./test/docs/"+name)
		compiled[p.name()] = filepath.Join(dir, name)
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", append([]string{args[0], "-overlay", file}, args[1:]...)...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("the Go programs of the pages do not build: %v\n%s", err, out)
	}
	return compiled
}
