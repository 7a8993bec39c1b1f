package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/dialproof/dialproof/client"
)

// serverFlag finds a running server and the key to it.
type serverFlag struct {
	URL     string `placeholder:"ADDRESS" default:"http://127.0.0.1:8080" env:"DIALPROOF_URL" help:"The server's address. Default: ${default}."`
	Key     string `env:"DIALPROOF_KEY" placeholder:"KEY" help:"The API key. Other users of this machine can see it here; better set DIALPROOF_KEY, or use --key-file."`
	KeyFile string `type:"path" default:".dialproof/dev.key" placeholder:"FILE" help:"The file that holds the API key, when --key is not given. Default: ./.dialproof/dev.key, as dev writes it."`
	JSON    bool   `help:"Print the server's answer as JSON."`
}

func (f serverFlag) client() (*client.Client, error) {
	key := f.Key
	if key == "" {
		text, err := os.ReadFile(f.KeyFile)
		if errors.Is(err, fs.ErrNotExist) {
			return nil,
				usageError{errors.New("no API key: set DIALPROOF_KEY, use --key-file, or run this where `dialproof dev` runs")}
		}
		if err != nil {
			return nil, usageError{err}
		}
		key = strings.TrimSpace(string(text))
	}
	c, err := client.New(f.URL, key, client.WithUserAgent("dialproof-cli/"+currentVersion()))
	if err != nil {
		return nil, usageError{err}
	}
	return c, nil
}

// explain adds what to do to an error of the SDK.
func (f serverFlag) explain(err error) error {
	e, ok := errors.AsType[*client.Error](err)
	switch {
	case !ok:
		return fmt.Errorf("%w; is the server running at %s? `dialproof dev` starts one", err, f.URL)
	case e.Code == client.CodeUnauthenticated:
		return fmt.Errorf("%w; is the key one of this server's? `dialproof key list` shows them", err)
	case e.RetryAfter > 0:
		return fmt.Errorf("%w; try again in %v", err, e.RetryAfter)
	}
	return err
}

type sendCmd struct {
	To      string `required:"" placeholder:"NUMBER" help:"The number, like +447700900123; or a national one with --region."`
	Region  string `placeholder:"CC" help:"The country of a national number, like GB."`
	Channel string `placeholder:"CHANNEL" help:"sms, voice, whatsapp, telegram or email. Default: what the application says."`
	Email   string `placeholder:"ADDRESS" help:"The mail address, for the channel email."`
	Purpose string `placeholder:"WORD" help:"Why: login, registration, ... Default: login."`
	Locale  string `placeholder:"TAG" help:"The language of the message, like en-GB."`
	serverFlag
}

// Help has the examples.
func (sendCmd) Help() string {
	return `It prints the verification's id and the masked number. The code goes to the phone and nowhere else.

Examples:
  dialproof send --to +447700900123
  dialproof send --to 07700900123 --region GB --channel voice
  id=$(dialproof send --to +447700900123 --json | jq -r .id)`
}

// Run starts a verification.
func (c sendCmd) Run(ctx context.Context, w world) error {
	server, err := c.client()
	if err != nil {
		return err
	}
	v, err := server.Start(ctx, client.StartRequest{
		To: c.To, Region: c.Region, Channel: client.Channel(c.Channel), Email: c.Email, Purpose: c.Purpose, Locale: c.Locale,
	})
	if err != nil {
		return c.explain(err)
	}
	if c.JSON {
		return printJSON(w, v)
	}
	fmt.Fprintf(w.Out, "%s  %s\n", v.ID, v.To)
	fmt.Fprintf(w.Err, "On its way by %s, good until %s. Then: dialproof check %s CODE\n", v.Channel,
		v.ExpiresAt.Local().Format(time.TimeOnly), v.ID)
	return nil
}

type checkCmd struct {
	serverFlag
	ID   string `arg:"" help:"The verification's id, as send prints it."`
	Code string `arg:"" help:"What the person typed."`
}

// Help has the examples.
func (checkCmd) Help() string {
	return `It prints what the check came to, and ends with 0 for "approved" and with 3 for any other answer.

Examples:
  dialproof check vrf_01kb2v5w8e7x9a3c4d5f6g7h8j 123456
  dialproof check "$id" "$code" && echo welcome`
}

// Run checks a code.
func (c checkCmd) Run(ctx context.Context, w world) error {
	server, err := c.client()
	if err != nil {
		return err
	}
	a, err := server.Check(ctx, c.ID, c.Code)
	if err != nil {
		return c.explain(err)
	}
	switch {
	case c.JSON:
		err = printJSON(w, a)
	case a.Result == client.ResultIncorrect:
		fmt.Fprintf(w.Out, "%s  (%d left)\n", a.Result, a.AttemptsLeft)
	default:
		fmt.Fprintln(w.Out, a.Result)
	}
	if err == nil && a.Result != client.ResultApproved {
		return exitError(exitNotApproved)
	}
	return err
}

func printJSON(w world, v any) error {
	e := json.NewEncoder(w.Out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
