package app

import (
	"context"
	"fmt"
	"reflect"
	"runtime/debug"
	"sync"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/config"
	"github.com/dialproof/dialproof/internal/deliver"
)

// pauseOfSender is how long a sender that ended by itself rests before it is run again.
const pauseOfSender = 5 * time.Second

// crew are the senders of one set of routes that have a life of their own (bound sessions, registrations).
type crew struct {
	cancel context.CancelFunc
	all    sync.WaitGroup
}

// hire runs the senders of the routes until they are dismissed.
func (n *Node) hire(routes []*deliver.Route) *crew {
	ctx, cancel := context.WithCancel(context.Background()) //nolint:forbidigo // asked for by no request: Stop ends it
	c := &crew{cancel: cancel}
	for _, r := range routes {
		if runner, ok := channel.As[channel.Runner](r.Sender); ok {
			c.all.Go(func() { n.keepRunning(ctx, r.Name, runner) })
		}
	}
	return c
}

// dismiss ends them and waits.
func (c *crew) dismiss() {
	c.cancel()
	c.all.Wait()
}

// reload puts the routes of another configuration in place. Messages that are under way end on the old ones, whose
// senders are dismissed after the longest call that a route may make.
func (n *Node) reload(next config.Config) {
	routes, err := n.openRoutes(next, false)
	if err != nil {
		n.log.Error("the routes were not reloaded: the old ones hold", "error", err)
		return
	}
	old := n.crew
	n.crew = n.hire(routes)
	n.routes.Replace(routes, deliver.Policy(next.Routing.Policy))
	dismissed := make(chan struct{})
	timer := time.AfterFunc(maxCall, func() { defer close(dismissed); old.dismiss() })
	n.onStop("old senders", func() error {
		if timer.Stop() {
			old.dismiss()
			return nil
		}
		<-dismissed
		return nil
	})
	next.Routes, next.Routing = n.cfg.Routes, n.cfg.Routing
	n.log.Info("routes reloaded", "routes", len(routes), "rest_needs_restart", !reflect.DeepEqual(next, n.cfg))
}

// maxCall is the longest time that the configuration gives to one call to a provider.
const maxCall = time.Minute

// keepRunning runs one of them, again when it ends before its time.
func (n *Node) keepRunning(ctx context.Context, route string, runner channel.Runner) {
	for ctx.Err() == nil {
		err := n.runSender(ctx, route, runner)
		if ctx.Err() != nil {
			return
		}
		n.log.Error("a sender has ended and will be run again", "route", route, "error", err, "in", pauseOfSender)
		select {
		case <-ctx.Done():
		case <-time.After(pauseOfSender):
		}
	}
}

// runSender keeps a panic in one sender from stopping the process.
func (n *Node) runSender(ctx context.Context, route string, runner channel.Runner) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return runner.Run(ctx, func(r channel.Receipt) {
		if err := n.handler.Report(context.WithoutCancel(ctx), route, r); err != nil {
			n.log.Error("a receipt could not be recorded", "route", route, "error", err)
		}
	})
}
