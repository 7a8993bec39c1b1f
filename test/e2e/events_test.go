package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	oracle "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/dialproof/dialproof/internal/api/apitest"
)

// told is an event as an application got it.
type told struct {
	header http.Header
	text   []byte
	body   struct {
		Type     string
		Sequence int
		Delivery string
		Data     struct {
			ID, Status, To string
			Deliveries     []struct{ ID, Status string }
		}
	}
}

// listener is an application's side.
type listener struct {
	*httptest.Server
	mu     sync.Mutex
	all    []told
	status int // that it answers; 0: 200
}

func newListener(t testing.TB) *listener {
	l := &listener{}
	l.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e := told{header: r.Header.Clone()}
		e.text, _ = io.ReadAll(r.Body)
		if err := json.Unmarshal(e.text, &e.body); err != nil {
			t.Errorf("an event is no JSON: %v", err)
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.all = append(l.all, e)
		if l.status != 0 {
			w.WriteHeader(l.status)
		}
	}))
	t.Cleanup(l.Close)
	return l
}

// answers sets the status that it answers from now on.
func (l *listener) answers(status int) { l.mu.Lock(); l.status = status; l.mu.Unlock() }

func (l *listener) got() []told { l.mu.Lock(); defer l.mu.Unlock(); return slices.Clone(l.all) }

// of returns the events of a verification as words, in their order by sequence, and whether each number is there once.
func (l *listener) of(t testing.TB, v string) []string {
	t.Helper()
	var mine []told
	for _, e := range l.got() {
		if e.body.Data.ID == v {
			mine = append(mine, e)
		}
	}
	slices.SortFunc(mine, func(a, b told) int { return a.body.Sequence - b.body.Sequence })
	var out []string
	for i, e := range mine {
		if e.body.Sequence != i+1 {
			return nil // one is still on its way
		}
		out = append(out, e.body.Type+" "+e.body.Data.Status)
	}
	return out
}

// TestEvents: the whole way, from the command line that makes a webhook to receivers that nobody here wrote.
func TestEvents(t *testing.T) {
	t.Parallel()
	s, l := newSink(t), newListener(t)
	d := deploy(t, s.URL, "webhooks: {allow_private: true}\n")
	secret := hookSecret(t,
		d.run(t, "webhook", "create", "--config", d.config, "--app", "shop", "--mode", "test", "--to", l.URL+"/hook",
			"--description", "the shop"))
	hook := regexp.MustCompile(`whk_[0-9a-z]{26}`).FindString(d.run(t, "webhook", "list", "--config", d.config))
	p := d.serve(t)
	c, operator := newClient(t, p, d.key), newClient(t, p, d.admin)

	to := drama(7001)
	v := field(c.call(t, http.StatusCreated, http.MethodPost, "/v1/verifications",
		map[string]any{"to": to, "metadata": map[string]string{"user": "42"}}), "id")
	waitFor(t, 10*time.Second, "the message", func() bool { return s.codeFor(to) != "" })
	waitFor(t, 10*time.Second, "the news of the delivery", func() bool { return len(l.of(t, v)) == 2 })
	code := s.codeFor(to)
	c.call(t, http.StatusOK, http.MethodPost, "/v1/verifications/"+v+"/check", map[string]any{"code": code})
	waitFor(t, 10*time.Second, "the approval", func() bool { return len(l.of(t, v)) == 3 })
	if got := l.of(t, v); !slices.Equal(got,
		[]string{"verification.started pending", "delivery.updated pending", "verification.approved approved"}) {
		t.Errorf("told %q", got)
	}
	// The magic number whose verifications have expired when they begin: it is told without anybody's asking.
	expired := field(c.call(t, http.StatusCreated, http.MethodPost, "/v1/verifications",
		map[string]any{"to": "+447700900003"}), "id")
	waitFor(t, 10*time.Second, "the expiry",
		func() bool { return slices.Contains(l.of(t, expired), "verification.expired expired") })

	if out := d.run(t, "webhook", "test", "--config", d.config, hook); !strings.Contains(out, "taken: answered 200") {
		t.Errorf("webhook test: %s", out)
	}
	contract, err := apitest.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range l.got() {
		judgeEvent(t, contract, e)
		if text := string(e.text); strings.Contains(text, to) || strings.Contains(text, code) ||
			strings.Contains(text, to[3:]) {
			t.Errorf("an event holds a number or a code: %s", text)
		}
	}
	believed(t, secret, l.got())
	manageWebhook(t, d, operator, hook, secret, l)
}

// hookSecret finds the secret in a command's output.
func hookSecret(t testing.TB, out string) string {
	t.Helper()
	secret := regexp.MustCompile(`whsec_[0-9A-Za-z+/=]{44}`).FindString(out)
	if secret == "" {
		t.Fatalf("no secret in\n%s", out)
	}
	return secret
}

// judgeEvent holds a body against the contract.
func judgeEvent(t testing.TB, c *apitest.Contract, e told) {
	t.Helper()
	var body map[string]any
	if err := json.Unmarshal(e.text, &body); err != nil {
		t.Fatal(err)
	}
	schemas := c.Doc().Components.Schemas
	if err := schemas["WebhookBody"].Value.VisitJSON(body); err != nil {
		t.Errorf("%s\n%v", e.text, err)
	}
	if body["type"] == "test.ping" {
		return
	}
	if err := schemas["Verification"].Value.VisitJSON(body["data"]); err != nil {
		t.Errorf("%s\n%v", e.text, err)
	}
	if _, ok := body["delivery"]; ok != (body["type"] == "delivery.updated") {
		t.Errorf("%s", e.text)
	}
}

// believed holds events against two libraries that nobody here wrote: the Go and the JavaScript one of Standard
// Webhooks.
func believed(t testing.TB, secret string, events []told) {
	t.Helper()
	library, err := oracle.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	type request struct {
		Headers map[string]string `json:"headers"`
		Body    string            `json:"body"`
	}
	var all []request
	for _, e := range events {
		if err := library.Verify(e.text, e.header); err != nil {
			t.Errorf("Go: %v: %s", err, e.text)
		}
		h := map[string]string{}
		for _, name := range []string{"webhook-id", "webhook-timestamp", "webhook-signature"} {
			h[name] = e.header.Get(name)
		}
		all = append(all, request{h, string(e.text)})
	}
	in, err := json.Marshal(map[string]any{"secret": secret, "requests": all})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", "consumer.js")
	cmd.Dir, cmd.Stdin = "testdata/webhooks", bytes.NewReader(in)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("JavaScript (scripts/setup-test.sh brings what is missing): %v\n%s", err, out)
	}
	var types []string
	if err := json.Unmarshal(out, &types); err != nil || len(types) != len(events) || len(types) < 5 {
		t.Errorf("JavaScript believed %q of %d events, %v", types, len(events), err)
	}
}

// manageWebhook goes through everything that the API and the command line do with a webhook.
func manageWebhook(t *testing.T, d *deployment, operator *client, hook, secret string, l *listener) {
	path := "/v1/webhooks/" + hook
	list := operator.call(t, http.StatusOK, http.MethodGet, "/v1/webhooks", nil)
	if !strings.Contains(string(list.body), hook) || strings.Contains(string(list.body), "whsec_") {
		t.Errorf("the list: %s", list.body)
	}
	rotated := operator.call(t, http.StatusOK, http.MethodPost, path+"/rotate", nil)
	before := len(l.got())
	operator.call(t, http.StatusAccepted, http.MethodPost, path+"/test", nil)
	waitFor(t, 10*time.Second, "the ping", func() bool { return len(l.got()) > before })
	ping := l.got()[before]
	if n := len(strings.Fields(ping.header.Get("Webhook-Signature"))); n != 2 {
		t.Errorf("%d signatures after a rotation", n)
	}
	for _, s := range []string{secret, field(rotated, "secret")} {
		library, err := oracle.NewWebhook(s)
		if err != nil || library.Verify(ping.text, ping.header) != nil {
			t.Errorf("after a rotation one secret is not believed: %v", err)
		}
	}
	l.answers(http.StatusGone)
	operator.call(t, http.StatusAccepted, http.MethodPost, path+"/test", nil)
	waitFor(t, 10*time.Second, "the webhook to be disabled", func() bool {
		now := operator.call(t, http.StatusOK, http.MethodGet, path, nil)
		return strings.Contains(string(now.body), `"disabled_reason":"gone"`)
	})
	operator.call(t, http.StatusConflict, http.MethodPost, path+"/test", nil)
	if out := d.run(t, "webhook", "list", "--config", d.config, "--app", "shop"); !strings.Contains(out,
		"disabled (gone)") {
		t.Errorf("webhook list: %s", out)
	}
	if out, err := exec.Command(binary, "doctor", "--config", d.config).CombinedOutput(); !strings.Contains(string(out),
		"note   webhook "+hook+" is disabled (gone)") {
		t.Errorf("doctor: %v\n%s", err, out)
	}
	l.answers(0)
	operator.call(t, http.StatusOK, http.MethodPatch, path,
		map[string]any{"enabled": true, "events": []string{"verification.approved"}})
	dead := operator.call(t, http.StatusOK, http.MethodGet, path+"/events?status=dead&limit=5", nil)
	event := regexp.MustCompile(`evt_[0-9a-z]{26}`).FindString(string(dead.body))
	if !strings.Contains(string(dead.body), `"http_status":410`) || event == "" {
		t.Errorf("dead events: %s", dead.body)
	}
	before = len(l.got())
	if out := d.run(t, "webhook", "replay", "--config", d.config, hook, "--since", "1h"); out != "replayed: 1\n" {
		t.Errorf("webhook replay: %s", out)
	}
	waitFor(t, 10*time.Second, "the replay", func() bool { return len(l.got()) > before })
	if got := l.got()[before].header.Get("Webhook-Id"); got != event {
		t.Errorf("%s was replayed as %s", event, got)
	}
	again := operator.call(t, http.StatusAccepted, http.MethodPost, path+"/replay", map[string]any{"event": event})
	if string(again.body) != `{"replayed":1}` {
		t.Errorf("replay: %s", again.body)
	}
	if out := d.run(t, "webhook", "events", "--config", d.config, hook); !strings.Contains(out, event) ||
		!strings.Contains(out, "answered 200 in ") {
		t.Errorf("webhook events: %s", out)
	}
	refusals(t, operator, path)
	operator.call(t, http.StatusNoContent, http.MethodDelete, path, nil)
	operator.call(t, http.StatusNotFound, http.MethodGet, path, nil)
}

// refusals are requests that cannot be taken.
func refusals(t *testing.T, operator *client, path string) {
	t.Helper()
	app := field(operator.call(t, http.StatusOK, http.MethodGet, path, nil), "application")
	for _, body := range []map[string]any{
		{}, {"application": app}, {"url": "https://shop.example/"}, {"application": "shop", "url": "https://shop.example/"},
		{"application": app, "url": "ftp://shop.example/"},
		{"application": app, "url": "https://shop.example/", "events": []string{"verification.exploded"}},
		{"application": app, "url": "https://shop.example/", "mode": "both"},
		{"application": app, "url": "https://shop.example/", "secret": "mine"},
	} {
		operator.call(t, http.StatusUnprocessableEntity, http.MethodPost, "/v1/webhooks", body)
	}
	for _, body := range []map[string]any{{}, {"event": "evt_1"},
		{"event": "evt_01kb2v5w8e7x9a3c4d5f6g7h8j", "since": "2026-11-24T08:00:00Z"}} {
		operator.call(t, http.StatusUnprocessableEntity, http.MethodPost, path+"/replay", body)
	}
	operator.call(t, http.StatusNotFound, http.MethodPost, path+"/replay",
		map[string]any{"event": "evt_01kb2v5w8e7x9a3c4d5f6g7h8j"})
	operator.call(t, http.StatusUnprocessableEntity, http.MethodGet, path+"/events?limit=101", nil)
	operator.call(t, http.StatusUnprocessableEntity, http.MethodGet, path+"/events?status=lost", nil)
	operator.call(t, http.StatusUnprocessableEntity, http.MethodPatch, path,
		map[string]any{"url": "http://user:pw@127.0.0.1/"})
}
