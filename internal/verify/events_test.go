package verify_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/verify"
	"github.com/dialproof/dialproof/internal/webhook"
)

// audience is a world whose store asks which events a change makes.
type audience struct {
	*world
	hooks  *webhook.Directory
	teller *verify.Teller
	woken  int
	log    strings.Builder
}

func newAudience(t *testing.T) *audience {
	t.Helper()
	a := &audience{world: newWorld(t)}
	var err error
	if a.hooks, err = webhook.Open(t.Context(),
		webhook.Options{Store: a.db, Ring: a.Ring, IDs: a.ids, Now: a.Clock}); err != nil {
		t.Fatal(err)
	}
	a.teller = &verify.Teller{
		Webhooks: a.hooks, Now: a.Clock, Log: slog.New(slog.NewTextHandler(&a.log, nil)), Wake: func() { a.woken++ },
		Render: func(v *verify.Verification, now time.Time) ([]byte, error) {
			return json.Marshal(map[string]any{"status": v.At(now), "deliveries": len(v.Deliveries)})
		},
	}
	a.db.Watch(a.teller)
	return a
}

// endpoint makes an endpoint of the world's application.
func (a *audience) endpoint(t *testing.T, test bool, kinds ...webhook.Kind) webhook.Endpoint {
	t.Helper()
	e, _, err := a.hooks.Create(t.Context(),
		webhook.Endpoint{App: a.live.App.ID, Test: test, URL: "https://shop.example.com/hook", Kinds: kinds})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// told returns the events of an endpoint about a verification in a line each, oldest first.
func (a *audience) told(t *testing.T, e webhook.Endpoint, v *verify.Verification) (out []string) {
	t.Helper()
	events, err := a.hooks.Events(t.Context(), e.ID, webhook.Page{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range slices.Backward(events) {
		if e.Ref != v.ID {
			continue
		}
		text, err := a.Ring.Open(e.Sealed, e.Event[:])
		if err != nil {
			t.Fatal(err)
		}
		var body struct {
			Type     string
			Sequence int
			Delivery string
			Data     struct{ Status string }
		}
		if err := json.Unmarshal(text, &body); err != nil {
			t.Fatal(err)
		}
		line := fmt.Sprintf("%d %s %s", body.Sequence, body.Type, body.Data.Status)
		if body.Delivery != "" {
			line += " of a delivery"
		}
		out = append(out, line)
	}
	return out
}

// TestEvents: each change is told once, in order, with the state after it, to those who asked for its kind.
func TestEvents(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		do   func(*testing.T, *audience, *verify.Verification)
		want []string // after the start
	}{
		"nothing": {func(*testing.T, *audience, *verify.Verification) {}, nil},
		"a wrong": {func(t *testing.T, a *audience, v *verify.Verification) { a.check(t, v, wrong(a.code(t, v))) }, nil},
		"approved": {func(t *testing.T, a *audience, v *verify.Verification) { a.check(t, v, a.code(t, v)) },
			[]string{"2 verification.approved approved"}},
		"failed": {func(t *testing.T, a *audience, v *verify.Verification) { a.exhaust(t, v) },
			[]string{"2 verification.failed failed"}},
		"canceled": {func(t *testing.T, a *audience, v *verify.Verification) { a.cancel(t, v); a.cancel(t, v) },
			[]string{"2 verification.canceled canceled"}},
		"superseded": {func(t *testing.T, a *audience, v *verify.Verification) {
			a.advance(time.Minute)
			a.supersede(t, v)
		}, []string{"2 verification.canceled canceled"}},
		"taken and delivered": {func(t *testing.T, a *audience, v *verify.Verification) {
			a.took(t, v, nil)
			a.took(t, v, nil) // the same again is no news
			a.took(t, v, func(d *channel.Delivery) { d.Status = channel.Delivered })
			a.check(t, v, a.code(t, v))
		}, []string{"2 delivery.updated pending of a delivery", "3 delivery.updated pending of a " +
			"delivery", "4 verification.approved approved"}},
		"under way": {func(t *testing.T, a *audience, v *verify.Verification) {
			a.took(t, v, func(d *channel.Delivery) { d.Status = channel.Queued })
		}, nil},
		"a resend": {func(t *testing.T, a *audience, v *verify.Verification) {
			a.advance(30 * time.Second)
			a.tryResend(t, v, "")
		}, nil},
		"expired": {func(t *testing.T, a *audience, v *verify.Verification) {
			a.expire(t, v) // too early
			a.advance(5 * time.Minute)
			a.expire(t, v)
			a.expire(t, v)
		}, []string{"2 verification.expired expired"}},
	} {
		a := newAudience(t)
		all, ends, test := a.endpoint(t, false), a.endpoint(t, false, webhook.Approved), a.endpoint(t, true)
		v := a.start(t, verify.StartRequest{To: drama(100)})
		c.do(t, a, v)
		if got, want := a.told(t, all, v), append([]string{"1 verification.started pending"}, c.want...); !slices.Equal(got,
			want) {
			t.Errorf("%s: told %q, want %q", name, got, want)
		}
		for _, line := range a.told(t, ends, v) {
			if !strings.HasSuffix(line, "verification.approved approved") {
				t.Errorf("%s: told to one who did not ask: %s", name, line)
			}
		}
		want(t, name+": a live change is told to tests", len(a.told(t, test, v)), 0)
		want(t, name+": woken", a.woken > 0, true)
	}
}

// TestExpireIsExact: what is final, unknown, forgotten or still alive stays as it is.
func TestExpireIsExact(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v := w.start(t, verify.StartRequest{To: drama(100)})
	done := w.start(t, verify.StartRequest{To: drama(101)})
	w.check(t, done, w.code(t, done))
	w.advance(5*time.Minute - time.Millisecond)
	w.expire(t, v)
	want(t, "before the deadline", w.kept(t, v).Status, verify.Pending)
	w.advance(time.Millisecond)
	w.expire(t, v)
	w.expire(t, done)
	w.expire(t, &verify.Verification{ID: id.ID{1}})
	kept := w.kept(t, v)
	want(t, "at the deadline", kept.Status, verify.Expired)
	want(t, "ended", kept.Ended, epoch.Add(5*time.Minute))
	want(t, "an approved one", w.kept(t, done).Status, verify.Approved)
	old := w.start(t, verify.StartRequest{To: drama(102)})
	w.advance(time.Hour)
	if _, _, err := w.db.Forget(t.Context(), id.ID{}, w.Clock()); err != nil {
		t.Fatal(err)
	}
	w.expire(t, old)
	want(t, "a forgotten one", w.kept(t, old).Status, verify.Pending)
}

// TestDeadlines: who wants to hear of expiries is given a row that comes due at the deadline.
func TestDeadlines(t *testing.T) {
	t.Parallel()
	a := newAudience(t)
	a.endpoint(t, false, webhook.Expired)
	v := a.start(t, verify.StartRequest{To: drama(100)})
	rows := a.teller.Changed(nil, a.kept(t, v))
	if len(rows) != 1 || rows[0].Ref != v.ID || !rows[0].Due.Equal(v.Expires) {
		t.Errorf("%+v", rows)
	}
	if rows := a.teller.Changed(a.kept(t, v), a.kept(t, v)); len(rows) != 0 {
		t.Errorf("nothing has changed, and told is %+v", rows)
	}
}

// TestNobodyListens: without an audience nothing is counted; a text that cannot be made is logged and holds up nobody;
// a text that is too long leaves out the oldest deliveries.
func TestNobodyListens(t *testing.T) {
	t.Parallel()
	a := newAudience(t)
	v := a.start(t, verify.StartRequest{To: drama(100)})
	want(t, "events", a.kept(t, v).Events, 0)
	e := a.endpoint(t, false)
	a.teller.Render = func(*verify.Verification, time.Time) ([]byte, error) { return nil, errors.New("planted") }
	want(t, "start", a.tryStart(t, verify.StartRequest{To: drama(101)}), "ok")
	if !strings.Contains(a.log.String(), "an event could not be written") || !strings.Contains(a.log.String(), "planted") {
		t.Errorf("logged %q", a.log.String())
	}
	longest := 0
	a.teller.Render = func(v *verify.Verification, _ time.Time) ([]byte, error) {
		longest = max(longest, len(v.Deliveries))
		return json.Marshal(map[string]string{"status": strings.Repeat("x", 1000*len(v.Deliveries))})
	}
	v = a.start(t, verify.StartRequest{To: drama(102)})
	many := a.kept(t, v)
	for range 49 {
		many.Deliveries = append(many.Deliveries, channel.Delivery{ID: a.ids.New(epoch), Status: channel.Taken})
	}
	rows := a.teller.Changed(a.kept(t, v), many)
	if len(rows) != 49 || longest != 50 || len(many.Deliveries) != 50 || many.Events != 50 {
		t.Errorf("%d events of %d deliveries, %d rendered", len(rows), len(many.Deliveries), longest)
	}
	for _, r := range rows {
		if text, err := a.Ring.Open(r.Sealed, r.Event[:]); err != nil || len(text) >= webhook.MaxBody || len(text) < 10_000 ||
			r.Endpoint != e.ID {
			t.Fatalf("%d bytes, %v", len(text), err)
		}
	}
}
