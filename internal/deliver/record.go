package deliver

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/queue"
)

// How long a lease is still held when a call begins and when the last try to write its result down ends.
const (
	leaseSpare  = 5 * time.Second
	recordSpare = time.Second
	recordWait  = 2 * time.Second // between two tries, at most
)

// record runs change on the current delivery under the fence, and settles the job when change says it is done. gone
// reports that the job's row is.
func (h *Handler) record(ctx context.Context, j queue.Job,
	change func(Tx, *Parcel, *channel.Delivery) (done bool, err error)) (gone bool, err error) {
	var first *queue.Job
	err = h.insist(ctx, j, func(tx Tx) error { return h.change(tx, j, &first, &gone, change) })
	if errors.Is(err, errWritten) {
		return gone, nil
	}
	return gone && err == nil, err
}

// insist updates the parcel of a job. While the lease holds it does not give up: what a provider has taken and nobody
// has written down would be sent again, and what nobody has sent would wait for the lease to end.
func (h *Handler) insist(ctx context.Context, j queue.Job, work func(Tx) error) error {
	// What happened outside has happened: writing it down is not given up because the node is stopping.
	keep := context.WithoutCancel(ctx)
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, recordWait) {
		err := h.Store.Update(keep, j.Ref, j.ID, work)
		if err == nil || errors.Is(err, errSettled) || errors.Is(err, errWritten) || ctx.Err() != nil ||
			h.Now().Add(wait+recordSpare).After(j.Due) {
			return err
		}
		h.pause(ctx, wait)
	}
}

// errWritten says that a try was written after all, and only its answer was lost. What it set still stands.
var errWritten = errors.New("deliver: written before")

// change is one try of record. first is the job as the first try saw it: when it has changed since, that try was
// written.
func (h *Handler) change(tx Tx, j queue.Job, first **queue.Job, gone *bool,
	change func(Tx, *Parcel, *channel.Delivery) (done bool, err error)) error {
	kept, err := tx.Job(j.ID)
	switch {
	case err != nil:
		return err
	case kept == nil && *first != nil:
		return errWritten
	case kept == nil || kept.Attempt != j.Attempt:
		return errSettled
	case *first != nil && (kept.Kind != (*first).Kind || !kept.Due.Equal((*first).Due) ||
		!bytes.Equal(kept.Payload, (*first).Payload)):
		return errWritten
	}
	*first, *gone = kept, false
	p, err := tx.Parcel(j.Ref)
	if err != nil {
		return err
	}
	var d *channel.Delivery
	if p != nil {
		d = p.delivery(current(j))
	}
	if d == nil {
		tx.DropJob(j.ID)
		*gone = true
		return nil
	}
	done, err := change(tx, p, d)
	if err != nil {
		return err
	}
	d.Updated = h.now()
	if done {
		*gone = h.settle(tx, j, p, d)
	}
	tx.PutParcel(p)
	return nil
}

// renew writes a longer lease down, under the fence.
func renew(tx Tx, j queue.Job) error {
	kept, err := tx.Job(j.ID)
	if err != nil {
		return err
	}
	if kept == nil || kept.Attempt != j.Attempt {
		return errSettled
	}
	kept.Hold(j.Due)
	tx.PutJob(*kept)
	return nil
}

// doubt marks a delivery whose call ended unseen: its node died, or could not write the answer down.
func doubt(d *channel.Delivery) { d.Kind, d.Code = channel.MaybeSent, "unseen" }

// undone ends a delivery that no provider has taken. One that may have left all the same is unknown: failed is a
// promise that nothing left.
func undone(d *channel.Delivery) {
	end := channel.Failed
	if d.Kind == channel.MaybeSent {
		end = channel.Unknown
	}
	d.Status, _ = d.Status.Advance(end)
}

// settled reports whether a delivery is over although its call failed: a receipt has come, so an earlier call has brought
// the message there.
func settled(d *channel.Delivery) (over bool, err error) {
	if d.Status == channel.Queued {
		return false, errWritten
	}
	return d.Status != channel.Sending, nil
}

// later runs f when d is over.
func (h *Handler) later(d time.Duration, f func()) {
	if h.After != nil {
		h.After(d, f)
		return
	}
	time.AfterFunc(d, f)
}

// pause waits until d is over or ctx ends.
func (h *Handler) pause(ctx context.Context, d time.Duration) {
	if h.Pause != nil {
		h.Pause(ctx, d)
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
