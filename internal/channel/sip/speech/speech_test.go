package speech

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// sine returns seconds of a tone.
func sine(rate int, frequency, amplitude, seconds float64) []float64 {
	out := make([]float64, int(float64(rate)*seconds))
	for i := range out {
		out[i] = amplitude * math.Sin(2*math.Pi*frequency*float64(i)/float64(rate))
	}
	return out
}

// TestMeasure holds the meter against what the standards say of known signals.
func TestMeasure(t *testing.T) {
	t.Parallel()
	near := func(name string, got, want, within float64) {
		if math.Abs(got-want) > within {
			t.Errorf("%s: %.2f LUFS, want %.2f", name, got, want)
		}
	}
	// BS.1770-5, annex 1: a sine of 997 Hz at 0 dBFS in one channel is -3.01 LKFS.
	near("the reference at 48 kHz", measure(sine(48000, 997, 1, 3), 48000), -3.01, 0.05)
	near("the reference at 8 kHz", measure(sine(8000, 997, 1, 3), 8000), -3.01, 0.15)
	// A tone 20 dB softer is 20 LU softer.
	near("20 dB softer", measure(sine(48000, 997, 0.1, 3), 48000), -23.01, 0.05)
	// The coefficients that BS.1770-5 prints for 48 kHz (tables 1 and 2).
	shelf, pass := highShelf(48000), highPass(48000)
	for _, c := range []struct{ got, want float64 }{
		{shelf.b0, 1.53512485958697}, {shelf.b1, -2.69169618940638}, {shelf.b2, 1.19839281085285},
		{shelf.a1, -1.69065929318241}, {shelf.a2, 0.73248077421585},
		{pass.a1, -1.99004745483398}, {pass.a2, 0.99007225036621},
	} {
		if math.Abs(c.got-c.want) > 1e-8 {
			t.Errorf("a coefficient is %.14f, want %.14f", c.got, c.want)
		}
	}
	// EBU Tech 3341, case 3 in mono: what is 10 LU below the rest does not count.
	gated := append(append(sine(48000, 1000, 0.01, 2), sine(48000, 1000, 0.1, 6)...), sine(48000, 1000, 0.01, 2)...)
	near("gated", measure(gated, 48000), -23.0, 0.3)
	if got := Measure(make([]float64, Rate)); !math.IsInf(got, -1) {
		t.Errorf("silence is %f", got)
	}
}

// TestResample: what a telephone carries stays, and the rest goes.
func TestResample(t *testing.T) {
	t.Parallel()
	for frequency, want := range map[float64]float64{1000: 1, 300: 1, 3000: 1, 60: 0, 3900: 0, 5000: 0, 9000: 0} {
		out := Resample(sine(22050, frequency, 1, 0.5), 22050)
		peak := 0.0
		for _, v := range out[Rate/10 : len(out)-Rate/10] {
			peak = max(peak, math.Abs(v))
		}
		if math.Abs(peak-want) > 0.06 {
			t.Errorf("%.0f Hz: %.3f, want %.0f", frequency, peak, want)
		}
	}
}

// TestLevel: faint, loud, short and spiky sound all come out as loud, and below the ceiling.
func TestLevel(t *testing.T) {
	t.Parallel()
	spiky := sine(Rate, 500, 0.05, 1)
	for i := 0; i < len(spiky); i += 400 {
		spiky[i] = 0.9
	}
	for name, in := range map[string][]float64{"faint": sine(Rate, 500, 0.001, 1), "loud": sine(Rate, 500, 1, 1),
		"short": sine(Rate, 500, 0.5, 0.15), "spiky": spiky} {
		out := Level(in)
		back := make([]float64, len(out))
		peak := 0.0
		for i, v := range out {
			back[i] = float64(v) / 32768
			peak = max(peak, math.Abs(back[i]))
		}
		if alone, low, high := Heard(back); math.Abs(alone-Loudness) > 1 || low < Loudness-2.5 || high > Loudness+2.5 ||
			20*math.Log10(peak) > Ceiling {
			t.Errorf("%s: %.2f (%.2f to %.2f) LUFS, peak %.2f dBFS", name, alone, low, high, 20*math.Log10(peak))
		}
	}
	if got := Level(make([]float64, Rate)); got != nil {
		t.Error("silence was made loud")
	}
	if got := Trim(append(append(make([]float64, Rate), sine(Rate, 500, 0.5, 0.5)...),
		make([]float64, Rate)...)); len(got) < Rate/2 || len(got) > Rate*6/10 {
		t.Errorf("%d samples are left of half a second", len(got))
	}
}

// wav returns a WAV file as espeak-ng writes it to a pipe, with sizes that mean nothing.
func wav(samples []float64, rate uint32) []byte {
	var b bytes.Buffer
	b.WriteString("RIFF\x24\xf0\xff\x7fWAVEfmt ")
	for _, v := range []any{uint32(16), uint16(1), uint16(1), rate, rate * 2, uint16(2), uint16(16)} {
		_ = binary.Write(&b, binary.LittleEndian, v)
	}
	b.WriteString("data\x00\xf0\xff\x7f")
	for _, v := range samples {
		_ = binary.Write(&b, binary.LittleEndian, int16(v*32767))
	}
	return b.Bytes()
}

// program writes a stand-in for espeak-ng, which keeps what it was told and writes what it is given.
func program(t *testing.T, script string) (path, dir string) {
	t.Helper()
	dir = t.TempDir()
	path = filepath.Join(dir, "speaks")
	if err := os.WriteFile(path, []byte("#!/bin/sh\ncd "+dir+"\n"+script+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path, dir
}

func TestSay(t *testing.T) {
	t.Parallel()
	path, dir := program(t, `echo "$@" >> arguments; cat > text; cat sound`)
	if err := os.WriteFile(filepath.Join(dir, "sound"), wav(sine(22050, 500, 0.3, 1), 22050), 0o600); err != nil {
		t.Fatal(err)
	}
	s := New(path)
	for range 2 {
		sound, err := s.Say(t.Context(), "de-AT", "Hier ist Acme.")
		if err != nil || len(sound) < Rate*9/10 || len(sound) > Rate*11/10 {
			t.Fatalf("%d samples, %v", len(sound), err)
		}
	}
	arguments, _ := os.ReadFile(filepath.Join(dir, "arguments"))
	if got := string(arguments); strings.Count(got, "\n") != 1 || !strings.HasPrefix(got, "-v de ") ||
		strings.Contains(got, "Acme") {
		t.Errorf("the program was run as %q", got)
	}
	if text, _ := os.ReadFile(filepath.Join(dir, "text")); string(text) != "Hier ist Acme." {
		t.Errorf("it was told %q", text)
	}
	for n := range maxKept + 10 {
		s.keep(string(rune('a'+n)), []int16{1})
	}
	if len(s.kept) != maxKept || len(s.order) != maxKept {
		t.Errorf("%d sentences are kept", len(s.kept))
	}
}

func TestSayFails(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{
		"fails": "exit 1", "writes nothing": "true", "writes text": "yes no wav | head -c 1000",
		"never stops": "cat /dev/zero", "hangs": "exec sleep 60",
		"is silent": "cat silence",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path, dir := program(t, script)
			if err := os.WriteFile(filepath.Join(dir, "silence"), wav(make([]float64, 22050), 22050), 0o600); err != nil {
				t.Fatal(err)
			}
			ctx := t.Context()
			if name == "hangs" {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, 100*time.Millisecond)
				defer cancel()
			}
			if sound, err := New(path).Say(ctx, "en", "secret brand"); err == nil || strings.Contains(err.Error(), "secret") {
				t.Errorf("%d samples, %v", len(sound), err)
			}
		})
	}
	if _, err := New("/nowhere/speaks").Say(t.Context(), "en", "a"); err == nil {
		t.Error("a program that is not there spoke")
	}
	if _, err := New("true").Say(t.Context(), "zh-Hans", "你好"); !errors.Is(err, ErrVoice) {
		t.Errorf("a language without a voice: %v", err)
	}
	if _, err := New("true").Say(t.Context(), "en", strings.Repeat("a", maxText+1)); err == nil {
		t.Error("a text without an end was spoken")
	}
}

// TestProgram speaks with the program of the machine, where it is installed; scripts/setup-test.sh installs it.
func TestProgram(t *testing.T) {
	t.Parallel()
	s := Find()
	if s == nil {
		if path, err := exec.LookPath("espeak-ng"); err == nil {
			t.Fatalf("%s is not found", path)
		}
		t.Skip("espeak-ng is not installed")
	}
	for _, locale := range []string{"en", "de", "es-419", "pt-BR", "fr", "hi", "ru", "sw", "tr"} {
		sound, err := s.Say(t.Context(), locale, "Acme Bank, 39.90 euro.")
		if err != nil || len(sound) < Rate || len(sound) > 10*Rate {
			t.Errorf("%s: %d samples, %v", locale, len(sound), err)
		}
	}
}
