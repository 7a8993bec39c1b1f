package webhook

import (
	"context"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/dialproof/dialproof/internal/id"
)

// News is what an event tells.
type News struct {
	Kind Kind
	// Ref is what it is about, and Sequence grows with each event about that; 0 for none.
	Ref      id.ID
	Sequence int
	// Delivery is the id of the delivery that has changed; empty for other kinds.
	Delivery string
	// Data is a JSON object.
	Data []byte
}

// body is what is sent.
type body struct {
	Type      Kind           `json:"type"`
	Timestamp time.Time      `json:"timestamp"`
	Sequence  int            `json:"sequence,omitzero"`
	Delivery  string         `json:"delivery,omitzero"`
	Data      jsontext.Value `json:"data"`
}

// Write returns the rows that bring news to those of an audience that want it. Their making is part of whatever
// transaction makes the news.
func (d *Directory) Write(to []*Endpoint, n News) ([]Event, error) {
	now := d.Now().UTC().Truncate(time.Millisecond)
	var out []Event
	var event id.ID
	var sealed []byte
	for _, e := range to {
		if !e.Wants(n.Kind) {
			continue
		}
		if sealed == nil {
			text, err := json.Marshal(body{n.Kind, now, n.Sequence, n.Delivery, n.Data})
			if err != nil {
				return nil, err
			}
			if len(text) >= MaxBody {
				return nil, fmt.Errorf("webhook: an event of %d bytes is too large", len(text))
			}
			event = d.IDs.New(now)
			sealed = d.Ring.Seal(text, event[:])
		}
		out = append(out,
			Event{ID: d.IDs.New(now), Event: event, Endpoint: e.ID, Ref: n.Ref, Kind: n.Kind, Sealed: sealed, Due: now})
	}
	return out, nil
}

// Deadline returns the row that comes due when what ref names ends by itself.
func (d *Directory) Deadline(ref id.ID, at time.Time) Event {
	return Event{ID: d.IDs.New(d.Now()), Ref: ref, Kind: deadline, Due: at}
}

// Ping sends a test.ping to an endpoint and answers it.
func (d *Directory) Ping(ctx context.Context, endpoint id.ID) (Event, error) {
	e, err := d.enabled(endpoint)
	if err != nil {
		return Event{}, err
	}
	data, err := json.Marshal(map[string]string{"webhook": e.ID.Text(id.Webhook),
		"application": e.App.Text(id.Application)}, json.Deterministic(true))
	if err != nil {
		return Event{}, err
	}
	rows, err := d.Write([]*Endpoint{&e}, News{Kind: Ping, Data: data})
	if err != nil {
		return Event{}, err
	}
	return rows[0], d.Store.AddEvents(ctx, rows)
}

func (d *Directory) enabled(endpoint id.ID) (Endpoint, error) {
	e, err := d.Endpoint(endpoint)
	if err == nil && !e.Enabled() {
		err = ErrDisabled
	}
	return e, err
}

// Replay sends the dead events of an endpoint again that were made at or after since; with event, that one alone, even
// if it was delivered. It answers how many; the schedule starts over for each.
func (d *Directory) Replay(ctx context.Context, endpoint, event id.ID, since time.Time) (int, error) {
	if _, err := d.enabled(endpoint); err != nil {
		return 0, err
	}
	n, err := d.Store.Replay(ctx, endpoint, event, since, d.Now())
	if err == nil && n == 0 && !event.IsZero() {
		return 0, ErrNotFound
	}
	return n, err
}

// Events returns events of an endpoint, newest first.
func (d *Directory) Events(ctx context.Context, endpoint id.ID, p Page) ([]Event, error) {
	if _, err := d.Endpoint(endpoint); err != nil {
		return nil, err
	}
	return d.Store.Events(ctx, endpoint, p)
}

// Bodies of events are opened with the key ring at the moment of sending.
func (d *Directory) open(e *Event) ([]byte, error) { return d.Ring.Open(e.Sealed, e.Event[:]) }
