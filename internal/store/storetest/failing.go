package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/deliver"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/queue"
	"github.com/dialproof/dialproof/internal/store"
	"github.com/dialproof/dialproof/internal/verify"
	"github.com/dialproof/dialproof/internal/webhook"
)

// FailingStore is a store whose commits can be made to fail.
type FailingStore interface {
	EventStore
	Turns
}

// OpenFailing returns a fresh, empty store that is closed when the test ends. Every commit of it fails, with nothing
// done, from a call of fail(true) to one of fail(false).
type OpenFailing func(t *testing.T) (s FailingStore, fail func(yes bool))

// failing is a bench whose commits can be made to fail, and what it has acknowledged.
type failing struct {
	*listening
	store   FailingStore
	fail    func(yes bool)
	started []*verify.Verification
	number  int
}

// failedKind is one kind of work: prepare makes what it works on and returns the work, and what holds that it has left
// no trace.
type failedKind func(t *testing.T, f *failing) (work func() error, untouched func())

func failedKinds() map[string]failedKind {
	return map[string]failedKind{
		"start":            failedStart,
		"check":            failedCheck,
		"claim":            failedClaim,
		"return":           failedReturn,
		"renewal":          failedRenewal,
		"record":           failedRecord,
		"put off":          failedPutOff,
		"forget":           failedForget,
		"purge of numbers": failedPurge(store.PurgeNumbers),
		"purge of limits":  failedPurge(store.PurgeLimits),
		"purge of replays": failedPurge(store.PurgeReplays),
		"purge of ids":     failedPurge(store.PurgeSent),
		"event":            failedEvent,
		"claim of events":  failedEventClaim,
		"end of an event":  failedEventEnd,
		"purge of events":  failedEventPurge,
		"use of a key":     failedTouch,
		"turn":             failedTurn,
		"mark":             failedMark,
		"application":      failedApplication,
	}
}

// RunFailedCommits fails the commit of every kind of work, each followed by a start: nothing that was acknowledged is
// lost, what has failed has left no trace and works when it is asked for again, and every job is claimed.
func RunFailedCommits(t *testing.T, open OpenFailing) {
	for name, kind := range failedKinds() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFailing(t, open)
			work, untouched := kind(t, f)
			f.fail(true)
			for range 2 {
				if err := work(); outcome(err) != string(verify.CodeUnavailable) {
					t.Errorf("work whose commit fails is answered %v", err)
				}
			}
			f.fail(false)
			f.begin(t)
			untouched()
			if err := work(); err != nil {
				t.Errorf("asked for again: %v", err)
			}
			f.begin(t)
			f.judge(t)
		})
	}
}

func newFailing(t *testing.T, open OpenFailing) *failing {
	t.Helper()
	f := &failing{number: 100}
	f.listening = newListening(t, func(t *testing.T) EventStore { t.Helper(); f.store, f.fail = open(t); return f.store })
	for range 3 {
		f.begin(t)
	}
	return f
}

// begin starts a verification of a new number.
func (f *failing) begin(t *testing.T) {
	t.Helper()
	f.number++
	f.started = append(f.started, f.start(t, verify.StartRequest{To: drama(f.number)}))
}

// claim returns the first n jobs, claimed when their first leases have ended.
func (f *failing) claim(t *testing.T, n int) []queue.Job {
	t.Helper()
	f.clock.Advance(time.Minute)
	jobs, err := f.store.Claim(t.Context(), f.clock.Now(), verify.JobKind, n, time.Minute)
	if err != nil || len(jobs) != n {
		t.Fatalf("claimed %d jobs, want %d, %v", len(jobs), n, err)
	}
	return jobs
}

// judge holds that what was acknowledged is there, and that each message that has not been sent has a job which is
// claimed, and no other has one.
func (f *failing) judge(t *testing.T) {
	t.Helper()
	unsent := map[id.ID]bool{}
	for _, v := range f.started {
		found, err := f.store.Find(t.Context(), v.ID)
		if err != nil || found == nil {
			t.Fatalf("an acknowledged start is lost: %v", err)
		}
		if d := found.Deliveries[0]; d.Status == channel.Sending || d.Status == channel.Queued {
			unsent[d.ID] = true
		}
	}
	jobs, err := f.store.Claim(t.Context(), f.clock.Now().Add(24*time.Hour), verify.JobKind, 100, time.Minute)
	if err != nil || len(jobs) != len(unsent) {
		t.Errorf("%d jobs are claimed for %d messages that have not been sent, %v", len(jobs), len(unsent), err)
	}
	for _, j := range jobs {
		if !unsent[j.ID] {
			t.Errorf("a job of no message was claimed: %+v", j)
		}
		delete(unsent, j.ID)
	}
	if len(unsent) > 0 {
		t.Errorf("%d messages have no job", len(unsent))
	}
}

func failedStart(t *testing.T, f *failing) (func() error, func()) {
	f.number++
	to := drama(f.number)
	jobs := f.depth(t)
	return func() error {
			v, err := f.Start(t.Context(), f.live, verify.StartRequest{To: to})
			if err == nil {
				f.started = append(f.started, v)
			}
			return err
		}, func() {
			if n := f.depth(t); n != jobs+1 { // of the start that has succeeded since
				t.Errorf("%d jobs, want %d", n, jobs+1)
			}
		}
}

func (f *failing) depth(t *testing.T) int {
	t.Helper()
	d, err := f.store.Depth(t.Context(), f.clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	return d.Open
}

func failedCheck(t *testing.T, f *failing) (func() error, func()) {
	v := f.started[1]
	code := f.code(t, v)
	f.took(t, v, nil)
	return func() error {
		a, err := f.Check(t.Context(), f.live, verify.CheckRequest{ID: v.ID, Code: code})
		if err == nil && a.Result != verify.ResultApproved {
			err = fmt.Errorf("the right code is %s", a.Result)
		}
		return err
	}, func() { f.is(t, v, channel.Taken, verify.Pending) }
}

// is holds what a verification is.
func (f *failing) is(t *testing.T, v *verify.Verification, message channel.Status, status verify.Status) {
	t.Helper()
	found, err := f.store.Find(t.Context(), v.ID)
	if err != nil || found.Deliveries[0].Status != message || found.Status != status || found.Attempts != 0 {
		t.Errorf("it is %+v, %v; want %s, %s", found, err, message, status)
	}
}

func failedClaim(t *testing.T, f *failing) (func() error, func()) {
	f.clock.Advance(time.Minute)
	n := 0
	return func() error {
		jobs, err := f.store.Claim(t.Context(), f.clock.Now(), verify.JobKind, 100, time.Minute)
		n = len(jobs)
		for _, j := range jobs {
			if j.Attempt != 2 {
				t.Errorf("claimed at attempt %d", j.Attempt)
			}
		}
		if err == nil && n != 3 {
			err = fmt.Errorf("claimed %d of 3 jobs", n)
		}
		return err
	}, func() {}
}

func failedReturn(t *testing.T, f *failing) (func() error, func()) {
	jobs := f.claim(t, 3)
	due := func(want bool) func() {
		return func() {
			if is, err := f.anyDue(t); err != nil || is != want {
				t.Errorf("jobs are due: %t, %v", is, err)
			}
		}
	}
	return func() error {
		err := f.store.Return(t.Context(), f.clock.Now(), jobs)
		if err == nil {
			due(true)()
		}
		return err
	}, due(false)
}

// anyDue reports whether jobs are overdue, in a moment.
func (f *failing) anyDue(t *testing.T) (bool, error) {
	t.Helper()
	d, err := f.store.Depth(t.Context(), f.clock.Now().Add(time.Millisecond))
	return d.Overdue > 0, err
}

// update changes a job that was claimed, as its handler does.
func (f *failing) update(j queue.Job, change func(deliver.Tx, *queue.Job) error) error {
	//nolint:forbidigo // the store bounds a commit
	return f.store.Update(context.Background(), j.Ref, j.ID, func(tx deliver.Tx) error {
		kept, err := tx.Job(j.ID)
		if err != nil {
			return err
		}
		if kept == nil || kept.Attempt != j.Attempt {
			return fmt.Errorf("the job is %+v, want attempt %d", kept, j.Attempt)
		}
		return change(tx, kept)
	})
}

func failedRenewal(t *testing.T, f *failing) (func() error, func()) {
	j := f.claim(t, 3)[1]
	until := f.clock.Now().Add(time.Hour)
	return func() error {
			return f.update(j, func(tx deliver.Tx, kept *queue.Job) error { kept.Hold(until); tx.PutJob(*kept); return nil })
		}, func() {
			f.clock.Advance(2 * time.Minute)
			jobs, err := f.store.Claim(t.Context(), f.clock.Now(), verify.JobKind, 100, time.Minute)
			if err != nil || len(jobs) != 4 {
				t.Errorf("claimed %d of 4 jobs whose leases were not renewed, %v", len(jobs), err)
			}
			for _, again := range jobs {
				if again.ID == j.ID {
					j = again
				}
			}
		}
}

func failedRecord(t *testing.T, f *failing) (func() error, func()) {
	j, v := f.claim(t, 1)[0], f.started[0]
	return func() error {
			return f.update(j, func(tx deliver.Tx, kept *queue.Job) error {
				p, err := tx.Parcel(j.Ref)
				if err != nil {
					return err
				}
				p.Deliveries[0].Status = channel.Taken
				tx.PutParcel(p)
				tx.PutSent([16]byte{9}, deliver.Sent{Ref: j.Ref, Delivery: j.ID, Until: f.clock.Now().Add(time.Hour)})
				tx.DropJob(kept.ID)
				return nil
			})
		}, func() {
			f.is(t, v, channel.Sending, verify.Pending)
			if _, ok, err := f.store.FindSent(t.Context(), [16]byte{9}); ok || err != nil {
				t.Errorf("the provider's id is there: %t, %v", ok, err)
			}
		}
}

func failedPutOff(t *testing.T, f *failing) (func() error, func()) {
	j := f.claim(t, 1)[0]
	return func() error {
		return f.update(j, func(tx deliver.Tx, kept *queue.Job) error {
			kept.PutOff(f.clock.Now().Add(time.Hour))
			tx.PutJob(*kept)
			return nil
		})
	}, func() {}
}

func failedForget(t *testing.T, f *failing) (func() error, func()) {
	old := f.started
	for _, v := range old {
		f.took(t, v, nil)
	}
	f.clock.Advance(24 * time.Hour)
	before := f.clock.Now().Add(-time.Hour)
	return func() error {
			_, n, err := f.store.Forget(t.Context(), id.ID{}, before)
			if err == nil && n != len(old) {
				err = fmt.Errorf("forgot %d, want %d", n, len(old))
			}
			return err
		}, func() {
			for _, v := range old {
				if found, err := f.store.Find(t.Context(), v.ID); err != nil || len(found.Sealed) == 0 {
					t.Errorf("forgotten by a commit that failed: %+v, %v", found, err)
				}
			}
		}
}

// failedPurge purges what was made before the day after tomorrow.
func failedPurge(kind store.Purged) failedKind {
	return func(t *testing.T, f *failing) (func() error, func()) {
		old := f.started[0]
		if err := f.store.Update(t.Context(), old.ID, id.ID{}, func(tx deliver.Tx) error {
			tx.PutSent([16]byte{1}, deliver.Sent{Ref: old.ID, Delivery: old.Deliveries[0].ID, Until: f.clock.Now()})
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if err := f.store.Do(t.Context(), verify.Needs{Limits: [][16]byte{{1}}, Replay: [32]byte{1}},
			func(tx verify.Tx) error {
				if _, err := tx.Limit([16]byte{1}); err != nil {
					return err
				}
				tx.PutLimit([16]byte{1}, f.clock.Now().UnixMilli())
				tx.PutReplay([32]byte{1}, [32]byte{}, []byte("sealed"), f.clock.Now().Add(time.Hour))
				return nil
			}); err != nil {
			t.Fatal(err)
		}
		f.clock.Advance(48 * time.Hour)
		before := f.clock.Now()
		if kind == store.PurgeNumbers {
			before = before.Add(-24 * time.Hour)
		}
		purged := 0
		return func() error {
				n, err := f.store.Purge(t.Context(), kind, before)
				purged += n
				if err == nil && n == 0 {
					err = errors.New("nothing was purged")
				}
				return err
			}, func() {
				if n, err := f.store.NumberRow(t.Context(), old.Spec.Number); err != nil || n == nil || purged > 0 {
					t.Errorf("%d rows were purged by a commit that failed; the number's is %+v, %v", purged, n, err)
				}
				if _, ok, err := f.store.FindSent(t.Context(), [16]byte{1}); !ok || err != nil {
					t.Errorf("the provider's id is gone: %v", err)
				}
			}
	}
}

func failedEvent(t *testing.T, f *failing) (func() error, func()) {
	hook := f.endpoint(t)
	f.number++
	to := drama(f.number)
	return func() error { // the events of a start are in its commit
			v, err := f.Start(t.Context(), f.live, verify.StartRequest{To: to})
			if err == nil {
				f.started = append(f.started, v)
			}
			return err
		}, func() {
			if all := f.heard(t, hook); len(all) != 1 {
				t.Errorf("%d events, want that of one start", len(all))
			}
		}
}

func failedEventClaim(t *testing.T, f *failing) (func() error, func()) {
	hook := f.endpoint(t)
	f.rows(t, hook, 5)
	return func() error {
		got, err := f.store.ClaimEvents(t.Context(), f.clock.Now(), []webhook.Share{{Endpoint: hook.ID, Most: 5}},
			time.Minute)
		if err == nil && (len(got) != 5 || got[0].Claims != 1) {
			err = fmt.Errorf("claimed %d of 5 events", len(got))
		}
		return err
	}, func() {}
}

func failedEventEnd(t *testing.T, f *failing) (func() error, func()) {
	hook := f.endpoint(t)
	f.rows(t, hook, 1)
	shares := []webhook.Share{{Endpoint: hook.ID, Most: 5}}
	got, err := f.store.ClaimEvents(t.Context(), f.clock.Now(), shares, time.Minute)
	if err != nil || len(got) != 1 {
		t.Fatal(err)
	}
	e := got[0]
	e.State, e.Due = webhook.Delivered, time.Time{}
	return func() error { return f.store.FinishEvent(t.Context(), e) }, func() {
		f.clock.Advance(time.Minute)
		again, err := f.store.ClaimEvents(t.Context(), f.clock.Now(), []webhook.Share{{Endpoint: hook.ID, Most: 100}},
			time.Minute)
		for _, a := range again {
			if a.ID == e.ID {
				e.Claims = a.Claims
			}
		}
		if err != nil || e.Claims != 2 {
			t.Errorf("an event whose end was not written down is not claimed again: %v", err)
		}
	}
}

func failedEventPurge(t *testing.T, f *failing) (func() error, func()) {
	hook := f.endpoint(t)
	f.rows(t, hook, 5)
	f.clock.Advance(24 * time.Hour)
	before := f.clock.Now().Add(-time.Hour)
	return func() error {
			n, err := f.store.PurgeEvents(t.Context(), before, before)
			if err == nil && n != 5 {
				err = fmt.Errorf("purged %d of 5 events", n)
			}
			return err
		}, func() {
			if all, err := f.store.Events(t.Context(), hook.ID, webhook.Page{Limit: 100}); err != nil || len(all) < 5 {
				t.Errorf("%d events are left, %v", len(all), err)
			}
		}
}

func failedTouch(t *testing.T, f *failing) (func() error, func()) {
	k := application.Key{ID: f.ids.New(f.clock.Now()), App: f.live.App.ID, Name: "k"}
	if err := f.store.PutKey(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	used := func(want time.Time) {
		t.Helper()
		if all, err := f.store.Keys(t.Context()); err != nil || len(all) != 1 || !all[0].LastUsed.Equal(want) {
			t.Errorf("keys %+v, %v, want one used at %s", all, err, want)
		}
	}
	return func() error {
		err := f.store.TouchKeys(t.Context(), map[id.ID]time.Time{k.ID: f.clock.Now()})
		if err == nil {
			used(f.clock.Now())
		}
		return err
	}, func() { used(time.Time{}) }
}

func failedTurn(t *testing.T, f *failing) (func() error, func()) {
	return func() error {
		mine, err := f.store.Turn(t.Context(), "work", id.ID{1}, f.clock.Now(), time.Hour)
		if mine != (err == nil) {
			t.Errorf("the turn is mine: %t, %v", mine, err)
		}
		return err
	}, func() {}
}

func failedMark(t *testing.T, f *failing) (func() error, func()) {
	mark := func(want int64) {
		t.Helper()
		if n, err := f.store.Mark(t.Context(), "work"); n != want || err != nil {
			t.Errorf("the mark is %d, %v, want %d", n, err, want)
		}
	}
	return func() error {
		err := f.store.SetMark(t.Context(), "work", 7)
		if err == nil {
			mark(7)
		}
		return err
	}, func() { mark(0) }
}

func failedApplication(t *testing.T, f *failing) (func() error, func()) {
	version, err := f.store.Version(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return func() error {
			return f.store.PutApplication(t.Context(), application.Application{ID: id.ID{5}, Name: "other"})
		}, func() {
			now, err := f.store.Version(t.Context())
			all, list := f.store.Applications(t.Context())
			if err != nil || list != nil || now != version || len(all) != 0 {
				t.Errorf("version %d, %v, want %d; applications %+v, %v", now, err, version, all, list)
			}
		}
}
