// Package app puts the rooms together and runs them: the only package that sees all the others.
//
// It decides nothing about verifications. It opens what the configuration names, starts it in order, and stops it
// in the reverse order, each step under a name and a bound, so that a stop that hangs says where.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"time"

	"github.com/dialproof/dialproof/internal/api"
	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/handset"
	"github.com/dialproof/dialproof/internal/config"
	"github.com/dialproof/dialproof/internal/deliver"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/keyring"
	"github.com/dialproof/dialproof/internal/logging"
	"github.com/dialproof/dialproof/internal/queue"
	"github.com/dialproof/dialproof/internal/store"
	"github.com/dialproof/dialproof/internal/verify"
	"github.com/dialproof/dialproof/internal/webhook"
)

// Times that bound starting and stopping.
const (
	// lease is how long a job belongs to the node that runs it. It is longer than the longest call to a provider
	// and short enough that a person still waits when another node takes over.
	lease = 30 * time.Second
	// timers is how many orders of channels go on at once: each is one transaction.
	timers = 64
	// drain is how long a stop waits for requests and calls to providers.
	drain = 15 * time.Second
	// refresh is how often tenants that other processes changed are looked for.
	refresh = 500 * time.Millisecond
)

// Node is one running Dialproof.
type Node struct {
	cfg     config.Config
	log     *slog.Logger
	metrics *metrics

	store     *store.DB
	directory *application.Directory
	core      *verify.Service
	routes    *deliver.Routes
	handler   *deliver.Handler
	runner    *queue.Runner[deliver.Work]
	box       *handset.Box
	ids       *id.Source
	ring      *keyring.Ring
	crew      *crew // the senders that run now
	webhooks  *webhook.Directory
	events    *webhook.Runner
	leaving   leaving
	gate      *api.Gate
	outage    *logging.Outage

	server   *http.Server
	listener net.Listener
	cleanups []cleanup
}

// cleanup is a step of stopping.
type cleanup struct {
	name string
	run  func() error
}

func (n *Node) onStop(name string, run func() error) {
	n.cleanups = append(n.cleanups, cleanup{name, run})
}

// options are what dev has and serve has not.
type options struct {
	ring *keyring.Ring
	dev  bool
	// guest looks at a store that a server may be running on, and runs no jobs.
	guest bool
}

// open opens everything that the configuration names and starts nothing. When it fails, what was opened is
// closed again.
func open(ctx context.Context, cfg config.Config, log *slog.Logger, o options) (n *Node, err error) {
	outage := logging.NewOutage(log.Handler(), unusable)
	n = &Node{cfg: cfg, log: outage.Logger(), outage: outage, metrics: newMetrics(), ring: o.ring}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.Stop())
		}
	}()
	if err := makeFolder(cfg.Data); err != nil {
		return n, err
	}
	if o.guest {
		n.store, err = openTool(ctx, cfg)
	} else {
		n.store, err = openServing(ctx, cfg, commits{n.metrics, outage}, n.log)
	}
	if err != nil {
		return n, err
	}
	n.onStop("store", n.store.Close)
	last, err := n.store.Last(ctx)
	if err != nil {
		return n, err
	}
	n.ids = id.NewSource(last)
	n.directory, err = application.Open(ctx, n.store, n.ids, n.store.Now)
	if err != nil {
		return n, err
	}
	if n.box, err = handset.Open(cfg.Data); err != nil {
		return n, err
	}
	n.onStop("handset", n.box.Close)
	routes, err := n.openRoutes(cfg, o.dev)
	if err != nil {
		return n, err
	}
	n.assemble(routes, o)
	return n, n.assembleEvents(ctx)
}

// assemble makes the core and what runs its jobs.
func (n *Node) assemble(routes []*deliver.Route, o options) {
	n.routes = deliver.NewRoutes(nil)
	n.routes.Conversions = deliver.NewConversions(time.Now, rand.Uint64()) //nolint:gosec // it chooses routes, no secrets
	n.routes.Replace(routes, deliver.Policy(n.cfg.Routing.Policy))
	n.handler = &deliver.Handler{
		Store:     n.store,
		Routes:    n.routes,
		IDs:       n.ids,
		Now:       n.store.Now,
		Log:       n.log,
		Metrics:   n.metrics,
		Lease:     lease,
		Next:      verify.NextKind,
		Retry:     deliver.RetryKind,
		Callbacks: &deliver.Callbacks{Ring: o.ring, PublicURL: n.cfg.PublicURL},
	}
	n.runner = queue.NewRunner(queue.Options[deliver.Work]{
		Store: n.store, Log: n.log, Now: n.store.Now, Lease: lease, MaxOpen: n.cfg.Queue.MaxOpen, Observe: n.metrics.Queue,
		Kinds: []queue.Kind[deliver.Work]{
			{
				Name:    verify.JobKind,
				Workers: n.cfg.Queue.Workers,
				Run:     n.handler.Run,
				Yield:   n.handler.Yield,
				Kept:    n.handler.Kept,
			},
			{Name: deliver.RetryKind, Workers: n.cfg.Queue.Workers, Run: n.handler.Run, Yield: n.handler.Yield},
			{
				Name:    verify.NextKind,
				Workers: min(n.cfg.Queue.Workers, timers),
				Run: func(ctx context.Context, j queue.Job, _ deliver.Work) (bool, error) {
					return verify.Fallback{Service: n.core}.Run(ctx, j)
				},
			},
		},
	})
	n.handler.Again = n.runner.Again
	n.metrics.watchRoutes(n.handler)
	n.core = verify.New(verify.Options{
		Store:        n.store,
		Router:       n.routes,
		Dispatch:     dispatcher{n.runner},
		Ring:         o.ring,
		IDs:          n.ids,
		Now:          n.store.Now,
		Lease:        lease,
		Host:         publicHost(n.cfg),
		AllowFiction: o.dev,
		Limits:       limits(n.cfg.Limits),
		Metrics:      n.metrics,
		Approved:     n.handler.Approved,
	})
	n.handler.Composer = composer{verify.Composer{Service: n.core, Apps: n.directory}}
}

// dispatcher hands the jobs that verify makes to what runs them.
type dispatcher struct{ *queue.Runner[deliver.Work] }

// Reserve implements verify.Dispatcher.
func (d dispatcher) Reserve() bool { return d.Runner.Reserve(verify.JobKind) }

// Release implements verify.Dispatcher.
func (d dispatcher) Release() { d.Runner.Release(verify.JobKind) }

// Dispatch implements verify.Dispatcher.
func (d dispatcher) Dispatch(j queue.Job, m *verify.Made) {
	d.Runner.Dispatch(j, deliver.Fresh((*deliver.Made)(m)))
}

// composer hands deliver the messages that verify makes.
type composer struct{ verify.Composer }

// start begins to run jobs and to answer requests.
func (n *Node) start(ctx context.Context, h http.Handler) error {
	listener := n.listener
	if listener == nil {
		var err error
		if listener, err = listen(ctx, n.cfg.Listen); err != nil {
			return err
		}
		n.listener = listener
	}
	n.crew = n.hire(n.routes.All())
	n.onStop("senders", func() error { n.crew.dismiss(); return nil })
	n.runner.Start()
	n.onStop("jobs", func() error { return n.runner.Stop(drain) })
	n.events.Start()
	n.onStop("events", func() error { return n.events.Stop(drainEvents) })
	n.every("tenants", refresh, n.refresh)
	n.hear()
	n.every("outages", time.Second, func(ctx context.Context) error { n.outage.Look(ctx, n.store.Health); return nil })
	n.every("key uses", time.Minute, n.directory.Flush)
	//nolint:forbidigo // the node is stopping: nobody else asks
	n.onStop("key uses", func() error { return n.directory.Flush(context.Background()) })
	n.every("upkeep", time.Minute, n.upkeep)
	n.server = api.Server(n.cfg.Listen, h, logging.Foreign(n.log, "http server"))
	guarded := n.gate.Guard(n.server, listener)
	failed := make(chan error, 1)
	go func() { failed <- n.server.Serve(guarded) }()
	n.onStop("requests", func() error {
		//nolint:forbidigo // the node is stopping: nobody else asks
		ctx, cancel := context.WithTimeout(context.Background(), drain)
		defer cancel()
		if err := n.server.Shutdown(ctx); err != nil {
			return errors.Join(err, n.server.Close())
		}
		if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	n.onStop("readiness", n.drain)
	return nil
}

// listen takes an address.
func listen(ctx context.Context, address string) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf(
			"cannot listen: %w. Is another Dialproof running? Choose another address with --listen or in the configuration",
			err,
		)
	}
	return l, nil
}

// every runs work in turns until the node stops.
func (n *Node) every(name string, period time.Duration, work func(context.Context) error) {
	//nolint:forbidigo // upkeep is asked for by no request: Stop ends it
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(period)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if err := work(ctx); err != nil && ctx.Err() == nil {
					n.log.Error("upkeep failed and will be tried again", "what", name, "error", err)
				}
			}
		}
	}()
	n.onStop(name, func() error { cancel(); <-done; return nil })
}

// Stop undoes what was done, last first, and answers everything that went wrong.
func (n *Node) Stop() error {
	var errs []error
	for len(n.cleanups) > 0 {
		c := n.cleanups[len(n.cleanups)-1]
		n.cleanups = n.cleanups[:len(n.cleanups)-1]
		if err := c.run(); err != nil {
			errs = append(errs, fmt.Errorf("stopping %s: %w", c.name, err))
		}
	}
	return errors.Join(errs...)
}

// Compose implements deliver.Composer.
func (c composer) Compose(ctx context.Context, ref id.ID, d channel.Delivery) (deliver.Composed, error) {
	m, test, open, err := c.Composer.Compose(ctx, ref, d)
	return deliver.Composed{Message: m, Test: test, Open: open}, err
}
