package yamlconf

import (
	"errors"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/dialproof/dialproof/internal/secret"
)

type inner struct {
	Word string            `yaml:"word"`
	Map  map[string]string `yaml:"map"`
}

type sample struct {
	Name    string        `yaml:"name"`
	On      bool          `yaml:"on"`
	N       int           `yaml:"n"`
	Share   float64       `yaml:"share"`
	Wait    time.Duration `yaml:"wait"`
	Token   secret.Text   `yaml:"token"`
	Inner   inner         `yaml:"inner"`
	List    []inner       `yaml:"list"`
	Raw     yaml.Node     `yaml:"raw"`
	ignored string
}

func decode(text string, o Options) (s sample, err error) {
	s = sample{Name: "default", ignored: "x"}
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		return s, err
	}
	return s, Decode(&doc, &s, o)
}

func TestDecode(t *testing.T) {
	t.Parallel()
	env := map[string]string{"X_N": "9", "X_INNER_WORD": "from outside", "X_TOKEN_FILE": "/run/token", "X_SHARE": ""}
	s, err := decode(
		"n: 7\non: true\nshare: 0.5\nwait: 30s\ninner: {word: w, map: {a: b}}\nlist: [{word: x}, {word: y}]\nraw: {any: "+
			"[thing]}\n", Options{
			EnvPrefix: "X", Env: func(k string) (string, bool) { v, ok := env[k]; return v, ok },
			ReadFile: func(string) ([]byte, error) { return []byte("s3cret\r\n"), nil },
		})
	if err != nil {
		t.Fatal(err)
	}
	if s.Name != "default" || s.N != 9 || !s.On || s.Share != 0.5 || s.Wait != 30*time.Second ||
		s.Inner.Word != "from outside" || s.Inner.Map["a"] != "b" || len(s.List) != 2 || s.List[1].Word != "y" ||
		s.Token.Reveal() != "s3cret" || s.Raw.Kind != yaml.MappingNode || s.ignored != "x" {
		t.Errorf("%+v", s)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"nam: x": `1:1: nam: unknown key; did you mean "name"?`,
		"zzzzzzzz: x": "1:1: zzzzzzzz: unknown key; known are inner, list, n, name, on, raw, share, " +
			"token, wait",
		"n: 1\nn: 2":                  "2:1: n: is given twice",
		"n: [1]":                      "1:4: n: must be one value",
		"n: 1.5":                      "1:4: n: must be a whole number",
		"n: 99999999999999999999":     "1:4: n: must be a whole number",
		"on: yes":                     "1:5: on: must be true or false",
		"share: much":                 "1:8: share: must be a number",
		"wait: 30":                    `1:7: wait: must be a time like "30s" or "5m"`,
		"inner: 7":                    "1:8: inner: must be a block of keys",
		"inner: {map: 7}":             "1:14: inner.map: must be a block of keys",
		"list: {}":                    "1:7: list: must be a list",
		"list: [{word: a}, {wrd: b}]": `1:20: list[1].wrd: unknown key; did you mean "word"?`,
		"token: a\ntoken_file: b":     "2:1: token_file: is given twice",
		"token_file: /nowhere":        "1:13: token_file: cannot be read: planted",
		"name_file: /nowhere":         "1:1: name_file: unknown key",
	} {
		_, err := decode(text, Options{ReadFile: func(string) ([]byte, error) { return nil, errors.New("planted") }})
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// TestEveryFaultAtOnce: one run of the program tells all that is wrong, and repeats no value.
func TestEveryFaultAtOnce(t *testing.T) {
	t.Parallel()
	_, err := decode("n: hunter2\nwait: hunter2\nnope: hunter2\n", Options{})
	if err == nil || strings.Count(err.Error(), "\n") != 2 || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%v", err)
	}
	if s, err := decode("", Options{}); err != nil || s.Name != "default" {
		t.Errorf("an empty document: %+v, %v", s, err)
	}
}

// TestSecretFiles: a file that holds a secret is bounded.
func TestSecretFiles(t *testing.T) {
	t.Parallel()
	if _, err := decode("token_file: /dev/zero", Options{}); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("a file without end: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{"n: 7", "inner: {map: {a: b}}", "list: [&a {word: x}, *a]", "a: &a [*a]",
		"token_file: x", "raw: !!binary x", "? [n]\n: 7"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		_, err := decode(text, Options{ReadFile: func(string) ([]byte, error) { return []byte("x"), nil }})
		if err != nil && err.Error() == "" {
			t.Error("an error without words")
		}
	})
}
