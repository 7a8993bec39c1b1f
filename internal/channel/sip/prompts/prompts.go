// Package prompts holds what a call says: the recordings built into the program, and those of an operator's own folder.
//
// It plays nothing and knows nothing of SIP. README.md says how the built-in recordings were made.
package prompts

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Rate is how many samples a second every recording has. A sample is one byte of G.711 μ-law.
const Rate = 8000

// The recordings that a language must have. Those of the digits are named "0" to "9", those of the letters "a" to "z".
const (
	Greeting = "greeting"
	PressOne = "press_one"
	Lead     = "lead"
	Again    = "again"
	Goodbye  = "goodbye"
)

// fallback is the language of last resort.
const fallback = "en"

const (
	// maxFile bounds a recording's file, in bytes: 20 s of 16-bit samples and some metadata.
	maxFile = 512 << 10
	// maxLength bounds a recording, in samples: 20 s, since an answered call lasts a minute at most.
	maxLength = 20 * Rate
)

//go:embed data spelling
var files embed.FS

// languageForm is that of a folder's name: a language tag.
var languageForm = regexp.MustCompile(`^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$`)

// builtIn is the book of the program's own recordings, read at first use and never changed.
var builtIn = sync.OnceValues(func() (*Book, error) {
	data, err := fs.Sub(files, "data")
	if err != nil {
		return nil, err
	}
	b := &Book{}
	if err := b.read(data); err != nil {
		return nil, err
	}
	return b, b.spell()
})

// betweenWords is the pause between a letter and its word, in samples.
const betweenWords = Rate / 10

// spell puts the spelling words behind the letters. They are kept once, since they are the same in every language.
func (b *Book) spell() error {
	words, err := readLanguage(files, "spelling")
	if err != nil {
		return err
	}
	for _, own := range b.languages {
		for letter, word := range words {
			if audio, ok := own[letter]; ok {
				own[letter] = slices.Concat(audio, bytes.Repeat([]byte{MuLaw(0)}, betweenWords), word)
			}
		}
	}
	return nil
}

// Book is a set of recordings. It never changes once it is read, so many calls may use it at once.
type Book struct {
	languages map[string]map[string][]byte
}

// Load returns the built-in recordings with those of a folder laid over them: <language>/<name>.wav, for example
// fr/greeting.wav. A nil folder is none. The error names the file and says what to do.
func Load(folder fs.FS) (*Book, error) {
	base, err := builtIn()
	if err != nil || folder == nil {
		return base, err
	}
	b := &Book{languages: map[string]map[string][]byte{}}
	for tag, own := range base.languages {
		b.put(tag, own)
	}
	if err := b.read(folder); err != nil {
		return nil, err
	}
	return b, nil
}

// put lays recordings over those that the language has.
func (b *Book) put(tag string, own map[string][]byte) {
	if b.languages == nil {
		b.languages = map[string]map[string][]byte{}
	}
	all := map[string][]byte{}
	maps.Copy(all, b.languages[tag])
	maps.Copy(all, own)
	b.languages[tag] = all
}

// read lays the recordings of a folder over those of the book.
func (b *Book) read(folder fs.FS) error {
	entries, err := fs.ReadDir(folder, ".")
	if err != nil {
		return fmt.Errorf("the folder cannot be read: %w", plain(err))
	}
	var tags []string
	for _, e := range entries {
		switch {
		case strings.HasPrefix(e.Name(), "."):
		case strings.HasSuffix(e.Name(), ".wav"):
			return fmt.Errorf("%s: recordings belong into a folder of their language, for example en/%s", e.Name(), e.Name())
		case !isFolder(folder, e):
		case !languageForm.MatchString(e.Name()):
			return fmt.Errorf("%s: is no language; name the folder like en or pt-BR", e.Name())
		default:
			own, err := readLanguage(folder, e.Name())
			if err != nil {
				return err
			}
			b.put(e.Name(), own)
			tags = append(tags, e.Name())
		}
	}
	return b.complete(tags)
}

// isFolder follows a link, as an operator may have put one.
func isFolder(folder fs.FS, e fs.DirEntry) bool {
	info, err := fs.Stat(folder, e.Name())
	return err == nil && info.IsDir()
}

func readLanguage(folder fs.FS, tag string) (map[string][]byte, error) {
	entries, err := fs.ReadDir(folder, tag)
	if err != nil {
		return nil, fmt.Errorf("%s: cannot be read: %w", tag, plain(err))
	}
	out := map[string][]byte{}
	for _, e := range entries {
		name, is := strings.CutSuffix(e.Name(), ".wav")
		file := path.Join(tag, e.Name())
		if !is || strings.HasPrefix(name, ".") {
			continue
		}
		if !known(name) {
			return nil,
				fmt.Errorf("%s: there is no such recording; the names are %s, 0 to 9 and a to z", file,
					strings.Join(required()[:5], ", "))
		}
		text, err := readFile(folder, file)
		if err != nil {
			return nil, fmt.Errorf("%s: cannot be read: %w", file, plain(err))
		}
		if out[name], err = decode(text); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	return out, nil
}

// readFile reads a recording, but not a huge one.
func readFile(folder fs.FS, file string) ([]byte, error) {
	info, err := fs.Stat(folder, file)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("is larger than %d bytes; a recording lasts 20 s at most", maxFile)
	}
	return fs.ReadFile(folder, file)
}

// plain returns an error without the path, which the caller names.
func plain(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}

// required returns the names that a language must have. Letters it need not: the English ones stand in.
func required() []string {
	out := []string{Greeting, PressOne, Lead, Again, Goodbye}
	for d := '0'; d <= '9'; d++ {
		out = append(out, string(d))
	}
	return out
}

func known(name string) bool {
	return slices.Contains(required(), name) || (len(name) == 1 && name[0] >= 'a' && name[0] <= 'z')
}

// complete holds that a call in these languages need not change its language in the middle.
func (b *Book) complete(tags []string) error {
	for _, tag := range tags {
		for _, name := range required() {
			if _, ok := b.search(tag, name); !ok {
				return fmt.Errorf("%s: %s.wav is missing; a language that is not built in needs %s and 0 to 9", tag, name,
					strings.Join(required()[:5], ", "))
			}
		}
	}
	return nil
}

// search looks in a language and in what it is a variant of: pt-BR, then pt.
func (b *Book) search(tag, name string) ([]byte, bool) {
	for tag != "" {
		if audio, ok := b.languages[tag][name]; ok {
			return audio, true
		}
		i := strings.LastIndexByte(tag, '-')
		if i < 0 {
			break
		}
		tag = tag[:i]
	}
	return nil, false
}

// Find returns a recording in the language of a locale, or else the English one. ok is false when nobody has
// recorded it. The bytes are shared: they must not be changed.
func (b *Book) Find(locale, name string) (audio []byte, ok bool) {
	name = strings.ToLower(name)
	if audio, ok = b.search(locale, name); ok {
		return audio, true
	}
	return b.search(fallback, name)
}

// Speaks reports whether a locale has recordings of its own, so that Find need not fall back to English.
func (b *Book) Speaks(locale string) bool {
	_, ok := b.search(locale, Lead)
	return ok
}

// Languages returns the tags of all languages, sorted.
func (b *Book) Languages() []string {
	var out []string
	for tag := range b.languages {
		out = append(out, tag)
	}
	slices.Sort(out)
	return out
}
