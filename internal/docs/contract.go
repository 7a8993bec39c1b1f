package docs

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// contract is api/openapi.yaml, read for people: it keeps the order in which things are written.
type contract struct{ top object }

// object is a value of the contract. It knows by which name it was referred to.
type object struct {
	c    *contract
	node *yaml.Node
	ref  string // the last part of the $ref that led here
	over *yaml.Node
}

// pair is a member of an object.
type pair struct {
	name  string
	value object
}

func readContract(text []byte) (*contract, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil || len(doc.Content) != 1 {
		return nil, fmt.Errorf("docs: the contract cannot be read: %w", err)
	}
	c := &contract{}
	c.top = object{c: c, node: doc.Content[0]}
	return c, nil
}

// follow returns what a node means: aliases and references are followed. A $ref may have a description beside it.
func (c *contract) follow(n *yaml.Node) object {
	o := object{c: c, node: n}
	for range 8 { // references are not nested deeper
		if o.node.Kind == yaml.AliasNode {
			o.node = o.node.Alias
		}
		to := member(o.node, "$ref")
		if to == nil {
			break
		}
		if o.over == nil && len(o.node.Content) > 2 {
			o.over = o.node
		}
		at := c.top
		for part := range strings.SplitSeq(strings.TrimPrefix(to.Value, "#/"), "/") {
			at = object{c: c, node: member(at.node, part)}
			o.ref = part
		}
		o.node = at.node
	}
	return o
}

func member(n *yaml.Node, name string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i+1]
		}
	}
	return nil
}

// get returns a member; one that is not there is empty.
func (o object) get(names ...string) object {
	for _, name := range names {
		n := member(o.over, name)
		if n == nil {
			n = member(o.node, name)
		}
		if n == nil {
			return object{c: o.c}
		}
		o = o.c.follow(n)
	}
	return o
}

func (o object) is() bool { return o.node != nil }

// text returns a scalar, or "".
func (o object) text() string {
	if o.node == nil || o.node.Kind != yaml.ScalarNode {
		return ""
	}
	return o.node.Value
}

// members returns the members in order.
func (o object) members() (out []pair) {
	if o.node == nil || o.node.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(o.node.Content); i += 2 {
		out = append(out, pair{o.node.Content[i].Value, o.c.follow(o.node.Content[i+1])})
	}
	return out
}

// items returns the entries of a list.
func (o object) items() (out []object) {
	if o.node == nil || o.node.Kind != yaml.SequenceNode {
		return nil
	}
	for _, n := range o.node.Content {
		out = append(out, o.c.follow(n))
	}
	return out
}

// has reports whether a list holds a text.
func (o object) has(text string) bool {
	for _, i := range o.items() {
		if i.text() == text {
			return true
		}
	}
	return false
}

// properties returns the fields of a schema, those of allOf first, and which must be there.
func (o object) properties() (fields []pair, required map[string]bool) {
	required = map[string]bool{}
	for _, part := range append(o.get("allOf").items(), o) {
		if part.node != o.node {
			more, must := part.properties()
			fields = append(fields, more...)
			for name := range must {
				required[name] = true
			}
		}
	}
	fields = append(fields, o.get("properties").members()...)
	for _, r := range o.get("required").items() {
		required[r.text()] = true
	}
	return fields, required
}

// composite reports whether a schema has fields of its own.
func (o object) composite() bool {
	return o.get("properties").is() || o.get("allOf").is()
}
