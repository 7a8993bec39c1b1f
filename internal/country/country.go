// Package country knows how each country writes its phone numbers: its calling code, its name in the languages of our
// pages, and the rules by which a number is spaced while somebody types it.
//
// The rules are those of libphonenumber's metadata, handed on as they are, and the names are the Unicode CLDR's
// (names.txt, made by scripts/cldr.sh). It judges no number: phone does.
package country

import (
	"cmp"
	_ "embed"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/nyaruka/phonenumbers"
	"golang.org/x/text/collate"
	"golang.org/x/text/language"
)

// Country is a place with numbers of its own.
type Country struct {
	// Code is ISO 3166-1 alpha-2: "GB".
	Code string
	// Calling is the calling code: "44".
	Calling string
	// Name is in the language that was asked for.
	Name string
}

// Rules say how a country's numbers are spaced. The names of the JSON are short: pages fetch it.
type Rules struct {
	Country string `json:"c"`
	Calling string `json:"k"`
	// Prefix is what is dialled before a national number at home ("0"), "" for nothing.
	Prefix string `json:"p,omitempty"`
	// National and International are tried in turn. No International: the National ones hold.
	National      []Format `json:"n"`
	International []Format `json:"i,omitempty"`
}

// Format is one way to space a number: libphonenumber's NumberFormat.
type Format struct {
	// Pattern matches the whole national number, and Groups is its replacement ("$1 $2"), with the trunk prefix
	// where Trunk says how it is written ("(0$1)").
	Pattern string `json:"p"`
	Groups  string `json:"f"`
	Trunk   string `json:"t,omitempty"`
	// Leading match the first digits, each more exactly than the one before; none: any.
	Leading []string `json:"l,omitempty"`
}

// metadata is libphonenumber's, by country. It never changes.
var metadata = sync.OnceValue(func() map[string]*phonenumbers.PhoneMetadata {
	out := map[string]*phonenumbers.PhoneMetadata{}
	all, err := phonenumbers.MetadataCollection()
	if err != nil {
		return out // it is compiled in, and a test reads it
	}
	for _, m := range all.GetMetadata() {
		if id := m.GetId(); len(id) == 2 && id[0] >= 'A' {
			out[id] = m
		}
	}
	return out
})

// Known reports whether code is a country with numbers of its own.
func Known(code string) bool { return metadata()[code] != nil }

// lists keeps the list of each language: about fifty, each made once.
type lists struct {
	mu sync.Mutex
	by map[string][]Country
}

var listed = &lists{by: map[string][]Country{}}

// List returns all countries with their names in a language, sorted as its readers expect. The list is shared: it must
// not be changed.
func List(locale string) []Country {
	listed.mu.Lock()
	defer listed.mu.Unlock()
	if list, ok := listed.by[locale]; ok {
		return list
	}
	if len(listed.by) > 64 { // more than we have languages: somebody passes what people write
		return list(locale)
	}
	listed.by[locale] = list(locale)
	return listed.by[locale]
}

func list(locale string) []Country {
	own, english := namesIn(locale), namesIn("en")
	out := make([]Country, 0, len(metadata()))
	for code, m := range metadata() {
		c := Country{Code: code, Calling: strconv.Itoa(int(m.GetCountryCode()))}
		c.Name = cmp.Or(own[code], english[code], code)
		out = append(out, c)
	}
	order := collate.New(language.Make(locale))
	slices.SortFunc(out, func(a, b Country) int {
		return cmp.Or(order.CompareString(a.Name, b.Name), strings.Compare(a.Code, b.Code))
	})
	return out
}

//go:embed names.txt
var names string

// namesIn returns the names of countries by code in a shipped locale; for another one it returns nil.
func namesIn(locale string) map[string]string {
	_, section, ok := strings.Cut(names, "\n="+locale+"\n")
	if !ok {
		return nil
	}
	section, _, _ = strings.Cut(section, "\n=")
	out := map[string]string{}
	for line := range strings.SplitSeq(section, "\n") {
		if code, name, ok := strings.Cut(line, "\t"); ok {
			out[code] = name
		}
	}
	return out
}

// RulesOf returns the rules of a country; ok is false for what is none.
func RulesOf(code string) (r Rules, ok bool) {
	m := metadata()[code]
	if m == nil {
		return Rules{}, false
	}
	// Countries that share a calling code are spaced by the rules of the first among them.
	main := cmp.Or(metadata()[phonenumbers.GetRegionCodeForCountryCode(int(m.GetCountryCode()))], m)
	return Rules{
		Country:       code,
		Calling:       strconv.Itoa(int(m.GetCountryCode())),
		Prefix:        m.GetNationalPrefix(),
		National:      formats(main.GetNumberFormat(), m.GetNationalPrefix()),
		International: formats(main.GetIntlNumberFormat(), ""),
	}, true
}

// Main returns the first country of a calling code, "" for none: "US" for 1.
func Main(calling string) string {
	n, err := strconv.Atoi(calling)
	if err != nil {
		return ""
	}
	if code := phonenumbers.GetRegionCodeForCountryCode(n); Known(code) {
		return code
	}
	return ""
}

var firstGroup = regexp.MustCompile(`\$1`)

// formats turns libphonenumber's formats into ours.
func formats(in []*phonenumbers.NumberFormat, trunk string) []Format {
	out := make([]Format, 0, len(in))
	for _, f := range in {
		if f.GetFormat() == "NA" { // no international form
			continue
		}
		o := Format{Pattern: f.GetPattern(), Groups: f.GetFormat(), Leading: slices.Clone(f.GetLeadingDigitsPattern())}
		for i := range o.Leading {
			o.Leading[i] = strings.Map(func(r rune) rune {
				if r == ' ' || r == '\n' {
					return -1
				}
				return r
			}, o.Leading[i])
		}
		if rule := f.GetNationalPrefixFormattingRule(); rule != "" {
			rule = strings.NewReplacer("$NP", trunk, "$FG", "$1").Replace(rule)
			o.Trunk = firstGroup.ReplaceAllLiteralString(o.Groups, rule)
		}
		out = append(out, o)
	}
	return out
}
