// Package speech makes telephone sound: it has espeak-ng speak a text, and makes what is spoken as loud as everything
// else in a call.
//
// It knows nothing of calls, codes or languages' sentences: those are sip's, message's and prompts'. It must not be
// given a code: what it speaks, another program reads.
package speech

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"sync"
)

// Rate is how many samples a second telephone sound has.
const Rate = 8000

const (
	// maxText bounds a text, in bytes: two sentences with a brand and a payee at their longest.
	maxText = 2000
	// maxSound bounds what a text may become: 30 s.
	maxSound = 30 * Rate
	// maxRaw bounds what the program may write: 30 s at its 22,050 Hz, 16 bits, and the header.
	maxRaw = 30*22050*2 + 4096
	// maxKept bounds the sentences that are kept; each brand has a dozen in a language.
	maxKept = 256
	// atOnce bounds the programs that run at the same time; one takes about 30 ms.
	atOnce = 4
)

// words is how many words a minute are spoken.
const words = "140"

// ErrVoice means that there is no voice for a locale.
var ErrVoice = errors.New("speech: there is no voice for this language")

// Voice returns the voice of espeak-ng for a locale, "" for none. Left out are languages that it speaks so badly that
// nobody should have to understand a payment from it, and those whose letters it cannot read.
func Voice(locale string) string {
	for tag := locale; tag != ""; tag = tag[:max(strings.LastIndexByte(tag, '-'), 0)] {
		switch tag {
		case "en":
			return "en-us"
		case "pt-BR":
			return "pt-br"
		case "fr":
			return "fr-fr"
		case "es-419",
			"af",
			"bg",
			"ca",
			"cs",
			"da",
			"de",
			"el",
			"es",
			"et",
			"fi",
			"hi",
			"hr",
			"hu",
			"id",
			"it",
			"lt",
			"lv",
			"ms",
			"nb",
			"nl",
			"pl",
			"pt",
			"ro",
			"ru",
			"sk",
			"sl",
			"sr",
			"sv",
			"sw",
			"tr":
			return tag
		}
	}
	return ""
}

// Speaker has a program speak. Its methods are safe for many goroutines.
type Speaker struct {
	program string
	slots   chan struct{}

	mu    sync.Mutex
	kept  map[string][]int16
	order []string // of kept, the oldest first
}

// New returns a speaker by a program that takes the options of espeak-ng.
func New(program string) *Speaker {
	return &Speaker{program: program, slots: make(chan struct{}, atOnce), kept: map[string][]int16{}}
}

// Find returns a speaker by Debian's espeak-ng, or nil if it is not installed.
func Find() *Speaker {
	path, err := exec.LookPath("espeak-ng")
	if err != nil {
		return nil
	}
	return New(path)
}

// Say returns a text as telephone sound, 16-bit samples at Rate, at Loudness. The samples are shared: they must not be
// changed. The error is ErrVoice, or says what the program did; it never has the text in it.
func (s *Speaker) Say(ctx context.Context, locale, text string) ([]int16, error) {
	voice := Voice(locale)
	switch {
	case voice == "":
		return nil, ErrVoice
	case text == "" || len(text) > maxText:
		return nil, fmt.Errorf("speech: a text must have 1 to %d bytes", maxText)
	}
	key := voice + "\x00" + text
	s.mu.Lock()
	sound, ok := s.kept[key]
	s.mu.Unlock()
	if ok {
		return sound, nil
	}
	sound, err := s.Speak(ctx, voice, words, text)
	if err != nil {
		return nil, err
	}
	s.keep(key, sound)
	return sound, nil
}

func (s *Speaker) keep(key string, sound []int16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, twice := s.kept[key]; twice {
		return
	}
	if len(s.order) >= maxKept {
		delete(s.kept, s.order[0])
		s.order = slices.Delete(s.order, 0, 1)
	}
	s.kept[key], s.order = sound, append(s.order, key)
}

// Speak is Say with a voice of espeak-ng and a speed in words a minute, and keeps nothing.
func (s *Speaker) Speak(ctx context.Context, voice, speed, text string) ([]int16, error) {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	// The text goes in by the standard input: an argument could be read by everybody on the machine.
	//nolint:gosec // the operator's own program
	cmd := exec.CommandContext(ctx, s.program, "-v", voice, "-s", speed, "-g", "2", "-b", "1", "--stdin", "--stdout")
	cmd.Stdin = strings.NewReader(text)
	var out bytes.Buffer
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("speech: the program cannot be started: %w", err)
	}
	n, readErr := io.Copy(&out, io.LimitReader(pipe, maxRaw+1))
	if n > maxRaw {
		_ = cmd.Process.Kill() // it is waited for below
	}
	if err := cmd.Wait(); err != nil || readErr != nil || n > maxRaw {
		return nil, fmt.Errorf("speech: the program failed after %d bytes: %w", n, errors.Join(err, readErr))
	}
	samples, rate, err := pcm(out.Bytes())
	if err != nil {
		return nil, err
	}
	sound := Level(Trim(Resample(samples, rate)))
	if len(sound) == 0 || len(sound) > maxSound {
		return nil, errors.New("speech: the program spoke nothing, or did not stop")
	}
	return sound, nil
}
