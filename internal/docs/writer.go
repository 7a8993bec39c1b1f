package docs

import (
	"fmt"
	"html"
	"io/fs"
	"strings"

	"github.com/yuin/goldmark/ast"
	east "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/renderer"
	ghtml "github.com/yuin/goldmark/renderer/html"
	"github.com/yuin/goldmark/util"
)

// kindTabs is a run of code blocks that say the same in several languages.
var kindTabs = ast.NewNodeKind("Tabs")

// tabbed is such a run.
type tabbed struct {
	ast.BaseBlock
	labels []string
}

// Kind implements ast.Node.
func (*tabbed) Kind() ast.NodeKind { return kindTabs }

// Dump implements ast.Node.
func (t *tabbed) Dump(source []byte, level int) { ast.DumpHelper(t, source, level, nil, nil) }

// tabs puts code blocks that follow each other at once, each in another of the SDKs' languages, side by side.
func tabs(fences []*ast.FencedCodeBlock, source []byte) {
	for i := 0; i < len(fences); {
		run, seen := i, map[string]bool{}
		for run < len(fences) && (run == i || fences[run].PreviousSibling() == ast.Node(fences[run-1])) {
			label := label(string(fences[run].Language(source)))
			if label == "" || seen[label] {
				break
			}
			seen[label] = true
			run++
		}
		if run-i < 2 {
			i = max(run, i+1)
			continue
		}
		t := &tabbed{}
		parent := fences[i].Parent()
		parent.InsertBefore(parent, fences[i], t)
		for ; i < run; i++ {
			t.labels = append(t.labels, label(string(fences[i].Language(source))))
			t.AppendChild(t, fences[i])
		}
	}
}

// label returns what a language is called on a tab; nothing for those that get none.
func label(language string) string {
	switch language {
	case "sh":
		return "curl"
	case "go":
		return "Go"
	case "js":
		return "JavaScript"
	case "python":
		return "Python"
	}
	return ""
}

// writer writes the nodes that the site shows in its own way.
type writer struct {
	files fs.FS
	tabs  int
}

// RegisterFuncs implements renderer.NodeRenderer.
func (w *writer) RegisterFuncs(r renderer.NodeRendererFuncRegisterer) {
	r.Register(ast.KindHeading, w.heading)
	r.Register(ast.KindFencedCodeBlock, w.fence)
	r.Register(ast.KindHTMLBlock, nothing)
	r.Register(ast.KindRawHTML, nothing)
	r.Register(east.KindTable, w.table)
	r.Register(kindTabs, w.tab)
}

// nothing leaves out what is not Markdown: only comments to whoever edits the page.
func nothing(util.BufWriter, []byte, ast.Node, bool) (ast.WalkStatus, error) {
	return ast.WalkSkipChildren, nil
}

func (w *writer) heading(out util.BufWriter, _ []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	n, _ := node.(*ast.Heading)
	id, _ := n.AttributeString("id")
	anchor, _ := id.([]byte)
	switch {
	case entering:
		_, _ = fmt.Fprintf(out, `<h%d id="%s">`, n.Level, html.EscapeString(string(anchor)))
	case n.Level == 1:
		_, _ = out.WriteString("</h1>\n")
	default:
		_, _ = fmt.Fprintf(out, " <a class=\"anchor\" href=\"#%s\" aria-label=\"Link to this section\">#</a></h%d>\n",
			html.EscapeString(string(anchor)), n.Level)
	}
	return ast.WalkContinue, nil
}

func (w *writer) table(out util.BufWriter, _ []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	if entering {
		_, _ = out.WriteString(`<div class="wide" tabindex="0"><table`)
		ghtml.RenderAttributes(out, node, nil)
		_, _ = out.WriteString(">\n")
	} else {
		_, _ = out.WriteString("</table></div>\n")
	}
	return ast.WalkContinue, nil
}

func (w *writer) fence(out util.BufWriter, source []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	if !entering {
		return ast.WalkContinue, nil
	}
	n, _ := node.(*ast.FencedCodeBlock)
	language, code := string(n.Language(source)), string(n.Lines().Value(source))
	if language == "mermaid" {
		w.diagram(out, code)
		return ast.WalkSkipChildren, nil
	}
	_, _ = fmt.Fprintf(out, "<div class=\"code\"><pre tabindex=\"0\"><code data-language=\"%s\">%s</code></pre></div>\n",
		html.EscapeString(language), highlight(language, code))
	return ast.WalkSkipChildren, nil
}

// diagram shows the picture that scripts/diagrams.sh made of a Mermaid text, and the text itself to who cannot see it.
func (w *writer) diagram(out util.BufWriter, code string) {
	name := diagramName(code)
	if _, err := fs.Stat(w.files, "diagrams/"+name); err == nil {
		_, _ = fmt.Fprintf(out,
			"<figure class=\"diagram\"><div class=\"wide\" tabindex=\"0\"><a href=\"%[1]s/assets/%[2]s\"><img "+
				"src=\"%[1]s/assets/%[2]s\" alt=\"A diagram. Its text follows.\"></a></div>\n", root, name)
		_, _ = fmt.Fprintf(out,
			"<details><summary>The diagram as text</summary><pre tabindex=\"0\"><code>%s</code></pre></details></figure>\n",
			html.EscapeString(code))
		return
	}
	_, _ = fmt.Fprintf(out, "<div class=\"code\"><pre tabindex=\"0\"><code>%s</code></pre></div>\n",
		html.EscapeString(code))
}

// tab shows code blocks side by side: radio buttons and CSS, so that it works without a script.
func (w *writer) tab(out util.BufWriter, _ []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	if !entering {
		_, _ = out.WriteString("</div></div>\n")
		return ast.WalkContinue, nil
	}
	n, _ := node.(*tabbed)
	w.tabs++
	_, _ = out.WriteString(`<div class="tabs" role="radiogroup" aria-label="Language">`)
	for i, l := range n.labels {
		checked := ""
		if i == 0 {
			checked = " checked"
		}
		id := fmt.Sprintf("tab-%d-%d", w.tabs, i)
		_, _ = fmt.Fprintf(out, `<input type="radio" name="tabs-%d" id="%s" value="%s"%s><label for="%s">%s</label>`, w.tabs,
			id, strings.ToLower(l), checked, id, l)
	}
	_, _ = out.WriteString("<div class=\"panels\">\n")
	return ast.WalkContinue, nil
}
