// The program make makes the recordings of prompts from texts.tsv again: espeak-ng speaks, speech makes telephone sound
// of it, and it is written as WAV files of 4 bits a sample. Run it by `go run ./make .` in the folder of prompts. The
// same version of espeak-ng gives the same bytes; README.md names the one that was used.
package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/dialproof/dialproof/internal/channel/sip/prompts"
	"github.com/dialproof/dialproof/internal/channel/sip/speech"
)

func main() {
	if err := run(context.Background(), os.Args[1]); err != nil { //nolint:forbidigo // a program of its own begins here
		log.Fatal(err)
	}
}

// run makes the recordings of the texts in a folder.
func run(ctx context.Context, folder string) error {
	speaker := speech.Find()
	if speaker == nil {
		return fmt.Errorf("please install espeak-ng")
	}
	texts, err := os.ReadFile(filepath.Join(folder, "texts.tsv")) //nolint:gosec // who runs this names the folder
	if err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Join(folder, "data")); err != nil { //nolint:gosec // the same
		return err
	}
	for line := range strings.Lines(string(texts)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if strings.HasPrefix(line, "#") || len(f) != 4 {
			continue
		}
		// Single digits and letters are said slower than sentences, as nothing around them helps to understand them.
		speed := "140"
		if len(f[2]) == 1 {
			speed = "100"
		}
		sound, err := speaker.Speak(ctx, f[1], speed, f[3])
		if err != nil {
			return fmt.Errorf("%s/%s: %w", f[0], f[2], err)
		}
		file := filepath.Join(folder, "data", f[0], f[2]+".wav")
		if f[0] == "spelling" {
			file = filepath.Join(folder, f[0], f[2]+".wav")
		}
		//nolint:gosec // the repository's files are for everybody
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, wav(sound), 0o644); err != nil { //nolint:gosec // the same
			return err
		}
	}
	return nil
}

// wav returns a WAV file of IMA ADPCM.
func wav(sound []int16) []byte {
	data := prompts.Compress(sound)
	const perBlock = (prompts.Block-4)*2 + 1
	head := []byte("RIFF\x00\x00\x00\x00WAVEfmt ")
	for _, v := range []any{
		uint32(20), uint16(0x0011), uint16(1), uint32(prompts.Rate), uint32(prompts.Rate * prompts.Block / perBlock),
		uint16(prompts.Block), uint16(4), uint16(2),
		uint16(perBlock), []byte("fact"), uint32(4), uint32(len(sound)), []byte("data"), uint32(len(data)),
	} {
		head, _ = binary.Append(head, binary.LittleEndian, v) // numbers and bytes
	}
	binary.LittleEndian.PutUint32(head[4:], uint32(len(head)+len(data)-8))
	return append(head, data...)
}
