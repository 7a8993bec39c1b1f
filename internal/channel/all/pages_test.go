package all

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/secret"
	"github.com/dialproof/dialproof/internal/yamlconf"
)

var update = flag.Bool("update", false, "write docs/providers anew")

const (
	docs  = "../../../docs/providers"
	begin = "<!-- the list: made by `make generate` -->\n"
	end   = "<!-- the end of the list -->\n"
)

// TestPages: every provider has a page, which says what its code says. `make generate` writes them.
func TestPages(t *testing.T) {
	t.Parallel()
	pages := map[string]string{"README.md": list(t)}
	for _, p := range Providers(nil) {
		pages[p.Name+".md"] = page(t, p)
	}
	for name, want := range pages {
		file := filepath.Join(docs, name)
		if *update {
			if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if got, err := os.ReadFile(file); err != nil || string(got) != want {
			t.Errorf("%s is not what the code says (%v): run `make generate`", name, err)
		}
	}
	there, err := filepath.Glob(docs + "/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range there {
		if name := filepath.Base(file); pages[name] == "" && name != "writing-one.md" {
			t.Errorf("%s is about no provider", name)
		}
	}
}

// TestExamples: the example on every page is one that the program takes.
func TestExamples(t *testing.T) {
	t.Parallel()
	for _, p := range Providers(nil) {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			settings := p.Config()
			var doc yaml.Node
			if err := yaml.Unmarshal([]byte(example(reflect.ValueOf(p.Config()).Elem(), p.Name, "")), &doc); err != nil {
				t.Fatal(err)
			}
			secrets := map[string]string{}
			for f := range reflect.TypeOf(settings).Elem().Fields() {
				secrets[secretFile(p.Name, yamlconf.Key(f))] = f.Tag.Get("example")
			}
			read := func(path string) ([]byte, error) { return []byte(secrets[path]), nil }
			if err := yamlconf.Decode(&doc, settings, yamlconf.Options{ReadFile: read}); err != nil {
				t.Fatal(err)
			}
			if err := settings.Validate(); err != nil {
				t.Errorf("the example on the page is refused: %v. Give the keys that it needs an `example` tag", err)
			}
		})
	}
}

// list returns the page that lists the providers: what a person wrote, with the table made again.
func list(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(docs, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	_, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatal("docs/providers/README.md has no place for the list")
	}
	var b strings.Builder
	b.WriteString(before + begin + "| provider | what it carries | by |\n|---|---|---|\n")
	for _, p := range Providers(nil) {
		fmt.Fprintf(&b, "| [`%s`](%s.md) | %s | %s |\n", p.Name, p.Name, kinds(p.Channels), p.Summary)
	}
	return b.String() + end + after
}

func kinds(of []channel.Kind) string {
	out := make([]string, len(of))
	for i, k := range of {
		out[i] = "`" + string(k) + "`"
	}
	return strings.Join(out, " ")
}

// page returns the page of a provider.
func page(t *testing.T, p channel.Provider) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b,
		"# %s\n\n<!-- Made from the provider's code by `make generate`. Change its Config and its guide.md, not this "+
			"page. -->\n\n%s\n\n", p.Title, p.Summary)
	fmt.Fprintf(&b, "Channels: %s.", kinds(p.Channels))
	if p.Docs != "" {
		fmt.Fprintf(&b, " The provider's own documentation: <%s>.", p.Docs)
	}
	if p.DevOnly {
		b.WriteString(" For development only.")
	}
	b.WriteString("\n\n## A route\n\n```yaml\nroutes:\n  - name: main\n    provider: \"" + p.Name + "\"\n")
	if e := example(reflect.ValueOf(p.Config()).Elem(), p.Name, "      "); e != "" {
		b.WriteString("    settings:\n" + e)
	}
	b.WriteString("```\n")
	settings(t, &b, reflect.ValueOf(p.Config()).Elem(), "", "Settings")
	if guide, err := os.ReadFile(filepath.Join("..", folder(p), "guide.md")); err == nil {
		b.WriteString("\n" + strings.TrimSpace(string(guide)) + "\n")
	}
	return b.String()
}

// folder returns the folder of a provider's code.
func folder(p channel.Provider) string {
	path := reflect.TypeOf(p.Config()).Elem().PkgPath()
	return path[strings.LastIndex(path, "/")+1:]
}

// example returns the settings that a route cannot be without: those with an `example` tag. Of a secret
// the tag holds what the file could contain.
func example(v reflect.Value, provider, indent string) string {
	var b strings.Builder
	for i := range v.NumField() {
		f := v.Type().Field(i)
		key, value := yamlconf.Key(f), f.Tag.Get("example")
		switch {
		case key == "" || value == "":
		case f.Type == reflect.TypeFor[secret.Text]():
			fmt.Fprintf(&b, "%s%s_file: %s\n", indent, key, secretFile(provider, key))
		default:
			fmt.Fprintf(&b, "%s%s: %s\n", indent, key, value)
		}
	}
	return b.String()
}

// secretFile returns where the example keeps a secret.
func secretFile(provider, key string) string {
	return "/etc/dialproof/" + provider + "-" + strings.ReplaceAll(key, "_", "-")
}

// settings writes the table of a struct's settings, and then those of the structs in it.
func settings(t *testing.T, b *strings.Builder, v reflect.Value, path, title string) {
	t.Helper()
	if v.NumField() == 0 {
		b.WriteString("\nThere is nothing to set.\n")
		return
	}
	fmt.Fprintf(b, "\n## %s\n\n| key | what it is | default |\n|---|---|---|\n", title)
	type below struct {
		v    reflect.Value
		path string
	}
	var later []below
	for i := range v.NumField() {
		f := v.Type().Field(i)
		key := yamlconf.Key(f)
		if !f.IsExported() || key == "" {
			continue
		}
		doc := f.Tag.Get("doc")
		if doc == "" {
			t.Errorf("%s.%s has no doc tag", v.Type(), f.Name)
		}
		preset := ""
		if inner, ok := blockOf(v.Field(i)); ok {
			later = append(later, below{inner, path + key + "."})
		} else if !v.Field(i).IsZero() {
			preset = fmt.Sprintf("`%v`", v.Field(i).Interface())
		}
		if f.Type == reflect.TypeFor[secret.Text]() {
			key += "`, `" + key + "_file"
		}
		fmt.Fprintf(b, "| `%s%s` | %s | %s |\n", path, key, strings.ReplaceAll(doc, "|", "\\|"), preset)
	}
	for _, l := range later {
		settings(t, b, l.v, l.path, "`"+strings.TrimSuffix(l.path, ".")+"`")
	}
}

// blockOf returns the struct that a setting is, or is a list or a table of.
func blockOf(v reflect.Value) (inner reflect.Value, ok bool) {
	kind := v.Type()
	if kind.Kind() == reflect.Slice || kind.Kind() == reflect.Map {
		kind = kind.Elem()
		v = reflect.New(kind).Elem()
	}
	plain := kind == reflect.TypeFor[secret.Text]() || kind == reflect.TypeFor[time.Time]() ||
		kind == reflect.TypeFor[yaml.Node]()
	return v, kind.Kind() == reflect.Struct && !plain
}
