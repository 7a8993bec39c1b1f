package config

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// minKey is the least length of a key's secret, in bytes; it is keyring.MinKey, which this room does not import.
const minKey = 32

// Problem is one thing that is wrong with a configuration.
type Problem struct {
	// File, Line and Column say where it stands; Line is 0 when it stands nowhere, as with a key that is missing.
	File         string
	Line, Column int
	// Path is the key ("routes[1].name").
	Path string
	// Text says what is wrong and what would be right. It never repeats a secret.
	Text string
}

// String reads "dialproof.yaml:12:9: routes[1].name: must be …".
func (p Problem) String() string {
	s := p.Path + ": " + p.Text
	if p.Line > 0 {
		s = fmt.Sprintf("%d:%d: %s", p.Line, p.Column, s)
		if p.File != "" {
			return p.File + ":" + s
		}
	} else if p.File != "" {
		return p.File + ": " + s
	}
	return s
}

// Problems is everything that is wrong with a configuration, as an error.
type Problems []Problem

// Error returns one problem a line.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, one := range p {
		lines[i] = one.String()
	}
	return strings.Join(lines, "\n")
}

// judge collects problems.
type judge struct{ found Problems }

// need adds a problem unless ok.
func (j *judge) need(ok bool, path, format string, args ...any) {
	if !ok {
		j.found = append(j.found, Problem{Path: path, Text: fmt.Sprintf(format, args...)})
	}
}

func (j *judge) within(v, low, top int, path string) {
	j.need(v >= low && v <= top, path, "must be %d to %d", low, top)
}

// Validate returns all that is wrong, as Problems, or nil. It looks at nothing outside of c: whether an address is
// free or a provider known is found out by whoever uses it.
func (c Config) Validate() error {
	j := &judge{}
	j.need(address(c.Listen), "listen", "must be host:port, like 127.0.0.1:8080")
	j.need(c.PublicURL == "" || webAddress(c.PublicURL), "public_url",
		"must be an address like https://verify.example.com, without query or fragment")
	j.need(len(c.TrustedProxies) <= 64, "trusted_proxies", "must have at most 64 entries")
	for i, text := range c.TrustedProxies {
		_, err := proxy(text)
		j.need(err == nil, fmt.Sprintf("trusted_proxies[%d]", i), "must be an address or a network, like 10.0.0.0/8")
	}
	j.need(c.Data != "", "data", "must name a folder")
	j.need(c.Store.Driver == SQLite || c.Store.Driver == Postgres, "store.driver", "must be sqlite or postgres")
	j.need(c.Store.Driver != Postgres || !c.Store.DSN.IsZero(), "store.dsn",
		"is needed with the driver postgres; dsn_file reads it from a file")
	j.within(c.Store.Connections, 4, 1000, "store.connections")
	j.within(c.Store.Lanes, 1, 16, "store.lanes")
	j.need(c.Store.Timeout >= time.Second && c.Store.Timeout <= time.Minute, "store.timeout", "must be 1s to 60s")
	j.need(c.Drain >= 0 && c.Drain <= 5*time.Minute, "drain", "must be 0s to 5m")
	j.need(c.Log.Format == "json" || c.Log.Format == "human", "log.format", "must be json or human")
	j.need(slices.Contains([]string{"debug", "info", "warn", "error"}, c.Log.Level), "log.level",
		"must be debug, info, warn or error")
	j.need(c.Metrics.Listen == "" || address(c.Metrics.Listen), "metrics.listen", "must be host:port, like 127.0.0.1:9090")
	j.need(c.Metrics.Listen == "" || c.Metrics.Listen != c.Listen, "metrics.listen",
		"must differ from listen; leave it out to serve metrics beside the API")
	j.need(c.Tracing.Endpoint == "" || webAddress(c.Tracing.Endpoint), "tracing.endpoint",
		"must be an address like http://127.0.0.1:4318")
	j.need(c.Tracing.Sample >= 0 && c.Tracing.Sample <= 1, "tracing.sample", "must be 0 to 1")
	j.within(c.Retention.Days, 1, 3650, "retention.days")
	j.within(c.Queue.MaxOpen, 100, 10_000_000, "queue.max_open")
	j.within(c.Queue.Workers, 1, 10_000, "queue.workers")
	j.within(c.Webhooks.Workers, 1, 10_000, "webhooks.workers")
	j.need(slices.Contains([]string{"priority", "cheapest", "converting"}, c.Routing.Policy), "routing.policy",
		"must be priority, cheapest or converting")
	j.limits(c.Limits)
	j.keys(c.Keys)
	j.routes(c)
	if j.found == nil {
		return nil
	}
	return j.found
}

func (j *judge) limits(l Limits) {
	j.need(len(l.NumberGaps) <= 20, "limits.number_gaps", "must have at most 20 entries")
	for i, g := range l.NumberGaps {
		j.need(g >= time.Second && g <= 24*time.Hour, fmt.Sprintf("limits.number_gaps[%d]", i), "must be 1s to 24h")
	}
	j.within(l.NumberHour, 0, 100, "limits.number_hour")
	j.within(l.NumberDay, 0, 100, "limits.number_day")
	j.within(l.WrongDay, 0, 10_000, "limits.wrong_day")
	j.within(l.WrongStreak, 0, 10_000, "limits.wrong_streak")
	j.within(l.ClientHour, 0, 1_000_000, "limits.client_hour")
	j.within(l.ClientDay, 0, 1_000_000, "limits.client_day")
}

func (j *judge) keys(keys []Key) {
	j.need(len(keys) > 0, "keys", "at least one key is needed; make its secret with: openssl rand -base64 32")
	seen := map[int]bool{}
	for i, k := range keys {
		path := "keys[" + strconv.Itoa(i) + "]"
		j.within(k.ID, 1, 255, path+".id")
		j.need(!seen[k.ID], path+".id", "another key has the id %d", k.ID)
		seen[k.ID] = true
		secret, err := k.Bytes()
		switch {
		case k.Secret.IsZero():
			j.need(false, path+".secret", "is missing; make one with: openssl rand -base64 32")
		case err != nil:
			j.need(false, path+".secret", "must be base64 or hexadecimal; make one with: openssl rand -base64 32")
		default:
			j.need(len(secret) >= minKey, path+".secret",
				"has %d bytes, at least %d are needed; make one with: openssl rand -base64 32", len(secret), minKey)
		}
	}
}

// Bytes returns the secret itself. It fails when the text is neither hexadecimal nor base64 (standard or URL,
// padded or not).
func (k Key) Bytes() ([]byte, error) {
	text := strings.TrimSpace(k.Secret.Reveal())
	if b, err := hex.DecodeString(text); err == nil && len(b) >= minKey {
		return b, nil
	}
	text = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(text, "="))
	b, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		// The cause would name an offset and a byte of the secret.
		return nil, fmt.Errorf("config: the secret of key %d is neither base64 nor hexadecimal", k.ID)
	}
	return b, nil
}

func (j *judge) routes(c Config) {
	seen := map[string]bool{}
	for i, r := range c.Routes {
		path := "routes[" + strconv.Itoa(i) + "]"
		j.need(matches(`^[a-z0-9-]{1,32}$`, r.Name), path+".name", "must be 1 to 32 lower-case letters, digits and hyphens")
		j.need(r.Name == "" || !seen[r.Name], path+".name", "another route is called %q", r.Name)
		seen[r.Name] = true
		j.need(r.Provider != "", path+".provider", "is missing; docs/providers lists them")
		j.need(r.Provider != "handset" || c.AllowHandset, path+".provider",
			"is for development: anybody can read its messages; `dialproof dev` has it ready, and allow_handset: true "+
				"allows it here")
		j.served(path, r)
		j.bounds(path, r)
	}
}

// served judges what a route says about numbers and messages.
func (j *judge) served(path string, r Route) {
	for k, c := range r.Channels {
		ok := slices.Contains([]string{"sms", "voice", "whatsapp", "telegram", "email"}, c)
		j.need(ok, fmt.Sprintf("%s.channels[%d]", path, k), "must be sms, voice, whatsapp, telegram or email")
	}
	for k, c := range r.Countries {
		j.need(country(c), fmt.Sprintf("%s.countries[%d]", path, k), "must be two capital letters, like GB")
	}
	for k, p := range r.Prefixes {
		j.need(matches(`^\+[1-9][0-9]{0,14}$`, p), fmt.Sprintf("%s.prefixes[%d]", path, k),
			"must be a plus and digits, like +4477")
	}
	j.need(r.Sender == "" || senderID(r.Sender), path+".sender",
		"must be a number, a short code, or up to 11 letters, digits and spaces")
	for _, c := range slices.Sorted(maps.Keys(r.Senders)) {
		j.need(country(c), path+".senders."+c, "must be under a country of two capital letters, like GB")
		j.need(senderID(r.Senders[c]), path+".senders."+c,
			"must be a number, a short code, or up to 11 letters, digits and spaces")
	}
	for _, c := range slices.Sorted(maps.Keys(r.Price)) {
		j.need(c == "*" || country(c), path+".price."+c, `must be under a country of two capital letters, or "*"`)
		j.need(matches(`^[0-9]{1,6}(\.[0-9]{1,8})?$`, r.Price[c]), path+".price."+c, "must be a decimal number, like 0.035")
	}
}

// bounds judges how much a route may carry.
func (j *judge) bounds(path string, r Route) {
	j.need(r.Rate >= 0 && r.Rate <= 100_000, path+".rate", "must be 0 (no limit) to 100000 messages a second")
	j.within(r.Concurrency, 1, 10_000, path+".concurrency")
	j.need(r.Timeout >= time.Second && r.Timeout <= time.Minute, path+".timeout", "must be 1s to 60s")
	j.within(r.Priority, -1000, 1000, path+".priority")
	j.within(r.Weight, 0, 1000, path+".weight")
	j.need(len(r.Registered) <= 256, path+".registered", "must have at most 256 entries")
	for i, reg := range r.Registered {
		at := fmt.Sprintf("%s.registered[%d]", path, i)
		j.need(strings.Contains(reg.Text, "{#") && len(reg.Text) <= 2000, at+".text",
			"must be the registered text, at most 2000 bytes, with {#var#} for what changes")
		j.need(len(reg.TemplateID) <= 64, at+".template_id", "must have at most 64 characters")
		for k, c := range reg.Countries {
			j.need(country(c), fmt.Sprintf("%s.countries[%d]", at, k), "must be two capital letters, like IN")
		}
	}
	j.need(len(r.Regulatory) <= 32, path+".regulatory", "must have at most 32 entries")
}

func matches(pattern, text string) bool { return regexp.MustCompile(pattern).MatchString(text) }

func country(text string) bool { return matches(`^[A-Z]{2}$`, text) }

// senderID reports whether a handset could show text as the origin of a message.
func senderID(text string) bool {
	return matches(`^\+?[0-9]{3,15}$`, text) || matches(`^[A-Za-z0-9 ._&-]{1,11}$`, text)
}

func address(text string) bool {
	_, port, err := net.SplitHostPort(text)
	n, perr := strconv.Atoi(port)
	return err == nil && perr == nil && n >= 0 && n <= 65535
}

func webAddress(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.RawQuery == "" &&
		u.Fragment == "" && u.User == nil
}
