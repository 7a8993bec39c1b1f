package delivertest

import (
	"context"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/deliver"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/keyring"
	"github.com/dialproof/dialproof/internal/phone"
	"github.com/dialproof/dialproof/internal/queue"
)

// The routes of a trial: the one on trial, and one that takes everything.
const (
	First  = "first"
	Second = "second"
)

// Trial is one message under the real handler, over a sender on trial and, where it does not take the message, over one
// that does.
type Trial struct {
	*deliver.Handler
	Shelf *Shelf
	// Ref names the parcel and Job is the job of its message, whose first attempt is written down.
	Ref   id.ID
	Job   queue.Job
	Other *Taker
}

// Taker is a sender that takes everything and counts.
type Taker struct {
	kind  channel.Kind
	calls atomic.Int64
}

// Channels implements channel.Sender.
func (t *Taker) Channels() []channel.Kind { return []channel.Kind{t.kind} }

// Send implements channel.Sender.
func (t *Taker) Send(context.Context, channel.Message) (channel.Accepted, error) {
	t.calls.Add(1)
	return channel.Accepted{ID: "taken"}, nil
}

// Calls returns how many messages it took.
func (t *Taker) Calls() int { return int(t.calls.Load()) }

// New returns a trial of a sender with a message. Calls may take as long as timeout; alone leaves the other sender out.
func New(s channel.Sender, m channel.Message, timeout time.Duration, alone bool) (*Trial, error) {
	ring, err := keyring.New([]keyring.Key{{ID: 1, Secret: keyring.NewSecret()}})
	if err != nil {
		return nil, err
	}
	t := &Trial{Shelf: NewShelf(), Other: &Taker{kind: m.Channel}}
	now := m.ExpiresAt.Add(-5 * time.Minute)
	ids := id.NewSource(id.ID{})
	routes := []*deliver.Route{{Name: First, Provider: "trial", Sender: s, Timeout: timeout,
		Slots: make(chan struct{}, 4)}}
	if !alone {
		routes = append(routes, &deliver.Route{
			Name:     Second,
			Provider: "taker",
			Sender:   t.Other,
			Priority: 1,
			Timeout:  timeout,
			Slots:    make(chan struct{}, 4),
		})
	}
	t.Handler = &deliver.Handler{
		Store: t.Shelf, Composer: one{m}, Routes: deliver.NewRoutes(routes), IDs: ids, Now: func() time.Time { return now },
		Log: slog.New(slog.DiscardHandler), Metrics: uncounted{}, Lease: 30 * time.Second,
		Callbacks: &deliver.Callbacks{Ring: ring, PublicURL: "https://verify.example.com"},
	}
	t.Ref = ids.New(now)
	d := channel.Delivery{
		ID:      ids.New(now),
		Channel: m.Channel,
		Route:   First,
		Status:  channel.Sending,
		Attempt: 1,
		Created: now,
		Updated: now,
	}
	t.Job = queue.Job{ID: d.ID, Kind: "deliver", Ref: t.Ref, Attempt: 1, Due: now.Add(30 * time.Second), Leased: true}
	t.Shelf.Parcels[t.Ref] = deliver.Parcel{
		Ref:        t.Ref,
		Open:       true,
		Expires:    m.ExpiresAt,
		Country:    m.To.Country(),
		Deliveries: []channel.Delivery{d},
	}
	t.Shelf.Jobs[t.Job.ID] = t.Job
	return t, nil
}

// Send runs the job once, as the node that made it does.
func (t *Trial) Send(ctx context.Context) error {
	_, err := t.Run(ctx, t.Job, deliver.Work{})
	return err
}

// Receipt takes a provider's request for the first delivery and answers the HTTP status.
func (t *Trial) Receipt(ctx context.Context, r channel.Callback) int {
	status, _, _ := t.Callback(ctx, First, t.Callbacks.Token(First, t.Ref, t.Job.ID), r)
	return status
}

// Deliveries returns the record.
func (t *Trial) Deliveries() []channel.Delivery {
	t.Shelf.Lock()
	defer t.Shelf.Unlock()
	return slices.Clone(t.Shelf.Parcels[t.Ref].Deliveries)
}

// Waits returns how long the job waits to be tried again; ok is false when it has ended.
func (t *Trial) Waits() (wait time.Duration, ok bool) {
	t.Shelf.Lock()
	defer t.Shelf.Unlock()
	j, ok := t.Shelf.Jobs[t.Job.ID]
	return j.Due.Sub(t.Now()), ok
}

// one composes one message.
type one struct{ m channel.Message }

// Compose implements deliver.Composer.
func (o one) Compose(context.Context, id.ID, channel.Delivery) (deliver.Composed, error) {
	return deliver.Composed{Message: o.m, Open: true}, nil
}

// Number implements deliver.Composer.
func (o one) Number(context.Context, id.ID) (phone.Number, error) { return o.m.To, nil }

type uncounted struct{}

func (uncounted) Delivery(string, channel.Kind, channel.Status) {}
func (uncounted) Accepted(string, channel.Kind, time.Duration)  {}
func (uncounted) Failed(string, channel.ErrorKind)              {}
