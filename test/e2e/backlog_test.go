package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/pgtest"
)

// counter is a carrier that takes its time and knows which deliveries it has taken, and when.
type counter struct {
	*httptest.Server
	delay atomic.Int64
	mu    sync.Mutex
	taken map[string][]time.Time // by delivery
}

func newCounter(t testing.TB, delay time.Duration) *counter {
	t.Helper()
	c := &counter{taken: map[string][]time.Time{}}
	c.delay.Store(int64(delay))
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var m struct {
			Data sunk `json:"data"`
		}
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		select {
		case <-time.After(time.Duration(c.delay.Load())):
		case <-r.Context().Done(): // whoever has hung up before the end has not handed it over
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.taken[m.Data.Delivery] = append(c.taken[m.Data.Delivery], time.Now())
	}))
	t.Cleanup(c.Close)
	return c
}

// twice returns how many messages came again.
func (c *counter) twice() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, at := range c.taken {
		n += len(at) - 1
	}
	return n
}

// flood is a node that gets more starts than its carrier takes, and what was acknowledged of them.
type flood struct {
	*deployment
	carrier *counter
	keys    []string // of applications, which have a limited stock of numbers each
	next    atomic.Int64
	mu      sync.Mutex
	started map[string]acknowledged // by delivery
}

// acknowledged is a start that was answered with 201.
type acknowledged struct{ verification, key string }

// stock is how many numbers for fiction an application has.
const stock = 9_900

// newFlood deploys a node that is to get so many starts at most.
func newFlood(t *testing.T, delay time.Duration, store string, starts int, extra string) *flood {
	t.Helper()
	f := &flood{carrier: newCounter(t, delay), started: map[string]acknowledged{}}
	f.deployment = deploy(t, f.carrier.URL, noLimits+store+extra)
	f.keys = []string{f.key}
	for i := 1; i <= starts/stock; i++ {
		name := fmt.Sprintf("shop-%d", i)
		f.run(t, "app", "create", "--config", f.config, "--name", name, "--brand", "Shop")
		f.keys = append(f.keys,
			secretIn(t,
				f.run(t, "key", "create", "--config", f.config, "--app", name, "--name", "tests", "--mode", "test", "--scope",
					"verify,read")))
	}
	return f
}

// start asks for one verification.
func (f *flood) start(c *client) {
	n := int(f.next.Add(1)) - 1
	if n/stock >= len(f.keys) {
		return
	}
	as := client{url: c.url, key: f.keys[n/stock], http: c.http}
	a, err := as.try(http.MethodPost, "/v1/verifications", map[string]any{"to": drama(n % stock)})
	if err != nil || a.status != http.StatusCreated {
		return
	}
	var v struct {
		ID         string                `json:"id"`
		Deliveries []struct{ ID string } `json:"deliveries"`
	}
	if json.Unmarshal(a.body, &v) != nil || len(v.Deliveries) == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.started[v.Deliveries[0].ID] = acknowledged{v.ID, as.key}
}

// pour starts so many verifications a second, by 32 clients, until stop is closed.
func (f *flood) pour(t *testing.T, p *process, rate int, stop <-chan struct{}) {
	t.Helper()
	c := &client{
		url:  p.url,
		http: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}},
	}
	defer c.http.CloseIdleConnections()
	tokens := make(chan struct{})
	var clients sync.WaitGroup
	for range 32 {
		clients.Go(func() {
			for range tokens {
				f.start(c)
			}
		})
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	begun, sent := time.Now(), 0
	for running := true; running; {
		select {
		case <-stop:
			running = false
		case <-tick.C:
			for ; running && sent < int(time.Since(begun).Seconds()*float64(rate)); sent++ {
				select {
				case tokens <- struct{}{}:
				case <-stop:
					running = false
				}
			}
		}
	}
	close(tokens)
	clients.Wait()
}

// killAfter serves and kills the node after a time under the load of so many starts a second.
func (f *flood) killAfter(t *testing.T, life time.Duration, rate int) {
	t.Helper()
	p := f.serve(t)
	stop := make(chan struct{})
	time.AfterFunc(life, func() { p.kill(); close(stop) })
	f.pour(t, p, rate, stop)
}

// killAt serves and kills the node as soon as so many more starts have been acknowledged.
func (f *flood) killAt(t *testing.T, more int) {
	t.Helper()
	p := f.serve(t)
	stop := make(chan struct{})
	before := f.acknowledged()
	var watch sync.WaitGroup
	watch.Go(func() {
		defer close(stop)
		defer p.kill()
		for range 2_000 {
			if f.acknowledged() >= before+more {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	})
	f.pour(t, p, 400, stop)
	watch.Wait()
}

func (f *flood) acknowledged() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.started)
}

// unsent returns the deliveries that were acknowledged and have not come.
func (f *flood) unsent() (out []string) {
	f.carrier.mu.Lock()
	defer f.carrier.mu.Unlock()
	for d := range f.started {
		if len(f.carrier.taken[d]) == 0 {
			out = append(out, d)
		}
	}
	return out
}

// lost returns how many of the deliveries are without a message and without a final status.
func (f *flood) lost(t *testing.T, p *process, unsent []string) (n int) {
	t.Helper()
	c := client{url: p.url, http: http.DefaultClient}
	for _, d := range unsent {
		c.key = f.started[d].key
		var v struct {
			Status     string                        `json:"status"`
			Deliveries []struct{ ID, Status string } `json:"deliveries"`
		}
		c.call(t, http.StatusOK, http.MethodGet, "/v1/verifications/"+f.started[d].verification, nil).into(t, &v)
		if v.Status != "pending" {
			continue
		}
		for _, found := range v.Deliveries {
			if found.ID == d && (found.Status == "sending" || found.Status == "queued") {
				n++
			}
		}
	}
	return n
}

// perMessage is how long a message may take that waits behind others once the carrier is well. A busy machine sends
// some hundreds a second.
const perMessage = 20 * time.Millisecond

// settle holds that within a time of the start of a node whose carrier is well, and a time for each message that waits,
// everything that was acknowledged has come or is over, and returns how long that took.
func (f *flood) settle(t *testing.T, p *process, begun time.Time, within time.Duration) time.Duration {
	t.Helper()
	within += time.Duration(len(f.unsent())) * perMessage
	for {
		unsent := f.unsent()
		if len(unsent) == 0 {
			return time.Since(begun)
		}
		late := time.Since(begun) > within
		if len(unsent) < 50 || late {
			lost := f.lost(t, p, unsent)
			if lost == 0 {
				return time.Since(begun)
			}
			if late {
				t.Errorf("%d of %d acknowledged starts have neither a message nor an end %s after the node was started again\n%s",
					lost, len(f.started), within, p.log)
				return time.Since(begun)
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// backlog is one combination of TestBacklog.
type backlog struct {
	delay   time.Duration
	workers int // 0: the default
	rate    int // starts a second, more than the carrier takes
	long    bool
}

// backlogs are the combinations; those that are not long run in the short form too.
func backlogs() []backlog {
	return []backlog{
		{500 * time.Millisecond, 16, 60, true},
		{time.Second, 16, 60, false},
		{2 * time.Second, 16, 60, true},
		{9 * time.Second, 16, 60, false},
		{500 * time.Millisecond, 0, 200, true},
		{time.Second, 0, 200, true},
		{2 * time.Second, 0, 200, false},
		{9 * time.Second, 0, 200, true},
	}
}

// leased is after how long at most a job comes back whose node is dead, where other nodes cannot know that: its lease,
// or a longer one with which a call was begun late.
const leased = 30 * time.Second

// TestBacklog kills a node that has had more starts than its carrier takes for a while, and starts it again with a
// carrier that is well: every start that was acknowledged has its message within seconds on SQLite, and within a lease
// and a call on PostgreSQL, where the node that comes back cannot know that the one before is dead.
func TestBacklog(t *testing.T) {
	t.Parallel()
	life, atOnce := 4*time.Second, 4
	if soak() {
		life, atOnce = soakLife(t), 2 // the machine must be able to take the load
	}
	pg := pgtest.Start(t)
	room := make(chan struct{}, atOnce)
	for _, b := range backlogs() {
		if b.long && !soak() {
			continue
		}
		for _, engine := range []string{"sqlite", "postgres"} {
			if !soak() && engine == "postgres" && b.workers != 16 {
				continue
			}
			t.Run(fmt.Sprintf("%s, %s, %d workers", engine, b.delay, b.workers), func(t *testing.T) {
				t.Parallel()
				store, within := "", 20*time.Second
				if engine == "postgres" {
					store, within = postgresStore(pg.Fresh()), leased+10*time.Second+20*time.Second
				}
				room <- struct{}{}
				defer func() { <-room }()
				b.run(t, store, life, within)
			})
		}
	}
}

// soakLife is how long the load of one combination lasts in the long form: DIALPROOF_BACKLOG, or five minutes.
func soakLife(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("DIALPROOF_BACKLOG")
	if text == "" {
		return 5 * time.Minute
	}
	life, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return life
}

func postgresStore(dsn string) string {
	return fmt.Sprintf("store: {driver: postgres, dsn: %q}\n", dsn)
}

func (b backlog) run(t *testing.T, store string, life, within time.Duration) {
	extra := ""
	if b.workers > 0 {
		extra = fmt.Sprintf("queue: {workers: %d}\n", b.workers)
	}
	f := newFlood(t, b.delay, store, int(life.Seconds()*float64(b.rate)), extra)
	f.killAfter(t, life, b.rate)
	waiting := len(f.unsent())
	f.carrier.delay.Store(int64(5 * time.Millisecond))
	p := f.serve(t)
	took := f.settle(t, p, time.Now(), within)
	t.Logf("acknowledged %d, without a message at the kill %d, sent twice %d; the last one came after %s",
		len(f.started), waiting, f.carrier.twice(), took.Round(100*time.Millisecond))
	if waiting < 40 {
		t.Errorf("%d messages waited at the kill: there was no backlog", waiting)
	}
}

// TestKilledTwelveTimes kills a node twelve times, each time after a few starts, so that it dies just after it has
// claimed what the one before had left: the last message comes within seconds on SQLite, and within the longest lease
// and a call on PostgreSQL.
func TestKilledTwelveTimes(t *testing.T) {
	t.Parallel()
	pg := pgtest.Start(t)
	for _, c := range []struct {
		name    string
		store   string
		delay   time.Duration
		timeout string
		within  time.Duration
	}{
		{"sqlite, 5 ms", "", 5 * time.Millisecond, "10s", 20 * time.Second},
		{"sqlite, 2 s, route with a time-out of 30 s", "", 2 * time.Second, "30s", 20 * time.Second},
		{"postgres, 5 ms", postgresStore(pg.Fresh()), 5 * time.Millisecond, "10s", leased + 10*time.Second + 20*time.Second},
		{"postgres, 2 s, route with a time-out of 30 s", postgresStore(pg.Fresh()), 2 * time.Second, "30s", leased +
			30*time.Second + 20*time.Second},
	} {
		if !soak() && strings.HasPrefix(c.name, "postgres, 2 s") {
			continue // it takes a minute
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := newFlood(t, c.delay, c.store, 9_000, "")
			f.timeOut(t, c.timeout)
			for i := range 12 {
				f.killAt(t, 10+20*(i%4))
			}
			f.carrier.delay.Store(int64(5 * time.Millisecond))
			waiting := len(f.unsent())
			p := f.serve(t)
			took := f.settle(t, p, time.Now(), c.within)
			t.Logf("acknowledged %d, without a message at the last kill %d, sent twice %d; the last one came after %s",
				len(f.started), waiting, f.carrier.twice(), took.Round(100*time.Millisecond))
			if len(f.started) < 400 {
				t.Errorf("%d starts: the load is too small to show anything", len(f.started))
			}
		})
	}
}

// timeOut sets the time-out of the route.
func (f *flood) timeOut(t *testing.T, timeout string) {
	t.Helper()
	text, err := os.ReadFile(f.config)
	if err != nil {
		t.Fatal(err)
	}
	with := strings.Replace(string(text), "    test: true\n", "    test: true\n    timeout: "+timeout+"\n", 1)
	if err := os.WriteFile(f.config, []byte(with), 0o600); err != nil {
		t.Fatal(err)
	}
}
