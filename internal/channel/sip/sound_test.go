package sip

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/pion/rtp"

	"github.com/dialproof/dialproof/internal/channel/sip/prompts"
)

const description = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP " +
	"18 8 0 96\r\na=rtpmap:96 telephone-event/8000\r\na=recvonly\r\n"

// TestParseSDP: what is read of a session description.
func TestParseSDP(t *testing.T) {
	t.Parallel()
	ours := []codec{pcmu(), pcma()}
	s, err := parseSDP([]byte(description), ours)
	must(t, err)
	if s.addr != netip.MustParseAddrPort("192.0.2.1:4000") || s.codec != pcma() || s.pt != 8 || s.events != 96 ||
		s.direction != "recvonly" || s.held() {
		t.Errorf("got %+v", s)
	}
	for name, row := range map[string]struct {
		text string
		want string // address, payload type, events, direction; empty: refused
	}{
		"address of the stream": {description + "c=IN IP4 192.0.2.2\r\n", "192.0.2.2:4000 8 96 recvonly"},
		"bare newlines":         {strings.ReplaceAll(description, "\r\n", "\n"), "192.0.2.1:4000 8 96 recvonly"},
		"held by address": {strings.ReplaceAll(description, "c=IN IP4 192.0.2.1", "c=IN IP4 0.0.0.0"),
			"0.0.0.0:4000 8 96 recvonly held"},
		"inactive": {description + "a=inactive\r\n", "192.0.2.1:4000 8 96 inactive held"},
		"direction of all": {"v=0\r\nc=IN IP4 192.0.2.1\r\na=sendonly\r\nm=audio 4000 RTP/AVP 0\r\n",
			"192.0.2.1:4000 0 0 sendonly held"},
		"IPv6": {"v=0\r\nc=IN IP6 2001:db8::1\r\nm=audio 4000 RTP/AVP 0\r\n", "[2001:db8::1]:4000 0 0 " +
			"sendrecv"},
		"second stream": {"v=0\r\nc=IN IP4 192.0.2.1\r\nm=video 1 RTP/AVP 31\r\nm=audio 0 RTP/AVP 0\r\nm=audio " +
			"6/2 RTP/AVP 0 101\r\n", "192.0.2.1:6 0 101 sendrecv"},
		"wide sound": {"v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 97\r\na=rtpmap:97 PCMU/16000\r\n", ""},
		"codec by another type": {"v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 97\r\na=rtpmap:97 " +
			"PCMA/8000/1\r\n", "192.0.2.1:4000 97 0 sendrecv"},
		"type 0 is another": {"v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 0\r\na=rtpmap:0 opus/48000\r\n", ""},
		"multicast":         {strings.ReplaceAll(description, "c=IN IP4 192.0.2.1", "c=IN IP4 239.0.0.1/127"), ""},
		"no address":        {"v=0\r\nm=audio 4000 RTP/AVP 0\r\n", ""},
		"scoped address":    {"v=0\r\nc=IN IP6 fe80::1%eth0\r\nm=audio 4000 RTP/AVP 0\r\n", ""},
		"port too high":     {"v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 70000 RTP/AVP 0\r\n", ""},
		"no formats":        {"v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP\r\n", ""},
		"too many streams":  {"v=0\r\nc=IN IP4 192.0.2.1\r\n" + strings.Repeat("m=audio 4000 RTP/AVP 0\r\n", 17), ""},
		"too long":          {description + strings.Repeat("a=x\r\n", 5000), ""},
		"nothing":           {"", ""},
	} {
		got := ""
		if s, err := parseSDP([]byte(row.text), ours); err == nil {
			got = s.addr.String() + " " + itoa(int(s.pt)) + " " + itoa(int(s.events)) + " " + s.direction
			if s.held() {
				got += " held"
			}
		}
		if got != row.want {
			t.Errorf("%s: got %q, want %q", name, got, row.want)
		}
	}
	if _, err := parseSDP([]byte(description), []codec{pcmu()}); err != nil {
		t.Error(err)
	}
}

// TestKeys: the keys of RFC 4733 §3.2.
func TestKeys(t *testing.T) {
	t.Parallel()
	packet := func(pt uint8, payload ...byte) []byte {
		p := rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: pt}, Payload: payload}
		b, err := p.Marshal()
		must(t, err)
		return b
	}
	for i, want := range []byte("0123456789*#") {
		if got, ok := keyOf(packet(101, byte(i), 10, 0, 160), 101); !ok || got != want {
			t.Errorf("event %d is %q", i, got)
		}
	}
	for name, b := range map[string][]byte{"A": packet(101, 12, 0, 0, 0), "other type": packet(96, 1, 0, 0, 0),
		"short": packet(101, 1, 0, 0), "nothing": nil} {
		if got, ok := keyOf(b, 101); ok {
			t.Errorf("%s is %q", name, got)
		}
	}
	if _, ok := keyOf(packet(0, 1, 0, 0, 0), 0); ok {
		t.Error("a key without an agreed payload type")
	}
	for body, want := range map[string]string{"Signal=1\r\nDuration=100": "1", "signal = # ": "#", "1": "1", "5\r\n": "5",
		"": "", "Duration=1": "", "12": "", "Signal=": ""} {
		got, ok := infoKey(body)
		if (ok && string(got) != want) || ok != (want != "") {
			t.Errorf("%q is %q %v", body, got, ok)
		}
	}
}

// TestALaw: the values of ITU-T G.711 table 1a, and nearness to what was heard before.
func TestALaw(t *testing.T) {
	t.Parallel()
	for sample, want := range map[int16]byte{0: 0xD5, -1: 0x55, 8: 0xD5, 16: 0xD4, 32767: 0xAA, -32768: 0x2A, 1000: 0xFA,
		-1000: 0x7A} {
		if got := aLaw(sample); got != want {
			t.Errorf("%d is %#x, want %#x", sample, got, want)
		}
	}
	seen := map[byte]bool{}
	for i := -32768; i < 32768; i++ {
		seen[aLaw(int16(i))] = true
	}
	if len(seen) != 256 {
		t.Errorf("%d values are in use", len(seen))
	}
	if got := pcma().encode([]byte{muLawSilence}); !bytes.Equal(got, []byte{0xD5}) {
		t.Errorf("silence is %#x", got)
	}
	if got := pcmu().encode([]byte{1, 2}); !bytes.Equal(got, []byte{1, 2}) {
		t.Error("μ-law changes")
	}
	if n := len(silence(pressWait)); n != 5*prompts.Rate {
		t.Errorf("5 s are %d samples", n)
	}
}

// FuzzSDP: any text is a description that can be used, or is refused. What is answered to it can be read again.
func FuzzSDP(f *testing.F) {
	f.Add([]byte(description))
	f.Add([]byte("v=0\nm=audio 1 RTP/AVP 0\nc=IN IP4 1.1.1.1"))
	f.Add([]byte("v=0\r\nm=a 1 b c\r\na=rtpmap:\r\nc=IN IP6 ::\r\nm=audio 9 RTP/AVPF 0\r\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		ours := []codec{pcmu(), pcma()}
		s, err := parseSDP(text, ours)
		if err != nil {
			return
		}
		if !s.addr.IsValid() || s.addr.Port() == 0 || !slices.Contains(ours, s.codec) || s.audio >= len(s.streams) {
			t.Fatalf("got %+v", s)
		}
		o := offer{addr: netip.MustParseAddrPort("192.0.2.1:4000"), codecs: ours}
		back, err := parseSDP([]byte(o.answer(s)), ours)
		if err != nil || back.codec != s.codec || back.pt != s.pt || len(back.streams) != len(s.streams) {
			t.Fatalf("the answer is %+v, %v", back, err)
		}
	})
}

// FuzzRTP: no packet does harm.
func FuzzRTP(f *testing.F) {
	f.Add([]byte{0x80, 101, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 10, 0, 160}, uint8(101))
	f.Add([]byte{0xbf, 0xe5, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1}, uint8(101))
	f.Add([]byte{0x90, 101, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0xbe, 0xde, 0xff, 0xff}, uint8(101))
	f.Fuzz(func(t *testing.T, raw []byte, events uint8) {
		if key, ok := keyOf(raw, events); ok && !strings.ContainsRune("0123456789*#", rune(key)) {
			t.Errorf("the key is %q", key)
		}
	})
}
