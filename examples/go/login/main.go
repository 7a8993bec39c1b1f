// Command login signs people in by their phone number, with net/http and nothing else.
//
//	dialproof dev                                  # in another terminal
//	DIALPROOF_KEY=$(cat .dialproof/dev.key) go run ./examples/go/login
package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"html/template"
	"log"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/dialproof/dialproof/client"
)

// visitor is what the server remembers of a browser. The verification's id stays here: a browser that could choose it
// could have somebody else's number approved.
type visitor struct {
	verification, to string
	user             string // the number, once it is proven
}

type site struct {
	dialproof *client.Client
	mu        sync.Mutex
	visitors  map[string]visitor // cookie → visitor; a real site keeps them in a store, with an end
}

func main() {
	s := &site{
		dialproof: client.Must(client.New(cmp.Or(os.Getenv("DIALPROOF_URL"), "http://127.0.0.1:8080"),
			os.Getenv("DIALPROOF_KEY"))),
		visitors: map[string]visitor{},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.home)
	mux.HandleFunc("POST /start", s.start)
	mux.HandleFunc("POST /resend", s.resend)
	mux.HandleFunc("POST /check", s.check)
	mux.HandleFunc("POST /logout", s.logout)
	server := &http.Server{
		Addr:        "127.0.0.1:" + cmp.Or(os.Getenv("PORT"), "3000"),
		Handler:     mux,
		ReadTimeout: 10 * time.Second,
	}
	log.Printf("listening on http://%s", server.Addr) //nolint:gosec // the port is the operator's own word
	log.Fatal(server.ListenAndServe())
}

func (s *site) home(w http.ResponseWriter, r *http.Request) {
	v, _ := s.visitor(r)
	s.show(w, v, "")
}

func (s *site) start(w http.ResponseWriter, r *http.Request) {
	ip, _, _ := net.SplitHostPort(r.RemoteAddr) // behind a proxy of your own, take what it says
	started, err := s.dialproof.Start(r.Context(), client.StartRequest{
		To: r.PostFormValue("to"), Region: "GB", Purpose: "login", Client: client.Device{IP: ip, UserAgent: r.UserAgent()},
	})
	if err != nil {
		s.show(w, visitor{}, words(err))
		return
	}
	// A new cookie for a new sign-in, so that nobody can hand over one that they know.
	v := visitor{verification: started.ID, to: started.To}
	s.keep(w, r, rand.Text(), v)
	s.show(w, v, "")
}

func (s *site) resend(w http.ResponseWriter, r *http.Request) {
	v, _ := s.visitor(r)
	note := "We sent it again."
	if _, err := s.dialproof.Resend(r.Context(), v.verification, ""); err != nil {
		note = words(err)
	}
	s.show(w, v, note)
}

func (s *site) check(w http.ResponseWriter, r *http.Request) {
	v, _ := s.visitor(r)
	a, err := s.dialproof.Check(r.Context(), v.verification, r.PostFormValue("code"))
	switch {
	case err != nil:
		s.show(w, v, words(err))
	case a.Result == client.ResultApproved && a.Proves == client.ProvesPhone:
		v = visitor{user: v.to}
		s.keep(w, r, rand.Text(), v)
		s.show(w, v, "")
	case a.Result == client.ResultIncorrect:
		s.show(w, v, "That is not the code. Please look again.")
	default: // expired, exhausted, canceled, used
		s.show(w, visitor{}, "That code is no longer good. Please start again.")
	}
}

func (s *site) logout(w http.ResponseWriter, r *http.Request) {
	s.keep(w, r, "", visitor{})
	s.show(w, visitor{}, "You are signed out.")
}

// words tells a person what to do about an error.
func words(err error) string {
	e, refused := errors.AsType[*client.Error](err)
	switch {
	case !refused, e.Status >= 500:
		log.Print(err)
		return "We cannot send codes right now. Please try again in a minute."
	case e.Code == client.CodeRateLimited, e.Code == client.CodeNumberLocked:
		return "Too many tries. Please wait " + e.RetryAfter.String() + "."
	case e.Code == client.CodeInvalidRequest:
		return "That is not a phone number that we can send to."
	case e.Code == client.CodeNumberBlocked, e.Code == client.CodeNoRoute:
		return "We cannot send to this number. Please use another one."
	case e.Code == client.CodeNotPending, e.Code == client.CodeResendsUsedUp, e.Code == client.CodeNotFound:
		return "That code is no longer good. Please start again."
	case errors.Is(err, context.Canceled):
		return ""
	}
	log.Print(err)
	return "Something is wrong on our side."
}

func (s *site) visitor(r *http.Request) (visitor, bool) {
	c, err := r.Cookie("visitor")
	if err != nil {
		return visitor{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.visitors[c.Value]
	return v, ok
}

// keep remembers a visitor under a new cookie and forgets the old one.
func (s *site) keep(w http.ResponseWriter, r *http.Request, cookie string, v visitor) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, err := r.Cookie("visitor"); err == nil {
		delete(s.visitors, old.Value)
	}
	if cookie != "" {
		s.visitors[cookie] = v
	}
	// Behind TLS, add Secure.
	//nolint:gosec // this example runs without TLS on its own machine
	http.SetCookie(w,
		&http.Cookie{Name: "visitor", Value: cookie, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
}

func (s *site) show(w http.ResponseWriter, v visitor, note string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if err := page.Execute(w, map[string]string{"User": v.user, "To": v.to, "Note": note}); err != nil {
		log.Print(err)
	}
}

var page = template.Must(template.New("").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Sign in</title>
<body style="font: 1.1rem system-ui; max-width: 24rem; margin: 3rem auto; padding: 0 1rem">
{{with .Note}}<p role="status">{{.}}</p>{{end}}
{{if .User}}
<h1>Welcome</h1><p>You are signed in as {{.User}}.</p>
<form method="post" action="/logout"><button>Sign out</button></form>
{{else if .To}}
<h1>Your code</h1><p>We sent a code to {{.To}}.</p>
<form method="post" action="/check">
<label>Code <input name="code" inputmode="numeric" autocomplete="one-time-code" autofocus required></label>
  <button>Sign in</button></form>
<form method="post" action="/resend"><button>Send it again</button></form>
{{else}}
<h1>Sign in</h1>
<form method="post" action="/start">
<label>Phone number <input name="to" type="tel" autocomplete="tel" autofocus required></label> <button>Send me a
  code</button></form>
{{end}}`))
