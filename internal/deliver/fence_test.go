package deliver_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/deliver"
	"github.com/dialproof/dialproof/internal/id"
)

// overtake lets another node claim the job of a bench.
func (b *bench) overtake() {
	b.shelf.Lock()
	defer b.shelf.Unlock()
	j := b.shelf.Jobs[b.job.ID]
	j.Attempt++
	j.Hold(b.now.Add(30 * time.Second))
	b.shelf.Jobs[j.ID] = j
}

// overtaken is a composer during whose work another node claims the job.
type overtaken struct {
	always
	bench *bench
}

func (o overtaken) Compose(ctx context.Context, ref id.ID, d channel.Delivery) (deliver.Composed, error) {
	o.bench.overtake()
	return o.always.Compose(ctx, ref, d)
}

// TestAnOlderAttemptRecordsNothing: another node claims the job during the call. What the older attempt has to say of
// it is not written down, whatever it is, and the job stays with the newer attempt.
func TestAnOlderAttemptRecordsNothing(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]error{
		"taken": nil, "rejected": fault(channel.Rejected), "unavailable": fault(channel.Unavailable),
		"lost": fault(channel.MaybeSent),
	} {
		b := newBench(t)
		b.carriers["a"].script = []error{answer}
		b.carriers["a"].during = b.overtake
		if done, err := b.Run(t.Context(), b.job, deliver.Work{}); done || err != nil {
			t.Errorf("%s: done %t, %v", name, done, err)
		}
		if got := b.deliveries(); !slices.Equal(got, []string{"a sending"}) || b.shelf.Jobs[b.job.ID].Attempt != 2 {
			t.Errorf("%s: %v, the job is %+v", name, got, b.shelf.Jobs[b.job.ID])
		}
	}
}

// TestAnOlderAttemptRenewsNothing: another node claims the job before a call for which the lease must be longer. No
// call is made, and the lease of the newer attempt stays as it is.
func TestAnOlderAttemptRenewsNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.now = b.now.Add(27 * time.Second)
	b.Composer = overtaken{always: b.Composer.(always), bench: b}
	if done, err := b.Run(t.Context(), b.job, deliver.Work{}); done || err != nil {
		t.Errorf("done %t, %v", done, err)
	}
	if j := b.shelf.Jobs[b.job.ID]; len(b.carriers["a"].calls) != 0 || j.Attempt != 2 ||
		!j.Due.Equal(b.now.Add(30*time.Second)) {
		t.Errorf("%d calls, the job is %+v", len(b.carriers["a"].calls), j)
	}
}
