package prompts

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The formats of a WAV file that are read (RFC 2361, and mmreg.h of Microsoft for the extensible one).
const (
	formatPCM        = 0x0001
	formatMuLaw      = 0x0007
	formatADPCM      = 0x0011
	formatExtensible = 0xFFFE
)

var errForm = errors.New("is no WAV file; `sox in.wav -r 8000 -c 1 -b 16 out.wav` makes a fitting one")

// decode returns the μ-law samples of a WAV file of 8000 Hz, mono: 16-bit, μ-law or IMA ADPCM.
func decode(file []byte) ([]byte, error) {
	if len(file) < 12 || string(file[:4]) != "RIFF" || string(file[8:12]) != "WAVE" {
		return nil, errForm
	}
	var format, data []byte
	for rest := file[12:]; len(rest) >= 8; {
		id, size := string(rest[:4]), int(min(binary.LittleEndian.Uint32(rest[4:8]), 1<<30))
		rest = rest[8:]
		chunk := rest[:min(size, len(rest))]
		switch id {
		case "fmt ":
			format = chunk
		case "data":
			data = chunk
		}
		rest = rest[min(size+size%2, len(rest)):]
	}
	if len(format) < 16 {
		return nil, errForm
	}
	samples, err := convert(format, data)
	switch {
	case err != nil:
		return nil, err
	case len(samples) == 0:
		return nil, errors.New("is empty")
	case len(samples) > maxLength:
		return nil, fmt.Errorf("lasts longer than %d s", maxLength/Rate)
	}
	return samples, nil
}

// convert returns samples as μ-law, by what the format chunk says of them.
func convert(format, data []byte) ([]byte, error) {
	tag, channels := binary.LittleEndian.Uint16(format), binary.LittleEndian.Uint16(format[2:])
	rate, bits := binary.LittleEndian.Uint32(format[4:]), binary.LittleEndian.Uint16(format[14:])
	if tag == formatExtensible && len(format) >= 26 {
		tag = binary.LittleEndian.Uint16(format[24:])
	}
	switch {
	case rate != Rate || channels != 1:
	case tag == formatMuLaw && bits == 8:
		return data, nil
	case tag == formatPCM && bits == 16:
		out := make([]byte, len(data)/2)
		for i := range out {
			out[i] = MuLaw(int16(binary.LittleEndian.Uint16(data[2*i:])))
		}
		return out, nil
	case tag == formatADPCM && bits == 4:
		samples, ok := expand(data, int(binary.LittleEndian.Uint16(format[12:])))
		if !ok {
			return nil, errors.New("is a damaged WAV file of IMA ADPCM")
		}
		out := make([]byte, len(samples))
		for i, s := range samples {
			out[i] = MuLaw(s)
		}
		return out, nil
	}
	return nil, fmt.Errorf(
		"must be %d Hz, mono, 16-bit, μ-law or IMA ADPCM, and has %d Hz, %d channels, %d bits; `sox in.wav -r 8000 -c 1 "+
			"-b 16 out.wav` converts it", Rate, rate, channels, bits)
}

// MuLaw returns a 16-bit sample as G.711 μ-law: a sign, an exponent of 3 bits and a mantissa of 4, all inverted.
func MuLaw(sample int16) byte {
	const (
		bias = 132   // 33 of the standard's 14-bit scale, so that each exponent begins at a power of two
		clip = 32635 // the largest that still fits with the bias added
	)
	v, sign := int(sample), byte(0)
	if v < 0 {
		v, sign = -v, 0x80
	}
	v = min(v, clip) + bias
	exponent := 7
	for mask := 0x4000; v&mask == 0 && exponent > 0; mask >>= 1 {
		exponent--
	}
	mantissa := byte(v>>(exponent+3)) & 0x0F
	return ^(sign | byte(exponent)<<4 | mantissa)
}

// Linear returns a μ-law sample as 16 bits.
func Linear(mu byte) int16 {
	mu = ^mu
	v := (int(mu&0x0F)<<3+132)<<(mu>>4&7) - 132
	if mu&0x80 != 0 {
		v = -v
	}
	return int16(v)
}
