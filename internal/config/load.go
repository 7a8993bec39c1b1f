package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/dialproof/dialproof/internal/yamlconf"
)

// envPrefix begins the name of every variable that overrides a key.
const envPrefix = "DIALPROOF_"

// maxFile bounds the configuration file, in bytes.
const maxFile = 4 << 20

// Load returns the configuration: the defaults, overridden by the file at path (if path is not empty), overridden
// by the environment, which env looks up (os.LookupEnv). An error that is about what stands there is Problems, all
// that there are; a file that cannot be read is an error of package os.
func Load(path string, env func(string) (string, bool)) (Config, error) {
	var text []byte
	if path != "" {
		var err error
		if text, err = read(path); err != nil {
			return Config{}, fmt.Errorf("config: %w", err)
		}
	}
	return Parse(path, text, env)
}

// read returns the file's text.
func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("%s has more than %d bytes", path, maxFile)
	}
	return text, err
}

// Parse is Load for a text that has been read; path names it in errors.
func Parse(path string, text []byte, env func(string) (string, bool)) (Config, error) {
	c := Default()
	name := filepath.Base(path)
	if path == "" {
		name = ""
	}
	root, err := document(text)
	if err != nil {
		return Config{}, Problems{yamlProblem(name, err)}
	}
	found := faults(yamlconf.Decode(root, &c, yamlconf.Options{Env: env, EnvPrefix: strings.TrimSuffix(envPrefix, "_")}))
	fill(&c)
	if len(found) == 0 {
		// What did not decode would be complained of twice.
		if p, ok := errors.AsType[Problems](c.Validate()); ok {
			found = p
		}
	}
	for i, p := range found {
		if p.Line == 0 && !strings.HasPrefix(p.Path, envPrefix) {
			found[i].Line, found[i].Column = position(root, p.Path)
		}
		if !strings.HasPrefix(p.Path, envPrefix) {
			found[i].File = name
		}
	}
	slices.SortStableFunc(found, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
	if len(found) > 0 {
		return Config{}, found
	}
	return c, nil
}

// faults returns what the decoder found, one by one.
func faults(err error) Problems {
	if err == nil {
		return nil
	}
	all := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok { // the list is wanted, not an error of it
		all = joined.Unwrap()
	}
	var out Problems
	for _, one := range all {
		if f, ok := errors.AsType[*yamlconf.Error](one); ok {
			out = append(out, Problem{Line: f.Line, Column: f.Column, Path: cmp.Or(f.Path, "yaml"), Text: f.Message})
		} else {
			out = append(out, Problem{Path: "yaml", Text: one.Error()})
		}
	}
	return out
}

// document returns the one mapping that a configuration is; an empty file is an empty mapping.
func document(text []byte) (*yaml.Node, error) {
	d := yaml.NewDecoder(bytes.NewReader(text))
	var doc yaml.Node
	if err := d.Decode(&doc); errors.Is(err, io.EOF) {
		return &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}, nil
	} else if err != nil {
		return nil, err
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New("yaml: the file must hold one document: remove the line ---")
	}
	root := doc.Content[0]
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		return &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}, nil
	}
	return root, nil
}

// yamlProblem is a text that is no YAML at all.
func yamlProblem(name string, err error) Problem {
	p := Problem{File: name, Path: "yaml", Text: strings.TrimPrefix(err.Error(), "yaml: ")}
	if rest, ok := strings.CutPrefix(p.Text, "line "); ok {
		if number, detail, ok := strings.Cut(rest, ": "); ok {
			if n, err := strconv.Atoi(number); err == nil {
				p.Line, p.Column, p.Text = n, 1, detail
			}
		}
	}
	if strings.HasPrefix(p.Text, "unknown anchor") {
		// The parser repeats the name, which may be a secret that begins with a star.
		p.Text = "a text that begins with * must stand in quotes"
	}
	return p
}

// fill puts defaults where the file could not have had them before it was read.
func fill(c *Config) {
	for i := range c.Routes {
		c.Routes[i] = c.Routes[i].filled()
	}
}

func (r Route) filled() Route {
	if r.Concurrency == 0 {
		r.Concurrency = DefaultConcurrency
	}
	if r.Timeout == 0 {
		r.Timeout = DefaultTimeout
	}
	return r
}

// position returns where a path ("routes[1].name") stands in the file, or the nearest thing above it; 0, 0 when
// that is the whole file.
func position(node *yaml.Node, path string) (line, column int) {
	for _, step := range strings.FieldsFunc(path, func(r rune) bool { return r == '.' || r == '[' || r == ']' }) {
		next := child(node, step)
		if next == nil {
			break
		}
		node, line, column = next, next.Line, next.Column
	}
	return line, column
}

// child returns the value under a key or an index, or nil.
func child(node *yaml.Node, step string) *yaml.Node {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	switch node.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			if key := node.Content[i].Value; key == step || key == step+"_file" {
				return node.Content[i+1]
			}
		}
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(step); err == nil && i < len(node.Content) {
			return node.Content[i]
		}
	case yaml.DocumentNode, yaml.ScalarNode, yaml.AliasNode:
	}
	return nil
}
