package config

import (
	"encoding"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/dialproof/dialproof/internal/secret"
)

// envPrefix begins the name of every variable that overrides a key.
const envPrefix = "DIALPROOF_"

// overrides puts into c what the environment says, and answers what it cannot take. Lists are separated by
// commas; lists of tables (keys, routes) and maps have no environment form. A secret also has a form with _FILE.
func overrides(c *Config, env func(string) (string, bool)) Problems {
	var found Problems
	walk(reflect.ValueOf(c).Elem(), "", func(path string, v reflect.Value) {
		name := envName(path)
		text, ok := env(name)
		if v.Type() == reflect.TypeFor[secret.Text]() {
			if file, isFile := env(name + "_FILE"); isFile {
				b, err := os.ReadFile(file)
				if err != nil {
					found = append(found, Problem{Path: name + "_FILE", Text: "the file cannot be read: " + err.Error()})
					return
				}
				text, ok, name = strings.TrimRight(string(b), "\r\n"), true, name+"_FILE"
			}
		}
		if !ok {
			return
		}
		if err := set(v, text); err != nil {
			found = append(found, Problem{Path: name, Text: err.Error()})
		}
	})
	return found
}

// envName answers the variable for a key: log.level is DIALPROOF_LOG_LEVEL.
func envName(path string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

// walk calls visit for each key that holds one value or a list of values.
func walk(v reflect.Value, path string, visit func(path string, v reflect.Value)) {
	for i := range v.NumField() {
		name, field := v.Type().Field(i).Tag.Get("yaml"), v.Field(i)
		if path != "" {
			name = path + "." + name
		}
		switch {
		case single(field.Type()), field.Kind() == reflect.Slice && single(field.Type().Elem()):
			visit(name, field)
		case field.Kind() == reflect.Struct:
			walk(field, name, visit)
		}
	}
}

// single tells whether a type holds one value.
func single(t reflect.Type) bool {
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return true
	}
	switch t.Kind() {
	case reflect.String, reflect.Bool, reflect.Int, reflect.Int64, reflect.Float64:
		return true
	default:
		return false
	}
}

// set puts text into v. Its errors do not repeat the text, which may be a secret in the wrong place.
func set(v reflect.Value, text string) error {
	if u, ok := reflect.TypeAssert[encoding.TextUnmarshaler](v.Addr()); ok {
		if u.UnmarshalText([]byte(text)) != nil {
			return fmt.Errorf("must be %s", form(v.Type()))
		}
		return nil
	}
	var err error
	switch {
	case v.Type() == reflect.TypeFor[time.Duration]():
		var d time.Duration
		d, err = time.ParseDuration(text)
		v.SetInt(int64(d))
	case v.Kind() == reflect.Slice:
		return setList(v, text)
	case v.Kind() == reflect.String:
		v.SetString(text)
	case v.Kind() == reflect.Bool:
		var b bool
		b, err = strconv.ParseBool(text)
		v.SetBool(b)
	case v.Kind() == reflect.Float64:
		var f float64
		f, err = strconv.ParseFloat(text, 64)
		v.SetFloat(f)
	default:
		var n int64
		n, err = strconv.ParseInt(text, 10, 64)
		v.SetInt(n)
	}
	if err != nil {
		return fmt.Errorf("must be %s", form(v.Type()))
	}
	return nil
}

func setList(v reflect.Value, text string) error {
	list := reflect.MakeSlice(v.Type(), 0, 0)
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		one := reflect.New(v.Type().Elem()).Elem()
		if err := set(one, part); err != nil {
			return fmt.Errorf("%w, or several with commas between", err)
		}
		list = reflect.Append(list, one)
	}
	v.Set(list)
	return nil
}

// form answers in words what a value looks like.
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
