package app

import (
	"context"
	"errors"
	stdlog "log"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dialproof/dialproof/internal/api"
	"github.com/dialproof/dialproof/internal/config"
	"github.com/dialproof/dialproof/internal/logging"
	"github.com/dialproof/dialproof/internal/store/postgres"
	"github.com/dialproof/dialproof/internal/store/sqlite"
	"github.com/dialproof/dialproof/internal/verify"
)

// The pause before a store is tried again that could not be opened: the first, and the longest.
const (
	firstPause   = 250 * time.Millisecond
	longestPause = 5 * time.Second
)

// unusable reports whether an error means that the store cannot be used now.
func unusable(err error) bool {
	return errors.Is(err, &verify.Error{Code: verify.CodeUnavailable})
}

// commits tells the metrics and the outage of commits.
type commits struct {
	*metrics
	outage *logging.Outage
}

// Uncommitted implements store.Observer.
func (c commits) Uncommitted(batch int, err error) { c.outage.Failed(batch, err) }

// await opens a node, and waits as long as its store cannot be opened for a reason that may pass. Meanwhile requests to
// the listener are answered with 503. It returns nil, nil when ctx ends before.
func await(ctx context.Context, cfg config.Config, log *slog.Logger, l net.Listener, o options) (*Node, error) {
	s := standIn(l, cfg, logging.Foreign(log, "http server"))
	defer s.stop(ctx)
	begin := time.Now()
	for pause, try := firstPause, 1; ; pause, try = min(2*pause, longestPause), try+1 {
		n, err := open(ctx, cfg, log, o)
		switch {
		case err == nil && try > 1:
			log.Info("the store can be used", "waited", time.Since(begin).Round(time.Millisecond).String(), "tries", try)
			fallthrough
		case err == nil:
			n.listener = l
			n.describe(ctx)
			return n, nil
		case ctx.Err() != nil:
			log.Info("stopping: the store was still waited for")
			return nil, nil
		case !passing(cfg, err):
			return nil, err
		case try == 1:
			log.Warn("the store cannot be used yet: waiting for it", "error", err)
		}
		s.say("the server waits for its store" + explain(cfg, err))
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// passing reports whether what keeps the store from being opened may pass by itself.
func passing(cfg config.Config, err error) bool {
	if cfg.Store.Driver == config.Postgres {
		return unusable(err) || postgres.Temporary(err)
	}
	return unusable(err) || sqlite.Temporary(err)
}

// explain returns why a store cannot be opened, to be put behind a sentence; empty when that is not known.
func explain(cfg config.Config, err error) string {
	why := sqlite.Explain
	if cfg.Store.Driver == config.Postgres {
		why = postgres.Explain
	}
	if text := why(err); text != "" {
		return ": " + text
	}
	return ""
}

// describe logs which store the node has.
func (n *Node) describe(ctx context.Context) {
	facts, err := n.store.Describe(ctx)
	if err != nil {
		n.log.Warn("the store cannot be asked for its version", "error", err)
		return
	}
	n.log.Info("store opened", "engine", facts.Engine, "schema", facts.Schema)
}

// stand is the server that answers until the node does.
type stand struct {
	server *http.Server
	lent   *lent
	why    atomic.Pointer[string]
	ended  chan struct{}
}

// standIn serves a listener until stop, which leaves it open for the node.
func standIn(l net.Listener, cfg config.Config, errors *stdlog.Logger) *stand {
	s := &stand{lent: &lent{Listener: l}, ended: make(chan struct{})}
	s.say("the server is starting")
	s.server = api.Server(cfg.Listen, api.Unready(func() string { return *s.why.Load() }, time.Now), errors)
	s.server.SetKeepAlivesEnabled(false) // the next request of the connection is for the node
	go func() { defer close(s.ended); _ = s.server.Serve(s.lent) }()
	return s
}

// say sets the sentence that requests are answered with.
func (s *stand) say(why string) { s.why.Store(&why) }

// standTime bounds how long answers of the stand-in are waited for.
const standTime = time.Second

// stop ends the stand-in. Connections that it has not accepted are the node's.
func (s *stand) stop(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), standTime)
	defer cancel()
	if s.server.Shutdown(ctx) != nil {
		_ = s.server.Close() // who has not read its answer by now is cut off
	}
	<-s.ended
	s.lent.giveBack()
}

// lent is a listener that stays open when it is closed.
type lent struct {
	net.Listener
	once sync.Once
}

// setter is what makes a listener's Accept return.
type setter interface{ SetDeadline(time.Time) error }

// Close implements net.Listener: Accept fails from now on.
func (l *lent) Close() (err error) {
	l.once.Do(func() {
		if s, ok := l.Listener.(setter); ok {
			err = s.SetDeadline(time.Unix(1, 0))
		}
	})
	return err
}

// giveBack makes the listener accept again.
func (l *lent) giveBack() {
	if s, ok := l.Listener.(setter); ok {
		_ = s.SetDeadline(time.Time{}) // a listener that fails says so when it is served
	}
}
