package config

import (
	"fmt"
	"strings"
	"testing"
)

// TestProblems: what is wrong is told in words, with its place. `KEY` stands for a good key, `R` for a good route's
// beginning.
func TestProblems(t *testing.T) {
	t.Parallel()
	const keys = "keys: [{id: 1, secret: " + key + "}]\n"
	for _, tc := range []struct{ name, text, want string }{
		{"no keys", "listen: 127.0.0.1:80", "f.yaml: keys: at least one key is needed; make its secret with: openssl " +
			"rand -base64 32"},
		{"address", keys + "listen: '8080'", "f.yaml:2:9: listen: must be host:port, like 127.0.0.1:8080"},
		{"public address", keys + "public_url: verify.example.com", "f.yaml:2:13: public_url: must be an address like " +
			"https://verify.example.com, without query or fragment"},
		{"driver", keys + "store: {driver: mysql}", "f.yaml:2:17: store.driver: must be sqlite or postgres"},
		{"no dsn", keys + "store: {driver: postgres}", "f.yaml:2:8: store.dsn: is needed with the driver postgres; " +
			"dsn_file reads it from a file"},
		{"short key", "keys: [{id: 1, secret: c2hvcnQ=}]", "f.yaml:1:24: keys[0].secret: has 5 bytes, at least 32 are " +
			"needed; make one with: openssl rand -base64 32"},
		{"key in another form", "keys: [{id: 1, secret: 'hunter 2'}]", "f.yaml:1:24: keys[0].secret: must be base64 or " +
			"hexadecimal; make one with: openssl rand -base64 32"},
		{"key id", "keys: [{id: 0, secret: " + key + "}]", "f.yaml:1:13: keys[0].id: must be 1 to 255"},
		{"two keys of one id", "keys: [{id: 1, secret: " + key + "}, {id: 1, secret: " + key + "}]", "f.yaml:1:76: " +
			"keys[1].id: another key has the id 1"},
		{"route name", keys + "routes: [{name: Main, provider: twilio}]", "f.yaml:2:17: routes[0].name: must be 1 to 32 " +
			"lower-case letters, digits and hyphens"},
		{"two routes of one name", keys + "routes: [{name: a, provider: x}, {name: a, provider: x}]",
			`f.yaml:2:41: routes[1].name: another route is called "a"`},
		{"no provider", keys + "routes: [{name: a}]", "f.yaml:2:10: routes[0].provider: is missing; docs/providers lists " +
			"them"},
		{"handset", keys + "routes: [{name: a, provider: handset}]", "f.yaml:2:30: routes[0].provider: is for " +
			"development: anybody can read its messages; `dialproof dev` has it ready, and allow_handset: true allows it here"},
		{"channel", keys + "routes: [{name: a, provider: x, channels: [sms, fax]}]", "f.yaml:2:49: " +
			"routes[0].channels[1]: must be sms, voice, whatsapp, telegram or email"},
		{"country", keys + "routes: [{name: a, provider: x, countries: [gb]}]", "f.yaml:2:45: routes[0].countries[0]: " +
			"must be two capital letters, like GB"},
		{"prefix", keys + "routes: [{name: a, provider: x, prefixes: ['0044']}]", "f.yaml:2:44: routes[0].prefixes[0]: " +
			"must be a plus and digits, like +4477"},
		{"sender", keys + "routes: [{name: a, provider: x, sender: Somebody Long}]", "f.yaml:2:41: routes[0].sender: " +
			"must be a number, a short code, or up to 11 letters, digits and spaces"},
		{"price", keys + "routes: [{name: a, provider: x, price: {GB: cheap}}]", "f.yaml:2:45: routes[0].price.GB: must " +
			"be a decimal number, like 0.035"},
		{"time-out", keys + "routes: [{name: a, provider: x, timeout: 2m}]", "f.yaml:2:42: routes[0].timeout: must be 1s " +
			"to 60s"},
		{"gap", keys + "limits: {number_gaps: [30s, 25h]}", "f.yaml:2:29: limits.number_gaps[1]: must be 1s to 24h"},
		{"limit", keys + "limits: {number_day: 101}", "f.yaml:2:22: limits.number_day: must be 0 to 100"},
		{"metrics beside", keys + "metrics: {listen: 127.0.0.1:8080}", "f.yaml:2:19: metrics.listen: must differ from " +
			"listen; leave it out to serve metrics beside the API"},
		{"several at once", "listen: x\nlog: {level: loud}\nretention: {days: 0}\n" + keys, "f.yaml:1:9: listen: must be " +
			"host:port, like 127.0.0.1:8080\nf.yaml:2:14: log.level: must be debug, info, warn or error\nf.yaml:3:19: " +
			"retention.days: must be 1 to 3650"},
		{"unknown key", keys + "lisen: 127.0.0.1:80", `f.yaml:2:1: lisen: unknown key; did you mean "listen"?`},
		{"unknown key below", "keys: [{id: 1, secrte: x}]", `f.yaml:1:16: keys[0].secrte: unknown key; did you mean ` +
			`"secret"?`},
		{"nothing like it", keys + "log: {frobnicate: 1}", "f.yaml:2:7: log.frobnicate: unknown key; known are format, " +
			"level"},
		{"twice", keys + "listen: 127.0.0.1:1\nlisten: 127.0.0.1:2", "f.yaml:3:1: listen: is given twice"},
		{"secret and its twin", "keys: [{id: 1, secret: x, secret_file: y}]", "f.yaml:1:27: keys[0].secret_file: is " +
			"given twice"},
		{"no such file", "keys: [{id: 1, secret_file: /nowhere}]", "f.yaml:1:29: keys[0].secret_file: cannot be read: " +
			"open /nowhere: no such file or directory"},
		{"form", keys + "queue: {workers: many}\nlog: json\nroutes: {name: a}", "f.yaml:2:18: queue.workers: must be a " +
			"whole number\nf.yaml:3:6: log: must be a block of keys\nf.yaml:4:9: routes: must be a list"},
		{"no mapping", "[1]", "f.yaml:1:1: yaml: must be a block of keys"},
		{"two documents", keys + "---\nlisten: x", "f.yaml: yaml: the file must hold one document: remove the line ---"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse("/etc/f.yaml", []byte(tc.text), vars())
			if fmt.Sprint(err) != tc.want {
				t.Errorf("got:\n%v\nwant:\n%s", err, tc.want)
			}
		})
	}
}

func TestEnvironmentProblems(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, value, want string }{
		{"DIALPROOF_QUEUE_WORKERS", "many", "DIALPROOF_QUEUE_WORKERS: must be a whole number"},
		{"DIALPROOF_ALLOW_HANDSET", "maybe", "DIALPROOF_ALLOW_HANDSET: must be true or false"},
		{"DIALPROOF_STORE_DSN_FILE", "/nowhere", "store.dsn: cannot be read: open /nowhere: no such file or directory"},
	} {
		_, err := Parse("", []byte(good), vars(tc.name, tc.value))
		if fmt.Sprint(err) != tc.want {
			t.Errorf("got:\n%v\nwant:\n%s", err, tc.want)
		}
	}
}

// TestProblemsHideSecrets: whatever is wrong around a secret, its text does not come out.
func TestProblemsHideSecrets(t *testing.T) {
	t.Parallel()
	const hidden = "hunter2hunter2"
	for _, text := range []string{
		"keys: [{id: 1, secret: " + hidden + "}]", "keys: [{id: x, secret: " + hidden + "}]",
		"keys: [{id: 1, secrte: " + hidden + "}]", "keys: [{id: 1, secret: [" + hidden + "]}]", "keys: " + hidden,
		"store: {dsn: {a: " + hidden + "}}", "store: " + hidden, "keys:\n  - id: 1\n    secret: " + hidden + "\n   x",
		"keys: [{id: 1, secret: \"" + hidden, "keys: [{id: 1, " +
			"secret: !!binary " + hidden + "}]",
		"keys: [{id: 1, secret: x, secret: " + hidden + "}]", "keys: [{id: 1, secret: *" + hidden + "}]",
	} {
		_, err := Parse("f.yaml", []byte(text), vars())
		if err == nil || strings.Contains(err.Error(), "hunter") {
			t.Errorf("%q: got %v, want an error without the secret", text, err)
		}
	}
	if _, err := Parse("", []byte(good), vars("DIALPROOF_QUEUE_WORKERS", hidden)); err == nil ||
		strings.Contains(err.Error(), hidden) {
		t.Errorf("got %v, want an error without the value", err)
	}
}
