package pdu

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/dialproof/dialproof/internal/message"
)

func TestGSM(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":         "",
		"@£$¥":     "\x00\x01\x02\x03",
		"Ab1 _":    "Ab1 \x11",
		"€[]":      "\x1b\x65\x1b\x3c\x1b\x3e",
		"^{}\\~|":  "\x1b\x14\x1b\x28\x1b\x29\x1b\x2f\x1b\x3d\x1b\x40",
		"äöüÄÖÜßñ": "\x7b\x7c\x7e\x5b\x5c\x5e\x1e\x7d",
		"ΔΩÇ\n\r":  "\x10\x15\x09\x0a\x0d",
		"\f":       "\x1b\x0a",
	} {
		b, ok := EncodeGSM(text)
		if !ok || string(b) != want {
			t.Errorf("%q is % x %v, want % x", text, b, ok, want)
		}
		if back := DecodeGSM(b); back != text {
			t.Errorf("%q came back as %q", text, back)
		}
	}
	for _, text := range []string{"ç", "`", "код", "🙂", "\x1b", "\xff"} {
		if _, ok := EncodeGSM(text); ok {
			t.Errorf("%q is no GSM text", text)
		}
	}
	for septets, want := range map[string]string{
		"\x1bA":    "A", // no such extension: the plain character (TS 23.038 §6.2.1.1, note 1)
		"a\x1b":    "a ",
		"\x1b\x1b": " ",
		"\x80":     "\uFFFD",
		"\x1b\xff": "\uFFFD",
	} {
		if got := DecodeGSM([]byte(septets)); got != want {
			t.Errorf("% x is %q, want %q", septets, got, want)
		}
	}
}

// TestAlphabet: the alphabet is the one that message counts by, for every character of the BMP.
func TestAlphabet(t *testing.T) {
	t.Parallel()
	for r := rune(0); r <= 0xFFFF; r++ {
		if r >= 0xD800 && r <= 0xDFFF {
			continue
		}
		encoding, _, units := message.Measure(string(r))
		b, ok := EncodeGSM(string(r))
		if ok != (encoding == message.GSM7) || (ok && len(b) != units) {
			t.Errorf("%q: % x %v, message says %v of %d", r, b, ok, encoding, units)
		}
	}
}

func TestLatin1AndUCS2(t *testing.T) {
	t.Parallel()
	if b, ok := EncodeLatin1("Grüße ç"); !ok || string(b) != "Gr\xfc\xdfe \xe7" || DecodeLatin1(b) != "Grüße ç" {
		t.Errorf("% x %v", b, ok)
	}
	if _, ok := EncodeLatin1("€"); ok {
		t.Error("€ is not in ISO 8859-1")
	}
	if b := EncodeUCS2("я🙂"); string(b) != "\x04\x4f\xd8\x3d\xde\x42" || DecodeUCS2(b) != "я🙂" {
		t.Errorf("% x", b)
	}
	for octets, want := range map[string]string{"\xd8\x3d": "\uFFFD", "\x00A\x00": "A", "\xde\x42\x00A": "\uFFFDA"} {
		if got := DecodeUCS2([]byte(octets)); got != want {
			t.Errorf("% x is %q, want %q", octets, got, want)
		}
	}
	if got := string(EncodeUCS2("\xff")); got != "\xff\xfd" {
		t.Errorf("what is no UTF-8 is % x", got)
	}
}

// TestSplit: the parts are those that message counts, whatever stands at the edges.
func TestSplit(t *testing.T) {
	t.Parallel()
	for _, unit := range []string{"a", "€", "a€", "я", "🙂", "я🙂", "aя🙂"} {
		for n := range 400 {
			text := strings.Repeat(unit, n) + "x"
			encoding, want, _ := message.Measure(text)
			b, coding, single, joined := EncodeUCS2(text), UCS2, SingleUCS2, JoinedUCS2
			if encoding == message.GSM7 {
				b, _ = EncodeGSM(text)
				coding, single, joined = Default, SingleGSM, JoinedGSM
			}
			parts := Split(b, coding, single, joined)
			if len(parts) != want || !bytes.Equal(bytes.Join(parts, nil), b) {
				t.Fatalf("%d times %q gives %d parts, want %d", n, unit, len(parts), want)
			}
			for i, p := range parts {
				whole := coding == Default && !strings.HasSuffix(DecodeGSM(p), " ")
				if coding == UCS2 {
					whole = !strings.ContainsRune(DecodeUCS2(p), utf8.RuneError)
				}
				if !whole || (len(parts) > 1 && len(p) > joined) {
					t.Fatalf("%d times %q: part %d is cut within a character or too long", n, unit, i)
				}
			}
		}
	}
}

func TestHeader(t *testing.T) {
	t.Parallel()
	b := Join(7, 3, 2, []byte("text"))
	if string(b) != "\x05\x00\x03\x07\x03\x02text" || string(SkipHeader(b)) != "text" {
		t.Errorf("% x", b)
	}
	for _, b := range []string{"", "\x05\x00", "\xff"} {
		if SkipHeader([]byte(b)) != nil {
			t.Errorf("% x has a header", b)
		}
	}
}
