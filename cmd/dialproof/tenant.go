package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/id"
)

// directory opens the tenants, runs work and closes them.
func directory(ctx context.Context, w world, f storeFlag, work func(*application.Directory) error) error {
	cfg, err := f.load(w)
	if err != nil {
		return err
	}
	d, done, err := w.app.directory(ctx, cfg)
	if err != nil {
		return err
	}
	return errors.Join(work(d), done())
}

type appCmd struct {
	Create appCreateCmd `cmd:"" help:"Make an application."`
	Update appUpdateCmd `cmd:"" help:"Change an application."`
	List   appListCmd   `cmd:"" help:"List the applications."`
}

// Help has the examples.
func (appCmd) Help() string {
	return `An application is whoever asks for verifications: a product, a team, a customer. It has a brand, a policy
and keys.

Examples:
  dialproof app create --name shop --brand "Acme Shop"
  dialproof app update shop --fallback "sms 25s, sms 25s, voice"
  dialproof app list`
}

// policyFlags are what of a policy the command line sets.
type policyFlags struct {
	Channels []string `placeholder:"CHANNEL,..." help:"The channels that are used without being asked for, the first one first: sms, voice, whatsapp, telegram, email. Default: those of the fallback, or sms."`
	pageFlags
	Fallback *string `placeholder:"STEPS" help:"What is tried in turn until a message arrives, with a wait for each, like \"sms 25s, sms 25s, voice\"; a second sms takes another route. Empty: nothing by itself."`
}

// pageFlags are what of a policy the hosted page takes.
type pageFlags struct {
	ReturnURL  []string `placeholder:"ORIGIN,..." help:"Where the hosted page may send people back to, and which pages may show it in a frame: origins like https://shop.example."`
	Accent     *string  `placeholder:"COLOUR" help:"The colour of the hosted page's buttons, like #0b6e4f."`
	Background *string  `placeholder:"COLOUR" help:"The colour of the hosted page's background, like #f3f5f4."`
	TermsURL   *string  `placeholder:"URL" help:"Your terms of service, which the hosted page links: requesting a code means accepting them. Empty: no link."`
	PrivacyURL *string  `placeholder:"URL" help:"Your privacy policy, linked beside the terms."`
	Logo       string   `type:"existingfile" placeholder:"FILE" help:"The logo on the hosted page: a PNG, JPEG, WebP or SVG of at most 12 kB."`
}

// applyPage puts what was given into a policy.
func (f pageFlags) applyPage(p *application.Policy) error {
	if f.ReturnURL != nil {
		p.ReturnURLs = f.ReturnURL
	}
	if f.Accent != nil {
		p.Branding.Accent = *f.Accent
	}
	if f.Background != nil {
		p.Branding.Background = *f.Background
	}
	if f.TermsURL != nil {
		p.Branding.TermsURL = *f.TermsURL
	}
	if f.PrivacyURL != nil {
		p.Branding.PrivacyURL = *f.PrivacyURL
	}
	if f.Logo == "" {
		return nil
	}
	kinds := map[string]string{".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp", ".svg": "svg+xml"}
	kind, ok := kinds[strings.ToLower(filepath.Ext(f.Logo))]
	if !ok {
		return fmt.Errorf("%s: the logo must be a file .png, .jpg, .webp or .svg", f.Logo)
	}
	data, err := os.ReadFile(f.Logo)
	p.Branding.Logo = "data:image/" + kind + ";base64," + base64.StdEncoding.EncodeToString(data)
	return err
}

// apply puts what was given into a policy.
func (f policyFlags) apply(p *application.Policy) error {
	if err := f.applyPage(p); err != nil {
		return err
	}
	if f.Channels != nil {
		p.Channels = nil
		for _, c := range f.Channels {
			p.Channels = append(p.Channels, channel.Kind(c))
		}
	}
	if f.Fallback == nil {
		return nil
	}
	p.Fallback = nil
	if strings.TrimSpace(*f.Fallback) == "" {
		return nil
	}
	steps, err := application.ParseFallback(*f.Fallback)
	p.Fallback = steps
	return err
}

type appCreateCmd struct {
	storeFlag
	policyFlags
	Name  string `required:"" placeholder:"NAME" help:"What you call it: unique, at most 64 characters."`
	Brand string `placeholder:"TEXT" help:"What people know it by; it stands in the messages. At most 32 characters. Default: the name."`
}

// Help has the examples.
func (appCreateCmd) Help() string {
	return `Everything else has good defaults; change it later over the API.

Examples:
  dialproof app create --name shop --brand "Acme Shop"
  dialproof app create --name bank --fallback "sms 25s, sms 25s, voice"
  dialproof key create --app shop --name checkout`
}

// Run makes an application.
func (c appCreateCmd) Run(ctx context.Context, w world) error {
	return directory(ctx, w, c.storeFlag, func(d *application.Directory) error {
		if _, err := d.ByName(c.Name); err == nil {
			return fmt.Errorf("there is an application called %q already", c.Name)
		}
		a := application.Application{Name: c.Name, Brand: c.Brand}
		if a.Brand == "" {
			a.Brand = a.Name
		}
		if err := c.apply(&a.Policy); err != nil {
			return usageError{err}
		}
		a, err := d.Create(ctx, a)
		if err != nil {
			return err
		}
		fmt.Fprintln(w.Out, a.ID.Text(id.Application))
		return nil
	})
}

type appUpdateCmd struct {
	storeFlag
	policyFlags
	App   string `arg:"" help:"The application, by name or id."`
	Brand string `placeholder:"TEXT" help:"What people know it by; it stands in the messages."`
}

// Help has the examples.
func (appUpdateCmd) Help() string {
	return `What you leave out stays as it is. A running server knows within seconds; verifications that have begun go
on as they began.

Examples:
  dialproof app update shop --fallback "sms 25s, sms 25s, voice"
  dialproof app update shop --fallback ""
  dialproof app update shop --return-url https://shop.example --accent "#6d28d9" --logo logo.svg
  dialproof app update shop --brand "Acme"`
}

// Run changes an application.
func (c appUpdateCmd) Run(ctx context.Context, w world) error {
	return directory(ctx, w, c.storeFlag, func(d *application.Directory) error {
		a, err := tenant(d, c.App)
		if err != nil {
			return err
		}
		if c.Brand != "" {
			a.Brand = c.Brand
		}
		if err := c.apply(&a.Policy); err != nil {
			return usageError{err}
		}
		if _, err = d.Update(ctx, a); err == nil {
			fmt.Fprintln(w.Out, a.ID.Text(id.Application))
		}
		return err
	})
}

type appListCmd struct {
	storeFlag
}

// Help has the examples.
func (appListCmd) Help() string {
	return `Example:
  dialproof app list`
}

// Run lists the applications.
func (c appListCmd) Run(ctx context.Context, w world) error {
	return directory(ctx, w, c.storeFlag, func(d *application.Directory) error {
		t := tabwriter.NewWriter(w.Out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "ID\tNAME\tBRAND\tCREATED")
		for _, a := range d.Applications() {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", a.ID.Text(id.Application), a.Name, a.Brand, day(a.Created))
		}
		return t.Flush()
	})
}

type keyCmd struct {
	Create keyCreateCmd `cmd:"" help:"Make an API key and print it, this once."`
	List   keyListCmd   `cmd:"" help:"List the API keys, without their secrets."`
	Revoke keyRevokeCmd `cmd:"" help:"Kill an API key."`
}

// Help has the examples.
func (keyCmd) Help() string {
	return `An API key acts for one application, or for the operator. Make one for each caller, so that one can be revoked.

Examples:
  dialproof key create --app shop --name checkout
  dialproof key list
  dialproof key revoke key_01kb2v5w8e7x9a3c4d5f6g7h8j`
}

type keyCreateCmd struct {
	storeFlag
	App     string        `placeholder:"NAME" help:"The application that the key acts for, by name or id."`
	Name    string        `placeholder:"TEXT" default:"made by dialproof key create" help:"What the key is for; it stands in lists."`
	Mode    string        `placeholder:"MODE" enum:"live,test" default:"live" help:"live or test. A key in test mode sends nothing to a real route. Default: ${default}."`
	Scope   []string      `placeholder:"SCOPE,..." default:"verify,read" enum:"verify,read,admin" help:"What it may do: verify, read; or admin, for the operator's key, which acts for no application. Default: verify,read."`
	Expires time.Duration `placeholder:"TIME" help:"When it ends, from now, like 2160h for 90 days. Default: never."`
}

// Help has the examples.
func (keyCreateCmd) Help() string {
	return `The secret goes to standard output and is kept nowhere: only its hash is. A running server knows the key within
seconds.

Examples:
  dialproof key create --app shop --name checkout
  dialproof key create --app shop --mode test --scope verify --expires 24h
  dialproof key create --scope admin --name console > admin.key`
}

// Run makes a key.
func (c keyCreateCmd) Run(ctx context.Context, w world) error {
	operator := slices.Equal(c.Scope, []string{string(application.Admin)})
	if (c.App == "") != operator {
		return usageError{
			errors.New("say whom the key is for: --app NAME for an application, or --scope admin alone for the operator"),
		}
	}
	return directory(ctx, w, c.storeFlag, func(d *application.Directory) error {
		n := application.NewKey{Name: c.Name, Mode: application.Mode(c.Mode)}
		for _, s := range c.Scope {
			n.Scopes = append(n.Scopes, application.Scope(s))
		}
		if !operator {
			a, err := tenant(d, c.App)
			if err != nil {
				return err
			}
			n.App = a.ID
		}
		if c.Expires > 0 {
			n.Expires = time.Now().Add(c.Expires).UTC().Truncate(time.Second)
		}
		k, token, err := d.CreateKey(ctx, n)
		if err != nil {
			return err
		}
		fmt.Fprintln(w.Out, token)
		fmt.Fprintf(w.Err, "This is %s. Keep it now: it is not shown again.\n", k.ID.Text(id.Key))
		return nil
	})
}

// tenant returns the application of that name or id.
func tenant(d *application.Directory, name string) (application.Application, error) {
	if i, err := id.Parse(id.Application, name); err == nil {
		if a, err := d.Application(i); err == nil {
			return a, nil
		}
	}
	a, err := d.ByName(name)
	if errors.Is(err, application.ErrNotFound) {
		var names []string
		for _, a := range d.Applications() {
			names = append(names, a.Name)
		}
		if len(names) == 0 {
			return a, fmt.Errorf("there is no application yet; make one with `dialproof app create --name %s`", name)
		}
		return a, fmt.Errorf("there is no application %q; there are: %s", name, strings.Join(names, ", "))
	}
	return a, err
}

type keyListCmd struct {
	storeFlag
	App string `placeholder:"NAME" help:"Only the keys of this application, by name or id."`
}

// Help has the examples.
func (keyListCmd) Help() string {
	return `Examples:
  dialproof key list
  dialproof key list --app shop`
}

// Run lists the keys.
func (c keyListCmd) Run(ctx context.Context, w world) error {
	return directory(ctx, w, c.storeFlag, func(d *application.Directory) error {
		var only id.ID
		if c.App != "" {
			a, err := tenant(d, c.App)
			if err != nil {
				return err
			}
			only = a.ID
		}
		names := map[id.ID]string{{}: "(operator)"}
		for _, a := range d.Applications() {
			names[a.ID] = a.Name
		}
		t := tabwriter.NewWriter(w.Out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "ID\tBEGINS WITH\tAPPLICATION\tNAME\tSCOPES\tEXPIRES\tLAST USED\tREVOKED")
		for _, k := range d.Keys(only) {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", k.ID.Text(id.Key), k.Prefix, names[k.App], k.Name,
				scopes(k.Scopes), day(k.Expires), day(k.LastUsed), day(k.Revoked))
		}
		return t.Flush()
	})
}

func scopes(all []application.Scope) string {
	out := make([]string, len(all))
	for i, s := range all {
		out[i] = string(s)
	}
	return strings.Join(out, ",")
}

// day returns a time for a list, or a dash for none.
func day(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04")
}

type keyRevokeCmd struct {
	storeFlag
	ID string `arg:"" help:"The key's id (key_...), as key list shows it."`
}

// Help has the examples.
func (keyRevokeCmd) Help() string {
	return `A running server refuses the key within seconds. There is no way back; make a new key instead.

Example:
  dialproof key revoke key_01kb2v5w8e7x9a3c4d5f6g7h8j`
}

// Run revokes a key.
func (c keyRevokeCmd) Run(ctx context.Context, w world) error {
	k, err := id.Parse(id.Key, c.ID)
	if err != nil {
		return usageError{fmt.Errorf("%q is no key's id; `dialproof key list` shows them", c.ID)}
	}
	return directory(ctx, w, c.storeFlag, func(d *application.Directory) error {
		_, err := d.Revoke(ctx, k)
		if errors.Is(err, application.ErrNotFound) {
			return fmt.Errorf("there is no key %s; `dialproof key list` shows them", c.ID)
		}
		if err == nil {
			fmt.Fprintln(w.Out, "revoked")
		}
		return err
	})
}
