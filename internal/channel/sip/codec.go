package sip

import (
	"strings"

	"github.com/dialproof/dialproof/internal/channel/sip/prompts"
)

// codec is one of the two codecs that every telephone network speaks (ITU-T G.711).
type codec struct {
	name string // as in a=rtpmap
	pt   uint8  // the static payload type of RFC 3551
}

func pcmu() codec { return codec{"PCMU", 0} }
func pcma() codec { return codec{"PCMA", 8} }

// codecNamed returns a codec by its name, in any case.
func codecNamed(text string) (codec, bool) {
	for _, c := range []codec{pcmu(), pcma()} {
		if strings.EqualFold(text, c.name) {
			return c, true
		}
	}
	return codec{}, false
}

// muLawSilence is the sample that is no sound.
const muLawSilence = 0xFF

// encode returns μ-law samples in the codec.
func (c codec) encode(muLaw []byte) []byte {
	out := make([]byte, len(muLaw))
	for i, s := range muLaw {
		if c == pcma() {
			s = aLaw(prompts.Linear(s))
		}
		out[i] = s
	}
	return out
}

// aLaw returns a 16-bit sample as G.711 A-law: a sign, an exponent of 3 bits and a mantissa of 4, every second bit
// inverted.
func aLaw(sample int16) byte {
	v, mask := int(sample), byte(0xD5)
	if v < 0 {
		v, mask = -v-1, 0x55
	}
	exponent := 7
	for bit := 0x4000; v&bit == 0 && exponent > 0; bit >>= 1 {
		exponent--
	}
	if exponent == 0 {
		return byte(v>>4) ^ mask
	}
	return (byte(exponent)<<4 | byte(v>>(exponent+3))&0x0F) ^ mask
}
