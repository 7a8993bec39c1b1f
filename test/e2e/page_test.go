package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nyaruka/phonenumbers"
)

// spaced is a number as it is typed and as libphonenumber writes it.
type spaced struct {
	Country, Typed, Want string
}

// spacings returns the mobile numbers that libphonenumber gives as examples, typed at home and from abroad.
func spacings() []spaced {
	var out []spaced
	for region := range phonenumbers.GetSupportedRegions() {
		n := phonenumbers.GetExampleNumberForType(region, phonenumbers.MOBILE)
		if n == nil {
			continue
		}
		home, abroad := phonenumbers.Format(n, phonenumbers.NATIONAL), phonenumbers.Format(n, phonenumbers.INTERNATIONAL)
		digits := strings.Map(func(r rune) rune {
			if r < '0' || r > '9' {
				return -1
			}
			return r
		}, home)
		out = append(out, spaced{region, digits, home}, spaced{region, phonenumbers.Format(n, phonenumbers.E164), abroad})
	}
	return out
}

// TestHostedPage drives the hosted page and the widget in a real browser. DIALPROOF_PICTURES names a folder to keep the
// pictures in.
func TestHostedPage(t *testing.T) {
	t.Parallel()
	p, key, _ := dev(t)
	pictures := os.Getenv("DIALPROOF_PICTURES")
	if pictures == "" {
		pictures = t.TempDir()
	}
	numbers := filepath.Join(t.TempDir(), "numbers.json")
	text, err := json.Marshal(spacings())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(numbers, text, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", "hosted.mjs", p.url, key, numbers, pictures)
	cmd.Dir = filepath.Join("..", "browser")
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatalf("the page did not do what it should: %v (are the packages there? run scripts/setup-test.sh)\n%s", err, p.log)
	}
}

// person is somebody with a browser that runs no script and follows nothing by itself.
type person struct {
	*http.Client
	at string
}

func newPerson() *person {
	return &person{
		Client: &http.Client{
			Timeout:       20 * time.Second,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// do asks for an address, and posts the form if there is one; it goes to where the answer leads.
func (p *person) do(t *testing.T, address string, form url.Values, header map[string]string) answer {
	t.Helper()
	method, body := http.MethodGet, io.Reader(nil)
	if form != nil {
		method, body = http.MethodPost, strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(t.Context(), method, address, body)
	if err != nil {
		t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for k, v := range header {
		r.Header.Set(k, v)
	}
	resp, err := p.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	p.at = address
	if to, err := resp.Location(); err == nil {
		p.at = to.String()
	}
	return answer{resp.StatusCode, resp.Header, text}
}

// hosted is a development server whose application has a brand that wants to write on the page, and one of its links.
type hosted struct {
	p       *process
	c       *client
	data    string
	who     *person
	first   string // the link
	stepped string // where its start led to
}

// TestPageSecurity holds the hosted page against who would misuse it.
func TestPageSecurity(t *testing.T) {
	t.Parallel()
	p, key, data := dev(t)
	h := &hosted{p: p, c: newClient(t, p, key), data: data, who: newPerson()}
	out, err := exec.Command(binary, "app", "update", "dev", "--data", data, "--brand", `<b>&"Shop`, "--return-url",
		"https://shop.example", "--accent", "#6d28d9").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	waitFor(t, 10*time.Second, "the policy", func() bool {
		a, err := h.c.try("POST", "/v1/links", map[string]any{"return_url": "https://shop.example/"})
		return err == nil && a.status == 201
	})
	h.first = h.link(t, nil)
	t.Run("links that are refused", h.refusesLinks)
	t.Run("what the page says", h.saysNothing)
	t.Run("forms", h.takesForms)
	t.Run("in a frame", h.framed)
	t.Run("the way", h.goes)
	t.Run("a dead link", h.dies)
}

// link makes a link with more members in its request.
func (h *hosted) link(t *testing.T, more map[string]any) string {
	t.Helper()
	body := map[string]any{"return_url": "https://shop.example/back?a=1", "state": "s&p=1"}
	maps.Copy(body, more)
	if body["embed"] != nil {
		delete(body, "return_url")
	}
	text, _ := h.c.call(t, 201, "POST", "/v1/links", body).json(t)["url"].(string)
	return text
}

func (h *hosted) refusesLinks(t *testing.T) {
	for name, body := range map[string]map[string]any{
		"elsewhere":            {"return_url": "https://evil.example"},
		"a longer host":        {"return_url": "https://shop.example.evil.example"},
		"a user":               {"return_url": "https://shop.example@evil.example"},
		"another scheme":       {"return_url": "javascript:alert(1)"},
		"nowhere":              {},
		"both":                 {"return_url": "https://shop.example", "embed": "https://shop.example"},
		"a frame elsewhere":    {"embed": "https://evil.example"},
		"more than an origin":  {"embed": "https://shop.example; script-src *"},
		"too long":             {"return_url": "https://shop.example", "expires_in": 3601},
		"no number":            {"return_url": "https://shop.example", "to": "12"},
		"a line in the state":  {"return_url": "https://shop.example", "state": "a\nb"},
		"more than fits":       {"return_url": "https://shop.example", "metadata": bulky()},
		"a payment without it": {"return_url": "https://shop.example", "purpose": "transaction"},
	} {
		if a, err := h.c.try("POST", "/v1/links", body); err != nil || a.status != 422 {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
}

// saysNothing holds the headers of the page, and that neither brand nor token is written on it as it is.
func (h *hosted) saysNothing(t *testing.T) {
	page := h.who.do(t, h.first, nil, nil)
	csp, text := page.header.Get("Content-Security-Policy"), string(page.body)
	holds(t, "the policy", csp, []string{
		"default-src 'none'", "frame-ancestors 'none'", "form-action 'self' https://shop.example;",
	}, []string{"unsafe"})
	for name, want := range map[string]string{
		"Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "X-Frame-Options": "DENY",
		"X-Content-Type-Options": "nosniff", "Set-Cookie": "",
	} {
		if got := page.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	// A token on the page would be given away by whatever is saved or sent on of it.
	token := h.first[strings.LastIndex(h.first, "/")+1:]
	holds(t, "the page", text, []string{"&lt;b&gt;&amp;&#34;Shop"}, []string{"<b>", "<script>", "style=", token})
	if a := h.who.do(t, h.first+"?say=%3Cb%3Ex&m=9&accent=red", nil, nil); strings.Contains(string(a.body), "<b>x") {
		t.Error("an address writes on the page")
	}
}

// holds holds what must stand in a text and what must not.
func holds(t *testing.T, name, text string, all, none []string) {
	t.Helper()
	for _, part := range all {
		if !strings.Contains(text, part) {
			t.Errorf("%s has no %q: %s", name, part, text)
		}
	}
	for _, part := range none {
		if strings.Contains(text, part) {
			t.Errorf("%s has %q: %s", name, part, text)
		}
	}
}

func (h *hosted) takesForms(t *testing.T) {
	start := url.Values{"do": {"start"}, "to": {"+447700900123"}}
	for _, site := range []string{"cross-site", "same-site"} {
		if a := h.who.do(t, h.first, start, map[string]string{"Sec-Fetch-Site": site}); a.status != 403 {
			t.Errorf("a %s form is answered with %d", site, a.status)
		}
	}
	if a := h.who.do(t, h.first, url.Values{"to": {strings.Repeat("1", 10_000)}}, nil); a.status != 413 {
		t.Errorf("a large form: %d", a.status)
	}
	hostile := url.Values{"do": {"start"}, "to": {`"><script>x</script>`}, "region": {"<i>"}}
	a := h.who.do(t, h.first, hostile, nil)
	if a.status != 422 {
		t.Errorf("a hostile form: %d", a.status)
	}
	holds(t, "its answer", string(a.body), nil, []string{"<script>x", "<i>"})
}

func (h *hosted) framed(t *testing.T) {
	frame := h.who.do(t, h.link(t, map[string]any{"embed": "https://shop.example"}), nil, nil)
	holds(t, "the policy", frame.header.Get("Content-Security-Policy"),
		[]string{"frame-ancestors https://shop.example;", "form-action 'self';"}, nil)
	if got := frame.header.Get("X-Frame-Options"); got != "" {
		t.Errorf("X-Frame-Options is %q", got)
	}
}

// goes takes the link to its end, and comes back to it.
func (h *hosted) goes(t *testing.T) {
	who, first := h.who, h.first
	who.do(t, first, url.Values{"do": {"start"}, "to": {"+447700900123"}}, nil)
	if strings.Contains(who.at, "7700900123") || !strings.HasPrefix(who.at, h.p.url+"/verify/") || who.at == first {
		t.Fatalf("the start leads to %s", who.at)
	}
	h.stepped = who.at
	var code string
	waitFor(t, 10*time.Second, "the message", func() bool {
		found := regexp.MustCompile(`"text":"(\d{6})`).
			FindSubmatch(h.c.call(t, 200, "GET", "/dev/messages?to=%2B447700900123", nil).body)
		if found != nil {
			code = string(found[1])
		}
		return found != nil
	})
	who.do(t, h.stepped, url.Values{"do": {"check"}, "code": {code}}, nil)
	end, err := url.Parse(who.at)
	if err != nil {
		t.Fatal(err)
	}
	q := end.Query()
	if end.Host != "shop.example" || q.Get("a") != "1" || q.Get("state") != "s&p=1" || len(q["proof"]) != 1 || q.Has("p") {
		t.Fatalf("the end is %s", who.at)
	}
	again := who.do(t, h.stepped, nil, nil) // a redirect that was lost can be had again: it is the same proof
	if !strings.Contains(string(again.body), q.Get("proof")) {
		t.Error("who comes back does not find the proof")
	}
	if who.do(t, first, url.Values{"do": {"start"}, "to": {"+447700900124"}}, nil); who.at != first {
		t.Error("an approved link starts anew")
	}
}

// dies holds that nothing of a link is left when its key is revoked.
func (h *hosted) dies(t *testing.T) {
	second := h.link(t, nil)
	revoke(t, h.data)
	waitFor(t, 10*time.Second, "the key's end", func() bool { return h.who.do(t, second, nil, nil).status == 404 })
	for _, address := range []string{
		h.stepped, second, h.p.url + "/verify/x", h.p.url + "/verify/" + strings.Repeat("A", 5000),
	} {
		a := h.who.do(t, address, nil, nil)
		if a.status != 404 || strings.Contains(string(a.body), "Shop") {
			t.Errorf("a dead link answers %d and tells whose it was", a.status)
		}
	}
}

// bulky returns metadata within its bounds that makes a link too long.
func bulky() map[string]string {
	out := map[string]string{}
	for n := range 20 {
		out[fmt.Sprintf("%s%02d", strings.Repeat("k", 38), n)] = strings.Repeat("v", 200)
	}
	return out
}

// revoke kills the folder's key.
func revoke(t *testing.T, data string) {
	t.Helper()
	list, err := exec.Command(binary, "key", "list", "--data", data).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, list)
	}
	id := regexp.MustCompile(`key_[0-9a-z]{26}`).Find(list)
	if out, err := exec.Command(binary, "key", "revoke", string(id), "--data", data).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// TestPageAutofill: messages of the hosted page end with the line by which a browser fills the code in, for this page
// and no other.
func TestPageAutofill(t *testing.T) {
	t.Parallel()
	s := newSink(t)
	d := deploy(t, s.URL, "")
	text, err := os.ReadFile(d.config)
	if err != nil {
		t.Fatal(err)
	}
	text = []byte(strings.Replace(string(text), "public_url: http://"+d.listen,
		"public_url: https://verify.example.com\ntrusted_proxies: [127.0.0.0/8]", 1))
	if err := os.WriteFile(d.config, text, 0o600); err != nil {
		t.Fatal(err)
	}
	d.run(t, "app", "update", "shop", "--config", d.config, "--return-url", "https://shop.example")
	p := d.serve(t)
	c := newClient(t, p, d.key)
	for n, one := range []struct {
		body map[string]any
		end  string // after the code
	}{
		{map[string]any{"return_url": "https://shop.example/back"}, "\n\n@verify.example.com #%s"},
		{map[string]any{"embed": "https://shop.example"}, "\n\n@shop.example #%s @verify.example.com"},
		{map[string]any{"return_url": "https://shop.example/back", "no_autofill": true}, ""},
	} {
		address, _ := c.call(t, 201, "POST", "/v1/links", one.body).json(t)["url"].(string)
		path, ok := strings.CutPrefix(address, "https://verify.example.com")
		if !ok {
			t.Fatalf("the link is %s", address)
		}
		newPerson().do(t, p.url+path, url.Values{"do": {"start"}, "to": {drama(n)}},
			map[string]string{"X-Forwarded-For": "203.0.113.9"})
		waitFor(t, 10*time.Second, "the message", func() bool { return len(s.got()) == n+1 })
		m := s.got()[n]
		if _, end, _ := strings.Cut(m.Text, "\n"); one.end == "" && end != "" ||
			one.end != "" && !strings.HasSuffix(m.Text, fmt.Sprintf(one.end, m.Code)) {
			t.Errorf("%v: the message is %q", one.body, m.Text)
		}
	}
	// The limit of an address is that of the person behind the proxy.
	refused := 0
	for n := 10; n < 20; n++ {
		address, _ := c.call(t, 201, "POST", "/v1/links",
			map[string]any{"return_url": "https://shop.example/back"}).json(t)["url"].(string)
		_, path, _ := strings.Cut(address, "example.com")
		a := newPerson().do(t, p.url+path, url.Values{"do": {"start"}, "to": {drama(n)}},
			map[string]string{"X-Forwarded-For": "198.51.100.1, 203.0.113.9"})
		if a.status == 429 {
			refused++
		}
	}
	if refused != 3 {
		t.Errorf("of 13 starts from one address 10 pass an hour: %d of the last 10 were refused", refused)
	}
}
