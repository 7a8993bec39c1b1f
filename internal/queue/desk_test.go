package queue

import "testing"

// TestReadyCountsNoJobThatHasAWorker: what waits for a worker that was called already is not waiting for one. A gate
// that took it for a queue refused requests on a node whose workers were idle.
func TestReadyCountsNoJobThatHasAWorker(t *testing.T) {
	t.Parallel()
	const workers = 2
	d := newDesk(Kind[string]{Workers: workers})
	hired := 0
	d.start(func() { hired++ }) // workers that have not come yet: next is called below in their place
	ready := func(want int, after string) {
		t.Helper()
		if got := d.ready(); got != want {
			t.Errorf("%d jobs are ready after %s, want %d", got, after, want)
		}
	}
	for range workers {
		d.put(Held[string]{})
		ready(0, "a put for which a worker was hired")
	}
	d.put(Held[string]{})
	ready(1, "a put for which there was none")
	for range workers {
		d.next(true)
		ready(1, "a worker took a job")
	}
	if hired != workers {
		t.Errorf("%d workers were hired, want %d", hired, workers)
	}
	d.ended()
	ready(0, "a worker has ended and comes for the next job")
	d.next(true)
	ready(0, "all were taken")
	d.put(Held[string]{})
	ready(1, "a put while all are busy")
}
