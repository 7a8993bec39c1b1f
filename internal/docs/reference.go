package docs

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

//go:embed assets
var assets embed.FS

// operation is a method and path of the contract, as the page shows it.
type operation struct {
	ID, Tag, Method, Path, Summary string
	Text                           template.HTML
	Free                           bool // needs no key
	Parameters                     []field
	Body                           []field
	BodyType                       string
	Examples                       []example
	Answers                        []reply
	Curl                           template.HTML
	// What the form to try it needs.
	Inputs []field
	Try    string // the body to begin with
	CanTry bool
}

// field is a parameter, a field of a body, or a header.
type field struct {
	Name, Type, In string
	Required       bool
	Text           template.HTML
	Bounds         []string
	To             string // the object that it holds, by its anchor
	Example        string
	Fields         []field
}

// example is a body of a request.
type example struct {
	Name string
	JSON template.HTML
}

// reply is one status.
type reply struct {
	Status, Title, Text string
	Headers             []field
	Codes               []string
	To                  string // the object that it holds
	Sample              template.HTML
	Fields              []field
	Media               string
}

// thing is a named object of the contract.
type thing struct {
	Name   string
	Text   template.HTML
	Fields []field
	Sample template.HTML
}

// chapterOfAPI is the operations of a tag.
type chapterOfAPI struct {
	Name       string
	Text       template.HTML
	Operations []operation
}

// api is all that the page says.
type api struct {
	Intro    template.HTML
	Chapters []chapterOfAPI
	Things   []thing
	Errors   []reply
	Dev      bool
}

// book makes the page.
type book struct {
	files    fs.FS
	c        *contract
	codes    map[string][]string // status → error codes
	bodies   map[string]string   // schema of a body → anchor of its operation
	headings []heading
}

// referencePage returns the page that is made from the contract.
func referencePage(files fs.FS, text []byte, dev bool) (document, error) {
	c, err := readContract(text)
	if err != nil {
		return document{}, err
	}
	b := &book{files: files, c: c, codes: errorCodes(files), bodies: map[string]string{}}
	page, err := template.New("api.html").Funcs(template.FuncMap{"code": inlineCode,
		"lower": strings.ToLower}).ParseFS(assets, "assets/api.html")
	if err != nil {
		return document{}, fmt.Errorf("docs: %w", err)
	}
	b.headings = []heading{{Level: 1, ID: "api-reference", Title: "API reference",
		text: c.top.get("info", "description").text()}}
	a := api{Intro: b.prose(c.top.get("info", "description").text()), Dev: dev}
	for _, p := range c.top.get("paths").members() {
		for _, m := range p.value.members() {
			if body := m.value.get("requestBody", "content", "application/json", "schema"); body.ref != "" {
				b.bodies[body.ref] = anchor(m.value.get("operationId").text())
			}
		}
	}
	for _, tag := range c.top.get("tags").items() {
		name := tag.get("name").text()
		b.headings = append(b.headings,
			heading{Level: 2, ID: "tag-" + name, Title: titled(name), text: tag.get("description").text()})
		a.Chapters = append(a.Chapters,
			chapterOfAPI{titled(name), b.prose(tag.get("description").text()), b.operations(name, dev)})
	}
	for _, status := range slices.Sorted(maps.Keys(b.codes)) {
		code, _ := strconv.Atoi(status) // the expression takes digits alone
		a.Errors = append(a.Errors, reply{Status: status, Title: http.StatusText(code), Codes: b.codes[status]})
	}
	b.headings = append(b.headings, heading{Level: 2, ID: "errors", Title: "Errors"},
		heading{Level: 2, ID: "objects", Title: "Objects"})
	a.Things = b.things()
	var out bytes.Buffer
	if err := page.Execute(&out, a); err != nil {
		return document{}, fmt.Errorf("docs: %w", err)
	}
	return document{out.Bytes(), b.headings}, nil
}

// operations returns those of a tag.
func (b *book) operations(tag string, dev bool) (out []operation) {
	for _, p := range b.c.top.get("paths").members() {
		for _, m := range p.value.members() {
			if m.name == "parameters" || !m.value.get("tags").has(tag) {
				continue
			}
			o := b.operation(strings.ToUpper(m.name), p.name,
				append(p.value.get("parameters").items(), m.value.get("parameters").items()...), m.value)
			o.Tag = tag
			o.CanTry = dev &&
				(tag == "verifications" || tag == "development" && o.Method == http.MethodGet &&
					strings.HasSuffix(o.Path, "messages"))
			b.headings = append(b.headings, heading{
				Level: 3,
				ID:    o.ID,
				Title: o.Summary,
				text:  o.Method + " " + o.Path + " " + m.value.get("description").text() + " " + names(o.Body),
			})
			out = append(out, o)
		}
	}
	return out
}

func (b *book) operation(method, path string, parameters []object, v object) operation {
	o := operation{
		ID:      anchor(v.get("operationId").text()),
		Method:  method,
		Path:    path,
		Summary: v.get("summary").text(),
		Text:    b.prose(v.get("description").text()),
		Free:    v.get("security").is() && len(v.get("security").items()) == 0,
	}
	for _, p := range parameters {
		f := b.field(p.get("name").text(), p.get("schema"), p.get("required").text() == "true")
		f.In, f.Text, f.Example = p.get("in").text(), b.prose(p.get("description").text()), p.get("example").text()
		if f.In == "path" || f.In == "query" {
			o.Inputs = append(o.Inputs, f)
		}
		o.Parameters = append(o.Parameters, f)
	}
	for _, media := range v.get("requestBody", "content").members() {
		o.BodyType = media.name
		schema := media.value.get("schema")
		o.Body = b.fields(schema)
		if e := media.value.get("example"); e.is() {
			o.Try = writeJSON(e)
			o.Examples = []example{{"", template.HTML(highlight("json", o.Try))}} //nolint:gosec // highlight escapes
		}
		for _, e := range media.value.get("examples").members() {
			text := writeJSON(e.value.get("value"))
			if o.Try == "" {
				o.Try = text
			}
			//nolint:gosec // highlight escapes
			o.Examples = append(o.Examples, example{titled(e.name), template.HTML(highlight("json", text))})
		}
		if o.Try == "" && media.name == "application/json" {
			o.Try = "{}"
		}
	}
	for _, r := range v.get("responses").members() {
		o.Answers = append(o.Answers, b.reply(r.name, r.value))
	}
	o.Curl = template.HTML(highlight("sh", curl(o))) //nolint:gosec // highlight escapes
	return o
}

func (b *book) reply(status string, v object) reply {
	r := reply{Status: status, Text: v.get("description").text()}
	for _, h := range v.get("headers").members() {
		f := b.field(h.name, h.value.get("schema"), h.value.get("required").text() == "true")
		f.Text = b.prose(h.value.get("description").text())
		r.Headers = append(r.Headers, f)
	}
	for _, media := range v.get("content").members() {
		r.Media = media.name
		schema := media.value.get("schema")
		switch {
		case media.name == "application/problem+json":
			r.Codes = b.codes[status]
			r.To = anchor("Problem")
		case schema.ref != "" && schema.composite():
			r.To = anchor(schema.ref)
		default:
			r.Fields = b.fields(schema)
		}
		if strings.Contains(media.name, "json") && r.Codes == nil && schema.is() {
			r.Sample = template.HTML(highlight("json", sample(schema))) //nolint:gosec // highlight escapes
		}
	}
	return r
}

// things returns the objects that are no body of a request.
func (b *book) things() (out []thing) {
	for _, s := range b.c.top.get("components", "schemas").members() {
		if !s.value.composite() || b.bodies[s.name] != "" || s.name == "KeyBase" {
			continue
		}
		t := thing{Name: s.name, Text: b.prose(s.value.get("description").text()), Fields: b.fields(s.value)}
		t.Sample = template.HTML(highlight("json", sample(s.value))) //nolint:gosec // highlight escapes
		b.headings = append(b.headings, heading{
			Level: 3,
			ID:    anchor(s.name),
			Title: s.name,
			text:  s.value.get("description").text() + " " + names(t.Fields),
		})
		out = append(out, t)
	}
	return out
}

func (b *book) fields(schema object) (out []field) {
	if typeOf(schema) == "array" {
		schema = schema.get("items")
	}
	all, required := schema.properties()
	for _, p := range all {
		out = append(out, b.field(p.name, p.value, required[p.name]))
	}
	return out
}

// field describes one. An object with a name is linked, one without is told in place.
func (b *book) field(name string, s object, required bool) field {
	f := field{
		Name:     name,
		Type:     typeOf(s),
		Required: required,
		Text:     b.prose(s.get("description").text()),
		Bounds:   bounds(s),
	}
	inner := s
	if f.Type == "array" {
		inner = s.get("items")
		f.Type = "list of " + plural(typeOf(inner))
		f.Bounds = append(f.Bounds, bounds(inner)...)
	}
	if inner.composite() {
		switch {
		case inner.ref != "" && b.bodies[inner.ref] != "":
			f.To = b.bodies[inner.ref]
		case inner.ref != "":
			f.To = anchor(inner.ref)
		default:
			f.Fields = b.fields(inner)
		}
		if inner.ref != "" {
			f.Type = strings.Replace(f.Type, plural("object"), inner.ref, 1)
			f.Type = strings.Replace(f.Type, "object", inner.ref, 1)
		}
	}
	if f.Type == "" && s.get("const").is() {
		f.Type = "string"
	}
	return f
}

func plural(kind string) string {
	if kind == "" {
		return "values"
	}
	return kind + "s"
}

// bounds returns what limits a value, in words.
func bounds(s object) (out []string) {
	span := func(low, high, unit string) {
		from, to := s.get(low).text(), s.get(high).text()
		switch {
		case from != "" && to != "" && from != to:
			out = append(out, from+" to "+to+unit)
		case to != "":
			out = append(out, "at most "+to+unit)
		case from != "":
			out = append(out, "at least "+from+unit)
		}
	}
	span("minimum", "maximum", "")
	span("minLength", "maxLength", " characters")
	span("minItems", "maxItems", " entries")
	span("minProperties", "maxProperties", " entries")
	if f := s.get("format").text(); f != "" {
		out = append(out, strings.NewReplacer("date-time", "RFC 3339 in UTC", "uri-reference", "a URI").Replace(f))
	}
	if p := s.get("pattern").text(); p != "" {
		out = append(out, "`"+p+"`")
	}
	if c := s.get("const").text(); c != "" {
		out = append(out, "always `"+c+"`")
	}
	if list := s.get("enum").items(); len(list) > 0 && len(list) < 12 {
		words := make([]string, len(list))
		for i, e := range list {
			words[i] = "`" + e.text() + "`"
		}
		out = append(out, "one of "+strings.Join(words, ", "))
	}
	if d := s.get("default").text(); d != "" {
		out = append(out, "default `"+d+"`")
	}
	return out
}

// curl returns the request as a command.
func curl(o operation) string {
	path := o.Path
	for _, p := range o.Parameters {
		if p.In == "path" && p.Example != "" {
			path = strings.Replace(path, "{"+p.Name+"}", p.Example, 1)
		}
	}
	var b strings.Builder
	b.WriteString("curl ")
	if o.Method != http.MethodGet && o.Try == "" {
		b.WriteString("-X " + o.Method + " ")
	}
	if o.Method == http.MethodPatch {
		b.WriteString("-X PATCH ")
	}
	b.WriteString("http://127.0.0.1:8080" + path)
	if !o.Free {
		b.WriteString(" \\\n  -H \"Authorization: Bearer $DIALPROOF_KEY\"")
	}
	if o.Try != "" {
		b.WriteString(" \\\n  -H \"Content-Type: application/json\" \\\n  -d '" + strings.Join(strings.Fields(o.Try), " ") +
			"'")
	}
	return b.String()
}

// pageName is how the contract names a page of docs/.
var pageName = regexp.MustCompile(`docs/[a-z/-]+\.md`)

// prose returns a description as HTML. Pages that it names become links.
func (b *book) prose(text string) template.HTML {
	if text == "" {
		return ""
	}
	text = pageName.ReplaceAllStringFunc(text, func(name string) string {
		file := strings.TrimPrefix(name, "docs/")
		if title := titleOf(b.files, file); title != "" {
			return "[" + title + "](" + file + ")"
		}
		return name
	})
	d, err := markdown(b.files, reference, []byte(text))
	if err != nil {
		return template.HTML(template.HTMLEscapeString(text)) //nolint:gosec // escaped
	}
	return template.HTML(d.html) //nolint:gosec // made of the contract, which is ours, by a renderer that passes no HTML
}

// errorRow is a line of docs/errors.md: the code and its status.
var errorRow = regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| ([0-9]{3}) ")

// errorCodes returns the codes of each status.
func errorCodes(files fs.FS) map[string][]string {
	out := map[string][]string{}
	text, _ := fs.ReadFile(files, "errors.md") // without it the page names no codes, and a test sees that
	for _, m := range errorRow.FindAllStringSubmatch(string(text), -1) {
		out[m[2]] = append(out[m[2]], m[1])
	}
	return out
}

func names(fields []field) string {
	var all []string
	for _, f := range fields {
		all = append(all, f.Name)
	}
	return strings.Join(all, " ")
}

// anchor returns the anchor of an operation or an object: its own name in the contract.
func anchor(name string) string { return name }

// inlineCode shows what stands between backquotes as code.
func inlineCode(text string) template.HTML {
	parts := strings.Split(template.HTMLEscapeString(text), "`")
	for i := 1; i < len(parts); i += 2 {
		parts[i] = "<code>" + parts[i] + "</code>"
	}
	return template.HTML(strings.Join(parts, "")) //nolint:gosec // escaped above
}

func titled(name string) string {
	if name == "" {
		return ""
	}
	return strings.ToUpper(name[:1]) + name[1:]
}
