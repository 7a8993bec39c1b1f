package e2e

import (
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestKilled kills the program at random moments under load, again and again, and holds what was acknowledged:
// every start's message arrives, every approval stays, no code is approved twice.
func TestKilled(t *testing.T) {
	t.Parallel()
	rounds := 8
	if soak() {
		rounds = 100
	}
	s := newSink(t)
	d := deploy(
		t,
		s.URL,
		`limits: {number_gaps: [], number_hour: 0, number_day: 0, wrong_day: 0, wrong_streak: 0, client_hour: 0,
    client_day: 0}
log: {level: warn}
`,
	)
	w := &world{started: map[string]string{}, approved: map[string]int{}}
	kills := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	var killed []time.Time
	for range rounds {
		p := d.serve(t)
		w.load(t, p, d.key, s, time.Duration(100+kills.IntN(500))*time.Millisecond, func() {
			killed = append(killed, time.Now())
			p.kill()
		})
	}
	p := d.serve(t)
	w.settle(t, p, d.key, s)
	twice, unexplained := s.doubles(killed)
	t.Logf(
		"rounds %d, starts acknowledged %d, approvals acknowledged %d, messages sent twice %d, each because the program "+
			"was killed before it had written the answer down", rounds, len(w.started), len(w.approved), twice)
	if unexplained > 0 {
		t.Errorf("%d messages were sent twice without need", unexplained)
	}
	if len(w.started) < 5*rounds {
		t.Errorf("only %d starts in %d rounds: the load is too small to show anything", len(w.started), rounds)
	}
}

// world is what the clients know to be true.
type world struct {
	mu       sync.Mutex
	started  map[string]string // verification id → number
	approved map[string]int    // verification id → approvals answered
	next     atomic.Int64
}

// load starts and checks verifications until the process is killed.
func (w *world) load(t *testing.T, p *process, key string, s *sink, life time.Duration, kill func()) {
	t.Helper()
	c := newClient(t, p, key)
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				w.cycle(c, s)
			}
		})
	}
	time.AfterFunc(life, func() { kill(); close(stop) })
	<-stop
	clients.Wait()
}

// cycle starts one verification and checks it as soon as its message is there.
func (w *world) cycle(c *client, s *sink) {
	n := int(w.next.Add(1))
	<-time.After(10 * time.Millisecond)
	if n >= 9_900 { // there are no more numbers
		return
	}
	to := drama(n)
	a, err := c.try(http.MethodPost, "/v1/verifications", map[string]any{"to": to})
	if err != nil || a.status != http.StatusCreated {
		return
	}
	v := field(a, "id")
	w.mu.Lock()
	w.started[v] = to
	w.mu.Unlock()
	// The message is a moment behind the answer.
	for range 20 {
		if code := s.codeFor(to); code != "" {
			w.check(c, v, code)
			return
		}
		<-time.After(2 * time.Millisecond)
	}
}

// check submits the right code twice and counts approvals.
func (w *world) check(c *client, v, code string) {
	for range 2 {
		a, err := c.try(http.MethodPost, "/v1/verifications/"+v+"/check", map[string]any{"code": code})
		if err == nil && a.status == http.StatusOK && field(a, "result") == "approved" {
			w.mu.Lock()
			w.approved[v]++
			w.mu.Unlock()
		}
	}
}

// settle waits for the messages of all starts and compares the server with what its clients know.
func (w *world) settle(t *testing.T, p *process, key string, s *sink) {
	t.Helper()
	c := newClient(t, p, key)
	waitFor(t, 90*time.Second, "every acknowledged start has its message", func() bool {
		there := distinct(s)
		for _, to := range w.started {
			if !there[to] {
				return false
			}
		}
		return true
	})
	for v, n := range w.approved {
		if n > 1 {
			t.Errorf("%s was approved %d times", v, n)
		}
		if a := c.call(t, http.StatusOK, http.MethodGet, "/v1/verifications/"+v, nil); field(a, "status") != "approved" {
			t.Errorf("%s was approved and is %s now", v, field(a, "status"))
		}
	}
	for v := range w.started {
		c.call(t, http.StatusOK, http.MethodGet, "/v1/verifications/"+v, nil)
	}
	// One more right code for what was not approved: the store is still whole.
	for v, to := range w.started {
		if w.approved[v] == 0 {
			a := c.call(t, http.StatusOK, http.MethodPost, "/v1/verifications/"+v+"/check",
				map[string]any{"code": s.codeFor(to)})
			if r := field(a, "result"); r != "approved" && r != "used" && r != "expired" {
				t.Errorf("%s: the right code is %s", v, r)
			}
		}
	}
}

// distinct returns the numbers that have got a message.
func distinct(s *sink) map[string]bool {
	out := map[string]bool{}
	for _, m := range s.got() {
		out[m.To] = true
	}
	return out
}

// doubles counts the messages that came twice, and those of them whose first one did not come just before a kill.
func (s *sink) doubles(killed []time.Time) (twice, unexplained int) {
	first := map[string]sunk{}
	for _, m := range s.got() {
		before, again := first[m.To]
		first[m.To] = m
		if !again {
			continue
		}
		twice++
		// What a program has written to its connection arrives also after its death.
		if !slices.ContainsFunc(killed, func(k time.Time) bool {
			return k.After(before.at.Add(-500*time.Millisecond)) && k.Before(before.at.Add(time.Second)) && k.Before(m.at)
		}) {
			unexplained++
		}
	}
	return twice, unexplained
}

// codeFor returns the newest code that a number got.
func (s *sink) codeFor(to string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range slices.Backward(s.messages) {
		if m.To == to {
			return m.Code
		}
	}
	return ""
}

// field returns a string of a JSON answer, or "".
func field(a answer, name string) string {
	m := map[string]any{}
	for _, l := range lines(string(a.body)) {
		m = l
	}
	s, _ := m[name].(string)
	return s
}
