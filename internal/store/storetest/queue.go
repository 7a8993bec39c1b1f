package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/deliver"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/queue"
	"github.com/dialproof/dialproof/internal/store"
	"github.com/dialproof/dialproof/internal/verify"
)

func queueTests() map[string]func(*testing.T, Open) {
	return map[string]func(*testing.T, Open){
		"a lease is held from birth":         leaseFromBirth,
		"a job is claimed by one":            claimedOnce,
		"leases are given back":              givenBack,
		"ids of providers are kept":          sentIsKept,
		"what is personal is forgotten":      forgotten,
		"what is over is purged":             purged,
		"work that fails leaves no trace":    failedWork,
		"work that panics hurts only itself": panickedWork,
	}
}

func leaseFromBirth(t *testing.T, open Open) {
	b := newBench(t, open)
	b.start(t, verify.StartRequest{To: drama(100)})
	b.clock.Advance(30*time.Second - time.Millisecond)
	if jobs, err := b.store.Claim(t.Context(), b.clock.Now(), verify.JobKind, 10, time.Minute); err != nil ||
		len(jobs) != 0 {
		t.Errorf("claimed %d while the maker holds the lease, %v", len(jobs), err)
	}
	b.clock.Advance(time.Millisecond)
	jobs, err := b.store.Claim(t.Context(), b.clock.Now(), verify.JobKind, 10, time.Minute)
	if err != nil || len(jobs) != 1 || jobs[0].Attempt != 2 {
		t.Fatalf("claimed %v, %v", jobs, err)
	}
	depth, err := b.store.Depth(t.Context(), b.clock.Now().Add(61*time.Second))
	if err != nil || depth.Open != 1 || depth.Overdue != time.Second || depth.Oldest[verify.JobKind] != 91*time.Second {
		t.Errorf("depth %+v, %v", depth, err)
	}
}

func claimedOnce(t *testing.T, open Open) {
	b := newBench(t, open)
	const n = 40
	for i := range n {
		b.start(t, verify.StartRequest{To: drama(100 + i)})
	}
	b.clock.Advance(time.Minute)
	var got tally
	together(8, func(int) {
		for {
			jobs, err := b.store.Claim(t.Context(), b.clock.Now(), verify.JobKind, 3, time.Minute)
			if err != nil {
				t.Error(err)
			}
			if len(jobs) == 0 {
				return
			}
			for _, j := range jobs {
				got.add(j.ID.Text(""))
			}
		}
	})
	if len(got.n) != n {
		t.Errorf("%d jobs were claimed, want %d", len(got.n), n)
	}
	for j, times := range got.n {
		if times != 1 {
			t.Errorf("job %s was claimed %d times", j, times)
		}
	}
}

func givenBack(t *testing.T, open Open) {
	b := newBench(t, open)
	b.start(t, verify.StartRequest{To: drama(100)})
	b.clock.Advance(time.Minute)
	jobs, _ := b.store.Claim(t.Context(), b.clock.Now(), verify.JobKind, 1, time.Minute)
	stale := jobs[0]
	stale.Attempt--
	if err := b.store.Return(t.Context(), b.clock.Now(), []queue.Job{stale}); err != nil {
		t.Fatal(err)
	}
	if again, _ := b.store.Claim(t.Context(), b.clock.Now(), verify.JobKind, 1, time.Minute); len(again) != 0 {
		t.Error("an older attempt gave the lease back")
	}
	if err := b.store.Return(t.Context(), b.clock.Now(), jobs); err != nil {
		t.Fatal(err)
	}
	if again, _ := b.store.Claim(t.Context(), b.clock.Now(), verify.JobKind, 1, time.Minute); len(again) != 1 ||
		again[0].Attempt != 3 {
		t.Errorf("after the return: %v", again)
	}
}

func sentIsKept(t *testing.T, open Open) {
	b := newBench(t, open)
	v := b.start(t, verify.StartRequest{To: drama(100)})
	key := [16]byte{7}
	for _, until := range []time.Duration{time.Minute, time.Hour} {
		want := deliver.Sent{Ref: v.ID, Delivery: v.Deliveries[0].ID, Until: b.clock.Now().Add(until)}
		err := b.store.Update(t.Context(), v.ID, id.ID{}, func(tx deliver.Tx) error { tx.PutSent(key, want); return nil })
		if err != nil {
			t.Fatal(err)
		}
		if got, ok, err := b.store.FindSent(t.Context(), key); err != nil || !ok || got != want {
			t.Errorf("kept %+v, %t, %v, want %+v", got, ok, err, want)
		}
	}
	if _, ok, err := b.store.FindSent(t.Context(), [16]byte{8}); ok || err != nil {
		t.Errorf("an unknown id: %t, %v", ok, err)
	}
}

func forgotten(t *testing.T, open Open) {
	b := newBench(t, open)
	var old []*verify.Verification
	for i := range 450 { // more than one step
		old = append(old, b.start(t, verify.StartRequest{To: drama(100 + i), Metadata: map[string]string{"user": "7"}}))
	}
	b.clock.Advance(time.Second)
	young := b.start(t, verify.StartRequest{To: drama(99), Metadata: map[string]string{"user": "8"}})
	b.clock.Advance(30 * 24 * time.Hour) // at its very end
	last, n, err := b.store.Forget(t.Context(), id.ID{}, b.clock.Now().Add(-30*24*time.Hour))
	if err != nil || n != len(old) || last != old[len(old)-1].ID {
		t.Fatalf("forgot %d up to %s, %v, want %d", n, last.Text(id.Verification), err, len(old))
	}
	if _, again, err := b.store.Forget(t.Context(), last, b.clock.Now().Add(-30*24*time.Hour)); err != nil || again != 0 {
		t.Errorf("forgot %d again, %v", again, err)
	}
	kept, err := b.store.Find(t.Context(), old[7].ID)
	if err != nil || kept.Spec.Country != "GB" || kept.Spec.Prefix == "" || len(kept.Deliveries) != 1 {
		t.Errorf("what should stay: %+v, %v", kept, err)
	}
	if len(kept.Sealed) > 0 || kept.Spec.Masked != "" || kept.Spec.Metadata != nil ||
		kept.Spec.Number != (verify.NumberKey{}) {
		t.Errorf("what should go: %+v", kept)
	}
	if kept, err := b.store.Find(t.Context(), young.ID); err != nil || len(kept.Sealed) == 0 ||
		kept.Spec.Metadata["user"] != "8" {
		t.Errorf("the young one: %+v, %v", kept, err)
	}
}

func purged(t *testing.T, open Open) {
	b := newBench(t, open)
	v := b.start(t, verify.StartRequest{To: drama(100)})
	late := deliver.Sent{Ref: v.ID, Delivery: v.Deliveries[0].ID, Until: b.clock.Now().Add(48 * time.Hour)}
	err := b.store.Update(t.Context(), v.ID, id.ID{}, func(tx deliver.Tx) error {
		early := late
		early.Until = b.clock.Now().Add(time.Hour)
		tx.PutSent([16]byte{1}, early)
		tx.PutSent([16]byte{2}, late)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	b.clock.Advance(24 * time.Hour)
	fresh := b.start(t, verify.StartRequest{To: drama(101)})
	if n, err := b.store.Purge(t.Context(), store.PurgeSent, b.clock.Now()); err != nil || n != 1 {
		t.Errorf("purged %d ids, %v, want the early one", n, err)
	}
	// A number goes when all of the day of its newest verification is past, and no earlier.
	midnight := b.clock.Now().Truncate(24 * time.Hour)
	for _, step := range []struct {
		before time.Time
		want   int
	}{{b.clock.Now().Add(-24 * time.Hour), 0}, {midnight.Add(-time.Millisecond), 0}, {midnight, 1}, {b.clock.Now(), 0}} {
		if n, err := b.store.Purge(t.Context(), store.PurgeNumbers, step.before); err != nil || n != step.want {
			t.Errorf("purged %d numbers before %s, %v, want %d", n, step.before, err, step.want)
		}
	}
	if _, ok, _ := b.store.FindSent(t.Context(), [16]byte{1}); ok {
		t.Error("the early id is still there")
	}
	if _, ok, _ := b.store.FindSent(t.Context(), [16]byte{2}); !ok {
		t.Error("the late id is gone")
	}
	if n, err := b.store.NumberRow(t.Context(), v.Spec.Number); err != nil || n != nil {
		t.Errorf("the old number is still there: %v, %v", n, err)
	}
	if n, err := b.store.NumberRow(t.Context(), fresh.Spec.Number); err != nil || n == nil {
		t.Errorf("the fresh number is gone: %v", err)
	}
}

func failedWork(t *testing.T, open Open) {
	b := newBench(t, open)
	v := b.start(t, verify.StartRequest{To: drama(100)})
	job := b.jobs[0]
	broken := errors.New("broken")
	err := b.store.Update(t.Context(), v.ID, id.ID{}, func(tx deliver.Tx) error {
		p, err := tx.Parcel(v.ID)
		if err != nil {
			return err
		}
		p.Deliveries[0].Status = channel.Failed
		tx.PutParcel(p)
		tx.DropJob(job.ID)
		return broken
	})
	if !errors.Is(err, broken) {
		t.Errorf("the answer is %v", err)
	}
	kept, _ := b.store.Find(t.Context(), v.ID)
	if kept.Deliveries[0].Status != channel.Sending {
		t.Error("work that failed was written")
	}
	if d, _ := b.store.Depth(t.Context(), b.clock.Now()); d.Open != 1 {
		t.Error("work that failed dropped the job")
	}
}

func panickedWork(t *testing.T, open Open) {
	b := newBench(t, open)
	v := b.start(t, verify.StartRequest{To: drama(100)})
	var got tally
	together(20, func(i int) {
		err := b.store.Update(t.Context(), v.ID, id.ID{}, func(deliver.Tx) error {
			if i%2 == 0 {
				panic("planted")
			}
			return nil
		})
		if err != nil {
			got.add("error")
		} else {
			got.add("ok")
		}
	})
	got.want(t, map[string]int{"error": 10, "ok": 10})
}

func tenantTests() map[string]func(*testing.T, Open) {
	return map[string]func(*testing.T, Open){
		"applications and keys": appsAndKeys,
		"keys of other nodes":   otherNodes,
	}
}

func directory(t *testing.T, s Store, c *clock) *application.Directory {
	t.Helper()
	d, err := application.Open(t.Context(), s, id.NewSource(id.ID{}), c.Now)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func appsAndKeys(t *testing.T, open Open) {
	c := newClock()
	d := directory(t, open(t), c)
	app, err := d.Create(t.Context(), application.Application{Name: "shop", Brand: "Shop"})
	if err != nil {
		t.Fatal(err)
	}
	k, token, err := d.CreateKey(t.Context(), application.NewKey{
		App:     app.ID,
		Name:    "backend",
		Mode:    application.Live,
		Scopes:  []application.Scope{application.Verify},
		Expires: c.Now().Add(time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	caller, err := d.Authenticate(token)
	if err != nil || caller.App.ID != app.ID || !caller.May(application.Verify) || caller.May(application.Read) {
		t.Errorf("%+v, %v", caller, err)
	}
	if _, err := d.Authenticate(wrong(token)); !errors.Is(err, application.ErrKey) {
		t.Errorf("a wrong token: %v", err)
	}
	if err := d.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.Advance(time.Hour)
	if _, err := d.Authenticate(token); !errors.Is(err, application.ErrKeyExpired) {
		t.Errorf("after its time: %v", err)
	}
	if _, err := d.Revoke(t.Context(), k.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Authenticate(token); !errors.Is(err, application.ErrKey) {
		t.Errorf("revoked: %v", err)
	}
	if kept := d.Keys(app.ID); len(kept) != 1 || kept[0].Revoked.IsZero() || kept[0].LastUsed.IsZero() {
		t.Errorf("the list shows %+v", kept)
	}
}

func otherNodes(t *testing.T, open Open) {
	c, s := newClock(), open(t)
	here, there := directory(t, s, c), directory(t, s, c)
	app, err := here.Create(t.Context(), application.Application{Name: "shop", Brand: "Shop"})
	if err != nil {
		t.Fatal(err)
	}
	k, token, err := here.CreateKey(t.Context(),
		application.NewKey{App: app.ID, Name: "k", Mode: application.Test, Scopes: []application.Scope{application.Read}})
	if err != nil {
		t.Fatal(err)
	}
	if err := there.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := there.Authenticate(token); err != nil {
		t.Errorf("the other node does not know the key: %v", err)
	}
	if _, err := here.Revoke(t.Context(), k.ID); err != nil {
		t.Fatal(err)
	}
	if err := there.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := there.Authenticate(token); !errors.Is(err, application.ErrKey) {
		t.Errorf("the other node still takes the revoked key: %v", err)
	}
}
