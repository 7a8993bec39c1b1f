// Package docs runs what the documentation tells its readers to run: every block of shell, Go, JavaScript and Python of
// the README and of docs/, against a `dialproof dev` of its own, as it stands there.
//
// The blocks of one language on one page are one program, in their order. The words after the language say what is
// special (readers do not see them):
//
//	says="approved"       the program prints this, up to the end of this block
//	in="deployment"       it runs beside a configuration with the application shop, not beside `dialproof dev`
//	norun="why"           it cannot run here; the reason is counted and printed
package docs

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Built once: the program, the repository, a folder with the JavaScript package, and the Python of
// scripts/setup-test.sh.
var binary, root, packages, python string

func TestMain(m *testing.M) { os.Exit(build(m)) }

func build(m *testing.M) int {
	dir, err := os.MkdirTemp("", "dialproof-docs-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	if root, err = filepath.Abs("../.."); err != nil {
		panic(err)
	}
	binary, python = filepath.Join(dir, "dialproof"), filepath.Join(root, ".cache/python/bin/python")
	sdk := filepath.Join(root, "sdk/typescript")
	packages = filepath.Join(dir, "node_modules", "dialproof")
	if err := os.MkdirAll(packages, 0o755); err != nil {
		panic(err)
	}
	for _, args := range [][]string{
		{root, "go", "build", "-o", binary, "./cmd/dialproof"},
		// A build of our own: another test may be building the package where it stands.
		{sdk, "node_modules/.bin/tsc", "-p", "tsconfig.json", "--outDir", filepath.Join(packages, "dist")},
		{sdk, "cp", "package.json", packages},
	} {
		cmd := exec.Command(args[1], args[2:]...)
		cmd.Dir = args[0]
		if out, err := cmd.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "%v: %v (scripts/setup-test.sh brings what is missing)\n%s\n", args[1:], err, out)
			return 1
		}
	}
	return m.Run()
}

// elsewhere are pages whose blocks another test runs.
var elsewhere = map[string]string{
	"docs/providers/writing-one.md": "test/e2e, TestWritingAProvider",
}

// block is one fenced block of a page.
type block struct {
	page, language, code string
	line                 int
	attributes           map[string]string
}

var (
	fence     = regexp.MustCompile("(?ms)^```([a-z]+)([^\n]*)\n(.*?)^```$")
	attribute = regexp.MustCompile(`([a-z]+)="([^"]*)"`)
)

// blocks returns the blocks of every page, those that another test runs left out.
func blocks(t *testing.T) (all []block) {
	t.Helper()
	for _, page := range append(pages(t), "README.md") {
		text, err := os.ReadFile(filepath.Join(root, page))
		if err != nil {
			t.Fatal(err)
		}
		if elsewhere[page] != "" {
			continue
		}
		for _, m := range fence.FindAllStringSubmatchIndex(string(text), -1) {
			b := block{
				page:       page,
				language:   string(text[m[2]:m[3]]),
				code:       string(text[m[6]:m[7]]),
				attributes: map[string]string{},
			}
			b.line = strings.Count(string(text[:m[0]]), "\n") + 1
			for _, a := range attribute.FindAllStringSubmatch(string(text[m[4]:m[5]]), -1) {
				b.attributes[a[1]] = a[2]
			}
			all = append(all, b)
		}
	}
	return all
}

// pages returns the pages of docs/.
func pages(t *testing.T) (all []string) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(root, "docs"), func(path string, _ fs.DirEntry, err error) error {
		if filepath.Ext(path) == ".md" {
			page, _ := filepath.Rel(root, path)
			all = append(all, page)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// program is what the blocks of a page and language are together.
type program struct {
	page, language, place string
	blocks                []block
}

func (p program) name() string {
	return strings.TrimSuffix(strings.TrimPrefix(p.page, "docs/"), ".md") + " " + p.language + " " + p.place
}

// programs returns all of them, and says which blocks are not run and why.
func programs(t *testing.T) (all []program) {
	t.Helper()
	var left []string
	for _, b := range blocks(t) {
		switch b.language {
		case "sh", "go", "js", "python":
		case "ts", "bash", "javascript", "typescript", "shell", "py":
			t.Errorf("%s:%d: write %s as sh, go, js or python, which are run", b.page, b.line, b.language)
			continue
		default:
			continue
		}
		if why, not := b.attributes["norun"]; not {
			if len(why) < 10 {
				t.Errorf("%s:%d: say why it cannot run", b.page, b.line)
			}
			left = append(left, fmt.Sprintf("%s:%d (%s): %s", b.page, b.line, b.language, why))
			continue
		}
		place := b.attributes["in"]
		at := slices.IndexFunc(all,
			func(p program) bool { return p.page == b.page && p.language == b.language && p.place == place })
		if at < 0 {
			at = len(all)
			all = append(all, program{page: b.page, language: b.language, place: place})
		}
		all[at].blocks = append(all[at].blocks, b)
	}
	t.Logf("%d programs; %d blocks are not run:\n%s", len(all), len(left), strings.Join(left, "\n"))
	return all
}
