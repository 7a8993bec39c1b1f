package sip

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

const (
	// maxSDP bounds a session description, in bytes. Real ones have a few hundred.
	maxSDP = 16 << 10
	// maxStreams bounds the streams of a session description.
	maxStreams = 16
	// eventType is the payload type that we offer for the keys of a telephone (RFC 4733).
	eventType = 101
)

// What is wrong with a session description: it is none, or has no sound that we can send. The texts are the codes of
// receipts.
var (
	errNoSDP   = errors.New("no_sdp")
	errNoAudio = errors.New("no_codec")
)

// session is what the far end says of the sound (RFC 4566), as far as it is read.
type session struct {
	addr netip.AddrPort
	// codec is the first of theirs that we have, and pt its payload type.
	codec codec
	pt    uint8
	// events is the payload type of the telephone's keys; 0 is none.
	events uint8
	// direction is what the far end wants: sendrecv, sendonly, recvonly or inactive.
	direction string
	// streams are all m= lines, in their order; audio is the one that is used.
	streams []stream
	audio   int
}

// stream is an m= line: what, by which protocol, and the first of its formats.
type stream struct{ kind, proto, format string }

// held tells that the far end wants no sound now.
func (s *session) held() bool {
	return s.direction == "sendonly" || s.direction == "inactive" || s.addr.Addr().IsUnspecified()
}

// section is the part of a session description that one m= line begins.
type section struct {
	stream
	port      int
	formats   []string
	addr      netip.Addr
	direction string
	rtpmap    map[string]string // payload type to "PCMU/8000"
}

// parseSDP reads a session description and takes its first stream of sound that we can send to.
func parseSDP(text []byte, ours []codec) (*session, error) {
	if len(text) > maxSDP || !strings.HasPrefix(string(text), "v=0") {
		return nil, errNoSDP
	}
	general := section{rtpmap: map[string]string{}, direction: "sendrecv"}
	at := &general
	var all []*section
	for line := range strings.Lines(string(text)) {
		key, value, ok := strings.Cut(strings.TrimRight(line, "\r\n"), "=")
		if !ok {
			continue
		}
		switch key {
		case "m":
			if at = newSection(value, general); at == nil || len(all) >= maxStreams {
				return nil, errNoSDP
			}
			all = append(all, at)
		case "c":
			at.addr = connection(value)
		case "a":
			at.attribute(value)
		}
	}
	out := &session{audio: -1}
	for i, s := range all {
		out.streams = append(out.streams, s.stream)
		if out.audio < 0 && s.take(out, ours) {
			out.audio = i
		}
	}
	if out.audio < 0 {
		return nil, errNoAudio
	}
	return out, nil
}

// newSection reads "audio 49170 RTP/AVP 0 8 101"; nil when it cannot be read.
func newSection(value string, general section) *section {
	f := strings.Fields(value)
	if len(f) < 4 {
		return nil
	}
	number, _, _ := strings.Cut(f[1], "/")
	port, err := strconv.ParseUint(number, 10, 16)
	if err != nil {
		return nil
	}
	return &section{
		stream: stream{kind: f[0], proto: f[2], format: f[3]}, port: int(port), formats: f[3:], addr: general.addr,
		direction: general.direction, rtpmap: map[string]string{},
	}
}

// connection reads "IN IP4 192.0.2.1" or "IN IP4 233.252.0.1/127". A host name is not looked up: no trunk sends one.
func connection(value string) netip.Addr {
	f := strings.Fields(value)
	if len(f) != 3 || f[0] != "IN" {
		return netip.Addr{}
	}
	host, _, _ := strings.Cut(f[2], "/")
	a, err := netip.ParseAddr(host)
	if err != nil || a.IsMulticast() || a.Zone() != "" {
		return netip.Addr{}
	}
	return a.Unmap()
}

func (s *section) attribute(value string) {
	switch value {
	case "sendrecv", "sendonly", "recvonly", "inactive":
		s.direction = value
		return
	}
	if rest, ok := strings.CutPrefix(value, "rtpmap:"); ok {
		if pt, coding, ok := strings.Cut(rest, " "); ok && len(s.rtpmap) < 64 {
			s.rtpmap[pt] = strings.TrimSpace(coding)
		}
	}
}

// take fills the session from the section if that is sound which we can send.
func (s *section) take(out *session, ours []codec) bool {
	if s.kind != "audio" || s.port == 0 || !s.addr.IsValid() || (s.proto != "RTP/AVP" && s.proto != "RTP/AVPF") {
		return false
	}
	found := false
	for _, format := range s.formats {
		pt, err := strconv.ParseUint(format, 10, 7)
		if err != nil {
			continue
		}
		name := s.coding(uint8(pt), format)
		if strings.EqualFold(name, "telephone-event") && out.events == 0 {
			out.events = uint8(pt)
		}
		if c, ok := codecNamed(name); ok && !found && slices.Contains(ours, c) {
			out.codec, out.pt, found = c, uint8(pt), true
		}
	}
	out.addr, out.direction = netip.AddrPortFrom(s.addr, uint16(s.port)), s.direction
	return found
}

// coding returns the name of a payload type; those of RFC 3551, and the one that we offered, need no a=rtpmap.
func (s *section) coding(pt uint8, format string) string {
	if text, ok := s.rtpmap[format]; ok {
		name, rest, _ := strings.Cut(text, "/")
		if rate, _, _ := strings.Cut(rest, "/"); rate == "8000" {
			return name
		}
		return ""
	}
	switch pt {
	case pcmu().pt:
		return pcmu().name
	case pcma().pt:
		return pcma().name
	case eventType:
		return "telephone-event"
	}
	return ""
}

// offer is our own session description.
type offer struct {
	id      uint64
	version int
	addr    netip.AddrPort
	codecs  []codec
}

// String returns the offer as it is sent.
func (o offer) String() string {
	var b strings.Builder
	o.head(&b)
	o.audio(&b, o.codecs, nil, eventType, "sendrecv")
	return b.String()
}

// answer returns the far end's own offer: its streams in the same order, all but the one refused (RFC 3264 §6).
func (o offer) answer(to *session) string {
	var b strings.Builder
	o.head(&b)
	for i, s := range to.streams {
		if i != to.audio {
			fmt.Fprintf(&b, "m=%s 0 %s %s\r\n", s.kind, s.proto, s.format)
			continue
		}
		direction := map[string]string{"sendonly": "recvonly", "recvonly": "sendonly", "inactive": "inactive"}[to.direction]
		if direction == "" {
			direction = "sendrecv"
		}
		o.audio(&b, []codec{to.codec}, &to.pt, to.events, direction)
	}
	return b.String()
}

func (o offer) head(b *strings.Builder) {
	family := "IP4"
	if o.addr.Addr().Is6() {
		family = "IP6"
	}
	fmt.Fprintf(b, "v=0\r\no=- %d %d IN %s %s\r\ns=-\r\nc=IN %s %s\r\nt=0 0\r\n", o.id, o.version, family, o.addr.Addr(),
		family, o.addr.Addr())
}

// audio writes the stream of sound. With pt, the one codec goes by that payload type.
func (o offer) audio(b *strings.Builder, codecs []codec, pt *uint8, events uint8, direction string) {
	var formats, maps string
	for _, c := range codecs {
		number := c.pt
		if pt != nil {
			number = *pt
		}
		formats += fmt.Sprintf(" %d", number)
		maps += fmt.Sprintf("a=rtpmap:%d %s/8000\r\n", number, c.name)
	}
	if events != 0 {
		formats += fmt.Sprintf(" %d", events)
		maps += fmt.Sprintf("a=rtpmap:%d telephone-event/8000\r\na=fmtp:%d 0-15\r\n", events, events)
	}
	fmt.Fprintf(b, "m=audio %d RTP/AVP%s\r\n%sa=ptime:20\r\na=%s\r\n", o.addr.Port(), formats, maps, direction)
}
