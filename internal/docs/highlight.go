package docs

import (
	"html"
	"regexp"
	"strings"
)

// lexer tells apart what a reader tells apart: comments, texts, numbers and the words of a language. It is no parser:
// what it gets wrong has the wrong colour and nothing else.
func lexer(language string) *regexp.Regexp {
	comment, words := `#[^\n]*`, ""
	switch language {
	case "go":
		comment = `//[^\n]*|/\*[\s\S]*?\*/`
		words = "package import func return if else for range switch case default var const type struct map chan go " +
			"defer nil true false"
	case "js", "ts", "javascript", "typescript":
		comment = `//[^\n]*|/\*[\s\S]*?\*/`
		words = "import from export const let var function async await return if else for of in switch case default new " +
			"throw try catch class interface type null undefined true false"
	case "python":
		words = "import from def class return if elif else for in with as while raise try except async await not and or " +
			"is None True False lambda match case"
	case "sh", "bash":
		comment = `(?m:(?:^|\s)#[^\n]*)`
		words = "if then else fi for do done while in export cd"
	case "yaml":
		comment = `(?m:(?:^|\s)#[^\n]*)`
		words = "true false null"
	case "json":
		comment = `//[^\n]*`
		words = "true false null"
	case "kotlin", "swift", "java", "dart":
		comment = `//[^\n]*`
		words = "val var fun let func if else return when switch case import class override true false null nil"
	case "html":
		comment = `<!--[\s\S]*?-->`
	default:
		return nil
	}
	text := `"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'` + "|`[^`]*`"
	pattern := `(?P<c>` + comment + `)|(?P<s>` + text + `)|(?P<n>\b[0-9]+(?:\.[0-9]+)?\b)`
	if words != "" {
		pattern += `|(?P<k>\b(?:` + strings.ReplaceAll(words, " ", "|") + `)\b)`
	}
	if language == "yaml" {
		pattern += `|(?P<y>(?m:^[ \t]*(?:- )?[A-Za-z_][\w.-]*:))`
	}
	return regexp.MustCompile(pattern)
}

// highlight returns code as HTML.
func highlight(language, code string) string {
	lex := lexer(language)
	if lex == nil {
		return html.EscapeString(code)
	}
	var b strings.Builder
	last := 0
	for _, m := range lex.FindAllStringSubmatchIndex(code, -1) {
		b.WriteString(html.EscapeString(code[last:m[0]]))
		class := ""
		for i, name := range lex.SubexpNames() {
			if name != "" && m[2*i] >= 0 {
				class = name
			}
		}
		b.WriteString(`<span class="` + class + `">` + html.EscapeString(code[m[0]:m[1]]) + `</span>`)
		last = m[1]
	}
	b.WriteString(html.EscapeString(code[last:]))
	return b.String()
}
