// Package yamlconf decodes YAML into structs, strictly: what the struct does not know is refused, with line, column and
// the nearest key that it does know.
//
// It knows nothing of Dialproof's configuration; config and the providers' settings are decoded by it. It validates
// form, not sense.
package yamlconf

import (
	"encoding"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/dialproof/dialproof/internal/secret"
)

// maxSecretFile bounds a file that holds a secret, in bytes.
const maxSecretFile = 64 << 10

// Options says where values may come from besides the document.
type Options struct {
	// Env looks up an environment variable; nil: the environment is not read.
	Env func(string) (string, bool)
	// EnvPrefix begins every variable's name: "DIALPROOF" makes log.level DIALPROOF_LOG_LEVEL.
	EnvPrefix string
	// ReadFile reads the file that a `…_file` key names; nil: os files, at most 64 KiB.
	ReadFile func(path string) ([]byte, error)
}

// Error is one fault of a document. It never holds a value, which may be a secret.
type Error struct {
	Line, Column int
	Path         string
	Message      string
}

// Error reads "12:3: routes[0].settings.url: unknown key".
func (e *Error) Error() string {
	s := e.Message
	if e.Path != "" {
		s = e.Path + ": " + s
	}
	if e.Line > 0 {
		s = fmt.Sprintf("%d:%d: %s", e.Line, e.Column, s)
	}
	return s
}

// Decode reads node into the struct that into points to, over the values that it has. It answers every fault of the
// document, joined. A field of type secret.Text named x may be given as x_file instead; a field of type yaml.Node
// is kept as it stands.
func Decode(node *yaml.Node, into any, o Options) error {
	if o.ReadFile == nil {
		o.ReadFile = readBounded
	}
	d := &decoder{o: o}
	if node != nil && node.Kind == yaml.DocumentNode {
		node = node.Content[0]
	}
	target := reflect.ValueOf(into).Elem()
	if node != nil && node.Kind != 0 && node.Tag != "!!null" {
		d.value(node, target, "")
	}
	if o.Env != nil {
		d.environment(target, o.EnvPrefix, "")
	}
	return errors.Join(d.faults...)
}

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	text, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	if err == nil && len(text) > maxSecretFile {
		err = fmt.Errorf("is larger than %d bytes", maxSecretFile)
	}
	return text, err
}

type decoder struct {
	o      Options
	faults []error
}

func (d *decoder) fault(n *yaml.Node, path, format string, args ...any) {
	e := &Error{Path: path, Message: fmt.Sprintf(format, args...)}
	if n != nil {
		e.Line, e.Column = n.Line, n.Column
	}
	d.faults = append(d.faults, e)
}

var (
	nodeType     = reflect.TypeFor[yaml.Node]()
	secretType   = reflect.TypeFor[secret.Text]()
	durationType = reflect.TypeFor[time.Duration]()
)

// value decodes one node into one value.
func (d *decoder) value(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch {
	case v.Type() == nodeType:
		v.Set(reflect.ValueOf(*n))
	case n.Tag == "!!null":
		v.SetZero()
	case isScalar(v.Type()):
		if n.Kind != yaml.ScalarNode {
			d.fault(n, path, "must be one value")
		} else if err := setScalar(v, n.Value); err != nil {
			d.fault(n, path, "%v", err)
		}
	case v.Kind() == reflect.Struct:
		d.object(n, v, path)
	case v.Kind() == reflect.Slice:
		d.list(n, v, path)
	case v.Kind() == reflect.Map:
		d.table(n, v, path)
	default:
		d.fault(n, path, "cannot be given here")
	}
}

func isScalar(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.String, reflect.Bool, reflect.Int, reflect.Int64, reflect.Float64:
		return true
	default:
		return reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
	}
}

// setScalar reads text into a scalar. Its errors do not repeat the text.
func setScalar(v reflect.Value, text string) error {
	if u, ok := reflect.TypeAssert[encoding.TextUnmarshaler](v.Addr()); ok {
		if u.UnmarshalText([]byte(text)) != nil {
			return fmt.Errorf("is not a valid %s", strings.ToLower(v.Type().Name()))
		}
		return nil
	}
	switch {
	case v.Type() == durationType:
		t, err := time.ParseDuration(text)
		if err != nil {
			return errors.New(`must be a time like "30s" or "5m"`)
		}
		v.SetInt(int64(t))
	case v.Kind() == reflect.String:
		v.SetString(text)
	case v.Kind() == reflect.Bool:
		if text != "true" && text != "false" {
			return errors.New("must be true or false")
		}
		v.SetBool(text == "true")
	case v.Kind() == reflect.Float64:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return errors.New("must be a number")
		}
		v.SetFloat(f)
	default:
		i, err := strconv.ParseInt(text, 10, v.Type().Bits())
		if err != nil {
			return errors.New("must be a whole number")
		}
		v.SetInt(i)
	}
	return nil
}

// Key returns the key of a struct's field in the document, or "" when it has none.
func Key(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	if name == "-" {
		return ""
	}
	return name
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// object decodes a mapping into a struct.
func (d *decoder) object(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		d.fault(n, path, "must be a block of keys")
		return
	}
	fields := map[string]reflect.Value{}
	for i := range v.NumField() {
		if key := Key(v.Type().Field(i)); key != "" {
			fields[key] = v.Field(i)
		}
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, item := n.Content[i], n.Content[i+1]
		at := join(path, k.Value)
		base := strings.TrimSuffix(k.Value, "_file")
		field, known := fields[k.Value]
		twin, isTwin := fields[base]
		isTwin = !known && isTwin && twin.Type() == secretType
		if isTwin {
			known = true
		} else {
			base = k.Value
		}
		switch {
		case !known:
			d.fault(k, at, "unknown key%s", nearest(k.Value, fields))
		case seen[base]:
			d.fault(k, at, "is given twice")
		case isTwin:
			d.file(item, twin, at)
		default:
			d.value(item, field, at)
		}
		seen[base] = true
	}
}

// file reads a secret from the file that a `…_file` key names.
func (d *decoder) file(n *yaml.Node, v reflect.Value, path string) {
	text, err := d.o.ReadFile(n.Value)
	if err != nil {
		d.fault(n, path, "cannot be read: %v", err)
		return
	}
	v.Set(reflect.ValueOf(secret.New(strings.TrimRight(string(text), "\r\n"))))
}

func (d *decoder) list(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.SequenceNode {
		d.fault(n, path, "must be a list")
		return
	}
	out := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		d.value(item, out.Index(i), fmt.Sprintf("%s[%d]", path, i))
	}
	v.Set(out)
}

func (d *decoder) table(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		d.fault(n, path, "must be a block of keys")
		return
	}
	out := reflect.MakeMapWithSize(v.Type(), len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		key, item := reflect.ValueOf(k.Value).Convert(v.Type().Key()), reflect.New(v.Type().Elem()).Elem()
		if out.MapIndex(key).IsValid() {
			d.fault(k, join(path, k.Value), "is given twice")
		}
		d.value(n.Content[i+1], item, join(path, k.Value))
		out.SetMapIndex(key, item)
	}
	v.Set(out)
}

// environment lets variables win over the document, for every scalar outside lists.
func (d *decoder) environment(v reflect.Value, prefix, path string) {
	for i := range v.NumField() {
		key := Key(v.Type().Field(i))
		if key == "" {
			continue
		}
		field, name, at := v.Field(i), prefix+"_"+strings.ToUpper(key), join(path, key)
		switch {
		case isScalar(field.Type()):
			d.variable(field, name, at)
		case field.Kind() == reflect.Struct && field.Type() != nodeType:
			d.environment(field, name, at)
		}
	}
}

func (d *decoder) variable(v reflect.Value, name, path string) {
	if v.Type() == secretType {
		if file, ok := d.o.Env(name + "_FILE"); ok && file != "" {
			d.file(&yaml.Node{Value: file}, v, path)
		}
	}
	text, ok := d.o.Env(name)
	if !ok || text == "" {
		return
	}
	if err := setScalar(v, text); err != nil {
		d.fault(nil, name, "%v", err)
	}
}

// nearest returns a hint at the known key that is most like the unknown one.
func nearest(key string, fields map[string]reflect.Value) string {
	best, least := "", len(key)/2+1
	names := make([]string, 0, len(fields))
	for k := range fields {
		names = append(names, k)
	}
	slices.Sort(names)
	for _, k := range names {
		if n := distance(key, k); n < least {
			best, least = k, n
		}
	}
	if best == "" {
		return "; known are " + strings.Join(names, ", ")
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// distance is the number of single-character edits between two words.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := last
			if a[i] != b[j] {
				cost = 1 + min(last, row[j], row[j+1])
			}
			last, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
