package deliver_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/deliver"
	"github.com/dialproof/dialproof/internal/deliver/delivertest"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/keyring"
	"github.com/dialproof/dialproof/internal/phone"
	"github.com/dialproof/dialproof/internal/queue"
)

// carrier is a sender that does what its script says, and after its end takes everything.
type carrier struct {
	mu     sync.Mutex
	script []error
	calls  []channel.Message
	status channel.Status
	during func()
	byID   bool
	asks   func(channel.Callback)
}

func (c *carrier) ReceiptsByID() bool { return c.byID }

func (*carrier) Channels() []channel.Kind { return []channel.Kind{channel.SMS} }

func (c *carrier) Send(_ context.Context, m channel.Message) (channel.Accepted, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, m)
	if c.during != nil {
		c.during()
	}
	if len(c.script) > 0 {
		err := c.script[0]
		c.script = c.script[1:]
		if err != nil {
			return channel.Accepted{}, err
		}
	}
	return channel.Accepted{ID: "p-1", Parts: 1, Status: c.status}, nil
}

func (c *carrier) Receipts(_ context.Context, r channel.Callback) ([]channel.Receipt, error) {
	if c.asks != nil {
		c.asks(r)
	}
	if r.Header.Get("Signature") == "forged" {
		return nil, &channel.Error{Kind: channel.Refused, Provider: "fake", Code: "signature"}
	}
	if r.Header.Get("Signature") == "not known yet" {
		return nil, &channel.Error{Kind: channel.Unavailable, Provider: "fake", Code: "certificate"}
	}
	return []channel.Receipt{{
		Token:      r.Header.Get("Token"),
		ProviderID: "p-1",
		Status:     channel.Status(r.Body),
		Code:       "0",
		Price:      "0.01",
		Currency:   "EUR",
	}}, nil
}

// always composes one message.
type always struct {
	to     phone.Number
	closed bool
	err    error
}

func (a always) Compose(_ context.Context, _ id.ID, d channel.Delivery) (deliver.Composed, error) {
	return deliver.Composed{Message: channel.Message{Channel: d.Channel, To: a.to}, Open: !a.closed}, a.err
}

func (a always) Number(context.Context, id.ID) (phone.Number, error) { return a.to, a.err }

type uncounted struct{}

func (uncounted) Delivery(string, channel.Kind, channel.Status) {}
func (uncounted) Accepted(string, channel.Kind, time.Duration)  {}
func (uncounted) Failed(string, channel.ErrorKind)              {}

// bench is a handler with three routes a, b and c.
type bench struct {
	*deliver.Handler
	shelf    *delivertest.Shelf
	carriers map[string]*carrier
	job      queue.Job
	now      time.Time
}

func newBench(t *testing.T) *bench {
	t.Helper()
	to, err := phone.Parse("+447700900123", "")
	if err != nil {
		t.Fatal(err)
	}
	ring, err := keyring.New([]keyring.Key{{ID: 1, Secret: keyring.NewSecret()}})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{
		now:      time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC),
		carriers: map[string]*carrier{},
		shelf:    delivertest.NewShelf(),
	}
	ids := id.NewSource(id.ID{})
	var routes []*deliver.Route
	for i, name := range []string{"a", "b", "c"} {
		c := &carrier{}
		b.carriers[name] = c
		routes = append(routes, &deliver.Route{
			Name:     name,
			Provider: "fake",
			Sender:   c,
			Priority: i,
			Timeout:  time.Second,
			Slots:    make(chan struct{}, 4),
		})
	}
	b.Handler = &deliver.Handler{
		Store:     b.shelf,
		Composer:  always{to: to},
		Routes:    deliver.NewRoutes(routes),
		IDs:       ids,
		Now:       func() time.Time { return b.now },
		Log:       slog.New(slog.DiscardHandler),
		Metrics:   uncounted{},
		Lease:     30 * time.Second,
		Callbacks: &deliver.Callbacks{Ring: ring, PublicURL: "https://verify.example.com"},
	}
	b.renew("a")
	return b
}

// renew makes a new parcel and its job on a route.
func (b *bench) renew(route string) {
	b.shelf.Lock()
	defer b.shelf.Unlock()
	ids := b.IDs
	ref := ids.New(b.now)
	d := channel.Delivery{
		ID:      ids.New(b.now),
		Channel: channel.SMS,
		Route:   route,
		Status:  channel.Sending,
		Attempt: 1,
		Created: b.now,
		Updated: b.now,
	}
	b.job = queue.Job{ID: d.ID, Kind: "deliver", Ref: ref, Attempt: 1, Due: b.now.Add(30 * time.Second)}
	b.shelf.Parcels[ref] = deliver.Parcel{
		Ref:        ref,
		Open:       true,
		Expires:    b.now.Add(5 * time.Minute),
		Deliveries: []channel.Delivery{d},
	}
	b.shelf.Jobs[b.job.ID] = b.job
}

func fault(k channel.ErrorKind) error { return &channel.Error{Kind: k, Provider: "fake", Code: "x"} }

// deliveries returns "route status" for each.
func (b *bench) deliveries() (out []string) {
	b.shelf.Lock()
	defer b.shelf.Unlock()
	for _, d := range b.shelf.Parcels[b.job.Ref].Deliveries {
		out = append(out, d.Route+" "+string(d.Status))
	}
	return out
}

// TestErrorKindsDecide is the table of what follows each kind of error.
func TestErrorKindsDecide(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		a, b []error
		want []string
		open int // jobs left
	}{
		{"taken", nil, nil, []string{"a accepted"}, 0},
		{"unavailable goes on", []error{fault(channel.Unavailable)}, nil, []string{"a failed", "b accepted"}, 0},
		{"refused goes on", []error{fault(channel.Refused)}, nil, []string{"a failed", "b accepted"}, 0},
		{"throttled moves on", []error{fault(channel.Throttled)}, nil, []string{"a failed", "b accepted"}, 0},
		{"twice", []error{fault(channel.Unavailable)}, []error{fault(channel.Refused)},
			[]string{"a failed", "b failed", "c accepted"}, 0},
		{"rejected ends", []error{fault(channel.Rejected)}, nil, []string{"a failed"}, 0},
		{"unknown never doubles", []error{fault(channel.MaybeSent)}, nil, []string{"a unknown"}, 0},
		{"an error of no kind is unknown", []error{errors.New("planted")}, nil, []string{"a unknown"}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.carriers["a"].script, b.carriers["b"].script = c.a, c.b
			if _, err := b.Run(t.Context(), b.job, deliver.Work{}); err != nil {
				t.Fatal(err)
			}
			if got := b.deliveries(); !slices.Equal(got, c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
			if len(b.shelf.Jobs) != c.open {
				t.Errorf("%d jobs are left, want %d", len(b.shelf.Jobs), c.open)
			}
		})
	}
}

// TestAllDeadThenHealed lets every route fail for a minute. The message waits, the record does not grow, and it
// leaves with the first round after the routes heal.
func TestAllDeadThenHealed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	dead := slices.Repeat([]error{fault(channel.Unavailable)}, 200)
	for _, c := range b.carriers {
		c.script = slices.Clone(dead)
	}
	end := b.now.Add(time.Minute)
	job := b.job
	for rounds := 0; ; rounds++ {
		if _, err := b.Run(t.Context(), job, deliver.Work{}); err != nil {
			t.Fatal(err)
		}
		kept, waiting := b.shelf.Jobs[b.job.ID]
		if !waiting {
			break
		}
		if wait := kept.Due.Sub(b.now); wait > 5*time.Second || wait <= 0 {
			t.Fatalf("round %d waits %s", rounds, wait)
		}
		b.now = kept.Due
		if b.now.After(end) {
			for _, c := range b.carriers {
				c.script = nil
			}
		}
		kept.Attempt++
		kept.Due = b.now.Add(30 * time.Second)
		b.shelf.Jobs[kept.ID] = kept
		job = kept
	}
	got := b.deliveries()
	if len(got) > 3 || got[len(got)-1] != "a accepted" {
		t.Errorf("%v", got)
	}
	if b.now.Sub(end) > 6*time.Second {
		t.Errorf("left %s after healing", b.now.Sub(end))
	}
}

// TestAllDeadToTheEnd lets the deadline pass while every route is down: the record says that the message was given up,
// and why it could not be sent.
func TestAllDeadToTheEnd(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, c := range b.carriers {
		c.script = slices.Repeat([]error{fault(channel.Unavailable)}, 10)
	}
	if _, err := b.Run(t.Context(), b.job, deliver.Work{}); err != nil {
		t.Fatal(err)
	}
	b.now = b.now.Add(6 * time.Minute)
	b.Composer = always{closed: true}
	kept := b.shelf.Jobs[b.job.ID]
	kept.Attempt++
	b.shelf.Jobs[kept.ID] = kept
	if _, err := b.Run(t.Context(), kept, deliver.Work{}); err != nil {
		t.Fatal(err)
	}
	d := b.newest()
	if d.Status != channel.Failed || d.Kind != channel.Unavailable || d.Code != "x" ||
		d.Reason != "given up at the deadline" || len(b.shelf.Jobs) != 0 {
		t.Errorf("%+v, %d jobs", d, len(b.shelf.Jobs))
	}
}

func TestNothingIsSentForWhatIsOver(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Composer = always{closed: true}
	if _, err := b.Run(t.Context(), b.job, deliver.Work{}); err != nil {
		t.Fatal(err)
	}
	if got := b.deliveries(); !slices.Equal(got, []string{"a failed"}) || len(b.carriers["a"].calls) != 0 ||
		len(b.shelf.Jobs) != 0 {
		t.Errorf("%v, %d calls, %d jobs", got, len(b.carriers["a"].calls), len(b.shelf.Jobs))
	}
}

// TestTheFenceHolds lets an older attempt come back after another node has taken the job.
func TestTheFenceHolds(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	newer := b.job
	newer.Attempt = 2
	b.shelf.Jobs[newer.ID] = newer
	if _, err := b.Run(t.Context(), b.job, deliver.Work{}); err != nil {
		t.Fatal(err)
	}
	if len(b.carriers["a"].calls) != 0 || b.deliveries()[0] != "a sending" {
		t.Errorf("the older attempt did %d calls and left %v", len(b.carriers["a"].calls), b.deliveries())
	}
}

// TestARecordThatFailsIsRunAgain breaks the store after the provider took the message: the job stays, and
// with it the promise.
func TestARecordThatFailsIsRunAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Pause = func(_ context.Context, d time.Duration) { b.now = b.now.Add(d) }
	b.carriers["a"].script = []error{nil}
	stop := &breaking{carrier: b.carriers["a"], shelf: b.shelf}
	b.Routes.Replace([]*deliver.Route{{Name: "a", Provider: "fake", Sender: stop, Timeout: time.Second,
		Slots: make(chan struct{}, 1)}}, deliver.Priority)
	if _, err := b.Run(t.Context(), b.job, deliver.Work{}); err == nil {
		t.Fatal("a record that failed was not told")
	}
	b.shelf.Broken = nil
	again := b.shelf.Jobs[b.job.ID]
	again.Attempt++
	b.shelf.Jobs[again.ID] = again
	if _, err := b.Run(t.Context(), again, deliver.Work{}); err != nil {
		t.Fatal(err)
	}
	if got := b.deliveries(); !slices.Equal(got, []string{"a accepted"}) || len(b.carriers["a"].calls) != 2 {
		t.Errorf("%v after %d calls", got, len(b.carriers["a"].calls))
	}
}

// breaking breaks the store once while a message is sent.
type breaking struct {
	*carrier
	shelf *delivertest.Shelf
	once  sync.Once
}

func (c *breaking) Send(ctx context.Context, m channel.Message) (channel.Accepted, error) {
	c.once.Do(func() {
		c.shelf.Lock()
		c.shelf.Broken = errors.New("planted: the disk is full")
		c.shelf.Unlock()
	})
	return c.carrier.Send(ctx, m)
}

func (b *bench) receipt(status channel.Status, change func(token *string, r *channel.Callback)) int {
	token := b.Callbacks.Token("a", b.job.Ref, b.job.ID)
	r := channel.Callback{Method: http.MethodPost, URL: &url.URL{}, Header: http.Header{}, Body: []byte(status)}
	if change != nil {
		change(&token, &r)
	}
	code, _, _ := b.Callback(context.Background(), "a", token, r)
	return code
}

func TestReceipts(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	// Before the provider's answer.
	b.carriers["a"].during = func() {
		if code := b.receipt(channel.Sent, nil); code != http.StatusNoContent {
			t.Errorf("an early receipt: %d", code)
		}
	}
	if _, err := b.Run(t.Context(), b.job, deliver.Work{}); err != nil {
		t.Fatal(err)
	}
	steps := []struct {
		news channel.Status
		want string
	}{
		{channel.Taken, "a sent"}, {channel.Delivered, "a delivered"}, {channel.Delivered, "a delivered"},
		{channel.Sent, "a delivered"}, {channel.Undelivered, "a delivered"}, {"nonsense", "a delivered"},
	}
	for _, s := range steps {
		if code := b.receipt(s.news, nil); code != http.StatusNoContent || b.deliveries()[0] != s.want {
			t.Errorf("after %s: %d, %v, want %s", s.news, code, b.deliveries(), s.want)
		}
	}
	if d := b.shelf.Parcels[b.job.Ref].Deliveries[0]; d.Price != "0.01" || d.Currency != "EUR" || d.ProviderID != "p-1" {
		t.Errorf("the record says %+v", d)
	}
}

// TestAReceiptProvesThatItLeft lets a node die after the send. The receipt comes before the rescue: nothing is
// sent again.
func TestAReceiptProvesThatItLeft(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if code := b.receipt(channel.Sent, nil); code != http.StatusNoContent {
		t.Fatalf("the receipt: %d", code)
	}
	rescued := b.job
	rescued.Attempt = 2
	b.shelf.Jobs[rescued.ID] = rescued
	if _, err := b.Run(t.Context(), rescued, deliver.Work{}); err != nil {
		t.Fatal(err)
	}
	if len(b.carriers["a"].calls) != 0 || len(b.shelf.Jobs) != 0 || b.deliveries()[0] != "a sent" {
		t.Errorf("%d calls, %d jobs, %v", len(b.carriers["a"].calls), len(b.shelf.Jobs), b.deliveries())
	}
}

func TestForgedReceipts(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if _, err := b.Run(t.Context(), b.job, deliver.Work{}); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		want   int
		change func(*string, *channel.Callback)
	}{
		"a guessed token": {http.StatusNotFound,
			func(token *string, _ *channel.Callback) { *token = "B" + (*token)[1:] }},
		"a short token": {http.StatusNotFound, func(token *string, _ *channel.Callback) { *token = (*token)[:20] }},
		"no token":      {http.StatusNotFound, func(token *string, _ *channel.Callback) { *token = "" }},
		"another route's": {http.StatusNotFound,
			func(token *string, _ *channel.Callback) { *token = b.Callbacks.Token("b", b.job.Ref, b.job.ID) }},
		"a wrong signature": {http.StatusForbidden,
			func(_ *string, r *channel.Callback) { r.Header.Set("Signature", "forged") }},
		"no certificate now": {http.StatusServiceUnavailable,
			func(_ *string, r *channel.Callback) { r.Header.Set("Signature", "not known yet") }},
		"another verification": {http.StatusNoContent,
			func(token *string, _ *channel.Callback) { *token = b.Callbacks.Token("a", b.job.ID, b.job.ID) }},
	} {
		if code := b.receipt(channel.Undelivered, c.change); code != c.want || b.deliveries()[0] != "a accepted" {
			t.Errorf("%s: %d, %v, want %d", name, code, b.deliveries(), c.want)
		}
	}
	if code, _, _ := b.Callback(t.Context(), "nowhere", "x", channel.Callback{}); code != http.StatusNotFound {
		t.Errorf("an unknown route: %d", code)
	}
	if n := len(b.Callbacks.Address("a", b.Callbacks.Token("a", b.job.Ref, b.job.ID))); n > 100 {
		t.Errorf("an address of %d characters is too long for some providers", n)
	}
}

// TestFixedAddress sends receipts to the one address of a route: they name their message by our token, or by the
// provider's id, which is then looked up.
func TestFixedAddress(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.carriers["a"].byID = true
	if _, err := b.Run(t.Context(), b.job, deliver.Work{}); err != nil {
		t.Fatal(err)
	}
	address := b.Callbacks.Fixed("a")
	send := func(status channel.Status, token string) int {
		r := channel.Callback{
			Method: http.MethodPost,
			URL:    &url.URL{},
			Header: http.Header{"Token": {token}},
			Body:   []byte(status),
		}
		code, _, _ := b.Callback(t.Context(), "a", address[strings.LastIndex(address, "/")+1:], r)
		return code
	}
	if code := send(channel.Sent, b.Callbacks.Token("a", b.job.Ref, b.job.ID)); code != http.StatusNoContent ||
		b.deliveries()[0] != "a sent" {
		t.Errorf("by token: %d, %v", code, b.deliveries())
	}
	if code := send(channel.Undelivered, "forged"); code != http.StatusNoContent || b.deliveries()[0] != "a sent" {
		t.Errorf("by a token of no message: %d, %v", code, b.deliveries())
	}
	if code := send(channel.Delivered, ""); code != http.StatusNoContent || b.deliveries()[0] != "a delivered" {
		t.Errorf("by the provider's id: %d, %v", code, b.deliveries())
	}
}

// TestALateAnswer lets a sender report by our token with an id that nobody knew yet: from then on the id will do.
func TestALateAnswer(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.carriers["a"].byID = true
	token := b.Callbacks.Token("a", b.job.Ref, b.job.ID)
	if err := b.Report(t.Context(), "a",
		channel.Receipt{Token: token, ProviderID: "p-9", Status: channel.Taken}); err != nil {
		t.Fatal(err)
	}
	if err := b.Report(t.Context(), "a", channel.Receipt{ProviderID: "P-9", Status: channel.Delivered}); err != nil ||
		b.deliveries()[0] != "a delivered" {
		t.Errorf("%v, %v", b.deliveries(), err)
	}
}

// TestLateReceipt lets the carrier report on a message before its id is written down.
func TestLateReceipt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.carriers["a"].byID = true
		if err := b.ReceiveByID(t.Context(), "a", channel.Receipt{ProviderID: "P-1", Status: channel.Delivered}); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Run(t.Context(), b.job, deliver.Work{}); err != nil {
			t.Fatal(err)
		}
		if b.deliveries()[0] != "a accepted" {
			t.Errorf("before its time: %v", b.deliveries())
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if b.deliveries()[0] != "a delivered" {
			t.Errorf("after the wait: %v", b.deliveries())
		}
		if err := b.ReceiveByID(t.Context(), "a",
			channel.Receipt{ProviderID: "never-sent", Status: channel.Delivered}); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute) // and it is given up
		synctest.Wait()
	})
}

// TestACallAsksAgain lets a provider ask what to say when the person has picked up.
func TestACallAsksAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var asked channel.Message
	var open bool
	b.carriers["a"].asks = func(r channel.Callback) {
		var err error
		if asked, open, err = r.Message(t.Context()); err != nil {
			t.Error(err)
		}
	}
	b.receipt(channel.Sent, nil)
	if token := b.Callbacks.Token("a", b.job.Ref, b.job.ID); !open || asked.Token != token || asked.Callback == "" ||
		asked.Delivery == "" {
		t.Errorf("open %t, %+v", open, asked)
	}
	b.Composer = always{closed: true}
	if b.receipt(channel.Sent, nil); open {
		t.Error("a verification that is over is still spoken")
	}
}

func TestPlan(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	to, _ := phone.Parse("+447700900123", "")
	set := func(change func(a, b *deliver.Route)) {
		routes := b.Routes.All()
		x, y := *routes[0], *routes[1]
		change(&x, &y)
		b.Routes.Replace([]*deliver.Route{&x, &y}, deliver.Priority)
	}
	want := func(name string, kind channel.Kind, test bool) {
		t.Helper()
		if got, _, _ := b.Routes.Plan(to, kind, test, ""); got != name {
			t.Errorf("the route is %q, want %q", got, name)
		}
	}
	want("a", channel.SMS, false)
	want("", channel.Voice, false)
	want("", channel.SMS, true)
	set(func(a, _ *deliver.Route) { a.Countries = []string{"FR"} })
	want("b", channel.SMS, false)
	set(func(a, _ *deliver.Route) { a.Countries, a.Prefixes = nil, []string{"+4477"} })
	want("a", channel.SMS, false)
	set(func(a, _ *deliver.Route) { a.Quiet = true })
	want("b", channel.SMS, false)
	set(func(a, b *deliver.Route) { a.Quiet, a.Priority, b.Priority, b.Weight = false, 5, 5, 2 })
	want("b", channel.SMS, false)
	set(func(a, b *deliver.Route) { a.Test, b.Test = true, true })
	want("b", channel.SMS, true)
	want("", channel.SMS, false)
}
