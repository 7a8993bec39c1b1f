package config

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/secret"
)

var update = flag.Bool("update", false, "write docs/configuration.md anew")

const page = "../../docs/configuration.md"

// TestReferencePage: the page is what the comments say. `go generate ./internal/config` writes it.
func TestReferencePage(t *testing.T) {
	t.Parallel()
	want := reference(t)
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/configuration.md is not what the comments of internal/config say: run `make generate`")
	}
}

// comments returns the doc comment of each struct ("Store") and of each field ("Store.Path").
func comments(t *testing.T) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "config.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, d := range file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, s := range g.Specs {
			spec, ok := s.(*ast.TypeSpec)
			if !ok {
				continue
			}
			body, ok := spec.Type.(*ast.StructType)
			if !ok {
				continue
			}
			out[spec.Name.Name] = g.Doc.Text()
			for _, f := range body.Fields.List {
				out[spec.Name.Name+"."+f.Names[0].Name] = strings.Join(strings.Fields(f.Doc.Text()), " ")
			}
		}
	}
	return out
}

// reference returns the whole page.
func reference(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("# The configuration file\n\n")
	b.WriteString(
		"<!-- Made from the comments in internal/config/config.go by `make generate`. Change them, not this page. -->\n\n",
	)
	b.WriteString(
		"One YAML file, by default `./dialproof.yaml`, else `/etc/dialproof/dialproof.yaml`; `--config` names another. ",
	)
	b.WriteString("Every key that holds one value can also come from the environment, which wins: ")
	b.WriteString("`log.level` is `DIALPROOF_LOG_LEVEL`; lists cannot. Keys that the program does not know are refused. ")
	b.WriteString(
		"Every secret has a twin that names a file instead: `dsn_file` for `dsn`, `DIALPROOF_STORE_DSN_FILE` in the " +
			"environment. ")
	b.WriteString("`dialproof doctor` tells what is wrong with a file.\n\n")
	b.WriteString("The shortest file that serves:\n\n```yaml\n" + shortest + "```\n")
	docs := comments(t)
	c := Default()
	route := Route{}.filled()
	route.Registered = []Registered{{}}
	c.Keys, c.Routes = []Key{{}}, []Route{route}
	section(t, &b, docs, reflect.ValueOf(c), "", "Config", "The top")
	return b.String()
}

// section writes the keys of one struct, and then those of the structs in it.
func section(t *testing.T, b *strings.Builder, docs map[string]string, v reflect.Value, path, name, title string) {
	t.Helper()
	fmt.Fprintf(b, "\n## %s\n\n| key | what it is | form | default |\n|---|---|---|---|\n", title)
	type below struct {
		v           reflect.Value
		path, title string
	}
	var later []below
	for i := range v.NumField() {
		f := v.Type().Field(i)
		doc := docs[name+"."+f.Name]
		if doc == "" {
			t.Errorf("the field %s.%s has no comment: it would have no entry in docs/configuration.md", name, f.Name)
		}
		key := f.Tag.Get("yaml")
		full := strings.TrimPrefix(path+"."+key, ".")
		what, preset := form(f.Type), shown(v.Field(i))
		switch {
		case f.Type.Kind() == reflect.Struct && f.Type.PkgPath() == v.Type().PkgPath():
			what, preset = "see [below](#"+anchor(full)+")", ""
			later = append(later, below{v.Field(i), full, "`" + full + "`"})
		case f.Type.Kind() == reflect.Slice && f.Type.Elem().PkgPath() == v.Type().PkgPath():
			what, preset = "a list, see [below](#each-entry-of-"+anchor(full)+")", "none"
			later = append(later, below{v.Field(i).Index(0), full + "[]", "Each entry of `" + full + "`"})
		case f.Name == "Settings":
			what, preset = "the provider's", ""
		case full == "keys[].id":
			preset = "" // none: it must be given
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", key, strings.ReplaceAll(doc, "|", `\|`), what, preset)
	}
	for _, l := range later {
		section(t, b, docs, l.v, l.path, l.v.Type().Name(), l.title)
	}
}

// anchor returns how the heading of a section is linked to.
func anchor(path string) string {
	return strings.NewReplacer(".", "", "[]", "").Replace(path)
}

// shown returns a default as it would stand in the file.
func shown(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case time.Duration:
		if x == 0 {
			return ""
		}
		return "`" + x.String() + "`"
	case []time.Duration:
		var out []string
		for _, d := range x {
			out = append(out, d.String())
		}
		return "`[" + strings.Join(out, ", ") + "]`"
	case secret.Text:
		return ""
	}
	switch {
	case v.Kind() == reflect.Slice || v.Kind() == reflect.Map, v.Kind() == reflect.String && v.Len() == 0:
		return ""
	default:
		return fmt.Sprintf("`%v`", v.Interface())
	}
}

// shortest is the example of the page; TestShortest loads it.
const shortest = `keys:
  - id: 1
    secret_file: /etc/dialproof/key-1 # openssl rand -base64 32
routes:
  - name: sms-main
    provider: twilio
    settings:
      account_sid: AC0123456789abcdef0123456789abcdef
      auth_token_file: /etc/dialproof/twilio-token
`

// form returns in words what a value looks like.
func form(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return "a time like 10s or 5m"
	case t.Name() == "Prefix":
		return "a network like 10.0.0.0/8"
	case t == reflect.TypeFor[secret.Text]():
		return "a secret text"
	case t.Kind() == reflect.Slice:
		return "a list; each one " + form(t.Elem())
	case t.Kind() == reflect.Map:
		return "texts by name"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Float64:
		return "a number"
	case t.Kind() == reflect.String:
		return "a text"
	default:
		return "a whole number"
	}
}
