package webhook_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	oracle "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/keyring"
	"github.com/dialproof/dialproof/internal/store"
	"github.com/dialproof/dialproof/internal/store/sqlite"
	"github.com/dialproof/dialproof/internal/webhook"
)

// internet is names, their addresses, and servers behind them. Connections are pipes, and time is the bubble's.
type internet struct {
	mu      sync.Mutex
	address map[string]func() string // what a name is resolved to now
	servers map[string]*pipes
	dialled map[string]int // by address
}

// pipes is a listener that a dialer feeds.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.IPAddr{} }

// host puts a server behind a name.
func (n *internet) host(t *testing.T, name, address string, h http.HandlerFunc) {
	p := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
	n.address[name], n.servers[name] = func() string { return address }, p
	s := &http.Server{Handler: h}
	go s.Serve(p)
	t.Cleanup(func() { s.Close() })
}

// dial does what net.Dialer does: it resolves the name, asks, and connects.
func (n *internet) dial(ctx context.Context, network, target string) (net.Conn, error) {
	name, port, err := net.SplitHostPort(target)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	resolve, server := n.address[name], n.servers[name]
	n.mu.Unlock()
	if resolve == nil {
		return nil, &net.OpError{
			Op:  "dial",
			Net: network,
			Err: &net.DNSError{Err: "no such host", Name: name, IsNotFound: true},
		}
	}
	address := resolve()
	if err := webhook.PublicControl(network, net.JoinHostPort(address, port)); err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	n.mu.Lock()
	n.dialled[address]++
	n.mu.Unlock()
	here, there := net.Pipe()
	select {
	case server.conns <- there:
		return here, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// receiver is an application's side. It checks every signature by the public library.
type receiver struct {
	t      *testing.T
	oracle *oracle.Webhook
	answer func(n int, w http.ResponseWriter, r *http.Request) // n counts the requests from 1

	mu    sync.Mutex
	calls int
	tries map[string]int           // by event
	late  map[string]time.Duration // how long after its making an event was taken
	made  map[string]time.Time
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	text, err := io.ReadAll(q.Body)
	if err == nil {
		err = r.oracle.Verify(text, q.Header)
	}
	if err != nil {
		r.t.Errorf("an event that the library does not believe: %v", err)
	}
	event := q.Header.Get("Webhook-Id")
	r.mu.Lock()
	r.calls++
	n := r.calls
	r.tries[event]++
	r.late[event] = time.Since(r.made[event])
	r.mu.Unlock()
	if r.answer != nil {
		r.answer(n, w, q)
	}
}

// world is endpoints on an internet, on a real store.
type world struct {
	*internet
	db     *store.DB
	hooks  *webhook.Directory
	ids    *id.Source
	counts *counts
	all    map[string]*receiver
	end    map[string]webhook.Endpoint
}

// counts are the metrics.
type counts struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *counts) Webhook(result string) { c.mu.Lock(); c.n[result]++; c.mu.Unlock() }

// folder returns a folder for a store, in memory where that can be had: these tests wait for ten thousands of commits,
// and how a disk keeps them is not what they are about.
func folder(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "dialproof-") //nolint:usetesting // t.TempDir is on the disk
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func newWorld(t *testing.T) *world {
	e, err := sqlite.Open(t.Context(), filepath.Join(folder(t), "dialproof.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	db := store.New(e, nil)
	t.Cleanup(func() { db.Close() })
	ring, err := keyring.New([]keyring.Key{{ID: 1, Secret: []byte("0123456789abcdef0123456789abcdef")}})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		internet: &internet{address: map[string]func() string{}, servers: map[string]*pipes{}, dialled: map[string]int{}},
		db:       db,
		ids:      id.NewSource(id.ID{}),
		counts:   &counts{n: map[string]int{}},
		all:      map[string]*receiver{},
		end:      map[string]webhook.Endpoint{},
	}
	w.hooks, err = webhook.Open(t.Context(), webhook.Options{Store: db, Ring: ring, IDs: w.ids, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// endpoint makes an endpoint at a name of its own.
func (w *world) endpoint(t *testing.T, name, address string,
	answer func(n int, w http.ResponseWriter, r *http.Request)) *receiver {
	t.Helper()
	e, secret, err := w.hooks.Create(t.Context(), webhook.Endpoint{App: id.ID{1}, URL: "https://" + name + "/hook"})
	if err != nil {
		t.Fatal(err)
	}
	library, err := oracle.NewWebhook(secret.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	r := &receiver{
		t:      t,
		oracle: library,
		answer: answer,
		tries:  map[string]int{},
		late:   map[string]time.Duration{},
		made:   map[string]time.Time{},
	}
	w.host(t, name, address, r.ServeHTTP)
	w.all[name], w.end[name] = r, e
	return r
}

// run sends until the bubble has slept for a time.
func (w *world) run(t *testing.T, d time.Duration) {
	t.Helper()
	sender := webhook.NewTestSender(w.dial)
	h := &webhook.Handler{
		Lanes:   &webhook.Lanes{Directory: w.hooks, Workers: 64},
		Sender:  sender,
		Log:     slog.New(slog.DiscardHandler),
		Metrics: w.counts,
		Agent:   "test",
		Expire:  func(context.Context, id.ID) error { return nil },
	}
	// Looking every ten seconds for days is most of the work.
	r := h.Runner(nil, max(10*time.Second, d/10_000))
	r.Start()
	time.Sleep(d)
	if err := r.Stop(time.Minute); err != nil {
		t.Error(err)
	}
	sender.Close()
}

// write writes n events to every endpoint.
func (w *world) write(t *testing.T, n int) {
	t.Helper()
	for name, e := range w.end {
		var rows []webhook.Event
		for range n {
			one, err := w.hooks.Write([]*webhook.Endpoint{&e},
				webhook.News{Kind: webhook.Started, Ref: w.ids.New(time.Now()), Sequence: 1, Data: []byte(`{"status":"pending"}`)})
			if err != nil {
				t.Fatal(err)
			}
			w.all[name].made[one[0].Event.Text(id.Event)] = time.Now()
			rows = append(rows, one...)
		}
		if err := w.db.AddEvents(t.Context(), rows); err != nil {
			t.Fatal(err)
		}
	}
}

// states counts the events of an endpoint by what became of them.
func (w *world) states(t *testing.T, name string) map[webhook.State]int {
	t.Helper()
	out := map[webhook.State]int{}
	all, err := w.db.Events(t.Context(), w.end[name].ID, webhook.Page{Limit: 100_000})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		out[e.State]++
	}
	return out
}

// TestManyEvents: of endpoints that hang, fail for a while, redirect to a metadata service, are gone, or have a name
// that begins to lead inside, none disturbs the others; each event is delivered exactly as often as it should be;
// nothing goes to an address that is not public. 10,000 events with DIALPROOF_SOAK=1, else a thousand.
func TestManyEvents(t *testing.T) {
	t.Parallel()
	n := 100 // for each of ten endpoints
	if os.Getenv("DIALPROOF_SOAK") != "" {
		n = 1000
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		begin := time.Now()
		healthy := []string{"a.example", "b.example", "c.example", "d.example", "e.example"}
		for i, name := range healthy {
			w.endpoint(t, name, fmt.Sprintf("93.184.216.%d", i+1), nil)
		}
		w.endpoint(t, "hangs.example", "93.184.216.10",
			func(_ int, _ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		w.endpoint(t, "fails.example", "93.184.216.11", func(_ int, w http.ResponseWriter, _ *http.Request) {
			if time.Since(begin) < 10*time.Minute {
				w.WriteHeader(http.StatusInternalServerError)
			}
		})
		w.endpoint(t, "redirects.example", "93.184.216.12", func(_ int, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://169.254.169.254/latest/meta-data/")
			w.WriteHeader(http.StatusFound)
		})
		w.endpoint(t, "gone.example", "93.184.216.13",
			func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) })
		w.endpoint(t, "inside.example", "93.184.216.14", nil)
		w.address["inside.example"] = func() string { return "10.0.0.5" } // it was another one when the endpoint was made
		w.write(t, n)
		w.run(t, 6*24*time.Hour)

		for _, name := range healthy {
			slowest := slices.Max(values(w.all[name].late))
			if got := w.states(t, name); got[webhook.Delivered] != n || w.all[name].calls != n || slowest > 5*time.Second {
				t.Errorf("%s: %v, %d calls, the last after %v", name, got, w.all[name].calls, slowest)
			}
		}
		w.wantTries(t, "fails.example", n, webhook.Delivered, 2, webhook.MaxTries)
		w.wantTries(t, "hangs.example", n, webhook.Dead, webhook.MaxTries, webhook.MaxTries)
		w.wantTries(t, "redirects.example", n, webhook.Dead, webhook.MaxTries, webhook.MaxTries)
		if got, calls := w.states(t, "gone.example"), w.all["gone.example"].calls; calls < 1 || calls > 8 ||
			got[webhook.Dead] != calls || got[webhook.Pending] != n-calls {
			t.Errorf("gone: %v after %d calls", got, calls)
		}
		if e, err := w.hooks.Endpoint(w.end["gone.example"].ID); err != nil || e.Enabled() || e.Reason != webhook.ByGone {
			t.Errorf("gone: %+v, %v", e, err)
		}
		if got := w.states(t, "inside.example"); got[webhook.Dead] != n || w.all["inside.example"].calls != 0 {
			t.Errorf("inside: %v, %d calls", got, w.all["inside.example"].calls)
		}
		for address := range w.dialled {
			if !strings.HasPrefix(address, "93.184.216.") {
				t.Errorf("there was a connection to %s", address)
			}
		}
		t.Logf("%d events; attempts by result: %v", n*len(w.all), w.counts.n)
	})
}

// wantTries holds how an endpoint's events ended, and after how many attempts each.
func (w *world) wantTries(t *testing.T, name string, n int, s webhook.State, least, most int) {
	t.Helper()
	if got := w.states(t, name); got[s] != n {
		t.Errorf("%s: %v, want %d %s", name, got, n, s)
	}
	for event, tries := range w.all[name].tries {
		if tries < least || tries > most {
			t.Errorf("%s: %s was tried %d times", name, event, tries)
		}
	}
	if len(w.all[name].tries) != n {
		t.Errorf("%s: %d events came", name, len(w.all[name].tries))
	}
}

func values[K comparable, V any](m map[K]V) (out []V) {
	for _, v := range m {
		out = append(out, v)
	}
	return out
}
