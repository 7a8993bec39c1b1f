package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/dialproof/dialproof/internal/api"
	"github.com/dialproof/dialproof/internal/config"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/store"
	"github.com/dialproof/dialproof/internal/store/postgres"
	"github.com/dialproof/dialproof/internal/store/sqlite"
)

// databaseServer is where a node keeps which server of PostgreSQL it has last written to, in its data folder.
const databaseServer = "database-server.json"

// postgresOptions returns how the PostgreSQL store of a configuration is opened.
func postgresOptions(cfg config.Config) postgres.Options {
	return postgres.Options{
		DSN: cfg.Store.DSN.Reveal(), Connections: cfg.Store.Connections, Lanes: cfg.Store.Lanes, Timeout: cfg.Store.Timeout,
		Pooler: cfg.Store.Pooler, ListenDSN: cfg.Store.ListenDSN.Reveal(), Memory: filepath.Join(cfg.Data, databaseServer),
	}
}

// storePath returns the file of a configuration's SQLite store.
func storePath(cfg config.Config) string {
	if cfg.Store.Path != "" {
		return cfg.Store.Path
	}
	return filepath.Join(cfg.Data, "dialproof.db")
}

// openServing opens the store of a deployment for a server, and brings its schema up to date.
func openServing(ctx context.Context, cfg config.Config, m commits, log *slog.Logger) (*store.DB, error) {
	if cfg.Store.Driver == config.Postgres {
		o := postgresOptions(cfg)
		o.Log, o.Retried, o.Migrate = log, m.Retried, true
		e, err := postgres.Open(ctx, o)
		if err != nil {
			return nil, err
		}
		return store.New(e, m), nil
	}
	e, err := sqlite.Open(ctx, storePath(cfg), sqlite.Options{Migrate: true, Log: log})
	if err != nil {
		return nil, err
	}
	return store.New(e, m), nil
}

// openTool opens the store of a deployment for a command, beside the servers that may run on it. The schema must be
// this version's.
func openTool(ctx context.Context, cfg config.Config) (*store.DB, error) {
	if cfg.Store.Driver == config.Postgres {
		o := postgresOptions(cfg)
		o.Lanes, o.Connections, o.ReadMemory = 1, 4, true
		e, err := postgres.Open(ctx, o)
		if err != nil {
			return nil, err
		}
		return store.New(e, nil), nil
	}
	if err := makeFolder(cfg.Data); err != nil {
		return nil, err
	}
	g, err := sqlite.OpenGuest(storePath(cfg))
	if err != nil {
		return nil, err
	}
	return store.New(g, nil), nil
}

// hear loads tenants as soon as another node has changed them. Looking every half second, which every node does, stands
// behind it.
func (n *Node) hear() {
	changed := n.store.Changed()
	if changed == nil {
		return
	}
	//nolint:forbidigo // it is asked for by no request: Stop ends it
	ctx, cancel := context.WithCancel(context.Background())
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

// ready returns why requests cannot be answered, or nil.
func (n *Node) ready(ctx context.Context) error {
	n.leaving.asked.Store(time.Now().UnixNano())
	if n.leaving.now.Load() {
		return api.ErrStopping
	}
	return n.store.Health(ctx)
}

// drain says that the node stops and goes on taking requests until whoever looks at its readiness has had time to see
// it.
func (n *Node) drain() error {
	n.leaving.now.Store(true)
	if time.Since(time.Unix(0, n.leaving.asked.Load())) < watched {
		time.Sleep(n.cfg.Drain)
	}
	return nil
}

// parting tells clients that their connection ends with this answer, once the node is leaving: a connection that is
// closed while a request is on its way costs that request.
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
	againAfter      = time.Minute // what has failed
)

// upkeep is the kinds of recurring work. Each one has a turn of its own, so that one that fails does not stop the
// others.
func (n *Node) upkeep(ctx context.Context) error {
	kept := time.Duration(n.cfg.Retention.Days) * 24 * time.Hour
	purge := func(kind store.Purged, age time.Duration) func(context.Context, time.Time) (int, error) {
		return func(ctx context.Context, now time.Time) (int, error) { return n.store.Purge(ctx, kind, now.Add(-age)) }
	}
	errs := []error{n.recur(ctx, "retention", n.forget)}
	for name, work := range map[string]func(context.Context, time.Time) (int, error){
		"purge numbers": purge(store.PurgeNumbers, max(kept, leastNumber)),
		"purge limits":  purge(store.PurgeLimits, 0),
		"purge replays": purge(store.PurgeReplays, 0),
		"purge sent":    purge(store.PurgeSent, 0),
		"purge events": func(ctx context.Context, now time.Time) (int, error) {
			return n.store.PurgeEvents(ctx, now.Add(-min(kept, keptDelivered)), now.Add(-min(kept, keptEvents)))
		},
		"lanes": func(ctx context.Context, now time.Time) (int, error) { return 0, n.store.Upkeep(ctx, now) },
	} {
		errs = append(errs, n.recur(ctx, name, work))
	}
	return errors.Join(errs...)
}

// recur does recurring work when it is this node's turn. What fails is tried again after a minute.
func (n *Node) recur(ctx context.Context, name string,
	work func(ctx context.Context, now time.Time) (int, error)) error {
	now := n.store.Now()
	node := n.ids.New(now)
	mine, err := n.store.Turn(ctx, name, node, now, retentionPeriod)
	if err != nil || !mine {
		return err
	}
	done, err := work(ctx, now)
	if done > 0 {
		n.log.Info("upkeep", "what", name, "rows", done)
	}
	if err == nil {
		return nil
	}
	// The turn is given up early, so that this node or another one goes on from where this ended.
	if _, turn := n.store.Turn(ctx, name, node, now.Add(retentionPeriod), againAfter-retentionPeriod); turn != nil {
		err = errors.Join(err, turn)
	}
	return fmt.Errorf("%s: %w", name, err)
}

// forget takes what is personal out of the verifications that are past the retention.
func (n *Node) forget(ctx context.Context, now time.Time) (int, error) {
	from, err := n.store.Mark(ctx, retention)
	if err != nil {
		return 0, err
	}
	end := now.Add(-time.Duration(n.cfg.Retention.Days) * 24 * time.Hour)
	last, forgotten, err := n.store.Forget(ctx, id.At(time.UnixMilli(from)), end)
	if err != nil {
		if !last.IsZero() {
			err = errors.Join(err, n.store.SetMark(ctx, retention, last.Time().UnixMilli()-1))
		}
		return forgotten, err
	}
	return forgotten, n.store.SetMark(ctx, retention, end.UnixMilli())
}
