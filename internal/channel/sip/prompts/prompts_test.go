package prompts

import (
	"bytes"
	"encoding/binary"
	"io/fs"
	"math"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/dialproof/dialproof/internal/channel/sip/speech"
)

// wav returns a WAV file. The bytes of data are put behind a format chunk as it is asked for.
func wav(tag, channels uint16, rate uint32, bits uint16, data []byte) []byte {
	var b bytes.Buffer
	put := func(vs ...any) {
		for _, v := range vs {
			_ = binary.Write(&b, binary.LittleEndian, v)
		}
	}
	b.WriteString("RIFF")
	put(uint32(4 + 24 + 8 + len(data)))
	b.WriteString("WAVEfmt ")
	put(uint32(16), tag, channels, rate, rate*uint32(channels)*uint32(bits)/8, channels*bits/8, bits)
	b.WriteString("LIST")
	put(uint32(3))
	b.WriteString("abc\x00data")
	put(uint32(len(data)))
	b.Write(data)
	return b.Bytes()
}

func good() []byte { return wav(formatMuLaw, 1, 8000, 8, []byte{1, 2, 3}) }

// TestBuiltIn: every language can say everything, audibly and not for too long.
func TestBuiltIn(t *testing.T) {
	t.Parallel()
	b, err := Load(nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(
		b.Languages(),
		" ",
	); got != "af ar bg ca cs da de el en es es-419 et fi fr hi hr hu id it lt lv ms nb nl pl pt pt-BR ro ru sk sl sr "+
		"sv sw tr" {
		t.Fatalf("the languages are %s", got)
	}
	names := required()
	for l := 'a'; l <= 'z'; l++ {
		names = append(names, string(l))
	}
	for _, tag := range b.Languages() {
		for _, name := range names {
			audio, ok := b.Find(tag, name)
			if !ok {
				t.Errorf("%s: %s is missing", tag, name)
				continue
			}
			longest := 2 * Rate
			if len(name) > 1 {
				longest = 7 * Rate
			}
			if len(audio) < Rate/4 || len(audio) > longest {
				t.Errorf("%s: %s lasts %d ms", tag, name, len(audio)*1000/Rate)
			}
			if peak := loudest(audio); peak < 8000 {
				t.Errorf("%s: %s is hardly to be heard: its peak is %d", tag, name, peak)
			}
		}
	}
	// No two digits of a language are the same recording.
	for _, tag := range b.Languages() {
		seen := map[string]string{}
		for _, name := range names[5:15] {
			audio, _ := b.Find(tag, name)
			if before, twice := seen[string(audio)]; twice {
				t.Errorf("%s: %s and %s are the same", tag, before, name)
			}
			seen[string(audio)] = name
		}
	}
}

func loudest(audio []byte) int {
	peak := 0
	for _, s := range audio {
		v := int(Linear(s))
		peak = max(peak, v, -v)
	}
	return peak
}

// TestLocales: a locale is looked up as itself, then without its last part, then as English.
func TestLocales(t *testing.T) {
	t.Parallel()
	b, err := Load(nil)
	if err != nil {
		t.Fatal(err)
	}
	for locale, want := range map[string]string{"de": "de", "de-AT": "de", "pt-BR": "pt-BR", "zh-Hans": "en", "": "en",
		"x": "en"} {
		got, _ := b.Find(locale, Greeting)
		if audio, _ := b.search(want, Greeting); !bytes.Equal(got, audio) {
			t.Errorf("%q is not spoken as %s", locale, want)
		}
	}
	upper, _ := b.Find("hi", "B")
	if english, _ := b.search("en", "b"); !bytes.Equal(upper, english) {
		t.Error("a letter in Hindi is not the English recording")
	}
	if _, ok := b.Find("en", "ß"); ok {
		t.Error("there is a recording of ß")
	}
}

// TestOwnFolder: an operator's recordings win, and the rest stays.
func TestOwnFolder(t *testing.T) {
	t.Parallel()
	pcm := make([]byte, 4)
	binary.LittleEndian.PutUint16(pcm, 1000)
	below := int16(-1000)
	binary.LittleEndian.PutUint16(pcm[2:], uint16(below))
	folder := fstest.MapFS{
		"en/greeting.wav":  {Data: good()},
		"en-GB/5.wav":      {Data: wav(formatPCM, 1, 8000, 16, pcm)},
		"en/notes.txt":     {Data: []byte("recorded in May")},
		"README":           {Data: []byte("ours")},
		".git/config":      {Data: []byte("x")},
		"en/.greeting.wav": {Data: []byte("left by an editor")},
	}
	b, err := Load(folder)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := b.Find("en-US", Greeting); !bytes.Equal(got, []byte{1, 2, 3}) {
		t.Errorf("the greeting is %v", got)
	}
	if got, _ := b.Find("en-GB", "5"); !bytes.Equal(got, []byte{MuLaw(1000), MuLaw(-1000)}) {
		t.Errorf("the 5 is %v", got)
	}
	own, _ := b.Find("en", "4")
	base, err := Load(nil)
	if err != nil {
		t.Fatal(err)
	}
	if was, _ := base.Find("en", "4"); !bytes.Equal(own, was) || len(own) == 0 {
		t.Error("a recording that the folder does not have is lost")
	}
	if g, _ := base.Find("en", Greeting); len(g) < 100 {
		t.Error("the folder of one route has changed the built-in recordings")
	}
}

// TestOwnLanguage: a new language must be complete.
func TestOwnLanguage(t *testing.T) {
	t.Parallel()
	folder := fstest.MapFS{}
	for _, name := range required() {
		folder["uk/"+name+".wav"] = &fstest.MapFile{Data: good()}
	}
	if _, err := Load(folder); err != nil {
		t.Fatal(err)
	}
	delete(folder, "uk/7.wav")
	if _, err := Load(folder); err == nil || !strings.Contains(err.Error(), "uk: 7.wav is missing") {
		t.Errorf("got %v", err)
	}
}

// TestFaults: what is wrong with a folder is said with the file's name.
func TestFaults(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		file string
		data []byte
		want string
	}{
		"no language":  {"greetings_en/1.wav", good(), "greetings_en: is no language"},
		"no folder":    {"greeting.wav", good(), "greeting.wav: recordings belong into a folder"},
		"unknown name": {"en/hello.wav", good(), "en/hello.wav: there is no such recording"},
		"no WAV":       {"en/1.wav", []byte("ID3 an MP3 file"), "en/1.wav: is no WAV file"},
		"no format": {"en/1.wav", append([]byte("RIFF\x00\x00\x00\x00WAVEdata"), 2, 0, 0, 0, 1, 1),
			"en/1.wav: is no WAV file"},
		"44100 Hz": {"en/1.wav", wav(formatPCM, 1, 44100, 16, make([]byte, 8)), "has 44100 Hz, 1 channels, 16 bits"},
		"stereo":   {"en/1.wav", wav(formatPCM, 2, 8000, 16, make([]byte, 8)), "has 8000 Hz, 2 channels, 16 bits"},
		"8-bit": {"en/1.wav", wav(formatPCM, 1, 8000, 8, make([]byte, 8)), "must be 8000 Hz, mono, 16-bit, μ-law " +
			"or IMA ADPCM"},
		"A-law": {"en/1.wav", wav(6, 1, 8000, 8, make([]byte, 8)), "must be 8000 Hz, mono, 16-bit, μ-law or IMA " +
			"ADPCM"},
		"empty": {"en/1.wav", wav(formatMuLaw, 1, 8000, 8, nil), "en/1.wav: is empty"},
		"too long": {"en/1.wav", wav(formatMuLaw, 1, 8000, 8, make([]byte, maxLength+1)), "en/1.wav: lasts longer " +
			"than 20 s"},
		"huge":       {"en/1.wav", make([]byte, maxFile+1), "en/1.wav: cannot be read: is larger than"},
		"incomplete": {"uk/1.wav", good(), "uk: greeting.wav is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Load(fstest.MapFS{row.file: {Data: row.data}})
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %v, want %q", err, row.want)
			}
		})
	}
	if _, err := Load(os.DirFS("/nonexistent/prompts")); err == nil {
		t.Error("a folder that is not there is taken")
	}
}

// TestMuLaw: the values of ITU-T G.711 table 2a, and a sample that goes there and back.
func TestMuLaw(t *testing.T) {
	t.Parallel()
	for sample, want := range map[int16]byte{0: 0xFF, 32767: 0x80, -32768: 0x00, 8: 0xFE, -8: 0x7E, 1000: 0xCE,
		-1000: 0x4E} {
		if got := MuLaw(sample); got != want {
			t.Errorf("%d is %#x, want %#x", sample, got, want)
		}
	}
	for b := range 256 {
		if got := MuLaw(Linear(byte(b))); got != byte(b) && byte(b) != 0x7F {
			t.Errorf("%#x comes back as %#x", b, got)
		}
	}
}

// TestTexts: make.sh is right shell, and every recording has its line in texts.tsv and the other way round.
func TestTexts(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("texts.tsv")
	if err != nil {
		t.Fatal(err)
	}
	lines := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if f := strings.Split(strings.TrimSpace(line), "\t"); len(f) == 4 {
			folder := "data/" + f[0]
			if f[0] == "spelling" {
				folder = f[0]
			}
			lines[folder+"/"+f[2]+".wav"] = true
		}
	}
	there, err := fs.Glob(files, "data/*/*.wav")
	if err != nil {
		t.Fatal(err)
	}
	words, err := fs.Glob(files, "spelling/*.wav")
	if err != nil {
		t.Fatal(err)
	}
	there = append(there, words...)
	for _, file := range there {
		if !lines[file] {
			t.Errorf("%s is not in texts.tsv", file)
		}
	}
	if len(there) != len(lines) {
		t.Errorf("there are %d recordings and %d texts: run go run ./make .", len(there), len(lines))
	}
}

// TestLoudness measures what people hear: every digit and sentence is as loud as any other, and none is near to
// clipping.
func TestLoudness(t *testing.T) {
	t.Parallel()
	b, err := Load(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tag := range b.Languages() {
		for _, name := range required() {
			audio, _ := b.Find(tag, name)
			sound := make([]float64, len(audio))
			for i, s := range audio {
				sound[i] = float64(Linear(s)) / 32768
			}
			peak := 20 * math.Log10(float64(loudest(audio))/32768)
			if alone, low, high := speech.Heard(sound); math.Abs(alone+19) > 1 || low < -22 || high > -16.5 || peak > -3 {
				t.Errorf("%s: %s has %.2f LUFS, in a call %.2f to %.2f, and a peak of %.2f dBFS", tag, name, alone, low, high, peak)
			}
		}
	}
}

// TestADPCM: a tone comes back almost as it was, from a file of whole blocks and the beginning of one.
func TestADPCM(t *testing.T) {
	t.Parallel()
	tone := make([]int16, 5001)
	for i := range tone {
		tone[i] = int16(12000 * math.Sin(2*math.Pi*440*float64(i)/Rate))
	}
	back, ok := expand(Compress(tone), Block)
	if !ok || len(back) < len(tone) || len(back) > len(tone)+1 {
		t.Fatalf("%d samples of %d", len(back), len(tone))
	}
	signal, noise := 0.0, 0.0
	for i, v := range tone[100:] {
		d := float64(v) - float64(back[100+i])
		signal, noise = signal+float64(v)*float64(v), noise+d*d
	}
	if ratio := 10 * math.Log10(signal/noise); ratio < 25 {
		t.Errorf("the noise is only %.1f dB below the tone", ratio)
	}
	for _, data := range [][]byte{{0, 0, 89, 0, 1}, {0, 0, 255, 0, 1}} {
		if _, ok := expand(data, Block); ok {
			t.Errorf("%v was taken", data)
		}
	}
	if _, ok := expand([]byte{0, 0, 0, 0, 1}, 4); ok {
		t.Error("a block without samples was taken")
	}
}

// FuzzDecode: any file is either samples or a refusal.
func FuzzDecode(f *testing.F) {
	f.Add(good())
	f.Add(wav(formatPCM, 1, 8000, 16, make([]byte, 5)))
	f.Add([]byte("RIFF\xff\xff\xff\xffWAVEfmt \xff\xff\xff\xff"))
	f.Add(wav(formatADPCM, 1, 8000, 4, []byte{0, 0, 88, 0, 0x7f, 0xf7}))
	f.Add(wav(formatExtensible, 1, 8000, 16, nil))
	f.Fuzz(func(t *testing.T, file []byte) {
		audio, err := decode(file)
		if err == nil && (len(audio) == 0 || len(audio) > maxLength) {
			t.Errorf("%d samples were taken", len(audio))
		}
	})
}
