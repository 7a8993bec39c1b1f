package docs

import (
	"bytes"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	east "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// repository is where links lead that point at files outside docs/.
const repository = "https://github.com/dialproof/dialproof"

// heading is a place on a page.
type heading struct {
	Level     int
	ID, Title string
	// text is what stands under it, for the search.
	text string
}

// document is a page made of Markdown.
type document struct {
	html     []byte
	headings []heading // the first is the page's own
}

// render returns a page of docs/ as HTML.
func render(files fs.FS, file string) (document, error) {
	source, err := fs.ReadFile(files, file)
	if err != nil {
		return document{}, err
	}
	return markdown(files, file, source)
}

// markdown returns a text as HTML. file says where it stands, for its links.
func markdown(files fs.FS, file string, source []byte) (document, error) {
	md := goldmark.New(
		goldmark.WithExtensions(extension.Table),
		goldmark.WithParserOptions(parser.WithAutoHeadingID()),
		goldmark.WithRendererOptions(renderer.WithNodeRenderers(util.Prioritized(&writer{files: files}, 100))),
	)
	// These are in the frame of each page.
	used := map[string]bool{"main": true, "menu": true, "search": true, "results": true}
	tree := md.Parser().
		Parse(text.NewReader(source), parser.WithContext(parser.NewContext(parser.WithIDs(&anchors{used}))))
	t := tidier{files: files, file: file, source: source, used: used}
	t.tidy(tree)
	var b bytes.Buffer
	if err := md.Renderer().Render(&b, source, tree); err != nil {
		return document{}, err
	}
	return document{b.Bytes(), t.headings}, nil
}

// tidier changes the tree of a page so that it suits the site, and gathers its headings.
type tidier struct {
	files      fs.FS
	file       string
	source     []byte
	headings   []heading
	used       map[string]bool
	paragraphs strings.Builder
}

func (t *tidier) tidy(tree ast.Node) {
	var fences []*ast.FencedCodeBlock
	_ = ast.Walk(tree, func(n ast.Node, entering bool) (ast.WalkStatus, error) { // it answers no error
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Heading:
			t.close()
			id, _ := n.AttributeString("id")
			anchor, _ := id.([]byte)
			t.headings = append(t.headings, heading{Level: n.Level, ID: string(anchor), Title: plain(n, t.source)})
			return ast.WalkSkipChildren, nil
		case *ast.Link:
			n.Destination = []byte(resolve(t.files, t.file, string(n.Destination)))
		case *ast.Image:
			n.Destination = []byte(resolve(t.files, t.file, string(n.Destination)))
		case *east.TableRow:
			t.name(n)
		case *ast.FencedCodeBlock:
			fences = append(fences, n)
			t.paragraphs.Write(n.Lines().Value(t.source))
		case *ast.Text:
			t.paragraphs.Write(n.Value(t.source))
			t.paragraphs.WriteByte(' ')
		}
		return ast.WalkContinue, nil
	})
	t.close()
	tabs(fences, t.source)
}

// close ends the text of the heading before.
func (t *tidier) close() {
	if len(t.headings) > 0 {
		t.headings[len(t.headings)-1].text = strings.Join(strings.Fields(t.paragraphs.String()), " ")
	}
	t.paragraphs.Reset()
}

// name gives the row of a table whose first cell is a word in code that word as its anchor: /docs/errors#rate_limited.
func (t *tidier) name(row *east.TableRow) {
	cell := row.FirstChild()
	if cell == nil || cell.ChildCount() != 1 {
		return
	}
	if code, ok := cell.FirstChild().(*ast.CodeSpan); ok {
		word := plain(code, t.source)
		if !t.used[word] && !strings.ContainsAny(word, " \"<>") {
			t.used[word] = true
			row.SetAttributeString("id", []byte(word))
		}
	}
}

// plain returns the text of a node.
func plain(n ast.Node, source []byte) string {
	var b strings.Builder
	_ = ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) { // it answers no error
		if t, ok := n.(*ast.Text); ok && entering {
			b.Write(t.Value(source))
		}
		return ast.WalkContinue, nil
	})
	return b.String()
}

// resolve returns where a link of a page leads on the site.
func resolve(files fs.FS, file, to string) string {
	if to == "" || strings.HasPrefix(to, "#") || strings.HasPrefix(to, "/") ||
		strings.Contains(strings.SplitN(to, "/", 2)[0], ":") {
		return to
	}
	name, fragment, has := strings.Cut(to, "#")
	if has {
		fragment = "#" + fragment
	}
	name = path.Join(path.Dir(file), name)
	switch outside, is := strings.CutPrefix(name, "../"); {
	case is && outside == "api/openapi.yaml":
		return address(reference)
	case is:
		return repository + "/tree/main/" + outside + fragment
	case path.Ext(name) == ".md":
		return address(name) + fragment
	case path.Ext(name) != "":
		return root + "/assets/" + path.Base(name)
	}
	if _, err := fs.Stat(files, name+"/README.md"); err == nil {
		return root + "/" + name + fragment
	}
	return repository + "/tree/main/docs/" + name
}

// anchors makes the anchors of headings as GitHub does, so that one link works in both places.
type anchors struct{ used map[string]bool }

// Generate implements parser.IDs.
func (a *anchors) Generate(value []byte, _ ast.NodeKind) []byte {
	id := strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r > 127:
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return -1
	}, string(bytes.TrimSpace(value)))
	unique := id
	for i := 1; a.used[unique]; i++ {
		unique = id + "-" + strconv.Itoa(i)
	}
	a.used[unique] = true
	return []byte(unique)
}

// Put implements parser.IDs.
func (a *anchors) Put(value []byte) { a.used[string(value)] = true }
