package e2e

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"regexp"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/pgtest"
)

// cluster is three nodes on one PostgreSQL behind a load balancer.
type cluster struct {
	*deployment
	nodes []*node
	// front is the load balancer's address, as a client wants it.
	front *process
	lost  atomic.Int64 // requests that found no node or lost theirs
}

// node is one of them. It keeps its address over restarts.
type node struct {
	*process
	env    []string
	listen string
	up     atomic.Bool // as the load balancer sees it
	proxy  *httputil.ReverseProxy
}

func newCluster(t *testing.T, server *pgtest.Server, s *sink, extra string) *cluster {
	t.Helper()
	c := &cluster{
		deployment: deploy(t, s.URL, fmt.Sprintf("store: {driver: postgres, dsn: %q}\n%s", server.Fresh(), extra)),
	}
	for i := range 3 {
		n := &node{listen: freePort(t)}
		n.env = []string{"DIALPROOF_LISTEN=" + n.listen, "DIALPROOF_DATA=" + filepath.Join(c.dir, fmt.Sprint("node", i)),
			"DIALPROOF_DRAIN=1s"}
		n.serve(t, c)
		target, _ := url.Parse("http://" + n.listen)
		n.proxy = httputil.NewSingleHostReverseProxy(target)
		// A start is no request to repeat: whatever breaks is counted.
		n.proxy.Transport = &http.Transport{MaxIdleConnsPerHost: 64}
		n.proxy.ErrorLog = log.New(io.Discard, "", 0)
		n.proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, err error) {
			c.lost.Add(1)
			t.Logf("the balancer lost a request: %v", err)
			w.WriteHeader(http.StatusBadGateway)
		}
		c.nodes = append(c.nodes, n)
	}
	c.balance(t)
	return c
}

func (n *node) serve(t *testing.T, c *cluster) {
	t.Helper()
	n.process = launchIn(t, n.env, n.listen, "serve", "--config", c.config)
}

// balance starts the load balancer: it asks each node for its readiness ten times a second and gives requests in turn
// to those that are ready.
func (c *cluster) balance(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var watchers sync.WaitGroup
	probe := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for _, n := range c.nodes {
		n.up.Store(true)
		watchers.Go(func() {
			tick := time.NewTicker(100 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
				resp, err := probe.Get("http://" + n.listen + "/readyz")
				n.up.Store(err == nil && resp.StatusCode == http.StatusOK)
				if err == nil {
					resp.Body.Close()
				}
			}
		})
	}
	var turn atomic.Int64
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for range c.nodes {
			if n := c.nodes[int(turn.Add(1))%len(c.nodes)]; n.up.Load() {
				n.proxy.ServeHTTP(w, r)
				return
			}
		}
		c.lost.Add(1)
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	t.Cleanup(func() { front.Close(); cancel(); watchers.Wait() })
	c.front = &process{url: front.URL}
}

// TestRollingRestart restarts each of three nodes in turn, under load behind a load balancer: no request fails, and no
// start is without its message.
func TestRollingRestart(t *testing.T) {
	t.Parallel()
	rounds := 1
	if soak() {
		rounds = 10
	}
	s := newSink(t)
	c := newCluster(
		t,
		pgtest.Start(t),
		s,
		`limits: {number_gaps: [], number_hour: 0, number_day: 0, wrong_day: 0, wrong_streak: 0, client_hour: 0,
    client_day: 0}
log: {level: warn}
`,
	)
	client := newClient(t, c.front, c.key)
	stop := make(chan struct{})
	var clients sync.WaitGroup
	var requests, next, failed, silent atomic.Int64
	for range 6 {
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				n, ok, heard := c.whole(client, s, int(next.Add(1)))
				requests.Add(int64(n))
				if !ok {
					failed.Add(1)
				}
				if !heard {
					silent.Add(1)
				}
			}
		})
	}
	for range rounds {
		for _, n := range c.nodes {
			n.stop(t)
			n.serve(t, c)
			waitFor(t, 20*time.Second, "the load balancer sees the node", n.up.Load)
		}
	}
	close(stop)
	clients.Wait()
	t.Logf("restarts %d, requests %d, failed %d, lost by the balancer %d, starts without a message %d",
		rounds*len(c.nodes), requests.Load(), failed.Load(), c.lost.Load(), silent.Load())
	if failed.Load() != 0 || c.lost.Load() != 0 || silent.Load() != 0 {
		t.Errorf("of %d requests %d failed, the balancer lost %d, %d starts have no message", requests.Load(), failed.Load(),
			c.lost.Load(), silent.Load())
	}
	if int(requests.Load()) < 50*rounds {
		t.Errorf("only %d requests: the load is too small to show anything", requests.Load())
	}
}

// whole does one verification from its start to its approval.
func (c *cluster) whole(client *client, s *sink, i int) (requests int, ok, heard bool) {
	to := drama(i)
	a, err := client.try(http.MethodPost, "/v1/verifications", map[string]any{"to": to})
	if err != nil || a.status != http.StatusCreated {
		return 1, false, true
	}
	code := ""
	for deadline := time.Now().Add(20 * time.Second); code == "" &&
		time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		code = s.codeFor(to)
	}
	if code == "" {
		return 1, true, false
	}
	b, err := client.try(http.MethodPost, "/v1/verifications/"+field(a, "id")+"/check", map[string]any{"code": code})
	return 2, err == nil && b.status == http.StatusOK && field(b, "result") == "approved", true
}

// TestRevokedEverywhere revokes a key by the command line: within a second no node takes it any more, and a new one
// works.
func TestRevokedEverywhere(t *testing.T) {
	t.Parallel()
	s := newSink(t)
	c := newCluster(t, pgtest.Start(t), s, "log: {level: warn}\n")
	made := c.run(t, "key", "create", "--config", c.config, "--app", "shop", "--mode", "test", "--name", "short")
	key := secretIn(t, made)
	everywhere := func(want int) bool {
		for _, n := range c.nodes {
			a, err := newClient(t, n.process, key).try(http.MethodGet, "/v1/verifications?limit=1", nil)
			if err != nil || a.status != want {
				return false
			}
		}
		return true
	}
	waitFor(t, 5*time.Second, "every node knows the new key", func() bool { return everywhere(http.StatusOK) })
	c.run(t, "key", "revoke", "--config", c.config, regexp.MustCompile(`key_[0-9a-z]{26}`).FindString(made))
	begin := time.Now()
	waitFor(t, 5*time.Second, "no node takes the revoked key", func() bool { return everywhere(http.StatusUnauthorized) })
	t.Logf("revoked on three nodes after %s", time.Since(begin).Round(time.Millisecond))
	if out := c.run(t, "migrate", "--config", c.config); out == "" {
		t.Error("migrate says nothing")
	}
}
