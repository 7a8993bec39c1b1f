// Package internal_test holds the import rules of the rooms. It is not a linter: it reads the rules that
// .golangci.yml gives to depguard and judges the imports by them, so that plain `go test` holds them too.
package internal_test

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const module = "github.com/dialproof/dialproof"

// rule is one rule of depguard in its lax mode: the longer of two matching entries wins.
type rule struct {
	Mode  string   `yaml:"list-mode"`
	Files []string `yaml:"files"`
	Allow []string `yaml:"allow"`
	Deny  []struct {
		Pkg  string `yaml:"pkg"`
		Desc string `yaml:"desc"`
	} `yaml:"deny"`
}

// pkg is what `go list -json` says of a package.
type pkg struct {
	ImportPath string
	GoFiles    []string
	Imports    []string
}

func rules(t *testing.T) map[string]rule {
	t.Helper()
	text, err := os.ReadFile("../.golangci.yml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Linters struct {
			Settings struct {
				Depguard struct {
					Rules map[string]rule `yaml:"rules"`
				} `yaml:"depguard"`
			} `yaml:"settings"`
		} `yaml:"linters"`
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	return file.Linters.Settings.Depguard.Rules
}

// TestExceptions: an exception from a linter's rule names linters that run. nolintlint refuses those that find nothing,
// but only of linters that it knows to run.
func TestExceptions(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../.golangci.yml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Linters struct {
			Enable []string `yaml:"enable"`
		} `yaml:"linters"`
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	exception := regexp.MustCompile(`//nolint:([a-z,]+)`)
	seen := 0
	err = filepath.WalkDir("..", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.HasSuffix(path, ".go") {
			if e != nil && e.IsDir() && (e.Name() == "node_modules" || strings.HasPrefix(e.Name(), ".") && e.Name() != "..") {
				return fs.SkipDir
			}
			return err
		}
		source, err := os.ReadFile(path)
		for _, found := range exception.FindAllSubmatch(source, -1) {
			seen++
			for name := range strings.SplitSeq(string(found[1]), ",") {
				if !slices.Contains(file.Linters.Enable, name) {
					t.Errorf("%s: %s: %s does not run", path, found[0], name)
				}
			}
		}
		return err
	})
	if err != nil || seen == 0 {
		t.Errorf("%d exceptions found, %v", seen, err)
	}
}

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e", "-json=ImportPath,GoFiles,Imports", "./...")
	cmd.Dir = ".."
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// TestRooms holds the import rules. A package that no rule names fails as well: whoever makes a room says what
// it may import.
func TestRooms(t *testing.T) {
	t.Parallel()
	all := rules(t)
	if len(all) < 10 {
		t.Fatalf("found %d import rules in .golangci.yml: the file has changed its form", len(all))
	}
	for _, p := range packages(t) {
		if len(p.GoFiles) == 0 || p.ImportPath == module {
			continue
		}
		dir := strings.TrimPrefix(p.ImportPath, module+"/")
		named := false
		for name, r := range all {
			if !r.covers(dir + "/" + p.GoFiles[0]) {
				continue
			}
			named = named || name != "app"
			for _, imported := range p.Imports {
				if why, ok := r.allows(imported); !ok {
					t.Errorf("%s imports %s: %s (rule %s)", dir, strings.TrimPrefix(imported, module+"/"), why, name)
				}
			}
		}
		if !named && strings.HasPrefix(dir, "internal/") && dir != "internal/app" {
			t.Errorf("no import rule in .golangci.yml covers %s: say there what it may import, and why", dir)
		}
	}
}

// TestReasons: a rule without a reason is an order that nobody can question.
func TestReasons(t *testing.T) {
	t.Parallel()
	for name, r := range rules(t) {
		if r.Mode != "lax" || len(r.Files) == 0 || len(r.Deny) == 0 {
			t.Errorf("the import rule %s must be lax, name files and deny something", name)
		}
		for _, d := range r.Deny {
			if len(d.Desc) < 20 {
				t.Errorf("the import rule %s denies %s without a reason", name, d.Pkg)
			}
		}
	}
}

func TestLongerEntryWins(t *testing.T) {
	t.Parallel()
	r := rules(t)["providers"]
	for imported, want := range map[string]bool{
		module + "/internal/channel":        true,
		module + "/internal/channel/twilio": false,
		module + "/internal/store":          false,
		"net/http":                          true,
	} {
		if _, ok := r.allows(imported); ok != want {
			t.Errorf("importing %s: got %v, want %v", imported, ok, want)
		}
	}
	if !r.covers("internal/channel/twilio/twilio.go") || r.covers("internal/channel/channel.go") ||
		r.covers("internal/channel/all/all.go") {
		t.Error("the file patterns of the rule providers do not mean what they say")
	}
}

// covers reports whether the rule speaks of a file; a pattern behind "!" takes files out.
func (r rule) covers(file string) bool {
	in := false
	for _, f := range r.Files {
		if out, negated := strings.CutPrefix(f, "!"); negated {
			if glob(out, file) {
				return false
			}
		} else if glob(f, file) {
			in = true
		}
	}
	return in
}

// glob matches as gobwas/glob does: ** crosses folders, * does not.
func glob(pattern, file string) bool {
	p := regexp.QuoteMeta(pattern)
	p = strings.ReplaceAll(p, `\*\*`, "\x00")
	p = strings.ReplaceAll(p, `\*`, `[^/]*`)
	p = strings.ReplaceAll(p, "\x00", `.*`)
	return regexp.MustCompile("^" + p + "$").MatchString(path.Join("/", file))
}

// allows reports whether the rule lets a package be imported, and if not, why.
func (r rule) allows(imported string) (why string, ok bool) {
	allow, deny := 0, 0
	for _, a := range r.Allow {
		allow = max(allow, match(a, imported))
	}
	for _, d := range r.Deny {
		if n := match(d.Pkg, imported); n > deny {
			deny, why = n, d.Desc
		}
	}
	return why, deny == 0 || allow > deny
}

// match returns the length of the entry if it matches, or 0.
func match(entry, imported string) int {
	if exact, ok := strings.CutSuffix(entry, "$"); ok {
		if exact == imported {
			return len(entry)
		}
		return 0
	}
	if strings.HasPrefix(imported, entry) {
		return len(entry)
	}
	return 0
}
