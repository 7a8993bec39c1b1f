package e2e

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/pgtest"
)

// fleet is one or more nodes on one store, run by a supervisor that starts again whatever ends, as systemd would.
type fleet struct {
	t     testing.TB
	sink  *sink
	key   string
	admin string
	store string // the path of SQLite or the DSN of PostgreSQL
	nodes []*member
	http  *http.Client
}

// member is one node and its way to the database.
type member struct {
	config string
	url    string
	wire   *wire // nil with SQLite

	mu      sync.Mutex
	cmd     *exec.Cmd
	stopped bool
	log     *syncBuffer
	done    sync.WaitGroup
}

const noLimits = `limits: {number_gaps: [], number_hour: 0, number_day: 0, wrong_day: 0, wrong_streak: 0,
    client_hour: 0, client_day: 0}
log: {level: error}
`

// onSQLite starts one node on SQLite.
func onSQLite(t testing.TB) *fleet {
	t.Helper()
	s := newSink(t)
	d := deploy(t, s.URL, noLimits)
	c := &fleet{t: t, sink: s, key: d.key, admin: d.admin, store: filepath.Join(d.dir, "data", "dialproof.db")}
	c.nodes = []*member{{config: d.config, url: "http://" + d.listen}}
	c.start()
	return c
}

// onPostgres starts n nodes on one PostgreSQL, each behind a wire of its own that can be cut.
func onPostgres(t testing.TB, pg *pgtest.Server, n int) *fleet {
	t.Helper()
	s := newSink(t)
	c := servedBy(t, pg, n, func(int) string { return s.URL })
	c.sink = s
	return c
}

// servedBy is onPostgres with a carrier of each node's own.
func servedBy(t testing.TB, pg *pgtest.Server, n int, carrier func(i int) string) *fleet {
	t.Helper()
	c := &fleet{t: t, store: pg.Fresh()}
	for i := range n {
		w := newWire(t, fmt.Sprintf("127.0.0.1:%d", pg.Port))
		store := fmt.Sprintf("store: {driver: postgres, dsn: %q, timeout: 2s}\n", w.dsn(c.store))
		var d *deployment
		if i == 0 {
			d = deploy(t, carrier(i), noLimits+store)
			c.key, c.admin = d.key, d.admin
		} else {
			d = configure(t, carrier(i), noLimits+store)
		}
		c.nodes = append(c.nodes, &member{config: d.config, url: "http://" + d.listen, wire: w})
	}
	c.start()
	return c
}

// start runs the nodes until the test ends.
func (c *fleet) start() {
	c.http = &http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	for _, m := range c.nodes {
		m.log = &syncBuffer{}
		m.done.Go(m.supervise)
		c.t.Cleanup(m.stop)
	}
	for _, m := range c.nodes {
		waitFor(c.t, 30*time.Second, "a node is ready", func() bool { return c.ready(m) })
	}
}

func (c *fleet) ready(m *member) bool {
	resp, err := c.http.Get(m.url + "/readyz")
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode == http.StatusOK
}

// supervise starts the program again and again.
func (m *member) supervise() {
	for {
		cmd := exec.Command(binary, "serve", "--config", m.config)
		cmd.Env = append(os.Environ(), "DIALPROOF_KEY=", "NO_COLOR=1", "DIALPROOF_DRAIN=0s")
		cmd.Stdout, cmd.Stderr = m.log, m.log
		m.mu.Lock()
		if m.stopped || cmd.Start() != nil {
			m.mu.Unlock()
			return
		}
		m.cmd = cmd
		m.mu.Unlock()
		_ = cmd.Wait()
		time.Sleep(50 * time.Millisecond)
	}
}

func (m *member) signal(sig syscall.Signal) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.cmd != nil {
		_ = m.cmd.Process.Signal(sig) // one that has ended answers an error
	}
}

func (m *member) stop() {
	m.mu.Lock()
	m.stopped = true
	m.mu.Unlock()
	m.signal(syscall.SIGKILL)
	m.done.Wait()
}

// client returns a client that talks to one node.
func (c *fleet) client(m *member) *client { return &client{url: m.url, key: c.key, http: c.http} }

// any returns a client that talks to some node.
func (c *fleet) any(r *rand.Rand) *client { return c.client(c.nodes[r.IntN(len(c.nodes))]) }

// policy changes the application's policy.
func (c *fleet) policy(policy map[string]any) {
	c.t.Helper()
	admin := &client{url: c.nodes[0].url, key: c.admin, http: c.http}
	var list struct {
		Data []struct{ ID string } `json:"data"`
	}
	a := admin.call(c.t, http.StatusOK, http.MethodGet, "/v1/applications", nil)
	a.into(c.t, &list)
	admin.call(c.t, http.StatusOK, http.MethodPatch, "/v1/applications/"+list.Data[0].ID, map[string]any{"policy": policy})
	time.Sleep(time.Second) // the other nodes have heard of it within a second
}

// disturb kills, pauses and cuts off nodes until stop is closed, and answers how often.
func (c *fleet) disturb(stop <-chan struct{}, seed uint64, every time.Duration) (counts map[string]int) {
	r := rand.New(rand.NewPCG(seed, 3))
	counts = map[string]int{}
	pause := func(d time.Duration) bool {
		select {
		case <-stop:
			return false
		case <-time.After(d):
			return true
		}
	}
	for pause(time.Duration(r.Int64N(int64(2 * every)))) {
		m := c.nodes[r.IntN(len(c.nodes))]
		for_ := 50*time.Millisecond + time.Duration(r.Int64N(int64(time.Second)))
		switch what := r.IntN(4); {
		case what == 0:
			counts["killed"]++
			m.signal(syscall.SIGKILL)
		case what == 1:
			counts["paused"]++
			m.signal(syscall.SIGSTOP)
			pause(for_)
			m.signal(syscall.SIGCONT)
		case m.wire == nil:
			counts["killed"]++
			m.signal(syscall.SIGKILL)
		case what == 2:
			counts["cut"]++
			m.wire.set(cut)
			pause(for_)
			m.wire.set(whole)
		default:
			counts["silenced"]++
			m.wire.set(silent)
			pause(for_)
			m.wire.set(whole)
		}
	}
	return counts
}

// wire is a TCP connection between a node and its database that a test can cut or silence.
type wire struct {
	to     string
	listen net.Listener
	mu     sync.Mutex
	change *sync.Cond
	state  wireState
	conns  map[net.Conn]bool
}

type wireState int

// The states of a wire.
const (
	whole  wireState = iota
	cut              // connections are reset and new ones refused
	silent           // connections stay open, and nothing comes through
)

func newWire(t testing.TB, to string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{to: to, listen: l, conns: map[net.Conn]bool{}}
	w.change = sync.NewCond(&w.mu)
	t.Cleanup(func() { l.Close(); w.set(cut) })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go w.carry(c)
		}
	}()
	return w
}

// dsn returns a connection string that leads through the wire.
func (w *wire) dsn(direct string) string {
	return replaceHost(direct, w.listen.Addr().String())
}

// aim leads new connections to another server.
func (w *wire) aim(to string) {
	w.mu.Lock()
	w.to = to
	w.mu.Unlock()
}

// set changes the state of the wire.
func (w *wire) set(s wireState) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.state = s
	if s == cut {
		for c := range w.conns {
			_ = c.(*net.TCPConn).SetLinger(0) // a reset
			c.Close()
		}
	}
	w.change.Broadcast()
}

// pass waits while the wire is silent, and reports whether it is whole.
func (w *wire) pass() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.state == silent {
		w.change.Wait()
	}
	return w.state == whole
}

func (w *wire) carry(in net.Conn) {
	defer in.Close()
	if !w.pass() {
		return
	}
	w.mu.Lock()
	to := w.to
	w.mu.Unlock()
	out, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer out.Close()
	w.mu.Lock()
	w.conns[in], w.conns[out] = true, true
	w.mu.Unlock()
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{in, out}, {out, in}} {
		both.Go(func() {
			buf := make([]byte, 32<<10)
			for {
				n, err := way[0].Read(buf)
				if n > 0 && w.pass() {
					_, _ = way[1].Write(buf[:n])
				}
				if err != nil {
					in.Close()
					out.Close()
					return
				}
			}
		})
	}
	both.Wait()
	w.mu.Lock()
	delete(w.conns, in)
	delete(w.conns, out)
	w.mu.Unlock()
}
