package deliver

import (
	"context"
	"errors"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/queue"
)

// An order of channels rides on the job of its newest message. When the message has left, the job is not dropped but
// put off, as a job of Handler.Next; when a receipt says that the message arrived, it is dropped, and when one says
// that it did not, it is due at once.

// codeSilent stands with a delivery whose call was given up because the provider did not answer.
const codeSilent = "no_answer"

// errSilent is why a call was given up.
var errSilent = errors.New("deliver: the provider does not answer")

// patience returns how long the call may take before another channel goes on; 0 when none does.
func (t *try) patience() time.Duration {
	switch {
	case t.parcel == nil && t.w.made != nil:
		return t.w.made.Wait
	case t.parcel != nil && t.parcel.Timer == t.j.ID:
		return t.parcel.Wait
	}
	return 0
}

// settle ends a job whose message has come to an end as far as sending goes: it is dropped, or put off until the order
// goes on. gone reports that it was dropped.
func (h *Handler) settle(tx Tx, j queue.Job, p *Parcel, d *channel.Delivery) (gone bool) {
	now := h.now()
	if p.Timer != j.ID || !p.Open || !now.Before(p.Expires) || arrived(p) {
		if p.Timer == j.ID {
			p.Timer = [16]byte{}
		}
		tx.DropJob(j.ID)
		return true
	}
	due := j.ID.Time().Add(p.Wait)
	if now.After(due) || hopeless(d) {
		due = now
	}
	j.Kind, j.Payload = h.Next, nil
	j.PutOff(due)
	tx.PutJob(j)
	return false
}

// hopeless reports whether nothing is to be hoped for from a delivery, so that the order goes on at once.
func hopeless(d *channel.Delivery) bool {
	return d.Status == channel.Failed || d.Status == channel.Undelivered ||
		(d.Status == channel.Unknown && (d.Code == codeSilent || d.Kind == channel.Rejected))
}

// arrived reports whether any message of a parcel has.
func arrived(p *Parcel) bool {
	for i := range p.Deliveries {
		if p.Deliveries[i].Status == channel.Delivered {
			return true
		}
	}
	return false
}

// follow lets the order follow a receipt of the i-th delivery: any message that arrives ends it, and the newest one
// that does not moves it on.
func (h *Handler) follow(tx Tx, p *Parcel, i int) error {
	if p.Timer.IsZero() {
		return nil
	}
	kept, err := tx.Job(p.Timer)
	if err != nil {
		return err
	}
	// A job that is still sending looks at the parcel itself when it has sent.
	waiting := kept != nil && kept.Kind == h.Next
	switch {
	case arrived(p):
		if waiting {
			tx.DropJob(kept.ID)
		}
		p.Timer = [16]byte{}
	case waiting && i == len(p.Deliveries)-1 && hopeless(&p.Deliveries[i]):
		kept.PutOff(h.now())
		tx.PutJob(*kept)
	}
	return nil
}

// hangs is how long the calls of a route that does not answer may take before it counts as hanging. A route that is
// known to be slower has three times as long as it takes on average.
const hangs = time.Second

// impatient returns a context that ends when the call has used up its wait, or when it hangs on a route that answers
// nobody.
func (h *Health) impatient(ctx context.Context, wait time.Duration) (_ context.Context, release func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	last := time.AfterFunc(wait, func() { cancel(errSilent) })
	stop := func() bool { return true }
	if h != nil {
		stop = h.whenSilent(func() { cancel(errSilent) })
	}
	return ctx, func() { last.Stop(); stop(); cancel(nil) }
}

// whenSilent calls f once the route has been found silent while a call that begins now is not answered: it has been
// unwell, or has answered nobody at all in that time. One call alone is enough.
func (h *Health) whenSilent(f func()) (stop func() bool) {
	h.mu.Lock()
	patience, began := h.slowest(), h.now()
	h.mu.Unlock()
	var timer *time.Timer
	armed := make(chan struct{})
	timer = time.AfterFunc(patience, func() {
		<-armed
		if h.unheard(began) || h.Unwell() != "" {
			f()
			return
		}
		timer.Reset(patience / 4)
	})
	close(armed)
	return timer.Stop
}
