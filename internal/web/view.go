package web

import (
	"crypto/rand"
	"encoding/json"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/country"
	"github.com/dialproof/dialproof/internal/message"
	"github.com/dialproof/dialproof/internal/phone"
	"github.com/dialproof/dialproof/internal/verify"
)

// data is what page.html shows. Texts are finished; HTML ones have the values in them marked off from the sentence.
type data struct {
	Lang, Dir    string
	Title, Brand string
	Logo         template.URL
	Style        string
	Embed        string // the origin to tell the end to
	W            words

	// Step is "number", "code", "done" or "end".
	Step    string
	Intro   template.HTML
	Payment template.HTML
	Error   string
	Fatal   bool // there is nothing to fill in

	// What requesting a code means to accept: addresses, empty for none.
	Terms, Privacy string

	// Of the number.
	Countries []country.Country
	Region    string
	Typed     string
	Fixed     template.HTML // the number that the link names
	Once      string

	// Of the code.
	Sent      template.HTML
	Live      string
	Help      string // what to do next, when nothing has arrived
	Valid     string
	Wait      int    // seconds until a resend is taken
	WaitText  string // with {seconds} left open
	CanResend bool
	CanCall   bool
	Alphabet  string
	Length    int

	// Of the end: what the widget is told, and where the person goes.
	End, Proof, State string
	Back              string
	Again             bool
}

// base returns what every page has.
func (p *pages) base(x *visit, title string) *data {
	app := *x.caller.App
	d := &data{
		Lang:    x.locale,
		Dir:     direction(x.locale),
		Title:   x.words.text(title),
		Brand:   app.Brand,
		W:       x.words,
		Embed:   x.link.Embed,
		State:   x.link.State,
		Terms:   app.Policy.Branding.TermsURL,
		Privacy: app.Policy.Branding.PrivacyURL,
		Style:   stylesheet(app.Policy.Branding),
		Logo:    template.URL(app.Policy.Branding.Logo), //nolint:gosec // validated: a picture as a data URI
	}
	if x.accent != "" {
		app.Policy.Branding.Accent = "#" + x.accent
		d.Style = stylesheet(app.Policy.Branding)
	}
	if t := x.link.Transaction; t != nil {
		read := message.Request{Locale: x.locale, Country: x.link.Region, Transaction: t}
		if message.Match(x.link.Locale, "") == x.locale {
			read.Locale = x.link.Locale // its region writes amounts its own way
		}
		d.Payment = x.words.html("payment", "money", read.Money(), "payee", t.Payee)
	}
	return d
}

// over returns the page of a link that leads nowhere.
func (p *pages) over(x *visit) *data {
	d := p.base(x, "bad_link")
	d.Step, d.Intro, d.End, d.Payment = "end", x.words.html("bad_link_hint"), "expired", ""
	d.Back = back(x, "error", "expired")
	return d
}

// used returns the page of a link that has been approved: it says so before it asks for anything.
func (p *pages) used(x *visit) *data {
	d := p.over(x)
	d.Title = x.words.text("used_link")
	return d
}

// number returns the page that asks for the number.
func (p *pages) number(x *visit, r *http.Request, fault string) *data {
	d := p.base(x, "title_number")
	d.Step, d.Error, d.Once = "number", fault, rand.Text()
	d.Intro = x.words.html("intro", "brand", d.Brand)
	if x.link.To != "" {
		if n, err := phone.Parse(x.link.To, x.link.Region); err == nil {
			d.Fixed = isolate(n.Mask())
		}
		return d
	}
	d.Countries = country.List(x.locale)
	d.Typed = r.PostForm.Get("to")
	d.Region = chooseCountry(r.PostForm.Get("region"), x.link.Region, x.link.Locale, r.Header.Get("Accept-Language"),
		x.locale)
	return d
}

// state returns the page of a verification as it stands.
func (p *pages) state(x *visit, r *http.Request) *data {
	switch x.v.At(x.now) {
	case verify.Approved:
		d := p.base(x, "done")
		d.Step, d.End = "done", "verified"
		if d.Proof = p.prove(x, r); d.Proof == "" {
			d.End = "expired"
		}
		if x.link.Embed == "" {
			d.Back = p.outcome(x, r)
		}
		return d
	case verify.Pending:
		return p.code(x, r)
	case verify.Failed:
		return p.ended(x, "failed")
	case verify.Expired:
		return p.ended(x, "expired")
	case verify.Canceled:
		return p.ended(x, "replaced")
	}
	return p.over(x)
}

// ended returns the page of a verification that came to nothing.
func (p *pages) ended(x *visit, text string) *data {
	d := p.base(x, text)
	st := string(x.v.At(x.now))
	d.Step, d.End, d.Again = "end", st, !x.now.After(x.link.Expires)
	d.Back = back(x, "error", st)
	return d
}

// code returns the page that asks for the code.
func (p *pages) code(x *visit, r *http.Request) *data {
	d := p.base(x, "title_code")
	v := x.v
	d.Step, d.Alphabet, d.Length = "code", v.Spec.Alphabet, v.Spec.CodeLength
	sent := "sent"
	if v.Channel == channel.Voice {
		sent = "calling"
	}
	d.Sent = x.words.html(sent, "number", v.Spec.Masked)
	d.Live, d.Valid, d.Help = x.live(), x.valid(), x.help()
	d.Wait, d.WaitText = x.wait(), x.words.text("wait")
	d.CanResend = v.ResendsLeft() > 0
	d.CanCall = d.CanResend && p.mayCall(x)
	d.Again = x.link.To == ""
	d.Error = x.said(r.URL.Query())
	return d
}

// said returns the words of the parameter `say`.
func (x *visit) said(q url.Values) string {
	switch q.Get("say") {
	case sayIncorrect:
		return x.words.left(x.v.AttemptsLeft())
	case sayEarly:
		if wait := x.wait(); wait > 0 {
			return x.words.Waiting(wait)
		}
	case sayLimited:
		if m, err := strconv.Atoi(q.Get("m")); err == nil && m > 0 && m <= 24*60 {
			return x.words.fill("limited", "minutes", strconv.Itoa(m))
		}
	case sayUsedUp:
		return x.words.text("used_up")
	case sayNoCall:
		return x.words.text("unreachable")
	case sayTrouble:
		return x.words.text("trouble")
	}
	return ""
}

// live says how far the newest message has come.
func (x *visit) live() string {
	all := x.v.Deliveries
	if len(all) == 0 {
		return ""
	}
	newest := all[len(all)-1]
	voice := newest.Channel == channel.Voice
	say := func(text, call string) string {
		if voice {
			text = call
		}
		return x.words.text(text)
	}
	switch newest.Status {
	case channel.Sent:
		if newest.Channel == channel.SMS { // other channels have no mobile network in between
			return x.words.text("carrier")
		}
	case channel.Delivered:
		return say("delivered", "call_delivered")
	case channel.Undelivered, channel.Failed:
		if _, _, more := x.v.Next(); !more {
			return say("undelivered", "call_undelivered")
		}
	case channel.Queued, channel.Sending, channel.Taken, channel.Unknown:
	}
	return say("sending", "call_sending")
}

// patience is how long a message may be on its way before the page says what else can be done. Most arrive within 10 s.
const patience = 20 * time.Second

// help returns what to do next when nothing has arrived, "" while that need not be said.
func (x *visit) help() string {
	all := x.v.Deliveries
	if len(all) == 0 || x.v.ResendsLeft() == 0 {
		return ""
	}
	switch newest := all[len(all)-1]; {
	case newest.Status == channel.Delivered:
	case newest.Status == channel.Undelivered,
		newest.Status == channel.Failed,
		!x.now.Before(newest.Created.Add(patience)):
		return x.words.text("help")
	}
	return ""
}

func (x *visit) valid() string {
	return x.words.fill("valid", "minutes", strconv.Itoa(minutes(x.v.Expires.Sub(x.now))))
}

// wait returns the seconds until a resend is taken, 0 for now.
func (x *visit) wait() int {
	return max(int((x.v.ResendAt.Sub(x.now)+time.Second-1)/time.Second), 0)
}

// status answers for the script how a verification stands: it is asked every few seconds while the page is looked at.
func (p *pages) status(w http.ResponseWriter, r *http.Request) {
	x, ok := p.open(w, r)
	if !ok {
		return
	}
	out := struct {
		Status verify.Status `json:"status"`
		Live   string        `json:"live"`
		Help   string        `json:"help"`
		Valid  string        `json:"valid"`
		Wait   int           `json:"wait"`
	}{}
	if x.v != nil {
		if out.Status = x.v.At(x.now); out.Status == verify.Pending {
			out.Live, out.Help, out.Valid, out.Wait = x.live(), x.help(), x.valid(), x.wait()
		}
	}
	secure(w.Header(), x.link)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(out) // the reader has gone: there is nobody to tell
}

// direction returns the value of the attribute dir.
func direction(locale string) string {
	base, _, _ := strings.Cut(locale, "-")
	if slices.Contains([]string{"ar", "fa", "he", "ur"}, base) {
		return "rtl"
	}
	return "ltr"
}

// stylesheet returns the address of the style with an application's colours in it.
func stylesheet(b application.Branding) string {
	q := url.Values{}
	if b.Accent != "" {
		q.Set("accent", strings.TrimPrefix(b.Accent, "#"))
	}
	if b.Background != "" {
		q.Set("ground", strings.TrimPrefix(b.Background, "#"))
	}
	if len(q) == 0 {
		return "/verify/assets/page.css"
	}
	return "/verify/assets/page.css?" + q.Encode()
}
