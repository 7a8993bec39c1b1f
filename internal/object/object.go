// Package object writes JSON objects member by member, for the few that are on the way of every verification: it costs
// half of what an encoder that looks fields up does. It knows nothing of what they say.
package object

import (
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Object is what is written so far; it begins with "{", and whoever has written all of it appends "}".
type Object []byte

// Name begins a member, whose name needs no escapes; its value is appended next.
func (o *Object) Name(name string) {
	if b := *o; b[len(b)-1] != '{' {
		*o = append(b, ',')
	}
	*o = append(append(append(*o, '"'), name...), `":`...)
}

// Text appends a member that is a string.
func (o *Object) Text(name, v string) {
	o.Name(name)
	*o = appendText(*o, v)
}

// TextIf is Text, but leaves out what is empty.
func (o *Object) TextIf(name, v string) {
	if v != "" {
		o.Text(name, v)
	}
}

// Bool appends a member that is true or false.
func (o *Object) Bool(name string, v bool) {
	o.Name(name)
	*o = strconv.AppendBool(*o, v)
}

// Number appends a member that is an integer.
func (o *Object) Number(name string, v int) {
	o.Name(name)
	*o = strconv.AppendInt(*o, int64(v), 10)
}

// Time appends a member that is a time, as RFC 3339 writes it.
func (o *Object) Time(name string, t time.Time) {
	o.Name(name)
	*o = append(t.AppendFormat(append(*o, '"'), time.RFC3339Nano), '"')
}

// TimeIf is Time, but leaves out the zero time.
func (o *Object) TimeIf(name string, t time.Time) {
	if !t.IsZero() {
		o.Time(name, t)
	}
}

// Texts appends a member that is an object of strings, its names in order.
func (o *Object) Texts(name string, m map[string]string) {
	o.Name(name)
	b := append(*o, '{')
	for i, k := range sortedKeys(m) {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendText(append(appendText(b, k), ':'), m[k])
	}
	*o = append(b, '}')
}

// sortedKeys answers the keys of a map; most have none.
func sortedKeys(m map[string]string) []string {
	if len(m) == 0 {
		return nil
	}
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// appendText writes a string. What is not UTF-8 in it becomes U+FFFD.
func appendText(b []byte, v string) []byte {
	b, _ = jsontext.AppendQuote(b, v) // which is all that the error says
	return b
}
