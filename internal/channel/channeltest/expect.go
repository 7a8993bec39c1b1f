package channeltest

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/dialproof/dialproof/internal/channel"
)

// The files of a provider's folder that say what is expected of it. They are written from the provider's documents and
// never from its code: this package has no other way to take an expected error.
const (
	ErrorsFile = "errors.tsv"
	NewsFile   = "receipts.tsv"
)

// errorColumns and newsColumns are the first lines of the two files.
var (
	errorColumns = []string{"where", "error", "status", "kind", "code", "about", "meaning", "document", "body"}
	newsColumns  = []string{"where", "word", "status", "document"}
)

// Expected is one row of errors.tsv: an error of the provider's and what must become of it.
type Expected struct {
	// Line is where the row stands in its file, from 1.
	Line int
	// Where is which of the provider's words carries the error, such as "answer", "item" or "receipt". Rows of one
	// place are held against the same table of the code.
	Where string
	// Error is the provider's own code or word.
	Error string
	// Status is the status of the answer (HTTP, SIP or SMPP's command_status) and Header what comes beside it; 0 for none.
	Status int
	Header map[string]string
	Kind   channel.ErrorKind
	// Code is what the error must carry: usually Error. "*" is any.
	Code string
	// About is what the failure is about: destination, sender, template, account or route.
	About string
	// Meaning is what the document says, in words of ours, and Document which one says it and of which day. "-" marks
	// a row that no document has, such as an answer without an id.
	Meaning, Document string
	// Body is the answer itself, or the words of a receipt, for rows that are not written like the others.
	Body string
}

// abouts is what a failure can be about.
func abouts() []string { return []string{"destination", "sender", "template", "account", "route"} }

// News is one row of receipts.tsv: a provider's word for how far a message has come, and ours.
type News struct {
	Line     int
	Where    string
	Word     string
	Status   channel.Status
	Document string
}

// ReadErrors returns the rows of a folder's errors.tsv. Lines that are empty or begin with # say nothing.
func ReadErrors(dir fs.FS) ([]Expected, error) {
	lines, err := readTable(dir, ErrorsFile, errorColumns, len(errorColumns)-1)
	if err != nil {
		return nil, err
	}
	var out []Expected
	var faults []error
	for _, l := range lines {
		e, err := l.expected()
		if err != nil {
			faults = append(faults, fmt.Errorf("%s:%d: %w", ErrorsFile, l.number, err))
		}
		out = append(out, e)
	}
	return out, errors.Join(faults...)
}

// ReadNews returns the rows of a folder's receipts.tsv.
func ReadNews(dir fs.FS) ([]News, error) {
	lines, err := readTable(dir, NewsFile, newsColumns, len(newsColumns))
	if err != nil {
		return nil, err
	}
	var out []News
	for _, l := range lines {
		n := News{
			Line:     l.number,
			Where:    l.cells[0],
			Word:     l.cells[1],
			Status:   channel.Status(l.cells[2]),
			Document: l.cells[3],
		}
		if !n.Status.Valid() || n.Document == "" {
			return nil, fmt.Errorf("%s:%d: the status %q is none, or the document is missing", NewsFile, l.number, n.Status)
		}
		out = append(out, n)
	}
	return out, nil
}

// line is one line of a table.
type line struct {
	number int
	cells  []string
}

// readTable returns the lines below the heading. Cells at the end may be left out, but not the first ones.
func readTable(dir fs.FS, name string, columns []string, least int) ([]line, error) {
	text, err := fs.ReadFile(dir, name)
	if err != nil {
		return nil, err
	}
	var out []line
	headed := false
	for i, s := range strings.Split(string(text), "\n") {
		if s == "" || strings.HasPrefix(s, "#") {
			continue
		}
		cells := strings.Split(s, "\t")
		switch {
		case !headed && !slices.Equal(cells, columns):
			return nil, fmt.Errorf("%s:%d: the first line must name the columns %q", name, i+1, columns)
		case !headed:
			headed = true
			continue
		case len(cells) < least || len(cells) > len(columns):
			return nil, fmt.Errorf("%s:%d: %d cells, want %d", name, i+1, len(cells), len(columns))
		}
		for len(cells) < len(columns) {
			cells = append(cells, "")
		}
		out = append(out, line{i + 1, cells})
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s: has no rows", name)
	}
	return out, nil
}

// expected reads one line of errors.tsv.
func (l line) expected() (Expected, error) {
	c := l.cells
	e := Expected{
		Line:     l.number,
		Where:    c[0],
		Error:    c[1],
		Kind:     channel.ErrorKind(c[3]),
		Code:     c[4],
		About:    c[5],
		Meaning:  c[6],
		Document: c[7],
		Body:     c[8],
	}
	if e.Code == "" {
		e.Code = e.Error
	}
	status, header, with := strings.Cut(c[2], " ")
	if key, value, ok := strings.Cut(header, ": "); ok {
		e.Header = map[string]string{key: value}
	} else if with {
		return e, fmt.Errorf("the header %q must be like Retry-After: 7", header)
	}
	if status != "" {
		n, err := strconv.ParseInt(status, 0, 32)
		if err != nil {
			return e, fmt.Errorf("the status %q is no number", status)
		}
		e.Status = int(n)
	}
	switch {
	case e.Where == "" || e.Error == "" || e.Meaning == "" || e.Document == "":
		return e, errors.New("where, error, meaning and document must not be empty")
	case !slices.Contains(channel.ErrorKinds(), e.Kind):
		return e, fmt.Errorf("the kind %q is none of %v", e.Kind, channel.ErrorKinds())
	case !slices.Contains(abouts(), e.About):
		return e, fmt.Errorf("about is %q, want one of %v", e.About, abouts())
	case e.Document == "-" && e.Body == "" && c[4] == "":
		return e, errors.New("a row of no document must give its body or its code")
	}
	return e, nil
}

// Documented reports whether a document has the error, so that a table of the code must have it too.
func (e Expected) Documented() bool { return e.Document != "-" }

// String says where the row stands.
func (e Expected) String() string {
	return fmt.Sprintf("%s:%d (%s %s)", ErrorsFile, e.Line, e.Where, e.Error)
}

// Keys returns the keys of a table.
func Keys[V any](table map[string]V) []string { return slices.Collect(maps.Keys(table)) }

// Covers compares a table of the code with the rows of its place, or of several with spaces between: each must have
// what the other has.
func Covers(rows []Expected, where string, table []string) error {
	documented := map[string]bool{}
	for _, e := range rows {
		if slices.Contains(strings.Fields(where), e.Where) && e.Documented() {
			documented[e.Error] = true
		}
	}
	var faults []error
	for _, key := range slices.Sorted(slices.Values(table)) {
		if !documented[key] {
			faults = append(faults,
				fmt.Errorf("%s: the code knows the error %q, and no row of %s has it", where, key, ErrorsFile))
		}
		delete(documented, key)
	}
	for key := range documented {
		faults = append(faults, fmt.Errorf("%s: %s has the error %q, and the code does not know it", where, ErrorsFile, key))
	}
	return errors.Join(faults...)
}

// testdata returns the harness's folder.
func (h Harness) testdata() fs.FS {
	if h.Testdata == nil {
		return os.DirFS("testdata")
	}
	return h.Testdata
}

// expected returns the rows of the harness's errors.tsv.
func (h Harness) expected() ([]Expected, error) { return ReadErrors(h.testdata()) }

// Answered is an error that a carrier answers, and what must become of it.
type Answered struct {
	Expected
	Reply Reply
}

// Answers returns the rows of errors.tsv that come in an answer, as the carrier answers them.
func (h Harness) Answers() ([]Answered, error) {
	rows, err := h.expected()
	if err != nil {
		return nil, err
	}
	var out []Answered
	for _, e := range rows {
		if e.reported() {
			continue
		}
		r := Reply{Status: e.Status, Header: e.Header, Body: e.Body}
		if e.Body == "" && h.Answer != nil {
			r.Body = h.Answer(e)
		}
		if r.Status == 0 {
			return nil, fmt.Errorf("%s: an answer needs its status", e)
		}
		out = append(out, Answered{e, r})
	}
	return out, nil
}

// reported reports whether the error comes in a receipt and not in an answer.
func (e Expected) reported() bool { return strings.HasPrefix(e.Where, "receipt") }

// fits compares an error with what is expected.
func (e Expected) fits(kind channel.ErrorKind, code string) error {
	if kind != e.Kind || (e.Code != "*" && code != e.Code) {
		return fmt.Errorf("%s: %s %q, want %s %q", e, kind, code, e.Kind, e.Code)
	}
	return nil
}
