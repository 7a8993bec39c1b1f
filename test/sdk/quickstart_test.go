package sdk

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/dialproof/dialproof/client/clienttest"
)

// readme is an SDK's, and how its commands become those of this checkout: packages come from here and not from a
// registry.
type readme struct {
	path, file string
	local      func(t *testing.T, dir string) [][2]string
	// boilerplate are lines that the language demands of every program.
	boilerplate *regexp.Regexp
}

var readmes = map[string]readme{
	"go": {"client/README.md", "main.go", goLocal,
		regexp.MustCompile(`^(package .*|import \(|\t"[a-z/.]+"|func main\(\) \{|\t*[)}])?$`)},
	"typescript": {"sdk/typescript/README.md", "quick.mjs", func(t *testing.T, dir string) [][2]string {
		out, err := command(t, filepath.Join(root, "sdk/typescript"), "npm", "pack", "--silent", "--ignore-scripts",
			"--pack-destination", dir).CombinedOutput()
		if err != nil {
			t.Fatalf("npm pack: %v\n%s", err, out)
		}
		return [][2]string{{"npm install dialproof",
			"npm install --offline --silent " + filepath.Join(dir, strings.TrimSpace(string(out)))}}
	}, regexp.MustCompile(`^(import .*)?$`)},
	"python": {"sdk/python/README.md", "quick.py", func(t *testing.T, dir string) [][2]string {
		// A copy, because building leaves files behind. setuptools is that of the tests, so that nothing is fetched.
		if err := os.CopyFS(filepath.Join(dir, "checkout"), os.DirFS(filepath.Join(root, "sdk/python"))); err != nil {
			t.Fatal(err)
		}
		out, err := command(t, dir, python, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check",
			"--no-build-isolation", "--no-index", "--no-deps", "-w", dir, "./checkout").CombinedOutput()
		if err != nil {
			t.Fatalf("pip wheel: %v\n%s", err, out)
		}
		pip := python + " -m pip --python venv/bin/python install --quiet --disable-pip-version-check --no-index " +
			"--find-links " + dir + " dialproof"
		return [][2]string{
			{"python3 -m venv venv", python + " -m venv --without-pip venv"},
			{"venv/bin/pip install dialproof", pip},
		}
	}, regexp.MustCompile(`^(import .*|from .*)?$`)},
}

func goLocal(*testing.T, string) [][2]string {
	edit := "go mod edit -require github.com/dialproof/dialproof@v0.0.0 -replace github.com/dialproof/dialproof=" + root
	return [][2]string{{"go get github.com/dialproof/dialproof/client", edit + "\nexport GOFLAGS=-mod=mod GOPROXY=off"}}
}

// TestQuickStarts follows each README from an empty folder, as a person would: install, write the program down, run
// it, read the code off the handset, type it.
func TestQuickStarts(t *testing.T) {
	t.Parallel()
	for name, r := range readmes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, home := devFolder(t), t.TempDir()
			text := r.read(t, home, dir.url)
			program := block(t, text, "quick")
			own := 0
			for line := range strings.Lines(program) {
				if !r.boilerplate.MatchString(strings.TrimRight(line, "\n")) {
					own++
				}
			}
			if own > 10 {
				t.Errorf("%d lines of one's own, want at most 10", own)
			}
			if err := os.WriteFile(filepath.Join(dir.path, r.file), []byte(program), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := command(t, dir.path, "bash", "-euo", "pipefail", "-c", block(t, text, "sh")+"\n"+block(t, text, "sh run"))
			out := &bytes.Buffer{}
			cmd.Stdout, cmd.Stderr = out, out
			keyboard, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			go dir.person(t.Context(), keyboard)
			if err := cmd.Run(); err != nil || !strings.HasSuffix(strings.TrimSpace(out.String()), "approved") {
				t.Errorf("%v\n%s", err, out)
			}
			dir.rest(t, name, text)
			if name == "typescript" {
				dir.types(t)
			}
		})
	}
}

// read returns the README as it is followed here.
func (r readme) read(t *testing.T, home, url string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, r.path))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(raw), "http://127.0.0.1:8080", url)
	for _, local := range r.local(t, home) {
		if !strings.Contains(text, local[0]) {
			t.Fatalf("%s does not say %q", r.path, local[0])
		}
		text = strings.Replace(text, local[0], local[1], 1)
	}
	return text
}

// blocks returns the code blocks whose first line is "```kind".
func blocks(text, kind string) (out []string) {
	for _, m := range regexp.MustCompile("(?s)\n```"+kind+"\n(.*?)\n```").FindAllStringSubmatch(text, -1) {
		out = append(out, m[1])
	}
	return out
}

// block returns the one block of a kind, or of "LANGUAGE kind".
func block(t *testing.T, text, kind string) string {
	t.Helper()
	if kind == "quick" {
		kind = "[a-z]+ quick"
	}
	all := blocks(text, kind)
	if len(all) != 1 {
		t.Fatalf("%d blocks of %q", len(all), kind)
	}
	return all[0]
}

// folder is one where `dialproof dev` runs, as the quick starts have it.
type folder struct{ path, url, key string }

func devFolder(t *testing.T) folder {
	t.Helper()
	path := t.TempDir()
	cmd := command(t, path, binary, "dev", "--listen", "127.0.0.1:0")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	buffer := make([]byte, 4096)
	for said := ""; ; {
		n, err := out.Read(buffer)
		if said += string(buffer[:n]); strings.Contains(said, "Key ") {
			key, err := os.ReadFile(filepath.Join(path, ".dialproof/dev.key"))
			if err != nil {
				t.Fatal(err)
			}
			go io.Copy(io.Discard, out)
			return folder{path, regexp.MustCompile(`http://[0-9.:]+`).FindString(said), strings.TrimSpace(string(key))}
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, said)
		}
	}
}

// person is the person at the keyboard: they type the code when it is on the handset.
func (f folder) person(ctx context.Context, keyboard io.WriteCloser) {
	defer keyboard.Close()
	ctx, stop := context.WithTimeout(ctx, 50*time.Second)
	defer stop()
	for phone := clienttest.NewHandset(f.url); ctx.Err() == nil; {
		if code, err := phone.Code(ctx, "+447700900123"); err == nil {
			io.WriteString(keyboard, code+"\n")
			return
		}
	}
}

// rest runs the other examples of a README, one after the other in one program.
func (f folder) rest(t *testing.T, name, text string) {
	t.Helper()
	var cmd = map[string]func() []string{
		"python": func() []string {
			code := "import os\nfrom dialproof import Dialproof\n" + strings.Join(blocks(text, "python"), "\n")
			return []string{"venv/bin/python",
				f.write(t, "rest.py", strings.Replace(code, "from dialproof.proof import", "import sys; sys.path.append('"+
					sitePackages(t)+"')\nfrom dialproof.proof import", 1))}
		},
		"typescript": func() []string {
			code := "import { Dialproof } from \"dialproof\";\n" + strings.Join(blocks(text, "js"), "\n")
			return []string{"node", f.write(t, "rest.mjs", code)}
		},
		"go": func() []string {
			f.write(t, "rest_test.go", goRest(text))
			return []string{"go", "test", "-mod=mod", "-count=1", "-v", "."}
		},
	}[name]()
	run := command(t, f.path, cmd[0], cmd[1:]...)
	run.Env = append(run.Env, "DIALPROOF_KEY="+f.key, "GOPROXY=off")
	out, err := run.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"another number, please", "incorrect", "vrf_", "approved"} {
		if !strings.Contains(string(out), want) && !(name == "go" && want == "approved") { // its test says PASS
			t.Errorf("the examples do not say %q:\n%s", want, out)
		}
	}
}

// types compiles a program against the installed package.
func (f folder) types(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile("consumer.mts")
	if err != nil {
		t.Fatal(err)
	}
	f.write(t, "consumer.mts", string(text))
	tsc := filepath.Join(root, "sdk/typescript/node_modules/.bin/tsc")
	if out, err := command(t, f.path, tsc, "--noEmit", "--strict", "--target", "es2022", "--module", "nodenext",
		"consumer.mts").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func (f folder) write(t *testing.T, name, text string) string {
	t.Helper()
	if err := os.WriteFile(filepath.Join(f.path, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// sitePackages is where the tests' cryptography is.
func sitePackages(t *testing.T) string {
	t.Helper()
	out, err := command(t, "", python, "-c", "import cryptography; print(cryptography.__path__[0])").Output()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Dir(strings.TrimSpace(string(out)))
}

// goRest makes one test file of the pieces of Go's README: the first shows the shape alone, the others run.
func goRest(text string) string {
	code := "package main\n\nimport (\n\"context\"\n\"errors\"\n\"fmt\"\n\"log\"\n\"net/http\"\n\"os\"\n\"testing\"\n\n" +
		"\"github.com/dialproof/dialproof/client\"\n\"github.com/dialproof/dialproof/client/clienttest\"\n)\n\nvar _ = " +
		"errors.Is\n\nvar _ http.Handler\n\n"
	code += "func TestREADME(t *testing.T) {\nctx := t.Context()\ndialproof := " +
		"client.Must(client.New(\"" + regexp.MustCompile(`http://127[0-9.:]+`).FindString(text) +
		"\", os.Getenv(\"DIALPROOF_KEY\")))\n"
	shape := blocks(text, "go")[0]
	code += "func(typed string) {\n" +
		strings.Replace(shape, "v, err :=", "v, err := (*client.Verification)(nil), error(nil)\n_ = err\nv, err =", 1) +
		"\n}(\"123456\")\n"
	for _, b := range blocks(text, "go")[1:] {
		code += "func() {\n" + b + "\n}()\n"
	}
	return code + "}\n\nvar _ context.Context\n\n" + strings.Join(blocks(text, "go test"), "\n") + "\n"
}
