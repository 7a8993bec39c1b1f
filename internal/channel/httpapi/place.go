package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// maxValue bounds a value that is read out of an answer or a report, in bytes. A longer one counts as not there.
const maxValue = 1024

// place is where in an answer a value stands: a JSON pointer (RFC 6901), an expression, or a header. The zero place is
// nowhere.
type place struct {
	pointer []string
	expr    *regexp.Regexp
	header  string
}

// parsePlace reads a place. Empty is nowhere.
func parsePlace(key, s string) (p place, err error) {
	switch {
	case s == "":
	case strings.HasPrefix(s, "/"):
		p.pointer, err = parsePointer(key, s)
	case strings.HasPrefix(s, "regexp:"):
		if p.expr, err = regexp.Compile(strings.TrimPrefix(s, "regexp:")); err != nil || p.expr.NumSubexp() != 1 {
			return p, fmt.Errorf("%s: the expression must be one of RE2 with one group, such as regexp:<id>([^<]*)</id>", key)
		}
	case strings.HasPrefix(s, "header:"):
		if p.header = strings.TrimPrefix(s, "header:"); !headerForm.MatchString(p.header) {
			return p, fmt.Errorf("%s: must name a header, such as header:X-Message-Id", key)
		}
	default:
		return p,
			fmt.Errorf("%s: must be a JSON pointer like /messages/0/id, regexp: and an expression, or header: and a name", key)
	}
	return p, err
}

// parsePointer reads a JSON pointer (RFC 6901, section 3).
func parsePointer(key, s string) ([]string, error) {
	if !strings.HasPrefix(s, "/") {
		return nil, fmt.Errorf("%s: must be a JSON pointer like /messages/0/id", key)
	}
	parts := strings.Split(s[1:], "/")
	for i, part := range parts {
		if strings.Contains(strings.ReplaceAll(strings.ReplaceAll(part, "~0", ""), "~1", ""), "~") {
			return nil, fmt.Errorf("%s: in a JSON pointer ~ is written ~0 and / is written ~1", key)
		}
		parts[i] = strings.ReplaceAll(strings.ReplaceAll(part, "~1", "/"), "~0", "~")
	}
	return parts, nil
}

// follow returns what a pointer points to.
func follow(node any, pointer []string) (any, bool) {
	for _, key := range pointer {
		switch n := node.(type) {
		case map[string]any:
			child, ok := n[key]
			if !ok {
				return nil, false
			}
			node = child
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i < 0 || i >= len(n) || strconv.Itoa(i) != key {
				return nil, false
			}
			node = n[i]
		default:
			return nil, false
		}
	}
	return node, true
}

// scalar returns a JSON value as text; null, lists and objects are none.
func scalar(node any) (string, bool) {
	s := ""
	switch n := node.(type) {
	case string:
		s = n
	case json.Number:
		s = n.String()
	case bool:
		s = strconv.FormatBool(n)
	default:
		return "", false
	}
	if len(s) > maxValue {
		return "", false
	}
	return s, true
}

// decode reads JSON with its numbers as they are written.
func decode(body []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var tree any
	if err := d.Decode(&tree); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more than one value")
	}
	return tree, nil
}

// document is an answer in which values are looked up.
type document struct {
	header http.Header
	body   []byte
	// tree is the body as JSON; nil when it is none.
	tree any
}

func newDocument(header http.Header, body []byte) *document {
	tree, err := decode(body)
	if err != nil {
		tree = nil
	}
	return &document{header, body, tree}
}

// at returns the value at a place.
func (d *document) at(p place) (string, bool) {
	switch {
	case p.header != "":
		v := d.header.Get(p.header)
		return v, v != "" && len(v) <= maxValue
	case p.expr != nil:
		m := p.expr.FindSubmatch(d.body)
		if m == nil || m[1] == nil || len(m[1]) > maxValue {
			return "", false
		}
		return string(m[1]), true
	case p.pointer != nil:
		node, ok := follow(d.tree, p.pointer)
		if !ok {
			return "", false
		}
		return scalar(node)
	}
	return "", false
}

// currencyForm is that of a currency itself (ISO 4217), and not of its place.
var (
	currencyForm = regexp.MustCompile(`^[A-Z]{3}$`)
	amountForm   = regexp.MustCompile(`^[0-9]{1,9}(\.[0-9]{1,9})?$`)
	codeForm     = regexp.MustCompile(`^[A-Za-z0-9_.:-]{1,64}$`)
	numberInside = regexp.MustCompile(`[0-9]{6,}`)
)

// price reads an amount like 0.05, "EUR 0.05" or "0.05 EUR". One without a currency, or of nothing, is none.
func price(amount, currency string) (string, string) {
	for word := range strings.FieldsSeq(amount) {
		if currencyForm.MatchString(word) {
			currency = word
		} else {
			amount = word
		}
	}
	if !amountForm.MatchString(amount) || strings.Trim(amount, "0.") == "" || !currencyForm.MatchString(currency) {
		return "", ""
	}
	return amount, currency
}

// parts reads a number of parts; 0 when it is none.
func parts(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > 255 {
		return 0
	}
	return n
}

// harmless returns a code of the gateway's when it may be shown: one that is no sentence and hides no phone number.
func harmless(s string) string {
	if !codeForm.MatchString(s) || numberInside.MatchString(s) {
		return ""
	}
	return s
}
