package message

import (
	"regexp"
	"strconv"
	"strings"
)

// Bounds of a registered text.
const (
	maxRegistered = 2000 // bytes
	// maxVariable is how many characters stand for one variable (India's DLT: 30 for each {#var#}).
	maxVariable = 30
)

// variable is a placeholder as registries write it: {#var#}, {#numeric#}, {#alphanumeric#} and so on.
var variable = regexp.MustCompile(`\{#[A-Za-z]{1,20}#\}`)

// Registered is a text that a country's registry has approved (India's DLT, a 10DLC campaign): carriers drop what does
// not fit it.
type Registered struct{ pattern *regexp.Regexp }

// ParseRegistered reads a registered text: literal, with {#var#} for each 1 to 30 characters that change. It has at
// least one of them, since codes change.
//
// The error is an *Error with InvalidTemplate.
func ParseRegistered(text string) (Registered, error) {
	text = strings.TrimSpace(text)
	at := variable.FindAllStringIndex(text, -1)
	switch {
	case text == "" || len(text) > maxRegistered:
		return Registered{}, refuse(InvalidTemplate, "must be 1 to 2000 bytes")
	case len(at) == 0 || len(at) > 20:
		return Registered{}, refuse(InvalidTemplate, "must have 1 to 20 variables like {#var#}")
	}
	var b strings.Builder
	b.WriteString(`(?s)^`)
	end := 0
	for _, v := range at {
		b.WriteString(regexp.QuoteMeta(text[end:v[0]]))
		b.WriteString(`.{1,` + strconv.Itoa(maxVariable) + `}`)
		end = v[1]
	}
	b.WriteString(regexp.QuoteMeta(text[end:]) + `$`)
	pattern, err := regexp.Compile(b.String())
	if err != nil {
		return Registered{}, refuse(InvalidTemplate, "cannot be understood")
	}
	return Registered{pattern}, nil
}

// Fits reports whether a text is an instance of the registered one, to the letter. Spaces at the ends do not count.
func (r Registered) Fits(text string) bool {
	return r.pattern != nil && r.pattern.MatchString(strings.TrimSpace(text))
}
