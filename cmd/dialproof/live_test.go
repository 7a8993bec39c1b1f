package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// watched is an output that tells when a word has been written.
type watched struct {
	mu    sync.Mutex
	text  bytes.Buffer
	word  string
	there chan struct{}
	once  sync.Once
}

func (o *watched) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Write(p)
	if strings.Contains(o.text.String(), o.word) {
		o.once.Do(func() { close(o.there) })
	}
	return len(p), nil
}

func (o *watched) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func noEnv(string) (string, bool) { return "", false }

// startDev runs dev in a fresh folder and answers its address and folder; it stops, in good order, with the test.
func startDev(t *testing.T) (address, folder string) {
	t.Helper()
	folder = filepath.Join(t.TempDir(), "data")
	out := &watched{word: "Ctrl-C", there: make(chan struct{})}
	errs := &watched{there: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"dev", "--listen", "127.0.0.1:0", "--data", folder},
			world{Env: noEnv, Out: out, Err: errs, app: wire()})
	}()
	select {
	case <-out.there:
	case code := <-ended:
		t.Fatalf("dev ended with %d: %s", code, errs)
	case <-time.After(30 * time.Second):
		t.Fatalf("dev is not ready after 30 s: %s", errs)
	}
	t.Cleanup(func() {
		cancel()
		if code := <-ended; code != exitOK {
			t.Errorf("dev ended with %d: %s", code, errs)
		}
	})
	return regexp.MustCompile(`http://[0-9.:]+`).FindString(out.String()), folder
}

// shown returns the newest code on the handset, as soon as it is there.
func shown(t *testing.T, address, to string) string {
	t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		resp, err := http.Get(address + "/dev/messages?to=" + url.QueryEscape(to))
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if code := regexp.MustCompile(`\b[0-9]{6}\b`).FindString(string(text)); code != "" {
			return code
		}
		select {
		case <-deadline.C:
			t.Fatalf("no message after 20 s: %s", text)
		case <-tick.C:
		}
	}
}

// TestDevSendCheck is the first five minutes of a newcomer.
func TestDevSendCheck(t *testing.T) {
	t.Parallel()
	const to = "+447700900123"
	address, folder := startDev(t)
	server := []string{"--url", address, "--key-file", filepath.Join(folder, "dev.key")}
	info, err := os.Stat(filepath.Join(folder, "dev.key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("dev.key: %v, %v; want it for its owner alone", info, err)
	}

	code, out, errs := call(t, wire(), append([]string{"send", "--to", to}, server...)...)
	if code != exitOK || !regexp.MustCompile(`^vrf_[0-9a-z]{26}  \+44\S+123\n$`).MatchString(out) ||
		strings.Contains(out+errs, to) {
		t.Fatalf("send: exit %d: %s%s", code, out, errs)
	}
	id, typed := strings.Fields(out)[0], shown(t, address, to)

	wrong := "000000"
	if typed == wrong {
		wrong = "000001"
	}
	if code, out, errs = call(t, wire(), append([]string{"check", id, wrong}, server...)...); code != exitNotApproved ||
		out != "incorrect  (4 left)\n" {
		t.Errorf("check of a wrong code: exit %d: %s%s", code, out, errs)
	}
	if code, out, errs = call(t, wire(), append([]string{"check", id, typed}, server...)...); code != exitOK ||
		out != "approved\n" {
		t.Errorf("check of the right code: exit %d: %s%s", code, out, errs)
	}
	code, out, errs = call(t, wire(), append([]string{"check", id, typed, "--json"}, server...)...)
	var a struct {
		Result string `json:"result"`
	}
	if err := json.Unmarshal([]byte(out), &a); err != nil || a.Result != "used" || code != exitNotApproved {
		t.Errorf("second check: exit %d: %s%s", code, out, errs)
	}
	// What the server refuses is told by its field.
	if code, out, errs = call(t, wire(), append([]string{"send", "--to", "12"}, server...)...); code != exitFailed ||
		!strings.Contains(errs, "to: ") {
		t.Errorf("send to no number: exit %d: %s%s", code, out, errs)
	}
	if code, _, errs = call(t, wire(), "send", "--to", to, "--url", address, "--key",
		"dp_test_wrong"); code != exitFailed || !strings.Contains(errs, "dialproof key list") {
		t.Errorf("send with a wrong key: exit %d: %s", code, errs)
	}
}

// TestTenants makes applications and keys in a dev folder while its server runs.
func TestTenants(t *testing.T) {
	t.Parallel()
	_, folder := startDev(t)
	do := func(want int, args ...string) string {
		t.Helper()
		code, out, errs := call(t, wire(), append(args, "--data", folder)...)
		if code != want {
			t.Fatalf("%v: exit %d, want %d: %s%s", args, code, want, out, errs)
		}
		return out + errs
	}
	if out := do(exitOK, "app", "create", "--name", "shop", "--brand", "Acme Shop"); !strings.HasPrefix(out, "app_") {
		t.Errorf("app create: %s", out)
	}
	if out := do(exitFailed, "app", "create", "--name", "shop"); !strings.Contains(out, "already") {
		t.Errorf("app create: %s", out)
	}
	if out := do(exitOK, "app", "list"); !strings.Contains(out, "Acme Shop") {
		t.Errorf("app list: %s", out)
	}
	if out := do(exitFailed, "key", "create", "--app", "shopp"); !strings.Contains(out, "there are: dev, shop") {
		t.Errorf("key create: %s", out)
	}
	out := do(exitOK, "key", "create", "--app", "shop", "--name", "checkout", "--expires", "24h")
	token, key := regexp.MustCompile(`dp_live_[a-z0-9]{32}`).
		FindString(out),
		regexp.MustCompile(`key_[0-9a-z]{26}`).
			FindString(out)
	if token == "" || key == "" {
		t.Fatalf("key create: %s", out)
	}
	if out := do(exitOK, "key", "list", "--app", "shop"); strings.Contains(out, token) ||
		!strings.Contains(out, "checkout") || !strings.Contains(out, key) {
		t.Errorf("key list: %s", out)
	}
	do(exitOK, "key", "revoke", key)
	if out := do(exitOK, "key", "list"); !strings.Contains(out, key) ||
		!strings.Contains(out, "(operator)") && !strings.Contains(out, "dev") {
		t.Errorf("key list: %s", out)
	}
	if out := do(exitFailed, "key", "revoke", "key_"+strings.Repeat("0", 26)); !strings.Contains(out, "key list") {
		t.Errorf("key revoke: %s", out)
	}
	do(exitOK, "key", "create", "--scope", "admin", "--name", "console")
}
