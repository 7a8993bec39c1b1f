package docs

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// sample returns an example of a schema as indented JSON. It takes the contract's own examples where it has them.
func sample(schema object) string {
	var b bytes.Buffer
	writeSample(&b, "", schema)
	var out bytes.Buffer
	if json.Indent(&out, b.Bytes(), "", "  ") != nil {
		return b.String()
	}
	return out.String()
}

func writeSample(b *bytes.Buffer, name string, s object) {
	if e := s.get("example"); e.is() {
		writeValue(b, e.node)
		return
	}
	if e := s.get("enum").items(); len(e) > 0 {
		writeValue(b, e[0].node)
		return
	}
	if e := s.get("const"); e.is() {
		writeValue(b, e.node)
		return
	}
	switch kind := typeOf(s); {
	case s.composite():
		fields, _ := s.properties()
		b.WriteByte('{')
		for i, f := range fields {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(strconv.Quote(f.name) + ":")
			writeSample(b, f.name, f.value)
		}
		b.WriteByte('}')
	case kind == "array":
		b.WriteByte('[')
		if item := s.get("items"); item.is() {
			writeSample(b, "", item)
		}
		b.WriteByte(']')
	case kind == "object":
		b.WriteString(sampleMap(s))
	case kind == "integer", kind == "number":
		b.WriteString(sampleNumber(name, s))
	case kind == "boolean":
		b.WriteString("true")
	case strings.Contains(kind, "null"):
		b.WriteString("null")
	default:
		b.WriteString(strconv.Quote(sampleText(name, s)))
	}
}

func sampleMap(s object) string {
	more := s.get("additionalProperties")
	switch {
	case !more.is() || more.text() != "":
		return "{}"
	case typeOf(more) == "object":
		return `{"login":{"en":"{code} is your code for Acme."}}`
	}
	return `{"user":"42"}`
}

func sampleNumber(name string, s object) string {
	switch name {
	case "expires_in":
		return "300"
	case "max_attempts", "attempts_left", "max_sends":
		return "5"
	case "resends_left":
		return "4"
	case "status":
		return "422"
	}
	for _, key := range []string{"default", "minimum"} {
		if n := s.get(key).text(); n != "" {
			return n
		}
	}
	return "1"
}

// sampleText returns an example of a text by its pattern, its form or its name.
func sampleText(name string, s object) string {
	const unique = "01m83v1cxqe00b69rmjjmkv8ra"
	pattern := s.get("pattern").text()
	if prefix, is := strings.CutSuffix(strings.TrimPrefix(pattern, "^"), "[0-9a-z]{26}$"); is {
		return prefix + unique
	}
	switch pattern {
	case "^dp_(live|test)_[a-z2-7]{32}$":
		return "dp_test_abcdefghijklmnopqrstuvwxyz234567"
	case "^[0-9A-Z]{6,10}$":
		return "123456"
	case "^[0-9A-Za-z_-]{43}$":
		return "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
	}
	if s.get("format").text() == "date-time" {
		return "2026-11-23T09:16:20Z"
	}
	texts := map[string]string{
		"to":          "+447700900123",
		"code":        "123456",
		"name":        "backend",
		"brand":       "Acme",
		"amount":      "39.90",
		"currency":    "EUR",
		"payee":       "Acme Ltd",
		"application": "app_" + unique,
		"prefix":      "dp_test_abcd",
		"route":       "sms-main",
		"reason":      "cheapest",
		"error":       "unavailable",
		"error_code":  "30008",
		"price":       "0.0412",
		"ip":          "203.0.113.7",
		"user_agent":  "Mozilla/5.0",
		"device_id":   "d-7",
		"locale":      "en-GB",
		"from":        "Acme",
		"text":        "123456 is your code for Acme.",
		"type":        "https://dialproof.dev/errors#invalid_request",
		"title":       "Some fields are wrong",
		"detail":      "one field is wrong",
		"instance":    "req_" + unique,
		"field":       "to",
		"limit":       "number_gap",
		"kid":         "1",
		"proof":       "eyJhbGciOiJFZERTQSIsImtpZCI6IjEifQ.eyJpc3Mi….MEQC…",
		"origins":     "example.com",
		"email":       "person@example.com",
		"url":         "https://example.com/hooks",
	}
	if text := texts[name]; text != "" {
		return text
	}
	return "…"
}

func typeOf(s object) string {
	t := s.get("type")
	if list := t.items(); len(list) > 0 {
		names := make([]string, len(list))
		for i, one := range list {
			names[i] = one.text()
		}
		return strings.Join(names, " or ")
	}
	return t.text()
}

// writeValue writes a value of the contract as JSON, in its order.
func writeValue(b *bytes.Buffer, n *yaml.Node) {
	switch n.Kind {
	case yaml.MappingNode:
		b.WriteByte('{')
		for i := 0; i+1 < len(n.Content); i += 2 {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(strconv.Quote(n.Content[i].Value) + ":")
			writeValue(b, n.Content[i+1])
		}
		b.WriteByte('}')
	case yaml.SequenceNode:
		b.WriteByte('[')
		for i, c := range n.Content {
			if i > 0 {
				b.WriteByte(',')
			}
			writeValue(b, c)
		}
		b.WriteByte(']')
	case yaml.AliasNode:
		writeValue(b, n.Alias)
	default:
		if n.Tag == "!!str" {
			text, _ := json.Marshal(n.Value) // a string can be written
			b.Write(text)
			return
		}
		b.WriteString(n.Value)
	}
}

// writeJSON returns a value of the contract as indented JSON.
func writeJSON(o object) string {
	var b, out bytes.Buffer
	writeValue(&b, o.node)
	if json.Indent(&out, b.Bytes(), "", "  ") != nil {
		return b.String()
	}
	return out.String()
}
