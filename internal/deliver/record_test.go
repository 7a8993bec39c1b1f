package deliver_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/deliver"
	"github.com/dialproof/dialproof/internal/deliver/delivertest"
	"github.com/dialproof/dialproof/internal/id"
)

// flaky fails some of its updates: before they do anything, or after all is done.
type flaky struct {
	*delivertest.Shelf
	before, after int
	armed         bool // once the carrier has been called
}

func (f *flaky) Update(ctx context.Context, ref, job id.ID, work func(deliver.Tx) error) error {
	if f.armed && f.before > 0 {
		f.before--
		return errors.New("planted")
	}
	err := f.Shelf.Update(ctx, ref, job, work)
	if err == nil && f.armed && f.after > 0 {
		f.after--
		return errors.New("planted")
	}
	return err
}

func flakyBench(t *testing.T, before, after int) *bench {
	t.Helper()
	b := newBench(t)
	b.Pause = func(_ context.Context, d time.Duration) { b.now = b.now.Add(d) }
	f := &flaky{Shelf: b.shelf, before: before, after: after}
	b.Store = f
	b.carriers["a"].during = func() { f.armed = true }
	return b
}

// TestAnAnswerIsWrittenDownInTheEnd: while the lease holds, a store that comes and goes costs no second message.
func TestAnAnswerIsWrittenDownInTheEnd(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name          string
		before, after int
		script        []error
		want          []string
	}{
		{"taken, away before", 5, 0, nil, []string{"a accepted"}},
		{"taken, away after", 0, 1, nil, []string{"a accepted"}},
		{"moved on, away before", 3, 0, []error{fault(channel.Unavailable)}, []string{"a failed", "b accepted"}},
		{"moved on, away after", 0, 1, []error{fault(channel.Unavailable)}, []string{"a failed", "b accepted"}},
		{"rejected, away after", 0, 1, []error{fault(channel.Rejected)}, []string{"a failed"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := flakyBench(t, c.before, c.after)
			b.carriers["a"].script = c.script
			if _, err := b.Run(t.Context(), b.job, deliver.Work{}); err != nil {
				t.Fatal(err)
			}
			if got := b.deliveries(); !slices.Equal(got, c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
			if len(b.carriers["a"].calls) != 1 || len(b.shelf.Jobs) != 0 {
				t.Errorf("%d calls, %d jobs left", len(b.carriers["a"].calls), len(b.shelf.Jobs))
			}
		})
	}
}

// TestAPanicMayHaveSent: code of a provider that panics is not run again for the same message.
func TestAPanicMayHaveSent(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.carriers["a"].during = func() { panic("planted") }
	if _, err := b.Run(t.Context(), b.job, deliver.Work{}); err != nil {
		t.Fatal(err)
	}
	if got := b.deliveries(); !slices.Equal(got, []string{"a unknown"}) || len(b.shelf.Jobs) != 0 {
		t.Errorf("%v, %d jobs", got, len(b.shelf.Jobs))
	}
}

// claimed raises the attempt of the job, as a node that claims it does.
func (b *bench) claimed() {
	b.job.Attempt++
	b.job.Due = b.now.Add(30 * time.Second)
	b.shelf.Jobs[b.job.ID] = b.job
}

// TestFailedIsAPromise: what may have left is never called failed, whatever comes after.
func TestFailedIsAPromise(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		script []error
		closed bool
		want   []string
	}{
		{"nothing to send for", nil, true, []string{"a unknown"}},
		{"the next route", []error{fault(channel.Unavailable)}, false, []string{"b accepted"}},
		{"rejected", []error{fault(channel.Rejected)}, false, []string{"a unknown"}},
		{"taken", nil, false, []string{"a accepted"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.carriers["a"].script = c.script
			if c.closed {
				b.Composer = always{closed: true}
			}
			b.claimed() // the node that wrote it down has died, and nobody knows whether it had called
			if _, err := b.Run(t.Context(), b.job, deliver.Work{}); err != nil {
				t.Fatal(err)
			}
			if got := b.deliveries(); !slices.Equal(got, c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

// TestAReceiptEndsTheSearch: a receipt that comes during a call that fails says that an earlier one had brought the
// message there. It goes over no other route, and the record is not taken back.
func TestAReceiptEndsTheSearch(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.claimed()
	b.carriers["a"].script = []error{fault(channel.Unavailable)}
	b.carriers["a"].during = func() {
		if code := b.receipt(channel.Delivered, nil); code != http.StatusNoContent {
			t.Errorf("the receipt was answered %d", code)
		}
	}
	if _, err := b.Run(t.Context(), b.job, deliver.Work{}); err != nil {
		t.Fatal(err)
	}
	if got := b.deliveries(); !slices.Equal(got, []string{"a delivered"}) || len(b.shelf.Jobs) != 0 {
		t.Errorf("%v, %d jobs", got, len(b.shelf.Jobs))
	}
}

// TestTheLeaseOutlastsTheCall: a call that could outlast its lease makes the lease longer first.
func TestTheLeaseOutlastsTheCall(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.now = b.now.Add(27 * time.Second) // it waited for a worker
	held := false
	b.carriers["a"].during = func() {
		b.shelf.Lock()
		defer b.shelf.Unlock()
		held = b.shelf.Jobs[b.job.ID].Due.Sub(b.now) > time.Second // the route's time-out
	}
	if _, err := b.Run(t.Context(), b.job, deliver.Work{}); err != nil || !held {
		t.Errorf("the lease ends during the call: %v", err)
	}
}
