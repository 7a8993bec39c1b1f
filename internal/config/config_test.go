package config

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/secret"
)

// key is a good secret: 32 bytes.
const key = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="

const good = `
keys: [{id: 1, secret: ` + key + `}]
routes:
  - name: main
    provider: twilio
    countries: [GB]
    senders: {GB: Acme}
    price: {GB: "0.035", "*": "0.10"}
    settings: {account_sid: AC1}
`

// vars is an environment.
func vars(pairs ...string) func(string) (string, bool) {
	m := map[string]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return func(name string) (string, bool) { v, ok := m[name]; return v, ok }
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	c, err := Parse("dialproof.yaml", []byte(good), vars())
	if err != nil {
		t.Fatal(err)
	}
	r := c.Routes[0]
	if c.Listen != "127.0.0.1:8080" || c.Limits.NumberHour != 5 || len(c.Limits.NumberGaps) != 4 ||
		c.Queue.Workers != 256 {
		t.Errorf("got %+v", c)
	}
	if r.Concurrency != 64 || r.Timeout != 10*time.Second || r.Price["GB"] != "0.035" {
		t.Errorf("got the route %+v", r)
	}
	var settings struct {
		SID string `yaml:"account_sid"`
	}
	if err := r.Settings.Decode(&settings); err != nil || settings.SID != "AC1" {
		t.Errorf("got the settings %+v, %v", settings, err)
	}
	b, err := c.Keys[0].Bytes()
	if err != nil || len(b) != 32 {
		t.Errorf("got a key of %d bytes, %v", len(b), err)
	}
}

func TestOverrides(t *testing.T) {
	t.Parallel()
	dsn := filepath.Join(t.TempDir(), "dsn")
	if err := os.WriteFile(dsn, []byte("postgres://x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Parse("", []byte("listen: 127.0.0.1:1\n"+good),
		vars("DIALPROOF_LISTEN", "0.0.0.0:80", "DIALPROOF_LOG_LEVEL", "debug", "DIALPROOF_QUEUE_WORKERS", "7",
			"DIALPROOF_TRACING_SAMPLE", "0.5", "DIALPROOF_ALLOW_HANDSET", "true", "DIALPROOF_STORE_DRIVER", "postgres",
			"DIALPROOF_STORE_DSN_FILE", dsn))
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen != "0.0.0.0:80" || c.Log.Level != "debug" || c.Queue.Workers != 7 || c.Tracing.Sample != 0.5 ||
		!c.AllowHandset || c.Store.DSN.Reveal() != "postgres://x" {
		t.Errorf("got %+v", c)
	}
}

func TestKeyForms(t *testing.T) {
	t.Parallel()
	raw := []byte(strings.Repeat("\xfb\xff", 20))
	for _, text := range []string{
		hex.EncodeToString(raw), strings.ToUpper(hex.EncodeToString(raw)), base64.StdEncoding.EncodeToString(raw),
		base64.RawStdEncoding.EncodeToString(raw), base64.URLEncoding.EncodeToString(raw),
		base64.RawURLEncoding.EncodeToString(raw) + "\n",
	} {
		got, err := Key{ID: 1, Secret: secret.New(text)}.Bytes()
		if err != nil || string(got) != string(raw) {
			t.Errorf("%q: got %x, %v", text, got, err)
		}
	}
	if _, err := (Key{ID: 1, Secret: secret.New("not a key!")}).Bytes(); err == nil ||
		strings.Contains(err.Error(), "not a key") {
		t.Errorf("got %v, want an error that does not repeat the secret", err)
	}
}

func TestMissingFile(t *testing.T) {
	t.Parallel()
	if _, err := Load(filepath.Join(t.TempDir(), "no.yaml"), vars()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// TestPackagedExample: the file that the packages install is good, but for the key that its script makes.
func TestPackagedExample(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../packaging/dialproof.yaml")
	if err != nil {
		t.Fatal(err)
	}
	checkExample(t, string(text))
}

func TestShortest(t *testing.T) {
	t.Parallel()
	checkExample(t, shortest)
}

// checkExample loads an example with its key file in a place of ours.
func checkExample(t *testing.T, text string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "key-1")
	if err := os.WriteFile(file, []byte(key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Parse("dialproof.yaml", []byte(strings.ReplaceAll(text, "/etc/dialproof/key-1", file)),
		vars()); err != nil {
		t.Error(err)
	}
}
