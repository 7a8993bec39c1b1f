package speech

import (
	"encoding/binary"
	"errors"
	"math"
)

// How loud things are. -19 LUFS is what ITU-R BS.1770 measures of speech in mono that is neither faint nor tiring on a
// telephone; below -3 dBFS no codec on the way clips.
const (
	Loudness = -19.0 // LUFS
	Ceiling  = -3.0  // dBFS, of the samples
	// Shortest is the length of the window in which loudness is measured: a shorter sound ends in silence up to there.
	Shortest = Rate * 2 / 5
)

// pcm returns the samples of a WAV file of 16 bits in mono, from -1 to 1. Sizes in the header of a stream may be wrong:
// the rest is the sound.
func pcm(file []byte) (samples []float64, rate int, err error) {
	if len(file) < 44 || string(file[:4]) != "RIFF" || string(file[36:40]) != "data" ||
		binary.LittleEndian.Uint16(file[22:]) != 1 || binary.LittleEndian.Uint16(file[34:]) != 16 {
		return nil, 0, errors.New("speech: the program wrote no WAV file of 16 bits in mono")
	}
	rate = int(binary.LittleEndian.Uint32(file[24:]))
	if rate < Rate || rate > 96000 {
		return nil, 0, errors.New("speech: the program's samples are too few or too many")
	}
	for body := file[44:]; len(body) >= 2; body = body[2:] {
		samples = append(samples, float64(int16(binary.LittleEndian.Uint16(body)))/32768)
	}
	return samples, rate, nil
}

// Resample returns sound at Rate, with what a telephone carries of it: 200 to 3,400 Hz. It is one windowed sinc
// (Blackman) of 25 ms.
func Resample(in []float64, rate int) []float64 {
	const low, high = 200.0, 3400.0
	half := rate / 80
	kernel := make([]float64, 2*half+1)
	for i := range kernel {
		n := float64(i - half)
		window := 0.42 + 0.5*math.Cos(math.Pi*n/float64(half)) + 0.08*math.Cos(2*math.Pi*n/float64(half))
		kernel[i] = window * (sinc(2*high/float64(rate), n) - sinc(2*low/float64(rate), n))
	}
	out := make([]float64, len(in)*Rate/rate)
	for i := range out {
		at := i * rate / Rate
		sum := 0.0
		for k := max(0, at-half); k <= min(len(in)-1, at+half); k++ {
			sum += in[k] * kernel[k-at+half]
		}
		out[i] = sum
	}
	return out
}

// sinc is the ideal low pass of a share of the Nyquist frequency.
func sinc(share, n float64) float64 {
	if n == 0 {
		return share
	}
	return math.Sin(math.Pi*share*n) / (math.Pi * n)
}

// Trim takes off the silence at both ends but for a moment: the player puts its own pauses. Silent is what lies 40 dB
// below the loudest 10 ms.
func Trim(in []float64) []float64 {
	const frame, before, after = Rate / 100, Rate / 50, Rate / 25
	levels := make([]float64, len(in)/frame)
	loudest := 0.0
	for i := range levels {
		for _, v := range in[i*frame : (i+1)*frame] {
			levels[i] += v * v
		}
		loudest = max(loudest, levels[i])
	}
	first, last := 0, len(levels)-1
	for first < last && levels[first] < loudest*1e-4 {
		first++
	}
	for last > first && levels[last] < loudest*1e-4 {
		last--
	}
	if last < first {
		return nil
	}
	return in[max(0, first*frame-before):min(len(in), (last+1)*frame+after)]
}

// Level returns sound that is heard at Loudness and below Ceiling. It is made louder or softer as a whole; what would
// rise above the ceiling is turned down around its peaks.
func Level(in []float64) []int16 {
	if len(in) == 0 {
		return nil
	}
	if short := Shortest - len(in); short > 0 {
		in = append(append([]float64{}, in...), make([]float64, short)...)
	}
	gain := 1.0
	out := in
	for range 12 { // turning peaks down makes it softer, and so on
		out = limit(in, gain)
		alone, low, high := Heard(out)
		off := Loudness - alone
		if middle := Loudness - (low+high)/2; !math.IsNaN(middle) {
			off = min(max(middle, off-spare), off+spare)
		}
		if math.IsNaN(off) || math.IsInf(off, 0) {
			return nil
		}
		if math.Abs(off) < 0.05 {
			break
		}
		gain *= math.Pow(10, min(off, 20)/20)
	}
	samples := make([]int16, len(out))
	for i, v := range out {
		samples[i] = int16(math.Round(v * 32767))
	}
	return samples
}

// limit returns sound times gain, turned down within 5 ms around what is above the ceiling. It stays 2 dB below it,
// since coding adds noise.
func limit(in []float64, gain float64) []float64 {
	const reach = Rate / 200
	top := math.Pow(10, (Ceiling-2)/20)
	need := make([]float64, len(in)) // how far each sample must be turned down
	for i, v := range in {
		need[i] = min(1, top/max(math.Abs(v*gain), 1e-9))
	}
	out := make([]float64, len(in))
	over := 0 // how many samples within reach must be turned down
	for i, v := range in {
		if i == 0 {
			for k := range min(reach, len(in)) {
				over += count(need[k])
			}
		}
		if i+reach < len(in) {
			over += count(need[i+reach])
		}
		if i > reach {
			over -= count(need[i-reach-1])
		}
		if over == 0 {
			out[i] = v * gain
			continue
		}
		lowest, sum, weight := 1.0, 0.0, 0.0
		for k := max(0, i-reach); k <= min(len(in)-1, i+reach); k++ {
			lowest = min(lowest, need[k])
		}
		// A smooth way down: the lowest nearby, eased by distance, and never above what this sample needs.
		for k := max(0, i-reach); k <= min(len(in)-1, i+reach); k++ {
			w := 1 - math.Abs(float64(k-i))/(reach+1)
			sum, weight = sum+w*need[k], weight+w
		}
		out[i] = v * gain * min(need[i], (lowest+sum/weight)/2)
	}
	return out
}

// spare is how far from Loudness a sound may be when it is measured alone, so that it is near to it in a call too, in
// LU.
const spare = 0.6

// Heard returns the loudness of a sound alone, and the lowest and the highest of three: alone, with a pause of a second
// after it, and again and again. BS.1770 is made for programmes; of a digit that lasts half a second each of the three
// has a different share of silence in its blocks.
func Heard(in []float64) (alone, low, high float64) {
	if len(in) == 0 {
		return math.Inf(-1), math.Inf(-1), math.Inf(-1)
	}
	alone = Measure(in)
	paused := Measure(append(append([]float64{}, in...), make([]float64, Rate)...))
	var row []float64
	for len(row) < 3*Rate {
		row = append(row, in...)
	}
	repeated := Measure(row)
	return alone, min(alone, paused, repeated), max(alone, paused, repeated)
}

// count returns 1 for a sample that must be turned down.
func count(need float64) int {
	if need < 1 {
		return 1
	}
	return 0
}

// Measure returns the integrated loudness of sound at Rate in LUFS (ITU-R BS.1770-5, one channel): K-weighted, in
// blocks of 400 ms that overlap by three quarters, without those below -70 LUFS and those 10 LU below the rest. Sound
// shorter than a block is one block with silence after it.
func Measure(in []float64) float64 {
	return measure(in, Rate)
}

func measure(in []float64, rate int) float64 {
	block := rate * 2 / 5
	weighted := highPass(rate).run(highShelf(rate).run(in))
	if short := block - len(weighted); short > 0 {
		weighted = append(weighted, make([]float64, short)...)
	}
	var powers []float64
	for at := 0; at+block <= len(weighted); at += block / 4 {
		sum := 0.0
		for _, v := range weighted[at : at+block] {
			sum += v * v
		}
		powers = append(powers, sum/float64(block))
	}
	return level(mean(powers, max(power(-70), power(level(mean(powers, power(-70)))-10))))
}

// mean returns the mean of the powers that are not below the gate.
func mean(powers []float64, gate float64) float64 {
	sum, n := 0.0, 0
	for _, p := range powers {
		if p >= gate {
			sum, n = sum+p, n+1
		}
	}
	return sum / float64(max(n, 1))
}

// level and power turn power into LUFS and back (BS.1770-5, equation 2).
func level(power float64) float64 { return -0.691 + 10*math.Log10(power) }
func power(level float64) float64 { return math.Pow(10, (level+0.691)/10) }

// biquad is a filter of second order.
type biquad struct{ b0, b1, b2, a1, a2 float64 }

func (f biquad) run(in []float64) []float64 {
	out := make([]float64, len(in))
	var x1, x2, y1, y2 float64
	for i, x := range in {
		y := f.b0*x + f.b1*x1 + f.b2*x2 - f.a1*y1 - f.a2*y2
		x2, x1, y2, y1 = x1, x, y1, y
		out[i] = y
	}
	return out
}

// highShelf and highPass are the two stages of K-weighting. BS.1770 gives their coefficients for 48 kHz; these are the
// filters behind them, for any rate.
func highShelf(rate int) biquad {
	const frequency, q, gain = 1681.974450955533, 0.7071752369554196, 3.999843853973347
	k := math.Tan(math.Pi * frequency / float64(rate))
	high := math.Pow(10, gain/20)
	band := math.Pow(high, 0.4996667741545416)
	a0 := 1 + k/q + k*k
	return biquad{(high + band*k/q + k*k) / a0, 2 * (k*k - high) / a0, (high - band*k/q + k*k) / a0, 2 * (k*k - 1) / a0,
		(1 - k/q + k*k) / a0}
}

func highPass(rate int) biquad {
	const frequency, q = 38.13547087602444, 0.5003270373238773
	k := math.Tan(math.Pi * frequency / float64(rate))
	a0 := 1 + k/q + k*k
	return biquad{1, -2, 1, 2 * (k*k - 1) / a0, (1 - k/q + k*k) / a0}
}
