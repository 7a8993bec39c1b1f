package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/dialproof/dialproof/internal/api"
	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/config"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/verify"
	"github.com/dialproof/dialproof/internal/webhook"
)

// How long events are kept: those that were taken, and the others, which a replay can send again. Personal data goes
// earlier when retention.days says so.
const (
	keptDelivered = 3 * 24 * time.Hour
	keptEvents    = 30 * 24 * time.Hour
)

// pollEvents is how often due events are looked for beside those that this node has just written.
const pollEvents = 250 * time.Millisecond

// drainEvents is how long a stop waits for endpoints. It is shorter than one may take to answer: what is broken off is
// sent again by another node, or after the start.
const drainEvents = 5 * time.Second

// unheard says which endpoints get nothing, and why.
func (n *Node) unheard(out io.Writer) {
	for _, e := range n.webhooks.Endpoints(id.ID{}) {
		switch {
		case !e.Enabled():
			fmt.Fprintf(out, "note   webhook %s is disabled (%s) and gets no events\n", e.ID.Text(id.Webhook), e.Reason)
		case !e.Failing.IsZero():
			fmt.Fprintf(out, "note   webhook %s has taken nothing since %s: see `dialproof webhook events`\n",
				e.ID.Text(id.Webhook), e.Failing.Format(time.RFC3339))
		}
	}
}

// assembleEvents makes what tells applications of changes.
func (n *Node) assembleEvents(ctx context.Context) (err error) {
	n.webhooks, err = webhook.Open(ctx, webhook.Options{
		Store: n.store, Ring: n.ring, IDs: n.ids, Now: n.store.Now, AllowPrivate: n.cfg.Webhooks.AllowPrivate,
	})
	if err != nil {
		return err
	}
	sender := webhook.NewSender(n.cfg.Webhooks.AllowPrivate)
	n.onStop("connections to endpoints", func() error { sender.Close(); return nil })
	h := &webhook.Handler{
		Lanes:  &webhook.Lanes{Directory: n.webhooks, Workers: n.cfg.Webhooks.Workers},
		Sender: sender, Log: n.log, Metrics: n.metrics, Expire: n.core.Expire, Agent: "Dialproof-Webhooks/1",
	}
	n.events = h.Runner(n.metrics.Events, pollEvents)
	n.store.Watch(&verify.Teller{Webhooks: n.webhooks, Render: api.Render, Now: n.store.Now, Log: n.log,
		Wake: n.events.Wake})
	return nil
}

// refresh loads what other nodes and tools have changed.
func (n *Node) refresh(ctx context.Context) error {
	return errors.Join(n.directory.Refresh(ctx), n.webhooks.Refresh(ctx))
}

// OpenWebhooks opens the endpoints of a deployment's store beside its tenants; a server that runs on it sees changes
// within a second. A folder of "dialproof dev" brings its own key ring, and may have private addresses as the server
// there does.
func OpenWebhooks(ctx context.Context,
	cfg config.Config) (*webhook.Directory, *application.Directory, func() error, error) {
	r, private, err := ringOf(cfg)
	if err != nil {
		return nil, nil, nil, err
	}
	db, err := openTool(ctx, cfg)
	if err != nil {
		return nil, nil, nil, err
	}
	ids := id.NewSource(id.ID{})
	apps, err := application.Open(ctx, db, ids, db.Now)
	if err != nil {
		return nil, nil, nil, errors.Join(err, db.Close())
	}
	d, err := webhook.Open(ctx, webhook.Options{Store: db, Ring: r, IDs: ids, Now: db.Now, AllowPrivate: private})
	if err != nil {
		return nil, nil, nil, errors.Join(err, db.Close())
	}
	return d, apps, db.Close, nil
}
