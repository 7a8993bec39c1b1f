package e2e

import (
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestNothingLeaks sends known codes and numbers through every path of the real program and looks for them in
// everything that it leaves behind: its log, metrics, error bodies, and every file of its data folder, the
// database's raw bytes included. The sink, which stands for the provider, is the only place that may know them.
func TestNothingLeaks(t *testing.T) {
	t.Parallel()
	s := newSink(t)
	s.answer = func(n int) int {
		if n%5 == 4 {
			return http.StatusInternalServerError // provider errors are logged too
		}
		return http.StatusOK
	}
	traces := newCollector(t)
	l := newListener(t)
	d := deploy(t, s.URL,
		"log: {level: debug}\nwebhooks: {allow_private: true}\ntracing: {endpoint: '"+traces.URL+"/v1/traces', sample: 1}\n")
	hook := hookSecret(t,
		d.run(t, "webhook", "create", "--config", d.config, "--app", "shop", "--mode", "test", "--to", l.URL))
	p := d.serve(t)
	c := newClient(t, p, d.key)
	var bodies bytes.Buffer
	note := func(a answer, err error) answer {
		if err != nil {
			t.Fatal(err)
		}
		bodies.Write(a.body)
		for name, values := range a.header {
			bodies.WriteString(name + ": " + strings.Join(values, ",") + "\n")
		}
		return a
	}
	secrets := []string{hook, strings.TrimPrefix(hook, "whsec_")}
	for i := range 20 {
		to := drama(3000 + i)
		secrets = append(secrets, to, to[1:], to[2:])
		request := map[string]any{
			"to":       to,
			"purpose":  "login",
			"metadata": map[string]string{"user": "42"},
			"client":   map[string]any{"ip": "203.0.113.7", "user_agent": "canary"},
		}
		if i%3 == 0 {
			request["code"] = supplied(i)
			secrets = append(secrets, supplied(i))
		}
		a := note(c.try(http.MethodPost, "/v1/verifications", request))
		if a.status != http.StatusCreated {
			continue // the client's own limit: a refusal is a path too
		}
		v := field(a, "id")
		waitFor(t, 10*time.Second, "the message of "+v, func() bool { return s.codeFor(to) != "" })
		code := s.codeFor(to)
		secrets = append(secrets, code)
		note(c.try(http.MethodPost, "/v1/verifications/"+v+"/check", map[string]any{"code": "00" + code[2:] + "1"}))
		note(c.try(http.MethodPost, "/v1/verifications/"+v+"/check", map[string]any{"code": code, "extra": code}))
		note(c.try(http.MethodPost, "/v1/verifications/"+v+"/resend", map[string]any{}))
		note(c.try(http.MethodPost, "/v1/verifications", map[string]any{"to": to}))
		note(c.try(http.MethodPost, "/v1/verifications", map[string]any{"to": to + "x"}))
		note(c.try(http.MethodPost, "/v1/verifications", map[string]any{"to": to, "code": code + "!"}))
		note(c.try(http.MethodPost, "/v1/verifications/check", map[string]any{"to": to, "purpose": "login", "code": code}))
		note(c.try(http.MethodGet, "/v1/verifications/"+v, nil))
		note(c.try(http.MethodGet, "/v1/verifications?to=%2B"+to[1:]+"&limit=5", nil))
		note(c.try(http.MethodGet, "/v1/verifications/"+code+to, nil))
	}
	operator := newClient(t, p, d.admin)
	note(operator.try(http.MethodGet, "/metrics", nil))
	waitFor(t, 20*time.Second, "events", func() bool { return len(l.got()) >= 25 })
	l.answers(http.StatusInternalServerError)
	note(c.try(http.MethodPost, "/v1/verifications", map[string]any{"to": drama(3900)}))
	webhooks := note(operator.try(http.MethodGet, "/v1/webhooks", nil))
	note(operator.try(http.MethodGet, "/v1/webhooks/"+whkIn(webhooks)+"/events?limit=100", nil))
	p.stop(t)
	var events strings.Builder
	for _, e := range l.got() {
		events.Write(e.text)
		for name, values := range e.header {
			if name != "Webhook-Signature" { // random letters
				events.WriteString("\n" + name + ": " + strings.Join(values, ",") + "\n")
			}
		}
	}
	for _, want := range []string{"POST /v1/verifications", "http.response.status_code", "dialproof"} {
		if !strings.Contains(traces.String(), want) {
			t.Errorf("the traces do not tell %q", want)
		}
	}
	for name, text := range map[string]string{"the answers": bodies.String(), "the log": p.log.String(),
		"the traces": traces.String(), "the events": events.String()} {
		holdsNone(t, name, text, secrets)
	}
	filesHoldNone(t, filepath.Join(d.dir, "data"), secrets)
}

// long reports whether a secret can be looked for anywhere: a code of six digits stands in any large file by chance.
func long(secret string) bool { return len(secret) >= 10 }

// holdsNone holds that none of the secrets stands in a text.
func holdsNone(t *testing.T, name, text string, secrets []string) {
	t.Helper()
	if len(text) < 1000 {
		t.Errorf("%s are too short to show anything: %q", name, text)
	}
	for _, secret := range secrets {
		if found := strings.Index(text, secret); found >= 0 && (long(secret) || apart(text, found, len(secret))) {
			t.Errorf("%s hold %q: …%s…", name, secret, text[max(found-60, 0):min(found+60, len(text))])
		}
	}
}

// filesHoldNone holds that none of the long secrets stands in a file of a folder.
func filesHoldNone(t *testing.T, folder string, secrets []string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		files++
		raw, err := os.ReadFile(path)
		for _, secret := range secrets {
			if long(secret) && bytes.Contains(raw, []byte(secret)) {
				t.Errorf("%s holds %q", path, secret)
			}
		}
		return err
	})
	if err != nil || files == 0 {
		t.Errorf("%d files were read, %v", files, err)
	}
}

// whkIn finds the id of a webhook in an answer.
func whkIn(a answer) string { return regexp.MustCompile(`whk_[0-9a-z]{26}`).FindString(string(a.body)) }

// collector stands for an OpenTelemetry collector and keeps what it gets, as it comes.
type collector struct {
	*httptest.Server
	syncBuffer
}

func newCollector(t *testing.T) *collector {
	c := &collector{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := io.Reader(r.Body)
		if r.Header.Get("Content-Encoding") == "gzip" {
			unpacked, err := gzip.NewReader(r.Body)
			if err != nil {
				t.Error(err)
				return
			}
			body = unpacked
		}
		_, _ = io.Copy(&c.syncBuffer, body)
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(c.Close)
	return c
}

// supplied returns a code of ten digits that is found nowhere by chance.
func supplied(i int) string { return "90817263" + string(rune('0'+i/10)) + string(rune('0'+i%10)) }

// apart reports whether the characters at a place stand for themselves and are no part of a longer number or id.
func apart(text string, at, n int) bool {
	part := func(i int) bool {
		return i >= 0 && i < len(text) &&
			(text[i] >= '0' && text[i] <= '9' || text[i] >= 'a' && text[i] <= 'z' || text[i] == '.')
	}
	return !part(at-1) && !part(at+n)
}
