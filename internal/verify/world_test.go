package verify_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/keyring"
	"github.com/dialproof/dialproof/internal/limit"
	"github.com/dialproof/dialproof/internal/phone"
	"github.com/dialproof/dialproof/internal/queue"
	"github.com/dialproof/dialproof/internal/store"
	"github.com/dialproof/dialproof/internal/store/memstore"
	"github.com/dialproof/dialproof/internal/verify"
)

// epoch is when every world begins.
var epoch = time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)

// world is a core on rows in memory. The test owns its clock, its routes and its queue.
type world struct {
	*verify.Service
	db   *store.DB
	ids  *id.Source
	live application.Caller
	test application.Caller
	// noRoute are the channels that no route serves; asked is what the router was asked.
	noRoute map[channel.Kind]bool
	asked   []plan
	// full refuses new work at the door; noRoom has no room on this node.
	full, noRoom bool
	reserved     int // reservations that were neither dispatched nor released
	jobs         []queue.Job
	made         []verify.Made
	fault        memstore.Fault // of each commit
	readFault    memstore.Fault
	counts       map[string]int
	approved     []id.ID

	mu  sync.Mutex
	now atomic.Int64
}

// plan is what the router was asked.
type plan struct {
	kind  channel.Kind
	test  bool
	avoid string
}

// secret is the key of every world, so that a test can open what another one has sealed.
var secret = []byte("0123456789abcdef0123456789abcdef")

func ring(t *testing.T, key byte) *keyring.Ring {
	t.Helper()
	r, err := keyring.New([]keyring.Key{{ID: key, Secret: secret}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func newWorld(t *testing.T, change ...func(*application.Policy)) *world {
	t.Helper()
	return newWorldOn(t, store.Direct, change...)
}

func newWorldOn(t *testing.T, open func(store.Engine) *store.DB, change ...func(*application.Policy)) *world {
	t.Helper()
	w := &world{ids: id.NewSource(id.ID{}), counts: map[string]int{}, noRoute: map[channel.Kind]bool{}}
	w.now.Store(epoch.UnixNano())
	w.db = open(memstore.New(memstore.NewData(), memstore.Options{Now: w.Clock, Fault: func(what string) memstore.Fault {
		if what == "read" {
			return w.readFault
		}
		return w.fault
	}}))
	t.Cleanup(func() { w.db.Close() })
	w.Service = verify.New(verify.Options{
		Store:        w.db,
		Router:       w,
		Dispatch:     w,
		Ring:         ring(t, 1),
		IDs:          w.ids,
		Now:          w.Clock,
		Host:         "verify.example.com",
		Limits:       verify.DefaultLimits(),
		Metrics:      w,
		AllowFiction: true,
		Approved:     func(v id.ID) { w.locked(func() { w.approved = append(w.approved, v) }) },
	})
	w.live = w.tenant("shop", change...)
	w.test = application.Caller{App: w.live.App, Key: &application.Key{App: w.live.App.ID, Mode: application.Test}}
	return w
}

// tenant returns a live key of a new application.
func (w *world) tenant(name string, change ...func(*application.Policy)) application.Caller {
	app := &application.Application{ID: w.ids.New(w.Clock()), Name: name, Brand: name}
	for _, f := range change {
		f(&app.Policy)
	}
	return application.Caller{App: app, Key: &application.Key{App: app.ID, Mode: application.Live}}
}

func (w *world) Clock() time.Time        { return time.Unix(0, w.now.Load()).UTC() }
func (w *world) advance(d time.Duration) { w.now.Add(int64(d)) }

func (w *world) locked(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

// Plan implements verify.Router.
func (w *world) Plan(_ phone.Number, kind channel.Kind, test bool, avoid string) (route, reason string, ok bool) {
	w.locked(func() { w.asked = append(w.asked, plan{kind, test, avoid}) })
	return "by-" + string(kind), "priority", !w.noRoute[kind]
}

// Admit implements verify.Dispatcher.
func (w *world) Admit() bool { return !w.full }

// Reserve implements verify.Dispatcher.
func (w *world) Reserve() bool {
	if !w.noRoom {
		w.locked(func() { w.reserved++ })
	}
	return !w.noRoom
}

// Release implements verify.Dispatcher.
func (w *world) Release() { w.locked(func() { w.reserved-- }) }

// Dispatch implements verify.Dispatcher.
func (w *world) Dispatch(j queue.Job, m *verify.Made) {
	w.locked(func() {
		w.jobs, w.made = append(w.jobs, j), append(w.made, *m)
		if j.Leased {
			w.reserved--
		}
	})
}

// Started implements verify.Metrics.
func (w *world) Started(_ *application.Application, kind channel.Kind, country string) {
	w.count("started " + string(kind) + " " + country)
}

// Checked implements verify.Metrics.
func (w *world) Checked(_ *application.Application, r verify.Result) { w.count("checked " + string(r)) }

// Limited implements verify.Metrics.
func (w *world) Limited(name string) { w.count("limited " + name) }

func (w *world) count(what string) { w.locked(func() { w.counts[what]++ }) }

// Application implements the directory of verify.Composer.
func (w *world) Application(app id.ID) (application.Application, error) {
	if app != w.live.App.ID {
		return application.Application{}, application.ErrNotFound
	}
	return *w.live.App, nil
}

func (w *world) composer() verify.Composer { return verify.Composer{Service: w.Service, Apps: w} }

// start begins a verification with the live key.
func (w *world) start(t *testing.T, r verify.StartRequest) *verify.Verification {
	t.Helper()
	v, err := w.Start(t.Context(), w.live, r)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// tryStart returns what comes of a start with the live key.
func (w *world) tryStart(t *testing.T, r verify.StartRequest) string {
	t.Helper()
	_, err := w.Start(t.Context(), w.live, r)
	return outcome(err)
}

// tryResend returns what comes of a resend with the live key.
func (w *world) tryResend(t *testing.T, v *verify.Verification, kind channel.Kind) string {
	t.Helper()
	_, err := w.Resend(t.Context(), w.live, verify.ResendRequest{ID: v.ID, Channel: kind})
	return outcome(err)
}

// check returns the result of a check with the live key, or the outcome of its refusal.
func (w *world) check(t *testing.T, v *verify.Verification, code string) string {
	t.Helper()
	a, err := w.Check(t.Context(), w.live, verify.CheckRequest{ID: v.ID, Code: code})
	if err != nil {
		return outcome(err)
	}
	return string(a.Result)
}

// cancel ends a verification.
func (w *world) cancel(t *testing.T, v *verify.Verification) {
	t.Helper()
	if _, err := w.Cancel(t.Context(), w.live, v.ID, nil); err != nil {
		t.Fatal(err)
	}
}

// kept returns the row of a verification.
func (w *world) kept(t *testing.T, v *verify.Verification) *verify.Verification {
	t.Helper()
	found, err := w.db.Find(t.Context(), v.ID)
	if err != nil || found == nil {
		t.Fatalf("the verification is %v, %v", found, err)
	}
	return found
}

// number returns the row of the number of a verification.
func (w *world) number(t *testing.T, v *verify.Verification) *verify.Number {
	t.Helper()
	n, err := w.db.NumberRow(t.Context(), v.Spec.Number)
	if err != nil || n == nil {
		t.Fatalf("the number is %v, %v", n, err)
	}
	return n
}

// code returns the code of the newest message of a pending verification, as its person reads it.
func (w *world) code(t *testing.T, v *verify.Verification) string {
	t.Helper()
	now := w.kept(t, v)
	m, _, open, err := w.composer().Compose(t.Context(), v.ID, now.Deliveries[len(now.Deliveries)-1])
	if err != nil || !open {
		t.Fatalf("there is no message: open %t, %v", open, err)
	}
	return m.Code.Reveal()
}

// exhaust spends every attempt of a verification.
func (w *world) exhaust(t *testing.T, v *verify.Verification) {
	t.Helper()
	code := wrong(w.code(t, v))
	for range v.Spec.MaxAttempts {
		w.check(t, v, code)
	}
}

// open returns how many jobs there are.
func (w *world) open(t *testing.T) int {
	t.Helper()
	depth, err := w.db.Depth(t.Context(), w.Clock())
	if err != nil {
		t.Fatal(err)
	}
	return depth.Open
}

// job returns a job as it is kept, or nil.
func (w *world) job(t *testing.T, j id.ID) (kept *queue.Job) {
	t.Helper()
	err := w.db.Do(t.Context(), verify.Needs{Job: j}, func(tx verify.Tx) (err error) {
		kept, err = tx.Job(j)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return kept
}

// wrong returns a code that is not the right one.
func wrong(right string) string {
	if right[0] == '0' {
		return "1" + right[1:]
	}
	return "0" + right[1:]
}

// drama returns a number of the range that Ofcom keeps for drama.
func drama(n int) string { return fmt.Sprintf("+447700900%03d", n) }

// unlimited takes the limits of a number's sends away.
func (w *world) unlimited() { w.Limits.Sends = limit.Schedule{} }

// outcome names what came of a call: "ok", or the code of the refusal with the limit or the field that it is about.
func outcome(err error) string {
	if err == nil {
		return "ok"
	}
	e, ok := errors.AsType[*verify.Error](err)
	switch {
	case !ok:
		return err.Error()
	case e.Refusal != nil:
		return string(e.Code) + " " + e.Refusal.Name
	case len(e.Fields) > 0:
		return string(e.Code) + " " + e.Fields[0].Name + " " + e.Fields[0].Code
	case e.Status != "":
		return string(e.Code) + " " + string(e.Status)
	}
	return string(e.Code)
}

func want[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}
