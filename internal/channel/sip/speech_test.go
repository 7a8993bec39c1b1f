package sip

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/sip/prompts"
	"github.com/dialproof/dialproof/internal/message"
)

// speaking returns a sender whose speech is a program that speaks a tone, fails, or is none.
func speaking(t *testing.T, script string, change func(*Config)) *sender {
	t.Helper()
	c := good()
	c.Speech = speechOff
	if script != "" {
		c.Speech = filepath.Join(t.TempDir(), "speaks")
		must(t, os.WriteFile(c.Speech, []byte("#!/bin/sh\ncat > "+c.Speech+".text\n"+script+"\n"), 0o700))
		must(t, os.WriteFile(c.Speech+".wav", tone(), 0o600))
	}
	if change != nil {
		change(c)
	}
	must(t, c.Validate())
	s, err := c.Open(channel.Env{Log: slog.New(slog.DiscardHandler), Now: time.Now})
	must(t, err)
	return s.(*sender)
}

// tone is a WAV file of a second.
func tone() []byte {
	var b bytes.Buffer
	b.WriteString("RIFF\x00\x00\x00\x00WAVEfmt ")
	for _, v := range []any{uint32(16), uint16(1), uint16(1), uint32(22050), uint32(44100), uint16(2), uint16(16)} {
		_ = binary.Write(&b, binary.LittleEndian, v)
	}
	b.WriteString("data\x00\x00\x00\x00")
	for i := range 22050 {
		_ = binary.Write(&b, binary.LittleEndian, int16(9000*math.Sin(float64(i)/8)))
	}
	return b.Bytes()
}

// payment is a message about a payment.
func payment(t *testing.T, locale string) channel.Message {
	t.Helper()
	m := newMessage(t, code, locale)
	m.Purpose = message.Payment
	var err error
	m.Spoken, err = message.Speak(message.Request{
		Purpose:     message.Payment,
		Locale:      locale,
		Brand:       "Acme",
		Code:        message.NewCode(code),
		Transaction: &message.Transaction{Amount: "39.9", Currency: "EUR", Payee: "Kiosk"},
	})
	must(t, err)
	return m
}

// TestBrandIsSpoken: the brand and a payment are said where something can say them.
func TestBrandIsSpoken(t *testing.T) {
	t.Parallel()
	const speaks = `cat "$0.wav"`
	recorded, err := prompts.Load(nil)
	must(t, err)
	greeting, _ := recorded.Find("en", prompts.Greeting)

	s := speaking(t, speaks, nil)
	p, err := s.plan(t.Context(), newMessage(t, code, "en"))
	must(t, err)
	if !p.asks || p.intro == nil || bytes.Equal(p.greeting, greeting) {
		t.Error("the brand is not said")
	}
	p, err = s.plan(t.Context(), payment(t, "en"))
	must(t, err)
	said, err := os.ReadFile(s.cfg.Speech + ".text")
	must(t, err)
	if p.intro == nil || !bytes.Contains(said, []byte("Acme")) {
		t.Errorf("the payment is not said; %q was", said)
	}
	if bytes.Contains(said, []byte(code)) {
		t.Error("another program was told the code")
	}

	// Without the key there is no question in the greeting.
	p, err = speaking(t, speaks, func(c *Config) { c.PressOne = false }).plan(t.Context(), newMessage(t, code, "en"))
	must(t, err)
	if p.asks || p.intro == nil || !bytes.Equal(p.greeting, greeting) {
		t.Error("a call without a key asks for one")
	}
	// Recordings of the operator's own are not mixed with a machine's voice, but for a payment.
	own := func(c *Config) { c.Prompts = t.TempDir() }
	p, err = speaking(t, speaks, own).plan(t.Context(), newMessage(t, code, "en"))
	must(t, err)
	if p.asks || p.intro != nil {
		t.Error("the operator's greeting is not played")
	}
	p, err = speaking(t, speaks, own).plan(t.Context(), payment(t, "en"))
	must(t, err)
	if p.asks || p.intro == nil {
		t.Error("the payment is not said after the operator's greeting")
	}
}

// TestNothingSpeaks: a call goes without the brand, and a payment not at all.
func TestNothingSpeaks(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		script, locale string
		kind           channel.ErrorKind
		code           string
	}{
		"off":                  {"", "en", channel.Refused, "transaction"},
		"fails":                {"exit 1", "en", channel.Unavailable, "speech"},
		"a language of no one": {`cat "$0.wav"`, "ja", channel.Refused, "transaction"},
		"recorded, not spoken": {`cat "$0.wav"`, "ar", channel.Refused, "transaction"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := speaking(t, c.script, nil)
			p, err := s.plan(t.Context(), newMessage(t, code, c.locale))
			must(t, err)
			if p.asks || p.intro != nil || len(p.greeting) == 0 {
				t.Error("something was spoken")
			}
			_, err = s.plan(t.Context(), payment(t, c.locale))
			refused(t, err, c.kind, c.code)
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := speaking(t, "exec sleep 60", nil).plan(ctx, payment(t, "en")); !errors.Is(err, context.Canceled) {
		t.Errorf("who has gone is waited for: %v", err)
	}
}

func TestSpeaks(t *testing.T) {
	t.Parallel()
	with, without := speaking(t, "true", nil), speaking(t, "", nil)
	for _, c := range []struct {
		s       *sender
		locale  string
		payment bool
		want    bool
	}{
		{with, "en", true, true}, {with, "de", false, true}, {with, "es-419", true, true}, {with, "ar", false, true},
		{with, "ar", true, false},
		{with, "ja", false, false}, {with, "uk", true, false}, {without, "en", false, true}, {without, "en", true, false},
		{without, "zh-Hans", false, false},
	} {
		if got := c.s.Speaks(c.locale, c.payment); got != c.want {
			t.Errorf("%s, payment %v: %v", c.locale, c.payment, got)
		}
	}
}

// TestPausesBetweenDigits listens to a whole code in every language: between two digits it is silent for at least 300
// ms.
func TestPausesBetweenDigits(t *testing.T) {
	t.Parallel()
	const frame = prompts.Rate / 100 // 10 ms
	s := speaking(t, "", nil)
	for _, locale := range s.book.Languages() {
		p, err := s.plan(t.Context(), newMessage(t, "0123456789", locale))
		must(t, err)
		sound := p.round(nil)
		gaps, silent := 0, 0
		for at := 0; at+frame <= len(sound); at += frame {
			loud := false
			for _, v := range sound[at : at+frame] {
				loud = loud || math.Abs(float64(prompts.Linear(v))) > 330 // 40 dB below full scale
			}
			if loud {
				if silent >= 30 {
					gaps++
				}
				silent = 0
				continue
			}
			silent++
		}
		if gaps != 10 { // one before the first digit, after the lead
			t.Errorf("%s: there are %d pauses of 300 ms around 10 digits", locale, gaps)
		}
	}
}
