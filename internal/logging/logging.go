// Package logging is what a running server adds to log/slog: lines that other code in the process writes are taken in
// and masked, and an outage of the store is two lines instead of one for each failure.
//
// It holds neither metrics nor traces, and it does not choose a format: the command line does.
package logging

import (
	"context"
	"log"
	"log/slog"
	"strings"
	"sync"
	"time"
	"unicode"
)

// foreignEvery is how often a line of other code is logged, at most: a provider can cause one with each answer.
const foreignEvery = 10 * time.Second

// Foreign returns a logger for code that is not ours, such as net/http. Its lines become WARN lines of l, without what
// may be a number or a code: see Mask. At most one is logged every ten seconds; the next one tells how many were left
// out.
func Foreign(l *slog.Logger, from string) *log.Logger {
	return log.New(&foreign{log: l, from: from, now: time.Now}, "", 0)
}

// Redirect makes the standard library's own logger, which net/http's client and others use, write to l as Foreign does.
// It changes the whole process: only what runs a server calls it.
func Redirect(l *slog.Logger) {
	log.SetFlags(0)
	log.SetPrefix("")
	log.SetOutput(&foreign{log: l, from: "standard library", now: time.Now})
}

// foreign is the writer under a log.Logger, which calls it once for each line.
type foreign struct {
	log  *slog.Logger
	from string
	now  func() time.Time

	mu   sync.Mutex
	last time.Time
	more int
}

// Write implements io.Writer.
func (f *foreign) Write(p []byte) (int, error) {
	if more, ok := f.turn(); ok {
		attrs := []slog.Attr{slog.String("from", f.from), slog.String("text", Mask(string(p)))}
		if more > 0 {
			attrs = append(attrs, slog.Int("left_out", more))
		}
		//nolint:forbidigo // no request is behind it
		f.log.LogAttrs(context.Background(), slog.LevelWarn, "a library has something to say", attrs...)
	}
	return len(p), nil
}

// turn reports whether a line may be logged now, and how many were left out before it.
func (f *foreign) turn() (more int, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	if !f.last.IsZero() && now.Sub(f.last) < foreignEvery {
		f.more++
		return 0, false
	}
	more, f.last, f.more = f.more, now, 0
	return more, true
}

// maxForeign bounds what is kept of a line, in bytes.
const maxForeign = 300

// Mask returns a text without what may be a number or a code. What a text quotes was made by somebody else and is left
// out, as are words with a digit in them; lines after the first are dropped.
func Mask(text string) string {
	text, _, _ = strings.Cut(strings.TrimSpace(text), "\n")
	if begin := strings.IndexAny(text, "\"`'"); begin >= 0 {
		end := strings.LastIndexAny(text, "\"`'")
		if end == begin {
			end = len(text) - 1 // it was cut off
		}
		text = text[:begin] + "…" + text[end+1:]
	}
	words := strings.Fields(text)
	for i, w := range words {
		if strings.ContainsFunc(w, func(r rune) bool { return unicode.IsNumber(r) || r > unicode.MaxLatin1 && r != '…' }) {
			words[i] = "#"
		}
	}
	text = strings.Join(words, " ")
	return text[:min(len(text), maxForeign)]
}
