package main

import (
	"context"
	"fmt"
	"time"

	"github.com/dialproof/dialproof/client"
)

type linkCmd struct {
	ReturnURL string        `required:"" placeholder:"ADDRESS" help:"Where the person goes at the end. Its origin must be among the application's return URLs; a test key may also name localhost."`
	To        string        `placeholder:"NUMBER" help:"The number; without it the person types it."`
	Region    string        `placeholder:"CC" help:"The country of a national number, or the one that the page suggests, like GB."`
	Purpose   string        `placeholder:"WORD" help:"Why: login, registration, ... Default: login."`
	Locale    string        `placeholder:"TAG" help:"The language of the page and the message, like en-GB. Default: the browser's."`
	State     string        `placeholder:"TEXT" help:"Yours, given back at the end."`
	Expires   time.Duration `placeholder:"TIME" default:"15m" help:"How long the link is good, 1m to 1h. Default: ${default}."`
	serverFlag
}

// Help has the examples.
func (linkCmd) Help() string {
	return `It prints the address of the hosted page, where a person enters the number and the code. Whoever has the
link may use it.

Examples:
  dialproof link --return-url http://localhost:3000/verified
  dialproof link --return-url https://shop.example/verified --purpose registration --state 5f2a9c`
}

// Run makes a link.
func (c linkCmd) Run(ctx context.Context, w world) error {
	server, err := c.client()
	if err != nil {
		return err
	}
	l, err := server.CreateLink(ctx, client.NewLink{
		ReturnURL: c.ReturnURL,
		To:        c.To,
		Region:    c.Region,
		Purpose:   c.Purpose,
		Locale:    c.Locale,
		State:     c.State,
		ExpiresIn: int(c.Expires / time.Second),
	})
	if err != nil {
		return c.explain(err)
	}
	if c.JSON {
		return printJSON(w, l)
	}
	fmt.Fprintln(w.Out, l.URL)
	fmt.Fprintf(w.Err, "Good until %s. The proof will name %s.\n", l.ExpiresAt.Local().Format(time.TimeOnly), l.ID)
	return nil
}
