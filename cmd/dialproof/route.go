package main

import (
	"context"
	"time"
)

type routeCmd struct {
	Test routeTestCmd `cmd:"" help:"Send one message with a code that opens nothing, and show what the provider answers."`
}

type routeTestCmd struct {
	configFlag
	Name    string        `arg:"" help:"The route's name in the configuration."`
	To      string        `required:"" placeholder:"NUMBER" help:"Your own number, with + and country code."`
	Channel string        `placeholder:"CHANNEL" help:"sms, voice, whatsapp, telegram or email. Default: the first that the route carries."`
	Email   string        `placeholder:"ADDRESS" help:"Your own mail address, for the channel email."`
	Wait    time.Duration `default:"30s" help:"How long to wait for a receipt, where the route itself hears of it (SMPP, SIP). Default: ${default}."`
}

// Help has the examples.
func (routeTestCmd) Help() string {
	return `It sends a real message, which costs what a message costs. It needs no running server and touches no
database. It ends with 0 when the provider took the message.

Examples:
  dialproof route test main --to +447700900123
  dialproof route test trunk --to +447700900123 --channel voice --wait 60s`
}

// Run sends.
func (c routeTestCmd) Run(ctx context.Context, w world) error {
	cfg, err := c.load(w)
	if err != nil {
		return err
	}
	return w.app.testRoute(ctx, cfg, routeTest{Route: c.Name, To: c.To, Channel: c.Channel, Email: c.Email, Wait: c.Wait},
		w.Out)
}
