package app

import (
	"context"
	"errors"
	"strconv"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/deliver"
)

// ask lets every route that can log in, all at once, so that several that hang cost the time of one. Routes that cannot
// have no answer.
func (n *Node) ask(ctx context.Context) []chan error {
	out := make([]chan error, len(n.routes.All()))
	for i, r := range n.routes.All() {
		checker, can := channel.As[channel.Checker](r.Sender)
		if !can {
			continue
		}
		out[i] = make(chan error, 1)
		go func() {
			ctx, cancel := context.WithTimeout(ctx, r.Timeout)
			defer cancel()
			out[i] <- checker.Check(ctx)
		}()
	}
	return out
}

// advise says in words what is wrong with a route, and what to do.
func advise(r *deliver.Route, err error) error {
	if err == nil {
		return nil
	}
	e := channel.AsError(r.Provider, err)
	what := e.Detail
	if e.Code != "" && e.Code != "transport" {
		what += " (" + r.Provider + " says " + strconv.Quote(e.Code) + ")"
	}
	switch e.Kind {
	case channel.Refused:
		what += ". Check the credentials and the account in the settings of the route"
	case channel.Unavailable, channel.MaybeSent:
		what += ". Check the address in the settings of the route, the firewall, and the provider's status page"
	case channel.Throttled:
		what += ". Ask again in a moment"
	case channel.Rejected:
	}
	return errors.New(what)
}
