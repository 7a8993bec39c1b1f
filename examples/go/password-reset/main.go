// Command password-reset lets people choose a new password after a code to the number of their account. It never tells
// whether an account exists.
//
//	dialproof dev                                  # in another terminal
//	DIALPROOF_KEY=$(cat .dialproof/dev.key) go run ./examples/go/password-reset
package main

import (
	"cmp"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"html/template"
	"log"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/dialproof/dialproof/client"
)

// account is a person's. A real site has a database, and argon2 for its passwords.
type account struct {
	number     string
	salt, hash []byte
}

func (a *account) setPassword(p string) {
	a.salt = []byte(rand.Text())
	a.hash = derive(p, a.salt)
}

func (a *account) hasPassword(p string) bool {
	return subtle.ConstantTimeCompare(a.hash, derive(p, a.salt)) == 1
}

func derive(p string, salt []byte) []byte {
	key, err := pbkdf2.Key(sha256.New, p, salt, 600_000, 32)
	if err != nil {
		panic(err) // the sizes are fixed
	}
	return key
}

type site struct {
	dialproof *client.Client
	mu        sync.Mutex
	accounts  map[string]*account
}

func main() {
	ada := &account{number: cmp.Or(os.Getenv("NUMBER"), "+447700900123")}
	ada.setPassword("forgotten long ago")
	s := &site{
		dialproof: client.Must(client.New(cmp.Or(os.Getenv("DIALPROOF_URL"), "http://127.0.0.1:8080"),
			os.Getenv("DIALPROOF_KEY"))),
		accounts: map[string]*account{"ada": ada},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { show(w, "signin", "", "") })
	mux.HandleFunc("GET /forgot", func(w http.ResponseWriter, _ *http.Request) { show(w, "forgot", "", "") })
	mux.HandleFunc("POST /signin", s.signIn)
	mux.HandleFunc("POST /forgot", s.forgot)
	mux.HandleFunc("POST /reset", s.reset)
	server := &http.Server{
		Addr:        "127.0.0.1:" + cmp.Or(os.Getenv("PORT"), "3000"),
		Handler:     mux,
		ReadTimeout: 10 * time.Second,
	}
	log.Printf("listening on http://%s", server.Addr) //nolint:gosec // the port is the operator's own word
	log.Fatal(server.ListenAndServe())
}

func (s *site) account(r *http.Request) (name string, a *account) {
	name = r.PostFormValue("account")
	return name, s.accounts[name]
}

func (s *site) signIn(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name, a := s.account(r)
	if a == nil || !a.hasPassword(r.PostFormValue("password")) {
		show(w, "signin", name, "That is not right.")
		return
	}
	show(w, "in", name, "")
}

// forgot sends a code if there is such an account, and answers the same if there is none or it cannot be sent.
func (s *site) forgot(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	name, a := s.account(r)
	s.mu.Unlock()
	if a != nil {
		if _, err := s.dialproof.Start(r.Context(),
			client.StartRequest{To: a.number, Purpose: "password_reset"}); err != nil {
			log.Print(err)
		}
	}
	show(w, "reset", name, "If there is such an account, we sent a code to its phone.")
}

func (s *site) reset(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name, a := s.account(r)
	password := r.PostFormValue("password")
	if len(password) < 15 { // NIST SP 800-63B-4 §3.1.1.2, for passwords that stand alone
		show(w, "reset", name, "Please choose a password of 15 characters or more.")
		return
	}
	if a == nil {
		show(w, "reset", name, "That is not the code.")
		return
	}
	// By number and purpose: whoever is at this browser need not be who asked for the code.
	c, err := s.dialproof.CheckByNumber(r.Context(),
		client.CheckRequest{To: a.number, Purpose: "password_reset", Code: r.PostFormValue("code")})
	if err != nil || c.Result != client.ResultApproved || c.Proves != client.ProvesPhone {
		log.Print(err)
		show(w, "reset", name, "That is not the code.")
		return
	}
	a.setPassword(password) // and end the account's sessions everywhere
	show(w, "signin", name, "Your password is changed. Please sign in.")
}

func show(w http.ResponseWriter, what, account, note string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if err := page.Execute(w, map[string]string{"What": what, "Account": account, "Note": note}); err != nil {
		log.Print(err)
	}
}

var page = template.Must(template.New("").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Your account</title>
<body style="font: 1.1rem system-ui; max-width: 24rem; margin: 3rem auto; padding: 0 1rem">
{{with .Note}}<p role="status">{{.}}</p>{{end}}
{{if eq .What "in"}}
<h1>Welcome, {{.Account}}</h1>
{{else if eq .What "forgot"}}
<h1>A new password</h1>
<form method="post" action="/forgot">
<p><label>Account <input name="account" autocomplete="username" required></label></p><button>Send me a
  code</button></form>
{{else if eq .What "reset"}}
<h1>A new password</h1>
<form method="post" action="/reset"><input type="hidden" name="account" value="{{.Account}}">
<p><label>Code <input name="code" inputmode="numeric" autocomplete="one-time-code" required></label></p>
<p><label>New password <input name="password" type="password" autocomplete="new-password"
  required></label></p><button>Change it</button></form>
{{else}}
<h1>Sign in</h1>
<form method="post" action="/signin">
<p><label>Account <input name="account" value="{{.Account}}" autocomplete="username" required></label></p>
<p><label>Password <input name="password" type="password" autocomplete="current-password"
  required></label></p><button>Sign in</button></form>
<p><a href="/forgot">Forgotten?</a></p>
{{end}}`))
