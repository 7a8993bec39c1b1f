package docs

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/all"
	"github.com/dialproof/dialproof/internal/config"
	"github.com/dialproof/dialproof/internal/yamlconf"
)

// secretFile is a key that names a file with a secret.
var secretFile = regexp.MustCompile(`([a-z_]+_file): *[^\s,}#]+`)

// TestConfigurations: every example of the configuration is one that the program takes, with the settings of its
// providers. What stands alone is completed by a key ring; on a provider's page it may be a piece of its settings.
func TestConfigurations(t *testing.T) {
	t.Parallel()
	found := 0
	for _, b := range blocks(t) {
		if b.language != "yaml" || b.attributes["norun"] != "" {
			continue
		}
		found++
		dir := t.TempDir()
		secret := filepath.Join(dir, "secret")
		if err := os.WriteFile(secret, []byte("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := judge(b, dir, secret); err != nil {
			t.Errorf("%s:%d: %v\n%s", b.page, b.line, err, b.code)
		}
	}
	if found < 15 {
		t.Errorf("only %d examples were found", found)
	}
}

// judge returns why the program would not take an example.
func judge(b block, dir, secret string) error {
	text := secretFile.ReplaceAllString(b.code, "$1: "+secret)
	var top map[string]yaml.Node
	if err := yaml.Unmarshal([]byte(text), &top); err != nil {
		return err
	}
	if settings, alone := top["settings"]; alone {
		return settingsOf(b, &settings, false)
	}
	if provider(b) != nil && top["routes"].Kind == 0 {
		var piece yaml.Node
		if err := yaml.Unmarshal([]byte(text), &piece); err != nil {
			return err
		}
		return settingsOf(b, &piece, false)
	}
	if top["keys"].Kind == 0 {
		text = "keys: [{id: 1, secret_file: " + secret + "}]\nallow_handset: true\n" + text
	}
	path := filepath.Join(dir, "dialproof.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return err
	}
	cfg, err := config.Load(path, func(string) (string, bool) { return "", false })
	if err != nil {
		return err
	}
	for _, r := range cfg.Routes {
		for _, p := range all.Providers(nil) {
			if p.Name == r.Provider && !strings.Contains(text, secret) && r.Settings.Kind != 0 {
				if err := settingsOf(block{page: "docs/providers/" + p.Name + ".md"}, &r.Settings, true); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// provider returns the provider that a page is about, or nil.
func provider(b block) *channel.Provider {
	for _, p := range all.Providers(nil) {
		if b.page == "docs/providers/"+p.Name+".md" {
			return &p
		}
	}
	return nil
}

// settingsOf decodes settings as the page's provider does, and judges them when they are whole.
func settingsOf(b block, n *yaml.Node, whole bool) error {
	p := provider(b)
	if p == nil {
		return errors.New("these are settings of no provider")
	}
	settings := p.Config()
	if err := yamlconf.Decode(n, settings, yamlconf.Options{ReadFile: os.ReadFile}); err != nil {
		return err
	}
	if whole {
		return settings.Validate()
	}
	return nil
}

// TestJSON: what is called JSON is JSON, but for what is left out with an ellipsis.
func TestJSON(t *testing.T) {
	t.Parallel()
	for _, b := range blocks(t) {
		if b.language == "json" && !strings.Contains(b.code, "…") && !json.Valid([]byte(b.code)) {
			t.Errorf("%s:%d is no JSON", b.page, b.line)
		}
	}
}

// TestREADMELinks: what the files at the top link to is there. The links of docs/ are tested in internal/docs.
func TestREADMELinks(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
	for _, page := range []string{"README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "client/README.md",
		"sdk/typescript/README.md", "sdk/python/README.md"} {
		text, err := os.ReadFile(filepath.Join(root, page))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(filepath.Join(root, filepath.Dir(page), m[1])); err != nil {
				t.Errorf("%s links to %s, which is not there", page, m[1])
			}
		}
	}
}
