package aws

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/dialproof/dialproof/internal/channel/channeltest"
)

const modelFile = "aws/pinpoint-sms-voice-v2.service-2.json"

// model is botocore's description of the service, as far as a request is judged by it.
type model struct {
	Operations map[string]struct {
		Input  ref   `json:"input"`
		Errors []ref `json:"errors"`
	} `json:"operations"`
	Shapes map[string]shape `json:"shapes"`
}

type ref struct {
	Shape string `json:"shape"`
}

type shape struct {
	Type     string         `json:"type"`
	Required []string       `json:"required"`
	Members  map[string]ref `json:"members"`
	Key      ref            `json:"key"`
	Value    ref            `json:"value"`
	Member   ref            `json:"member"`
	Enum     []string       `json:"enum"`
	Pattern  string         `json:"pattern"`
	Min      *float64       `json:"min"`
	Max      *float64       `json:"max"`
}

// loadModel reads the model; nil where the documents are not here.
func loadModel(t *testing.T) *model {
	t.Helper()
	text := channeltest.Document(t, modelFile)
	if text == nil {
		return nil
	}
	var m model
	if err := json.Unmarshal(text, &m); err != nil || len(m.Operations) < 50 {
		t.Fatalf("%d operations: %v", len(m.Operations), err)
	}
	return &m
}

// judge returns where a body leaves the input of an operation.
func (m *model) judge(operation string, body []byte) error {
	if m == nil {
		return nil
	}
	op, ok := m.Operations[operation]
	if !ok {
		return fmt.Errorf("the model has no operation %s", operation)
	}
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		return err
	}
	return m.value(op.Input.Shape, v)
}

func (m *model) value(name string, v any) error {
	s, ok := m.Shapes[name]
	if !ok {
		return fmt.Errorf("the model has no shape %s", name)
	}
	switch s.Type {
	case "structure":
		return m.structure(name, s, v)
	case "map":
		return m.table(name, s, v)
	case "list":
		list, ok := v.([]any)
		for _, item := range list {
			if err := m.value(s.Member.Shape, item); err != nil {
				return err
			}
		}
		return s.size(name, ok, float64(len(list)))
	case "string":
		text, ok := v.(string)
		if err := s.text(name, text); ok && err != nil {
			return err
		}
		return s.size(name, ok, float64(utf8.RuneCountInString(text)))
	case "integer", "long":
		n, ok := v.(float64)
		return s.size(name, ok && n == float64(int64(n)), n)
	case "boolean":
		_, ok := v.(bool)
		return s.size(name, ok, 0)
	}
	return fmt.Errorf("%s is of the type %s, which this test does not know", name, s.Type)
}

// size judges the type and the bounds.
func (s shape) size(name string, ok bool, n float64) error {
	if !ok {
		return fmt.Errorf("%s is no %s", name, s.Type)
	}
	if (s.Min != nil && n < *s.Min) || (s.Max != nil && n > *s.Max) {
		return fmt.Errorf("%s is out of bounds: %v", name, n)
	}
	return nil
}

func (m *model) structure(name string, s shape, v any) error {
	fields, ok := v.(map[string]any)
	if !ok {
		return fmt.Errorf("%s is no structure", name)
	}
	for _, key := range s.Required {
		if _, ok := fields[key]; !ok {
			return fmt.Errorf("%s lacks %s", name, key)
		}
	}
	for key, field := range fields {
		member, ok := s.Members[key]
		if !ok {
			return fmt.Errorf("%s knows no %s", name, key)
		}
		if err := m.value(member.Shape, field); err != nil {
			return fmt.Errorf("%s.%s: %w", name, key, err)
		}
	}
	return nil
}

func (m *model) table(name string, s shape, v any) error {
	fields, ok := v.(map[string]any)
	for key, field := range fields {
		if err := m.value(s.Key.Shape, key); err != nil {
			return fmt.Errorf("a key of %s: %w", name, err)
		}
		if err := m.value(s.Value.Shape, field); err != nil {
			return fmt.Errorf("a value of %s: %w", name, err)
		}
	}
	return s.size(name, ok, float64(len(fields)))
}

// text judges a string. Two patterns look ahead or behind, which Go's expressions cannot; both mean blanks.
func (s shape) text(name, v string) error {
	if len(s.Enum) > 0 && !slices.Contains(s.Enum, v) {
		return fmt.Errorf("%s: %q is none of its values", name, v)
	}
	ok := true
	switch s.Pattern {
	case "":
	case `(?!\s*$)[\s\S]+`:
		ok = strings.TrimSpace(v) != ""
	case `(?!\s)^[\s\S]+(?<!\s)`:
		ok = v != "" && strings.TrimSpace(v) == v
	default:
		re, err := regexp.Compile(`^(?:` + s.Pattern + `)$`)
		if err != nil {
			return err
		}
		ok = re.MatchString(v)
	}
	if !ok {
		return fmt.Errorf("%s: %q is not of the form %s", name, v, s.Pattern)
	}
	return nil
}

// TestModel: the judge finds what is wrong.
func TestModel(t *testing.T) {
	t.Parallel()
	channeltest.SpecPath(t, modelFile)
	m := loadModel(t)
	for body, ok := range map[string]bool{
		`{"DestinationPhoneNumber":"+447700900123","MessageBody":"x","MaxPrice":"0.10","TimeToLive":300,` +
			`"Context":{"dialproof":"dG9rZW4"}}`: true,
		`{"MessageBody":"x"}`: false,
		`{"DestinationPhoneNumber":"+447700900123","Text":"x"}`:                               false,
		`{"DestinationPhoneNumber":"0770"}`:                                                   false,
		`{"DestinationPhoneNumber":44}`:                                                       false,
		`{"DestinationPhoneNumber":"+447700900123","MessageBody":" "}`:                        false,
		`{"DestinationPhoneNumber":"+447700900123","MessageType":"OTP"}`:                      false,
		`{"DestinationPhoneNumber":"+447700900123","MaxPrice":"100.0"}`:                       false,
		`{"DestinationPhoneNumber":"+447700900123","TimeToLive":4}`:                           false,
		`{"DestinationPhoneNumber":"+447700900123","TimeToLive":5.5}`:                         false,
		`{"DestinationPhoneNumber":"+447700900123","Context":{"a b":"x"}}`:                    false,
		`{"DestinationPhoneNumber":"+447700900123","Context":{"a":"x "}}`:                     false,
		`{"DestinationPhoneNumber":"+447700900123","DestinationCountryParameters":{"X":"y"}}`: false,
		`{"DestinationPhoneNumber":"+447700900123","DryRun":"no"}`:                            false,
	} {
		if err := m.judge("SendTextMessage", []byte(body)); (err == nil) != ok {
			t.Errorf("%s: %v", body, err)
		}
	}
}

// TestTableFollowsModel: every exception of the calls has a row, and every reason with a row stands in the model.
func TestTableFollowsModel(t *testing.T) {
	t.Parallel()
	channeltest.SpecPath(t, modelFile)
	m := loadModel(t)
	for _, operation := range []string{"SendTextMessage", "PutMessageFeedback", "DescribeAccountAttributes"} {
		for _, e := range m.Operations[operation].Errors {
			if _, ok := errorTable()[e.Shape]; !ok {
				t.Errorf("%s has no row", e.Shape)
			}
		}
	}
	for key := range errorTable() {
		kind, reason, ok := strings.Cut(key, "/")
		if ok && !slices.Contains(m.Shapes[m.Shapes[kind].Members["Reason"].Shape].Enum, reason) {
			t.Errorf("the model's %s has no reason %s", kind, reason)
		}
	}
}
