package logging

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestMask(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"Unsolicited response received on idle HTTP channel starting with \"code 123456 for +15550100\"; " +
			"err=<nil>\n": "Unsolicited response received on idle HTTP channel starting with …; err=<nil>",
		"your code is 123456":                "your code is #",
		"your code is 123-456 or 12 34 56":   "your code is # or # # #",
		"to +1(555)0100 with A1B2C3":         "to # with #",
		"Arabic ١٢٣٤٥٦ and full ４２":          "Arabic # and full #",
		"\"an open quote with 1234":          "…",
		"first\nsecond 123456":               "first",
		"http: superfluous WriteHeader call": "http: superfluous WriteHeader call",
		"":                                   "",
	} {
		if got := Mask(text); got != want {
			t.Errorf("Mask(%q) = %q, want %q", text, got, want)
		}
	}
	if n := len(Mask(strings.Repeat("word ", 1000))); n > maxForeign {
		t.Errorf("%d bytes are kept of a long line", n)
	}
}

// read returns the lines of a log.
func read(t *testing.T, b *bytes.Buffer) (out []map[string]any) {
	t.Helper()
	for line := range strings.Lines(b.String()) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("no JSON: %q", line)
		}
		out = append(out, m)
	}
	b.Reset()
	return out
}

// TestForeign: a line of a library is a masked WARN line, and many are few.
func TestForeign(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		l := Foreign(slog.New(slog.NewJSONHandler(&b, nil)), "net/http")
		for range 100 {
			l.Printf("answer %q", "code 123456")
		}
		got := read(t, &b)
		if len(got) != 1 || got[0]["level"] != "WARN" || got[0]["from"] != "net/http" || got[0]["text"] != "answer …" {
			t.Errorf("a hundred lines of a library: %v", got)
		}
		time.Sleep(foreignEvery)
		l.Print("another")
		if got := read(t, &b); len(got) != 1 || got[0]["text"] != "another" || got[0]["left_out"] != float64(99) {
			t.Errorf("the next line: %v", got)
		}
	})
}

// TestOutage: whatever fails in an outage of minutes, and however often, there is a line when it begins, one a minute,
// and one when it ends, with the counts.
func TestOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		down := errors.New("down")
		o := NewOutage(slog.NewJSONHandler(&b, nil), func(err error) bool { return errors.Is(err, down) })
		log := o.Logger().With("node", "a")
		looked := 0
		health := error(nil)
		look := func() { o.Look(t.Context(), func(context.Context) error { looked++; return health }) }

		look()
		log.Error("another error", "error", errors.New("of somebody else"))
		if got := read(t, &b); len(got) != 1 || got[0]["node"] != "a" || looked != 0 {
			t.Errorf("before the outage: %v, looked %d times", got, looked)
		}
		health = down
		for range 150 { // a second each
			for range 7 {
				log.Error("a request failed", "request", "req_1", "error", fmt.Errorf("it is %w", down))
			}
			log.Warn("due jobs cannot be claimed", "error", down)
			o.Failed(3, down)
			look()
			time.Sleep(time.Second)
		}
		holdOutage(t, read(t, &b))
		if looked != 0 {
			t.Errorf("the store was asked %d times while everything failed", looked)
		}
		for range 5 { // nobody asks for anything, and the store is still down
			look()
			time.Sleep(time.Second)
		}
		if got := read(t, &b); len(got) != 0 || looked == 0 {
			t.Errorf("while nobody asks: %v, looked %d times", got, looked)
		}
		health = nil
		look()
		holdEnd(t, read(t, &b))
		time.Sleep(time.Hour)
		look()
		log.Error("a request failed", "error", down)
		if got := read(t, &b); len(got) != 1 || got[0]["level"] != "ERROR" {
			t.Errorf("the next outage: %v", got)
		}
	})
}

// holdOutage holds the lines of TestOutage while the store is down: one when that begins, and one a minute.
func holdOutage(t *testing.T, got []map[string]any) {
	t.Helper()
	if len(got) != 3 || got[0]["level"] != "ERROR" || got[0]["error"] != "it is down" ||
		got[2]["failed_writes"] != float64(3*120) {
		t.Errorf("during the outage: %v", got)
	}
}

// holdEnd holds its last line, with the counts.
func holdEnd(t *testing.T, got []map[string]any) {
	t.Helper()
	if len(got) != 1 || got[0]["failed_writes"] != float64(450) || got[0]["lasted"] != "2m35s" {
		t.Fatalf("at its end: %v", got)
	}
	if f, _ := got[0]["failures"].(map[string]any); f["a request failed"] != float64(1050) ||
		f["due jobs cannot be claimed"] != float64(150) {
		t.Errorf("the counts: %v", got[0])
	}
}

// TestOutageDebug: at the level DEBUG every line is there.
func TestOutageDebug(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	o := NewOutage(slog.NewJSONHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug}), func(error) bool { return true })
	for range 3 {
		o.Logger().Error("a request failed", "error", errors.New("down"))
	}
	if got := read(t, &b); len(got) != 4 || got[1]["level"] != "DEBUG" {
		t.Errorf("%v", got)
	}
}
