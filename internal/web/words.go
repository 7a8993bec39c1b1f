package web

import (
	"bufio"
	"bytes"
	"fmt"
	"html/template"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/text/language"

	"github.com/dialproof/dialproof/internal/country"
	"github.com/dialproof/dialproof/internal/message"
)

// words are the texts of the page in one language.
type words map[string]string

// wordings are those of all languages, by the tags of message.Locales.
var wordings = sync.OnceValue(func() map[string]words {
	out := map[string]words{}
	for _, locale := range message.Locales() {
		text, err := fs.ReadFile(pageFiles, "page/words/"+locale+".txt")
		if err != nil {
			continue // a test holds that there is one
		}
		if w, err := parseWords(text); err == nil {
			out[locale] = w
		}
	}
	return out
})

// parseWords reads lines of the form "name: text".
func parseWords(text []byte) (words, error) {
	w := words{}
	for lines, n := bufio.NewScanner(bytes.NewReader(text)), 1; lines.Scan(); n++ {
		name, t, ok := strings.Cut(lines.Text(), ": ")
		if _, twice := w[name]; !ok || twice || t != strings.TrimSpace(t) || t == "" {
			return nil, fmt.Errorf("web: line %d of the words is not of the form name: text, or comes twice", n)
		}
		w[name] = t
	}
	return w, nil
}

// wording returns the texts of a locale that message.Match answered.
func wording(locale string) words {
	if w := wordings()[locale]; w != nil {
		return w
	}
	return wordings()["en"]
}

// text returns a text as it is.
func (w words) text(name string) string { return w[name] }

// T is text, for the template.
func (w words) T(name string) string { return w[name] }

// fill returns a text with values in it: name, value, name, value.
func (w words) fill(name string, values ...string) string {
	for i := range values[:len(values)/2] {
		values[2*i] = "{" + values[2*i] + "}"
	}
	return strings.NewReplacer(values...).Replace(w[name])
}

// html is fill for values that may run the other way than the sentence: each is kept apart from it.
func (w words) html(name string, values ...string) template.HTML {
	pairs := make([]string, len(values))
	for i := 0; i+1 < len(values); i += 2 {
		pairs[i], pairs[i+1] = "{"+values[i]+"}", string(isolate(values[i+1]))
	}
	//nolint:gosec // every part is escaped
	return template.HTML(strings.NewReplacer(pairs...).Replace(template.HTMLEscapeString(w[name])))
}

// isolate marks a value off from the text around it.
func isolate(value string) template.HTML {
	dir := "auto"
	if strings.HasPrefix(value, "+") {
		dir = "ltr"
	}
	return template.HTML(`<bdi dir="` + dir + `">` + template.HTMLEscapeString(value) + `</bdi>`) //nolint:gosec // escaped
}

// chooseLocale returns the language of the page: the link's, the application's, the best of the browser's, or that of
// the country.
func chooseLocale(wished, usual, accepted, region string) string {
	for _, one := range []string{wished, usual} {
		if one != "" {
			return message.Match(one, region)
		}
	}
	for _, tag := range acceptable(accepted) {
		got := message.Match(tag.String(), "")
		if base, _ := tag.Base(); got != "en" || base.String() == "en" {
			return got
		}
	}
	return message.Match("", region)
}

// acceptable reads Accept-Language, of which only so much is looked at. Browsers write the best first.
func acceptable(header string) []language.Tag {
	if len(header) > 256 {
		return nil
	}
	var out []language.Tag
	for one := range strings.SplitSeq(header, ",") {
		text, _, _ := strings.Cut(one, ";")
		if tag, err := language.Parse(strings.TrimSpace(text)); err == nil && tag != language.Und {
			out = append(out, tag)
		}
	}
	return out
}

// chooseCountry returns the country that the number is most likely of: the one that was chosen before, the link's
// region, the region of the link's locale, and only then that of the browser's languages. A locale without a region is
// that of the browser's language, if it is the same one.
func chooseCountry(typed, wished, locale, accepted, page string) string {
	for _, one := range []string{typed, wished} {
		if country.Known(one) {
			return one
		}
	}
	tags := acceptable(accepted)
	if linked, err := language.Parse(locale); err == nil && linked != language.Und {
		base, _ := linked.Base()
		tags = slices.DeleteFunc(tags, func(t language.Tag) bool { b, _ := t.Base(); return b != base })
		if region, confidence := linked.Region(); confidence == language.Exact && region.IsCountry() {
			tags = nil
		}
		tags = append(tags, linked)
	}
	for _, tag := range append(tags, language.Make(page)) {
		if region, confidence := tag.Region(); confidence >= language.Low && country.Known(region.String()) {
			return region.String()
		}
	}
	return "US"
}

// left returns the words of a wrong code. Languages in which one attempt is said otherwise than several have a text of
// its own for it.
func (w words) left(attempts int) string {
	if one := w["incorrect_one"]; one != "" && attempts == 1 {
		return one
	}
	return w.fill("incorrect", "count", strconv.Itoa(attempts))
}

// Waiting returns the words of a countdown.
func (w words) Waiting(seconds int) string { return w.fill("wait", "seconds", strconv.Itoa(seconds)) }

// Back returns the words of the way back to the application.
func (w words) Back(brand string) string { return w.fill("back", "brand", brand) }
