package sip

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/secret"
	"github.com/dialproof/dialproof/internal/yamlconf"
)

// good returns settings that are right.
func good() *Config {
	c := defaults()
	c.Server, c.From = "sip.example.com:5060", "+4930123456"
	return c
}

// TestSettings: each fault names its key and no value.
func TestSettings(t *testing.T) {
	t.Parallel()
	must(t, good().Validate())
	for key, changes := range map[string][]func(*Config){
		"server": {
			func(c *Config) { c.Server = "" }, func(c *Config) { c.Server = "sip.example.com:0" },
			func(c *Config) { c.Server = "sip.example.com:sip" }, func(c *Config) { c.Server = "sip://example.com" },
			func(c *Config) { c.Server = "a b:5060" }, func(c *Config) { c.Server = "x\r\ny:5060" },
		},
		"transport": {func(c *Config) { c.Transport = "ws" }, func(c *Config) { c.Transport = "UDP" }},
		"username": {func(c *Config) { c.Username = "a b" }, func(c *Config) { c.Username = "a\r\nX: y" },
			func(c *Config) { c.Password = secret.New("geheim1") }},
		"register": {func(c *Config) { c.Register = true }, func(c *Config) { c.Register, c.Username = true, "u" }},
		"domain":   {func(c *Config) { c.Domain = "sip:example.com" }},
		"from":     {func(c *Config) { c.From = "\"x\"" }, func(c *Config) { c.From = "" }},
		"caller_header": {func(c *Config) { c.CallerHeader = "x-from" },
			func(c *Config) { c.CallerHeader = headerAsserted }},
		"listen": {func(c *Config) { c.Listen = "5060" },
			func(c *Config) { c.Transport, c.Listen = "tls", "0.0.0.0:5061" }},
		"public_address": {func(c *Config) { c.PublicAddress = "here.example.com" }},
		"rtp_ports": {func(c *Config) { c.RTPPorts = "10000" }, func(c *Config) { c.RTPPorts = "80-90" },
			func(c *Config) { c.RTPPorts = "20000-10000" }, func(c *Config) { c.RTPPorts = "20000-20001" }},
		"codecs": {func(c *Config) { c.Codecs = nil }, func(c *Config) { c.Codecs = []string{"opus"} },
			func(c *Config) { c.Codecs = []string{"pcmu", "pcmu"} }},
		"dial_format":  {func(c *Config) { c.DialFormat = "national" }},
		"dial_prefix":  {func(c *Config) { c.DialPrefix = "9@x" }},
		"ring_timeout": {func(c *Config) { c.RingTimeout = 0 }, func(c *Config) { c.RingTimeout = 46 * time.Second }},
		"answered_timeout": {func(c *Config) { c.AnsweredTimeout = 0 },
			func(c *Config) { c.AnsweredTimeout = 61 * time.Second }},
		"max_calls": {func(c *Config) { c.MaxCalls = 0 }, func(c *Config) { c.MaxCalls = 1001 }},
		"ca_file":   {func(c *Config) { c.CAFile = "/x" }},
	} {
		for _, change := range changes {
			c := good()
			change(c)
			err := c.Validate()
			if err == nil || !strings.HasPrefix(err.Error(), key+":") {
				t.Errorf("%s: got %v", key, err)
			} else if strings.Contains(err.Error(), "geheim1") {
				t.Errorf("%s: the password shows", key)
			}
		}
	}
}

// TestServers: addresses that are taken, with their default ports.
func TestServers(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"sip.example.com": "sip.example.com 5060", "192.0.2.1:5080": "192.0.2.1 5080", "[2001:db8::1]": "2001:db8::1 5060",
		"[2001:db8::1]:5070": "2001:db8::1 5070",
	} {
		c := good()
		c.Server = text
		must(t, c.Validate())
		if host, port, _ := c.server(); host+" "+itoa(int(port)) != want {
			t.Errorf("%s is %s %d", text, host, port)
		}
	}
	c := good()
	c.Server, c.Transport = "sip.example.com", "tls"
	if _, port, _ := c.server(); port != 5061 {
		t.Errorf("the port of tls is %d", port)
	}
}

// TestOpen: recordings and certificates are looked at before any call is made.
func TestOpen(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	must(t, os.Mkdir(filepath.Join(folder, "en"), 0o755))
	must(t, os.WriteFile(filepath.Join(folder, "en", "greeting.wav"), []byte("no sound"), 0o600))
	for want, change := range map[string]func(*Config){
		"prompts: en/greeting.wav: is no WAV file": func(c *Config) { c.Prompts = folder },
		"prompts: the folder cannot be read":       func(c *Config) { c.Prompts = folder + "/none" },
		"ca_file: cannot be read":                  func(c *Config) { c.Transport, c.CAFile = "tls", folder+"/none" },
		"ca_file: holds no PEM certificate": func(c *Config) {
			c.Transport, c.CAFile = "tls", filepath.Join(folder, "en", "greeting.wav")
		},
	} {
		c := good()
		change(c)
		must(t, c.Validate())
		if _, err := c.Open(channel.Env{Now: time.Now}); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// TestProvider: what the lists and pages show.
func TestProvider(t *testing.T) {
	t.Parallel()
	p := Provider()
	if p.Name != "sip" || p.Title == "" || p.Summary == "" || len(p.Channels) != 1 || p.Channels[0] != channel.Voice {
		t.Errorf("the provider is %+v", p)
	}
	text := ""
	for f := range reflect.TypeFor[Config]().Fields() {
		if e := f.Tag.Get("example"); e != "" {
			text += f.Tag.Get("yaml") + ": " + e + "\n"
		}
		if f.Tag.Get("yaml") == "" || f.Tag.Get("doc") == "" {
			t.Errorf("%s has no yaml or doc tag", f.Name)
		}
	}
	var doc yaml.Node
	must(t, yaml.Unmarshal([]byte(text), &doc))
	settings := p.Config()
	must(t, yamlconf.Decode(&doc, settings, yamlconf.Options{}))
	must(t, settings.Validate())
	if _, err := settings.Open(channel.Env{Now: time.Now}); err != nil {
		t.Error(err)
	}
}
