package powertest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/deliver"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/keyring"
	"github.com/dialproof/dialproof/internal/queue"
	"github.com/dialproof/dialproof/internal/verify"
)

// Store is what a Load needs of an open store.
type Store interface {
	verify.Store
	deliver.Store
	queue.Store
	Scan(ctx context.Context, app, before id.ID, yield func(*verify.Verification) bool) error
	Last(ctx context.Context) (id.ID, error)
}

// Ack is an answer that a client has been given: what must be there from then on.
type Ack struct {
	Verification id.ID
	// Attempts is how many codes have been compared at least.
	Attempts int
	// Status is what the verification has become; empty while it is pending.
	Status verify.Status
	// Code is the right code, of one that was approved.
	Code string
}

// Load is the clients of a store: each starts, and types wrong and right codes, while the messages go out. It goes on
// over any number of stores, one after the other, as a server does that is started again.
type Load struct {
	broken error
	ring   *keyring.Ring
	caller application.Caller
	say    func(Ack)
	number atomic.Int64
	acks   atomic.Int64
	denied atomic.Int64
}

// NewLoad returns clients that note each answer with say.
func NewLoad(t testing.TB, say func(Ack)) *Load {
	t.Helper()
	ring, err := keyring.New([]keyring.Key{{ID: 1, Secret: []byte("0123456789abcdef0123456789abcdef")}})
	if err != nil {
		t.Fatal(err)
	}
	app := application.Application{ID: id.ID{1}, Name: "shop", Brand: "Shop"}
	l := &Load{ring: ring, say: say}
	l.caller = application.Caller{
		App: &app,
		Key: &application.Key{App: app.ID, Mode: application.Live, Scopes: []application.Scope{application.Verify}},
	}
	return l
}

// Broken returns why a server could not be made of the store; nil when that has not happened.
func (l *Load) Broken() error { return l.broken }

// Counts returns how many answers have been given, and how many requests were refused with 503.
func (l *Load) Counts() (acked, refused int64) { return l.acks.Load(), l.denied.Load() }

// Application implements the directory of the composer.
func (l *Load) Application(id.ID) (application.Application, error) { return *l.caller.App, nil }

// server is the core on a store.
type server struct {
	*verify.Service
	runner *queue.Runner[deliver.Work]
}

// serve makes the core. Its messages go to a carrier that takes a moment for each, and is sometimes away.
func (l *Load) serve(t testing.TB, s Store) (*server, error) {
	t.Helper()
	last, err := s.Last(t.Context())
	if err != nil {
		return nil, err
	}
	log, ids := slog.New(slog.DiscardHandler), id.NewSource(last)
	routes := deliver.NewRoutes(nil)
	routes.Conversions = deliver.NewConversions(time.Now, 7)
	routes.Replace([]*deliver.Route{{
		Name:     "carrier",
		Provider: "test",
		Sender:   &carrier{},
		Timeout:  time.Second,
		Slots:    make(chan struct{}, 4),
		Health:   deliver.NewHealth(time.Now),
	}}, deliver.Priority)
	h := &deliver.Handler{
		Store:     s,
		Routes:    routes,
		IDs:       ids,
		Now:       time.Now,
		Log:       log,
		Metrics:   uncounted{},
		Lease:     30 * time.Second,
		Next:      verify.NextKind,
		Callbacks: &deliver.Callbacks{Ring: l.ring},
	}
	out := &server{runner: queue.NewRunner(queue.Options[deliver.Work]{
		Store: s, Log: log, Now: time.Now, Poll: 20 * time.Millisecond,
		Kinds: []queue.Kind[deliver.Work]{{Name: verify.JobKind, Workers: 4, Run: h.Run, Yield: h.Yield, Kept: h.Kept}},
	})}
	limits := verify.DefaultLimits()
	limits.Sends.Gaps, limits.Sends.Windows = nil, nil
	out.Service = verify.New(verify.Options{
		Store: s, Router: routes, Dispatch: dispatcher{out.runner}, Ring: l.ring, IDs: ids, Now: time.Now, AllowFiction: true,
		Limits: limits, Metrics: uncounted{}, Approved: h.Approved,
	})
	h.Composer = composer{verify.Composer{Service: out.Service, Apps: l}}
	return out, nil
}

// Run does n verifications, so many at once. Without a carrier, no message goes out.
func (l *Load) Run(t testing.TB, s Store, n, atOnce int, carrier bool) {
	t.Helper()
	srv, err := l.serve(t, s)
	if err != nil {
		l.broken = err
		return
	}
	if carrier {
		srv.runner.Start()
	}
	var all sync.WaitGroup
	for c := range atOnce {
		all.Go(func() {
			for i := c; i < n; i += atOnce {
				l.one(t, srv, i)
			}
		})
	}
	all.Wait()
	if err := srv.runner.Stop(100 * time.Millisecond); err != nil && !unavailable(err) {
		t.Errorf("the queue: %v", err)
	}
}

// one starts a verification, types wrong codes and mostly the right one; some numbers are those of others too, which
// supersedes those.
func (l *Load) one(t testing.TB, srv *server, i int) {
	ctx := t.Context()
	to := l.number.Add(1)
	if i%5 == 4 {
		to -= 3
	}
	v, err := srv.Start(ctx, l.caller, verify.StartRequest{To: fmt.Sprintf("+4477%08d", 10_000_000+to)})
	if !l.answered(t, err) {
		return
	}
	l.tell(Ack{Verification: v.ID})
	if i%7 == 6 {
		if _, err := srv.Cancel(ctx, l.caller, v.ID, nil); l.answered(t, err) {
			l.tell(Ack{Verification: v.ID, Status: verify.Canceled})
		}
		return
	}
	m, _, _, err := verify.Composer{Service: srv.Service, Apps: l}.Compose(ctx, v.ID, v.Deliveries[0])
	if err != nil || m.Code.IsZero() { // it is over, or the store cannot be read
		return
	}
	l.typed(t, srv, v.ID, i, m.Code.Reveal())
}

// typed types codes.
func (l *Load) typed(t testing.TB, srv *server, v id.ID, i int, code string) {
	wrong := "0" + code[1:]
	if code[0] == '0' {
		wrong = "1" + code[1:]
	}
	attempts := 0
	for _, typed := range [][]string{{code}, {wrong, code}, {wrong, wrong}}[i%3] {
		a, err := srv.Check(t.Context(), l.caller, verify.CheckRequest{ID: v, Code: typed})
		if !l.answered(t, err) {
			return
		}
		switch a.Result {
		case verify.ResultIncorrect:
			attempts++
			l.tell(Ack{Verification: v, Attempts: attempts})
		case verify.ResultApproved:
			l.tell(Ack{Verification: v, Attempts: attempts, Status: verify.Approved, Code: code})
		case verify.ResultExpired, verify.ResultExhausted, verify.ResultCanceled, verify.ResultUsed:
			return
		}
	}
}

func (l *Load) tell(a Ack) {
	l.acks.Add(1)
	l.say(a)
}

// answered reports whether a request has been done. What is refused must be refused as unavailable, or because another
// start has superseded what it is about.
func (l *Load) answered(t testing.TB, err error) bool {
	switch {
	case err == nil:
		return true
	case unavailable(err):
		l.denied.Add(1)
	case !errors.Is(err, &verify.Error{Code: verify.CodeNotPending}):
		t.Errorf("a request was refused: %v", err)
	}
	return false
}

func unavailable(err error) bool { return errors.Is(err, &verify.Error{Code: verify.CodeUnavailable}) }

// Judge returns what is wrong with a store that was opened on an image: everything that had been acknowledged is there,
// each message that is not settled has its job, an approval is not given again, and the store takes work.
func (l *Load) Judge(t testing.TB, s Store, acked []Ack) (faults []string) {
	t.Helper()
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	for _, a := range acked {
		v, err := s.Find(t.Context(), a.Verification)
		switch {
		case err != nil:
			fault("%x cannot be read: %v", a.Verification, err)
		case v == nil:
			fault("%x was acknowledged and is gone", a.Verification)
		case a.Status != "" && v.Status != a.Status:
			fault("%x was %s and is %s", a.Verification, a.Status, v.Status)
		case v.Attempts < a.Attempts:
			fault("%x: %d wrong codes were counted, now %d", a.Verification, a.Attempts, v.Attempts)
		}
	}
	l.judgeJobs(t, s, fault)
	l.judgeService(t, s, acked, fault)
	return faults
}

// judgeJobs holds the messages against the jobs.
func (l *Load) judgeJobs(t testing.TB, s Store, fault func(string, ...any)) {
	var unsettled []*verify.Verification
	now := time.Now()
	err := s.Scan(t.Context(), l.caller.App.ID, id.ID{}, func(v *verify.Verification) bool {
		if v.At(now) == verify.Pending {
			unsettled = append(unsettled, v)
		}
		return true
	})
	if err != nil {
		fault("the verifications cannot be read: %v", err)
	}
	jobs, err := s.Claim(t.Context(), now.Add(24*time.Hour), verify.JobKind, 1<<20, time.Minute)
	if err != nil {
		fault("the jobs cannot be claimed: %v", err)
	}
	held := map[id.ID]bool{}
	for _, j := range jobs {
		held[j.ID] = true
		if len(j.Payload) == len(id.ID{}) {
			held[id.ID(j.Payload)] = true
		}
	}
	for _, v := range unsettled {
		for _, d := range v.Deliveries {
			if (d.Status == channel.Sending || d.Status == channel.Queued) && !held[d.ID] {
				fault("message %x of %x is %s and has no job", d.ID, v.ID, d.Status)
			}
		}
	}
}

// judgeService asks for what was approved again, and for something new.
func (l *Load) judgeService(t testing.TB, s Store, acked []Ack, fault func(string, ...any)) {
	srv, err := l.serve(t, s)
	if err != nil {
		fault("it cannot be served: %v", err)
		return
	}
	asked := 0
	for i := len(acked) - 1; i >= 0 && asked < 3; i-- {
		if a := acked[i]; a.Status == verify.Approved {
			asked++
			if again, err := srv.Check(t.Context(), l.caller,
				verify.CheckRequest{ID: a.Verification, Code: a.Code}); err != nil || again.Result == verify.ResultApproved {
				fault("%x was approved, and is %s again: %v", a.Verification, again.Result, err)
			}
		}
	}
	v, err := srv.Start(t.Context(), l.caller, verify.StartRequest{To: "+447700900999"})
	if err != nil {
		fault("it takes no start: %v", err)
		return
	}
	if kept, err := s.Find(t.Context(), v.ID); err != nil || kept == nil {
		fault("a new start is not there: %v", err)
	}
}

// carrier takes messages. It takes its time, so that some are on their way at each moment.
type carrier struct{ calls atomic.Int64 }

func (*carrier) Channels() []channel.Kind { return []channel.Kind{channel.SMS} }

func (c *carrier) Send(context.Context, channel.Message) (channel.Accepted, error) {
	n := c.calls.Add(1)
	time.Sleep(time.Duration(n%4) * time.Millisecond)
	switch n % 10 {
	case 3:
		return channel.Accepted{}, &channel.Error{Kind: channel.Unavailable, Provider: "test", Code: "away"}
	case 6:
		return channel.Accepted{}, &channel.Error{Kind: channel.MaybeSent, Provider: "test", Code: "lost"}
	}
	return channel.Accepted{ID: "taken"}, nil
}

// dispatcher hands the jobs that verify makes to what runs them, as app does.
type dispatcher struct{ *queue.Runner[deliver.Work] }

// Reserve implements verify.Dispatcher.
func (d dispatcher) Reserve() bool { return d.Runner.Reserve(verify.JobKind) }

// Release implements verify.Dispatcher.
func (d dispatcher) Release() { d.Runner.Release(verify.JobKind) }

// Dispatch implements verify.Dispatcher.
func (d dispatcher) Dispatch(j queue.Job, m *verify.Made) {
	d.Runner.Dispatch(j, deliver.Fresh((*deliver.Made)(m)))
}

// composer hands deliver the messages that verify makes, as app does.
type composer struct{ verify.Composer }

// Compose implements deliver.Composer.
func (c composer) Compose(ctx context.Context, ref id.ID, d channel.Delivery) (deliver.Composed, error) {
	m, test, open, err := c.Composer.Compose(ctx, ref, d)
	return deliver.Composed{Message: m, Test: test, Open: open}, err
}

// uncounted is metrics that count nothing.
type uncounted struct{}

func (uncounted) Started(*application.Application, channel.Kind, string) {}
func (uncounted) Checked(*application.Application, verify.Result)        {}
func (uncounted) Limited(string)                                         {}
func (uncounted) Delivery(string, channel.Kind, channel.Status)          {}
func (uncounted) Accepted(string, channel.Kind, time.Duration)           {}
func (uncounted) Failed(string, channel.ErrorKind)                       {}
