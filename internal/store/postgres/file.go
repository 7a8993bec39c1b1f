package postgres

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// keptStanding is how a standing is kept in a file.
type keptStanding struct {
	System   string `json:"system"`
	Timeline int64  `json:"timeline"`
	Mark     int64  `json:"mark"`
	LSN      string `json:"lsn"`
}

// readStanding reads a file that writeStanding wrote; one that is not there says nothing.
func readStanding(path string) (s standing, err error) {
	if path == "" {
		return s, nil
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	var k keptStanding
	var high, low uint64
	if err := json.Unmarshal(text, &k); err != nil {
		return s, fmt.Errorf("%s, which says which database server this node last wrote to, cannot be read: %w", path, err)
	}
	if _, err := fmt.Sscanf(k.LSN, "%X/%X", &high, &low); err != nil || k.System == "" || low>>32 != 0 {
		return s, fmt.Errorf("%s, which says which database server this node last wrote to, is damaged", path)
	}
	return standing{System: k.System, Timeline: k.Timeline, Mark: k.Mark, LSN: high<<32 | low}, nil
}

// writeStanding replaces the file. Whoever reads it, also after a crash, sees the old or the new one.
func writeStanding(path string, s standing) (err error) {
	text, err := json.Marshal(keptStanding{s.System, s.Timeline, s.Mark, lsnText(s.LSN)})
	if err != nil {
		return err
	}
	// with mode 0600
	f, err := os.CreateTemp(filepath.Dir(path), "."+strings.TrimSuffix(filepath.Base(path), ".json")+"-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	_, err = f.Write(append(text, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
