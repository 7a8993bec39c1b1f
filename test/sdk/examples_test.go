package sdk

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/testport"
)

// site is an example as it runs in the test.
type site struct {
	URL    string `json:"url"`
	Number string `json:"number"`
	args   []string
}

// TestExamples starts every example and clicks through it in a browser, with the codes of a handset.
func TestExamples(t *testing.T) {
	t.Parallel()
	dir, bin := devFolder(t), t.TempDir()
	if out, err := command(t, root, "go", "build", "-o", bin+"/", "./examples/go/...").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	sites := map[string]*site{
		"go login":          {Number: "+447700900301", args: []string{filepath.Join(bin, "login")}},
		"go password reset": {Number: "+447700900302", args: []string{filepath.Join(bin, "password-reset")}},
		"express login":     {Number: "+447700900303", args: []string{"node", "login.mjs"}},
		"express payment":   {Number: "+447700900304", args: []string{"node", "payment.mjs"}},
		"flask login":       {Number: "+447700900305", args: []string{python, "login.py"}},
		"flask new device":  {Number: "+447700900306", args: []string{python, "new_device.py"}},
	}
	var names []string
	for name, s := range sites {
		s.start(t, name, dir)
		names = append(names, name)
	}
	for _, s := range sites {
		ready(t, s.URL)
	}
	told, _ := json.Marshal(map[string]any{"handset": dir.url, "sites": sites})
	out, err := command(t, filepath.Join(root, "test/browser"), "node", "examples.mjs", string(told)).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	report(t, string(out), names)
}

// start runs an example until the test ends.
func (s *site) start(t *testing.T, name string, dir folder) {
	t.Helper()
	port := strconv.Itoa(testport.Free(t))
	s.URL = "http://127.0.0.1:" + port
	log, language := &bytes.Buffer{}, strings.Fields(name)[0]
	cmd := command(t, filepath.Join(root, "examples", language), s.args[0], s.args[1:]...)
	cmd.Env = append(cmd.Env, "DIALPROOF_URL="+dir.url, "DIALPROOF_KEY="+dir.key, "PORT="+port, "NUMBER="+s.Number,
		"PYTHONPATH="+filepath.Join(root, "sdk/python/src"))
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("%s said:\n%s", name, log)
		}
	})
}

// TestBrowserPart loads dialproof/browser into a page as it is, with no bundler, and has it verify a proof there.
func TestBrowserPart(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.Handle("/dist/", http.StripPrefix("/dist/", http.FileServer(http.Dir(filepath.Join(root, "sdk/typescript/dist")))))
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Write([]byte("<!doctype html><title>t</title>"))
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	out, err := command(t, filepath.Join(root, "test/browser"), "node", "sdk.mjs",
		"http://"+l.Addr().String()).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "ok") {
		t.Errorf("%v\n%s", err, out)
	}
}
