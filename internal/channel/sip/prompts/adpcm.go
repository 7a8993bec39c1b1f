package prompts

import "encoding/binary"

// Block is how many bytes of IMA ADPCM stand together behind a header of 4 (IMA Recommended Practices, 1992; format
// 0x0011 of WAV files).
const Block = 1024

// steps are the sizes of the steps of IMA ADPCM.
var steps = [89]int{
	7, 8, 9, 10, 11, 12, 13, 14, 16, 17, 19, 21, 23, 25, 28, 31, 34, 37, 41, 45, 50, 55, 60, 66, 73, 80, 88, 97, 107, 118,
	130, 143, 157, 173, 190, 209, 230, 253, 279, 307, 337, 371, 408, 449, 494, 544, 598, 658, 724, 796, 876, 963, 1060,
	1166, 1282, 1411, 1552, 1707, 1878, 2066, 2272, 2499, 2749, 3024, 3327, 3660, 4026, 4428, 4871, 5358, 5894, 6484,
	7132, 7845, 8630, 9493, 10442, 11487, 12635, 13899, 15289, 16818, 18500, 20350, 22385, 24623, 27086, 29794, 32767,
}

// adpcm is the state of a coder: what was said last, and the step.
type adpcm struct{ sample, index int }

// decode moves on by one nibble and returns the sample.
func (a *adpcm) decode(nibble byte) int16 {
	step := steps[a.index]
	diff := step >> 3
	for bit, part := range [3]int{step >> 2, step >> 1, step} {
		if nibble>>bit&1 != 0 {
			diff += part
		}
	}
	if nibble&8 != 0 {
		diff = -diff
	}
	a.sample = min(max(a.sample+diff, -32768), 32767)
	a.index = min(max(a.index+[8]int{-1, -1, -1, -1, 2, 4, 6, 8}[nibble&7], 0), len(steps)-1)
	return int16(a.sample)
}

// encode returns the nibble that comes nearest to a sample, and moves on by it.
func (a *adpcm) encode(sample int16) byte {
	diff, nibble, step := int(sample)-a.sample, byte(0), steps[a.index]
	if diff < 0 {
		nibble, diff = 8, -diff
	}
	for bit := 2; bit >= 0; bit-- {
		if part := step >> (2 - bit); diff >= part {
			nibble |= 1 << bit
			diff -= part
		}
	}
	a.decode(nibble)
	return nibble
}

// Compress returns samples as blocks of IMA ADPCM, 4 bits each.
func Compress(samples []int16) []byte {
	var out []byte
	a := adpcm{}
	for at := 0; at < len(samples); {
		a.sample = int(samples[at])
		block := binary.LittleEndian.AppendUint16(nil, uint16(samples[at]))
		block = append(block, byte(a.index), 0)
		at++
		for len(block) < Block && at < len(samples) {
			low, high := a.encode(samples[at]), byte(0)
			if at++; at < len(samples) {
				high = a.encode(samples[at])
				at++
			}
			block = append(block, low|high<<4)
		}
		out = append(out, block...)
	}
	return out
}

// expand returns the samples of blocks of IMA ADPCM; ok is false for what is none.
func expand(data []byte, block int) (samples []int16, ok bool) {
	if block <= 4 || block > 1<<15 {
		return nil, false
	}
	for len(data) > 4 {
		b := data[:min(block, len(data))]
		data = data[len(b):]
		if int(b[2]) >= len(steps) {
			return nil, false
		}
		a := adpcm{int(int16(binary.LittleEndian.Uint16(b))), int(b[2])}
		samples = append(samples, int16(a.sample))
		for _, two := range b[4:] {
			samples = append(samples, a.decode(two&15), a.decode(two>>4))
		}
	}
	return samples, true
}
