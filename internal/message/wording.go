package message

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// wording is one language: sentences in its full orthography, as they are spoken too. Placeholders are those of
// LintTemplate, {-} (see slotHyphen) and {for}, which stands for what the code is for and goes away, with a space
// before it, when there is nothing to say.
type wording struct {
	fold folding // what the written texts lose
	join joint   // between sentences

	text                      string // the written sentence with the code
	reg, login, reset, change string // {for} of each purpose
	any                       string // {for} of every other purpose
	pay                       string // the payment, after the sentence with the code
	warn                      string // kept only where there is room
	minutes                   string // kept only where there is room

	prompt, intro, lead, again string // see Spoken
}

// folding chooses the letters that a written text loses so that it is GSM-7, chosen per language by what people
// there are used to read in an SMS.
type folding int

const (
	foldNone    folding = iota
	foldForeign         // marks on letters that GSM-7 lacks: "código" is "codigo", "contraseña" stays
	foldAll             // all marks
)

// joint is what stands between sentences.
type joint int

const (
	joinSpace joint = iota
	joinNone
)

// edition is a wording made ready: the candidates of each purpose, the best first.
type edition struct {
	tag      string
	wording  wording
	purposes map[string][]candidate
	other    []candidate // of purposes without a text of their own
	payment  []candidate
}

// bare is what is left when nothing else fits. It is in no language, and in GSM-7 if the brand is.
const bare = "{code} {brand}"

// codeOnly is for a long origin that names the brand anyhow.
var codeOnly = compile("{code}")

// barePayment is bare for a payment: amount, currency and payee are never left out.
const barePayment = "{code}: {money}, {payee}"

// editions are all shipped languages by tag, made ready at first use and never changed.
var editions = sync.OnceValue(func() map[string]*edition {
	out := make(map[string]*edition)
	for _, group := range []map[string]wording{western, eastern, wide} {
		for tag, w := range group {
			out[tag] = prepare(tag, w)
		}
	}
	return out
})

// Locales returns the BCP 47 tags of all shipped languages, sorted.
func Locales() []string { return slices.Sorted(maps.Keys(editions())) }

// prepare makes the candidates of a wording. Warned purposes are those that a fraudster on the phone asks a
// code for.
func prepare(tag string, w wording) *edition {
	l := &edition{tag: tag, wording: w, purposes: map[string][]candidate{
		Registration:  w.candidates(w.reg, false),
		Login:         w.candidates(w.login, true),
		PasswordReset: w.candidates(w.reset, true),
		ProfileChange: w.candidates(w.change, true),
	}}
	l.other = w.candidates(w.any, false)
	plain := w.sentence(w.any)
	opening, _, _ := strings.Cut(w.text, "{code}") // right to left, a word before the code; see wide
	if strings.Contains(opening, "{") {
		opening = ""
	}
	l.payment = []candidate{
		w.written(plain, w.pay, w.minutes),
		w.written(plain, w.pay),
		w.written(opening + "{code} " + w.pay),
		compile(barePayment),
	}
	return l
}

// candidates returns the texts for one purpose from the fullest to the barest.
func (w wording) candidates(purpose string, warned bool) []candidate {
	s := w.sentence(purpose)
	var out []candidate
	if warned {
		out = append(out, w.written(s, w.warn, w.minutes), w.written(s, w.warn))
	}
	return append(out, w.written(s, w.minutes), w.written(s), w.written(w.sentence(w.any)), compile(bare))
}

func (w wording) sentence(purpose string) string { return fillFor(w.text, purpose) }

// fillFor puts what the code is for into a sentence. A clause of its own begins with a comma, which follows the word
// before.
func fillFor(sentence, purpose string) string {
	if purpose == "" || strings.HasPrefix(purpose, ",") {
		sentence = strings.ReplaceAll(sentence, " {for}", purpose)
	}
	return strings.ReplaceAll(sentence, "{for}", purpose)
}

// written joins sentences to a text and folds it.
func (w wording) written(sentences ...string) candidate {
	sep := " "
	if w.join == joinNone {
		sep = ""
	}
	return compile(w.fold.apply(strings.Join(sentences, sep)))
}

// apply takes marks off letters.
func (f folding) apply(s string) string {
	if f == foldNone {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if r < unicode.MaxASCII || f == foldForeign && septets(r) > 0 {
			b.WriteRune(r)
			continue
		}
		b.WriteString(unmarked(r))
	}
	return b.String()
}

// unmarked returns a letter without its marks.
func unmarked(r rune) string {
	switch r { // letters that Unicode does not decompose
	case 'ł':
		return "l"
	case 'Ł':
		return "L"
	case 'đ':
		return "d"
	case 'Đ':
		return "D"
	case 'ı':
		return "i"
	}
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return r
	}, norm.NFD.String(string(r)))
}
