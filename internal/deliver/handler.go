package deliver

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/queue"
)

// Handler runs the jobs that bring messages to people.
type Handler struct {
	Store    Store
	Composer Composer
	Routes   *Routes
	IDs      *id.Source
	Now      func() time.Time
	Log      *slog.Logger
	Metrics  Metrics
	// Callbacks makes and reads the addresses for receipts.
	Callbacks *Callbacks
	// Lease is how long a renewed job is this node's own.
	Lease time.Duration
	// Next is the kind of job that goes on to another channel, when a parcel has a Timer.
	Next string
	// Retry is the kind of job that a message is whose sending was put off; empty: the one that it has.
	Retry string
	// After runs a function once a time is over; nil: time.AfterFunc.
	After func(time.Duration, func())
	// Pause returns when a time is over or ctx ends; nil: by a timer.
	Pause func(context.Context, time.Duration)
	// Again has a job run that was kept back until its route had room; nil: jobs are put off in the store instead.
	Again func(queue.Job, Work)
	// Writers is how many leases are renewed at once, so that they share commits; 0: 32. With 1 nothing runs beside the
	// caller.
	Writers int

	lines lines

	reports atomic.Int64 // conversions that are being reported to providers
	late    atomic.Int64 // receipts that wait for what they are about to be written down
}

// RetryKind is the kind of the jobs of messages that were put off. They have workers of their own, so that new messages
// do not wait behind those that come again and again.
const RetryKind = "retry"

// Work is what a node knows of a job that it holds, besides its row. The zero Work knows nothing.
type Work struct {
	made *Made
	// tried are, within one round, the routes that would not have the message.
	tried []string
	// failed reports whether a provider was called in this round and did not take it.
	failed bool
	turn   *turn
	// written reports whether this attempt has written down that it is sending, and has not called anybody since.
	written bool
}

// Made is a message that this node has just written down, so that it need not be read.
type Made struct {
	Delivery channel.Delivery
	// Message is the message as it was rendered at the door; the zero message: it has to be composed.
	Message channel.Message
	// Test messages go to test routes only.
	Test bool
	// Wait is how long the message may take before another channel goes on; 0 when none does.
	Wait time.Duration
}

// Fresh returns the work of a job that was written a moment ago, whose first attempt is written down.
func Fresh(m *Made) Work { return Work{made: m, written: true} }

// errSettled says that another attempt has settled the job: there is nothing to record.
var errSettled = errors.New("deliver: settled by another attempt")

// Run sends the message of a job, over as many routes as it takes. Each attempt is written down before its
// call: the first by whoever made the job, the others here. done reports that the job is finished.
func (h *Handler) Run(ctx context.Context, j queue.Job, w Work) (done bool, err error) {
	if turn := w.turn; turn != nil {
		defer func() {
			if !turn.taken {
				h.pass(turn.route, 1)
			}
		}()
	}
	for {
		t := &try{h: h, j: j, w: w}
		end, err := t.run(ctx)
		switch {
		case errors.Is(err, errSettled):
			return false, nil
		case err != nil:
			return false, err
		case end != again:
			return end == over, nil
		}
		j, w = t.j, t.w
	}
}

// Yield gives a job back that has not begun: it is due at once, in the order of its birth. What was only written down
// as being sent is queued again, so that nobody takes it for sent.
func (h *Handler) Yield(ctx context.Context, j queue.Job, w Work) error {
	return h.Store.Update(ctx, j.Ref, j.ID, func(tx Tx) error {
		kept, err := tx.Job(j.ID)
		if err != nil || kept == nil || kept.Attempt != j.Attempt {
			return err
		}
		p, err := tx.Parcel(j.Ref)
		if err != nil {
			return err
		}
		if p != nil && w.written {
			if d := p.delivery(current(j)); d != nil && d.Status == channel.Sending {
				d.Status, d.Updated, d.Attempt = channel.Queued, h.now(), max(d.Attempt-1, 0)
				tx.PutParcel(p)
			}
		}
		kept.PutOff(j.ID.Time())
		tx.PutJob(*kept)
		return nil
	})
}

// current returns the delivery that the job is trying now.
func current(j queue.Job) id.ID {
	if len(j.Payload) == len(id.ID{}) {
		return id.ID(j.Payload)
	}
	return j.ID
}

func (h *Handler) now() time.Time { return h.Now().UTC().Truncate(time.Millisecond) }
