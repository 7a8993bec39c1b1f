package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"regexp"
	"strconv"
	"time"

	"github.com/dialproof/dialproof/internal/country"
)

// The page's own surfaces, as page.css has them.
const (
	cardLight = "ffffff"
	cardDark  = "18211d"
)

var hexForm = regexp.MustCompile(`^[0-9a-f]{6}$`)

// css answers the style of the page with an application's colours behind it.
func (p *pages) css(w http.ResponseWriter, r *http.Request) {
	out := bytes.NewBuffer(bytes.Clone(p.style))
	if accent := r.URL.Query().Get("accent"); hexForm.MatchString(lower(accent)) {
		writeAccent(out, lower(accent))
	}
	if ground := r.URL.Query().Get("ground"); hexForm.MatchString(lower(ground)) {
		fmt.Fprintf(out, "@media (prefers-color-scheme: light) { :root { --ground: #%s } }\n", lower(ground))
	}
	static(w, "text/css; charset=utf-8", out.Bytes())
}

func lower(s string) string { return string(bytes.ToLower([]byte(s))) }

// writeAccent makes one colour into those that the page needs, each of them readable where it stands (WCAG 2.2, 1.4.3
// and 1.4.11): buttons have it as it is, with an edge and links that stand out from the card.
func writeAccent(out *bytes.Buffer, accent string) {
	for _, s := range []struct{ scheme, card string }{{"light", cardLight}, {"dark", cardDark}} {
		fmt.Fprintf(out, "@media (prefers-color-scheme: %s) { :root { --accent: #%s; --on-accent: #%s; --link: #%s } }\n",
			s.scheme, accent, over(accent), apart(accent, s.card, 4.5))
	}
}

// over returns black or white, whichever is easier to read on a colour.
func over(colour string) string {
	if contrast(colour, "ffffff") >= contrast(colour, "000000") {
		return "ffffff"
	}
	return "000000"
}

// apart returns a colour moved away from the ground until it has the contrast.
func apart(colour, ground string, least float64) string {
	toward := 0.0
	if luminance(ground) < 0.2 {
		toward = 255
	}
	c := channels(colour)
	for range 40 {
		now := fmt.Sprintf("%02x%02x%02x", int(c[0]), int(c[1]), int(c[2]))
		if contrast(now, ground) >= least {
			return now
		}
		for i := range c {
			c[i] += (toward - c[i]) * 0.1
		}
	}
	return over(ground)
}

func channels(colour string) (c [3]float64) {
	n, _ := strconv.ParseUint(colour, 16, 32) // six hexadecimal digits
	return [3]float64{float64(n >> 16), float64(n >> 8 & 255), float64(n & 255)}
}

// luminance and contrast are those of WCAG 2.2.
func luminance(colour string) float64 {
	c := channels(colour)
	for i, v := range c {
		if v /= 255; v <= 0.04045 {
			c[i] = v / 12.92
		} else {
			c[i] = math.Pow((v+0.055)/1.055, 2.4)
		}
	}
	return 0.2126*c[0] + 0.7152*c[1] + 0.0722*c[2]
}

func contrast(a, b string) float64 {
	la, lb := luminance(a), luminance(b)
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

// rules answers how a country's numbers are spaced.
func rules(w http.ResponseWriter, r *http.Request) {
	code := r.PathValue("code")
	if main := country.Main(code); main != "" { // of a calling code
		code = main
	}
	found, ok := country.RulesOf(code)
	if !ok {
		http.Error(w, "There is no such country.", http.StatusNotFound)
		return
	}
	body, _ := json.Marshal(found) // strings
	static(w, "application/json", body)
}

// file serves an embedded file.
func file(name, kind string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		body, err := pageFiles.ReadFile(name)
		if err != nil {
			http.Error(w, "There is no such file.", http.StatusNotFound)
			return
		}
		static(w, kind, body)
	}
}

// static sends what is the same for everybody until the program is replaced.
func static(w http.ResponseWriter, kind string, body []byte) {
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Cache-Control", "public, max-age="+strconv.Itoa(int(time.Hour/time.Second)))
	h.Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(body) // the reader has gone: there is nobody to tell
}

// widget serves the web component, to pages of any origin: modules are fetched across origins only where that is
// allowed.
func widget(w http.ResponseWriter, _ *http.Request) {
	body, err := pageFiles.ReadFile("page/widget.js")
	if err != nil {
		http.Error(w, "There is no such file.", http.StatusNotFound)
		return
	}
	w.Header().Set("Access-Control-Allow-Origin", "*")
	w.Header().Set("Cross-Origin-Resource-Policy", "cross-origin")
	static(w, "text/javascript; charset=utf-8", body)
}
