package storetest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/deliver"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/keyring"
	"github.com/dialproof/dialproof/internal/verify"
	"github.com/dialproof/dialproof/internal/webhook"
)

func eventTests() map[string]func(*testing.T, OpenEvents) {
	return map[string]func(*testing.T, OpenEvents){
		"events tell every change":                       eventsTell,
		"events go with their verification":              eventsForgotten,
		"no event without a change, none for nobody":     eventsForNobody,
		"events are claimed once, each endpoint in turn": eventsClaimed,
		"a finished event stays finished":                eventsFenced,
		"events are replayed":                            eventsReplayed,
		"events are purged":                              eventsPurged,
		"endpoints are kept":                             endpointsKept,
		"a deadline tells of an expiry":                  deadlineTells,
	}
}

// listening is a bench whose store tells its changes.
type listening struct {
	*bench
	store EventStore
	hooks *webhook.Directory
	ids   *id.Source
	ring  *keyring.Ring
	woken func() int
}

func newListening(t *testing.T, open OpenEvents) *listening {
	t.Helper()
	l := &listening{ids: id.NewSource(id.ID{})}
	l.bench = newBench(t, func(t *testing.T) Store { l.store = open(t); return l.store })
	l.ring = l.Ring
	var err error
	l.hooks, err = webhook.Open(t.Context(), webhook.Options{Store: l.store, Ring: l.ring, IDs: l.ids, Now: l.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	woken := 0
	l.woken = func() int { mu.Lock(); defer mu.Unlock(); return woken }
	l.store.Watch(&verify.Teller{
		Webhooks: l.hooks,
		Now:      l.clock.Now,
		Log:      slog.New(slog.DiscardHandler),
		Wake:     func() { mu.Lock(); woken++; mu.Unlock() },
		Render: func(v *verify.Verification, now time.Time) ([]byte, error) {
			return []byte(fmt.Sprintf(`{"id":%q,"status":%q,"to":%q}`, v.ID.Text(id.Verification), v.At(now), v.Spec.Masked)),
				nil
		},
	})
	return l
}

// endpoint makes an endpoint of the bench's application.
func (l *listening) endpoint(t *testing.T, kinds ...webhook.Kind) webhook.Endpoint {
	t.Helper()
	e, s, err := l.hooks.Create(t.Context(),
		webhook.Endpoint{App: l.live.App.ID, URL: "https://shop.example/hook", Kinds: kinds})
	if err != nil || !strings.HasPrefix(s.Reveal(), "whsec_") {
		t.Fatal(err)
	}
	return e
}

// heard returns the bodies of the events of an endpoint, oldest first.
func (l *listening) heard(t *testing.T, e webhook.Endpoint) (out []heard) {
	t.Helper()
	events, err := l.hooks.Events(t.Context(), e.ID, webhook.Page{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(events)
	for _, e := range events {
		text, err := l.ring.Open(e.Sealed, e.Event[:])
		if err != nil {
			t.Fatal(err)
		}
		var h heard
		if err := json.Unmarshal(text, &h); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		h.event, h.row = e.Event, e
		out = append(out, h)
	}
	return out
}

type heard struct {
	Type     webhook.Kind `json:"type"`
	Sequence int          `json:"sequence"`
	Delivery string       `json:"delivery"`
	Data     struct {
		ID, Status, To string
	} `json:"data"`
	event id.ID
	row   webhook.Event
}

// told is what was heard of one verification, in a line.
func told(all []heard, v *verify.Verification) string {
	var words []string
	for _, h := range all {
		if h.Data.ID == v.ID.Text(id.Verification) {
			words = append(words, fmt.Sprintf("%d %s %s", h.Sequence, h.Type, h.Data.Status))
		}
	}
	return strings.Join(words, ", ")
}

func eventsTell(t *testing.T, open OpenEvents) {
	l := newListening(t, open)
	all := l.endpoint(t)
	some := l.endpoint(t, webhook.Approved, webhook.Canceled)
	approved := l.start(t, verify.StartRequest{To: drama(100)})
	l.reach(t, approved, channel.Taken)
	l.reach(t, approved, channel.Delivered)
	l.check(t, approved, wrong(l.code(t, approved)))
	l.check(t, approved, l.code(t, approved))
	failed := l.start(t, verify.StartRequest{To: drama(101)})
	for range 5 {
		l.check(t, failed, wrong(l.code(t, failed)))
	}
	superseded := l.start(t, verify.StartRequest{To: drama(102)})
	l.clock.Advance(time.Minute)
	canceled := l.start(t, verify.StartRequest{To: drama(102)})
	if _, err := l.Cancel(t.Context(), l.live, canceled.ID, nil); err != nil {
		t.Fatal(err)
	}
	late := l.start(t, verify.StartRequest{To: drama(103)})
	l.clock.Advance(time.Hour)
	l.check(t, late, "000000") // writes the expiry down
	got := l.heard(t, all)
	for _, want := range []struct {
		v    *verify.Verification
		told string
	}{
		{approved, "1 verification.started pending, 2 delivery.updated pending, 3 delivery.updated pending, 4 " +
			"verification.approved approved"},
		{failed, "1 verification.started pending, 2 verification.failed failed"},
		{superseded, "1 verification.started pending, 2 verification.canceled canceled"},
		{canceled, "1 verification.started pending, 2 verification.canceled canceled"},
		{late, "1 verification.started pending, 2 verification.expired expired"},
	} {
		if s := told(got, want.v); s != want.told {
			t.Errorf("told: %s\nwant: %s", s, want.told)
		}
	}
	if d := approved.Deliveries[0].ID.Text(id.Delivery); got[1].Delivery != d {
		t.Errorf("the delivery is %q, want %q", got[1].Delivery, d)
	}
	if s := told(l.heard(t, some), approved); s != "4 verification.approved approved" {
		t.Errorf("an endpoint for approvals was told %q", s)
	}
	// The same event has the same id for both.
	if a, b := got[3].event, l.heard(t, some)[0].event; a != b {
		t.Errorf("ids %x and %x", a, b)
	}
	if l.woken() == 0 {
		t.Error("nobody was told that there are events")
	}
}

// reach lets the first delivery of a verification reach a status, as deliver does.
func (l *listening) reach(t *testing.T, v *verify.Verification, s channel.Status) {
	t.Helper()
	err := l.store.Update(t.Context(), v.ID, id.ID{}, func(tx deliver.Tx) error {
		p, err := tx.Parcel(v.ID)
		if err == nil {
			p.Deliveries[0].Status = s
			tx.PutParcel(p)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func eventsForgotten(t *testing.T, open OpenEvents) {
	l := newListening(t, open)
	e := l.endpoint(t)
	v := l.start(t, verify.StartRequest{To: drama(100)})
	other := l.start(t, verify.StartRequest{To: drama(101)})
	l.clock.Advance(24 * time.Hour)
	l.check(t, v, "000000")
	kept := l.start(t, verify.StartRequest{To: drama(102)})
	if _, n, err := l.store.Forget(t.Context(), id.ID{}, l.clock.Now().Add(-time.Hour)); err != nil || n != 2 {
		t.Fatalf("%d forgotten, %v", n, err)
	}
	got := l.heard(t, e)
	if told(got, v) != "" || told(got, other) != "" || told(got, kept) != "1 verification.started pending" {
		t.Errorf("there are still %+v", got)
	}
}

func eventsForNobody(t *testing.T, open OpenEvents) {
	l := newListening(t, open)
	e := l.endpoint(t)
	// the endpoint is a live one
	if _, err := l.Start(t.Context(), l.test, verify.StartRequest{To: drama(100)}); err != nil {
		t.Fatal(err)
	}
	refused := l.start(t, verify.StartRequest{To: drama(101)})
	if _, err := l.Start(t.Context(), l.live, verify.StartRequest{To: drama(101)}); err == nil { // too soon
		t.Fatal("was taken")
	}
	if got := l.heard(t, e); len(got) != 1 || told(got, refused) == "" {
		t.Errorf("told %+v", got)
	}
	if _, err := l.hooks.Update(t.Context(), e.ID,
		func(e *webhook.Endpoint) { e.Disable(webhook.ByOperator, l.clock.Now()) }); err != nil {
		t.Fatal(err)
	}
	v := l.start(t, verify.StartRequest{To: drama(102)})
	if got := l.heard(t, e); len(got) != 1 {
		t.Errorf("a disabled endpoint was told %+v", got)
	}
	if kept, err := l.store.Find(t.Context(), v.ID); err != nil || kept.Events != 0 {
		t.Errorf("%d events are counted, %v", kept.Events, err)
	}
}

// rows writes n events to an endpoint.
func (l *listening) rows(t *testing.T, e webhook.Endpoint, n int) []webhook.Event {
	t.Helper()
	var out []webhook.Event
	for range n {
		rows, err := l.hooks.Write([]*webhook.Endpoint{&e},
			webhook.News{Kind: webhook.Started, Ref: l.ids.New(l.clock.Now()), Sequence: 1, Data: []byte(`{}`)})
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, rows...)
	}
	if err := l.store.AddEvents(t.Context(), out); err != nil {
		t.Fatal(err)
	}
	return out
}

func eventsClaimed(t *testing.T, open OpenEvents) {
	l := newListening(t, open)
	a, b, c := l.endpoint(t), l.endpoint(t), l.endpoint(t)
	l.rows(t, a, 200)
	l.rows(t, b, 3)
	lanes, err := l.store.Lanes(t.Context())
	if err != nil || len(lanes) != 2 || !lanes[0].First.Equal(l.clock.Now()) {
		t.Fatalf("lanes %+v, %v", lanes, err)
	}
	backlogs, err := l.store.Backlogs(t.Context())
	if err != nil || len(backlogs) != 2 || backlogs[0].Open+backlogs[1].Open != 203 {
		t.Errorf("backlogs %+v, %v", backlogs, err)
	}
	shares := []webhook.Share{{Endpoint: a.ID, Most: 5}, {Endpoint: b.ID, Most: 5}, {Endpoint: c.ID, Most: 5}}
	var mu sync.Mutex
	seen := map[id.ID]int{}
	together(20, func(int) {
		got, err := l.store.ClaimEvents(t.Context(), l.clock.Now(), shares, time.Minute)
		if err != nil {
			t.Error(err)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		for _, e := range got {
			if seen[e.ID]++; e.Claims != 1 || !e.Due.Equal(l.clock.Now().Add(time.Minute)) || len(e.Sealed) == 0 {
				t.Errorf("claimed %+v", e)
			}
		}
	})
	for row, n := range seen {
		if n != 1 {
			t.Errorf("%x was claimed %d times", row, n)
		}
	}
	if len(seen) != 103 { // 20 times five, and three
		t.Errorf("%d were claimed, want 103", len(seen))
	}
	l.clock.Advance(time.Minute)
	again, err := l.store.ClaimEvents(t.Context(), l.clock.Now(), shares[1:2], time.Minute)
	if err != nil || len(again) != 3 || again[0].Claims != 2 {
		t.Errorf("after the lease: %+v, %v", again, err)
	}
}

func eventsFenced(t *testing.T, open OpenEvents) {
	l := newListening(t, open)
	e := l.endpoint(t)
	l.rows(t, e, 1)
	share := []webhook.Share{{Endpoint: e.ID, Most: 1}}
	claim := func() webhook.Event {
		got, err := l.store.ClaimEvents(t.Context(), l.clock.Now(), share, time.Minute)
		if err != nil || len(got) != 1 {
			t.Fatalf("%+v, %v", got, err)
		}
		return got[0]
	}
	old := claim()
	l.clock.Advance(2 * time.Minute)
	now := claim()
	old.State, old.Due = webhook.Delivered, time.Time{}
	if err := l.store.FinishEvent(t.Context(), old); !errors.Is(err, webhook.ErrFenced) {
		t.Errorf("an older claim was taken: %v", err)
	}
	now.Tries, now.Due = 1, l.clock.Now().Add(5*time.Second)
	now.Log = []webhook.Attempt{{At: l.clock.Now(), Status: 500, Error: "answered 500", Took: 12}}
	if err := l.store.FinishEvent(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	if got, err := l.store.ClaimEvents(t.Context(), l.clock.Now(), share, time.Minute); err != nil || len(got) != 0 {
		t.Errorf("claimed before it is due: %+v, %v", got, err)
	}
	l.clock.Advance(5 * time.Second)
	now = claim()
	if now.Tries != 1 || len(now.Log) != 1 ||
		now.Log[0] != (webhook.Attempt{At: l.clock.Now().Add(-5 * time.Second), Status: 500, Error: "answered 500",
			Took: 12}) {
		t.Errorf("kept %+v", now)
	}
	now.State, now.Due = webhook.Delivered, time.Time{}
	if err := l.store.FinishEvent(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	if lanes, err := l.store.Lanes(t.Context()); err != nil || len(lanes) != 0 {
		t.Errorf("lanes %+v, %v", lanes, err)
	}
}

// finish ends every pending event of an endpoint in a state.
func (l *listening) finish(t *testing.T, e webhook.Endpoint, s webhook.State) {
	t.Helper()
	got, err := l.store.ClaimEvents(t.Context(), l.clock.Now(), []webhook.Share{{Endpoint: e.ID, Most: 10_000}},
		time.Minute)
	for i := 0; i < len(got) && err == nil; i++ {
		got[i].State, got[i].Due, got[i].Tries = s, time.Time{}, 10
		err = l.store.FinishEvent(t.Context(), got[i])
	}
	if err != nil {
		t.Fatal(err)
	}
}

func eventsReplayed(t *testing.T, open OpenEvents) {
	l := newListening(t, open)
	e := l.endpoint(t)
	old := l.rows(t, e, 2)
	l.clock.Advance(time.Hour)
	since := l.clock.Now()
	l.rows(t, e, 1500) // more than one step
	l.finish(t, e, webhook.Dead)
	done := l.rows(t, e, 1)
	l.finish(t, e, webhook.Delivered)
	dead := webhook.Dead
	if got, err := l.store.Events(t.Context(), e.ID, webhook.Page{State: &dead, Limit: 2000}); err != nil ||
		len(got) != 1502 {
		t.Errorf("%d are dead, %v", len(got), err)
	}
	l.clock.Advance(time.Hour)
	if n, err := l.hooks.Replay(t.Context(), e.ID, id.ID{}, since); err != nil || n != 1500 {
		t.Errorf("%d were replayed, %v", n, err)
	}
	for _, one := range []id.ID{old[0].Event, done[0].Event} {
		if n, err := l.hooks.Replay(t.Context(), e.ID, one, time.Time{}); err != nil || n != 1 {
			t.Errorf("%d were replayed, %v", n, err)
		}
	}
	if _, err := l.hooks.Replay(t.Context(), e.ID, l.ids.New(l.clock.Now()), time.Time{}); !errors.Is(err,
		webhook.ErrNotFound) {
		t.Errorf("an unknown event: %v", err)
	}
	got, err := l.store.ClaimEvents(t.Context(), l.clock.Now(), []webhook.Share{{Endpoint: e.ID, Most: 10_000}},
		time.Minute)
	if err != nil || len(got) != 1502 || got[0].Tries != 0 {
		t.Errorf("%d are due, %v", len(got), err)
	}
}

func eventsPurged(t *testing.T, open OpenEvents) {
	l := newListening(t, open)
	e := l.endpoint(t)
	l.rows(t, e, 300)
	l.finish(t, e, webhook.Delivered)
	l.rows(t, e, 5)
	l.finish(t, e, webhook.Dead)
	l.clock.Advance(4 * 24 * time.Hour)
	l.rows(t, e, 1)
	day := func(n int) time.Time { return l.clock.Now().Add(-time.Duration(n) * 24 * time.Hour) }
	if n, err := l.store.PurgeEvents(t.Context(), day(3), day(30)); err != nil || n != 300 {
		t.Errorf("%d were purged, %v", n, err)
	}
	l.clock.Advance(27 * 24 * time.Hour)
	if n, err := l.store.PurgeEvents(t.Context(), day(3), day(30)); err != nil || n != 5 {
		t.Errorf("%d were purged, %v", n, err)
	}
	if got := l.heard(t, e); len(got) != 1 {
		t.Errorf("%d are left", len(got))
	}
	if err := l.hooks.Delete(t.Context(), e.ID); err != nil {
		t.Fatal(err)
	}
	if got, err := l.store.Events(t.Context(), e.ID, webhook.Page{Limit: 10}); err != nil || len(got) != 0 {
		t.Errorf("%d outlive their endpoint, %v", len(got), err)
	}
}

func endpointsKept(t *testing.T, open OpenEvents) {
	l := newListening(t, open)
	e := l.endpoint(t, webhook.Approved)
	other, err := webhook.Open(t.Context(), webhook.Options{Store: l.store, Ring: l.ring, IDs: l.ids, Now: l.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	if _, secret, err := l.hooks.Rotate(t.Context(), e.ID); err != nil || len(secret.Reveal()) != 50 {
		t.Fatal(err)
	}
	if err := other.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, err := other.Endpoint(e.ID)
	if err != nil || got.URL != e.URL || len(got.Secrets) != 2 ||
		!got.Secrets[1].Until.Equal(l.clock.Now().Add(webhook.Overlap)) ||
		bytes.Equal(got.Secrets[0].Sealed, e.Secrets[0].Sealed) {
		t.Errorf("%+v, %v", got, err)
	}
	for i := 1; i < webhook.MaxEndpoints; i++ {
		l.endpoint(t)
	}
	if _, _, err := l.hooks.Create(t.Context(),
		webhook.Endpoint{App: l.live.App.ID, URL: "https://shop.example/"}); !errors.Is(err, webhook.ErrTooMany) {
		t.Errorf("one too many: %v", err)
	}
	if err := l.hooks.Delete(t.Context(), e.ID); err != nil {
		t.Fatal(err)
	}
	if err := other.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Endpoint(e.ID); !errors.Is(err, webhook.ErrNotFound) ||
		len(other.Endpoints(l.live.App.ID)) != webhook.MaxEndpoints-1 {
		t.Errorf("%v", err)
	}
}

func deadlineTells(t *testing.T, open OpenEvents) {
	l := newListening(t, open)
	e := l.endpoint(t, webhook.Expired)
	v, over := l.start(t, verify.StartRequest{To: drama(100)}), l.start(t, verify.StartRequest{To: drama(101)})
	l.check(t, over, l.code(t, over))
	claim := func() []webhook.Event {
		got, err := l.store.ClaimEvents(t.Context(), l.clock.Now(), []webhook.Share{{Most: 10}}, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := claim(); len(got) != 0 {
		t.Fatalf("due before the deadline: %+v", got)
	}
	l.clock.Advance(5 * time.Minute)
	due := claim()
	if len(due) != 2 {
		t.Fatalf("%+v", due)
	}
	for _, d := range due {
		for range 2 { // it may be run again
			if err := l.Expire(t.Context(), d.Ref); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.store.DropEvent(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	if got := l.heard(t, e); len(got) != 1 || told(got, v) != "1 verification.expired expired" {
		t.Errorf("told %+v", got)
	}
	if lanes, err := l.store.Lanes(t.Context()); err != nil || len(lanes) != 1 {
		t.Errorf("lanes %+v, %v", lanes, err)
	}
}
