package docs

import (
	"io/fs"
	"path"
	"slices"
	"strings"
)

// group is a part of the navigation: a heading and the files under it, in the order in which a person reads them.
// A folder stands for its README and then everything else in it, by name.
type group struct {
	title string
	files []string
}

// front is the front list: every page of docs/ is in it, and a test holds that. A page that is not written yet is left
// out.
func front() []group {
	return []group{
		{"Start", []string{"README.md", "quickstart.md", "concepts.md", "testing.md"}},
		{"Guides",
			[]string{"guides/registration.md", "guides/login.md", "guides/password-reset.md", "guides/transaction.md",
				"guides/profile-change.md", "hosted-page.md", "widget.md", "webhooks.md"}},
		{"Reference", []string{reference, "errors.md", "configuration.md", "languages.md", "glossary.md"}},
		{"Running it", []string{"operations.md", "delivery.md", "store.md", "fraud.md", "security.md", "benchmarks.md"}},
		{"Migration", []string{"migration/twilio-verify.md", "migration/vonage-verify.md", "migration/firebase.md"}},
		{"Providers", []string{"providers"}},
		{"How it is made", []string{"architecture.md", "proofs.md", "accessibility.md", "decisions"}},
	}
}

// reference is the page that is made from the contract. It is no file.
const reference = "api.md"

// link is an entry of the navigation.
type link struct{ File, URL, Title string }

// chapter is a group with what is really there.
type chapter struct {
	Title string
	Links []link
}

// chapters returns the front list with titles, without what is not there.
func chapters(files fs.FS) []chapter {
	var out []chapter
	for _, g := range front() {
		c := chapter{Title: g.title}
		for _, file := range expand(files, g.files) {
			if title := titleOf(files, file); title != "" {
				c.Links = append(c.Links, link{file, address(file), title})
			}
		}
		if len(c.Links) > 0 {
			out = append(out, c)
		}
	}
	return out
}

// expand puts the files of a folder in place of it.
func expand(files fs.FS, names []string) (out []string) {
	for _, name := range names {
		if path.Ext(name) == ".md" {
			out = append(out, name)
			continue
		}
		there, _ := fs.Glob(files, name+"/*.md") // the pattern is well formed
		slices.SortFunc(there, func(a, b string) int {
			if x, y := path.Base(a) == "README.md", path.Base(b) == "README.md"; x != y {
				if x {
					return -1
				}
				return 1
			}
			return strings.Compare(a, b)
		})
		out = append(out, there...)
	}
	return out
}

// titleOf returns the first heading of a page, or nothing when there is no such page.
func titleOf(files fs.FS, file string) string {
	switch file {
	case reference:
		return "API reference"
	case "README.md":
		return "Overview"
	}
	text, err := fs.ReadFile(files, file)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if title, ok := strings.CutPrefix(line, "# "); ok {
			return strings.TrimSpace(strings.ReplaceAll(title, "`", ""))
		}
	}
	return file
}

// address returns where a page is served: README.md stands for its folder.
func address(file string) string {
	name := strings.TrimSuffix(file, ".md")
	if path.Base(name) == "README" {
		name = path.Dir(name)
	}
	if name == "." {
		return root
	}
	return root + "/" + name
}
