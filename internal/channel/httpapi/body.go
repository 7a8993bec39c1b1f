package httpapi

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
)

// Bodies, by their type in the settings.
const (
	bodyForm = "form"
	bodyJSON = "json"
	bodyXML  = "xml"
	bodyText = "text"
	bodyNone = "none"
)

func (p *plan) compileBody() (err error) {
	b := p.cfg.Body
	switch b.Type {
	case bodyForm:
		return p.compileForm(b)
	case bodyJSON, bodyXML, bodyText:
		if b.Text == "" || len(b.Fields) > 0 {
			return fmt.Errorf("body.text: must hold the %s; body.fields are for a form", b.Type)
		}
	case bodyNone:
		if b.Text != "" || len(b.Fields) > 0 {
			return errors.New("body.type: none has neither text nor fields")
		}
		return nil
	default:
		return errors.New("body.type: must be form, json, xml, text or none")
	}
	if p.cfg.Method == "GET" {
		return errors.New("body.type: a GET has no body; take method: POST, or type: none")
	}
	if b.Type == bodyJSON {
		p.tree, err = p.compileJSON(b.Text)
		return err
	}
	p.text, err = p.template("body.text", b.Text)
	return err
}

func (p *plan) compileForm(b Body) (err error) {
	switch {
	case p.cfg.Method == "GET":
		return errors.New("body.type: a GET has no body; take method: POST, or type: none")
	case len(b.Fields) == 0 || b.Text != "":
		return errors.New("body.fields: must hold the fields of the form; body.text is for the other types")
	case len(b.Fields) > maxEntries:
		return fmt.Errorf("body.fields: must be at most %d", maxEntries)
	}
	p.fields = map[string]template{}
	for key, value := range b.Fields {
		at := "body.fields." + key
		if p.fields[key], err = p.template(at, value); err != nil {
			return err
		}
		if secretive.MatchString(key) && value != "" && !p.fields[key].fills() {
			return inTheClear(at)
		}
	}
	return nil
}

// body returns the body of a request and its type.
func (s *sender) body(values map[string]string) (content []byte, contentType string) {
	switch s.cfg.Body.Type {
	case bodyForm:
		form := url.Values{}
		for key, t := range s.fields {
			if v := t.fill(values, asItIs); v != "" {
				form.Set(key, v)
			}
		}
		content, contentType = []byte(form.Encode()), "application/x-www-form-urlencoded"
	case bodyJSON:
		content, contentType = encode(s.tree, values), "application/json"
	case bodyXML:
		content, contentType = []byte(s.text.fill(values, escapeXML)), "application/xml"
	case bodyText:
		content, contentType = []byte(s.text.fill(values, asItIs)), "text/plain; charset=utf-8"
	default:
		return nil, ""
	}
	if s.cfg.Body.ContentType != "" {
		contentType = s.cfg.Body.ContentType
	}
	return content, contentType
}

// escapeXML is for text between tags and for attributes.
func escapeXML(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a builder does not fail
	return b.String()
}

// number is a placeholder that stands in JSON without quotes.
type number string

// bare marks such a placeholder while the text is made into JSON. A text of the operator's may not begin so.
const bare = "\x00"

// compileJSON reads JSON with placeholders as a tree: maps, lists, templates, numbers. Values are put into the tree and
// the tree is encoded, so that no value can be anything but a value.
func (p *plan) compileJSON(text string) (any, error) {
	quoted, err := p.quoteNumbers(text)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(strings.NewReader(quoted))
	d.UseNumber()
	var tree any
	if err := d.Decode(&tree); err != nil {
		return nil, errors.New("body.text: is no JSON; placeholders for text stand between quotes, as in \"{text}\"")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("body.text: goes on after the end of the JSON")
	}
	return p.graft(tree)
}

// quoteNumbers puts placeholders that stand outside of quotes between some, with a mark.
func (p *plan) quoteNumbers(text string) (string, error) {
	var b strings.Builder
	inside := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case inside && c == '\\' && i+1 < len(text):
			b.WriteByte(c)
			i++
		case c == '"':
			inside = !inside
		case !inside && c == '{':
			at := placeholderForm.FindStringSubmatchIndex(text[i:])
			if at == nil || at[0] != 0 || at[4] < 0 {
				break
			}
			n := text[i+at[4] : i+at[5]]
			if err := p.exists("body.text", n); err != nil {
				return "", err
			}
			if !numeric(n) {
				return "", fmt.Errorf("body.text: {%s} is text and must stand between quotes, as in \"{%s}\"", n, n)
			}
			b.WriteString(`"\u0000` + n + `"`)
			i += at[1] - 1
			continue
		}
		b.WriteByte(text[i])
	}
	return b.String(), nil
}

// graft makes the strings of a tree into templates.
func (p *plan) graft(node any) (any, error) {
	var err error
	switch n := node.(type) {
	case string:
		if name, ok := strings.CutPrefix(n, bare); ok {
			if !numeric(name) {
				return nil, errors.New("body.text: a text must not begin with the character NUL")
			}
			p.uses[name] = true
			return number(name), nil
		}
		return p.template("body.text", n)
	case []any:
		for i := range n {
			if n[i], err = p.graft(n[i]); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for key, child := range n {
			if parse(key).fills() {
				return nil, errors.New("body.text: placeholders are for values, not for names")
			}
			if n[key], err = p.graft(child); err != nil {
				return nil, err
			}
			if t, ok := n[key].(template); ok && secretive.MatchString(key) && len(t) > 0 && !t.fills() {
				return nil, inTheClear("body.text: " + key)
			}
		}
	}
	return node, nil
}

// absent is a value that came out empty.
type absent struct{}

// fillTree returns the tree with values in it. What comes out empty is left out.
func fillTree(node any, values map[string]string) any {
	switch n := node.(type) {
	case template:
		s := n.fill(values, asItIs)
		if s == "" && n.fills() {
			return absent{}
		}
		return s
	case number:
		return json.Number(values[string(n)])
	case []any:
		out := []any{}
		for _, child := range n {
			v := fillTree(child, values)
			if _, gone := v.(absent); !gone {
				out = append(out, v)
			}
		}
		return out
	case map[string]any:
		out := map[string]any{}
		for key, child := range n {
			v := fillTree(child, values)
			if _, gone := v.(absent); !gone {
				out[key] = v
			}
		}
		return out
	}
	return node
}

func encode(tree any, values map[string]string) []byte {
	filled := fillTree(tree, values)
	if _, gone := filled.(absent); gone {
		filled = ""
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(filled) != nil {
		return nil // a tree of texts and numbers is always encoded
	}
	return bytes.TrimSpace(b.Bytes())
}
