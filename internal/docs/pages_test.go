package docs

import (
	"encoding/json"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	openapi "github.com/dialproof/dialproof/api"
	pages "github.com/dialproof/dialproof/docs"
)

// TestFrontList: every page of docs/ is in the navigation once, and every page has a title.
func TestFrontList(t *testing.T) {
	t.Parallel()
	var listed []string
	for _, c := range chapters(pages.Files) {
		for _, l := range c.Links {
			if l.Title == l.File {
				t.Errorf("docs/%s begins with no heading", l.File)
			}
			if l.File != reference {
				listed = append(listed, l.File)
			}
		}
	}
	var there []string
	err := fs.WalkDir(pages.Files, ".", func(name string, _ fs.DirEntry, err error) error {
		if path.Ext(name) == ".md" {
			there = append(there, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(listed)
	slices.Sort(there)
	for _, name := range there {
		if !slices.Contains(listed, name) {
			t.Errorf("docs/%s is in no group of the navigation: add it to front() in internal/docs/nav.go", name)
		}
	}
	if n := len(slices.Compact(slices.Clone(listed))); n != len(listed) {
		t.Error("a page is in the navigation twice")
	}
}

var (
	href   = regexp.MustCompile(`(?:href|src)="([^"]*)"`)
	idents = regexp.MustCompile(` id="([^"]*)"`)
)

// TestLinks: every link of every page leads to a page, a place on it, a file or a full address.
func TestLinks(t *testing.T) {
	t.Parallel()
	h := whole()
	places, bodies := map[string]bool{}, map[string]string{}
	for _, c := range chapters(pages.Files) {
		for _, l := range c.Links {
			page := body(t, get(t, h, l.URL))
			bodies[l.URL] = page
			places[l.URL] = true
			seen := map[string]bool{}
			for _, m := range idents.FindAllStringSubmatch(page, -1) {
				if seen[m[1]] {
					t.Errorf("%s has two places called %s", l.URL, m[1])
				}
				seen[m[1]] = true
				places[l.URL+"#"+m[1]] = true
			}
		}
	}
	outside := []string{"/openapi.yaml", "/dev/handset"}
	files := map[string]bool{}
	for url, page := range bodies {
		for _, m := range href.FindAllStringSubmatch(page, -1) {
			to := strings.NewReplacer("&amp;", "&", "&#43;", "+").Replace(m[1])
			switch {
			case strings.HasPrefix(to, "https://"), strings.HasPrefix(to, "mailto:"), strings.HasPrefix(to,
				"http://127.0.0.1:8080/"), slices.Contains(outside, to):
			case strings.HasPrefix(to, "#") && places[url+to], places[to]:
			case strings.HasPrefix(to, root+"/assets/"):
				files[to] = true
			default:
				t.Errorf("%s links to %s, which is not there", url, to)
			}
		}
	}
	for file := range files {
		if r := get(t, h, file); r.StatusCode != 200 {
			t.Errorf("a page needs %s: %d. docs/docs.go says what is embedded", file, r.StatusCode)
		}
	}
}

// TestOutsideLinks: links to files outside docs/ lead to files of this repository.
func TestOutsideLinks(t *testing.T) {
	t.Parallel()
	for _, c := range chapters(pages.Files) {
		for _, l := range c.Links {
			d, err := newSite(Options{}, pages.Files).document(l.File)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range regexp.MustCompile(`href="`+repository+
				`/tree/main/([^"#]*)`).FindAllStringSubmatch(string(d.html), -1) {
				if !inRepository(m[1]) {
					t.Errorf("docs/%s links to %s, which is not there", l.File, m[1])
				}
			}
		}
	}
}

// TestReferenceIsWhole: every operation, parameter, field, status and object of the contract is on the page, and so is
// every error code with its status.
func TestReferenceIsWhole(t *testing.T) {
	t.Parallel()
	doc, err := openapi3.NewLoader().LoadFromData(openapi.OpenAPI)
	if err != nil {
		t.Fatal(err)
	}
	d, err := referencePage(pages.Files, openapi.OpenAPI, false)
	if err != nil {
		t.Fatal(err)
	}
	page := string(d.html)
	need := func(where, what string) {
		t.Helper()
		if !strings.Contains(page, what) {
			t.Errorf("the page lacks %s of %s", what, where)
		}
	}
	for p, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			_, section, ok := strings.Cut(page, `<h3 id="`+op.OperationID+`">`)
			if !ok {
				t.Errorf("the page lacks %s", op.OperationID)
				continue
			}
			section, _, _ = strings.Cut(section, "</section>")
			for _, par := range append(item.Parameters, op.Parameters...) {
				if !strings.Contains(section, "<code>"+par.Value.Name+"</code>") {
					t.Errorf("%s %s lacks its parameter %s", method, p, par.Value.Name)
				}
			}
			for status := range op.Responses.Map() {
				if !strings.Contains(section, ">"+status+"</span>") {
					t.Errorf("%s %s lacks its status %s", method, p, status)
				}
			}
		}
	}
	for name, schema := range doc.Components.Schemas {
		for field := range schema.Value.Properties {
			need(name, "<code>"+field+"</code>")
		}
	}
	for _, code := range doc.Components.Schemas["ErrorCode"].Value.Enum {
		need("the codes", `<a href="/docs/errors#`+code.(string)+`">`)
	}
}

// TestSamples: the examples that the page shows keep to the contract.
func TestSamples(t *testing.T) {
	t.Parallel()
	doc, err := openapi3.NewLoader().LoadFromData(openapi.OpenAPI)
	if err != nil {
		t.Fatal(err)
	}
	c, err := readContract(openapi.OpenAPI)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range c.top.get("components", "schemas").members() {
		if !s.value.composite() || s.name == "Start" || s.name == "Autofill" { // of a start not all fields fit together
			continue
		}
		var v any
		if err := json.Unmarshal([]byte(sample(s.value)), &v); err != nil {
			t.Errorf("%s: %v\n%s", s.name, err, sample(s.value))
			continue
		}
		if err := doc.Components.Schemas[s.name].Value.VisitJSON(v, openapi3.EnableJSONSchema2020(),
			openapi3.EnableFormatValidation()); err != nil {
			t.Errorf("%s: %v\n%s", s.name, err, sample(s.value))
		}
	}
}

func TestHighlight(t *testing.T) {
	t.Parallel()
	got := highlight("sh", "# ask\ncurl \"$A<b>\" # 12")
	want := `<span class="c"># ask</span>` + "\n" + `curl <span class="s">&#34;$A&lt;b&gt;&#34;</span><span ` +
		`class="c"> # 12</span>`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	// Whatever comes in, what a reader sees is the code itself.
	for _, language := range []string{"go", "js", "python", "sh", "yaml", "json", "html", ""} {
		const code = "a<b> \"'`\n// x /* y # z\n- key: 'v' 12.5\nfunc"
		shown := regexp.MustCompile(`<[^>]*>`).ReplaceAllString(highlight(language, code), "")
		if shown = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&#34;", `"`, "&#39;", "'", "&amp;", "&").
			Replace(shown); shown != code {
			t.Errorf("%s: got %q", language, shown)
		}
	}
}

func TestResolve(t *testing.T) {
	t.Parallel()
	for _, c := range [][3]string{
		{"errors.md", "testing.md#test-keys", "/docs/testing#test-keys"},
		{"providers/aws.md", "../configuration.md", "/docs/configuration"},
		{"providers/aws.md", "README.md", "/docs/providers"},
		{"README.md", "providers", "/docs/providers"},
		{"README.md", "../api/openapi.yaml", "/docs/api"},
		{"README.md", "../SECURITY.md", repository + "/tree/main/SECURITY.md"},
		{"README.md", "handset.png", "/docs/assets/handset.png"},
		{"README.md", "https://example.com/a.md", "https://example.com/a.md"},
		{"README.md", "mailto:a@example.com", "mailto:a@example.com"},
	} {
		if got := resolve(pages.Files, c[0], c[1]); got != c[2] {
			t.Errorf("%s in %s: %s, want %s", c[1], c[0], got, c[2])
		}
	}
}

// inRepository reports whether a file or folder is there.
func inRepository(name string) bool {
	_, err := os.Stat(path.Join("../..", name))
	return err == nil
}

// TestDiagrams: each Mermaid text has its picture, and no picture is left over.
func TestDiagrams(t *testing.T) {
	t.Parallel()
	wanted := map[string]string{}
	for _, c := range chapters(pages.Files) {
		for _, l := range c.Links {
			text, _ := fs.ReadFile(pages.Files, l.File) // the reference is no file
			for _, m := range regexp.MustCompile("(?ms)^```mermaid\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
				wanted["diagrams/"+diagramName(m[1])] = l.File
			}
		}
	}
	there, err := fs.Glob(pages.Files, "diagrams/*.svg")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range there {
		if wanted[name] == "" {
			t.Errorf("docs/%s is the picture of no diagram: run scripts/diagrams.sh", name)
		}
		delete(wanted, name)
		if text, _ := fs.ReadFile(pages.Files, name); regexp.MustCompile(`<script|href="http|url\(http|@import`).Match(text) {
			t.Errorf("docs/%s asks somebody else for something", name)
		}
	}
	for name, page := range wanted {
		t.Errorf("docs/%s has a diagram without its picture %s: run scripts/diagrams.sh", page, name)
	}
}
