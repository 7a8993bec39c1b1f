package app

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/dialproof/dialproof/internal/config"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/store"
)

// storeOptions answers which store the configuration names.
func storeOptions(cfg config.Config, observe store.Observer, log *slog.Logger) store.Options {
	if cfg.Store.Driver == config.Postgres {
		return store.Options{
			DSN: cfg.Store.DSN.Reveal(), Connections: cfg.Store.Connections, Lanes: cfg.Store.Lanes, Timeout: cfg.Store.Timeout,
			Pooler: cfg.Store.Pooler, ListenDSN: cfg.Store.ListenDSN.Reveal(), Observe: observe, Log: log,
		}
	}
	path := cfg.Store.Path
	if path == "" {
		path = filepath.Join(cfg.Data, "dialproof.db")
	}
	return store.Options{Path: path, Observe: observe, Log: log}
}

// hear loads tenants as soon as another node has changed them. Looking every half second, which every node does, stands behind it.
func (n *Node) hear() {
	changed := n.store.Changed()
	if changed == nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background()) //nolint:forbidigo // it is asked for by no request: Stop ends it
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-ctx.Done():
				return
			case <-changed:
				if err := n.refresh(ctx); err != nil && ctx.Err() == nil {
					n.log.Warn("changed tenants could not be loaded and will be tried again", "error", err)
				}
			}
		}
	}()
	n.onStop("news of tenants", func() error { cancel(); <-done; return nil })
}

// leaving is how a node takes its leave of a load balancer.
type leaving struct {
	now   atomic.Bool
	asked atomic.Int64 // when readiness was last asked for, Unix nanoseconds
}

// watched is how long ago somebody may have asked for readiness and still count as looking.
const watched = 30 * time.Second

// errLeaving is why a node that stops is not ready.
var errLeaving = errors.New("the node is stopping")

// ready tells whether requests can be answered.
func (n *Node) ready(ctx context.Context) error {
	n.leaving.asked.Store(time.Now().UnixNano())
	if n.leaving.now.Load() {
		return errLeaving
	}
	if err := n.store.Failed(); err != nil {
		return err
	}
	_, _, err := n.store.Depth(ctx, n.store.Now())
	return err
}

// drain says that the node stops and goes on taking requests until whoever looks at its readiness has had time to see it.
func (n *Node) drain() error {
	n.leaving.now.Store(true)
	if time.Since(time.Unix(0, n.leaving.asked.Load())) < watched {
		time.Sleep(n.cfg.Drain)
	}
	return nil
}

// parting tells clients that their connection ends with this answer, once the node is leaving: a connection that is closed while
// a request is on its way costs that request.
func (n *Node) parting(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n.leaving.now.Load() {
			w.Header().Set("Connection", "close")
		}
		h.ServeHTTP(w, r)
	})
}

// leastNumber is how long the row of a number stays at least: it holds the count of wrong codes without a success.
const leastNumber = 90 * 24 * time.Hour

// Work that one node at a time does for all.
const (
	retention       = "retention"
	retentionPeriod = time.Hour
)

// forget drops what is personal and past its retention, and what no longer tells anything.
func (n *Node) forget(ctx context.Context) error {
	now := n.store.Now()
	mine, err := n.store.Turn(ctx, retention, n.ids.New(now), now, retentionPeriod)
	if err != nil || !mine {
		return err
	}
	from, err := n.store.Mark(ctx, retention)
	if err != nil {
		return err
	}
	kept := time.Duration(n.cfg.Retention.Days) * 24 * time.Hour
	_, forgotten, err := n.store.Forget(ctx, id.At(time.UnixMilli(from)), now.Add(-kept))
	if err != nil {
		return err
	}
	if err := n.store.SetMark(ctx, retention, now.Add(-kept).UnixMilli()); err != nil {
		return err
	}
	purged, err := n.store.Purge(ctx, now, now.Add(-max(kept, leastNumber)))
	if err != nil {
		return err
	}
	events, err := n.store.PurgeEvents(ctx, now.Add(-min(kept, keptDelivered)), now.Add(-min(kept, keptEvents)))
	purged += events
	if forgotten+purged > 0 {
		n.log.Info("retention", "forgotten", forgotten, "purged", purged)
	}
	return errors.Join(err, n.store.Upkeep(ctx, now))
}
