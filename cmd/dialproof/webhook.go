package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/webhook"
)

// webhooks opens the endpoints and tenants, runs work and closes them.
func webhooks(ctx context.Context, w world, f storeFlag,
	work func(*webhook.Directory, *application.Directory) error) error {
	cfg, err := f.load(w)
	if err != nil {
		return err
	}
	d, apps, done, err := w.app.webhooks(ctx, cfg)
	if err != nil {
		return err
	}
	return errors.Join(explainWebhook(work(d, apps)), done())
}

// explainWebhook says in the command line's words what can be done.
func explainWebhook(err error) error {
	if e, ok := errors.AsType[*webhook.FieldError](err); ok {
		return usageError{fmt.Errorf("--%s %s", strings.SplitN(e.Field, ".", 2)[0], e.Detail)}
	}
	switch {
	case errors.Is(err, webhook.ErrDisabled):
		return errors.New(
			"the webhook is disabled: `dialproof webhook list` says why, `dialproof webhook enable` lets events go to it again",
		)
	case errors.Is(err, webhook.ErrTooMany):
		return fmt.Errorf("the application has %d webhooks, which is as many as it may: `dialproof webhook delete` one",
			webhook.MaxEndpoints)
	case errors.Is(err, webhook.ErrNotFound):
		return errors.New(
			"there is no such webhook or event; `dialproof webhook list` and `dialproof webhook events` show them",
		)
	}
	return err
}

type webhookCmd struct {
	Create  webhookCreateCmd  `cmd:"" help:"Send an application's events to an address; print the secret, this once."`
	List    webhookListCmd    `cmd:"" help:"List the webhooks, without their secrets."`
	Events  webhookEventsCmd  `cmd:"" help:"Show what became of the newest events of a webhook."`
	Test    webhookTestCmd    `cmd:"" help:"Send a test event and wait for what becomes of it."`
	Replay  webhookReplayCmd  `cmd:"" help:"Send events again that were given up."`
	Rotate  webhookRotateCmd  `cmd:"" help:"Give a webhook a new secret; the old one signs too for a day."`
	Enable  webhookEnableCmd  `cmd:"" help:"Let events go to a webhook again."`
	Disable webhookDisableCmd `cmd:"" help:"Stop the events to a webhook."`
	Delete  webhookDeleteCmd  `cmd:"" help:"Delete a webhook and its events."`
}

// Help has the examples.
func (webhookCmd) Help() string {
	return `A webhook tells an application what happens to its verifications: started, approved, failed, expired,
canceled, and what became of each delivery. Events are signed (Standard Webhooks) and sent again until they are
taken. A running server knows of changes within seconds.

Examples:
  dialproof webhook create --app shop --to https://shop.example/dialproof
  dialproof webhook test whk_01kb2v5w8e7x9a3c4d5f6g7h8j
  dialproof webhook events whk_01kb2v5w8e7x9a3c4d5f6g7h8j --status dead
  dialproof webhook replay whk_01kb2v5w8e7x9a3c4d5f6g7h8j --since 6h`
}

type webhookCreateCmd struct {
	storeFlag
	App         string   `required:"" placeholder:"NAME" help:"The application whose events are sent, by name or id."`
	To          string   `required:"" name:"to" placeholder:"URL" help:"Where they go: an https address on the public internet. Redirects are not followed."`
	Events      []string `placeholder:"KIND,..." help:"Only these: verification.started, .approved, .failed, .expired, .canceled, delivery.updated. Default: all."`
	Mode        string   `placeholder:"MODE" enum:"live,test" default:"live" help:"live, or test for the events of keys in test mode. Default: ${default}."`
	Description string   `placeholder:"TEXT" help:"What it is for; it stands in lists."`
}

// Help has the examples.
func (webhookCreateCmd) Help() string {
	return `The secret goes to standard output. Give it to the receiver, which checks the signature of each request with
it: every language has a library for Standard Webhooks, and the SDKs have it built in. docs/webhooks.md shows how.

Addresses in your own network need webhooks.allow_private in the configuration; the server of "dialproof dev" takes
them.

Examples:
  dialproof webhook create --app shop --to https://shop.example/dialproof
  dialproof webhook create --app shop --to https://shop.example/done --events verification.approved,verification.failed
  dialproof webhook create --data .dialproof --app dev --mode test --to http://127.0.0.1:3000/dialproof`
}

// Run makes a webhook.
func (c webhookCreateCmd) Run(ctx context.Context, w world) error {
	return webhooks(ctx, w, c.storeFlag, func(d *webhook.Directory, apps *application.Directory) error {
		a, err := tenant(apps, c.App)
		if err != nil {
			return err
		}
		e := webhook.Endpoint{App: a.ID, Test: c.Mode == string(application.Test), URL: c.To, Description: c.Description}
		for _, k := range c.Events {
			e.Kinds = append(e.Kinds, webhook.Kind(k))
		}
		e, secret, err := d.Create(ctx, e)
		if err != nil {
			return err
		}
		fmt.Fprintln(w.Out, secret.Reveal())
		fmt.Fprintf(w.Err,
			"This is the secret of %s. Keep it now: it is not shown again. Then: dialproof webhook test %[1]s\n",
			e.ID.Text(id.Webhook))
		return nil
	})
}

type webhookListCmd struct {
	storeFlag
	App string `placeholder:"NAME" help:"Only those of this application, by name or id."`
}

// Help has the examples.
func (webhookListCmd) Help() string {
	return `STATE is "enabled", "failing since ..." when it has taken nothing for a while, or "disabled" with the
reason: by operator, gone (it answered 410), or failing (it took nothing for five days).

Examples:
  dialproof webhook list
  dialproof webhook list --app shop`
}

// Run lists the webhooks.
func (c webhookListCmd) Run(ctx context.Context, w world) error {
	return webhooks(ctx, w, c.storeFlag, func(d *webhook.Directory, apps *application.Directory) error {
		var only id.ID
		if c.App != "" {
			a, err := tenant(apps, c.App)
			if err != nil {
				return err
			}
			only = a.ID
		}
		t := tabwriter.NewWriter(w.Out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "ID\tAPPLICATION\tMODE\tSTATE\tEVENTS\tURL\tDESCRIPTION")
		for _, e := range d.Endpoints(only) {
			a, _ := apps.Application(e.App) // one that is gone has no name
			mode := application.Live
			if e.Test {
				mode = application.Test
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", e.ID.Text(id.Webhook), a.Name, mode, stateOf(&e), kinds(e.Kinds),
				e.URL, e.Description)
		}
		return t.Flush()
	})
}

// stateOf says how an endpoint is.
func stateOf(e *webhook.Endpoint) string {
	switch {
	case !e.Enabled():
		return fmt.Sprintf("disabled (%s)", e.Reason)
	case !e.Failing.IsZero():
		return "failing since " + day(e.Failing)
	}
	return "enabled"
}

func kinds(all []webhook.Kind) string {
	if len(all) == 0 {
		return "all"
	}
	out := make([]string, len(all))
	for i, k := range all {
		out[i] = string(k)
	}
	return strings.Join(out, ",")
}

// webhookArg names a webhook in a store.
type webhookArg struct {
	storeFlag
	ID string `arg:"" help:"The webhook's id (whk_...), as webhook list shows it."`
}

// on runs work on the webhook that is named.
func (c webhookArg) on(ctx context.Context, w world, work func(d *webhook.Directory, endpoint id.ID) error) error {
	endpoint, err := id.Parse(id.Webhook, c.ID)
	if err != nil {
		return usageError{fmt.Errorf("%q is no webhook's id; `dialproof webhook list` shows them", c.ID)}
	}
	return webhooks(ctx, w, c.storeFlag,
		func(d *webhook.Directory, _ *application.Directory) error { return work(d, endpoint) })
}

type webhookEventsCmd struct {
	webhookArg
	Status string `placeholder:"STATUS" enum:",pending,delivered,dead" default:"" help:"Only those that are pending, delivered or dead. Default: all."`
	Limit  int    `placeholder:"N" default:"20" help:"How many, 1 to 100. Default: ${default}."`
}

// Help has the examples.
func (webhookEventsCmd) Help() string {
	return `Newest first: how often each was tried, what the last attempt came to, and when the next one is.

Examples:
  dialproof webhook events whk_01kb2v5w8e7x9a3c4d5f6g7h8j
  dialproof webhook events whk_01kb2v5w8e7x9a3c4d5f6g7h8j --status dead --limit 100`
}

// Run lists events.
func (c webhookEventsCmd) Run(ctx context.Context, w world) error {
	if c.Limit < 1 || c.Limit > webhook.MaxPage {
		return usageError{fmt.Errorf("--limit must be 1 to %d", webhook.MaxPage)}
	}
	return c.on(ctx, w, func(d *webhook.Directory, endpoint id.ID) error {
		p := webhook.Page{Limit: c.Limit}
		for _, s := range webhook.States() {
			if s.String() == c.Status {
				p.State = &s
			}
		}
		events, err := d.Events(ctx, endpoint, p)
		if err != nil {
			return err
		}
		t := tabwriter.NewWriter(w.Out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "EVENT\tTYPE\tVERIFICATION\tCREATED\tSTATUS\tTRIED\tLAST ATTEMPT\tNEXT")
		for i := range events {
			e := &events[i]
			v := "-"
			if !e.Ref.IsZero() {
				v = e.Ref.Text(id.Verification)
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\n", e.Event.Text(id.Event), e.Kind, v, day(e.ID.Time()), e.State,
				e.Tries, lastOf(e), moment(e.Due))
		}
		return t.Flush()
	})
}

// lastOf says what the last attempt of an event came to.
func lastOf(e *webhook.Event) string {
	if len(e.Log) == 0 {
		return "-"
	}
	last := e.Log[len(e.Log)-1]
	if last.Error == "" {
		return fmt.Sprintf("answered %d in %d ms", last.Status, last.Took)
	}
	return last.Error
}

// moment returns a time to the second, or a dash for none.
func moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.DateTime)
}

type webhookTestCmd struct {
	webhookArg
	Wait time.Duration `placeholder:"TIME" default:"30s" help:"How long to wait for what becomes of it. Default: ${default}."`
}

// Help has the examples.
func (webhookTestCmd) Help() string {
	return `It sends a test.ping, which a receiver takes by answering with any 2xx status. The server must be running:
it is the one that sends. It ends with 0 when the event was taken, and with 1 when it was not.

Example:
  dialproof webhook test whk_01kb2v5w8e7x9a3c4d5f6g7h8j`
}

// Run sends a test event and waits for its first attempt.
func (c webhookTestCmd) Run(ctx context.Context, w world) error {
	return c.on(ctx, w, func(d *webhook.Directory, endpoint id.ID) error {
		e, err := d.Ping(ctx, endpoint)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, c.Wait)
		defer cancel()
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return fmt.Errorf(
					"nothing became of %s within %v: is the server running? `dialproof webhook events %s` shows it later",
					e.Event.Text(id.Event),
					c.Wait,
					c.ID,
				)
			case <-tick.C:
			}
			now, err := find(ctx, d, endpoint, e.Event)
			if err != nil || len(now.Log) == 0 {
				continue
			}
			if now.State != webhook.Delivered {
				return fmt.Errorf("the test event was not taken: the receiver %s", lastOf(now))
			}
			fmt.Fprintf(w.Out, "taken: %s\n", lastOf(now))
			return nil
		}
	})
}

// find returns an event of an endpoint among its newest.
func find(ctx context.Context, d *webhook.Directory, endpoint, event id.ID) (*webhook.Event, error) {
	events, err := d.Events(ctx, endpoint, webhook.Page{Limit: webhook.MaxPage})
	if err != nil {
		return nil, err
	}
	for i := range events {
		if events[i].Event == event {
			return &events[i], nil
		}
	}
	return nil, webhook.ErrNotFound
}

type webhookReplayCmd struct {
	webhookArg
	Since time.Duration `placeholder:"TIME" xor:"what" required:"" help:"All that are dead and were made within this time, like 6h."`
	Event string        `placeholder:"EVENT" xor:"what" required:"" help:"This one alone (evt_...), dead or delivered."`
}

// Help has the examples.
func (webhookReplayCmd) Help() string {
	return `An event is dead after ten attempts in about three days. They are kept for 30 days, delivered ones for 3,
and both no longer than retention.days. The receiver knows an event that it has had by its webhook-id.

Examples:
  dialproof webhook replay whk_01kb2v5w8e7x9a3c4d5f6g7h8j --since 72h
  dialproof webhook replay whk_01kb2v5w8e7x9a3c4d5f6g7h8j --event evt_01kb2v5w8e7x9a3c4d5f6g7h8j`
}

// Run replays events.
func (c webhookReplayCmd) Run(ctx context.Context, w world) error {
	var event id.ID
	if c.Event != "" {
		var err error
		if event, err = id.Parse(id.Event, c.Event); err != nil {
			return usageError{fmt.Errorf("%q is no event's id; `dialproof webhook events` shows them", c.Event)}
		}
	}
	return c.on(ctx, w, func(d *webhook.Directory, endpoint id.ID) error {
		n, err := d.Replay(ctx, endpoint, event, d.Now().Add(-c.Since))
		if err == nil {
			fmt.Fprintf(w.Out, "replayed: %d\n", n)
		}
		return err
	})
}

type webhookRotateCmd struct{ webhookArg }

// Help has the examples.
func (webhookRotateCmd) Help() string {
	return `The new secret goes to standard output. For 24 hours each request bears two signatures, so that the receiver
can change in its own time: give it the new secret, then take the old one away.

Example:
  dialproof webhook rotate whk_01kb2v5w8e7x9a3c4d5f6g7h8j`
}

// Run rotates the secret.
func (c webhookRotateCmd) Run(ctx context.Context, w world) error {
	return c.on(ctx, w, func(d *webhook.Directory, endpoint id.ID) error {
		e, secret, err := d.Rotate(ctx, endpoint)
		if err != nil {
			return err
		}
		fmt.Fprintln(w.Out, secret.Reveal())
		fmt.Fprintf(w.Err, "Keep it now: it is not shown again. The old secret signs too until %s UTC.\n",
			day(e.Secrets[1].Until))
		return nil
	})
}

type webhookEnableCmd struct{ webhookArg }

// Help has the examples.
func (webhookEnableCmd) Help() string {
	return `What waited while it was disabled goes out at once. What happened meanwhile was not written down; what was
given up needs a replay.

Example:
  dialproof webhook enable whk_01kb2v5w8e7x9a3c4d5f6g7h8j`
}

// Run enables a webhook.
func (c webhookEnableCmd) Run(ctx context.Context, w world) error {
	return c.on(ctx, w, func(d *webhook.Directory, endpoint id.ID) error {
		_, err := d.Update(ctx, endpoint, (*webhook.Endpoint).Enable)
		if err == nil {
			fmt.Fprintln(w.Out, "enabled")
		}
		return err
	})
}

type webhookDisableCmd struct{ webhookArg }

// Help has the examples.
func (webhookDisableCmd) Help() string {
	return `What waits goes on waiting, and what happens from now on is not told.

Example:
  dialproof webhook disable whk_01kb2v5w8e7x9a3c4d5f6g7h8j`
}

// Run disables a webhook.
func (c webhookDisableCmd) Run(ctx context.Context, w world) error {
	return c.on(ctx, w, func(d *webhook.Directory, endpoint id.ID) error {
		_, err := d.Update(ctx, endpoint, func(e *webhook.Endpoint) { e.Disable(webhook.ByOperator, d.Now()) })
		if err == nil {
			fmt.Fprintln(w.Out, "disabled")
		}
		return err
	})
}

type webhookDeleteCmd struct{ webhookArg }

// Help has the examples.
func (webhookDeleteCmd) Help() string {
	return `Its events go with it. There is no way back.

Example:
  dialproof webhook delete whk_01kb2v5w8e7x9a3c4d5f6g7h8j`
}

// Run deletes a webhook.
func (c webhookDeleteCmd) Run(ctx context.Context, w world) error {
	return c.on(ctx, w, func(d *webhook.Directory, endpoint id.ID) error {
		err := d.Delete(ctx, endpoint)
		if err == nil {
			fmt.Fprintln(w.Out, "deleted")
		}
		return err
	})
}
