package app

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/dialproof/dialproof/internal/config"
	"github.com/dialproof/dialproof/internal/keyring"
	"github.com/dialproof/dialproof/internal/secret"
)

// ring returns the key ring of the configuration.
func ring(keys []config.Key) (*keyring.Ring, error) {
	out := make([]keyring.Key, 0, len(keys))
	for _, k := range keys {
		secret, err := k.Bytes()
		if err != nil {
			return nil, fmt.Errorf("key %d of the key ring: %w", k.ID, err)
		}
		out = append(out, keyring.Key{ID: byte(k.ID), Secret: secret}) // validated: 1 to 255
	}
	return keyring.New(out)
}

// devRingFile is where the key ring of a development folder is.
const devRingFile = "keyring"

// devRing returns the key ring of a development folder, made at its first use.
func devRing(data string) (*keyring.Ring, error) {
	path := filepath.Join(data, devRingFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		text = []byte(base64.StdEncoding.EncodeToString(keyring.NewSecret()))
		err = writeFile(path, text)
	}
	if err != nil {
		return nil, err
	}
	r, err := ring([]config.Key{{ID: 1, Secret: secret.New(string(text))}})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// writeFile writes a small secret file, whole or not at all. It is durable before anything is sealed with what is in
// it.
func writeFile(path string, text []byte) error {
	tmp := path + ".new"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil || runtime.GOOS == "windows" { // which cannot sync a folder
		return err
	}
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// readKey reads a key file.
func readKey(path string) (string, error) {
	text, err := os.ReadFile(path)
	return strings.TrimSpace(string(text)), err
}

// makeFolder makes the data folder, for its owner alone.
func makeFolder(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return fmt.Errorf("the data folder cannot be made: %w", err)
	}
	return nil
}

// ringOf returns the key ring of a deployment or, where the configuration has none, of its development folder, and
// whether endpoints may have private addresses there.
func ringOf(cfg config.Config) (r *keyring.Ring, private bool, err error) {
	if len(cfg.Keys) > 0 {
		r, err = ring(cfg.Keys)
		return r, cfg.Webhooks.AllowPrivate, err
	}
	if _, err := os.Stat(filepath.Join(cfg.Data, devRingFile)); err != nil {
		return nil, false, fmt.Errorf("there is no key ring: neither in the configuration nor in %s", cfg.Data)
	}
	r, err = devRing(cfg.Data)
	return r, true, err
}
