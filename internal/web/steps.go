package web

import (
	"crypto/sha256"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/message"
	"github.com/dialproof/dialproof/internal/proof"
	"github.com/dialproof/dialproof/internal/verify"
)

// What a page says after a redirect, as the parameter `say`: one of these and nothing that a stranger could write.
const (
	sayIncorrect = "incorrect"
	sayLimited   = "limited"
	sayEarly     = "early"
	sayUsedUp    = "used_up"
	sayTrouble   = "trouble"
	sayCanceled  = "canceled"
	sayNoCall    = "unreachable"
)

// step does what a form asks for.
func (p *pages) step(w http.ResponseWriter, r *http.Request) {
	// A stranger's page has no business here even when it knows a link: it would start what the person did not ask for.
	if site := r.Header.Get("Sec-Fetch-Site"); site == "cross-site" || site == "same-site" {
		http.Error(w, "This form belongs to another page.", http.StatusForbidden)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		status := http.StatusUnprocessableEntity
		if _, large := errors.AsType[*http.MaxBytesError](err); large {
			status = http.StatusRequestEntityTooLarge
		}
		http.Error(w, http.StatusText(status), status)
		return
	}
	x, ok := p.open(w, r)
	if !ok {
		return
	}
	switch do := r.PostForm.Get("do"); {
	case do == "cancel":
		p.cancel(w, r, x, true)
	case x.v == nil:
		p.start(w, r, x)
	case do == "change", do == "again":
		p.cancel(w, r, x, false)
	case do == "resend":
		p.resend(w, r, x, "")
	case do == "call" && p.mayCall(x):
		p.resend(w, r, x, channel.Voice)
	default:
		p.check(w, r, x)
	}
}

// start begins the verification of the number that was typed, or of the link's own.
func (p *pages) start(w http.ResponseWriter, r *http.Request, x *visit) {
	l := x.link
	to, region := r.PostForm.Get("to"), r.PostForm.Get("region")
	if l.To != "" {
		to, region = l.To, l.Region
	}
	request := verify.StartRequest{
		To:          to,
		Region:      region,
		Channel:     l.Channel,
		Purpose:     l.Purpose,
		Locale:      x.locale,
		Transaction: l.Transaction,
		Metadata:    l.Metadata,
		Autofill:    p.trailer(x),
		Link:        l.ID,
		Client:      &verify.Client{IP: ClientIP(r, p.Proxies), UserAgent: agent(r)},
		Replay:      once(x, r.PostForm.Get("once"), to, region),
	}
	v, err := p.Core.Start(r.Context(), x.caller, request)
	var again *verify.Replayed
	switch {
	case errors.As(err, &again) && len(again.Body) == len(id.ID{}):
		copy(x.link.Verification[:], again.Body)
	case err != nil:
		p.refuse(w, r, x, err)
		return
	default:
		x.link.Verification = v.ID
	}
	p.redirect(w, x, p.Links.Seal(x.link))
}

// once makes a form that is sent twice, by a second press of the button, start one verification.
func once(x *visit, mark, to, region string) *verify.Replay {
	if mark == "" || len(mark) > 64 {
		return nil
	}
	key := sha256.Sum256([]byte("page\x00" + string(x.link.ID[:]) + mark + "\x00" + to + "\x00" + region))
	return &verify.Replay{
		Key:         key,
		Fingerprint: key,
		Render:      func(a verify.CheckAnswer) []byte { return a.Verification.ID[:] },
	}
}

// trailer returns the line by which the browser fills the code in, for the page under the address that the person sees.
func (p *pages) trailer(x *visit) message.Trailer {
	t := message.Trailer{Origin: p.Host}
	if u, err := url.Parse(x.link.Embed); x.link.Embed != "" && err == nil {
		t = message.Trailer{Origin: u.Hostname(), Embedded: p.Host}
	}
	if x.link.Bare || p.Host == "" || message.ParseTrailer(t) != nil {
		return message.Trailer{}
	}
	return t
}

// refuse says in words why a start cannot be.
func (p *pages) refuse(w http.ResponseWriter, r *http.Request, x *visit, err error) {
	e, ok := errors.AsType[*verify.Error](err)
	if !ok {
		p.trouble(w, r, x, err)
		return
	}
	status, text := http.StatusUnprocessableEntity, x.words.text("trouble")
	switch e.Code {
	case verify.CodeLimited, verify.CodeLocked:
		if e.Refusal != nil && e.Refusal.Name == "link" {
			p.render(w, x, http.StatusNotFound, p.over(x))
			return
		}
		status = http.StatusTooManyRequests
		text = x.words.fill("limited", "minutes", strconv.Itoa(minutes(e.Retry.Sub(x.now))))
	case verify.CodeInvalid:
		if len(e.Fields) > 0 && e.Fields[0].Name == "to" {
			text = x.words.text(numberWords(e.Fields[0].Code))
		}
	case verify.CodeBlocked, verify.CodeNoRoute, verify.CodeFiction, verify.CodeEmailRequired:
		text = x.words.text("unreachable")
	case verify.CodeBusy, verify.CodeUnavailable:
		status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", "5")
	default:
		p.Log.Error("a start on the hosted page was refused", "link", x.link.ID.Text(id.Link), "error", err)
	}
	p.render(w, x, status, p.number(x, r, text))
}

// numberWords tells what is no number from what cannot be sent to.
func numberWords(code string) string {
	switch code {
	case "invalid_number", "region_required", "unknown_region", "unassigned_number":
		return "bad_number"
	}
	return "unreachable"
}

// check compares the code that was typed.
func (p *pages) check(w http.ResponseWriter, r *http.Request, x *visit) {
	answer, err := p.Core.Check(r.Context(), x.caller,
		verify.CheckRequest{ID: x.v.ID, Code: r.PostForm.Get("code"), Transaction: x.link.Transaction})
	if err != nil {
		p.say(w, r, x, err)
		return
	}
	x.v = answer.Verification
	switch {
	case answer.Result == verify.ResultIncorrect:
		p.redirect(w, x, x.token, "say", sayIncorrect)
	case answer.Result == verify.ResultApproved && x.link.Embed == "":
		p.leave(w, r, x, p.outcome(x, r))
	default:
		p.redirect(w, x, x.token)
	}
}

// resend sends the code once more, or calls.
func (p *pages) resend(w http.ResponseWriter, r *http.Request, x *visit, kind channel.Kind) {
	_, err := p.Core.Resend(r.Context(), x.caller, verify.ResendRequest{ID: x.v.ID, Channel: kind})
	e, ok := errors.AsType[*verify.Error](err)
	switch {
	case ok && e.Code == verify.CodeLimited && x.wait() > 0:
		p.redirect(w, x, x.token, "say", sayEarly) // the page says how many seconds are left
	case err != nil:
		p.say(w, r, x, err)
	default:
		p.redirect(w, x, x.token)
	}
}

// say goes back to the code with a word about what went wrong.
func (p *pages) say(w http.ResponseWriter, r *http.Request, x *visit, err error) {
	e, ok := errors.AsType[*verify.Error](err)
	if !ok {
		p.trouble(w, r, x, err)
		return
	}
	switch e.Code {
	case verify.CodeNotPending:
		p.redirect(w, x, x.token) // the page says how it stands
	case verify.CodeLimited, verify.CodeLocked:
		p.redirect(w, x, x.token, "say", sayLimited, "m", strconv.Itoa(minutes(e.Retry.Sub(x.now))))
	case verify.CodeResendsUsed:
		p.redirect(w, x, x.token, "say", sayUsedUp)
	case verify.CodeNoRoute:
		p.redirect(w, x, x.token, "say", sayNoCall)
	case verify.CodeInvalid:
		p.redirect(w, x, x.token, "say", sayIncorrect)
	default:
		p.Log.Error("the hosted page failed", "link", x.link.ID.Text(id.Link), "error", err)
		p.redirect(w, x, x.token, "say", sayTrouble)
	}
}

// cancel ends the verification. The person goes back to the application, or to the number to change it.
func (p *pages) cancel(w http.ResponseWriter, r *http.Request, x *visit, leave bool) {
	if x.v != nil && x.v.At(x.now) == verify.Pending {
		_, err := p.Core.Cancel(r.Context(), x.caller, x.v.ID, nil)
		if e, ok := errors.AsType[*verify.Error](err); err != nil && (!ok || e.Code != verify.CodeNotPending) {
			p.trouble(w, r, x, err)
			return
		}
	}
	switch {
	case leave && x.link.Embed == "":
		p.leave(w, r, x, back(x, "error", sayCanceled))
	default:
		x.link.Verification = id.ID{}
		var say []string
		if leave {
			say = []string{"say", sayCanceled}
		}
		p.redirect(w, x, p.Links.Seal(x.link), say...)
	}
}

// redirect leads to a step of the page by a path that no proxy in front needs to know of. say and what follows are
// pairs of parameters.
func (p *pages) redirect(w http.ResponseWriter, x *visit, token string, say ...string) {
	q := url.Values{}
	if x.accent != "" {
		q.Set("accent", x.accent)
	}
	for i := 0; i+1 < len(say); i += 2 {
		q.Set(say[i], say[i+1])
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("Location", strings.TrimSuffix(token+"?"+q.Encode(), "?")) // relative to /verify/
	w.WriteHeader(http.StatusSeeOther)
}

// leave sends the person back to the application.
func (p *pages) leave(w http.ResponseWriter, r *http.Request, x *visit, to string) {
	if to == "" {
		p.render(w, x, http.StatusNotFound, p.over(x))
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	http.Redirect(w, r, to, http.StatusSeeOther) //nolint:gosec // back has held it against the application's list
}

// outcome returns where the person goes from a verification that is final.
func (p *pages) outcome(x *visit, r *http.Request) string {
	if text := p.prove(x, r); text != "" {
		return back(x, "proof", text)
	}
	if x.v.At(x.now) == verify.Approved {
		return back(x, "error", "expired") // the proof is over: it was handed out when it was fresh
	}
	return back(x, "error", string(x.v.At(x.now)))
}

// prove returns the proof of an approval, the same each time, while it is good; "" for none.
func (p *pages) prove(x *visit, r *http.Request) string {
	if x.v.Status != verify.Approved || x.now.After(x.v.Ended.Add(proof.Life)) || x.v.Proves() != verify.ProvesPhone {
		return ""
	}
	v, proven, err := p.Core.Proven(r.Context(), x.caller, x.v.ID)
	if err != nil {
		return ""
	}
	text, err := p.Prover.Sign(proof.Statement{
		Verification: v.ID.Text(id.Verification),
		Application:  x.caller.App.ID.Text(id.Application),
		Test:         v.Spec.Test,
		To:           proven.To,
		Country:      v.Spec.Country,
		Purpose:      v.Spec.Purpose,
		Channel:      v.Channel,
		Transaction:  proven.Transaction,
		At:           v.Ended,
		Link:         x.link.ID.Text(id.Link),
	}, proof.Hash)
	if err != nil {
		p.Log.Error("a proof could not be signed", "error", err)
		return ""
	}
	return text
}

// back returns the application's address with what became of it. The link was checked when it was made, and is checked
// again: the application may have taken the address off its list.
func back(x *visit, name, value string) string {
	u, err := url.Parse(x.link.Return)
	if err != nil || !x.caller.MayReturn(x.link.Return) {
		return ""
	}
	q := u.Query()
	if x.link.State != "" {
		q.Set("state", x.link.State)
	}
	q.Set(name, value)
	u.RawQuery = q.Encode()
	return u.String()
}

// mayCall reports whether "call me instead" is offered.
func (p *pages) mayCall(x *visit) bool {
	return slices.Contains(x.caller.App.Policy.Filled().Channels, channel.Voice)
}

func minutes(d time.Duration) int { return max(int((d+time.Minute-1)/time.Minute), 1) }

// agent returns what the browser calls itself, within the core's bounds.
func agent(r *http.Request) string {
	text := []rune(r.UserAgent())
	for i, c := range text {
		if c < ' ' || c == 0x7f || c == '\uFFFD' {
			text[i] = ' '
		}
	}
	return string(text[:min(len(text), verify.MaxUserAgent)])
}
